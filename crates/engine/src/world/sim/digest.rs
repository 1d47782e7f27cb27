//! A digest of what has happened: two runs with the same digest went the same way.
//!
//! It is the FNV-1a hash, taken over words of 64 bits instead of bytes and with a rotation, so that it costs next to nothing; it tells
//! different runs apart, and is no defence against somebody who wants two runs to look alike.

/// The digest of a run so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    /// Of a run in which nothing has happened.
    pub const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Adds a word.
    #[inline]
    pub const fn note(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
    }

    /// Adds bytes, and how many they are.
    #[inline]
    pub fn note_bytes(&mut self, bytes: &[u8]) {
        self.note(bytes.len() as u64);
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.note(word.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
        }
        self.note(words.remainder().iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}
