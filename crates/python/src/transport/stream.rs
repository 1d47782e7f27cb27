//! `StreamTransport`: a stream of bytes over a socket or a pipe.
//!
//! Ground rules. [`Phase`] goes one way. `reads` and `writes` say what the loop watches for; whoever changes what is wanted calls
//! [`StreamTransport::watch`]. Readiness is noted by the turn and acted upon by a job ([`Step::Ready`]), of which there is one at most in the queue.
//! The descriptor is closed when the protocol has been told of the end, and not before: its number can't come up again meanwhile.

use super::common::{Reporter, close_unclosed, describe, set_exception, set_result};
use super::state::{Answer, Direction, Link, Phase, Rare, State};
use super::tls::TlsProtocol;
use super::{Beginning, Extra, File, Step, reading, writing};
use crate::context;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::context::copy_current;
use crate::ffi::gc::Made;
use crate::graves;
use crate::job::Scheduled;
use crate::names::Names;
use crate::port::Port;
use crate::sockets;
use crate::streams;
use crate::watchers::{Side, Sink};
use crate::watching::descriptor;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use soliloop_engine::flow::Flow;
use soliloop_engine::world::real::Kind;
use std::os::fd::{IntoRawFd, RawFd};

/// A transport of a socket or a pipe, made by the loop.
#[pyclass(frozen, weakref, dict, module = "soliloop._soliloop")]
pub(crate) struct StreamTransport {
    made: Made,
    pub(super) core: Py<LoopCore>,
    /// What the protocol's methods run in.
    context: Py<PyAny>,
    pub(super) direction: Direction,
    pub(super) port: Port,
    pub(super) state: GilCell<State>,
    pub(super) extra: Extra,
}

