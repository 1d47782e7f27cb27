//! `SocketCall`: what `sock_recv` and its kin give. A coroutine to whoever awaits it, and the future that it waits for itself.
//!
//! Ground rules. The operation is out of its place while it is tried, for the try may run foreign code; a call that is entered meanwhile
//! is refused, as a coroutine is. Once a call has begun to wait it is in a queue of `readiness`, until it is over: from then on it has
//! asyncio's protocol of futures (`_asyncio_future_blocking` is not `None`), and hands itself to the task as what to wait for.
//! Nothing is read or written while no one is there to take the result: `wake` runs the task's callback, and the step tries.

use super::operation::{Operation, Outcome, Socket};
use super::readiness::{Calls, Known};
use crate::context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::gc;
use crate::ffi::object::stop_with;
use crate::job::Scheduled;
use crate::names::Names;
use crate::port::Source;
use crate::watchers::Side;
use pyo3::PyTraverseError;
use pyo3::exceptions::{
    PyKeyboardInterrupt, PyRuntimeError, PyRuntimeWarning, PyStopIteration, PySystemExit, PyTypeError, PyValueError,
};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType, PyWeakrefReference};
use soliloop_engine::world::real::{Kind, SocketKind};

/// A call of a socket that is under way. Made by the loop only.
#[pyclass(frozen, weakref, freelist = 256, module = "soliloop._soliloop")]
pub(crate) struct SocketCall {
    core: Py<LoopCore>,
    name: &'static str,
    state: GilCell<State>,
}

struct State {
    phase: Phase,
    /// `None` while it is tried, and when the call is over.
    work: Option<Work>,
    /// Where it waits.
    place: Option<(Source, Side)>,
    /// The socket, if its `close()` is put off.
    held: Option<Py<PyAny>>,
    /// asyncio's mark of a future that was yielded but is not waited for yet.
    is_blocking: bool,
    /// Whom to tell: a callback and its context.
    waker: Option<(Py<PyAny>, Py<PyAny>)>,
    cancel_message: Option<Py<PyAny>>,
}

pub(crate) struct Work {
    pub(crate) socket: Socket,
    pub(crate) operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody has awaited it.
    New,
    /// It waits for something else: a name is resolved.
    Elsewhere,
    Waiting,
    /// It is its turn: a job that tells so is on its way, or has run.
    Ready,
    /// So it is, but it was cancelled.
    Cancelled,
    Over,
}

impl SocketCall {
    #[inline]
    pub(crate) fn new(core: &Bound<'_, LoopCore>, socket: Py<PyAny>, operation: Operation) -> PyResult<Py<Self>> {
        let name = operation.name();
        let state = State {
            phase: Phase::New,
            work: Some(Work { socket: Socket::new(socket), operation }),
            place: None,
            held: None,
            is_blocking: false,
            waker: None,
            cancel_message: None,
        };
        let call = Py::new(core.py(), Self { core: core.clone().unbind(), name, state: GilCell::new(state) })?;
        // One that is used again is unknown to the collector.
        gc::track(&call);
        Ok(call)
    }

