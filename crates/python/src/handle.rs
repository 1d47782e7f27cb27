//! Handles: callbacks that the loop holds (asyncio docs, "Callback Handles").
//!
//! Ground rules. A handle is shared between the engine's queues and the user. `state` may be read by anyone; it changes only
//! under the interpreter lock. A handle lets go of callback, arguments, context and loop as soon as it has run or was
//! cancelled: what is left in a queue then is an empty shell, and no cycle through a handle outlives its callback.
//!
//! While a loop runs, it is alive and so is what its queues hold: handles that are made then are hidden from the garbage collector,
//! which would walk through a million timers over and over. When the run ends the collector is shown what is left
//! ([`Handle::show`]), so that a loop that is dropped unclosed is freed with its callbacks.

use crate::arguments::Args;
use crate::context::Context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::gc;
use crate::ffi::object::has_weakrefs;
use crate::names::Names;
use pyo3::PyTraverseError;
use pyo3::basic::CompareOp;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A callback that was given to the loop; `cancel()` takes it back.
#[pyclass(subclass, frozen, weakref, module = "soliloop._soliloop")]
pub(crate) struct Handle {
    state: AtomicU8,
    content: GilCell<Option<Content>>,
}

/// A handle with a time: what `call_later` and `call_at` give.
#[pyclass(extends = Handle, frozen, module = "soliloop._soliloop")]
pub(crate) struct TimerHandle {
    /// Seconds on the loop's clock.
    when: f64,
}

pub(crate) struct Content {
    pub(crate) callback: Py<PyAny>,
    pub(crate) args: Args,
    pub(crate) context: Context,
    pub(crate) core: Py<LoopCore>,
    /// Where it was created: in debug mode only.
    pub(crate) source: Option<Py<PyAny>>,
}

/// Handles that have run and that nobody else refers to: the next callbacks use them again.
pub(crate) struct Spare(GilCell<Vec<Py<Handle>>>);

impl Spare {
    pub(crate) const fn new() -> Self {
        Self(GilCell::new(Vec::new()))
    }

    /// Frees the handles.
    pub(crate) fn clear(&self, py: Python<'_>) {
        drop(self.0.replace(py, Vec::new()));
    }

    /// Takes a handle that has left the queue, if it can be used again.
    #[inline]
    pub(crate) fn take(&self, handle: Bound<'_, Handle>) {
        let py = handle.py();
        let is_free = gc::references(py, handle.as_unbound()) == 1
            && handle.get().state.load(Relaxed) == DONE
            && handle.is_exact_instance_of::<Handle>()
            && !has_weakrefs(&handle);
        if is_free && self.0.with(py, |spare| spare.len() < SPARE) {
            self.0.with(py, |spare| spare.push(handle.unbind()));
        }
    }
}

/// As many handles as a batch needs. They take half a MiB, until the loop is closed.
const SPARE: usize = 1 << 12;

/// Is not made yet (see `gc::Made`).
const UNMADE: u8 = 0;
/// Runs once, in the ready queue.
const ONCE: u8 = 1;
/// Runs once, at its time.
const TIMER: u8 = 2;
/// Runs whenever its descriptor is ready.
const WATCHER: u8 = 3;
/// Has run, and holds nothing any more.
const DONE: u8 = 4;
/// Was cancelled, and holds nothing any more.
const CANCELLED: u8 = 5;

impl Handle {
    #[inline]
    pub(crate) fn once(py: Python<'_>, spare: &Spare, content: Content) -> PyResult<Py<Self>> {
        let Some(handle) = spare.0.with(py, Vec::pop) else {
            let is_running = content.core.get().is_running();
            return Self::make(py, is_running, Self::with_state(ONCE, content));
        };
        if !content.core.get().is_running() {
            gc::track(&handle);
        }
        let this = handle.get();
        this.state.store(ONCE, Relaxed);
        this.content.with(py, |empty| *empty = Some(content));
        Ok(handle)
    }

    pub(crate) fn watcher(py: Python<'_>, content: Content) -> PyResult<Py<Self>> {
        let is_running = content.core.get().is_running();
        Self::make(py, is_running, Self::with_state(WATCHER, content))
    }

    fn make<T: pyo3::PyClass>(
        py: Python<'_>,
        core_is_running: bool,
        value: impl Into<PyClassInitializer<T>>,
    ) -> PyResult<Py<T>> {
        let handle = Py::new(py, value)?;
        if core_is_running {
            gc::untrack(&handle);
        }
        Ok(handle)
    }

