//! Looks again at what a repair has made: where it brings something new that is wrong, or is no Python, what brought it is left alone.

use super::closure::on_loop;
use super::compiles;
use super::walk::span;
use super::{Texts, Work};
use crate::facts::Span;
use crate::link::values::FileId;
use crate::syntax::{Module, Ranged, Stmt, Visitor, walk_stmt};
use crate::{Finding, report, rules};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is wrong, however lines have moved.
#[derive(Default)]
pub(super) struct Wrongs {
    /// How often.
    counts: FxHashMap<Key, usize>,
    /// What blocks somewhere, by code and name; and the functions that the loop gets to. Of several ways to the same not each is told.
    blocking: FxHashSet<(String, String)>,
    on_loop: FxHashSet<String>,
}

/// The code, and two texts.
type Key = (String, String, String);

/// Something that was not there before.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) path: String,
    /// The innermost function that it is in, without what the function is in; empty for a module's own code.
    pub(super) function: String,
    pub(super) what: String,
    /// Something that blocks: it matters where a repair has changed the function, or a caller.
    is_of_ways: bool,
}

/// All that is wrong, whatever the user wants to hear.
fn findings(work: &mut Work<'_>) -> Vec<Finding> {
    report(&work.files, &mut work.program, &work.graph, &work.settings.with_all_rules()).findings
}

/// What is wrong before a repair.
pub(super) fn wrongs(work: &mut Work<'_>) -> Wrongs {
    let mut all = Wrongs::default();
    for finding in findings(work) {
        *all.counts.entry(key(&finding)).or_default() += 1;
    }
    let Work { program, graph, .. } = work;
    let on_loop = on_loop(program, graph);
    for sink in graph.sinks.iter().filter(|sink| on_loop.contains(&sink.caller)) {
        let name = last_name(program.values.path_text(sink.path));
        all.blocking.insert((sink.sink.category.code().to_owned(), name));
    }
    all.on_loop = on_loop.into_iter().map(|function| plain(&program.qualified_name(function))).collect();
    all
}

/// What is wrong now, and was not before.
pub(super) fn faults(work: &mut Work<'_>, before: &Wrongs, changed: &Texts) -> Vec<Fault> {
    let mut found = Vec::new();
    for (path, text) in changed {
        let faults = compiles::faults(text).into_iter();
        found.extend(faults.map(|(at, what)| Fault {
            path: path.clone(),
            function: function_at(text, at),
            what,
            is_of_ways: false,
        }));
    }
    let mut seen: FxHashMap<Key, usize> = FxHashMap::default();
    for finding in findings(work) {
        let key = key(&finding);
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        let is_known = if rules::is_of_ways(finding.code) {
            let (code, caller, last) = key;
            before.on_loop.contains(&caller) && before.blocking.contains(&(code, last))
        } else {
            before.counts.get(&key).is_some_and(|known| *count <= *known)
        };
        if !is_known && !is_idle(finding.code) {
            let at = Span { start: finding.place.bytes.0, end: finding.place.bytes.1 };
            let file = work.files.iter().find(|file| file.path == finding.place.path);
            let function = file.map(|file| function_at(&file.text, at)).unwrap_or_default();
            let what = format!("{} ({})", finding.message, finding.code);
            let is_of_ways = rules::is_of_ways(finding.code);
            found.push(Fault { path: finding.place.path, function, what, is_of_ways });
        }
    }
    found
}

/// Of ways to what blocks their ends: functions on the way change.
fn key(finding: &Finding) -> Key {
    let code = finding.code.to_owned();
    match finding.chain.as_slice() {
        [.., caller, last] if rules::is_of_ways(finding.code) => (code, plain(&caller.name), last_name(&last.name)),
        _ => (code, finding.place.path.clone(), plain(&finding.message)),
    }
}

/// The name of what blocks, without what it is of: that has several names.
fn last_name(path: &str) -> String {
    path.rsplit('.').next().unwrap_or_default().to_owned()
}

/// A name as it was before the repair.
fn plain(name: &str) -> String {
    name.trim_end_matches("_async").replace("__aenter__", "__enter__").replace("__aexit__", "__exit__")
}

/// A coroutine function that awaits nothing, or asks again and again, does no more harm than the plain one.
fn is_idle(code: &str) -> bool {
    matches!(code, "SL008" | "SL015")
}

/// The name of the innermost function around a place.
fn function_at(text: &str, at: Span) -> String {
    struct Finder(Span, String);
    impl<'a> Visitor<'a> for Finder {
        fn visit_stmt(&mut self, statement: &'a Stmt) {
            if span(statement.range()).contains(self.0) {
                if let Stmt::FunctionDef(function) = statement {
                    self.1 = function.name.to_string();
                }
                walk_stmt(self, statement);
            }
        }
    }
    let module = Module::parse(text);
    let mut finder = Finder(at, String::new());
    module.body().iter().for_each(|statement| finder.visit_stmt(statement));
    finder.1
}

/// A plan that may be left out: where it begins, and the functions that it changes, with those that call them.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) at: crate::graph::Site,
    /// With the paths of their files.
    pub(super) changes: Vec<(FileId, String)>,
    pub(super) calls: Vec<(FileId, String)>,
}

/// What is left out, and why.
#[derive(Debug, Default)]
pub(super) struct Vetoes(Vec<(crate::graph::Site, String)>);

impl Vetoes {
    pub(super) fn of(&self, at: crate::graph::Site) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == at).map(|(_, why)| why.as_str())
    }

    /// Leaves out what most likely brought these; gives whether that is anything more.
    pub(super) fn add(&mut self, work: &Work<'_>, plans: &[Planned], faults: &[Fault]) -> bool {
        let count = self.0.len();
        for fault in faults {
            let hit = blamed(work, plans, fault);
            for plan in hit {
                let place = match fault.function.as_str() {
                    "" => format!("`{}`", fault.path),
                    name => format!("`{name}`"),
                };
                let why = format!("the repair would bring something new into {place}: {}", fault.what);
                if self.of(plan.at).is_none() {
                    self.0.push((plan.at, why));
                }
            }
        }
        self.0.len() > count
    }
}

/// The plans that most likely brought something.
pub(super) fn blamed<'p>(work: &Work<'_>, plans: &'p [Planned], fault: &Fault) -> Vec<&'p Planned> {
    let path = |file: FileId| work.files[file.0 as usize].path.as_str();
    let is_it = |(file, name): &(FileId, String)| path(*file) == fault.path && plain(&fault.function) == plain(name);
    let is_there = |(file, _): &(FileId, String)| path(*file) == fault.path;
    let ways: [&dyn Fn(&Planned) -> bool; 4] = [
        &|plan| plan.changes.iter().any(is_it),
        &|plan| plan.calls.iter().any(is_it),
        &|plan| plan.changes.iter().chain(&plan.calls).any(is_there),
        &|_| true,
    ];
    let ways = if fault.is_of_ways { &ways[..2] } else { &ways[..] };
    let hits = ways.iter().map(|is_hit| plans.iter().filter(|plan| is_hit(plan)).collect::<Vec<_>>());
    hits.into_iter().find(|hit| !hit.is_empty()).unwrap_or_default()
}
