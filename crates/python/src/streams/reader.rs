//! `StreamCore`: what has come for one reader, and who waits for it.
//!
//! Ground rules. One call waits at a time. What it yields to its task is the core itself, which answers as a future does (`add_done_callback`, `result`,
//! `cancel`), and is used anew for every wait: nothing is made per wait. [`Wait`] goes round: `Nobody`, `Armed` (the core was yielded), `Held`
//! (the task has left its callback), and `Woken` or `Cancelled` when the callback is on its way. The callback is called at once when the transport's own job brings the data, since no
//! task is running then; in all other cases by way of the loop's queue, as a future would have it called.
//!
//! When too much has come the transport is asked to pause, with asyncio's limits. If nobody has the reader any more, what comes is dropped.

use crate::context;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::gc;
use crate::names::Names;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyAssertionError, PyKeyboardInterrupt, PyNotImplementedError, PyRuntimeError, PySystemExit};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
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
    wait: Wait,
}

/// How far a wait has come.
enum Wait {
    Nobody,
    /// A call waits; its task has not said yet how to wake it.
    Armed,
    Held(Callback),
    /// The callback is on its way.
    Woken,
    /// The same, and it is to find the wait cancelled.
    Cancelled(Option<Py<PyAny>>),
}

/// How to wake a task.
struct Callback {
    function: Py<PyAny>,
    context: Option<Py<PyAny>>,
}

impl StreamCore {
    pub(super) fn new<'py>(
        py: Python<'py>,
        core: Py<LoopCore>,
        transport: Py<PyAny>,
        limit: usize,
    ) -> PyResult<Bound<'py, Self>> {
        let state = State {
            intake: Intake::new(),
            is_at_end: false,
            is_paused: false,
            exception: None,
            transport: Some(transport),
            wait: Wait::Nobody,
        };
        Bound::new(py, Self { core, limit, state: GilCell::new(state) })
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
        match this.take_callback(py) {
            Some(callback) => Self::wake_now(slf, &callback),
            None => Ok(()),
        }
    }

    /// Takes what somebody else brings.
    pub(super) fn feed(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
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

    /// A call begins to wait.
    ///
    /// # Errors
    /// `RuntimeError` if another one waits already.
    pub(super) fn arm(&self, py: Python<'_>, caller: &str) -> PyResult<()> {
        if !self.state.with(py, |state| matches!(state.wait, Wait::Nobody)) {
            return Err(PyRuntimeError::new_err(format!(
                "{caller}() called while another coroutine is already waiting for incoming data"
            )));
        }
        self.resume(py, true)?;
        drop(self.state.with(py, |state| std::mem::replace(&mut state.wait, Wait::Armed)));
        Ok(())
    }

    /// The call that waited goes on, or is given up. `false` if nothing has woken it.
    pub(super) fn disarm(&self, py: Python<'_>) -> bool {
        let before = self.state.with(py, |state| std::mem::replace(&mut state.wait, Wait::Nobody));
        matches!(before, Wait::Woken | Wait::Cancelled(_))
    }

    #[inline]
    fn take_callback(&self, py: Python<'_>) -> Option<Callback> {
        self.state.with(py, |state| match &mut state.wait {
            Wait::Held(_) => match std::mem::replace(&mut state.wait, Wait::Woken) {
                Wait::Held(callback) => Some(callback),
                _ => None,
            },
            // It asks again before it sleeps.
            Wait::Armed => {
                state.wait = Wait::Woken;
                None
            }
            Wait::Nobody | Wait::Woken | Wait::Cancelled(_) => None,
        })
    }

    #[inline]
    fn wake_now(slf: &Bound<'_, Self>, callback: &Callback) -> PyResult<()> {
        let py = slf.py();
        let loop_core = slf.get().core.get();
        let function = callback.function.bind(py);
        let called = match &callback.context {
            Some(context) => context::call_in(context.bind(py), &loop_core.nest, || function.call1((slf,)).map(drop)),
            None => function.call1((slf,)).map(drop),
        };
        match called {
            Err(error)
                if !error.is_instance_of::<PyKeyboardInterrupt>(py) && !error.is_instance_of::<PySystemExit>(py) =>
            {
                let text = Names::get(py)?.format_callback_source.bind(py).call1((function, (slf,)))?;
                let details = PyDict::new(py);
                details.set_item(intern!(py, "message"), format!("Exception in callback {text}"))?;
                details.set_item(intern!(py, "exception"), error.into_value(py))?;
                slf.get().core.bind(py).call_method1(intern!(py, "call_exception_handler"), (details,)).map(drop)
            }
            done => done,
        }
    }

    fn wake_soon(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().take_callback(slf.py()) {
            Some(callback) => Self::schedule(slf, callback),
            None => Ok(()),
        }
    }

    fn schedule(slf: &Bound<'_, Self>, callback: Callback) -> PyResult<()> {
        let py = slf.py();
        let options = PyDict::new(py);
        options.set_item(intern!(py, "context"), callback.context)?;
        let arguments = (callback.function, slf);
        slf.get().core.bind(py).call_method(intern!(py, "call_soon"), arguments, Some(&options)).map(drop)
    }
}

