//! The simulated world: a clock that moves only when nothing is ready, and then straight to the next deadline.
//!
//! It knows no descriptor, no thread and no wall clock. When there is neither a job nor a deadline nothing can ever happen
//! again: that is [`Step::Stuck`], which is an answer and not a wait.

use crate::clock::Instant;
use crate::engine::Wait;

/// A world of its own.
#[derive(Debug)]
pub struct Simulated {
    now: Instant,
}

/// What became of a wait in a simulated world.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The turn can begin at this instant.
    Turn(Instant),
    /// Nothing is ready, no timer is set, no event is under way.
    Stuck,
}

impl Simulated {
    /// A world whose clock stands at the origin.
    pub const fn new() -> Self {
        Self { now: Instant::ORIGIN }
    }

    /// The current simulated instant.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Takes what [`Engine::wait`](crate::Engine::wait) said, and jumps.
    pub fn wait(&mut self, wait: Wait) -> Step {
        match wait {
            Wait::None => {}
            Wait::Until(deadline) => self.advance_to(deadline),
            Wait::Forever => return Step::Stuck,
        }
        Step::Turn(self.now)
    }

    /// Moves the clock forward to `instant`; it stays where it is if that is past.
    pub fn advance_to(&mut self, instant: Instant) {
        self.now = self.now.max(instant);
    }
}

impl Default for Simulated {
    fn default() -> Self {
        Self::new()
    }
}
