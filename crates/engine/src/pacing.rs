//! How often a loop that always has something ready must look for events.
//!
//! A look costs a system call, a turn may be one callback of 200 ns: looking in every turn would double the price of a
//! chain of callbacks. Looking every so often by the clock keeps events from starving, however long a callback takes.

use crate::clock::Instant;
use std::time::Duration;

/// Decides in which turns to look for events while jobs are ready.
#[derive(Debug)]
pub struct Pacing {
    last_look: Instant,
}

impl Pacing {
    /// A pacing whose first turn looks.
    pub const fn new() -> Self {
        Self { last_look: Instant::ORIGIN }
    }

    /// Makes the next turn look.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether a turn that begins at `now` must look for events first; if so, the look is counted as done.
    #[inline]
    pub fn must_look(&mut self, now: Instant) -> bool {
        if self.last_look.until(now) < LOOK_INTERVAL {
            return false;
        }
        self.last_look = now;
        true
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self::new()
    }
}

/// Events wait at most this long (and the length of one batch) behind callbacks that are ready.
const LOOK_INTERVAL: Duration = Duration::from_micros(50);
