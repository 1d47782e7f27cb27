//! What the graph is made of: who calls whom, where, under which condition, and where that meets code outside.

use super::noises::Noise;
use crate::catalogue::Sink;
use crate::facts::{EventKind, Span};
use crate::link::values::{ArgsId, ClsId, EnvId, FileId, FnId, PathId, SetId, Symbol, ValueId};
use crate::link::{Patches, Receiver, Truth, Whose};
use hashbrown::HashTable;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Site {
    pub(crate) file: FileId,
    pub(crate) span: Span,
}

impl Site {
    /// Whether another one is within it.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.file == other.file && self.span.contains(other.span)
    }
}

/// A function on the way of a variable call, and where it calls on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Hop {
    pub(crate) function: FnId,
    pub(crate) site: Site,
}

#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) caller: FnId,
    pub(crate) callee: FnId,
    pub(crate) site: Site,
    pub(crate) env: EnvId,
    /// The body runs at once; else a coroutine or generator is made.
    pub(crate) runs: bool,
    pub(crate) truth: Rc<Truth>,
    pub(crate) via: Vec<Hop>,
    /// What happens at the site.
    pub(crate) kind: EventKind,
    /// The site hands the callee to something that calls it.
    pub(crate) is_handed: bool,
    /// The callee came out of a store that others fill: it may be there.
    pub(crate) is_registered: bool,
    /// Whose method the callee is, if it is one.
    pub(crate) whose: Whose,
}

/// A call of something that blocks.
#[derive(Clone, Debug)]
pub(crate) struct SinkCall {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) path: PathId,
    pub(crate) sink: Sink,
    pub(crate) truth: Rc<Truth>,
    pub(crate) via: Vec<Hop>,
    /// As in [`Edge`].
    pub(crate) is_registered: bool,
    /// The caller itself says what is called.
    pub(crate) is_direct: bool,
}

/// A function that the loop is told to call.
#[derive(Clone, Debug)]
pub(crate) struct Scheduled {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) by: PathId,
    pub(crate) callee: FnId,
    pub(crate) truth: Rc<Truth>,
}

/// Something that blocks, which the loop is told to call itself.
#[derive(Clone, Debug)]
pub(crate) struct ScheduledSink {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) by: PathId,
    pub(crate) path: PathId,
    pub(crate) sink: Sink,
    pub(crate) truth: Rc<Truth>,
}

/// A call of a function outside the program, for rules that look for names.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) caller: FnId,
    pub(crate) path: PathId,
    pub(crate) site: Site,
}

/// Something that another thread or process is told to call.
#[derive(Clone, Debug)]
pub(crate) struct Offloaded {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) by: PathId,
    pub(crate) callee: OffloadedTo,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum OffloadedTo {
    Function(FnId),
    External(PathId),
}

/// Something that happens in a function, whatever it calls.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) caller: FnId,
    pub(super) site: Site,
    pub(super) kind: EventKind,
    pub(super) is_handed: bool,
    pub(super) is_registered: bool,
    /// What is called comes out of a table: the parameter that is the key.
    pub(super) taken_under: Option<(FnId, u32)>,
    pub(super) truth: Rc<Truth>,
    pub(super) via: Vec<Hop>,
    /// The attribute of the caller's own object that is called.
    pub(super) receiver: Option<(Receiver, Symbol)>,
    pub(super) whose: Whose,
    /// It is called of a field of the own object: of which class that is, and what the field is.
    pub(super) own_field: Option<(ClsId, SetId)>,
    /// The loop is told to call it, by this.
    pub(super) scheduled_by: Option<PathId>,
}

impl Happening {
    /// Where it is told of first.
    pub(super) fn origin(&self) -> Site {
        self.via.last().map_or(self.site, |hop| hop.site)
    }
}

/// A call of a parameter.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) value: ValueId,
    pub(super) args: ArgsId,
    pub(super) at: Happening,
    /// Whose callers say what it is: that of the call; or one around it, which makes the caller and has others call it.
    pub(super) holder: FnId,
}