/// What a task asks of the future that it waits for (asyncio docs, "Futures").
#[pymethods]
impl StreamCore {
    #[getter(_asyncio_future_blocking)]
    fn is_blocking(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| matches!(state.wait, Wait::Armed | Wait::Woken))
    }

    #[setter(_asyncio_future_blocking)]
    #[allow(clippy::unused_self, reason = "a task says that it has seen it")]
    fn set_blocking(&self, _blocking: bool) {}

    fn get_loop(&self, py: Python<'_>) -> Py<LoopCore> {
        self.core.clone_ref(py)
    }

    /// Has *callback* called with this object when there is something to read.
    #[pyo3(signature = (callback, *, context = None))]
    fn add_done_callback(slf: &Bound<'_, Self>, callback: Py<PyAny>, context: Option<Py<PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let mut callback = Some(Callback { function: callback, context });
        let old = this.state.with(py, |state| match state.wait {
            Wait::Armed | Wait::Held(_) => {
                callback.take().map(|callback| std::mem::replace(&mut state.wait, Wait::Held(callback)))
            }
            Wait::Nobody | Wait::Woken | Wait::Cancelled(_) => None,
        });
        drop(old);
        callback.map_or(Ok(()), |callback| Self::schedule(slf, callback))
    }

    fn done(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| matches!(state.wait, Wait::Woken | Wait::Cancelled(_)))
    }

    fn cancelled(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| matches!(state.wait, Wait::Cancelled(_)))
    }

    /// Ends the wait with `CancelledError`.
    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let before = this.state.with(py, |state| match state.wait {
            Wait::Armed | Wait::Held(_) => Some(std::mem::replace(&mut state.wait, Wait::Cancelled(msg))),
            Wait::Nobody | Wait::Woken | Wait::Cancelled(_) => None,
        });
        match before {
            Some(Wait::Held(callback)) => Self::schedule(slf, callback).map(|()| true),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }

    fn result(&self, py: Python<'_>) -> PyResult<()> {
        let cancelled = self.state.with(py, |state| match &state.wait {
            Wait::Cancelled(message) => Some(message.as_ref().map(|message| message.clone_ref(py))),
            _ => None,
        });
        let class = Names::get(py)?.cancelled_error.bind(py);
        match cancelled {
            Some(Some(message)) => Err(PyErr::from_value(class.call1((message,))?)),
            Some(None) => Err(PyErr::from_value(class.call0()?)),
            None => Ok(()),
        }
    }

    /// What waits to be read.
    fn buffered<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.state.with(py, |state| PyBytes::new(py, state.intake.bytes()))
    }

    /// Whether no more will come.
    fn is_at_end(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.is_at_end)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (waiting, size) = self.state.with(py, |state| (!matches!(state.wait, Wait::Nobody), state.intake.len()));
        let what = if waiting { "waits for data" } else { "idle" };
        format!("<stream {what}, {size} bytes buffered>")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        let visited = self.state.visit(|state| {
            visit.call(&state.exception)?;
            visit.call(&state.transport)?;
            match &state.wait {
                Wait::Held(callback) => {
                    visit.call(&callback.function)?;
                    visit.call(&callback.context)
                }
                Wait::Cancelled(message) => visit.call(message),
                Wait::Nobody | Wait::Armed | Wait::Woken => Ok(()),
            }
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        let (exception, transport, wait) = self.state.with(py, |state| {
            (state.exception.take(), state.transport.take(), std::mem::replace(&mut state.wait, Wait::Nobody))
        });
        drop((exception, transport, wait));
    }
}

/// The transport's own, and that of the job that has read.
const TRANSPORTS_REFERENCES: isize = 2;
