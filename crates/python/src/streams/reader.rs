//! `StreamCore`: what has come for one reader, and who waits for it.
//!
//! Ground rules. One call waits at a time, for a future of the loop; the same one is used for every wait, made new again, unless somebody still has it.
//! The task that waits is woken at once when the transport's own job brings the data, since no task is running then: the job that the future
//! has just put into the queue is taken out of it and run. In all other cases it stays there.
//!
//! When too much has come the transport is asked to pause, with asyncio's limits. If nobody has the reader any more, what comes is dropped.

use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::{gc, object};
use crate::names::Names;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyAssertionError, PyNotImplementedError, PyRuntimeError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use soliloop_engine::intake::Intake;

/// What has come for a reader.
#[pyclass(frozen, weakref, module = "soliloop._soliloop")]
pub(crate) struct StreamCore {
    core: Py<LoopCore>,
    limit: usize,
    pub(super) state: GilCell<State>,
}

pub(super) struct State {
    pub(super) intake: Intake<PyBackedBytes>,
    pub(super) is_at_end: bool,
    is_paused: bool,
    pub(super) exception: Option<Py<PyAny>>,
    transport: Option<Py<PyAny>>,
    /// What is waited for, or was.
    waiter: Option<Py<PyAny>>,
    wait: Wait,
}

/// How far a wait has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nobody,
    Waits,
    Woken,
}

