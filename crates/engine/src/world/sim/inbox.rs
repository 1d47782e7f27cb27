//! Bytes that have come and were not read.

/// A queue of bytes in one piece of memory. An empty one has none.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), taken: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // What was taken makes room, at a cost that is shared by the bytes that were taken.
        if self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Copies as much as fits, and keeps it.
    pub(super) fn peek(&self, buffer: &mut [u8]) -> usize {
        let count = self.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.bytes[self.taken..self.taken + count]);
        count
    }

    /// Copies as much as fits, and forgets it.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.peek(buffer);
        self.taken += count;
        if self.is_empty() {
            // Idle connections are many: memory for what was large once goes back.
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
            self.bytes.clear();
            self.taken = 0;
        }
        count
    }
}

/// Memory that an empty queue keeps, in bytes.
const KEPT: usize = 16 * 1024;
