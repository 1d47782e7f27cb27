//! The monotonic clock in whole nanoseconds: the one that `time.monotonic()` reads.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline]
pub fn monotonic() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The same clock as it was at the last tick of the system (1 to 10 ms ago): a fraction of the cost.
#[inline]
pub fn monotonic_at_last_tick() -> u64 {
    nanoseconds(clock_gettime(ClockId::MonotonicCoarse))
}

#[inline]
fn nanoseconds(time: Timespec) -> u64 {
    // The clock counts from the start of the system: neither part is negative.
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
