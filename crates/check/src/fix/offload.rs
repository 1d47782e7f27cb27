//! Blocking calls without a twin: a thread runs them, and the coroutine awaits that.

use super::closure::{Closures, Obstacle};
use super::edit::Edit;
use super::pages::Pages;
use super::rewrite::tell;
use super::writer::Writer;
use super::{Step, knowledge};
use crate::catalogue::Category;
use crate::facts::Span;
use crate::graph::Site;
use crate::link::values::FnId;
use crate::search::{Search, Witness};
use crate::{File, Settings};
use rustc_hash::FxHashSet;

/// `load(x)` in a coroutine becomes `await asyncio.to_thread(load, x)`.
pub(super) fn calls(files: &[File], settings: &Settings) -> Step {
    let (mut program, graph) = crate::analyse(files, knowledge(files), settings);
    let witnesses = Search::new(&program, &graph).witnesses(&program);
    let mut pages = Pages::new(files);
    let mut writer = Writer::default();
    let mut refused = Vec::new();
    let mut closures = Closures::new(&mut program, &graph, &mut pages);
    for witness in witnesses.iter().filter(|witness| is_wanted(witness)) {
        let site = witness.first_site;
        let result = can_move(&mut closures, witness).and_then(|()| offloaded(&mut closures, &mut writer, site));
        refused.extend(result.err());
    }
    match writer.finish(&mut pages) {
        Some(changed) => (changed, tell(files, refused)),
        None => (std::collections::BTreeMap::new(), tell(files, refused)),
    }
}

/// Files and databases are left: the one mostly are fast, the others' objects belong to their thread.
const fn is_wanted(witness: &Witness) -> bool {
    matches!(witness.category, Category::Network | Category::Process | Category::Wait | Category::Input)
}

/// Whether another thread can run it: not what needs the loop, or objects that belong to a thread.
fn can_move(closures: &mut Closures<'_, '_>, witness: &Witness) -> Result<(), Obstacle> {
    let site = witness.first_site;
    let obstacle = |site: Site, reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
    if witness.scheduled_by.is_some() {
        return obstacle(site, "the loop calls it as a plain function: hand it to a thread there");
    }
    closures.is_free_of_locks(witness.root, site)?;
    let graph = closures.graph;
    let mut next: Vec<FnId> =
        closures.sites.calls(graph, site).filter(|edge| edge.caller == witness.root).map(|edge| edge.callee).collect();
    let mut seen: FxHashSet<FnId> = FxHashSet::default();
    while let Some(function) = next.pop() {
        if !seen.insert(function) {
            continue;
        }
        for outside in closures.sites.outside_of(graph, function) {
            let path = closures.program.values.path_text(outside.path);
            if path.starts_with("asyncio.") && path != "asyncio.run" {
                return obstacle(outside.site, "this needs the loop's thread, so no other can run it");
            }
            if path.starts_with("sqlite3.") {
                return obstacle(outside.site, "a connection of `sqlite3` belongs to its thread");
            }
        }
        let edges = graph.from[function.0 as usize].iter().map(|index| &graph.edges[*index]);
        next.extend(edges.filter(|edge| edge.runs).map(|edge| edge.callee));
    }
    Ok(())
}

fn offloaded(closures: &mut Closures<'_, '_>, writer: &mut Writer, site: Site) -> Result<(), Obstacle> {
    let places = closures.pages.places(site.file);
    let obstacle = |reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
    let Some(call) = places.calls.get(&site.span) else { return obstacle("this is no plain call") };
    if !super::obstacles::is_open(call.around) || call.around.is_lambda || call.around.list.is_some() {
        return obstacle("there is no place for `await`");
    }
    if places.name_of("asyncio").is_none() && places.bound.contains("asyncio") {
        return obstacle("`asyncio` is the name of something else in this file");
    }
    let module = writer.module(closures.pages, site.file);
    let has_arguments = !call.arguments.is_empty() || call.has_keywords;
    let open = if call.around.is_tight { "(await " } else { "await " };
    let comma = if has_arguments { ", " } else { "" };
    writer.edit(site.file, Edit::before(site.span, format!("{open}{module}.to_thread(")));
    let between = Span { start: call.function.end, end: call.inner.start };
    writer.edit(site.file, Edit::replace(between, comma));
    if call.around.is_tight {
        writer.edit(site.file, Edit::behind(site.span, ")"));
    }
    Ok(())
}
