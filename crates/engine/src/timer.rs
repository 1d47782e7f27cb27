//! Timers: jobs with a deadline, which come out by (deadline, order of creation).
//!
//! The next of them are in a binary heap, those of later times in unsorted *levels*: a heap of a million timers is a walk through
//! memory that no cache holds, for each of them. A timer goes from level to level by partitions, as in quicksort, each of which is done only
//! when its time comes near ("incremental quicksort": Paredes and Navarro, "Optimal Incremental Sorting", ALENEX 2006).
//!
//! Ground rules. Whatever is in the heap is due before whatever is in a level, and levels follow each other, the nearest one last. A timer
//! is cancelled by marking its job; the timers are told the count only ([`Timers::note_cancelled`])
//! and sweep the marked ones out once they are more than half of all. So a cancellation costs amortised O(1), and the
//! memory of cancelled timers is given back without waiting for their deadlines. Their jobs are not dropped here: they are kept in
//! `discarded` until the owner takes them.

use crate::clock::Instant;
use crate::job::Job;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

#[derive(Debug)]
pub(crate) struct Timers<J> {
    /// The next timers.
    heap: BinaryHeap<Timer<J>>,
    /// Later ones, the nearest level last.
    levels: Vec<Level<J>>,
    /// A heap of more timers than this is split.
    most: usize,
    /// Timers in levels.
    later: usize,
    /// Cancelled timers that have not left.
    cancelled: usize,
    /// Jobs of cancelled timers that have left.
    discarded: Vec<J>,
    /// The number of the next timer: equal deadlines run in the order of creation.
    sequence: u64,
}

/// Timers from `start` on, up to where the level before this one starts.
#[derive(Debug)]
struct Level<J> {
    start: Instant,
    timers: Vec<Timer<J>>,
}

#[derive(Debug)]
struct Timer<J> {
    deadline: Instant,
    sequence: u64,
    job: J,
}

impl<J: Job> Timers<J> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            levels: Vec::new(),
            most: HEAP_MOST,
            later: 0,
            cancelled: 0,
            discarded: Vec::new(),
            sequence: 0,
        }
    }

    /// All timers, cancelled ones that were not swept yet included.
    pub(crate) fn len(&self) -> usize {
        self.heap.len() + self.later
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &J> {
        let later = self.levels.iter().flat_map(|level| &level.timers);
        self.heap.iter().chain(later).map(|timer| &timer.job)
    }

    #[inline]
    pub(crate) fn push(&mut self, deadline: Instant, job: J) {
        let sequence = self.sequence;
        self.sequence += 1;
        let timer = Timer { deadline, sequence, job };
        let place = self.levels.partition_point(|level| level.start > deadline);
        if let Some(level) = self.levels.get_mut(place) {
            level.timers.push(timer);
            self.later += 1;
            return;
        }
        self.heap.push(timer);
        if self.heap.len() > self.most {
            self.split();
        }
    }

    /// The job of one of the timers has just been cancelled.
    #[inline]
    pub(crate) fn note_cancelled(&mut self) {
        self.cancelled += 1;
        self.sweep_if_worth_it();
    }

    /// The earliest deadline of a timer that is not cancelled.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        loop {
            let Some(first) = self.heap.peek() else {
                if !self.refill() {
                    return None;
                }
                continue;
            };
            if !first.job.is_cancelled() {
                return Some(first.deadline);
            }
            self.discarded.extend(self.heap.pop().map(|timer| timer.job));
            self.cancelled = self.cancelled.saturating_sub(1);
        }
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
        let drained = std::mem::replace(self, Self { sequence: self.sequence, ..Self::new() });
        let later = drained.levels.into_iter().flat_map(|level| level.timers);
        drained.heap.into_iter().chain(later).map(|timer| timer.job).chain(drained.discarded)
    }

    /// Puts the later half of the heap into a level.
    #[cold]
    fn split(&mut self) {
        let mut timers = std::mem::take(&mut self.heap).into_vec();
        match Level::split(&mut timers) {
            Some(level) => self.add_level(level),
            // All have one deadline. Not to be tried anew with each of them that follows.
            None => self.most = timers.len() * 2,
        }
        self.heap = timers.into();
    }

    /// Makes a heap of the nearest timers, now that the last one has none left; gives whether there are any.
    #[cold]
    fn refill(&mut self) -> bool {
        self.most = HEAP_MOST;
        let Some(Level { mut timers, .. }) = self.levels.pop() else { return false };
        self.later -= timers.len();
        while timers.len() > HEAP_MOST {
            let Some(level) = Level::split(&mut timers) else { break };
            self.add_level(level);
        }
        self.heap = timers.into();
        true
    }

    fn add_level(&mut self, level: Level<J>) {
        self.later += level.timers.len();
        self.levels.push(level);
    }

    #[inline]
    fn sweep_if_worth_it(&mut self) {
        if self.cancelled > SWEEP_MIN && self.cancelled * 2 > self.len() {
            self.sweep();
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let mut timers = std::mem::take(&mut self.heap).into_vec();
        let later = self.levels.iter_mut().map(|level| &mut level.timers);
        for timers in std::iter::once(&mut timers).chain(later) {
            self.discarded.extend(timers.extract_if(.., |timer| timer.job.is_cancelled()).map(|timer| timer.job));
            if timers.capacity() / 4 > timers.len().max(SWEEP_MIN) {
                timers.shrink_to(timers.len() * 2);
            }
        }
        self.heap = timers.into();
        self.levels.retain(|level| !level.timers.is_empty());
        self.later = self.levels.iter().map(|level| level.timers.len()).sum();
        self.cancelled = 0;
    }
}

impl<J> Level<J> {
    /// Takes the later ones, about half of them; none, if all have one deadline.
    fn split(timers: &mut Vec<Timer<J>>) -> Option<Self> {
        let middle = median(timers);
        let least = timers.iter().map(|timer| timer.deadline).min()?;
        // The earlier ones stay: at least those of the least deadline.
        let start = if middle > least {
            middle
        } else {
            timers.iter().map(|timer| timer.deadline).filter(|deadline| *deadline > least).min()?
        };
        // What leaves is what comes next, so that it takes no more room than it needs.
        let earlier: Vec<Timer<J>> = timers.extract_if(.., |timer| timer.deadline < start).collect();
        Some(Self { start, timers: std::mem::replace(timers, earlier) })
    }
}

/// About the middle one of the deadlines.
fn median<J>(timers: &[Timer<J>]) -> Instant {
    let mut sample = [Instant::ORIGIN; SAMPLE];
    for (place, deadline) in sample.iter_mut().enumerate() {
        *deadline = timers[place * timers.len() / SAMPLE].deadline;
    }
    sample.sort_unstable();
    sample[SAMPLE / 2]
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

/// Timers in a heap: few enough for the nearest cache.
const HEAP_MOST: usize = 2048;
/// Deadlines that a median is taken of.
const SAMPLE: usize = 9;
/// Fewer cancelled timers than this are never worth a sweep.
const SWEEP_MIN: usize = 64;
