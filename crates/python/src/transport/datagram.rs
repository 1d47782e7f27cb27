//! `DatagramTransport`: datagrams over a socket.
//!
//! Ground rules are those of streams. A datagram is sent at once; it waits only if the system takes no more, and all that come after it wait
//! behind it. What has come is read several at a time, as long as there seem to be several: each goes to the protocol before the next one
//! is read. Beyond asyncio: the errors of datagrams that waited don't keep the rest from being sent, a connected peer needs no name, and
//! all methods of the protocol run in the transport's context.

use super::common::{DEFAULT_HIGH, LOST_WRITES, Reporter, close_unclosed, describe, set_result, water_marks};
use super::extra::Extra;
use super::is_transient;
use super::peers::{self, Family, Peers};
use super::state::{Answer, Phase, Step};
use super::writing::chunk;
use crate::context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::context::copy_current;
use crate::ffi::gc::Made;
use crate::graves;
use crate::job::Scheduled;
use crate::names::Names;
use crate::port::Port;
use crate::sockets;
use crate::watchers::{Side, Sink};
use crate::watching::descriptor;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyTuple};
use soliloop_engine::flow::{Advice, Marks};
use soliloop_engine::world::real::{Kind, Sender};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// A transport of a datagram socket, made by the loop.
#[pyclass(frozen, weakref, dict, module = "soliloop._soliloop")]
pub(crate) struct DatagramTransport {
    made: Made,
    core: Py<LoopCore>,
    /// What the protocol's methods run in.
    context: Py<PyAny>,
    port: Port,
    family: Family,
    /// The only address that `sendto` takes.
    address: Option<Py<PyAny>>,
    /// Whether the socket is connected to a peer that has a name.
    has_peer: bool,
    state: GilCell<State>,
    extra: Extra,
}

#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other; the states are in `phase`")]
struct State {
    phase: Phase,
    /// `None` once it has been told of the end.
    protocol: Option<Py<PyAny>>,
    /// The `socket.socket`; `None` once it is closed.
    socket: Option<Py<PyAny>>,
    peers: Peers,
    waiting: VecDeque<Waiting>,
    /// What waits, in bytes.
    size: usize,
    marks: Marks,
    /// The protocol asked for a rest.
    is_paused: bool,
    /// What the loop watches for.
    reads: bool,
    writes: bool,
    /// What has become ready, and whether a job is on its way.
    is_readable: bool,
    is_writable: bool,
    is_scheduled: bool,
    /// How many datagrams to take at once.
    batch: u32,
    /// Datagrams that were to be sent after the end.
    late: u32,
    /// Done when the protocol has been told of the beginning.
    waiter: Option<Py<PyAny>>,
    /// Why the end has come.
    error: Option<Py<PyAny>>,
    answer: Answer,
}

/// A datagram that the system did not take at once.
struct Waiting {
    data: PyBackedBytes,
    target: Target,
}

/// Where a datagram goes.
enum Target {
    /// To the peer that the socket is connected to.
    Peer,
    Internet(SocketAddr),
    /// To an address that the module `socket` has to look at.
    Object(Py<PyAny>),
}

impl DatagramTransport {
    fn schedule(slf: &Bound<'_, Self>, step: Step) {
        let job = Scheduled::Datagram(slf.clone().unbind(), step);
        slf.get().core.get().engine.with(slf.py(), |engine| engine.push(job));
    }