impl StreamTransport {
    /// A transport of a socket, whose protocol will soon be told of the beginning.
    pub(crate) fn begin<'py>(core: &Bound<'py, LoopCore>, port: Port, given: Beginning) -> PyResult<Bound<'py, Self>> {
        Self::make(core, port, Direction::Both, given)
    }

    fn make<'py>(
        core: &Bound<'py, LoopCore>,
        port: Port,
        direction: Direction,
        given: Beginning,
    ) -> PyResult<Bound<'py, Self>> {
        let py = core.py();
        let is_buffered = direction != Direction::Write && is_buffered(given.protocol.bind(py))?;
        let state = State {
            phase: Phase::Open,
            protocol: Some(given.protocol),
            link: Link::None,
            is_buffered,
            flow: Flow::new(),
            has_begun: false,
            is_paused: false,
            is_at_end: false,
            is_ending: false,
            is_unsent: false,
            answer: if given.server.is_none() { Answer::possible(&core.get().world, port) } else { Answer::None },
            reads: false,
            writes: false,
            is_readable: false,
            is_writable: false,
            is_scheduled: false,
            lost_writes: 0,
            file: given.file,
            server: given.server,
            rare: given.waiter.map(|waiter| Box::new(Rare { waiter: Some(waiter), ..Rare::default() })),
        };
        let server = state.server.as_ref().map(|server| server.clone_ref(py));
        let transport = Self {
            made: Made::yes(),
            core: core.clone().unbind(),
            context: given.context,
            direction,
            port,
            state: GilCell::new(state),
            extra: given.extra,
        };
        let transport = Bound::new(py, transport)?;
        if let Some(server) = server {
            Names::get(py)?.attach(server.bind(py), transport.as_any())?;
        }
        core.get().watchers.with(py, |watchers| watchers.set_owned(port.source(), true));
        Self::schedule(&transport, Step::Begin);
        Ok(transport)
    }

    fn schedule(slf: &Bound<'_, Self>, step: Step) {
        let job = Scheduled::Stream(slf.clone().unbind(), step);
        slf.get().core.get().engine.with(slf.py(), |engine| engine.push(job));
    }

    /// Has what comes go where it belongs without a detour, if the protocol is asyncio's own of streams, or that of TLS.
    fn link(slf: &Bound<'_, Self>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        if slf.get().direction == Direction::Write {
            return Ok(());
        }
        let link = match protocol.cast_exact::<TlsProtocol>() {
            Ok(tls) => Link::Tls(tls.clone().unbind()),
            Err(_) => streams::adopt(slf.as_any(), protocol, &slf.get().core)?
                .map_or(Link::None, |stream| Link::Stream(stream.unbind())),
        };
        drop(slf.get().state.with(slf.py(), |state| std::mem::replace(&mut state.link, link)));
        Ok(())
    }

    /// Whether an answer of the peer is due.
    pub(crate) fn is_asking(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            let is_awaited = || match &state.link {
                Link::Stream(stream) => state.server.is_none() && stream.get().is_awaited(py),
                Link::None | Link::Tls(_) => false,
            };
            state.answer.is_due() || !state.flow.is_empty() || is_awaited()
        })
    }

    /// Whether what is written will be sent without the writer having to wait.
    pub(crate) fn takes_more(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.phase == Phase::Open && !state.flow.is_paused())
    }

    pub(crate) const fn port(&self) -> Port {
        self.port
    }

    pub(crate) fn context<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.context.bind(py)
    }

    /// Runs a job of the transport.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit` of the protocol, and what the exception handler itself raises.
    #[inline]
    pub(crate) fn run(slf: &Bound<'_, Self>, step: Step) -> PyResult<()> {
        match step {
            Step::Ready => Self::on_ready(slf),
            Step::Begin => Self::on_begin(slf),
            Step::End => Self::on_end(slf),
        }
    }

    /// The descriptor is ready; gives a job if there is none on its way.
    #[inline]
    pub(crate) fn note_ready(slf: &Py<Self>, py: Python<'_>, side: Side) -> Option<Scheduled> {
        let is_new = slf.get().state.with(py, |state| {
            match side {
                Side::Reader => state.is_readable = true,
                Side::Writer => state.is_writable = true,
            }
            !std::mem::replace(&mut state.is_scheduled, true)
        });
        is_new.then(|| Scheduled::Stream(slf.clone_ref(py), Step::Ready))
    }

    #[inline]
    fn on_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (readable, writable) = slf.get().state.with(slf.py(), |state| {
            state.is_scheduled = false;
            (std::mem::take(&mut state.is_readable), std::mem::take(&mut state.is_writable))
        });
        if readable {
            reading::on_readable(slf)?;
        }
        if writable && slf.get().state.with(slf.py(), |state| state.writes && state.phase < Phase::Losing) {
            writing::send(slf)?;
        }
        Ok(())
    }

    #[cold]
    fn on_begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(protocol) = this.protocol(py) {
            if let Err(error) = Self::link(slf, &protocol) {
                Self::fatal(slf, error, "Fatal error: the protocol is not what it seems.")?;
            }
            let made = protocol.getattr(intern!(py, "connection_made"));
            let made = made.and_then(|made| this.tell(py, || made.call1((slf,))));
            if let Err(error) = made {
                let method = protocol.getattr(intern!(py, "connection_made"))?;
                this.reporter(slf.as_any()).report_callback(error, &method, &PyTuple::new(py, [slf])?)?;
            }
        }
        this.state.with(py, |state| state.has_begun = true);
        if let Err(error) = Self::watch(slf) {
            Self::fatal(slf, error, "The descriptor can't be watched")?;
        }
        let waiter = this.state.with(py, |state| state.rare.as_mut().and_then(|rare| rare.waiter.take()));
        waiter.map_or(Ok(()), |waiter| set_result(waiter.bind(py)))
    }

    fn on_end(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (protocol, error) = this.state.with(py, |state| {
            let error = state.rare.as_mut().and_then(|rare| rare.error.take());
            (state.protocol.as_ref().map(|protocol| protocol.clone_ref(py)), error)
        });
        let told = match &protocol {
            Some(protocol) => {
                this.tell(py, || protocol.bind(py).call_method1(intern!(py, "connection_lost"), (&error,)))
            }
            None => Ok(py.None().into_bound(py)),
        };
        let closed = Self::release(slf);
        if let (Err(error), Some(protocol)) = (told, protocol) {
            let method = protocol.bind(py).getattr(intern!(py, "connection_lost"))?;
            this.reporter(slf.as_any()).report_callback(error, &method, &PyTuple::empty(py))?;
        }
        closed
    }

    /// Closes the descriptor, and lets go of what belonged to the connection.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.extra.keep_for_the_dead(py, &this.core.get().world, this.port);
        let (protocol, link, file, server, rare) = this.state.with(py, |state| {
            state.phase = Phase::Closed;
            let file = std::mem::replace(&mut state.file, File::Closed);
            (state.protocol.take(), std::mem::take(&mut state.link), file, state.server.take(), state.rare.take())
        });
        drop((protocol, link));
        let closed = this.close_file(py, file);
        if let Some(server) = server {
            Names::get(py)?.detach(server.bind(py), slf.as_any())?;
        }
        if let Some(empty) = rare.and_then(|rare| rare.empty) {
            let error = Names::get(py)?.connection_error.bind(py).call1(("Connection is closed by peer",))?;
            set_exception(empty.bind(py), &error)?;
        }
        closed
    }

    /// Has the loop watch for what is wanted now.
    pub(super) fn watch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let wanted = this.state.with(py, |state| {
            let is_open =
                state.phase == Phase::Open || (this.direction == Direction::Write && state.phase == Phase::Closing);
            let read = is_open && state.has_begun && !state.is_paused && !state.is_at_end;
            let write = state.phase < Phase::Losing && !state.flow.is_empty();
            [(Side::Reader, read), (Side::Writer, write)]
        });
        for (side, wanted) in wanted {
            let was = this.state.with(py, |state| match side {
                Side::Reader => std::mem::replace(&mut state.reads, wanted),
                Side::Writer => std::mem::replace(&mut state.writes, wanted),
            });
            match (was, wanted) {
                (false, true) => {
                    let sink = Sink::Stream(slf.clone().unbind());
                    drop(LoopCore::watch_for(this.core.bind(py), this.port.source(), side, sink)?);
                }
                (true, false) => drop(this.core.get().unwatch(py, this.port.source(), side)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Has the protocol told of the end: nothing more is read or sent.
    pub(super) fn lose(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.state.with(py, |state| state.phase >= Phase::Losing) {
            return Ok(());
        }
        // A closed loop can't tell the protocol.
        this.core.get().check_open()?;
        this.state.with(py, |state| {
            state.phase = Phase::Losing;
            state.flow.clear();
            if let Some(error) = error {
                state.rare.get_or_insert_default().error = Some(error.clone().unbind());
            }
        });
        this.core.get().watchers.with(py, |watchers| watchers.set_owned(this.port.source(), false));
        let watched = Self::watch(slf);
        Self::schedule(slf, Step::End);
        watched
    }

    /// Calls `call`, a method of the protocol, in the transport's context.
    #[inline]
    pub(super) fn tell<R>(&self, py: Python<'_>, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        context::call_in(self.context.bind(py), &self.core.get().nest, call)
    }

    pub(super) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let protocol = self.state.with(py, |state| state.protocol.as_ref().map(|protocol| protocol.clone_ref(py)));
        protocol.map(|protocol| protocol.into_bound(py))
    }

    pub(super) fn is_closing_now(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.phase > Phase::Open) || self.is_of_the_dead(py)
    }

    /// Ends the connection because of `error`, which goes to the protocol; and to the exception handler, unless it is the system's, which
    /// networks are full of.
    #[cold]
    pub(super) fn fatal(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let value = slf.get().reporter(slf.as_any()).report_fatal(error, message)?;
        Self::lose(slf, Some(&value))
    }

    /// Tells the loop's exception handler.
    ///
    /// # Errors
    /// `error` itself, if it is one that ends the run.
    #[cold]
    pub(super) fn report(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        slf.get().reporter(slf.as_any()).report(error, message)
    }

    fn reporter<'a, 'py>(&'a self, transport: &'a Bound<'py, PyAny>) -> Reporter<'a, 'py> {
        let py = transport.py();
        Reporter { core: self.core.bind(py), transport, protocol: self.protocol(py) }
    }
}

