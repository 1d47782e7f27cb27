//! Chains to nested runs and sleeps: which are repaired, and which are left.

use super::again::{Planned, Vetoes};
use super::closure::{Closure, Closures, Obstacle, is_for_chains, is_told};
use super::loops::{self, Kind};
use super::obstacles::NO_PLACE;
use super::offload::{can_move, is_for_threads};
use super::pages::Pages;
use super::places::Call;
use super::sites::at;
use super::wrappers;
use super::writer::{Outside, Writer};
use super::{Refusal, Step, Work, runners};
use crate::catalogue::Category;
use crate::facts::Span;
use crate::graph::{SinkCall, Site};
use crate::link::values::{FileId, FnId};
use crate::{File, Texts};
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

type Plans = BTreeMap<usize, Closure>;

/// Chains to nested runs and sleeps.
pub(super) fn chains(work: &mut Work<'_>, vetoes: &Vetoes) -> Step {
    repaired(work, vetoes, is_for_chains)
}

/// Chains to what a thread must do.
pub(super) fn leaves(work: &mut Work<'_>, vetoes: &Vetoes) -> Step {
    repaired(work, vetoes, is_for_threads)
}

fn repaired(work: &mut Work<'_>, vetoes: &Vetoes, is_for: fn(Category) -> bool) -> Step {
    let Work { settings, files, program, graph, places } = work;
    let graph = &*graph;
    let mut pages = Pages::new(files, places);
    let mut refused: Vec<Refused> = Vec::new();
    let mut closures = Closures::new(program, graph, &mut pages, settings);
    let blocking = Rc::clone(&closures.blocking);
    let mut plans = Plans::new();
    let mut left: Vec<usize> = (0..blocking.calls.len()).collect();
    left.retain(|index| {
        let sink = &blocking.calls[*index];
        is_for(sink.sink.category) && !sink.truth.is_outside && !sink.truth.is_dual
    });
    loop {
        // What becomes a coroutine function may block itself, though no loop gets there yet.
        let changed: FxHashSet<FnId> =
            plans.values().flat_map(|closure: &Closure| closure.functions.iter().copied()).collect();
        let now = left.extract_if(.., |index| {
            let caller = blocking.calls[*index].caller;
            closures.on_loop.contains(&caller) || changed.contains(&caller)
        });
        let now: Vec<usize> = now.collect();
        if now.is_empty() {
            break;
        }
        for index in now {
            let sink = &blocking.calls[index];
            if is_told(closures.program, settings, sink.site, sink.sink.category) {
                match plan(&mut closures, sink, vetoes) {
                    Ok(closure) => drop(plans.insert(index, closure)),
                    Err(obstacle) => refused.push(Refused::new(obstacle, sink)),
                }
            }
        }
    }
    settle(&mut closures, &mut plans, &mut refused);
    let writer = write(&mut closures, &plans);
    let changed = writer.finish(closures.program, closures.pages).unwrap_or_else(|| {
        let overlap = |index: &usize| {
            let sink = &blocking.calls[*index];
            let reason = "the changes get into each other's way".to_owned();
            Refused::new(Obstacle { site: sink.site, reason }, sink)
        };
        refused.extend(plans.keys().map(overlap));
        BTreeMap::new()
    });
    let ran_nested = plans.keys().any(|index| blocking.calls[*index].sink.category == Category::Nested);
    let told = plans.iter().map(|(index, closure)| planned(&closures, &blocking.calls[*index], closure)).collect();
    Step { changed, refusals: tell(&closures, files, refused), plans: told, ran_nested }
}

fn plan(closures: &mut Closures<'_, '_>, sink: &SinkCall, vetoes: &Vetoes) -> Result<Closure, Obstacle> {
    if let Some(why) = vetoes.of(sink.site) {
        return Err(Obstacle { site: sink.site, reason: why.to_owned() });
    }
    let closure = closures.of(sink)?;
    can_write(closures, &closure, sink)?;
    Ok(closure)
}

