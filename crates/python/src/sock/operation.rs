//! One try of each `sock_*` call.
//!
//! Bytes of a plain `socket.socket` are moved by system calls that never block, whatever the socket is set to. All else goes through the
//! methods of the socket object: datagrams with their addresses, connections, and sockets of other classes.

use super::call::Work;
use super::readiness::Calls;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::buffer::{Readable, Writable};
use crate::names::Names;
use crate::port::Source;
use crate::transport::{READ_SIZE, Received, is_transient};
use crate::watchers::Side;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError, PyStopIteration, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView, PyTuple};
use soliloop_engine::world::real::{Kind, SocketKind};
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;

/// The socket of a call.
pub(crate) struct Socket {
    object: Py<PyAny>,
    is_plain: bool,
    /// The number of its descriptor, as it was at the beginning of the try.
    number: RawFd,
    /// What is behind that number.
    source: Source,
    /// Whether it is known to be a stream of the Unix family.
    is_unix: bool,
}

/// What a call does, with its arguments as they were given.
pub(crate) enum Operation {
    Receive(Py<PyAny>),
    ReceiveInto(Py<PyAny>),
    ReceiveFrom(Py<PyAny>),
    ReceiveFromInto(Py<PyAny>, isize),
    SendAll { data: Py<PyAny>, memory: Option<Readable>, sent: usize },
    SendTo(Py<PyAny>, Py<PyAny>),
    Connect { address: Py<PyAny>, stage: Stage },
    Accept,
}

/// How far a connection has come.
pub(crate) enum Stage {
    New,
    /// The coroutine that resolves the address.
    Resolving(Py<PyAny>),
    Resolved,
    Connecting,
}

/// What has become of a try.
pub(crate) enum Outcome<'py> {
    /// It is over; no result is `None`.
    Done(Option<Bound<'py, PyAny>>),
    /// The socket is not ready.
    Waits(Side),
    /// It was known before that the socket is not ready.
    Queued,
    /// Something else is to be waited for.
    WaitsFor(Bound<'py, PyAny>),
}

impl Work {
    /// Tries.
    #[inline]
    pub(crate) fn attempt<'py>(&mut self, core: &Bound<'py, LoopCore>) -> PyResult<Outcome<'py>> {
        let py = core.py();
        let socket = &self.socket;
        match &mut self.operation {
            Operation::Receive(size) => socket.receive(core, size.bind(py)),
            Operation::ReceiveInto(buffer) => socket.receive_into(core, buffer.bind(py)),
            Operation::ReceiveFrom(size) => {
                outcome(py, Side::Reader, socket.object(py).call_method1(intern!(py, "recvfrom"), (&*size,)))
            }
            Operation::ReceiveFromInto(buffer, size) => {
                if *size == 0 {
                    *size = buffer.bind(py).len()?.cast_signed();
                }
                let received = socket.object(py).call_method1(intern!(py, "recvfrom_into"), (&*buffer, *size));
                outcome(py, Side::Reader, received)
            }
            Operation::SendAll { data, memory, sent } => socket.send_all(core, data.bind(py), memory, sent),
            Operation::SendTo(data, address) => {
                outcome(py, Side::Writer, socket.object(py).call_method1(intern!(py, "sendto"), (&*data, &*address)))
            }
            Operation::Connect { address, stage } => socket.connect(core, address, stage),
            Operation::Accept => socket.accept(py),
        }
    }

    /// Lets go of everything. Cheaper than a drop, which would ask each time whether the thread is attached.
    #[inline]
    pub(crate) fn release(self, py: Python<'_>) {
        drop(self.socket.object.into_bound(py));
        match self.operation {
            Operation::Receive(object)
            | Operation::ReceiveInto(object)
            | Operation::SendAll { data: object, memory: None, .. } => drop(object.into_bound(py)),
            other => drop(other),
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.socket.object)?;
        match &self.operation {
            Operation::Receive(object)
            | Operation::ReceiveInto(object)
            | Operation::ReceiveFrom(object)
            | Operation::ReceiveFromInto(object, _)
            | Operation::SendAll { data: object, .. } => visit.call(object),
            Operation::SendTo(data, address) => visit.call(data).and_then(|()| visit.call(address)),
            Operation::Connect { address, stage } => {
                visit.call(address)?;
                if let Stage::Resolving(coroutine) = stage { visit.call(coroutine) } else { Ok(()) }
            }
            Operation::Accept => Ok(()),
        }
    }
}