#[pymethods]
impl StreamTransport {
    /// *file* is a `socket.socket`, or the object of a pipe; *direction* is "both", "read", "write", or "device" for a writing end that
    /// does not tell when nobody reads.
    #[new]
    #[pyo3(signature = (core, file, protocol, waiter, extra, server, direction))]
    fn new(
        core: &Bound<'_, LoopCore>,
        file: Bound<'_, PyAny>,
        protocol: Py<PyAny>,
        waiter: Option<Py<PyAny>>,
        extra: Option<Bound<'_, PyDict>>,
        server: Option<Py<PyAny>>,
        direction: &str,
    ) -> PyResult<Py<Self>> {
        let py = core.py();
        let is_device = direction == "device";
        let (direction, kind) = match direction {
            "both" => (Direction::Both, Kind::Socket),
            "read" => (Direction::Read, Kind::File),
            "write" | "device" => (Direction::Write, Kind::File),
            other => {
                return Err(PyValueError::new_err(format!(
                    "direction must be both, read, write or device, not {other}"
                )));
            }
        };
        let fd: RawFd = descriptor(&file)?;
        let port = sockets::claim(core, &file, fd)?.port(kind);
        let extra = Extra::of_file(&file, extra, kind)?;
        let context = copy_current(py)?.unbind();
        let given = Beginning { protocol, context, extra, file: File::Object(file.unbind()), server, waiter };
        let transport = Self::make(core, port, direction, given)?;
        transport.get().state.with(py, |state| state.is_at_end = is_device);
        Ok(transport.unbind())
    }

