//! The ready queue and its batch.
//!
//! A batch is what was ready when a turn began: jobs pushed while it runs wait for the next one, so that a callback
//! that reschedules itself can't keep the loop from its events. The count of what is left of the batch lives here and
//! not with whoever runs it, because the run may be handed over to another stack between any two jobs.

use crate::policy::Policy;
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Ready<J> {
    queue: VecDeque<J>,
    /// Jobs of the current batch that have not been taken; they are the first ones of `queue`.
    batch: usize,
}

impl<J> Ready<J> {
    pub(crate) const fn new() -> Self {
        Self { queue: VecDeque::new(), batch: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &J> {
        self.queue.iter()
    }

    #[inline]
    pub(crate) fn push(&mut self, job: J) {
        self.queue.push_back(job);
    }

    /// Makes everything that is ready now one batch.
    #[inline]
    pub(crate) fn begin_batch(&mut self) {
        self.batch = self.queue.len();
    }

    /// Takes the next job of the batch, as `policy` picks it.
    #[inline]
    pub(crate) fn next(&mut self, policy: &mut impl Policy) -> Option<J> {
        if self.batch == 0 {
            return None;
        }
        let index = policy.pick(self.batch);
        debug_assert!(index < self.batch, "a policy must pick inside the batch");
        self.batch -= 1;
        if index == 0 { self.queue.pop_front() } else { self.queue.remove(index) }
    }

    #[inline]
    pub(crate) fn take_last(&mut self) -> Option<J> {
        if self.queue.len() > self.batch { self.queue.pop_back() } else { None }
    }

    pub(crate) fn drain(&mut self) -> VecDeque<J> {
        self.batch = 0;
        std::mem::take(&mut self.queue)
    }
}
