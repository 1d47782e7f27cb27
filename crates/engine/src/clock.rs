//! Points in time as whole nanoseconds since a world's origin.
//!
//! The engine compares and stores instants; it never asks for the current one. Seconds as floating-point numbers exist
//! only at the border to asyncio, and the two conversions here are that border.

use std::fmt;
use std::time::Duration;

const NANOS_PER_SECOND: f64 = 1e9;

/// A point in time: nanoseconds since the origin of its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin of a world's clock.
    pub const ORIGIN: Self = Self(0);
    /// A deadline that never comes; it lies about 584 years after the origin.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant nearest to `seconds` after the origin. What lies before the origin becomes the origin, what lies
    /// beyond the range becomes [`Instant::NEVER`].
    ///
    /// # Errors
    /// [`OutOfRange`] if `seconds` is not a number.
    pub fn from_secs_f64(seconds: f64) -> Result<Self, OutOfRange> {
        nanos_from_secs(seconds).map(Self)
    }

    /// Seconds since the origin, correctly rounded.
    #[allow(clippy::cast_precision_loss, reason = "the nearest double is what asyncio's clock gives")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND
    }

    /// The instant `seconds` later, to the nearest nanosecond. A negative delay gives `self`; a positive one gives a later instant,
    /// however short it is: who waits for a clock that only waits move must get on.
    ///
    /// # Errors
    /// [`OutOfRange`] if `seconds` is not a number.
    pub fn after_secs_f64(self, seconds: f64) -> Result<Self, OutOfRange> {
        let least = u64::from(seconds > 0.0);
        nanos_from_secs(seconds).map(|nanos| Self(self.0.saturating_add(nanos.max(least))))
    }

    /// The instant `duration` later, or [`Instant::NEVER`] if that lies beyond the range.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long it is from `self` to `later`; zero if `later` is not later.
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// A time that is not a number has no place on a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time must be a number of seconds, not NaN")
    }
}

impl std::error::Error for OutOfRange {}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float to integer saturates, which is what is wanted at both ends"
)]
fn nanos_from_secs(seconds: f64) -> Result<u64, OutOfRange> {
    if seconds.is_nan() {
        return Err(OutOfRange);
    }
    Ok((seconds * NANOS_PER_SECOND).round() as u64)
}
