//! Names that mean something to a whole program, wherever they are written.

use crate::link::{LOGGING, Program};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hash};

/// Kept with a report, as hashes: two names with one hash make an edit matter that does not, and never the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watched {
    /// Special methods, and what leads to objects.
    names: Vec<u64>,
    /// Coroutine functions that may be told to be plain ones.
    idle: Vec<u64>,
    /// What leads to objects, alone.
    leads: Vec<u64>,
    /// Properties: what reads them runs them.
    properties: Vec<u64>,
    /// Those of classes alone.
    classes: Vec<u64>,
    /// Fields that objects are told apart by, made without an argument for them.
    told: Vec<u64>,
    /// Names that modules were asked for by others, whether they have them or not: with the paths of their files.
    members: Vec<u64>,
}

impl Watched {
    pub(crate) fn new(program: &Program, idle: impl Iterator<Item = String>) -> Self {
        let names = program.special_names().into_iter().chain(program.leading_names());
        let names = names.map(|name| hash(program.values.text(name)));
        let logging = LOGGING.iter().map(|name| hash(*name));
        let attached = program.has_attached().then(|| [hash(LOGGER), hash(ATTACHED)]);
        let names = names.chain(logging).chain(attached.into_iter().flatten());
        let leads = program.leading_names().map(|name| hash(program.values.text(name)));
        let properties = program.property_names().map(|name| hash(program.values.text(name)));
        let classes = program.class_names().map(|name| hash(program.values.text(name)));
        let told = program.told_names().map(|name| hash(program.values.text(name)));
        let members =
            program.asked_members().map(|(file, name)| hash((&*program.file(file).path, program.values.text(name))));
        Self {
            names: sorted(names),
            idle: sorted(idle.map(|name| hash(&*name))),
            leads: sorted(leads),
            properties: sorted(properties),
            classes: sorted(classes),
            told: sorted(told),
            members: sorted(members),
        }
    }

    /// Some have looked again, and at more than before.
    pub(super) fn renew(&mut self, program: &Program) {
        for name in program.leading_names() {
            let name = hash(program.values.text(name));
            add(&mut self.names, name);
            add(&mut self.leads, name);
        }
        for name in program.told_names() {
            add(&mut self.told, hash(program.values.text(name)));
        }
        for (file, name) in program.asked_members() {
            self.ask(&program.file(file).path, program.values.text(name));
        }
    }

    /// That is one of the coroutine functions now.
    pub(super) fn add_idle(&mut self, name: &str) {
        add(&mut self.idle, hash(name));
    }

    /// That is one of the classes now.
    pub(super) fn add_class(&mut self, name: &str) {
        add(&mut self.classes, hash(name));
    }

    /// The module in this file was asked for that name.
    pub(super) fn ask(&mut self, path: &str, name: &str) {
        add(&mut self.members, hash((path, name)));
    }

    /// Whether code that mentions the name may matter to code elsewhere.
    pub(super) fn has(&self, name: &str) -> bool {
        self.has_class(name) || self.has_idle(name) || self.has_other(name)
    }

    /// The same of names that are none of a class, nor of a coroutine function that may be told to be a plain one.
    pub(super) fn has_other(&self, name: &str) -> bool {
        self.names.binary_search(&hash(name)).is_ok()
    }

    /// Whether a call of a logger may run something of the program.
    pub(super) fn has_attached(&self) -> bool {
        self.has_other(ATTACHED)
    }

    fn has_idle(&self, name: &str) -> bool {
        self.idle.binary_search(&hash(name)).is_ok()
    }

    /// Whether it matters in which files there is that name.
    pub(super) fn leads(&self, name: &str) -> bool {
        self.leads.binary_search(&hash(name)).is_ok()
    }

    /// Whether some class has a property of that name.
    pub(super) fn has_property(&self, name: &str) -> bool {
        self.properties.binary_search(&hash(name)).is_ok()
    }

    /// Whether some class has that name.
    pub(super) fn has_class(&self, name: &str) -> bool {
        self.classes.binary_search(&hash(name)).is_ok()
    }

    /// Whether objects are told apart by a field of that name.
    pub(super) fn is_told(&self, name: &str) -> bool {
        self.told.binary_search(&hash(name)).is_ok()
    }

    /// Whether others asked the module in this file for that name.
    pub(super) fn is_asked_for(&self, path: &str, name: &str) -> bool {
        self.members.binary_search(&hash((path, name))).is_ok()
    }
}

fn add(hashes: &mut Vec<u64>, hash: u64) {
    if let Err(place) = hashes.binary_search(&hash) {
        hashes.insert(place, hash);
    }
}

fn sorted(hashes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut hashes: Vec<u64> = hashes.collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

fn hash<T: Hash>(item: T) -> u64 {
    FxBuildHasher.hash_one(item)
}

/// Where loggers come from.
const LOGGER: &str = "getLogger";
/// No name: something is attached to a logger.
const ATTACHED: &str = "logging.Handler()";
