//! First in, first out: asyncio's order. It decides nothing and costs nothing.

use super::Policy;

/// Runs jobs in the order in which they became ready.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

impl Policy for Fifo {
    #[inline]
    fn pick(&mut self, _count: usize) -> usize {
        0
    }
}
