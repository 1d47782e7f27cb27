//! Signals end a wait: while a loop runs on the main thread, the interpreter writes the number of each signal to a socket
//! that the loop watches (`signal.set_wakeup_fd`).
//!
//! Without it a signal that arrives between the last look at the interpreter's flags and the wait would be noticed only when
//! something else ends the wait. Handlers of `add_signal_handler` get their numbers from the same bytes.

use crate::error;
use crate::event_loop::LoopCore;
use crate::names::Names;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soliloop_engine::world::real::{Interest, Real};
use soliloop_sys::socket::Pair;
use std::os::fd::RawFd;

/// The descriptor that was set before, to be put back.
pub(crate) struct Armed {
    previous: RawFd,
}

/// Makes signals end the loop's waits. `None` where that can't be had: in a thread other than the main one.
pub(crate) fn arm(core: &Bound<'_, LoopCore>, real: &Real) -> PyResult<Option<Armed>> {
    let py = core.py();
    let writer = writer(core, real)?;
    match set_wakeup(py, writer) {
        Ok(previous) => Ok(Some(Armed { previous })),
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Armed {
    pub(crate) fn disarm(self, py: Python<'_>) -> PyResult<()> {
        set_wakeup(py, self.previous).map(drop)
    }
}

/// The descriptor for `signal.set_wakeup_fd`; the sockets are made when it is first asked for.
pub(crate) fn writer(core: &Bound<'_, LoopCore>, real: &Real) -> PyResult<RawFd> {
    let (py, this) = (core.py(), core.get());
    if let Some(writer) = this.signals.with(py, |pair| pair.as_ref().map(Pair::writer)) {
        return Ok(writer);
    }
    let pair = Pair::new().map_err(|error| error::of_system(&error))?;
    real.watch(pair.reader(), Interest::READ).map_err(|error| error::of_system(&error))?;
    let writer = pair.writer();
    drop(this.signals.replace(py, Some(pair)));
    Ok(writer)
}

/// Hands the numbers that were written to the handlers of the loop; `false` if `fd` is not the signals' socket.
pub(crate) fn handle(core: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<bool> {
    let (py, this) = (core.py(), core.get());
    let bytes = this.signals.with(py, |pair| match pair {
        Some(pair) if pair.reader() == fd => Some(pair.drain()),
        _ => None,
    });
    let Some(bytes) = bytes else { return Ok(false) };
    for number in bytes.map_err(|error| error::of_system(&error))? {
        core.call_method1(intern!(py, "_handle_signal"), (number,))?;
    }
    Ok(true)
}

fn set_wakeup(py: Python<'_>, fd: RawFd) -> PyResult<RawFd> {
    let options = PyDict::new(py);
    options.set_item(intern!(py, "warn_on_full_buffer"), false)?;
    Names::get(py)?.set_wakeup_fd.bind(py).call((fd,), Some(&options))?.extract()
}