    /// The context of who waits for it.
    pub(crate) fn context(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| state.waker.as_ref().map(|(_, context)| context.clone_ref(py)))
    }

    /// The socket may be ready; gives a job if there is none on its way.
    #[inline]
    pub(crate) fn note_ready(slf: &Py<Self>, py: Python<'_>) -> Option<Scheduled> {
        let is_new = slf.get().state.with(py, |state| {
            let is_waiting = state.phase == Phase::Waiting;
            if is_waiting {
                state.phase = Phase::Ready;
            }
            is_waiting
        });
        is_new.then(|| Scheduled::SocketCall(slf.clone_ref(py)))
    }

    /// Tells who waits, most often a task.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit` of the callback, and what the exception handler itself raises.
    pub(crate) fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let Some((callback, context)) = this.state.with(py, |state| state.waker.take()) else { return Ok(()) };
        let (callback, context) = (callback.into_bound(py), context.into_bound(py));
        let core = this.core.get();
        let Err(error) = context::call_in(&context, &core.nest, || callback.call1((slf,)).map(drop)) else {
            return Ok(());
        };
        if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) {
            return Err(error);
        }
        let details = PyDict::new(py);
        details.set_item(intern!(py, "message"), format!("Exception in callback {}", callback.repr()?))?;
        details.set_item(intern!(py, "exception"), error.into_value(py))?;
        this.core.bind(py).call_method1(intern!(py, "call_exception_handler"), (details,)).map(drop)
    }

    /// Goes on until it is over or must wait. Gives what is to be yielded, or the result.
    #[inline]
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Step<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let (phase, work) = this.state.with(py, |state| (state.phase, state.work.take()));
        let Some(mut work) = work else {
            return Err(if phase == Phase::Over {
                PyRuntimeError::new_err("cannot reuse already awaited coroutine")
            } else {
                PyValueError::new_err("coroutine already executing")
            });
        };
        let core = this.core.bind(py);
        let outcome = Self::attempt(slf, core, phase, &mut work);
        match outcome {
            Ok(Outcome::Done(result)) => {
                work.release(py);
                Self::end(slf);
                Ok(Step::Return(result))
            }
            Ok(Outcome::Waits(side)) => {
                if let Err(error) = Self::wait(slf, &mut work, side, true) {
                    Self::end(slf);
                    return Err(error);
                }
                this.state.with(py, |state| state.work = Some(work));
                Ok(Step::Yield(slf.clone().into_any()))
            }
            Ok(Outcome::Queued) => {
                this.state.with(py, |state| state.work = Some(work));
                Ok(Step::Yield(slf.clone().into_any()))
            }
            Ok(Outcome::WaitsFor(other)) => {
                this.state.with(py, |state| state.work = Some(work));
                Ok(Step::Yield(other))
            }
            Err(error) => {
                Self::end(slf);
                Err(error)
            }
        }
    }

    /// Tries; the first time only if the socket is not known to be not ready.
    #[inline]
    fn attempt<'py>(
        slf: &Bound<'py, Self>,
        core: &Bound<'py, LoopCore>,
        phase: Phase,
        work: &mut Work,
    ) -> PyResult<Outcome<'py>> {
        let (py, this) = (slf.py(), slf.get());
        if phase == Phase::New {
            this.state.with(py, |state| state.phase = Phase::Elsewhere);
            work.socket.check(core)?;
        }
        if work.socket.is_plain() {
            let source = work.socket.look_up(core)?;
            if !core.get().world.reaches(source) {
                // Its methods know whether it can become the simulation's.
                work.socket.use_methods();
            } else if let (Phase::New, Some(side)) = (phase, work.operation.side()) {
                let socket = work.socket.object(py);
                if core.get().watchers.with(py, |watchers| watchers.look(source, socket, side)) == Known::MustWait {
                    Self::wait(slf, work, side, false)?;
                    return Ok(Outcome::Queued);
                }
            }
        }
        work.attempt(core)
    }

    /// Begins to wait, or goes on doing so.
    #[inline]
    fn wait(slf: &Bound<'_, Self>, work: &mut Work, side: Side, saw_nothing: bool) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let core = this.core.bind(py);
        // A simulation may have made the socket its own just now.
        let is_known = work.socket.is_plain() && !core.get().world.is_simulated();
        let source = if is_known { work.socket.source() } else { work.socket.look_up(core)? };
        let socket = work.socket.object(py);
        let owner = core.get();
        let kind = owner.watchers.with(py, |watchers| {
            let is_known = work.socket.is_plain() && watchers.look(source, socket, side) != Known::Nothing;
            watchers.calls(source).filter(|_| is_known && !watchers.is_owned(source)).map(Calls::kind)
        });
        if owner.is_closed() {
            return Err(PyRuntimeError::new_err("Event loop is closed"));
        }
        if owner.is_forked() {
            return Err(PyRuntimeError::new_err("the child of a fork can't wait on the event loop of its parent"));
        }
        let kind = if let Some(kind) = kind {
            kind
        } else {
            core.call_method1(intern!(py, "_ensure_fd_no_transport"), (work.socket.number(),))?;
            LoopCore::check_inside(core, source)?;
            let none = SocketKind { is_stream: false, is_tcp: false, is_unix: false };
            let kind = source.port(Kind::Socket).socket_kind(py, &owner.world).unwrap_or(none);
            let calls = Box::new(Calls::new(PyWeakrefReference::new(socket).ok().map(Bound::unbind), kind));
            let registered = owner.watchers.with(py, |watchers| watchers.register(py, &owner.world, source, calls));
            registered.map_err(|error| error::of_system(&error))?;
            kind
        };
        let is_held = this.state.with(py, |state| state.held.is_some());
        gc::track(slf.as_unbound());
        work.socket.note_kind(kind);
        let held = if is_held || !work.operation.holds() { None } else { work.socket.hold(py, kind)? };
        this.state.with(py, |state| {
            state.phase = Phase::Waiting;
            state.place = Some((source, side));
            state.is_blocking = true;
            if held.is_some() {
                state.held = held;
            }
        });
        if owner.watchers.with(py, |watchers| watchers.wait(source, side, slf, saw_nothing)) {
            let told = owner.watchers.with(py, |watchers| watchers.tell_of_calls(py, &owner.world, source));
            return told.map_err(|error| error::of_system(&error));
        }
        Ok(())
    }

    /// It is over, whatever the result.
    #[inline]
    fn end(slf: &Bound<'_, Self>) {
        let (py, this) = (slf.py(), slf.get());
        let (place, waker, held) = this.state.with(py, |state| {
            state.phase = Phase::Over;
            (state.place.take(), state.waker.take(), state.held.take())
        });
        if let Some(place) = place {
            this.leave(slf, place);
        }
        drop(waker);
        if let Some(socket) = held {
            Socket::let_go(&socket.into_bound(py));
        }
    }

    /// Leaves its queue, and lets the next one go on.
    #[inline]
    fn leave(&self, slf: &Bound<'_, Self>, (source, side): (Source, Side)) {
        let py = slf.py();
        let core = self.core.get();
        let (next, must_tell) = core.watchers.with(py, |watchers| watchers.end_wait(source, side, slf));
        if let Some(job) = next {
            core.engine.with(py, |engine| engine.push(job));
        }
        if must_tell && !core.is_forked() && !core.is_closed() {
            // A descriptor that is closed by now has left epoll by itself.
            let _ = core.watchers.with(py, |watchers| watchers.tell_of_calls(py, &core.world, source));
        }
    }

    /// The loop is closed: a socket that was closed by its owner is closed now.
    pub(crate) fn release(&self, py: Python<'_>) {
        if let Some(socket) = self.state.with(py, |state| state.held.take()) {
            Socket::let_go(socket.bind(py));
        }
    }

    /// Ends it from outside: gives the coroutine that it waits for, if it does.
    fn abandon(slf: &Bound<'_, Self>) -> Option<Py<PyAny>> {
        let py = slf.py();
        let work = slf.get().state.with(py, |state| state.work.take());
        Self::end(slf);
        work.and_then(|work| work.operation.elsewhere(py))
    }
}

