//! What a call makes of what its callee needs: asked of the program, or of what the program said when it was asked before.

use super::outline::{Call, Outline};
use super::terms::Terms;
use crate::graph::Graph;
use crate::graph::part::Part;
use crate::link::{Need, Passed, Program};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};

pub(crate) trait Answers {
    /// What the caller needs for the callee to have what it needs; `call` by its number in the outline.
    fn passed(&self, outline: &Outline, call: usize, need: Need) -> Passed;

    /// That a way leads to a function of which not all callers are told.
    fn is_untold(&self) {}
}

/// What calls, by their numbers, have made of needs.
pub(crate) type Given = FxHashMap<(u32, Need), Passed>;

/// The program's, which are remembered.
pub(crate) struct FromProgram<'p> {
    program: &'p Program,
    graph: &'p Graph,
    given: RefCell<Given>,
}

/// Those that were given before; and others of a program that is asked again.
pub(crate) struct FromAgain<'a, 'p> {
    part: RefCell<&'a mut Part<'p>>,
    terms: RefCell<Terms>,
    /// The part's edges, by the numbers that they have in the outline.
    edges: FxHashMap<u32, usize>,
    given: RefCell<Given>,
    is_incomplete: Cell<bool>,
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
    pub(crate) fn given(self) -> Given {
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

impl<'a, 'p> FromAgain<'a, 'p> {
    pub(crate) fn new(part: &'a mut Part<'p>, terms: Terms, edges: FxHashMap<u32, usize>) -> Self {
        let (part, terms) = (RefCell::new(part), RefCell::new(terms));
        Self { part, terms, edges, given: RefCell::default(), is_incomplete: Cell::new(false) }
    }

    /// All that were given now, and what they are told in; none, if some are missing.
    pub(crate) fn given(self) -> Option<(Given, Terms)> {
        (!self.is_incomplete.get()).then(|| (self.given.into_inner(), self.terms.into_inner()))
    }

    fn ask(&self, outline: &Outline, call: usize, need: Need) -> Option<Passed> {
        let mut part = self.part.borrow_mut();
        let Call { caller, callee, site, ref via, is_direct, .. } = outline.calls[call];
        let given = match self.edges.get(&(call as u32)) {
            Some(edge) => Some((part.graph().edges[*edge].env, part.graph().edges[*edge].whose)),
            None if is_direct && via.is_empty() => part.given((caller, callee), site),
            None => None,
        };
        let mut terms = self.terms.borrow_mut();
        let need = terms.to_program(part.program_mut(), need);
        Some(match part.program().passed_need((caller, callee), given?, need) {
            Passed::As(need) => Passed::As(terms.take_from(part.program(), need)),
            passed => passed,
        })
    }
}

impl Answers for FromAgain<'_, '_> {
    fn passed(&self, outline: &Outline, call: usize, need: Need) -> Passed {
        let key = (call as u32, need);
        if let Some(known) = outline.passed.get(&key).or(self.given.borrow().get(&key)) {
            return *known;
        }
        let Some(passed) = self.ask(outline, call, need) else {
            self.is_incomplete.set(true);
            return Passed::Never;
        };
        self.given.borrow_mut().insert(key, passed);
        passed
    }

    fn is_untold(&self) {
        self.is_incomplete.set(true);
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