    /// Whether an answer of the real world may come.
    pub(crate) fn is_asking(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.answer.is_due())
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
        is_new.then(|| Scheduled::Datagram(slf.clone_ref(py), Step::Ready))
    }

    #[inline]
    fn on_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (readable, writable, batch) = slf.get().state.with(slf.py(), |state| {
            state.is_scheduled = false;
            (std::mem::take(&mut state.is_readable), std::mem::take(&mut state.is_writable), state.batch)
        });
        if readable {
            let this = slf.get();
            this.tell(slf.py(), || Self::receive(slf, batch))?;
        }
        if writable { Self::send_waiting(slf) } else { Ok(()) }
    }

    fn on_begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(protocol) = this.protocol(py) {
            let method = protocol.getattr(intern!(py, "connection_made"));
            let made = method.and_then(|method| this.tell(py, || method.call1((slf,))));
            if let Err(error) = made {
                this.report_callback(slf, error, "connection_made", &PyTuple::new(py, [slf])?)?;
            }
        }
        if let Err(error) = Self::watch(slf) {
            Self::fatal(slf, error, "The descriptor can't be watched")?;
        }
        let waiter = this.state.with(py, |state| state.waiter.take());
        waiter.map_or(Ok(()), |waiter| set_result(waiter.bind(py)))
    }

    fn on_end(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let error = this.state.with(py, |state| state.error.take());
        let told = this.protocol(py).map_or(Ok(()), |protocol| {
            this.tell(py, || protocol.call_method1(intern!(py, "connection_lost"), (error,)).map(drop))
        });
        let reported = match told {
            Ok(()) => Ok(()),
            Err(error) => this.report_callback(slf, error, "connection_lost", &PyTuple::empty(py)),
        };
        let (protocol, socket, waiter) = this.state.with(py, |state| {
            state.phase = Phase::Closed;
            (state.protocol.take(), state.socket.take(), state.waiter.take())
        });
        drop((protocol, waiter));
        let closed = socket.map_or(Ok(()), |socket| this.close_socket(py, &socket));
        reported.and(closed)
    }

    // ------------------------------------------------------------------ reading

    /// Gives the protocol what has come. It runs in the transport's context.
    fn receive(slf: &Bound<'_, Self>, batch: u32) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        for count in 0..batch {
            // Asked each time: the last one may have closed the transport, or given it another protocol.
            let protocol = this.state.with(py, |state| {
                let is_wanted = state.phase == Phase::Open && !state.is_paused;
                state.protocol.as_ref().filter(|_| is_wanted).map(|protocol| protocol.clone_ref(py))
            });
            let Some(protocol) = protocol else { return Ok(()) };
            let protocol = protocol.into_bound(py);
            let told = match this.take(py) {
                Ok(Some((data, address))) => {
                    protocol.call_method1(intern!(py, "datagram_received"), (data, address)).map(drop)
                }
                Ok(None) => {
                    this.state.with(py, |state| state.batch = count.max(1));
                    return Ok(());
                }
                Err(error) if error.is_instance_of::<PyOSError>(py) => {
                    let told = protocol.call_method1(intern!(py, "error_received"), (error.into_value(py),));
                    return this.unless_failed(slf, told.map(drop), "error_received");
                }
                Err(error) => return Self::fatal(slf, error, "Fatal read error on datagram transport"),
            };
            this.unless_failed(slf, told, "datagram_received")?;
        }
        this.state.with(py, |state| state.batch = (batch * 2).min(LARGEST_BATCH));
        Ok(())
    }

    /// Reads one datagram, if there is one.
    #[inline]
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        if self.family == Family::Other {
            return self.take_slowly(py);
        }
        let core = self.core.get();
        match core.io.receive_from(py, &core.world, self.port) {
            Ok(Some((data, sender))) => {
                self.state.with(py, |state| state.answer = Answer::None);
                Ok(Some((data.into_any(), self.sender(py, sender)?)))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error::of_system(&error)),
        }
    }

    #[inline]
    fn sender<'py>(&self, py: Python<'py>, sender: Sender) -> PyResult<Bound<'py, PyAny>> {
        let Sender::Internet(address) = sender else { return peers::sender(py, &self.core.get().world, sender) };
        if let Some(tuple) = self.state.with(py, |state| state.peers.tuple(py, address)) {
            return Ok(tuple);
        }
        let tuple = peers::sender(py, &self.core.get().world, sender)?;
        self.state.with(py, |state| state.peers.keep(address, &tuple));
        Ok(tuple)
    }

    #[cold]
    fn take_slowly<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let Some(socket) = self.socket(py) else { return Ok(None) };
        match socket.bind(py).call_method1(intern!(py, "recvfrom"), (super::READ_SIZE,)) {
            Ok(received) => received.extract().map(Some),
            Err(error) if is_passing(py, &error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    // ------------------------------------------------------------------ writing

    /// Hands a datagram to the system; gives whether it was taken.
    #[inline]
    fn transmit(&self, py: Python<'_>, data: &PyBackedBytes, target: &Target) -> PyResult<bool> {
        let to = match target {
            Target::Peer => None,
            Target::Internet(address) => Some(*address),
            Target::Object(address) => return self.transmit_slowly(py, data, address),
        };
        match self.port.send_to(py, &self.core.get().world, data, to) {
            Ok(()) => {
                self.state.with(py, |state| state.answer = Answer::possible(&self.core.get().world, self.port));
                Ok(true)
            }
            Err(error) if is_transient(&error) => Ok(false),
            Err(error) => Err(error::of_system(&error)),
        }
    }

    fn transmit_slowly(&self, py: Python<'_>, data: &PyBackedBytes, address: &Py<PyAny>) -> PyResult<bool> {
        let Some(socket) = self.socket(py) else { return Ok(true) };
        match socket.bind(py).call_method1(intern!(py, "sendto"), (data, address)) {
            Ok(_) => Ok(true),
            Err(error) if is_passing(py, &error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn target(&self, to: Option<&Bound<'_, PyAny>>) -> Target {
        let Some(to) = to.filter(|_| !self.has_peer) else { return Target::Peer };
        let known = self.state.with(to.py(), |state| state.peers.address(to));
        match known.or_else(|| peers::parse(to, self.family)) {
            Some(address) => Target::Internet(address),
            None => Target::Object(to.clone().unbind()),
        }
    }

    /// Sends what waits, as much as is taken.
    fn send_waiting(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        // One by one: the protocol may be told of an error in between.
        while let Some(first) = this.state.with(py, |state| state.waiting.pop_front()) {
            let sent = this.transmit(py, &first.data, &first.target);
            if matches!(sent, Ok(false)) {
                let unsent = this.state.with(py, |state| {
                    if state.phase >= Phase::Losing {
                        return Some(first);
                    }
                    state.waiting.push_front(first);
                    None
                });
                drop(unsent);
                break;
            }
            this.state.with(py, |state| state.size = state.size.saturating_sub(first.data.len() + HEADER));
            if let Err(error) = sent {
                let told = Self::on_send_error(slf, error);
                this.unless_failed(slf, told, "error_received")?;
            }
        }
        Self::follow_advice(slf)?;
        Self::watch(slf)?;
        let is_over = this.state.with(py, |state| state.phase == Phase::Closing && state.waiting.is_empty());
        if is_over { Self::lose(slf, None) } else { Ok(()) }
    }

    /// A datagram can't be sent.
    ///
    /// # Errors
    /// What the protocol's `error_received` raises, and what the exception handler itself does.
    #[cold]
    fn on_send_error(slf: &Bound<'_, Self>, error: PyErr) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if !error.is_instance_of::<PyOSError>(py) {
            return Self::fatal(slf, error, "Fatal write error on datagram transport");
        }
        let Some(protocol) = this.protocol(py) else { return Ok(()) };
        let error = error.into_value(py);
        this.tell(py, || protocol.call_method1(intern!(py, "error_received"), (error,)).map(drop))
    }

    /// Asks the protocol to pause or to go on, if it is time to.
    fn follow_advice(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let advice = this
            .state
            .with(py, |state| if state.phase < Phase::Losing { state.marks.advise(state.size) } else { Advice::None });
        let (method, message) = match advice {
            Advice::None => return Ok(()),
            Advice::Pause => (intern!(py, "pause_writing"), "protocol.pause_writing() failed"),
            Advice::Resume => (intern!(py, "resume_writing"), "protocol.resume_writing() failed"),
        };
        let Some(protocol) = this.protocol(py) else { return Ok(()) };
        match this.tell(py, || protocol.call_method0(method)) {
            Ok(_) => Ok(()),
            Err(error) => this.reporter(slf.as_any()).report(error, message),
        }
    }

    // ------------------------------------------------------------------ what the rest stands on

    /// Has the loop watch for what is wanted now.
    fn watch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let changes = this.state.with(py, |state| {
            let reads = state.phase == Phase::Open && !state.is_paused;
            let writes = state.phase < Phase::Losing && !state.waiting.is_empty();
            [
                (Side::Reader, std::mem::replace(&mut state.reads, reads), reads),
                (Side::Writer, std::mem::replace(&mut state.writes, writes), writes),
            ]
        });
        for (side, was, wanted) in changes {
            if wanted && !was {
                let sink = Sink::Datagram(slf.clone().unbind());
                drop(LoopCore::watch_for(this.core.bind(py), this.port.source(), side, sink)?);
            } else if was && !wanted {
                drop(this.core.get().unwatch(py, this.port.source(), side));
            }
        }
        Ok(())
    }

    /// Has the protocol told of the end: nothing more is read or sent.
    fn lose(slf: &Bound<'_, Self>, error: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let error = error.map(Bound::unbind);
        let unsent = this.state.with(py, |state| {
            if state.phase >= Phase::Losing {
                return None;
            }
            state.phase = Phase::Losing;
            state.size = 0;
            state.error = error;
            Some(std::mem::take(&mut state.waiting))
        });
        let Some(unsent) = unsent else { return Ok(()) };
        drop(unsent);
        this.core.get().watchers.with(py, |watchers| watchers.set_owned(this.port.source(), false));
        let watched = Self::watch(slf);
        Self::schedule(slf, Step::End);
        watched
    }

    #[cold]
    fn fatal(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let value = slf.get().reporter(slf.as_any()).report_fatal(error, message)?;
        Self::lose(slf, Some(value))
    }

    /// Calls `call`, a method of the protocol, in the transport's context.
    #[inline]
    fn tell<R>(&self, py: Python<'_>, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        context::call_in(self.context.bind(py), &self.core.get().nest, call)
    }

    fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let protocol = self.state.with(py, |state| state.protocol.as_ref().map(|protocol| protocol.clone_ref(py)));
        protocol.map(|protocol| protocol.into_bound(py))
    }

    fn socket(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| state.socket.as_ref().map(|socket| socket.clone_ref(py)))
    }

    fn reporter<'a, 'py>(&'a self, transport: &'a Bound<'py, PyAny>) -> Reporter<'a, 'py> {
        let py = transport.py();
        Reporter { core: self.core.bind(py), transport, protocol: self.protocol(py) }
    }

    /// A method of the protocol has failed or not: the transport goes on.
    #[inline]
    fn unless_failed(&self, slf: &Bound<'_, Self>, told: PyResult<()>, method: &str) -> PyResult<()> {
        match told {
            Ok(()) => Ok(()),
            Err(error) => self.report_callback(slf, error, method, &PyTuple::empty(slf.py())),
        }
    }

    #[cold]
    fn report_callback(
        &self,
        slf: &Bound<'_, Self>,
        error: PyErr,
        method: &str,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let py = slf.py();
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        let reporter = self.reporter(slf.as_any());
        let method = reporter.protocol.as_ref().map(|protocol| protocol.getattr(method)).transpose()?;
        let method = method.unwrap_or_else(|| py.None().into_bound(py));
        reporter.report_callback(error, &method, args)
    }

    fn close_socket(&self, py: Python<'_>, socket: &Py<PyAny>) -> PyResult<()> {
        let closed = socket.call_method0(py, intern!(py, "close")).map(drop);
        if let Port::Simulated(id) = self.port {
            self.core.get().world.close_socket(py, id);
        }
        closed
    }

    fn set_paused(slf: &Bound<'_, Self>, is_paused: bool) -> PyResult<()> {
        let changes = slf.get().state.with(slf.py(), |state| {
            state.phase == Phase::Open && std::mem::replace(&mut state.is_paused, is_paused) != is_paused
        });
        if changes { Self::watch(slf) } else { Ok(()) }
    }

    #[cold]
    fn warn_of_late(py: Python<'_>, count: u32) -> PyResult<()> {
        if count <= LOST_WRITES {
            return Ok(());
        }
        let text = "sendto() of a closed transport was called.";
        Names::get(py)?.logger.bind(py).call_method1(intern!(py, "warning"), (text,)).map(drop)
    }
}

