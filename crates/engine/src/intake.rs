//! The reading half of a stream: what has come and was not taken yet.
//!
//! It is pure: it neither reads nor wakes anybody. A reader that keeps up takes each chunk as it came, without a copy. Once a second chunk
//! comes before the first one is gone, what waits is gathered in one piece of memory, so that it can be searched.

use memchr::memmem;

/// What has come. `C` is a piece of memory.
#[derive(Debug, Default)]
pub struct Intake<C> {
    content: Content<C>,
    /// How much of the content has been taken.
    taken: usize,
}

#[derive(Debug, Default)]
enum Content<C> {
    #[default]
    Nothing,
    Chunk(C),
    Gathered(Vec<u8>),
}

/// What was taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<C, T> {
    /// A chunk, as it came.
    Whole(C),
    /// What was made of a part.
    Made(T),
}

/// Where a separator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The place of its first byte.
    pub start: usize,
    /// The place behind its last one.
    pub end: usize,
}

impl<C: AsRef<[u8]>> Intake<C> {
    /// Nothing has come.
    pub const fn new() -> Self {
        Self { content: Content::Nothing, taken: 0 }
    }

    /// What waits, in one piece.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let all = match &self.content {
            Content::Nothing => &[],
            Content::Chunk(chunk) => chunk.as_ref(),
            Content::Gathered(bytes) => bytes,
        };
        &all[self.taken..]
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Puts a chunk behind what waits.
    #[inline]
    pub fn push(&mut self, chunk: C) {
        if self.is_empty() {
            (self.content, self.taken) = (Content::Chunk(chunk), 0);
            return;
        }
        let added = chunk.as_ref();
        if let Content::Gathered(bytes) = &mut self.content {
            // What was taken makes room, at a cost that is shared by the bytes that were taken.
            if self.taken > bytes.len() / 2 {
                bytes.drain(..self.taken);
                self.taken = 0;
            }
            bytes.extend_from_slice(added);
        } else {
            let mut bytes = Vec::with_capacity(2 * (self.len() + added.len()));
            bytes.extend_from_slice(self.bytes());
            bytes.extend_from_slice(added);
            (self.content, self.taken) = (Content::Gathered(bytes), 0);
        }
    }

    /// Takes the first `count` bytes (or fewer, if fewer wait): as the chunk that they came in, if that is what they are, else as what
    /// `make` makes of them.
    #[inline]
    pub fn take<T>(&mut self, count: usize, make: impl FnOnce(&[u8]) -> T) -> Taken<C, T> {
        let waiting = self.bytes();
        if count < waiting.len() {
            let made = make(&waiting[..count]);
            self.taken += count;
            return Taken::Made(made);
        }
        match (std::mem::take(&mut self.content), std::mem::take(&mut self.taken)) {
            (Content::Chunk(chunk), 0) => Taken::Whole(chunk),
            (Content::Chunk(chunk), taken) => Taken::Made(make(&chunk.as_ref()[taken..])),
            (Content::Gathered(bytes), taken) => Taken::Made(make(&bytes[taken..])),
            (Content::Nothing, _) => Taken::Made(make(&[])),
        }
    }

    /// Drops the first `count` bytes, or all if fewer wait.
    pub fn skip(&mut self, count: usize) {
        let _ = self.take(count, |_| ());
    }

    /// Drops all that waits.
    pub fn clear(&mut self) {
        (self.content, self.taken) = (Content::Nothing, 0);
    }

    /// The first place at or behind `from` where one of `separators` is; of several that begin anywhere, the one that ends first, and of
    /// those that end together the shortest. No separator is empty.
    pub fn find(&self, separators: &[&[u8]], from: usize) -> Option<Found> {
        let bytes = self.bytes();
        let mut found: Option<Found> = None;
        for separator in separators {
            // One that ends behind the best one so far is of no use.
            let reach = found.map_or(bytes.len(), |found| found.end);
            let searched = bytes.get(from..reach).unwrap_or_default();
            let Some(place) = memmem::find(searched, separator) else { continue };
            let this = Found { start: from + place, end: from + place + separator.len() };
            if found.is_none_or(|best| this.end < best.end || (this.end == best.end && this.start > best.start)) {
                found = Some(this);
            }
        }
        found
    }
}
