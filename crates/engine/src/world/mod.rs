//! Worlds: where time comes from, and who waits.
//!
//! The contract of a world, which each one fulfils with methods of the same names (the owner dispatches statically, over
//! an enum; there is no trait object):
//!
//! - `now()`: the current [`Instant`](crate::Instant). It never goes back.
//! - a wait, given what [`Engine::wait`](crate::Engine::wait) said: it returns when the deadline has come, when an event
//!   has come, or when it was woken from another thread; it may return early, and then nothing is lost, because every
//!   turn asks again. A world that can't be woken by anything says so instead of waiting forever.
//! - events name a source by the token it was registered with, and say whether it can be read and written. An event that
//!   was not acted upon comes again (level-triggered), unless each change was asked for once.
//!
//! | world | time | waits |
//! |---|---|---|
//! | [`real`] (feature `real`) | the monotonic clock of the system | in epoll |
//! | [`sim`] | starts at the origin, jumps from deadline to deadline | never |

#[cfg(feature = "real")]
pub mod real;
pub mod sim;
