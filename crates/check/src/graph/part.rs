//! A part of the graph: what a few functions do, in a program of which the rest is known from before.
//!
//! All that they do is looked at; of the rest only what says what their calls come to: those who call what they are given, and those who give it.

use super::{Builder, Edge, Graph, Site};
use crate::link::values::{EnvId, FnId};
use crate::link::{Prints, Program, Whose};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::ops::Range;

/// What is known of the whole graph, as it was before.
pub(crate) struct Before {
    /// Functions that call something of what they are given.
    pub(crate) has_variables: Vec<bool>,
    /// Functions that keep what they are given for what others call.
    pub(crate) is_owner: Vec<bool>,
    /// Calls of parameters of other functions: who makes them, where, and a print of what they call.
    pub(crate) foreign: FxHashSet<(FnId, Site, u64)>,
    /// Functions that other threads or processes are told to call.
    pub(crate) elsewhere: FxHashSet<FnId>,
    /// Functions that the loop is told to call.
    pub(crate) callbacks: FxHashSet<FnId>,
    /// Functions that somebody called.
    pub(crate) called: FxHashSet<FnId>,
    /// Those who call each function, and did so before, in any way.
    pub(crate) callers: FxHashMap<FnId, Vec<FnId>>,
}

/// A part of the graph, and how it is found.
pub(crate) struct Part<'p> {
    builder: Builder<'p>,
    /// Functions that were looked at, and what they themselves tell of.
    looked: FxHashMap<FnId, Own>,
    before: Before,
}

/// What a function itself tells of: the places of its edges, and of what blocks in it.
struct Own {
    edges: Range<usize>,
    sinks: Range<usize>,
}

impl<'p> Part<'p> {
    /// All that these functions do.
    pub(crate) fn new(program: &'p mut Program, functions: impl Iterator<Item = FnId>, before: Before) -> Self {
        let mut builder = Builder::new(program);
        builder.graph.elsewhere.clone_from(&before.elsewhere);
        builder.graph.callbacks.clone_from(&before.callbacks);
        let mut part = Self { builder, looked: FxHashMap::default(), before };
        for function in functions {
            part.look_at(function);
        }
        part.builder.is_direct = false;
        part.builder.graph.direct_edges = part.graph().edges.len();
        part
    }

    /// What comes of what is new, which stands in these places; `lost`: from where something is no longer come to in one way, but may be in another;
    /// `known`: calls of which others hear nothing new. None, if that concerns too much else.
    pub(crate) fn spread(
        &mut self,
        news: &FxHashSet<(FnId, Site)>,
        lost: &FxHashSet<(FnId, Site)>,
        known: &FxHashSet<(FnId, FnId, Site)>,
    ) -> Option<()> {
        let noises = std::mem::take(&mut self.builder.graph.noises);
        // Of the others it is known what they come to.
        self.builder.graph.foreign.retain(|variable| news.contains(&(variable.at.caller, variable.at.site)));
        self.other_ways(lost)?;
        self.variables(news, known)?;
        self.foreign(news)?;
        self.builder.graph.noises = noises;
        (self.graph().elsewhere.len() == self.before.elsewhere.len()).then_some(())
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.builder.graph
    }

    pub(crate) fn program(&self) -> &Program {
        self.builder.program
    }

    pub(crate) fn program_mut(&mut self) -> &mut Program {
        self.builder.program
    }

    pub(crate) fn into_graph(self) -> Graph {
        self.builder.graph
    }

    /// With what a function calls another one, as it itself says.
    pub(crate) fn given(&mut self, (caller, callee): (FnId, FnId), site: Site) -> Option<(EnvId, Whose)> {
        self.look(caller)?;
        let mut edges = self.graph().edges[self.looked[&caller].edges.clone()].iter();
        edges.find(|edge| edge.callee == callee && edge.site == site).map(|edge| (edge.env, edge.whose))
    }

    /// Whether an edge is one that its caller itself tells of.
    pub(crate) fn is_direct(&self, edge: usize) -> bool {
        self.looked.get(&self.graph().edges[edge].caller).is_some_and(|own| own.edges.contains(&edge))
    }

    /// The same of something that blocks.
    pub(crate) fn is_direct_sink(&self, sink: usize) -> bool {
        self.looked.get(&self.graph().sinks[sink].caller).is_some_and(|own| own.sinks.contains(&sink))
    }

