//! What leads out of a simulation: real threads and child processes. It is refused by name. (Real threads can wake a simulation
//! that is played at the pace of real time, and may be started there.)

use crate::event_loop::LoopCore;
use crate::ffi::intercept::{Call, Target};
use crate::inside;
use crate::sockets;
use pyo3::prelude::*;

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

/// The intercepted functions.
pub(crate) const TARGETS: &[Target] = &[
    Target::new("_thread.start_new_thread", thread),
    Target::new("_thread.start_new", thread),
    Target::new("_thread.start_joinable_thread", thread).versions(13, u8::MAX),
    Target::new("_posixsubprocess.fork_exec", process),
    Target::new("posix.fork", process),
    Target::new("posix.forkpty", process),
    Target::new("posix.system", process),
    Target::new("posix.posix_spawn", process),
    Target::new("posix.posix_spawnp", process),
];

fn thread<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    const WHAT: &str =
        "a real thread was started (loop.run_in_executor and asyncio.to_thread run functions in simulated threads)";
    refuse(call, WHAT, |core| core.world.descriptors().is_some())
}

fn process<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    refuse(call, "a child process was started", |_| false)
}

fn refuse<'py>(call: &Call<'_, 'py>, what: &str, is_allowed: impl Fn(&LoopCore) -> bool) -> Answer<'py> {
    match inside::current(call.py()) {
        Some(core) if !is_allowed(core.get()) => Err(sockets::outside(&core, what)?),
        _ => Ok(None),
    }
}
