//! What a call makes of what its callee needs: asked of the program, or of what the program said when it was asked before.

use super::outline::Outline;
use crate::graph::Graph;
use crate::link::{Need, Passed, Program};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};

pub(crate) trait Answers {
    /// What the caller needs for the callee to have what it needs; `call` by its number in the outline.
    fn passed(&self, outline: &Outline, call: usize, need: Need) -> Passed;

    /// That a way leads to a function of which not all callers are told.
    fn is_untold(&self) {}
}

/// The program's, which are remembered.
pub(crate) struct FromProgram<'p> {
    program: &'p Program,
    graph: &'p Graph,
    given: RefCell<FxHashMap<(u32, Need), Passed>>,
}

/// Those that were given before.
#[derive(Default)]
pub(crate) struct FromBefore {
    is_incomplete: Cell<bool>,
}

impl<'p> FromProgram<'p> {
    pub(crate) fn new(program: &'p Program, graph: &'p Graph) -> Self {
        Self { program, graph, given: RefCell::default() }
    }

    /// All that were given.
    pub(crate) fn given(self) -> FxHashMap<(u32, Need), Passed> {
        self.given.into_inner()
    }
}

impl Answers for FromProgram<'_> {
    fn passed(&self, _: &Outline, call: usize, need: Need) -> Passed {
        let edge = &self.graph.edges[call];
        let key = (call as u32, need);
        if let Some(known) = self.given.borrow().get(&key) {
            return *known;
        }
        let passed = self.program.passed_need((edge.caller, edge.callee), (edge.env, edge.whose), need);
        self.given.borrow_mut().insert(key, passed);
        passed
    }
}

impl FromBefore {
    /// Whether something was asked that had not been asked before: what was found with these answers is worth nothing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete.get()
    }
}

impl Answers for FromBefore {
    fn passed(&self, outline: &Outline, call: usize, need: Need) -> Passed {
        outline.passed.get(&(call as u32, need)).copied().unwrap_or_else(|| {
            self.is_incomplete.set(true);
            Passed::Never
        })
    }

    fn is_untold(&self) {
        self.is_incomplete.set(true);
    }
}
