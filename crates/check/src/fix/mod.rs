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
    // First the chains, then what is left in coroutines.
    for step in [rewrite::chains, offload::calls, rewrite::patches] {
        let (changed, refusals) = step(&files, settings);
        for (path, text) in changed {
            if let Some(file) = files.iter_mut().find(|file| file.path == path) {
                file.text.clone_from(&text);
            }
            repair.changed.insert(path, text);
        }
        repair.refusals.extend(refusals);
    }
    repair.refusals.sort();
    repair.refusals.dedup();
    repair.report = check(&files, knowledge(&files), settings);
    repair
}

/// Texts of files by their paths, and what was refused.
type Step = (BTreeMap<String, String>, Vec<Refusal>);

fn knowledge(files: &[File]) -> Vec<Knowledge> {
    files.iter().map(|file| know(&file.text)).collect()
}
