//! Timers: jobs with a deadline, in a binary heap ordered by (deadline, order of creation).
//!
//! Ground rules. A timer is cancelled by marking its job; the heap is told the count only ([`Timers::note_cancelled`])
//! and sweeps the marked ones out once they are more than half of it. So a cancellation costs amortised O(1), and the
//! memory of cancelled timers is given back without waiting for their deadlines. Their jobs are not dropped here: they are kept in
//! `discarded` until the owner takes them.

use crate::clock::Instant;
use crate::job::Job;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

#[derive(Debug)]
pub(crate) struct Timers<J> {
    heap: BinaryHeap<Timer<J>>,
    /// Cancelled timers that are still in `heap`.
    cancelled: usize,
    /// Jobs of cancelled timers that have left the heap.
    discarded: Vec<J>,
    /// The number of the next timer: equal deadlines run in the order of creation.
    sequence: u64,
}

#[derive(Debug)]
struct Timer<J> {
    deadline: Instant,
    sequence: u64,
    job: J,
}

impl<J: Job> Timers<J> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), cancelled: 0, discarded: Vec::new(), sequence: 0 }
    }

    /// Timers in the heap, cancelled ones that were not swept yet included.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &J> {
        self.heap.iter().map(|timer| &timer.job)
    }

    #[inline]
    pub(crate) fn push(&mut self, deadline: Instant, job: J) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.heap.push(Timer { deadline, sequence, job });
    }

    /// One of the jobs in the heap has just been cancelled.
    #[inline]
    pub(crate) fn note_cancelled(&mut self) {
        self.cancelled += 1;
        self.sweep_if_worth_it();
    }

    /// The earliest deadline of a timer that is not cancelled.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(first) = self.heap.peek() {
            if !first.job.is_cancelled() {
                return Some(first.deadline);
            }
            self.discarded.extend(self.heap.pop().map(|timer| timer.job));
            self.cancelled = self.cancelled.saturating_sub(1);
        }
        None
    }

    /// Takes the earliest timer if it is due at `now`.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<J> {
        if self.next_deadline()? > now {
            return None;
        }
        let timer = self.heap.pop();
        self.sweep_if_worth_it();
        timer.map(|timer| timer.job)
    }

    #[inline]
    pub(crate) fn take_discarded(&mut self) -> Vec<J> {
        std::mem::take(&mut self.discarded)
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = J> + use<J> {
        self.cancelled = 0;
        let timers = std::mem::take(&mut self.heap).into_iter();
        timers.map(|timer| timer.job).chain(self.take_discarded())
    }

    #[inline]
    fn sweep_if_worth_it(&mut self) {
        if self.cancelled > SWEEP_MIN && self.cancelled * 2 > self.heap.len() {
            self.sweep();
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let mut timers = std::mem::take(&mut self.heap).into_vec();
        self.discarded.extend(timers.extract_if(.., |timer| timer.job.is_cancelled()).map(|timer| timer.job));
        self.cancelled = 0;
        if timers.capacity() / 4 > timers.len().max(SWEEP_MIN) {
            timers.shrink_to(timers.len() * 2);
        }
        self.heap = timers.into();
    }
}

// The heap of the standard library keeps its greatest element on top: an earlier timer must compare as greater.
impl<J> Ord for Timer<J> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        (other.deadline, other.sequence).cmp(&(self.deadline, self.sequence))
    }
}

impl<J> PartialOrd for Timer<J> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<J> PartialEq for Timer<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<J> Eq for Timer<J> {}

/// Fewer cancelled timers than this are never worth a sweep.
const SWEEP_MIN: usize = 64;
