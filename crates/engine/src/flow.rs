//! The writing half of a stream: what waits to be sent, and when the writer is asked to pause.
//!
//! It is pure: it neither sends nor calls anybody. Chunks keep the order in which they came, none is copied, and the last one that
//! was sent in part is remembered by how far. The water marks are asyncio's (docs, "Write-only Transports"): the writer is to pause
//! when more than `high` bytes wait, and to go on when no more than `low` do.

use std::collections::VecDeque;

/// What waits to be sent. `C` is a piece of memory.
#[derive(Debug)]
pub struct Flow<C> {
    /// Most of the time there is one chunk at most: it needs no queue.
    first: Option<C>,
    rest: VecDeque<C>,
    /// How much of the first chunk has been sent.
    sent: usize,
    size: usize,
    marks: Marks,
}

/// The water marks, in bytes, and what the writer was told last.
#[derive(Debug)]
pub struct Marks {
    high: usize,
    low: usize,
    is_paused: bool,
}

/// What the writer is to be told.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing new.
    None,
    /// To pause.
    Pause,
    /// To go on.
    Resume,
}

impl<C: AsRef<[u8]>> Flow<C> {
    /// Nothing waits; the marks are at 64 KiB and a quarter of that.
    pub const fn new() -> Self {
        Self { first: None, rest: VecDeque::new(), sent: 0, size: 0, marks: Marks::new() }
    }

    /// Puts a chunk behind what waits. An empty one is dropped: there is nothing to send.
    #[inline]
    pub fn push(&mut self, chunk: C) {
        let length = chunk.as_ref().len();
        if length == 0 {
            return;
        }
        self.size += length;
        if self.first.is_none() {
            self.first = Some(chunk);
        } else {
            self.rest.push_back(chunk);
        }
    }

    /// How many bytes wait.
    #[inline]
    pub const fn len(&self) -> usize {
        self.size
    }

    /// Whether nothing waits.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// What waits, in order.
    #[inline]
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let first = self.first.iter().map(|chunk| &chunk.as_ref()[self.sent..]);
        first.chain(self.rest.iter().map(AsRef::as_ref))
    }

    /// The first `count` bytes were sent: chunks that are through are dropped.
    #[inline]
    pub fn consume(&mut self, mut count: usize) {
        debug_assert!(count <= self.size, "more was sent than waited");
        self.size -= count;
        while let Some(first) = &self.first {
            let left = first.as_ref().len() - self.sent;
            if count < left {
                self.sent += count;
                return;
            }
            count -= left;
            self.sent = 0;
            self.first = self.rest.pop_front();
        }
        // A burst must not keep its memory for as long as the connection lasts.
        self.rest = VecDeque::new();
    }

    /// Drops all that waits.
    pub fn clear(&mut self) {
        (self.first, self.rest) = (None, VecDeque::new());
        (self.sent, self.size) = (0, 0);
    }

    /// Whether more waits than the high-water mark allows.
    #[inline]
    pub const fn is_above_high(&self) -> bool {
        self.size > self.marks.high
    }

    /// What the writer is to be told, after something was sent or pushed or the marks were moved. It counts as told.
    #[inline]
    pub fn advise(&mut self) -> Advice {
        self.marks.advise(self.size)
    }

    /// Whether the writer was told to pause.
    pub const fn is_paused(&self) -> bool {
        self.marks.is_paused()
    }

    /// The low and the high water mark, in bytes.
    pub const fn limits(&self) -> (usize, usize) {
        self.marks.limits()
    }

    /// Moves the water marks, in bytes. `low` is at most `high`.
    pub fn set_limits(&mut self, low: usize, high: usize) {
        self.marks.set_limits(low, high);
    }
}

impl Marks {
    /// At 64 KiB and a quarter of that.
    pub const fn new() -> Self {
        Self { high: DEFAULT_HIGH, low: DEFAULT_HIGH / 4, is_paused: false }
    }

    /// What the writer is to be told, now that `size` bytes wait. It counts as told.
    #[inline]
    pub fn advise(&mut self, size: usize) -> Advice {
        match self.is_paused {
            false if size > self.high => {
                self.is_paused = true;
                Advice::Pause
            }
            true if size <= self.low => {
                self.is_paused = false;
                Advice::Resume
            }
            _ => Advice::None,
        }
    }

    /// Whether the writer was told to pause.
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The low and the high one.
    pub const fn limits(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// Moves them. `low` is at most `high`.
    pub fn set_limits(&mut self, low: usize, high: usize) {
        debug_assert!(low <= high, "the low-water mark is above the high one");
        (self.low, self.high) = (low, high);
    }
}

impl Default for Marks {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: AsRef<[u8]>> Default for Flow<C> {
    fn default() -> Self {
        Self::new()
    }
}

/// asyncio's: 64 KiB.
const DEFAULT_HIGH: usize = 64 * 1024;