enum Step<'py> {
    Yield(Bound<'py, PyAny>),
    Return(Option<Bound<'py, PyAny>>),
}

#[pymethods]
impl SocketCall {
    // ------------------------------------------------------------------ a coroutine

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match Self::step(slf)? {
            Step::Yield(object) => Ok(Some(object)),
            // To end without an exception means the same, and costs less.
            Step::Return(None) => Ok(None),
            Step::Return(Some(result)) => stop_with(&result).map(|()| None),
        }
    }

    #[pyo3(signature = (value, /))]
    fn send<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if !value.is_none() && slf.get().state.with(py, |state| state.phase == Phase::New) {
            return Err(PyTypeError::new_err("can't send non-None value to a just-started coroutine"));
        }
        match Self::step(slf)? {
            Step::Yield(object) => Ok(object),
            Step::Return(result) => Err(PyStopIteration::new_err((result.map_or_else(|| py.None(), Bound::unbind),))),
        }
    }

    #[pyo3(signature = (typ, val = None, tb = None, /))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        typ: Bound<'py, PyAny>,
        val: Option<Bound<'py, PyAny>>,
        tb: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.get().state.with(py, |state| state.phase) == Phase::Over {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        }
        let error = match typ.cast::<PyType>() {
            Ok(class) => match val.filter(|value| !value.is_none()) {
                Some(value) if value.is_instance(class)? => value,
                Some(value) => class.call1((value,))?,
                None => class.call0()?,
            },
            Err(_) => typ,
        };
        if let Some(tb) = tb.filter(|tb| !tb.is_none()) {
            error.setattr(intern!(py, "__traceback__"), tb)?;
        }
        if let Some(elsewhere) = Self::abandon(slf) {
            // What it waits for has its own way of ending, and can't go on from there.
            elsewhere.bind(py).call_method1(intern!(py, "throw"), (&error,))?;
        }
        Err(PyErr::from_value(error))
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        match Self::abandon(slf) {
            Some(elsewhere) => elsewhere.bind(slf.py()).call_method0(intern!(slf.py(), "close")).map(drop),
            None => Ok(()),
        }
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __qualname__(&self) -> String {
        format!("EventLoop.{}", self.name)
    }

    // ------------------------------------------------------------------ what a task asks of the future that it waits for

    /// ``None`` says that it is no future: it has not begun to wait.
    #[getter(_asyncio_future_blocking)]
    fn blocking_mark(&self, py: Python<'_>) -> Option<bool> {
        self.state.with(py, |state| {
            matches!(state.phase, Phase::Waiting | Phase::Ready | Phase::Cancelled).then_some(state.is_blocking)
        })
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking_mark(&self, py: Python<'_>, is_blocking: bool) {
        self.state.with(py, |state| state.is_blocking = is_blocking);
    }

    fn get_loop(&self, py: Python<'_>) -> Py<LoopCore> {
        self.core.clone_ref(py)
    }

    #[pyo3(signature = (callback, /, *, context = None))]
    fn add_done_callback(&self, py: Python<'_>, callback: Py<PyAny>, context: Option<Py<PyAny>>) -> PyResult<()> {
        let context = match context {
            Some(context) => context,
            None => crate::ffi::context::copy_current(py)?.unbind(),
        };
        let before = self.state.with(py, |state| state.waker.replace((callback, context)));
        if before.is_some() {
            return Err(PyRuntimeError::new_err("only one task can wait for a call of a socket"));
        }
        Ok(())
    }

    fn remove_done_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> usize {
        let known = self.state.with(py, |state| state.waker.as_ref().map(|(known, _)| known.clone_ref(py)));
        if !known.is_some_and(|known| known.bind(py).eq(callback).unwrap_or(false)) {
            return 0;
        }
        drop(self.state.with(py, |state| state.waker.take()));
        1
    }

    /// Withdraw the wait: the task will be told, and gets the cancellation.
    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> bool {
        let (py, this) = (slf.py(), slf.get());
        let (before, place, replaced) = this.state.with(py, |state| {
            let before = state.phase;
            if !matches!(before, Phase::Waiting | Phase::Ready) {
                return (before, None, msg);
            }
            state.phase = Phase::Cancelled;
            (before, state.place.take(), std::mem::replace(&mut state.cancel_message, msg))
        });
        drop(replaced);
        let Some(place) = place else { return false };
        this.leave(slf, place);
        if before == Phase::Waiting {
            let job = Scheduled::SocketCall(slf.clone().unbind());
            this.core.get().engine.with(py, |engine| engine.push(job));
        }
        true
    }

    fn done(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| matches!(state.phase, Phase::Ready | Phase::Cancelled | Phase::Over))
    }

    fn cancelled(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.phase == Phase::Cancelled)
    }

    fn exception(&self, py: Python<'_>) -> PyResult<()> {
        self.result(py)
    }

    /// Nothing: the call itself gives the result, to whoever awaits it.
    fn result(&self, py: Python<'_>) -> PyResult<()> {
        let (phase, message) = self.state.with(py, |state| (state.phase, state.cancel_message.take()));
        match phase {
            Phase::Ready | Phase::Over => Ok(()),
            Phase::Cancelled => {
                let class = Names::get(py)?.cancelled_error.bind(py);
                let error = match message.filter(|message| !message.is_none(py)) {
                    Some(message) => class.call1((message,))?,
                    None => class.call0()?,
                };
                Err(PyErr::from_value(error))
            }
            _ => Err(PyRuntimeError::new_err("the call of the socket is not ready")),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (phase, place) = self.state.with(py, |state| (state.phase, state.place));
        let state = format!("{phase:?}").to_lowercase();
        let place = place.map_or_else(String::new, |(source, _)| format!(" fd={}", source.number()));
        format!("<SocketCall {} {state}{place}>", self.name)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        let visited = self.state.visit(|state| {
            if let Some(work) = &state.work {
                work.traverse(&visit)?;
            }
            if let Some((callback, context)) = &state.waker {
                visit.call(callback)?;
                visit.call(context)?;
            }
            visit.call(&state.held)?;
            visit.call(&state.cancel_message)
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        self.release(py);
        let cleared = self.state.with(py, |state| {
            state.phase = Phase::Over;
            (state.work.take(), state.waker.take(), state.cancel_message.take())
        });
        drop(cleared);
    }
}

impl Drop for SocketCall {
    fn drop(&mut self) {
        let left = self.state.visit(|state| (state.phase == Phase::New, state.held.take()));
        let Some((is_new, held)) = left else { return };
        if is_new || held.is_some() {
            Python::attach(|py| {
                // Whatever is being raised now goes on.
                let raised = PyErr::take(py);
                if let Some(socket) = held {
                    Socket::let_go(socket.bind(py));
                }
                if is_new {
                    warn_unawaited(py, self.name);
                }
                if let Some(raised) = raised {
                    raised.restore(py);
                }
            });
        }
    }
}

/// What the interpreter says of a coroutine.
#[cold]
fn warn_unawaited(py: Python<'_>, name: &str) {
    let text = format!("coroutine 'EventLoop.{name}' was never awaited");
    let warned = std::ffi::CString::new(text).map(|text| PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1));
    if let Ok(Err(error)) = warned {
        error.write_unraisable(py, None);
    }
}

// One per call that is under way, and the loop's hottest after the handles.
const _: () = assert!(size_of::<SocketCall>() <= 256);