impl StreamCore {
    pub(super) fn new(
        py: Python<'_>,
        core: Py<LoopCore>,
        transport: Py<PyAny>,
        limit: usize,
    ) -> PyResult<Bound<'_, Self>> {
        let state = State {
            intake: Intake::new(),
            is_at_end: false,
            is_paused: false,
            exception: None,
            transport: Some(transport),
            waiter: None,
            wait: Wait::Nobody,
        };
        Bound::new(py, Self { core, limit, state: GilCell::new(state) })
    }

    /// What is asked to pause from now on.
    pub(super) fn set_transport(&self, py: Python<'_>, transport: &Bound<'_, PyAny>) {
        let transport = transport.clone().unbind();
        drop(self.state.with(py, |state| state.transport.replace(transport)));
    }

    /// Whether a reader of asyncio's has seen nothing yet, so that nothing is lost when ours takes its place.
    pub(super) fn is_untouched(reader: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = reader.py();
        let is_new = reader.getattr(intern!(py, "_buffer"))?.len()? == 0
            && !reader.getattr(intern!(py, "_eof"))?.is_truthy()?
            && reader.getattr(intern!(py, "_waiter"))?.is_none()
            && reader.getattr(intern!(py, "_exception"))?.is_none();
        Ok(is_new)
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Takes what the transport's own job has read, and wakes who waits for it, at once.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit` of the task that is woken.
    #[inline]
    pub(crate) fn receive(slf: &Bound<'_, Self>, data: Bound<'_, PyBytes>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        // The transport has one reference and the caller another: the reader is gone.
        if gc::references(py, slf.as_unbound()) <= TRANSPORTS_REFERENCES {
            return Ok(());
        }
        let is_full = this.state.with(py, |state| {
            state.intake.push(data.into());
            state.intake.len() > this.limit.saturating_mul(2)
        });
        if is_full {
            this.pause(py)?;
        }
        let Some(waiter) = this.woken(py) else { return Ok(()) };
        let core = this.core.bind(py);
        let before = core.get().engine.with(py, |engine| engine.ready_len());
        complete(waiter.bind(py))?;
        let job = core.get().engine.with(
            py,
            |engine| {
                if engine.ready_len() == before + 1 { engine.take_last() } else { None }
            },
        );
        job.map_or(Ok(()), |job| job.run(core))
    }

    /// Takes what somebody else brings.
    pub(crate) fn feed(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.state.with(py, |state| state.is_at_end) {
            return Err(PyAssertionError::new_err("feed_data after feed_eof"));
        }
        let data: PyBackedBytes = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone().into(),
            Err(_) => py.get_type::<PyBytes>().call1((data,))?.cast_into::<PyBytes>()?.into(),
        };
        if data.is_empty() {
            return Ok(());
        }
        let is_full = this.state.with(py, |state| {
            state.intake.push(data);
            state.intake.len() > this.limit.saturating_mul(2)
        });
        if is_full {
            this.pause(py)?;
        }
        Self::wake_soon(slf)
    }

    pub(super) fn feed_end(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state.with(slf.py(), |state| state.is_at_end = true);
        Self::wake_soon(slf)
    }

    pub(super) fn set_exception(slf: &Bound<'_, Self>, exception: Bound<'_, PyAny>) -> PyResult<()> {
        let exception = Some(exception.unbind());
        drop(slf.get().state.with(slf.py(), |state| std::mem::replace(&mut state.exception, exception)));
        Self::wake_soon(slf)
    }

    // ------------------------------------------------------------------ flow control

    #[cold]
    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.state.with(py, |state| {
            let transport = state.transport.as_ref().filter(|_| !state.is_paused);
            transport.map(|transport| transport.clone_ref(py))
        });
        let Some(transport) = transport else { return Ok(()) };
        match transport.call_method0(py, intern!(py, "pause_reading")) {
            Ok(_) => self.state.with(py, |state| state.is_paused = true),
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
                // It can't: it is not asked again.
                drop(self.state.with(py, |state| state.transport.take()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Has the transport go on if there is room again; or in any case, if somebody waits for more.
    pub(super) fn resume(&self, py: Python<'_>, in_any_case: bool) -> PyResult<()> {
        let transport = self.state.with(py, |state| {
            if !state.is_paused || !(in_any_case || state.intake.len() <= self.limit) {
                return None;
            }
            state.is_paused = false;
            state.transport.as_ref().map(|transport| transport.clone_ref(py))
        });
        transport.map_or(Ok(()), |transport| transport.call_method0(py, intern!(py, "resume_reading")).map(drop))
    }

    // ------------------------------------------------------------------ waiting

    /// A call begins to wait; gives the future that its task is to wait for.
    ///
    /// # Errors
    /// `RuntimeError` if another one waits already.
    #[inline]
    pub(super) fn arm(&self, py: Python<'_>, caller: &str) -> PyResult<Py<PyAny>> {
        let (wait, is_paused) = self.state.with(py, |state| (state.wait, state.is_paused));
        if wait != Wait::Nobody {
            return Err(PyRuntimeError::new_err(format!(
                "{caller}() called while another coroutine is already waiting for incoming data"
            )));
        }
        if is_paused {
            self.resume(py, true)?;
        }
        let options = LoopCore::loop_option(self.core.bind(py))?;
        let last = self.state.with(py, |state| state.waiter.take());
        let waiter = match last {
            Some(waiter) if gc::references(py, &waiter) == 1 => {
                object::initialize(waiter.bind(py), &options)?;
                waiter
            }
            _ => Names::get(py)?.future.bind(py).call((), Some(&options))?.unbind(),
        };
        waiter.bind(py).setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        let copy = waiter.clone_ref(py);
        drop(self.state.with(py, |state| {
            state.wait = Wait::Waits;
            state.waiter.replace(copy)
        }));
        Ok(waiter)
    }

    /// The call that waited goes on, or is given up. `false` if nothing has woken it.
    pub(super) fn disarm(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| std::mem::replace(&mut state.wait, Wait::Nobody)) == Wait::Woken
    }

    /// Whether somebody waits for data.
    pub(crate) fn is_awaited(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.wait == Wait::Waits)
    }

    /// The future of a wait that is over now.
    #[inline]
    fn woken(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            if state.wait != Wait::Waits {
                return None;
            }
            state.wait = Wait::Woken;
            state.waiter.as_ref().map(|waiter| waiter.clone_ref(py))
        })
    }

    fn wake_soon(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        slf.get().woken(py).map_or(Ok(()), |waiter| complete(waiter.bind(py)))
    }
}

#[pymethods]
impl StreamCore {
    /// What waits to be read.
    fn buffered<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.state.with(py, |state| PyBytes::new(py, state.intake.bytes()))
    }

    /// Whether no more will come.
    fn is_at_end(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.is_at_end)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        let visited = self.state.visit(|state| {
            visit.call(&state.exception)?;
            visit.call(&state.transport)?;
            visit.call(&state.waiter)
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, |state| (state.exception.take(), state.transport.take(), state.waiter.take())));
    }
}

/// Completes a future that nobody has cancelled.
#[inline]
fn complete(waiter: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = waiter.py();
    if waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        return Ok(());
    }
    waiter.call_method1(intern!(py, "set_result"), (py.None(),)).map(drop)
}

/// The transport's own, and that of the job that has read.
const TRANSPORTS_REFERENCES: isize = 2;