/// What a plan changes, and who calls that.
fn planned(closures: &Closures<'_, '_>, sink: &SinkCall, closure: &Closure) -> Planned {
    let graph = closures.graph;
    let named = |function: FnId| (closures.program.file_of(function), closures.name_of(function));
    let changes = closure.functions.iter().copied().chain([sink.caller]).map(named).collect();
    let changed = closure.functions.iter().chain(closure.twins.keys());
    let into = changed.flat_map(|function| &graph.into[function.0 as usize]);
    let calls = into.map(|index| named(at(&graph.edges[*index]).0)).collect();
    Planned { at: sink.site, changes, calls }
}

/// Plans for what no loop gets to are needed while it changes for the sake of what one does.
fn keep_needed(closures: &Closures<'_, '_>, plans: &mut Plans) {
    let mut needed: FxHashSet<FnId> = FxHashSet::default();
    loop {
        let before = needed.len();
        for (index, closure) in plans.iter() {
            let caller = closures.blocking.calls[*index].caller;
            if closures.on_loop.contains(&caller) || needed.contains(&caller) {
                needed.extend(&closure.functions);
            }
        }
        if needed.len() == before {
            break;
        }
    }
    plans.retain(|index, _| {
        let caller = closures.blocking.calls[*index].caller;
        closures.on_loop.contains(&caller) || needed.contains(&caller)
    });
}

/// Where code outside a loop will run one, nothing further down may still run another; and the runs of a runner go together.
fn settle(closures: &mut Closures<'_, '_>, plans: &mut Plans, refused: &mut Vec<Refused>) {
    let known = known_runners(closures);
    loop {
        keep_needed(closures, plans);
        let accepted: FxHashSet<usize> = plans.keys().copied().collect();
        let runs: FxHashSet<Site> = accepted.iter().map(|index| closures.blocking.calls[*index].site).collect();
        let mut left: Vec<(usize, Obstacle)> = Vec::new();
        for (index, closure) in plans.iter() {
            let is_outside = closure.is_called_outside;
            let nested = is_outside.then(|| nested_run(closures, closure, &accepted, &known));
            if let Some(site) = nested.flatten() {
                let reason = "this runs a loop still, in what callers outside any would have to run one for".to_owned();
                left.push((*index, Obstacle { site, reason }));
            } else if let Some(site) = run_that_stays(closures, closure, *index, &runs) {
                left.push((*index, Obstacle { site, reason: "this needs the same runner still".to_owned() }));
            } else if let Some(site) = another_runner(closures, closure, &known) {
                let reason = "another runner stays: it would run a loop of its own while this one runs".to_owned();
                left.push((*index, Obstacle { site, reason }));
            }
        }
        if left.is_empty() {
            return;
        }
        for (index, obstacle) in left {
            plans.remove(&index);
            refused.push(Refused::new(obstacle, &closures.blocking.calls[index]));
        }
    }
}

/// Where runners are made of which it is known what they run: those runs say whether they can stay.
fn known_runners(closures: &mut Closures<'_, '_>) -> FxHashSet<Site> {
    let mut known = FxHashSet::default();
    let blocking = Rc::clone(&closures.blocking);
    for sink in &blocking.calls {
        let Site { file, span } = sink.site;
        if closures.program.values.path_text(sink.path) == runners::RUN
            && let Ok(runner) = runners::of(closures.pages, file, span)
        {
            known.insert(Site { file, span: runner.made });
        }
    }
    known
}

/// Another run of a runner that is to go.
fn run_that_stays(
    closures: &mut Closures<'_, '_>,
    closure: &Closure,
    index: usize,
    runs: &FxHashSet<Site>,
) -> Option<Site> {
    let blocking = Rc::clone(&closures.blocking);
    let sink = &blocking.calls[index];
    let Site { file, span } = sink.site;
    if closures.program.values.path_text(sink.path) != runners::RUN || !is_rewritten(closures, closure, sink) {
        return None;
    }
    let runner = runners::of(closures.pages, file, span).ok()?;
    let mut sites = runner.runs.into_iter().map(|span| Site { file, span });
    sites.find(|site| !runs.contains(site))
}

