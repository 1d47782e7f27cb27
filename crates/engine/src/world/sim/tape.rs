//! The tape: every random choice of a simulation is drawn from it, in order, so that a seed repeats a run.
//!
//! The numbers are those of `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), which is fixed for
//! good: what a seed stands for must not change with a dependency.

use std::time::Duration;

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Tape {
    state: u64,
    drawn: u64,
}

impl Tape {
    /// The tape that a seed stands for.
    pub const fn of_seed(seed: u64) -> Self {
        Self { state: seed, drawn: 0 }
    }

    /// How many choices were drawn.
    pub const fn drawn(&self) -> u64 {
        self.drawn
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.drawn += 1;
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, and not including, 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a double holds exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens. What is certain either way draws nothing.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && (probability >= 1.0 || self.unit() < probability)
    }

    /// One of the numbers below `count`; 0 if there are none. A single one draws nothing.
    pub fn choose(&mut self, count: usize) -> usize {
        if count <= 1 {
            return 0;
        }
        // The bias is below 2^-40 for any count that occurs.
        let wide = u128::from(self.bits()) * (count as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A duration from `low` to `high`, both included.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        if high <= low {
            return low;
        }
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(self.bits()) * (u128::from(span) + 1)) >> 64;
        low.saturating_add(Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX)))
    }

    /// A number of the normal distribution with mean 0 and deviation 1 (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A number of the exponential distribution with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}