impl Operation {
    pub(crate) const fn send_all(data: Py<PyAny>) -> Self {
        Self::SendAll { data, memory: None, sent: 0 }
    }

    pub(crate) const fn connect(address: Py<PyAny>) -> Self {
        Self::Connect { address, stage: Stage::New }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Receive(_) => "sock_recv",
            Self::ReceiveInto(_) => "sock_recv_into",
            Self::ReceiveFrom(_) => "sock_recvfrom",
            Self::ReceiveFromInto(..) => "sock_recvfrom_into",
            Self::SendAll { .. } => "sock_sendall",
            Self::SendTo(..) => "sock_sendto",
            Self::Connect { .. } => "sock_connect",
            Self::Accept => "sock_accept",
        }
    }

    /// The side whose readiness the first try needs; `None` if it is to be tried in any case.
    #[inline]
    pub(crate) const fn side(&self) -> Option<Side> {
        match self {
            Self::Connect { .. } => None,
            Self::SendAll { .. } | Self::SendTo(..) => Some(Side::Writer),
            _ => Some(Side::Reader),
        }
    }

    /// Whether a stream socket stays open until it is over.
    pub(crate) const fn holds(&self) -> bool {
        matches!(self, Self::Receive(_) | Self::ReceiveInto(_) | Self::SendAll { .. } | Self::Connect { .. })
    }

    /// The coroutine that is waited for.
    pub(crate) fn elsewhere(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self {
            Self::Connect { stage: Stage::Resolving(coroutine), .. } => Some(coroutine.clone_ref(py)),
            _ => None,
        }
    }
}

