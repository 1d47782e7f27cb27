//! What belongs to each function, in the order of the whole.

use crate::link::values::FnId;
use std::ops::{Index, Range};

/// Numbers by function, in one row.
pub(super) struct Rows {
    /// Where each function's begin; and the end of all.
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    /// `items` have a function and a number, in the order of the numbers.
    pub(super) fn new(functions: usize, items: impl Iterator<Item = (FnId, usize)> + Clone) -> Self {
        let mut starts = vec![0; functions + 1];
        for (function, _) in items.clone() {
            starts[function.0 as usize + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let mut row = vec![0; starts[functions] as usize];
        for (function, number) in items {
            let place = &mut next[function.0 as usize];
            row[*place as usize] = number as u32;
            *place += 1;
        }
        Self { starts, items: row }
    }

    /// The places of a function's numbers, for whoever changes something else meanwhile.
    pub(super) fn range(&self, function: FnId) -> Range<usize> {
        self.starts[function.0 as usize] as usize..self.starts[function.0 as usize + 1] as usize
    }

    pub(super) fn at(&self, place: usize) -> usize {
        self.items[place] as usize
    }
}

impl Index<FnId> for Rows {
    type Output = [u32];

    fn index(&self, function: FnId) -> &[u32] {
        &self.items[self.range(function)]
    }
}
