//! Signals end a wait: while a loop runs on the main thread, the interpreter writes the number of each signal to a socket
//! that the loop watches (`signal.set_wakeup_fd`).
//!
//! Without it a signal that arrives between the last look at the interpreter's flags and the wait would be noticed only when
//! something else ends the wait. Handlers of `add_signal_handler` get their numbers from the same bytes. Another loop may have handlers
//! too, as the one that a stacked run stands on: what this one has no handler for is passed on.

use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::names::Names;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soliloop_engine::world::Interest;
use soliloop_engine::world::real::Real;
use soliloop_sys::socket::Pair;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The wake-up of one loop.
pub(crate) struct Signals {
    pair: GilCell<Option<Pair>>,
    /// While the loop runs on the main thread: the wake-up descriptor that was set before, or -1.
    below: AtomicI32,
}

/// The value of `below` while the loop doesn't run.
const DISARMED: RawFd = -2;

impl Signals {
    pub(crate) const fn new() -> Self {
        Self { pair: GilCell::new(None), below: AtomicI32::new(DISARMED) }
    }

    /// Closes the sockets.
    pub(crate) fn close(&self, py: Python<'_>) {
        drop(self.pair.replace(py, None));
    }

    /// The descriptor for `signal.set_wakeup_fd`; the sockets are made when it is first asked for.
    pub(crate) fn writer(&self, py: Python<'_>, real: &Real) -> PyResult<RawFd> {
        if let Some(writer) = self.pair.with(py, |pair| pair.as_ref().map(Pair::writer)) {
            return Ok(writer);
        }
        let pair = Pair::new().map_err(|error| error::of_system(&error))?;
        real.watch(pair.reader(), Interest::READ).map_err(|error| error::of_system(&error))?;
        let writer = pair.writer();
        drop(self.pair.replace(py, Some(pair)));
        Ok(writer)
    }
}

/// Makes signals end the loop's waits. Without effect in a thread other than the main one, where that can't be had.
pub(crate) fn arm(core: &Bound<'_, LoopCore>, real: &Real) -> PyResult<()> {
    let (py, signals) = (core.py(), &core.get().signals);
    let writer = signals.writer(py, real)?;
    let previous = match set_wakeup(py, writer) {
        Err(error) if error.is_instance_of::<PyValueError>(py) => return Ok(()),
        previous => previous?,
    };
    // Its own: the loop has handlers, which stay reachable between two runs.
    signals.below.store(if previous == writer { -1 } else { previous }, Relaxed);
    if previous >= 0 && previous != writer {
        // What has come for this loop's handlers so far may wait in the socket of another one.
        core.call_method0(intern!(py, "_collect_signals"))?;
    }
    Ok(())
}

/// The end of a run: puts the descriptor back that was set before. If there was none and the loop has handlers of signals, they stay
/// reachable until the next run, as in asyncio.
pub(crate) fn disarm(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, signals) = (core.py(), &core.get().signals);
    let below = signals.below.load(Relaxed);
    if below == DISARMED || (below < 0 && handlers(core)?.is_truthy()?) {
        signals.below.store(DISARMED, Relaxed);
        return Ok(());
    }
    let own = signals.pair.with(py, |pair| pair.as_ref().map(Pair::writer));
    match set_wakeup(py, below) {
        // The program has set one of its own meanwhile.
        Ok(current) if Some(current) != own => drop(set_wakeup(py, current)?),
        Ok(_) => {}
        // The one from before was closed meanwhile. There is nothing to put back, and no more to be woken.
        Err(_) => drop(set_wakeup(py, -1)?),
    }
    let delivered = if below < 0 { Ok(()) } else { deliver(core) };
    signals.below.store(DISARMED, Relaxed);
    delivered
}

/// Delivers signals, if `fd` is the loop's socket for them.
pub(crate) fn handle(core: &Bound<'_, LoopCore>, fd: RawFd) -> PyResult<()> {
    let is_own = |pair: &mut Option<Pair>| pair.as_ref().is_some_and(|pair| pair.reader() == fd);
    if core.get().signals.pair.with(core.py(), is_own) { deliver(core) } else { Ok(()) }
}

/// Hands out the numbers that were written.
pub(crate) fn deliver(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, signals) = (core.py(), &core.get().signals);
    let Some(numbers) = signals.pair.with(py, |pair| pair.as_ref().map(Pair::drain)) else { return Ok(()) };
    let mut done = Ok(());
    for number in numbers.map_err(|error| error::of_system(&error))? {
        let below = signals.below.load(Relaxed);
        done = done.and(core.call_method1(intern!(py, "_receive_signal"), (number, below)).map(drop));
    }
    done
}

/// The handlers of `add_signal_handler`, by number.
fn handlers<'py>(core: &Bound<'py, LoopCore>) -> PyResult<Bound<'py, PyAny>> {
    core.getattr(intern!(core.py(), "_signal_handlers"))
}

fn set_wakeup(py: Python<'_>, fd: RawFd) -> PyResult<RawFd> {
    let options = PyDict::new(py);
    options.set_item(intern!(py, "warn_on_full_buffer"), false)?;
    Names::get(py)?.set_wakeup_fd.bind(py).call((fd,), Some(&options))?.extract()
}
