//! Async all the way up: functions on the way to what blocks become coroutine functions, and their callers await them.
//!
//! A chain is repaired whole or left alone, with the reason. [`closure`] says which functions must change together, [`obstacles`], [`escapes`]
//! and [`doubts`] what is against it, [`wrappers`] of which a plain one stays, [`rewrite`] which chains that leaves, and [`writer`] changes the
//! text; what still blocks after that is handed to a thread ([`offload`]).

mod again;
mod blocking;
mod closure;
mod compiles;
mod doubts;
mod edit;
mod escapes;
mod imports;
mod lenders;
mod locks;
mod loops;
mod obstacles;
mod offload;
mod pages;
mod places;
mod replaced;
mod rewrite;
mod runners;
mod shared;
mod sites;
mod spelled;
mod stops;
mod strangers;
mod supers;
mod sweep;
mod twins;
mod unknown;
mod walk;
mod wrappers;
mod writer;

use crate::catalogue::Category;
use crate::graph::Graph;
use crate::link::Program;
use crate::link::values::FileId;
use crate::rules::LET_IT_NEST;
use crate::{File, Knowledge, Place, Report, Settings, analyse, know, report};
use again::{Planned, Vetoes};
use std::collections::BTreeMap;

/// What a repair has come to.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// Files that are changed: their paths, and new texts.
    pub changed: BTreeMap<String, String>,
    /// Chains that were left alone, in the order of their obstacles.
    pub refusals: Vec<Refusal>,
    /// What is found in the program now.
    pub report: Report,
}

/// Why chains were left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// What stands in the way.
    pub place: Place,
    /// Why.
    pub reason: String,
    /// The functions that block still, by their full names.
    pub functions: Vec<String>,
    /// The rules that tell of what blocks there, by their codes.
    pub codes: Vec<&'static str>,
}

impl Refusal {
    /// What can be done where repairs are refused: it ends the sentence "Other ways: ...". A loop that nests helps against nested runs alone.
    pub fn other_ways(refusals: &[Self]) -> String {
        let nested = Category::Nested.code();
        let codes = || refusals.iter().flat_map(|refusal| &refusal.codes);
        if codes().all(|code| *code == nested) {
            format!("{LET_IT_NEST}; or {TO_A_THREAD}")
        } else if codes().any(|code| *code == nested) {
            format!("for {nested}, {LET_IT_NEST}; for all, {TO_A_THREAD}")
        } else {
            TO_A_THREAD.to_owned()
        }
    }
}

const TO_A_THREAD: &str = "hand the first function on the way to a thread: `await asyncio.to_thread(...)`";

/// Repairs a program, and checks it again.
///
/// `files` in the order of their paths, `known` what [`know`] says of each.
pub fn fix(files: &[File], known: Vec<Knowledge>, settings: &Settings) -> Repair {
    let mut work = Work::new(files, known, settings);
    let mut repair = Repair::default();
    let mut is_patched = false;
    // First the chains, then what is left in coroutines.
    for step in [rewrite::chains, offload::calls, rewrite::leaves] {
        let step = work.settled(step);
        is_patched |= step.ran_nested;
        repair.refusals.extend(step.refusals);
        repair.changed.extend(step.changed);
    }
    if is_patched {
        let changed = rewrite::patches(&mut work);
        work.take(&changed);
        repair.changed.extend(changed);
    }
    repair.refusals = joined(repair.refusals);
    repair.report = report(&work.files, &mut work.program, &work.graph, settings);
    repair
}

/// One refusal for each obstacle.
fn joined(mut refusals: Vec<Refusal>) -> Vec<Refusal> {
    refusals.sort();
    let mut joined: Vec<Refusal> = Vec::new();
    for refusal in refusals {
        match joined.last_mut() {
            Some(last) if (&last.place, &last.reason) == (&refusal.place, &refusal.reason) => {
                last.functions.extend(refusal.functions);
                last.functions.sort();
                last.functions.dedup();
                last.codes.extend(refusal.codes);
                last.codes.sort_unstable();
                last.codes.dedup();
            }
            _ => joined.push(refusal),
        }
    }
    joined
}

/// The program between two steps: what is known of a file is kept until its text changes.
struct Work<'s> {
    settings: &'s Settings,
    files: Vec<File>,
    program: Program,
    graph: Graph,
    places: pages::Known,
}

impl<'s> Work<'s> {
    fn new(files: &[File], known: Vec<Knowledge>, settings: &'s Settings) -> Self {
        let (program, graph) = analyse(files, known, settings);
        Self { settings, files: files.to_vec(), program, graph, places: pages::Known::new() }
    }

    /// One step, without what would bring something new that is wrong.
    fn settled(&mut self, step: fn(&mut Self, &Vetoes) -> Step) -> Step {
        let mut vetoes = Vetoes::default();
        let mut before = None;
        loop {
            let mut done = step(self, &vetoes);
            if done.changed.is_empty() {
                return done;
            }
            let before = before.get_or_insert_with(|| again::wrongs(self));
            let old = self.files.iter().filter(|file| done.changed.contains_key(&file.path));
            let old: Texts = old.map(|file| (file.path.clone(), file.text.clone())).collect();
            self.take(&done.changed);
            let mut faults = again::faults(self, before, &done.changed);
            faults.retain(|fault| !again::blamed(self, &done.plans, fault).is_empty());
            if faults.is_empty() {
                return done;
            }
            self.take(&old);
            if !vetoes.add(self, &done.plans, &faults) {
                done.changed.clear();
                return done;
            }
        }
    }

    fn take(&mut self, changed: &Texts) {
        if changed.is_empty() {
            return;
        }
        let program = std::mem::take(&mut self.program.files);
        let mut known: Vec<Knowledge> = program.into_iter().map(|file| file.facts.into_facts().into()).collect();
        for (index, file) in self.files.iter_mut().enumerate() {
            if let Some(text) = changed.get(&file.path) {
                file.text.clone_from(text);
                known[index] = know(text);
                self.places.remove(&FileId(index as u32));
            }
        }
        (self.program, self.graph) = analyse(&self.files, known, self.settings);
    }
}

/// Texts of files by their paths.
type Texts = BTreeMap<String, String>;

/// What one step has come to.
#[derive(Default)]
struct Step {
    changed: Texts,
    refusals: Vec<Refusal>,
    /// What it is made of.
    plans: Vec<Planned>,
    /// Nested runs are gone.
    ran_nested: bool,
}
