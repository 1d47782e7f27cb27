//! What leads out of a simulation: real threads and child processes are refused by name, unless the simulation reaches out.
//! And the way out for code of our own.

use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::intercept::{Call, Target};
use crate::inside::{self, Aside};
use crate::port::Source;
use crate::sockets;
use crate::world::World;
use pyo3::prelude::*;
use std::os::fd::RawFd;

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
    match inside::current(call.py()) {
        Some(core) if core.get().world.allows_threads() => Ok(None),
        _ => refuse(call, WHAT),
    }
}

fn process<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    refuse(call, "a child process was started")
}

fn refuse<'py>(call: &Call<'_, 'py>, what: &str) -> Answer<'py> {
    match inside::current(call.py()) {
        Some(core) if !core.get().world.reaches_out() => Err(sockets::outside(&core, what)?),
        _ => Ok(None),
    }
}

/// A context manager in which no simulation owns the thread: for what is to be done to the real world.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct Outside(GilCell<Option<Aside>>);

#[pymethods]
impl Outside {
    #[new]
    fn new() -> Self {
        Self(GilCell::new(None))
    }

    fn __enter__(&self, py: Python<'_>) {
        let aside = inside::set_all_aside(py);
        drop(self.0.replace(py, Some(aside)));
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        if let Some(aside) = self.0.replace(py, None) {
            inside::put_back(py, aside);
        }
    }
}

/// Work of the real world that a simulated loop waits for has begun, or has ended.
#[pyfunction]
pub(crate) fn _note_work(core: &Bound<'_, LoopCore>, begins: bool) {
    if let World::Simulated(world) = &core.get().world {
        world.note_work(core.py(), begins);
    }
}

/// Whether a descriptor stands for a simulated socket.
#[pyfunction]
pub(crate) fn _is_simulated(core: &Bound<'_, LoopCore>, fd: RawFd) -> bool {
    matches!(core.get().world.source(core.py(), fd), Source::Simulated(_))
}