    /// The class that `isinstance` sees: one of asyncio's, which this one can't derive from.
    #[getter(__class__)]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let [socket, read_pipe, write_pipe, ..] = Names::transport_classes(py)?;
        let class = match self.direction {
            Direction::Both => socket,
            Direction::Read => read_pipe,
            Direction::Write => write_pipe,
        };
        Ok(class.bind(py).clone())
    }

    // ------------------------------------------------------------------ the protocol

    /// Return the protocol.
    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py).map(Bound::unbind)
    }

    /// Exchange the protocol.
    fn set_protocol(slf: &Bound<'_, Self>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let is_buffered = this.direction != Direction::Write && is_buffered(protocol)?;
        let new = protocol.clone().unbind();
        let old = this.state.with(py, |state| {
            state.is_buffered = is_buffered;
            (state.protocol.replace(new), std::mem::take(&mut state.link))
        });
        drop(old);
        Self::link(slf, protocol)
    }

    /// Return information about the transport (asyncio docs, `BaseTransport.get_extra_info`).
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.extra.get(py, self, name)?.or(default))
    }

    // ------------------------------------------------------------------ closing

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.is_closing_now(py)
    }

    /// Close the transport: what was written is still sent.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.is_closing_now(py) {
            return Ok(());
        }
        writing::send_if_unsent(slf)?;
        let is_empty = this.state.with(py, |state| {
            if state.phase == Phase::Open {
                state.phase = Phase::Closing;
            }
            state.flow.is_empty()
        });
        this.core.get().watchers.with(py, |watchers| watchers.set_owned(this.port.source(), false));
        if is_empty { Self::lose(slf, None) } else { Self::watch(slf) }
    }

    /// Close the transport at once: what the system does not take now is lost.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        // It was not sent at once to save a call, and not to be lost.
        writing::send_if_unsent(slf)?;
        Self::lose(slf, None)
    }

    fn _force_close(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Self::lose(slf, error)
    }

    // ------------------------------------------------------------------ reading

    /// Whether the transport is receiving data.
    fn is_reading(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.phase == Phase::Open && !state.is_paused)
    }

    /// Stop giving data to the protocol.
    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::set_paused(slf, true)
    }

    /// Go on giving data to the protocol.
    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::set_paused(slf, false)
    }

    // ------------------------------------------------------------------ writing

    /// Send data to the peer, by the end of the turn.
    pub(crate) fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        writing::write(slf, data)
    }

    /// Send several pieces of data to the peer, by the end of the turn.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        list_of_data.try_iter()?.try_for_each(|data| writing::write(slf, &data?))
    }

    /// End the writing half of the connection when what was written is sent.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().direction == Direction::Write {
            return Self::close(slf);
        }
        writing::end(slf)
    }

    /// Whether `write_eof` is supported.
    #[allow(clippy::unused_self, reason = "asyncio has it as a method")]
    fn can_write_eof(&self) -> bool {
        true
    }

    /// Return the number of bytes that wait to be sent.
    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.flow.len())
    }

    /// Return the water marks `(low, high)` in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state.with(py, |state| state.flow.limits())
    }

    /// Set the water marks in bytes.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(slf: &Bound<'_, Self>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
        writing::set_limits(slf, high, low)
    }

    // ------------------------------------------------------------------ what asyncio's sendfile and TLS ask for

    #[classattr]
    fn _start_tls_compatible() -> bool {
        true
    }

    #[classattr]
    fn _sendfile_compatible(py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.import("asyncio.constants")?.getattr("_SendfileMode")?.getattr("TRY_NATIVE")?.unbind())
    }

    #[getter]
    fn _closing(&self, py: Python<'_>) -> bool {
        self.is_closing_now(py)
    }

    #[getter]
    fn _paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.is_paused)
    }

    #[getter]
    fn _protocol_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.flow.is_paused())
    }

    #[getter]
    fn _protocol_context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    #[getter]
    fn _sock(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.socket(py)
    }

    #[getter]
    fn _sock_fd(&self) -> RawFd {
        self.port.number()
    }

    /// A future that is done when nothing waits to be sent.
    fn _make_empty_waiter(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if this.state.with(py, |state| state.rare.as_ref().is_some_and(|rare| rare.empty.is_some())) {
            return Err(PyRuntimeError::new_err("Empty waiter is already set"));
        }
        writing::send_if_unsent(slf)?;
        let future = this.core.bind(py).call_method0(intern!(py, "create_future"))?;
        let is_empty = this.state.with(py, |state| {
            state.rare.get_or_insert_default().empty = Some(future.clone().unbind());
            state.flow.is_empty()
        });
        // The descriptor is lent to whoever sends the file.
        this.core.get().watchers.with(py, |watchers| watchers.set_owned(this.port.source(), false));
        if is_empty {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(future.unbind())
    }

    fn _reset_empty_waiter(&self, py: Python<'_>) {
        let (empty, is_open) = self
            .state
            .with(py, |state| (state.rare.as_mut().and_then(|rare| rare.empty.take()), state.phase == Phase::Open));
        drop(empty);
        if is_open {
            self.core.get().watchers.with(py, |watchers| watchers.set_owned(self.port.source(), true));
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = self.class(py)?.getattr(intern!(py, "__name__"))?;
        let (phase, reads, writes, size) =
            self.state.with(py, |state| (state.phase, state.reads, state.writes, state.flow.len()));
        let reads = (self.direction != Direction::Write).then_some(reads);
        let writes = (self.direction != Direction::Read).then_some((writes, size));
        let is_closed_loop = self.core.get().is_closed();
        Ok(describe(&name.to_string(), self.port.number(), phase, is_closed_loop, reads, writes))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is_made() {
            return Ok(());
        }
        visit.call(&self.core)?;
        visit.call(&self.context)?;
        self.extra.traverse(&visit)?;
        let visited = self.state.visit(|state| {
            visit.call(&state.protocol)?;
            if let File::Object(file) = &state.file {
                visit.call(file)?;
            }
            visit.call(&state.server)?;
            match &state.link {
                Link::None => {}
                Link::Stream(stream) => visit.call(stream)?,
                Link::Tls(tls) => visit.call(tls)?,
            }
            state.rare.as_ref().map_or(Ok(()), |rare| {
                visit.call(&rare.waiter)?;
                visit.call(&rare.empty)?;
                visit.call(&rare.error)
            })
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, |state| {
            let link = std::mem::take(&mut state.link);
            (state.protocol.take(), link, state.rare.take())
        }));
    }
}

impl StreamTransport {
    fn set_paused(slf: &Bound<'_, Self>, is_paused: bool) -> PyResult<()> {
        if slf.get().direction == Direction::Write {
            return Err(PyNotImplementedError::new_err("the writing end of a pipe can't be read from"));
        }
        let changes = slf.get().state.with(slf.py(), |state| {
            state.phase == Phase::Open && std::mem::replace(&mut state.is_paused, is_paused) != is_paused
        });
        if changes { Self::watch(slf) } else { Ok(()) }
    }

    /// The peer has ended its half: there is nothing more to watch for.
    pub(super) fn stop_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state.with(slf.py(), |state| state.is_at_end = true);
        Self::watch(slf)
    }

    /// The `socket.socket` of the connection. For one that was accepted here it is made when it is first asked for, and closes the
    /// descriptor from then on.
    pub(super) fn socket(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let file = self.state.with(py, |state| match &state.file {
            File::Object(file) => Some(Some(file.clone_ref(py))),
            File::Own(_) | File::Simulated(_) => None,
            File::Closed => Some(None),
        });
        if let Some(known) = file {
            return Ok(known);
        }
        let socket = match self.port {
            Port::Real(port) => {
                let options = PyDict::new(py);
                options.set_item(intern!(py, "fileno"), port.number())?;
                Names::get(py)?.socket.bind(py).call((), Some(&options))?
            }
            Port::Simulated(id) => sockets::object_of(self.core.bind(py), id)?,
        };
        // It is, and the object does not know it yet.
        socket.call_method1(intern!(py, "setblocking"), (false,))?;
        let socket = socket.unbind();
        let object = File::Object(socket.clone_ref(py));
        if let File::Own(fd) = self.state.with(py, |state| std::mem::replace(&mut state.file, object)) {
            // It is the object's now.
            let _ = fd.into_raw_fd();
        }
        Ok(Some(socket))
    }

    /// Whether the host has crashed that the simulated socket was on: nobody is there to be blamed for not closing it.
    fn is_of_the_dead(&self, py: Python<'_>) -> bool {
        graves::is_buried(self.core.get(), py, self.port)
    }

    fn close_file(&self, py: Python<'_>, file: File) -> PyResult<()> {
        let world = &self.core.get().world;
        let closed = file.close(py, world);
        // Its object, if it has one, may have been closed where nothing of the simulation is known.
        if let Port::Simulated(id) = self.port {
            world.close_socket(py, id);
        }
        closed
    }

    /// Sends what was written in this turn.
    pub(super) fn send_now(slf: &Bound<'_, Self>) -> PyResult<()> {
        writing::send_if_unsent(slf)
    }
}