/// Whether the blocking call itself is rewritten, and not what calls it.
fn is_rewritten(closures: &Closures<'_, '_>, closure: &Closure, sink: &SinkCall) -> bool {
    closure.functions.contains(&sink.caller) || closures.program.function(sink.caller).is_async
}

/// A runner that becomes part of a coroutine function, and would run a loop of its own while that one's runs.
fn another_runner(closures: &Closures<'_, '_>, closure: &Closure, known: &FxHashSet<Site>) -> Option<Site> {
    closure.functions.iter().filter_map(|function| runners::unknown(closures, *function, known)).min()
}

fn nested_run(
    closures: &Closures<'_, '_>,
    closure: &Closure,
    accepted: &FxHashSet<usize>,
    known: &FxHashSet<Site>,
) -> Option<Site> {
    let Closures { program, graph, .. } = closures;
    let mut seen: FxHashSet<FnId> = FxHashSet::default();
    let mut next: Vec<FnId> = closure.functions.iter().copied().collect();
    while let Some(function) = next.pop() {
        if !seen.insert(function) || closure.twins.contains_key(&function) {
            continue;
        }
        for index in closures.blocking.of(function) {
            let sink = &closures.blocking.calls[*index];
            let is_nested = matches!(sink.sink.category, Category::Nested | Category::Deadlock);
            if is_nested && !sink.truth.is_outside && !accepted.contains(index) {
                return Some(sink.site);
            }
        }
        if let Some(site) = runners::unknown(closures, function, known) {
            return Some(site);
        }
        let edges = graph.from[function.0 as usize].iter().map(|index| &graph.edges[*index]);
        next.extend(
            edges
                .filter(|edge| edge.runs && !edge.truth.is_outside && !program.function(edge.callee).is_async)
                .map(|edge| edge.callee),
        );
    }
    None
}

fn write(closures: &mut Closures<'_, '_>, plans: &Plans) -> Writer {
    let (graph, blocking) = (closures.graph, Rc::clone(&closures.blocking));
    let mut writer = Writer::default();
    let mut convert: BTreeMap<FnId, Outside> = BTreeMap::new();
    let mut twins: BTreeMap<FnId, FnId> = BTreeMap::new();
    let mut wrapped: BTreeMap<FnId, &str> = BTreeMap::new();
    let mut runs: BTreeMap<FileId, Vec<Span>> = BTreeMap::new();
    for (index, closure) in plans {
        let sink = &blocking.calls[*index];
        let outside = outside(closures, closure).unwrap_or_default();
        for function in &closure.functions {
            let known = convert.entry(*function).or_insert(outside);
            if outside == Outside::Current {
                *known = outside;
            }
        }
        twins.extend(&closure.twins);
        wrapped.extend(closure.wrapped.iter().map(|(function, name)| (*function, name.as_str())));
        if is_rewritten(closures, closure, sink) {
            let places = closures.pages.places(sink.site.file);
            match places.statements.get(&sink.site.span) {
                Some(statement) if loops::is_shutdown(closures.pages, &places, sink.site.file, sink.site.span) => {
                    writer.remove(sink.site.file, *statement);
                }
                _ => writer.sink(closures.pages, sink),
            }
            runs.entry(sink.site.file).or_default().push(sink.site.span);
            if closures.program.values.path_text(sink.path) == runners::RUN {
                let runner = runners::of(closures.pages, sink.site.file, sink.site.span).unwrap_or_default();
                runner.gone.iter().for_each(|statement| writer.remove(sink.site.file, *statement));
                runner.context.iter().for_each(|context| writer.open(sink.site.file, *context));
            }
        }
        // A plain function that stays is what the thread runs.
        for site in closure.offloads.iter().filter(|_| closures.exports.is_none()) {
            let function = closures.offloads[site];
            writer.offload(closures.pages, site.0, function);
        }
    }
    for (file, runs) in &runs {
        for run in runs {
            for statement in loops::dead(closures.pages, *file, runs, *run) {
                writer.remove(*file, statement);
            }
        }
    }
    convert_all(&mut writer, closures, &convert, &wrapped);
    for (function, twin) in &twins {
        let name = closures.name_of(*twin);
        for edge in graph.into[function.0 as usize].iter().map(|index| &graph.edges[*index]) {
            if closures.on_loop.contains(&at(edge).0) {
                writer.other_name(closures, edge, &name);
            }
        }
    }
    writer
}

