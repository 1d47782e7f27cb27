//! How often a loop that always has something ready must look at the clock and for events.
//!
//! A look for events costs a system call, a look at the clock a tenth of that, and a turn may be one callback of 150 ns. So
//! events are looked for every so often by the clock, and while turns are short the clock is read every few turns only. In between
//! it is enough to see that the system's tick has not changed, which costs next to nothing; a turn that takes longer than a tick is
//! noticed at its end.

use crate::clock::Instant;
use std::time::Duration;

/// Decides in which turns to look while jobs are ready.
#[derive(Debug)]
pub struct Pacing {
    /// When the clock was read last.
    last_read: Instant,
    last_look: Instant,
    /// The tick at that time.
    last_tick: Instant,
    /// Turns between two readings of the clock, and how many of them are left.
    stride: u32,
    left: u32,
    /// When other threads were last offered the lock, and how many offers are due to them.
    last_offer: Instant,
    offers: u32,
}

impl Pacing {
    /// A pacing whose first turn looks.
    pub const fn new() -> Self {
        Self {
            last_read: Instant::ORIGIN,
            last_look: Instant::ORIGIN,
            last_tick: Instant::ORIGIN,
            stride: 1,
            left: 0,
            last_offer: Instant::ORIGIN,
            offers: 0,
        }
    }

    /// Makes the next turn look.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether a turn that begins now can take the time of the last reading for its own. `tick` reads the system's last tick.
    #[inline]
    pub fn skip(&mut self, tick: impl FnOnce() -> Instant) -> Option<Instant> {
        self.left = self.left.checked_sub(1)?;
        (tick() == self.last_tick).then_some(self.last_read)
    }

    /// Takes a reading of the clock; tells whether the turn must look for events, which is counted as done then.
    #[inline]
    pub fn must_look(&mut self, now: Instant, tick: Instant) -> bool {
        let turns_were_short = self.last_read.until(now) < SHORT_TURN * self.stride;
        self.stride = if turns_were_short { (self.stride * 2).min(MAX_STRIDE) } else { 1 };
        self.left = self.stride - 1;
        (self.last_read, self.last_tick) = (now, tick);
        if self.last_look.until(now) < LOOK_INTERVAL {
            return false;
        }
        self.last_look = now;
        true
    }

    /// For how long the look that is made at `now` is to offer other threads what they may be waiting for: a lock that the loop
    /// holds while it works. A short offer is rarely noticed in time, and one that is missed sets back a waiting thread's own
    /// patience, after which it would be let in for certain; a long one holds the loop up. So offers are long and frequent while
    /// there is a sign of other threads, and rare otherwise.
    pub fn offer(&mut self, now: Instant) -> Option<Duration> {
        if self.offers > 0 {
            self.offers -= 1;
            self.last_offer = now;
            return Some(OFFER);
        }
        if self.last_offer.until(now) < PATIENCE {
            return None;
        }
        self.last_offer = now;
        Some(Duration::ZERO)
    }

    /// Another thread has been heard of: it had an offer, or sent something.
    pub fn expect_others(&mut self) {
        self.offers = OFFERS;
    }

    /// A wait was done at `now`: what follows counts from there.
    #[inline]
    pub fn waited(&mut self, now: Instant) {
        *self = Self { last_read: now, last_look: now, last_offer: now, offers: self.offers, ..Self::new() };
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self::new()
    }
}

/// Events wait at most this long (and the length of one batch) behind callbacks that are ready.
const LOOK_INTERVAL: Duration = Duration::from_micros(50);
/// Turns up to this long leave the clock unread for some turns.
const SHORT_TURN: Duration = Duration::from_micros(2);
const MAX_STRIDE: u32 = 8;
/// Twice the time after which a waiting thread insists (the interpreter's switch interval).
const PATIENCE: Duration = Duration::from_millis(10);
/// An offer that a thread on another core can notice: it takes that long to be woken.
const OFFER: Duration = Duration::from_micros(50);
/// Offers made in vain until there is another sign.
const OFFERS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(count: u64) -> Instant {
        Instant::from_nanos(count * 1000)
    }

    const TICK: Instant = Instant::from_nanos(4_000_000);

    #[test]
    fn a_new_tick_ends_the_rest() {
        let mut pacing = Pacing::new();
        pacing.waited(micros(1000));
        for turn in 0..3 {
            while pacing.skip(|| TICK).is_some() {}
            pacing.must_look(Instant::from_nanos(1_000_000 + turn), TICK);
        }
        assert!(pacing.skip(|| TICK).is_some());
        assert_eq!(pacing.skip(|| micros(8000)), None);
    }

    #[test]
    fn the_first_turn_looks() {
        let mut pacing = Pacing::new();
        assert_eq!(pacing.skip(|| TICK), None);
        assert!(pacing.must_look(micros(1_000_000), TICK));
    }

    #[test]
    fn short_turns_read_the_clock_less_often_and_a_long_one_ends_that() {
        let mut pacing = Pacing::new();
        pacing.waited(micros(1000));
        let mut readings = 0;
        for turn in 0..80 {
            if pacing.skip(|| TICK).is_none() {
                readings += 1;
                pacing.must_look(Instant::from_nanos(1_000_000 + turn * 200), TICK);
            }
        }
        assert!(readings < 20, "{readings} readings in 80 turns");
        while pacing.skip(|| TICK).is_some() {}
        pacing.must_look(micros(5000), TICK);
        assert_eq!(pacing.skip(|| TICK), None);
    }

    #[test]
    fn offers_are_rare_without_a_sign_of_others() {
        let mut pacing = Pacing::new();
        pacing.waited(micros(100_000));
        assert_eq!(pacing.offer(micros(109_999)), None);
        assert_eq!(pacing.offer(micros(110_000)), Some(Duration::ZERO));
        assert_eq!(pacing.offer(micros(110_050)), None);
        pacing.expect_others();
        let offers = (1..100).filter(|look| pacing.offer(micros(110_050 + look * 50)).is_some()).count();
        assert_eq!(offers, OFFERS as usize, "as long as nobody takes them");
    }

    #[test]
    fn events_are_looked_for_every_fifty_microseconds() {
        let mut pacing = Pacing::new();
        pacing.waited(micros(1000));
        assert!(!pacing.must_look(micros(1049), TICK));
        assert!(pacing.must_look(micros(1050), TICK));
        assert!(!pacing.must_look(micros(1099), TICK));
    }
}
