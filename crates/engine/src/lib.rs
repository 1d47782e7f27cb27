//! The engine of soliloop: which callback runs next, and until when the loop may wait.
//!
//! The engine is pure. Time and events are arguments, effects are return values: it never waits, never reads a
//! clock and never calls a payload. A [`world`] waits on its behalf, and the owner of the [`Engine`] runs the jobs.
//! It is generic over its payload ([`Job`]): the Python extension queues handles, the tests queue integers.
//!
//! Method families of [`Engine`]: `push*` (work comes in), `begin_turn` and `next` (work goes out), `wait` (until when
//! nothing will happen), `note_*` (something happened to a job elsewhere).

#![forbid(unsafe_code)]

mod clock;
pub use clock::{Instant, OutOfRange};

mod engine;
pub use engine::{Engine, Wait};

pub mod flow;
pub mod intake;

mod job;
pub use job::Job;

mod pacing;
pub use pacing::Pacing;

pub mod policy;
mod ready;
mod timer;
pub mod world;