/// The functions become coroutine functions, and their callers await them, or run a loop for them.
fn convert_all(
    writer: &mut Writer,
    closures: &mut Closures<'_, '_>,
    functions: &BTreeMap<FnId, Outside>,
    wrapped: &BTreeMap<FnId, &str>,
) {
    let graph = closures.graph;
    for (function, outside) in functions {
        writer.definition(closures, *function);
        writer.delegations(closures, *function, |callee| functions.contains_key(&callee));
        let name = wrapped.get(function);
        if let Some(name) = name {
            wrappers::write(writer, closures, *function, name, *outside);
        }
        for edge in graph.into[function.0 as usize].iter().map(|index| &graph.edges[*index]) {
            let caller = at(edge).0;
            let awaits = closures.awaits(caller) || functions.contains_key(&caller);
            match name {
                Some(name) if awaits => writer.other_name(closures, edge, name),
                Some(_) => {}
                None => writer.edge(closures, edge, (!awaits).then_some(*outside)),
            }
        }
    }
}

/// How callers outside any loop run what has changed; an obstacle if they would leave the loop that they ran it on.
fn outside(closures: &mut Closures<'_, '_>, closure: &Closure) -> Result<Outside, Obstacle> {
    let blocking = Rc::clone(&closures.blocking);
    let mut found = Outside::Run;
    for function in &closure.functions {
        for index in blocking.of(*function) {
            let sink = &blocking.calls[*index];
            if sink.sink.category != Category::Nested || !closure.is_called_outside {
                continue;
            }
            match loops::kind(closures.pages, sink.site.file, sink.site.span) {
                Kind::New => {}
                Kind::Current => found = Outside::Current,
                Kind::Other => {
                    let reason = "callers outside any loop run it on this loop, which may be kept for more".to_owned();
                    return Err(Obstacle { site: sink.site, reason });
                }
            }
        }
    }
    if found == Outside::Run
        && closure.is_called_outside
        && let Some(site) = closures.takes_current(closure)
    {
        let reason = "the thread's loop is taken here, which would be gone after `asyncio.run`".to_owned();
        return Err(Obstacle { site, reason });
    }
    Ok(found)
}

/// Whether the text has a place for all that must be written.
fn can_write(closures: &mut Closures<'_, '_>, closure: &Closure, sink: &SinkCall) -> Result<(), Obstacle> {
    let site = sink.site;
    let obstacle = |reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
    outside(closures, closure)?;
    if is_for_threads(sink.sink.category) && closure.is_called_outside {
        return obstacle("this is called where no loop runs, too: hand what calls it to a thread");
    }
    can_name_asyncio(closures, closure, sink)?;
    if !is_rewritten(closures, closure, sink) {
        return Ok(());
    }
    let places = closures.pages.places(site.file);
    let Some(call) = places.calls.get(&site.span) else { return obstacle("this is no plain call") };
    if !super::obstacles::is_open(call.around) || call.around.is_lambda {
        return obstacle(NO_PLACE);
    }
    let path = closures.program.values.path_text(sink.path);
    let has_one = call.run.is_some();
    let is_run = matches!(path, "asyncio.run" | "uvloop.run") || path.ends_with(".run_until_complete");
    match sink.sink.category {
        Category::Nested if path == runners::RUN && has_one => {
            runners::of(closures.pages, site.file, site.span).map(drop).map_err(|reason| Obstacle { site, reason })
        }
        Category::Nested if !(is_run && has_one) => obstacle("what this runs is not known"),
        Category::Nested if loops::is_its_own(closures.pages, site.file, site.span) => {
            obstacle("what this runs is of this loop, and no other can run it")
        }
        Category::Nested if call.arguments.len() + call.keywords.len() > 1 && has_comment(closures, site, call) => {
            obstacle("a comment among the arguments would be lost")
        }
        Category::Nested if loops::is_needed(closures.pages, site.file, site.span) => {
            obstacle("the loop that is made for this is needed for more than its runs")
        }
        Category::Deadlock => obstacle("`await` the coroutine here instead"),
        Category::Sleep if path != "time.sleep" => obstacle("no coroutine is known that does the same"),
        Category::Sleep if !closures.is_nothing_else(sink) => {
            obstacle("this may also call something else, which stays as it is")
        }
        Category::Sleep if closures.is_replaced_there(sink) => {
            obstacle("something else is put in the place of this call at run time, as tests do")
        }
        category if is_for_threads(category) && !can_move(closures, sink) => {
            obstacle("no coroutine is known that does the same, and another thread cannot do it")
        }
        _ => Ok(()),
    }
}

