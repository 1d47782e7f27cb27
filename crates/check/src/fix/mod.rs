//! Async all the way up: functions on the way to what blocks become coroutine functions, and their callers await them.
//!
//! A chain is repaired whole or left alone, with the reason. [`closure`] says which functions must change together, [`obstacles`], [`escapes`]
//! and [`doubts`] what is against it, [`rewrite`] which chains that leaves, and [`writer`] changes the text; what still blocks after that is
//! handed to a thread ([`offload`]).

mod closure;
mod doubts;
mod edit;
mod escapes;
mod imports;
mod loops;
mod obstacles;
mod offload;
mod pages;
mod places;
mod rewrite;
mod sites;
mod sweep;
mod twins;
mod walk;
mod writer;

use crate::{File, Knowledge, Place, Report, Settings, check, know};
use std::collections::BTreeMap;

/// What a repair has come to.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// Files that are changed: their paths, and new texts.
    pub changed: BTreeMap<String, String>,
    /// Chains that were left alone.
    pub refusals: Vec<Refusal>,
    /// What is found in the program now.
    pub report: Report,
}

/// Why a chain was left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// What stands in the way.
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// Repairs a program, and checks it again.
///
/// `files` in the order of their paths.
pub fn fix(files: &[File], settings: &Settings) -> Repair {
    let mut files = files.to_vec();
    let mut repair = Repair::default();
    let mut is_patched = false;
    // First the chains, then what is left in coroutines.
    for step in [rewrite::chains, offload::calls, rewrite::leaves] {
        let step = step(&files, settings);
        is_patched |= step.ran_nested;
        repair.take(&mut files, step);
    }
    if is_patched {
        let step = rewrite::patches(&files, settings);
        repair.take(&mut files, step);
    }
    repair.refusals.sort();
    repair.refusals.dedup();
    repair.report = check(&files, knowledge(&files), settings);
    repair
}

impl Repair {
    fn take(&mut self, files: &mut [File], step: Step) {
        for (path, text) in step.changed {
            if let Some(file) = files.iter_mut().find(|file| file.path == path) {
                file.text.clone_from(&text);
            }
            self.changed.insert(path, text);
        }
        self.refusals.extend(step.refusals);
    }
}

/// What one step has come to.
#[derive(Default)]
struct Step {
    /// Texts of files by their paths.
    changed: BTreeMap<String, String>,
    refusals: Vec<Refusal>,
    /// Nested runs are gone.
    ran_nested: bool,
}

fn knowledge(files: &[File]) -> Vec<Knowledge> {
    files.iter().map(|file| know(&file.text)).collect()
}