    /// Shows the handle to the collector.
    pub(crate) fn show(handle: &Py<Self>) {
        gc::track(handle);
    }

    #[inline]
    fn with_state(state: u8, content: Content) -> Self {
        Self { state: AtomicU8::new(state), content: GilCell::new(Some(content)) }
    }

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.load(Relaxed) == CANCELLED
    }

    /// The value of a variable in the callback's context.
    pub(crate) fn variable<'py>(&self, py: Python<'py>, variable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        self.part(py, |content| content.context.clone_ref(py))?.variable(variable)
    }

    /// Runs the callback in its context, unless it was cancelled. What it raises goes to the loop's exception handler.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit` of the callback, and what the exception handler itself raises.
    #[inline]
    pub(crate) fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let content = match this.state.load(Relaxed) {
            CANCELLED | DONE => return Ok(()),
            WATCHER => this.part(py, |content| content.clone_ref(py)),
            _ => {
                this.state.store(DONE, Relaxed);
                this.content.replace(py, None)
            }
        };
        Self::run_content(slf, content)
    }

    /// As [`Handle::run`], but the handle keeps what it holds until `and_then` has looked at it.
    ///
    /// # Errors
    /// As [`Handle::run`]; and those of `and_then`.
    pub(crate) fn run_and_show(slf: &Bound<'_, Self>, and_then: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let state = this.state.load(Relaxed);
        if matches!(state, CANCELLED | DONE) {
            return Ok(());
        }
        let content = this.part(py, |content| content.clone_ref(py));
        if state != WATCHER {
            this.state.store(DONE, Relaxed);
        }
        let result = Self::run_content(slf, content).and_then(|()| and_then());
        if this.state.load(Relaxed) == DONE {
            this.clear(py);
        }
        result
    }

    #[inline]
    fn run_content(slf: &Bound<'_, Self>, content: Option<Content>) -> PyResult<()> {
        let py = slf.py();
        let Some(mut content) = content else { return Ok(()) };
        match content.call(py) {
            Ok(()) => {
                content.release(py);
                Ok(())
            }
            Err(error) => Self::report(slf, content, error),
        }
    }

    #[cold]
    fn report(slf: &Bound<'_, Self>, content: Content, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        let text = content.describe(py)?;
        let details = PyDict::new(py);
        details.set_item(intern!(py, "message"), format!("Exception in callback {text}"))?;
        details.set_item(intern!(py, "exception"), error.into_value(py))?;
        details.set_item(intern!(py, "handle"), slf)?;
        if let Some(source) = &content.source {
            details.set_item(intern!(py, "source_traceback"), source)?;
        }
        let core = content.core.clone_ref(py);
        // The handler may look at the handle: it holds its callback once more until the handler returns.
        let once = slf.get().state.load(Relaxed) == DONE;
        if once {
            drop(slf.get().content.replace(py, Some(content)));
        }
        let reported = core.bind(py).call_method1(intern!(py, "call_exception_handler"), (details,));
        if once {
            slf.get().clear(py);
        }
        reported.map(drop)
    }

    /// Lets go of everything without marking the handle as cancelled: the loop is closed.
    pub(crate) fn clear(&self, py: Python<'_>) {
        drop(self.content.replace(py, None));
    }

    fn describe(slf: &Bound<'_, Self>, when: Option<f64>) -> PyResult<String> {
        let py = slf.py();
        let mut words = vec![slf.get_type().name()?.to_string()];
        if slf.get().is_cancelled() {
            words.push("cancelled".to_owned());
        }
        if let Some(when) = when {
            words.push(format!("when={when}"));
        }
        let content = slf.get().content.with(py, |content| content.as_ref().map(|content| content.clone_ref(py)));
        if let Some(content) = content {
            let text = content.describe(py)?;
            words.push(text.to_string());
            if let Some(source) = &content.source {
                let frame = source.bind(py).get_item(-1)?;
                words.push(format!("created at {}:{}", frame.get_item(0)?, frame.get_item(1)?));
            }
        }
        Ok(format!("<{}>", words.join(" ")))
    }

    pub(crate) fn part<R>(&self, py: Python<'_>, part: impl FnOnce(&Content) -> R) -> Option<R> {
        self.content.with(py, |content| content.as_ref().map(part))
    }
}