impl Socket {
    pub(crate) const fn new(object: Py<PyAny>) -> Self {
        Self { object, is_plain: false, number: -1, source: Source::Descriptor(-1), is_unix: false }
    }

    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }

    /// Whether it is exactly a `socket.socket`.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// From now on its methods are called, until it is looked at anew.
    #[cold]
    pub(crate) const fn use_methods(&mut self) {
        self.is_plain = false;
    }

    pub(crate) fn note_kind(&mut self, kind: SocketKind) {
        self.is_unix = kind.is_unix;
    }

    /// Reads into `buffer`. Gives the number of bytes, and whether the read may have been cut short by more than a lack of bytes.
    #[inline]
    fn read(&self, core: &Bound<'_, LoopCore>, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        let (py, world, port) = (core.py(), &core.get().world, self.source.port(Kind::Socket));
        if self.is_unix {
            port.receive_message(py, world, buffer)
        } else {
            port.receive(py, world, buffer).map(|count| (count, false))
        }
    }

    /// The number of its descriptor, when it was last looked up.
    pub(crate) const fn number(&self) -> RawFd {
        self.number
    }

    /// What was behind that number.
    #[inline]
    pub(crate) const fn source(&self) -> Source {
        self.source
    }

    /// What is behind the number of its descriptor, which is -1 once it is closed.
    #[inline]
    pub(crate) fn look_up(&mut self, core: &Bound<'_, LoopCore>) -> PyResult<Source> {
        let py = core.py();
        self.number = self.object(py).call_method0(intern!(py, "fileno"))?.extract()?;
        self.source = core.get().world.source(py, self.number);
        Ok(self.source)
    }

    /// Refuses what asyncio refuses.
    #[inline]
    pub(crate) fn check(&mut self, core: &Bound<'_, LoopCore>) -> PyResult<()> {
        let py = core.py();
        let object = self.object.bind(py);
        self.is_plain = object.get_type().is(&Names::get(py)?.socket);
        if !self.is_plain
            && let Ok(ssl) = py.import(intern!(py, "ssl"))
            && object.is_instance(&ssl.getattr(intern!(py, "SSLSocket"))?)?
        {
            return Err(PyTypeError::new_err("Socket cannot be of type SSLSocket"));
        }
        if core.get().debug.load(Relaxed) && !object.call_method0(intern!(py, "gettimeout"))?.eq(0)? {
            return Err(PyValueError::new_err("the socket must be non-blocking"));
        }
        Ok(())
    }

    /// Has `close()` wait, as it does for the files of `makefile()`; gives the socket if that is possible.
    #[inline]
    pub(crate) fn hold(&self, py: Python<'_>, kind: SocketKind) -> PyResult<Option<Py<PyAny>>> {
        if !kind.is_stream {
            return Ok(None);
        }
        let (object, name) = (self.object(py), intern!(py, "_io_refs"));
        // What has no such count is no socket, but acts as one.
        let Ok(count) = object.getattr(name).and_then(|count| count.extract::<isize>()) else { return Ok(None) };
        object.setattr(name, count + 1)?;
        Ok(Some(self.object.clone_ref(py)))
    }

    /// Ends what [`Socket::hold`] began.
    #[inline]
    pub(crate) fn let_go(object: &Bound<'_, PyAny>) {
        let py = object.py();
        let name = intern!(py, "_io_refs");
        let done = object.getattr(name).and_then(|count| {
            object.setattr(name, (count.extract::<isize>()? - 1).max(0))?;
            if object.getattr(intern!(py, "_closed"))?.is_truthy()? {
                object.call_method0(intern!(py, "close"))?;
            }
            Ok(())
        });
        if let Err(error) = done {
            error.write_unraisable(py, Some(object));
        }
    }

    #[inline]
    fn receive<'py>(&self, core: &Bound<'py, LoopCore>, size: &Bound<'py, PyAny>) -> PyResult<Outcome<'py>> {
        let py = core.py();
        let limit = if self.is_plain { size.extract::<usize>().unwrap_or(0) } else { 0 };
        if !(1..=READ_SIZE).contains(&limit) {
            return outcome(py, Side::Reader, self.object(py).call_method1(intern!(py, "recv"), (size,)));
        }
        let mut is_cut = false;
        let received = core.get().io.receive_by(py, |buffer| {
            let (count, is_cut_now) = self.read(core, &mut buffer[..limit])?;
            is_cut = is_cut_now;
            Ok(count)
        });
        match received {
            Ok(Received::Data(data)) => {
                if data.as_bytes().len() < limit && !is_cut {
                    self.note_drained(core);
                }
                Ok(Outcome::Done(Some(data.into_any())))
            }
            Ok(Received::End) => Ok(Outcome::Done(Some(PyBytes::new(py, b"").into_any()))),
            Ok(Received::Nothing) => Ok(Outcome::Waits(Side::Reader)),
            Err(error) => Err(error::of_system(&error)),
        }
    }

    #[inline]
    fn receive_into<'py>(&self, core: &Bound<'py, LoopCore>, buffer: &Bound<'py, PyAny>) -> PyResult<Outcome<'py>> {
        let py = core.py();
        let memory = if self.is_plain { Writable::of(buffer).ok().filter(|memory| !memory.is_empty()) } else { None };
        let Some(memory) = memory else {
            return outcome(py, Side::Reader, self.object(py).call_method1(intern!(py, "recv_into"), (buffer,)));
        };
        let mut is_drained = false;
        let received = memory.fill(py, |bytes| {
            let (count, is_cut) = self.read(core, bytes)?;
            is_drained = count < bytes.len() && count > 0 && !is_cut;
            Ok(count)
        });
        match received {
            Ok(count) => {
                if is_drained {
                    self.note_drained(core);
                }
                Ok(Outcome::Done(Some(count.into_pyobject(py)?.into_any())))
            }
            Err(error) if is_transient(&error) => Ok(Outcome::Waits(Side::Reader)),
            Err(error) => Err(error::of_system(&error)),
        }
    }

    /// A read has brought less than it asked for. Nothing but system calls has run since what is known of the socket was looked up, or
    /// since it was registered.
    #[inline]
    fn note_drained(&self, core: &Bound<'_, LoopCore>) {
        let (py, object) = (core.py(), self.object(core.py()));
        core.get().watchers.with(py, |watchers| {
            if let Some(calls) = watchers.calls_mut(self.source).filter(|calls| calls.is_of(object)) {
                calls.note_drained(self.is_unix);
            }
        });
    }

    fn send_all<'py>(
        &self,
        core: &Bound<'py, LoopCore>,
        data: &Bound<'py, PyAny>,
        memory: &mut Option<Readable>,
        sent: &mut usize,
    ) -> PyResult<Outcome<'py>> {
        let py = data.py();
        if !self.is_plain {
            return self.send_all_by_method(data, sent);
        }
        let (world, port) = (&core.get().world, self.source.port(Kind::Socket));
        let send = |bytes: &[u8], sent: &mut usize| {
            loop {
                match port.transmit(py, world, &[IoSlice::new(&bytes[(*sent).min(bytes.len())..])]) {
                    Ok(count) => *sent += count,
                    Err(error) if is_transient(&error) => return Ok(Outcome::Waits(Side::Writer)),
                    Err(error) => return Err(error),
                }
                if *sent >= bytes.len() {
                    return Ok(Outcome::Done(None));
                }
            }
        };
        let outcome = if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            send(bytes.as_bytes(), sent)
        } else {
            if memory.is_none() {
                *memory = Some(match Readable::of(data) {
                    Ok(memory) => memory,
                    Err(_) => Readable::of(&bytes_of(data)?)?,
                });
            }
            memory.as_ref().map_or(Ok(Outcome::Done(None)), |memory| memory.read(py, |bytes| send(bytes, sent)))
        };
        outcome.map_err(|error| error::of_system(&error))
    }

    #[cold]
    fn send_all_by_method<'py>(&self, data: &Bound<'py, PyAny>, sent: &mut usize) -> PyResult<Outcome<'py>> {
        let py = data.py();
        let view = bytes_of(data)?;
        let length = view.len()?;
        loop {
            let rest = if *sent == 0 {
                data.clone()
            } else {
                view.get_item(pyo3::types::PySlice::new(py, sent.cast_signed(), length.cast_signed(), 1))?
            };
            match self.object(py).call_method1(intern!(py, "send"), (rest,)) {
                Ok(count) => *sent += count.extract::<usize>()?,
                Err(error) if is_not_ready(py, &error) => return Ok(Outcome::Waits(Side::Writer)),
                Err(error) => return Err(error),
            }
            if *sent >= length {
                return Ok(Outcome::Done(None));
            }
        }
    }

    fn connect<'py>(
        &self,
        core: &Bound<'py, LoopCore>,
        address: &mut Py<PyAny>,
        stage: &mut Stage,
    ) -> PyResult<Outcome<'py>> {
        let (py, object) = (core.py(), self.object(core.py()));
        if matches!(stage, Stage::New) {
            let family = object.getattr(intern!(py, "family"))?;
            *stage = match family.extract::<i32>() {
                Ok(AF_INET | AF_INET6) => {
                    let options = PyDict::new(py);
                    options.set_item(intern!(py, "family"), family)?;
                    options.set_item(intern!(py, "type"), object.getattr(intern!(py, "type"))?)?;
                    options.set_item(intern!(py, "proto"), object.getattr(intern!(py, "proto"))?)?;
                    options.set_item(intern!(py, "loop"), core)?;
                    let resolve = intern!(py, "_ensure_resolved");
                    Stage::Resolving(core.call_method(resolve, (&*address,), Some(&options))?.unbind())
                }
                _ => Stage::Resolved,
            };
        }
        if let Stage::Resolving(coroutine) = stage {
            match coroutine.bind(py).call_method1(intern!(py, "send"), (py.None(),)) {
                Ok(waited) => return Ok(Outcome::WaitsFor(waited)),
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                    let resolved = error.value(py).getattr(intern!(py, "value"))?;
                    *address = resolved.get_item(0)?.get_item(4)?.unbind();
                    *stage = Stage::Resolved;
                }
                Err(error) => return Err(error),
            }
        }
        if matches!(stage, Stage::Resolved) {
            return match object.call_method1(intern!(py, "connect"), (&*address,)) {
                Ok(_) => Ok(Outcome::Done(None)),
                // The queue of a Unix socket is full: nothing is under way, and no event would tell when there is room.
                Err(error) if number_of(py, &error) == Some(EAGAIN) => Err(error),
                Err(error) if is_not_ready(py, &error) => {
                    *stage = Stage::Connecting;
                    Ok(Outcome::Waits(Side::Writer))
                }
                Err(error) => Err(error),
            };
        }
        self.connected(core, address)
    }

    /// Whether the connection is there now.
    fn connected<'py>(&self, core: &Bound<'py, LoopCore>, address: &Py<PyAny>) -> PyResult<Outcome<'py>> {
        let (py, object) = (core.py(), self.object(core.py()));
        let number = object.call_method1(intern!(py, "getsockopt"), (SOL_SOCKET, SO_ERROR))?.extract::<i32>()?;
        if number != 0 {
            return Err(PyOSError::new_err((number, format!("Connect call failed {}", address.bind(py).str()?))));
        }
        // No error means nothing yet, if the event was not the connection's own.
        match object.call_method0(intern!(py, "getpeername")) {
            Err(error) if number_of(py, &error) == Some(ENOTCONN) => {
                let source = self.source;
                let is_at_end =
                    core.get().watchers.with(py, |watchers| watchers.calls(source).is_some_and(Calls::is_exceptional));
                if is_at_end { Err(error) } else { Ok(Outcome::Waits(Side::Writer)) }
            }
            _ => Ok(Outcome::Done(None)),
        }
    }

    fn accept<'py>(&self, py: Python<'py>) -> PyResult<Outcome<'py>> {
        match self.object(py).call_method0(intern!(py, "accept")) {
            Ok(accepted) => {
                let (connection, address) = (accepted.get_item(0)?, accepted.get_item(1)?);
                connection.call_method1(intern!(py, "setblocking"), (false,))?;
                Ok(Outcome::Done(Some(PyTuple::new(py, [connection, address])?.into_any())))
            }
            Err(error) if is_not_ready(py, &error) => Ok(Outcome::Waits(Side::Reader)),
            Err(error) => Err(error),
        }
    }
}

/// What a method of the socket has come to.
fn outcome<'py>(py: Python<'py>, side: Side, result: PyResult<Bound<'py, PyAny>>) -> PyResult<Outcome<'py>> {
    match result {
        Ok(result) => Ok(Outcome::Done(Some(result))),
        Err(error) if is_not_ready(py, &error) => Ok(Outcome::Waits(side)),
        Err(error) => Err(error),
    }
}

fn is_not_ready(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py)
}

fn number_of(py: Python<'_>, error: &PyErr) -> Option<i32> {
    error.value(py).getattr(intern!(py, "errno")).ok()?.extract().ok()
}

/// The memory of an object as single bytes.
#[cold]
fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    PyMemoryView::from(data)?.call_method1(intern!(data.py(), "cast"), ("B",))
}

const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const EAGAIN: i32 = 11;
const ENOTCONN: i32 = 107;
const SOL_SOCKET: i32 = 1;
const SO_ERROR: i32 = 4;
