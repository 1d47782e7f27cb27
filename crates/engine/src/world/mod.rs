//! Worlds: where time comes from, and who waits.
//!
//! The contract of a world, which each one fulfils with methods of the same names (the owner dispatches statically, over
//! an enum; there is no trait object):
//!
//! - `now()`: the current [`Instant`](crate::Instant). It never goes back.
//! - a wait, given what [`Engine::wait`](crate::Engine::wait) said: it returns when the deadline has come, when an event
//!   has come, or when it was woken from another thread; it may return early, and then nothing is lost, because every
//!   turn asks again. A world that can't be woken by anything says so instead of waiting forever.
//! - events name their source (a descriptor, or a simulated socket), and its [`Readiness`]. What was not acted upon comes
//!   again (level-triggered), unless each change was asked for once ([`Interest`]).
//!
//! | world | time | waits |
//! |---|---|---|
//! | [`real`] (feature `real`) | the monotonic clock of the system | in epoll |
//! | [`sim`] | starts at the origin, jumps from event to event | never |

#[cfg(feature = "real")]
pub mod real;
pub mod sim;

/// What to wait for at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Tell when it can be read, or the peer has closed.
    pub read: bool,
    /// Tell when it can be written.
    pub write: bool,
    /// Tell of each change once (edge-triggered), rather than as long as it lasts; and tell of [`Readiness::is_exceptional`].
    pub is_edge: bool,
}

/// What a source is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// A read would not block. An error or a hang-up counts: the read is what reports it.
    pub readable: bool,
    /// A write would not block; an error or a hang-up counts.
    pub writable: bool,
    /// An error, the end of a half, or urgent data: a read or a write may stop short of what could be moved.
    pub is_exceptional: bool,
}

impl Interest {
    /// Readability only.
    pub const READ: Self = Self { read: true, write: false, is_edge: false };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, is_edge: false };

    /// Every change of readability, and with `write` of writability, once.
    pub const fn edges(write: bool) -> Self {
        Self { read: true, write, is_edge: true }
    }

    /// Whether nothing is waited for.
    pub const fn is_none(self) -> bool {
        !self.read && !self.write
    }
}