#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) edges: Vec<Edge>,
    /// How many of them, from the first on, the callers themselves tell of.
    pub(crate) direct_edges: usize,
    /// Edges into each function.
    pub(crate) into: Vec<Vec<usize>>,
    pub(crate) from: Vec<Vec<usize>>,
    pub(crate) sinks: Vec<SinkCall>,
    /// Those of each function.
    pub(crate) sinks_of: Vec<Vec<usize>>,
    pub(crate) scheduled: Vec<Scheduled>,
    pub(crate) scheduled_sinks: Vec<ScheduledSink>,
    /// Functions that the loop is told to call.
    pub(crate) callbacks: FxHashSet<FnId>,
    /// Functions that run in other threads or processes.
    pub(crate) elsewhere: FxHashSet<FnId>,
    pub(crate) offloaded: Vec<Offloaded>,
    /// Edges of work for other threads or for the loop, which are none of `into` and `from`.
    pub(super) deferred_into: FxHashMap<FnId, Vec<usize>>,
    pub(crate) outside: Vec<Outside>,
    /// How much there is to hear of each event, in the order of the functions and of what happens in them.
    pub(crate) noises: Vec<Noise>,
    /// What tests have other things in place of.
    pub(crate) patches: Patches,
    /// Calls of parameters and of what comes of them, where callers say what they are.
    pub(crate) outside_by_parameter: Vec<Outside>,
    /// The places of all edges, by what they are.
    pub(super) known: HashTable<u32>,
    pub(super) known_sinks: FxHashSet<(FnId, Site, PathId)>,
    pub(super) variables: Vec<Vec<Variable>>,
    pub(super) known_variables: FxHashSet<(FnId, ValueId, Site)>,
    /// Where parameters are called of which somebody says what they are.
    pub(super) answered: FxHashSet<Site>,
    /// Calls of parameters of other functions, which only all callers together can tell.
    pub(super) foreign: Vec<Variable>,
    /// Who makes them, and where.
    pub(super) foreign_places: Vec<(FnId, Site, ValueId)>,
    /// Those other functions.
    pub(super) owners: FxHashSet<FnId>,
    /// Of which parameters of a function somebody asks what they are, as bits.
    pub(super) asked_parameters: FxHashMap<FnId, u32>,
    /// Edges whose callee's variable calls are still to be looked at.
    pub(super) fresh: Vec<usize>,
    /// How many of them each edge has seen.
    pub(super) seen: Vec<usize>,
}

impl Graph {
    /// Whether it is the same to a function what it is given, and to others.
    pub(crate) fn asks_nothing(&self, function: FnId) -> bool {
        self.variables[function.0 as usize].is_empty() && !self.owners.contains(&function)
    }

    /// Whether it keeps what it is given for what others call.
    pub(crate) fn is_owner(&self, function: FnId) -> bool {
        self.owners.contains(&function)
    }

    /// Whether it calls something of what it is given.
    pub(crate) fn has_variables(&self, function: FnId) -> bool {
        !self.variables[function.0 as usize].is_empty()
    }

    /// Whether functions within this one call what it is given: its callers say what these come to.
    pub(crate) fn holds_for_others(&self, function: FnId) -> bool {
        self.variables[function.0 as usize].iter().any(|variable| variable.at.caller != function)
    }

    /// Calls of parameters of other functions: who makes them, where, and what they call.
    pub(crate) fn foreign_places(&self) -> &[(FnId, Site, ValueId)] {
        &self.foreign_places
    }

    /// Of which parameters of each function somebody asks what they are, as bits: the last one stands for all others.
    pub(crate) const fn asked_parameters(&self) -> &FxHashMap<FnId, u32> {
        &self.asked_parameters
    }

    /// Whether nobody has ever said what the parameters are that it calls, if any.
    pub(crate) fn gets_no_answer(&self, function: FnId) -> bool {
        let asked = &self.variables[function.0 as usize];
        asked.iter().all(|variable| !self.answered.contains(&variable.at.origin())) && !self.owners.contains(&function)
    }

    /// Where parameters are called of which somebody says what they are.
    pub(crate) fn answered(&self) -> impl Iterator<Item = Site> + '_ {
        self.answered.iter().copied()
    }

    /// Those of work that runs elsewhere, or later.
    pub(crate) fn deferred_edges(&self) -> impl Iterator<Item = usize> + '_ {
        self.deferred_into.values().flatten().copied()
    }
}

impl Edge {
    /// What no two edges have in common.
    pub(super) const fn key(&self) -> (FnId, FnId, Site, EnvId, bool) {
        (self.caller, self.callee, self.site, self.env, self.runs)
    }
}

/// Of two ways the one is told which is shorter, or stands before the other.
pub(crate) fn is_shorter(one: &[Hop], other: &[Hop]) -> bool {
    (one.len(), one) < (other.len(), other)
}