    /// Functions that were looked at.
    pub(crate) fn looked(&self) -> impl Iterator<Item = FnId> + '_ {
        self.looked.keys().copied()
    }

    fn look(&mut self, function: FnId) -> Option<()> {
        if !self.looked.contains_key(&function) {
            self.look_at(function);
        }
        (self.looked.len() < MOST).then_some(())
    }

    fn look_at(&mut self, function: FnId) {
        let (edges, sinks) = (self.graph().edges.len(), self.graph().sinks.len());
        let foreign = self.graph().foreign.len();
        self.builder.function(function);
        if !self.builder.is_direct {
            // It does what it did before.
            self.builder.graph.foreign.truncate(foreign);
        }
        let Graph { edges: all, sinks: all_sinks, .. } = self.graph();
        let own = Own { edges: edges..all.len(), sinks: sinks..all_sinks.len() };
        self.looked.insert(function, own);
    }

    fn callers(&self, function: FnId) -> Vec<FnId> {
        self.before.callers.get(&function).cloned().unwrap_or_default()
    }

    fn asks(&self, function: FnId) -> bool {
        self.before.has_variables[function.0 as usize] || self.graph().has_variables(function)
    }

    /// Whether one more call of a function says something of others: what an object's fields are is told to whoever asks; and who was called by
    /// nobody had its own defaults.
    pub(crate) fn concerns_others(&self, callee: FnId) -> bool {
        self.before.is_owner[callee.0 as usize] || (self.asks(callee) && !self.before.called.contains(&callee))
    }

    /// All that is behind calls of which something is lost.
    fn other_ways(&mut self, lost: &FxHashSet<(FnId, Site)>) -> Option<()> {
        let lost: BTreeSet<(FnId, Site)> = lost.iter().copied().collect();
        for (caller, site) in lost {
            self.look(caller)?;
            let edges = self.graph().edges[self.looked[&caller].edges.clone()].iter();
            let callees = edges.filter(|edge| edge.site == site).map(|edge| edge.callee).collect();
            self.look_behind(callees)?;
        }
        Some(())
    }

    /// What new calls come to, and calls of those who ask for more than before.
    fn variables(&mut self, news: &FxHashSet<(FnId, Site)>, known: &FxHashSet<(FnId, FnId, Site)>) -> Option<()> {
        let is_new = |edge: &&Edge| news.contains(&(edge.caller, edge.site));
        let fresh: Vec<&Edge> = self.graph().edges.iter().filter(is_new).collect();
        let concerns_others = |edge: &&Edge| {
            !known.contains(&(edge.caller, edge.callee, edge.site))
                && (self.concerns_others(edge.callee) || self.graph().is_owner(edge.callee))
        };
        if fresh.iter().any(concerns_others) {
            return None;
        }
        let fresh = fresh.into_iter().map(|edge| edge.callee).collect();
        self.look_behind(fresh)?;
        let mut asking: BTreeSet<FnId> = news.iter().map(|(function, _)| *function).collect();
        asking.retain(|function| {
            let variables = &self.graph().variables[function.0 as usize];
            variables.iter().any(|variable| news.contains(&(*function, variable.at.site)))
        });
        loop {
            for function in std::mem::take(&mut asking) {
                let callers = self.before.callers.get(&function).cloned().unwrap_or_default();
                if callers.is_empty() {
                    self.builder.defaults_of(function);
                }
                callers.into_iter().try_for_each(|caller| self.look(caller))?;
            }
            let counts: Vec<(FnId, usize)> =
                self.looked.keys().map(|function| (*function, self.count_variables(*function))).collect();
            self.spread_all()?;
            let grown = counts.into_iter().filter(|(function, count)| self.count_variables(*function) > *count);
            let grown = grown.map(|(function, _)| function);
            asking = grown
                .filter(|function| self.callers(*function).iter().any(|one| !self.looked.contains_key(one)))
                .collect();
            if asking.is_empty() {
                return Some(());
            }
        }
    }

    fn count_variables(&self, function: FnId) -> usize {
        self.graph().variables[function.0 as usize].len()
    }

    /// Looks at those who call what they are given, and at those whom these call.
    fn look_behind(&mut self, mut next: Vec<FnId>) -> Option<()> {
        let mut seen: FxHashSet<FnId> = FxHashSet::default();
        while let Some(function) = next.pop() {
            if !self.asks(function) || !seen.insert(function) {
                continue;
            }
            self.look(function)?;
            let edges = self.graph().edges[self.looked[&function].edges.clone()].iter();
            next.extend(edges.map(|edge| edge.callee));
        }
        Some(())
    }

    /// What new calls of fields come to, and what calls of parameters come to that fields are handed on to: those are asked who gave them to the
    /// object.
    fn foreign(&mut self, news: &FxHashSet<(FnId, Site)>) -> Option<()> {
        let (mut prints, Builder { program, graph, .. }) = (Prints::default(), &mut self.builder);
        graph.foreign.retain(|variable| {
            let (caller, site) = (variable.at.caller, variable.at.site);
            let is_known = |print| self.before.foreign.contains(&(caller, site, print));
            news.contains(&(caller, site)) || !is_known(prints.value(program, variable.value))
        });
        let owners: BTreeSet<FnId> =
            self.graph().foreign.iter().map(|variable| self.builder.root(variable.value)).collect();
        if !owners.is_empty() {
            self.builder.decorators();
        }
        for owner in &owners {
            for caller in self.callers(*owner) {
                self.look(caller)?;
                let into = &self.graph().into[owner.0 as usize];
                into.iter().any(|edge| self.graph().edges[*edge].caller == caller).then_some(())?;
            }
        }
        let calls = |part: &Self| owners.iter().map(|owner| part.graph().into[owner.0 as usize].len()).sum::<usize>();
        let before = calls(self);
        self.builder.graph.fresh.clear();
        self.builder.foreign();
        // What others were handed is handed on: they are to be asked in their turn.
        self.graph().foreign.is_empty().then_some(())?;
        let fresh = self.graph().fresh.iter().map(|edge| self.graph().edges[*edge].callee).collect();
        self.look_behind(fresh)?;
        self.spread_all()?;
        // They were asked before it was known that these call them as well.
        (calls(self) == before).then_some(())
    }

    /// Tells callers what the variable calls of their callees come to, and of those whom these are.
    fn spread_all(&mut self) -> Option<()> {
        let mut seen = self.graph().edges.len();
        loop {
            self.builder.spread();
            let come: Vec<FnId> = self.graph().edges[seen..].iter().map(|edge| edge.callee).collect();
            if come.is_empty() {
                return Some(());
            }
            seen = self.graph().edges.len();
            self.look_behind(come)?;
        }
    }
}

/// Functions that are looked at.
const MOST: usize = 1000;
