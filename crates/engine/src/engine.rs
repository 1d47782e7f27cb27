//! The engine: ready queue and timers under one roof, one turn at a time.
//!
//! A turn is: [`Engine::wait`] says until when nothing will happen; a world waits; [`Engine::begin_turn`] moves the due
//! timers behind the jobs that events made ready and closes the batch; [`Engine::next`] hands out its jobs one by one.
//! Between any two calls the owner may have handed the engine to another stack: no method assumes what the one before
//! has seen.

use crate::clock::Instant;
use crate::job::Job;
use crate::policy::{Fifo, Policy};
use crate::ready::Ready;
use crate::timer::Timers;

/// The scheduler of one loop.
#[derive(Debug)]
pub struct Engine<J, P = Fifo> {
    ready: Ready<J>,
    timers: Timers<J>,
    policy: P,
}

/// How long nothing will happen unless an event comes.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: a job is ready.
    None,
    /// Until this deadline of a timer.
    Until(Instant),
    /// Forever: only an event from outside can make a job ready.
    Forever,
}

impl<J: Job> Engine<J> {
    /// An empty engine that runs jobs first in, first out.
    pub const fn new() -> Self {
        Self::with_policy(Fifo)
    }
}

impl<J: Job> Default for Engine<J> {
    fn default() -> Self {
        Self::new()
    }
}

impl<J: Job, P: Policy> Engine<J, P> {
    /// An empty engine whose next job is picked by `policy`.
    pub const fn with_policy(policy: P) -> Self {
        Self { ready: Ready::new(), timers: Timers::new(), policy }
    }

    /// Makes `job` ready: it runs in the next batch.
    #[inline]
    pub fn push(&mut self, job: J) {
        self.ready.push(job);
    }

    /// Makes `job` ready in the first turn that begins at or after `deadline`; equal deadlines keep their order.
    #[inline]
    pub fn push_at(&mut self, deadline: Instant, job: J) {
        self.timers.push(deadline, job);
    }

    /// A job that [`Engine::push_at`] took, and that is not ready yet, has just been cancelled.
    #[inline]
    pub fn note_cancelled_timer(&mut self) {
        self.timers.note_cancelled();
    }

    /// The jobs of cancelled timers that are out of the way now. To be asked for after every turn and every cancellation.
    #[inline]
    #[must_use = "dropping a job may run foreign code: do it where the engine is not borrowed"]
    pub fn take_discarded(&mut self) -> Vec<J> {
        self.timers.take_discarded()
    }

    /// Whether a job is ready, cancelled ones included.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Until when nothing will happen.
    #[inline]
    pub fn wait(&mut self) -> Wait {
        if self.has_ready() {
            return Wait::None;
        }
        match self.timers.next_deadline() {
            None | Some(Instant::NEVER) => Wait::Forever,
            Some(deadline) => Wait::Until(deadline),
        }
    }

    /// Begins a turn at `now`: timers that are due become ready, and all that is ready becomes the batch.
    #[inline]
    pub fn begin_turn(&mut self, now: Instant) {
        while let Some(job) = self.timers.pop_due(now) {
            self.ready.push(job);
        }
        self.ready.begin_batch();
    }

    /// The next job of the batch; `None` at its end.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "an engine is not an iterator: it can be pushed to meanwhile")]
    pub fn next(&mut self) -> Option<J> {
        self.ready.next(&mut self.policy)
    }

    /// Takes back the job that was made ready last, unless it is in the batch that runs: for an owner that runs it at once.
    #[inline]
    pub fn take_last(&mut self) -> Option<J> {
        self.ready.take_last()
    }

    /// Empties both queues. The jobs are given back because dropping one may reach the owner of the engine.
    #[must_use = "dropping a job may run foreign code: do it where the engine is not borrowed"]
    pub fn drain(&mut self) -> Vec<J> {
        let mut jobs: Vec<J> = self.ready.drain().into();
        jobs.extend(self.timers.drain());
        jobs
    }

    /// Every job in both queues, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = &J> {
        self.ready.iter().chain(self.timers.iter())
    }

    /// How many jobs are ready.
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// How many timers are pending, cancelled ones that were not swept yet included.
    pub fn timers_len(&self) -> usize {
        self.timers.len()
    }
}
