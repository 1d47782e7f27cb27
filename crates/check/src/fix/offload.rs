//! Blocking calls without a twin: a thread runs them, and the coroutine awaits that.
//!
//! Where a coroutine gets to one over plain functions, the thread runs the first of those. Where shared state is on the way, only the
//! blocking call itself goes to the thread, and what is on the way becomes asynchronous ([`super::rewrite`]): the loop's objects stay with the
//! loop's thread.

use super::again::{Planned, Vetoes};
use super::closure::{Closures, Obstacle, is_told};
use super::pages::Pages;
use super::rewrite::{Refused, tell};
use super::writer::Writer;
use super::{Step, Work};
use crate::catalogue::Category;
use crate::graph::{SinkCall, Site};
use crate::link::values::FnId;
use crate::search::{Witness, witnesses};
use rustc_hash::FxHashSet;

/// The first function on the way, where a thread can run it.
pub(super) fn calls(work: &mut Work<'_>, vetoes: &Vetoes) -> Step {
    let Work { settings, files, program, graph, places } = work;
    let witnesses = witnesses(program, graph);
    let mut pages = Pages::new(files, places);
    let mut writer = Writer::default();
    let (mut refused, mut plans): (Vec<Refused>, Vec<Planned>) = (Vec::new(), Vec::new());
    let mut closures = Closures::new(program, graph, &mut pages, settings);
    for witness in witnesses.iter().filter(|witness| is_for_threads(witness.category)) {
        let site = witness.first_site;
        let end = witness.hops.last().map_or(site, |hop| hop.site);
        let is_told = |site| is_told(closures.program, settings, site, witness.category);
        if !is_told(site) || !is_told(end) {
            continue;
        }
        if witness.scheduled_by.is_some() {
            let reason = "the loop calls it as a plain function: hand it to a thread there".to_owned();
            let (obstacle, function, category) = (Obstacle { site, reason }, witness.root, witness.category);
            refused.push(Refused { obstacle, function, category });
        } else if vetoes.of(site).is_none() && is_plain(&mut closures, witness) && can_write(&mut closures, site) {
            writer.offloaded(closures.pages, site);
            plans.push(planned(&closures, witness));
        }
    }
    let refusals = tell(&closures, files, refused);
    Step { changed: writer.finish(program, &mut pages).unwrap_or_default(), refusals, plans, ..Step::default() }
}

/// The functions that run in a thread then.
fn planned(closures: &Closures<'_, '_>, witness: &Witness) -> Planned {
    let named = |function: FnId| (closures.program.file_of(function), closures.name_of(function));
    let changes = witness.hops.iter().map(|hop| named(hop.function)).collect();
    Planned { at: witness.first_site, changes, calls: vec![named(witness.root)] }
}

/// Files and databases are left: the one mostly are fast, the others' objects belong to their thread.
pub(super) const fn is_for_threads(category: Category) -> bool {
    matches!(category, Category::Network | Category::Process | Category::Wait | Category::Input)
}

/// Whether a thread can run the call itself: it is no lock, which belongs to who takes it.
pub(super) fn can_move(closures: &Closures<'_, '_>, sink: &SinkCall) -> bool {
    let path = closures.program.values.path_text(sink.path);
    let is_lock = path.rsplit_once('.').is_some_and(|(object, _)| crate::link::is_thread_lock(object));
    let is_direct = closures.sites.outside_at(sink.caller, sink.site).contains(&sink.path);
    is_direct && !is_lock
}

/// Whether the coroutine gets to it over functions, and methods that do nothing else, which change nothing of others and need no loop.
fn is_plain(closures: &mut Closures<'_, '_>, witness: &Witness) -> bool {
    let (graph, site) = (closures.graph, witness.first_site);
    if closures.is_free_of_locks(witness.root, site).is_err() {
        return false;
    }
    let mut next: Vec<FnId> = Vec::new();
    for edge in closures.sites.at(graph, witness.root, site) {
        if !super::sites::is_call(edge) || !edge.runs || !edge.via.is_empty() {
            return false;
        }
        next.push(edge.callee);
    }
    if next.is_empty() {
        return false;
    }
    let mut seen: FxHashSet<FnId> = FxHashSet::default();
    while let Some(function) = next.pop() {
        if !seen.insert(function) {
            continue;
        }
        let this = closures.program.function(function);
        let (at, is_method, is_generator) = (this.at, this.class.is_some(), this.is_generator);
        let file = closures.program.file_of(function);
        let places = closures.pages.places(file);
        let Some(definition) = places.definitions.get(&at) else { return false };
        let is_on_the_way = witness.hops.iter().any(|hop| hop.function == function);
        if (is_method && !is_on_the_way) || definition.changes || is_generator {
            return false;
        }
        if closures.strange_decorator(function).is_some() {
            return false;
        }
        // Also of what it is given.
        for outside in closures.sites.outside_in(graph, file, definition.range) {
            let path = closures.program.values.path_text(outside.path);
            let needs_loop = path.starts_with("asyncio.") && !path.contains("threadsafe") && path != "asyncio.run";
            if needs_loop || path.starts_with("sqlite3.") {
                return false;
            }
        }
        next.extend(closures.sites.of(graph, function).filter(|edge| edge.runs).map(|edge| edge.callee));
    }
    true
}

fn can_write(closures: &mut Closures<'_, '_>, site: Site) -> bool {
    let places = closures.pages.places(site.file);
    let Some(call) = places.calls.get(&site.span) else { return false };
    let is_open = super::obstacles::is_open(call.around) && !call.around.is_lambda && call.around.list.is_none();
    is_open && (places.name_of("asyncio").is_some() || !places.bound.contains("asyncio"))
}