fn has_comment(closures: &Closures<'_, '_>, site: Site, call: &Call) -> bool {
    let Some(run) = call.run else { return false };
    let parts = [(call.inner.start, run.span.start), (run.span.end, call.inner.end)];
    parts.iter().any(|(start, end)| closures.pages.slice(site.file, Span { start: *start, end: *end }).contains('#'))
}

/// Whether `asyncio` is the module, wherever its name is written.
fn can_name_asyncio(closures: &mut Closures<'_, '_>, closure: &Closure, sink: &SinkCall) -> Result<(), Obstacle> {
    let mut sites: BTreeSet<Site> = BTreeSet::from([sink.site]);
    for function in &closure.functions {
        sites.extend(closure.wrapped.contains_key(function).then(|| closures.site_of(*function)));
        let edges = closures.graph.into[function.0 as usize].iter().map(|index| &closures.graph.edges[*index]);
        sites.extend(edges.map(|edge| at(edge).1));
    }
    for site in sites {
        let places = closures.pages.places(site.file);
        let is_another = |import: &super::places::Import| import.name == "asyncio" && import.module != "asyncio";
        if places.name_of("asyncio") != Some("asyncio")
            && (places.bound.contains("asyncio") || places.imports.iter().any(is_another))
        {
            return Err(Obstacle { site, reason: "`asyncio` is the name of something else in this file".to_owned() });
        }
    }
    Ok(())
}

/// `nest_asyncio.apply()`, once nothing needs it any more.
pub(super) fn patches(work: &mut Work<'_>) -> super::Texts {
    let Work { files, program, graph, places, .. } = work;
    let mut pages = Pages::new(files, places);
    let mut writer = Writer::default();
    let is_needed = crate::search::witnesses(program, graph).iter().any(|witness| witness.category == Category::Nested);
    for call in graph.outside.iter().filter(|_| !is_needed) {
        // What is for others to call stays.
        let is_ours = program.function(call.caller).is_async
            || program.global_fn(call.site.file, crate::facts::MODULE) == call.caller;
        if is_ours
            && crate::rules::is_patch(program.values.path_text(call.path))
            && let Some(statement) = pages.places(call.site.file).statements.get(&call.site.span)
        {
            writer.remove(call.site.file, *statement);
        }
    }
    writer.finish(program, &mut pages).unwrap_or_default()
}

/// What is not repaired.
pub(super) struct Refused {
    pub(super) obstacle: Obstacle,
    /// The function that blocks still.
    pub(super) function: FnId,
    pub(super) category: Category,
}

impl Refused {
    fn new(obstacle: Obstacle, sink: &SinkCall) -> Self {
        Self { obstacle, function: sink.caller, category: sink.sink.category }
    }
}

/// The obstacles in words, each with the function that blocks still.
pub(super) fn tell(closures: &Closures<'_, '_>, files: &[File], refused: Vec<Refused>) -> Vec<Refusal> {
    let mut texts = Texts::new(files);
    let refusals = refused.into_iter().map(|Refused { obstacle, function, category }| Refusal {
        place: texts.place(obstacle.site),
        reason: obstacle.reason,
        functions: vec![closures.program.qualified_name(function)],
        codes: vec![category.code()],
    });
    refusals.collect()
}
