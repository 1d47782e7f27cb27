//! Links: what lies between two hosts, each direction for itself.
//!
//! A link delays (latency, jitter, and the time that bytes take at a bandwidth), loses, doubles and reorders. It knows neither sockets
//! nor addresses: it says when what is sent now arrives.

use super::tape::Tape;
use crate::clock::Instant;
use std::time::Duration;

/// How long a packet is on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always as long.
    Fixed(Duration),
    /// Anything between the two, each as likely.
    Uniform(Duration, Duration),
    /// A normal distribution with a mean and a standard deviation; never less than nothing.
    Normal(Duration, Duration),
    /// A least time, and on top of it an exponential distribution with a mean.
    Exponential(Duration, Duration),
}

/// What one direction of a link is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// How long a packet is on its way.
    pub latency: Latency,
    /// Up to as much longer, each as likely.
    pub jitter: Duration,
    /// Bytes per second, [`Quality::SLOWEST`] at least; `None`: as many as there are.
    pub bandwidth: Option<f64>,
    /// The probability that a packet is lost: a datagram for good, a part of a stream until it is sent again.
    pub loss: f64,
    /// The probability that a datagram arrives twice.
    pub duplicate: f64,
    /// The probability that a datagram is held back, so that later ones overtake it.
    pub reorder: f64,
    /// The largest packet in bytes, headers included; 68 at least, as IP has it. Datagrams that are longer go in pieces, each of which can be lost.
    pub mtu: u32,
}

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direction {
    pub(super) quality: Quality,
    /// Something was said of the quality, so that the default is none of its business.
    pub(super) is_set: bool,
    /// Nothing passes: a partition.
    pub(super) is_cut: bool,
    /// When the last byte that was sent will have left.
    busy_until: Instant,
}

impl Latency {
    /// What is to be reckoned with; what retransmission is timed by.
    fn typical(self) -> Duration {
        match self {
            Self::Fixed(time) | Self::Normal(time, _) => time,
            Self::Uniform(low, high) => (low + high) / 2,
            Self::Exponential(least, mean) => least + mean,
        }
    }

    fn draw(self, tape: &mut Tape) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::Uniform(low, high) => tape.between(low, high),
            Self::Normal(mean, deviation) => {
                let seconds = mean.as_secs_f64() + deviation.as_secs_f64() * tape.normal();
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
            }
            Self::Exponential(least, mean) => least + mean.mul_f64(tape.exponential()),
        }
    }
}

impl Quality {
    /// No delay, no limit, no loss.
    pub const PERFECT: Self = Self {
        latency: Latency::Fixed(Duration::ZERO),
        jitter: Duration::ZERO,
        bandwidth: None,
        loss: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        mtu: 1500,
    };

    /// The least bandwidth, in bytes per second.
    pub const SLOWEST: f64 = 0.001;

    /// With what is out of all proportion brought back to where time can still be reckoned: no caller can make the clock run over.
    pub(super) fn within_bounds(self) -> Self {
        let time = |time: Duration| time.min(LONGEST_LATENCY);
        let probability = |chance: f64| if chance > 0.0 { chance.min(1.0) } else { 0.0 };
        Self {
            latency: match self.latency {
                Latency::Fixed(fixed) => Latency::Fixed(time(fixed)),
                Latency::Uniform(low, high) => Latency::Uniform(time(low), time(high)),
                Latency::Normal(mean, deviation) => Latency::Normal(time(mean), time(deviation)),
                Latency::Exponential(least, mean) => Latency::Exponential(time(least), time(mean)),
            },
            jitter: time(self.jitter),
            bandwidth: self
                .bandwidth
                .filter(|bandwidth| *bandwidth < f64::INFINITY)
                .map(|bandwidth| bandwidth.max(Self::SLOWEST)),
            loss: probability(self.loss),
            duplicate: probability(self.duplicate),
            reorder: probability(self.reorder),
            mtu: self.mtu.max(LEAST_MTU),
        }
    }

    /// Whether what is sent arrives at once and for certain.
    pub(super) fn is_perfect(&self) -> bool {
        matches!(self.latency, Latency::Fixed(time) if time.is_zero())
            && self.jitter.is_zero()
            && self.bandwidth.is_none()
            && self.loss <= 0.0
    }

    fn delay(&self, tape: &mut Tape) -> Duration {
        self.latency.draw(tape) + tape.between(Duration::ZERO, self.jitter)
    }