impl TimerHandle {
    #[inline]
    pub(crate) fn at(py: Python<'_>, when: f64, content: Content) -> PyResult<Py<Self>> {
        let is_running = content.core.get().is_running();
        let base = PyClassInitializer::from(Handle::with_state(TIMER, content));
        Handle::make(py, is_running, base.add_subclass(Self { when }))
    }
}

impl Content {
    #[inline]
    fn call(&mut self, py: Python<'_>) -> PyResult<()> {
        self.context.call(self.callback.bind(py), &self.args, &self.core.get().nest)
    }

    /// Lets go of everything. Cheaper than a drop, which would ask five times whether the thread is attached.
    #[inline]
    fn release(self, py: Python<'_>) {
        drop(self.callback.into_bound(py));
        self.args.release(py);
        self.context.release(py, &self.core.get().snapshot);
        drop(self.core.into_bound(py));
        drop(self.source);
    }

    /// What the callback is called with.
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match self.context {
            Context::OfSleep => PyTuple::new(py, <[_; 2]>::from(self.args.sleep(py)?)),
            _ => self.args.tuple(py),
        }
    }

    /// The call as text.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Names::get(py)?.format_callback_source.bind(py).call1((&self.callback, self.arguments(py)?))
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            callback: self.callback.clone_ref(py),
            args: self.args.clone_ref(py),
            context: self.context.clone_ref(py),
            core: self.core.clone_ref(py),
            source: self.source.as_ref().map(|source| source.clone_ref(py)),
        }
    }
}

#[pymethods]
impl Handle {
    /// Cancel the callback: it will not run. Has no effect once it has run or was cancelled.
    fn cancel(&self, py: Python<'_>) {
        let state = self.state.swap(CANCELLED, Relaxed);
        let Some(content) = self.content.replace(py, None) else { return };
        if state == TIMER {
            let discarded = content.core.get().engine.with(py, |engine| {
                engine.note_cancelled_timer();
                engine.take_discarded()
            });
            drop(discarded);
        }
        content.release(py);
    }

    /// Return whether the callback was cancelled.
    fn cancelled(&self) -> bool {
        self.is_cancelled()
    }

    /// Return the context in which the callback runs; ``None`` once it has run or was cancelled.
    fn get_context(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(mut context) = self.part(py, |content| content.context.clone_ref(py)) else { return Ok(None) };
        let object = context.object(py)?;
        let replaced = self
            .content
            .with(py, |content| content.as_mut().map(|content| std::mem::replace(&mut content.context, context)));
        drop(replaced);
        Ok(Some(object))
    }

    fn _run(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::run(slf)
    }

    #[getter]
    fn _cancelled(&self) -> bool {
        self.is_cancelled()
    }

    #[getter]
    fn _callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.part(py, |content| content.callback.clone_ref(py))
    }

    #[getter]
    fn _args(&self, py: Python<'_>) -> PyResult<Option<Py<PyTuple>>> {
        let content = self.part(py, |content| content.clone_ref(py));
        content.map(|content| content.arguments(py).map(Bound::unbind)).transpose()
    }

    #[getter(_context)]
    fn context_slot(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.get_context(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<LoopCore>> {
        self.part(py, |content| content.core.clone_ref(py))
    }

    #[getter]
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.part(py, |content| content.source.as_ref().map(|source| source.clone_ref(py))).flatten()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Self::describe(slf, None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if self.state.load(Relaxed) == UNMADE {
            return Ok(());
        }
        let visited = self.content.visit(|content| {
            if let Some(content) = content {
                visit.call(&content.callback)?;
                content.args.traverse(&visit)?;
                content.context.traverse(&visit)?;
                visit.call(&content.core)?;
                content.source.as_ref().map_or(Ok(()), |source| visit.call(source))?;
            }
            Ok(())
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        self.clear(py);
    }
}

#[pymethods]
impl TimerHandle {
    /// Return the time of the callback, in seconds on the loop's clock (``loop.time()``).
    fn when(&self) -> f64 {
        self.when
    }

    /// Timers compare by their time, as asyncio's do.
    fn __richcmp__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, op: CompareOp) -> Option<bool> {
        match op {
            CompareOp::Eq => Some(slf.is(other)),
            CompareOp::Ne => Some(!slf.is(other)),
            _ => Some(op.matches(slf.get().when.partial_cmp(&other.cast::<Self>().ok()?.get().when)?)),
        }
    }

    fn __hash__(&self) -> u64 {
        self.when.to_bits()
    }

    #[getter]
    fn _when(&self) -> f64 {
        self.when
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Handle::describe(slf.as_super(), Some(slf.get().when))
    }
}