impl Drop for StreamTransport {
    /// A transport that nobody closed: asyncio warns, and closes it.
    fn drop(&mut self) {
        Python::attach(|py| {
            let (phase, file, server, size) = self.state.with(py, |state| {
                let file = std::mem::replace(&mut state.file, File::Closed);
                (state.phase, file, state.server.take(), state.flow.len())
            });
            if matches!(file, File::Closed) {
                return;
            }
            if self.is_of_the_dead(py) {
                // What it says to that is of no interest to anybody.
                drop(self.close_file(py, file));
                return;
            }
            if phase == Phase::Open {
                self.core.get().watchers.with(py, |watchers| watchers.set_owned(self.port.source(), false));
            }
            close_unclosed(py, self.port.number(), size, || {
                let closed = self.close_file(py, file);
                if let Some(server) = server {
                    // The server has forgotten the transport by itself, being told of its end by a weak reference; it is to look whether it was the last.
                    Names::get(py)?.detach(server.bind(py), server.bind(py))?;
                }
                closed
            });
        });
    }
}

/// Whether the protocol gives the buffers that are read into: an `asyncio.BufferedProtocol`, or one that only has its methods.
pub(super) fn is_buffered(protocol: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = protocol.py();
    if protocol.is_instance(Names::get(py)?.buffered_protocol.bind(py))? {
        return Ok(true);
    }
    Ok(protocol.hasattr(intern!(py, "get_buffer"))? && !protocol.hasattr(intern!(py, "data_received"))?)
}