    /// How long a sender waits for an answer before it sends again (RFC 6298, with Linux's least value).
    pub(super) fn retransmission_timeout(&self) -> Duration {
        (2 * (self.latency.typical() + self.jitter)).max(LEAST_RETRANSMISSION)
    }

    /// Packets that so many bytes make, with headers of so many bytes each.
    fn packets(&self, size: usize, header: u32) -> u32 {
        let payload = self.mtu.saturating_sub(header).max(1);
        u32::try_from(size).unwrap_or(u32::MAX).div_ceil(payload).max(1)
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self::PERFECT
    }
}

impl Direction {
    pub(super) const fn new(quality: Quality) -> Self {
        Self { quality, is_set: false, is_cut: false, busy_until: Instant::ORIGIN }
    }

    /// When a part of a stream arrives that is sent now: loss is delay, since lost packets are sent again.
    pub(super) fn stream_arrival(&mut self, now: Instant, size: usize, tape: &mut Tape) -> Instant {
        let quality = self.quality;
        let mut arrival = self.departure(now, size).after(quality.delay(tape));
        if quality.loss > 0.0 {
            let mut latest = Duration::ZERO;
            for _ in 0..quality.packets(size, STREAM_HEADER) {
                latest = latest.max(Self::retransmissions(&quality, tape));
            }
            arrival = arrival.after(latest);
        }
        arrival
    }

    /// When a packet without contents arrives (of a handshake); `None` if it is lost.
    pub(super) fn signal_arrival(&mut self, now: Instant, tape: &mut Tape) -> Option<Instant> {
        if self.is_cut || tape.chance(self.quality.loss) {
            return None;
        }
        Some(now.after(self.quality.delay(tape)))
    }

    /// When the copies of a datagram arrive that is sent now: none if it is lost, more than one if it is doubled.
    pub(super) fn datagram_arrivals(&mut self, now: Instant, size: usize, tape: &mut Tape) -> [Option<Instant>; 2] {
        let quality = self.quality;
        let departure = self.departure(now, size);
        if self.is_cut {
            return [None, None];
        }
        for _ in 0..quality.packets(size, DATAGRAM_HEADER) {
            if tape.chance(quality.loss) {
                return [None, None];
            }
        }
        let arrival = |tape: &mut Tape| {
            let held_back = if tape.chance(quality.reorder) {
                let longest = (2 * quality.latency.typical()).max(LEAST_HOLDING_BACK);
                tape.between(Duration::from_nanos(1), longest)
            } else {
                Duration::ZERO
            };
            departure.after(quality.delay(tape) + held_back)
        };
        let first = arrival(tape);
        [Some(first), tape.chance(quality.duplicate).then(|| arrival(tape))]
    }

    /// When the last of so many bytes leaves: bytes leave one after the other.
    fn departure(&mut self, now: Instant, size: usize) -> Instant {
        let Some(bandwidth) = self.quality.bandwidth else { return now };
        #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let seconds = size as f64 / bandwidth;
        let takes = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.busy_until = self.busy_until.max(now).after(takes);
        self.busy_until
    }

    /// How much later a packet arrives because it must be sent again, and again.
    fn retransmissions(quality: &Quality, tape: &mut Tape) -> Duration {
        let mut timeout = quality.retransmission_timeout();
        let mut later = Duration::ZERO;
        // A link that loses everything counts as cut and never comes here; at some point even a very bad one lets a packet pass.
        for _ in 0..MOST_RETRANSMISSIONS {
            if !tape.chance(quality.loss) {
                break;
            }
            later += timeout;
            timeout = (timeout * 2).min(LONGEST_RETRANSMISSION);
        }
        later
    }
}

/// Linux's `TCP_RTO_MIN` and `TCP_RTO_MAX`, and its `tcp_retries2`.
const LEAST_RETRANSMISSION: Duration = Duration::from_millis(200);
pub(super) const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(120);
pub(super) const MOST_RETRANSMISSIONS: u32 = 15;
/// Of IP with TCP, and with UDP.
const STREAM_HEADER: u32 = 40;
const DATAGRAM_HEADER: u32 = 28;
/// What IP version 4 asks of every link.
const LEAST_MTU: u32 = 68;
/// A hundred years: sums of a few such times are far from where the clock ends.
const LONGEST_LATENCY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// How long a datagram is held back on a link without latency.
const LEAST_HOLDING_BACK: Duration = Duration::from_millis(1);
