//! The choice funnel: which of the ready jobs runs next.
//!
//! A policy sees a count and gives an index; it knows neither jobs nor time. First in, first out is asyncio's contract
//! and the only policy so far; policies that explore other orders plug in here.

mod fifo;
pub use fifo::Fifo;

/// Picks the next job of a batch.
pub trait Policy {
    /// The index, below `count`, of the job to run next. `count` is at least 1.
    fn pick(&mut self, count: usize) -> usize;
}
