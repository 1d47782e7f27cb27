//! What of one text is what of another one: each thing has one counterpart at most.

use rustc_hash::FxHashMap;
use std::hash::Hash;

/// One to one.
pub(super) struct Pairs<T> {
    pub(super) to: FxHashMap<T, T>,
    pub(super) from: FxHashMap<T, T>,
    /// All of them, in the order in which they were found.
    pub(super) found: Vec<(T, T)>,
}

/// What is known of two things.
pub(super) enum Pair {
    /// They are one: nothing more is to be asked.
    Known,
    /// From now on they are one.
    Fresh,
    /// One of them is another's.
    Apart,
}

impl<T: Copy + Eq + Hash> Pairs<T> {
    pub(super) fn pair(&mut self, old: T, new: T) -> Pair {
        match (self.to.get(&old), self.from.get(&new)) {
            (None, None) => {
                self.to.insert(old, new);
                self.from.insert(new, old);
                self.found.push((old, new));
                Pair::Fresh
            }
            (Some(known), _) if *known == new => Pair::Known,
            _ => Pair::Apart,
        }
    }

    pub(super) fn are(&self, old: T, new: T) -> bool {
        self.to.get(&old) == Some(&new)
    }

    /// Forgets all but the first ones.
    pub(super) fn truncate(&mut self, count: usize) {
        for (old, new) in self.found.drain(count..) {
            self.to.remove(&old);
            self.from.remove(&new);
        }
    }
}

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self { to: FxHashMap::default(), from: FxHashMap::default(), found: Vec::new() }
    }
}