#[pymethods]
impl DatagramTransport {
    /// *address* is the only one that `sendto` takes, if there is one.
    #[new]
    #[pyo3(signature = (core, socket, protocol, address = None, waiter = None, extra = None))]
    fn new(
        core: &Bound<'_, LoopCore>,
        socket: Bound<'_, PyAny>,
        protocol: Py<PyAny>,
        address: Option<Bound<'_, PyAny>>,
        waiter: Option<Py<PyAny>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<Self>> {
        let py = core.py();
        let fd: RawFd = descriptor(&socket)?;
        let port = sockets::claim(core, &socket, fd)?.port(Kind::Socket);
        let extra = Extra::of_file(&socket, extra, Kind::Socket)?;
        let has_peer = match extra.known(py, "peername")? {
            Some(name) => name.is_truthy(py)?,
            None => false,
        };
        let family = Family::of_number(socket.getattr(intern!(py, "family"))?.extract()?);
        let address = match address {
            Some(address) if address.is_truthy()? => Some(address.unbind()),
            _ => None,
        };
        let state = State {
            phase: Phase::Open,
            protocol: Some(protocol),
            socket: Some(socket.unbind()),
            peers: Peers::new(),
            waiting: VecDeque::new(),
            size: 0,
            marks: Marks::new(),
            is_paused: false,
            reads: false,
            writes: false,
            is_readable: false,
            is_writable: false,
            is_scheduled: false,
            batch: 1,
            late: 0,
            waiter,
            error: None,
            answer: Answer::None,
        };
        let transport = Self {
            made: Made::yes(),
            core: core.clone().unbind(),
            context: copy_current(py)?.unbind(),
            port,
            family,
            address,
            has_peer,
            state: GilCell::new(state),
            extra,
        };
        let transport = Bound::new(py, transport)?;
        core.get().watchers.with(py, |watchers| watchers.set_owned(port.source(), true));
        Self::schedule(&transport, Step::Begin);
        Ok(transport.unbind())
    }

    /// The class that `isinstance` sees: one of asyncio's, which this one can't derive from.
    #[getter(__class__)]
    #[allow(clippy::unused_self, reason = "a getter has it")]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let [_, _, _, class, _] = Names::transport_classes(py)?;
        Ok(class.bind(py).clone())
    }

