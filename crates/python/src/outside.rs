//! What leads out of a simulation: real threads and child processes. It is refused by name, unless the simulation reaches out.

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
    refuse(
        call,
        "a real thread was started (loop.run_in_executor and asyncio.to_thread run functions in simulated threads)",
    )
}

fn process<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    refuse(call, "a child process was started")
}

fn refuse<'py>(call: &Call<'_, 'py>, what: &str) -> Answer<'py> {
    match inside::current(call.py()) {
        Some(core) if core.get().world.descriptors().is_none() => Err(sockets::outside(&core, what)?),
        _ => Ok(None),
    }
}
