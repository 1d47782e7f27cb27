//! What is being looked at, one within the other. Whoever comes to something again, in a cycle, sees nothing of it.
//!
//! Cycles cut answers short. What was found while something was being looked at is therefore remembered only as long as it is.

use super::values::{ArgsId, ClsId, EnvId, FileId, FnId, PathId, SetId, Symbol, ValueId};
use crate::facts::{BindingId, ExprId};
use rustc_hash::{FxHashMap, FxHashSet};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Busy {
    Returned(FnId),
    Yielded(FnId),
    Decorated(FnId),
    /// An iterator is iterated, which may be made of itself.
    Iterated(PathId, ArgsId),
    Global(FileId, Symbol),
    Member(ClsId, Symbol),
    /// Whether it only returns where no loop runs.
    Outside(FnId),
    /// Under which conditions a name that is asked about was bound anew.
    Rebound(FileId, ExprId),
    /// A name for a type, which may have itself in it.
    Alias(FileId, BindingId),
}

/// What variable values have become.
pub(super) type Filled = FxHashMap<(ValueId, EnvId), SetId>;

/// All that is being looked at: a stack.
#[derive(Default)]
pub(super) struct BusyStack {
    all: FxHashSet<Busy>,
    /// What was found while nothing was.
    lasting: Filled,
    /// What was found since each of them.
    passing: Vec<Filled>,
}

impl BusyStack {
    /// Whether it was not being looked at, nor too much else; from now on it is.
    pub(super) fn insert(&mut self, one: Busy) -> bool {
        let is_new = self.all.len() < DEEPEST && self.all.insert(one);
        if is_new {
            self.passing.push(Filled::default());
        }
        is_new
    }

    /// The last one that was inserted is no longer being looked at.
    pub(super) fn remove(&mut self, one: &Busy) {
        self.all.remove(one);
        self.passing.pop();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Busy> {
        self.all.iter()
    }

    /// What variable values have become, as far as just these are being looked at.
    pub(super) fn filled(&mut self) -> &mut Filled {
        self.passing.last_mut().unwrap_or(&mut self.lasting)
    }
}

/// Things that are looked at one within the other.
const DEEPEST: usize = 100;