    /// Return the protocol.
    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py).map(Bound::unbind)
    }

    /// Exchange the protocol.
    fn set_protocol(&self, py: Python<'_>, protocol: Py<PyAny>) {
        drop(self.state.with(py, |state| state.protocol.replace(protocol)));
    }

    /// Return information about the transport (asyncio docs, `BaseTransport.get_extra_info`).
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.extra.known(py, name)?.or(default))
    }

    // ------------------------------------------------------------------ closing

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.phase > Phase::Open)
    }

    /// Close the transport: what waits is still sent.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let is_empty = this.state.with(py, |state| {
            if state.phase > Phase::Open {
                return None;
            }
            state.phase = Phase::Closing;
            Some(state.waiting.is_empty())
        });
        // Its number may be another one's by now.
        let Some(is_empty) = is_empty else { return Ok(()) };
        this.core.get().watchers.with(py, |watchers| watchers.set_owned(this.port.source(), false));
        if is_empty { Self::lose(slf, None) } else { Self::watch(slf) }
    }

    /// Close the transport at once: what waits is lost.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::lose(slf, None)
    }

    // ------------------------------------------------------------------ reading

    /// Whether the transport is receiving datagrams.
    fn is_reading(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.phase == Phase::Open && !state.is_paused)
    }

    /// Stop giving datagrams to the protocol.
    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::set_paused(slf, true)
    }

    /// Go on giving datagrams to the protocol.
    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::set_paused(slf, false)
    }

    // ------------------------------------------------------------------ writing

    /// Send a datagram; *addr* is for sockets that are not connected.
    #[pyo3(signature = (data, addr = None))]
    fn sendto<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>, addr: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let data = chunk(data)?;
        let only = this.address.as_ref().map(|only| only.bind(py));
        if let (Some(only), Some(addr)) = (only, addr)
            && !addr.is(only)
            && !addr.eq(only)?
        {
            return Err(PyValueError::new_err(format!("Invalid address: must be None or {}", only.str()?)));
        }
        let target = this.target(only.or(addr));
        let (is_open, is_first) = this.state.with(py, |state| {
            let is_open = state.phase == Phase::Open;
            state.late += u32::from(!is_open);
            (is_open, state.waiting.is_empty())
        });
        if !is_open {
            return Self::warn_of_late(py, this.state.with(py, |state| state.late));
        }
        if is_first {
            match this.transmit(py, &data, &target) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Self::on_send_error(slf, error),
            }
        }
        this.state.with(py, |state| {
            state.size += data.len() + HEADER;
            state.waiting.push_back(Waiting { data, target });
        });
        if is_first {
            Self::watch(slf)?;
        }
        Self::follow_advice(slf)
    }

    /// Return the number of bytes that wait to be sent.
    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.size)
    }

    /// Return the water marks `(low, high)` in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state.with(py, |state| state.marks.limits())
    }

    /// Set the water marks in bytes.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(slf: &Bound<'_, Self>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
        let (low, high) = water_marks(high, low, DEFAULT_HIGH)?;
        slf.get().state.with(slf.py(), |state| state.marks.set_limits(low, high));
        Self::follow_advice(slf)
    }

    #[getter]
    fn _sock(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.socket(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = self.class(py)?.getattr(intern!(py, "__name__"))?;
        let (phase, reads, writes) =
            self.state.with(py, |state| (state.phase, state.reads, (state.writes, state.size)));
        let is_closed_loop = self.core.get().is_closed();
        Ok(describe(&name.to_string(), self.port.number(), phase, is_closed_loop, Some(reads), Some(writes)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is_made() {
            return Ok(());
        }
        visit.call(&self.core)?;
        visit.call(&self.context)?;
        visit.call(&self.address)?;
        self.extra.traverse(&visit)?;
        let visited = self.state.visit(|state| {
            visit.call(&state.protocol)?;
            visit.call(&state.socket)?;
            for waiting in &state.waiting {
                if let Target::Object(address) = &waiting.target {
                    visit.call(address)?;
                }
            }
            visit.call(&state.waiter)?;
            visit.call(&state.error)
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        let (protocol, waiter, error) =
            self.state.with(py, |state| (state.protocol.take(), state.waiter.take(), state.error.take()));
        drop((protocol, waiter, error));
    }
}

impl Drop for DatagramTransport {
    /// A transport that nobody closed: asyncio warns, and closes it.
    fn drop(&mut self) {
        Python::attach(|py| {
            let (phase, socket, size) = self.state.with(py, |state| (state.phase, state.socket.take(), state.size));
            let Some(socket) = socket else { return };
            if graves::is_buried(self.core.get(), py, self.port) {
                // What it says to that is of no interest to anybody.
                drop(self.close_socket(py, &socket));
            } else {
                if phase == Phase::Open {
                    self.core.get().watchers.with(py, |watchers| watchers.set_owned(self.port.source(), false));
                }
                close_unclosed(py, self.port.number(), size, || self.close_socket(py, &socket));
            }
        });
    }
}

/// Whether the same call of a socket may succeed later.
fn is_passing(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py)
}

/// Bytes that a waiting datagram counts beside its data: as asyncio.
const HEADER: usize = 8;
/// Datagrams that are read before others have their turn.
const LARGEST_BATCH: u32 = 64;
