//! What the methods of `socket.socket` do in a simulation (Python docs, "Socket objects"); how long they wait is the socket's own time limit,
//! which is simulated time here.

use super::address::{object as address_object, parse};
use super::{Simulated, close_token, copy_token, disown, host, register, release_token, system_error, token};
use crate::blocking::{self, Place};
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::buffer::{Readable, Writable};
use crate::ffi::intercept::{Call, Target};
use crate::inside;
use crate::port::{Source, errno};
use crate::transport::READ_SIZE;
use crate::watchers::Side;
use crate::world::World;
use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use soliloop_engine::Instant;
use soliloop_engine::world::sim::{self, Address, BindOptions, Family, Fault, Kind, SocketId};
use std::io::IoSlice;
use std::os::fd::RawFd;

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

/// The intercepted methods.
pub(crate) const TARGETS: &[Target] = &[
    Target::new("_socket.socket._accept", accept),
    Target::new("_socket.socket.bind", bind),
    Target::new("_socket.socket.close", close),
    Target::new("_socket.socket.connect", connect),
    Target::new("_socket.socket.connect_ex", connect_ex),
    Target::new("_socket.socket.detach", detach),
    Target::new("_socket.socket.getpeername", getpeername),
    Target::new("_socket.socket.getsockname", getsockname),
    Target::new("_socket.socket.getsockopt", getsockopt),
    Target::new("_socket.socket.listen", listen),
    Target::new("_socket.socket.recv", recv),
    Target::new("_socket.socket.recv_into", recv_into),
    Target::new("_socket.socket.recvfrom", recvfrom),
    Target::new("_socket.socket.recvfrom_into", recvfrom_into),
    Target::new("_socket.socket.recvmsg", recvmsg),
    Target::new("_socket.socket.recvmsg_into", recvmsg_into),
    Target::new("_socket.socket.send", send),
    Target::new("_socket.socket.sendall", sendall),
    Target::new("_socket.socket.sendmsg", sendmsg),
    Target::new("_socket.socket.sendto", sendto),
    Target::new("_socket.socket.setsockopt", setsockopt),
    Target::new("_socket.socket.shutdown", shutdown),
    Target::new("_socket.close", close_number),
    Target::new("_socket.dup", dup),
    Target::new("posix.close", close_number),
    Target::new("posix.dup", dup),
    Target::new("posix.pipe", pipe),
    Target::new("posix.pipe2", pipe),
    Target::new("posix.read", read),
    Target::new("posix.write", write),
    Target::new("_socket.socketpair", socketpair),
    Target::new("_socket.getaddrinfo", getaddrinfo),
    Target::new("_socket.getnameinfo", getnameinfo),
    Target::new("_socket.gethostbyname", gethostbyname),
    Target::new("_socket.gethostbyname_ex", gethostbyname_ex),
    Target::new("_socket.gethostbyaddr", gethostbyaddr),
    Target::new("_socket.gethostname", gethostname),
];

// -------------------------------------------------------------------- what the methods stand on

/// How long a call may wait.
enum Patience {
    /// Not at all.
    None,
    Until(Instant),
    Endless,
}

fn socket<'py>(call: &Call<'_, 'py>, name: &str) -> PyResult<Option<Simulated<'py>>> {
    match (inside::current(call.py()), call.this()) {
        (Some(core), Some(this)) => super::of(&core, &this, name),
        _ => Ok(None),
    }
}

impl<'py> Simulated<'py> {
    fn py(&self) -> Python<'py> {
        self.core.py()
    }

    fn with<R>(&self, work: impl FnOnce(&mut sim::Simulated, SocketId) -> R) -> PyResult<R> {
        match &self.core.get().world {
            World::Simulated(world) => Ok(world.with(self.py(), |sim| work(sim, self.id))),
            World::Real(_) => Err(system_error(libc::EBADF)),
        }
    }

    fn call<R>(&self, work: impl FnOnce(&mut sim::Simulated, SocketId) -> sim::Result<R>) -> PyResult<R> {
        self.with(work)?.map_err(|fault| system_error(errno(fault)))
    }

    fn family(&self) -> PyResult<Family> {
        self.call(|sim, id| sim.kind(id)).map(|(family, _)| family)
    }

    /// How long a call may wait.
    fn patience(&self) -> PyResult<Patience> {
        if self.object.is_none() {
            // A descriptor alone: what it is set to is looked at later.
            return Ok(Patience::Endless);
        }
        let limit = self.object.call_method0(intern!(self.py(), "gettimeout"))?;
        if limit.is_none() {
            return Ok(Patience::Endless);
        }
        let limit: f64 = limit.extract()?;
        if limit <= 0.0 {
            return Ok(Patience::None);
        }
        let now = self.with(|sim, _| sim.now())?;
        Ok(Patience::Until(now.after_secs_f64(limit).map_err(error::out_of_range)?))
    }

    /// Tries again and again until it is done, in the time that the socket gives.
    fn persist<R>(
        &self,
        name: &str,
        may_wait: bool,
        side: Side,
        mut attempt: impl FnMut(&mut sim::Simulated, SocketId) -> sim::Result<R>,
    ) -> PyResult<R> {
        let mut attempt = || match self.with(&mut attempt)? {
            Ok(result) => Ok(Some(result)),
            Err(Fault::WouldBlock) => Ok(None),
            Err(fault) => Err(system_error(errno(fault))),
        };
        if let Some(result) = attempt()? {
            return Ok(result);
        }
        let deadline = match if may_wait { self.patience()? } else { Patience::None } {
            Patience::None => return Err(system_error(libc::EAGAIN)),
            Patience::Until(deadline) => Some(deadline),
            Patience::Endless => None,
        };
        // Python takes a socket for blocking that somebody else has made, whatever its descriptor is set to.
        if deadline.is_none() && soliloop_sys::socket::is_nonblocking(self.fd) {
            return Err(system_error(libc::EAGAIN));
        }
        let what = format!("socket.{name}()");
        let done = blocking::wait(&self.core, Place::Sockets(&[(self.id, side)]), deadline, &what, attempt)?;
        done.ok_or_else(|| PyTimeoutError::new_err("timed out"))
    }

    /// Whether an address is the real world's, and this simulation reaches that: then the socket is a real one from now on.
    fn leads_outside(&self, address: &Bound<'py, PyAny>, name: &str) -> PyResult<bool> {
        let World::Simulated(world) = &self.core.get().world else { return Ok(false) };
        if !world.reaches_out() {
            return Ok(false);
        }
        let (family, kind) = self.call(|sim, id| sim.kind(id))?;
        let address = parse(&self.core, family, address, name)?;
        let is_inside = self.call(|sim, id| {
            let host = sim.host_of(id)?;
            let is_bound = !matches!(sim.local_name(id)?, Address::Nameless)
                && !matches!(sim.local_name(id)?, Address::Internet(own) if own.port() == 0);
            Ok(is_bound || sim.owns(&address) || sim.serves(host, kind, &address))
        })?;
        if !is_inside {
            release_token(&self.core, self.fd);
        }
        Ok(!is_inside)
    }

    fn name(&self, address: &Address) -> PyResult<Bound<'py, PyAny>> {
        address_object(&self.core, address, intern!(self.py(), "").as_any())
    }

    /// The sender of a datagram; of a stream there is none.
    fn sender(&self, address: &Address) -> PyResult<Bound<'py, PyAny>> {
        address_object(&self.core, address, self.py().None().bind(self.py()))
    }

    fn option(&self, level: i32, name: i32) -> bool {
        let option = self.object.call_method1(intern!(self.py(), "getsockopt"), (level, name));
        option.and_then(|value| value.is_truthy()).unwrap_or(false)
    }
}

/// An argument that may be given by its place or by its name.
fn argument<'py>(call: &Call<'_, 'py>, place: usize, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    match call.arg(place) {
        Some(value) => Ok(Some(value)),
        None => call.keyword(name),
    }
}

fn required<'py>(call: &Call<'_, 'py>, place: usize, method: &str) -> PyResult<Bound<'py, PyAny>> {
    call.arg(place).ok_or_else(|| PyTypeError::new_err(format!("{method}() needs at least {} argument(s)", place + 1)))
}

fn flags(value: Option<Bound<'_, PyAny>>) -> PyResult<i32> {
    value.map_or(Ok(0), |value| value.extract())
}

fn size(value: &Bound<'_, PyAny>, method: &str) -> PyResult<usize> {
    let size: isize = value.extract()?;
    usize::try_from(size).map_err(|_| PyValueError::new_err(format!("negative buffersize in {method}")))
}

#[allow(clippy::unnecessary_wraps, reason = "it is the answer of a handler")]
fn none(py: Python<'_>) -> Answer<'_> {
    Ok(Some(py.None().into_bound(py)))
}

fn number(py: Python<'_>, number: usize) -> Answer<'_> {
    Ok(Some(number.into_pyobject(py)?.into_any()))
}

// -------------------------------------------------------------------- set-up

fn bind<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "bind")? else { return Ok(None) };
    let family = socket.family()?;
    let address = parse(&socket.core, family, &required(call, 0, "bind")?, "bind")?;
    let options = BindOptions {
        only_v6: family == Family::V6 && socket.option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
        shares_port: family != Family::Unix && socket.option(libc::SOL_SOCKET, libc::SO_REUSEPORT),
    };
    socket.call(|sim, id| sim.bind(id, &address, options))?;
    none(call.py())
}

fn listen<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "listen")? else { return Ok(None) };
    let backlog = call.arg(0).map_or(Ok(DEFAULT_BACKLOG), |backlog| backlog.extract::<i64>())?;
    socket.call(|sim, id| sim.listen(id, usize::try_from(backlog).unwrap_or(0)))?;
    none(call.py())
}

/// Gives a descriptor and an address, of which `socket.socket.accept` makes a socket.
fn accept<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(socket) = socket(call, "accept")? else { return Ok(None) };
    let (id, peer) = socket.persist("accept", true, Side::Reader, sim::Simulated::accept)?;
    let fd: RawFd = token(&socket.core, id)?;
    Ok(Some((fd, socket.name(&peer)?).into_pyobject(py)?.into_any()))
}

fn connect<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "connect")? else { return Ok(None) };
    let address = required(call, 0, "connect")?;
    if socket.leads_outside(&address, "connect")? {
        return Ok(None);
    }
    match attempt_to_connect(&socket, &address, "connect")? {
        0 => none(call.py()),
        libc::ECONNREFUSED => {
            let error = socket.core.call_method1(intern!(call.py(), "_refused_error"), (address,))?;
            Err(PyErr::from_value(error))
        }
        number => Err(system_error(number)),
    }
}

fn connect_ex<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "connect_ex")? else { return Ok(None) };
    let address = required(call, 0, "connect_ex")?;
    if socket.leads_outside(&address, "connect_ex")? {
        return Ok(None);
    }
    let number = attempt_to_connect(&socket, &address, "connect_ex")?;
    Ok(Some(number.into_pyobject(call.py())?.into_any()))
}

/// Connects; gives the error number.
fn attempt_to_connect<'py>(socket: &Simulated<'py>, address: &Bound<'py, PyAny>, name: &str) -> PyResult<i32> {
    if address.is_none() {
        return Err(PyTypeError::new_err(format!("{name}(): an address is needed")));
    }
    let address = parse(&socket.core, socket.family()?, address, name)?;
    match socket.with(|sim, id| sim.connect(id, &address))? {
        Ok(()) => return Ok(0),
        Err(Fault::InProgress) => {}
        Err(fault) => return Ok(errno(fault)),
    }
    let deadline = match socket.patience()? {
        Patience::None => return Ok(libc::EINPROGRESS),
        Patience::Until(deadline) => Some(deadline),
        Patience::Endless => None,
    };
    let attempt = || Ok(socket.call(|sim, id| sim.readiness(id))?.writable.then_some(()));
    let writer = [(socket.id, Side::Writer)];
    if blocking::wait(&socket.core, Place::Sockets(&writer), deadline, "socket.connect()", attempt)?.is_none() {
        return Err(PyTimeoutError::new_err("timed out"));
    }
    Ok(socket.call(sim::Simulated::take_error)?.map_or(0, errno))
}

fn close<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let (Some(core), Some(this)) = (inside::current(call.py()), call.this()) else { return Ok(None) };
    let fd: RawFd = this.call_method0(intern!(call.py(), "fileno"))?.extract()?;
    close_token(&core, fd);
    // And the token.
    Ok(None)
}

fn detach<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "detach")? else { return Ok(None) };
    disown(&socket.core, socket.fd);
    Ok(None)
}

fn shutdown<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "shutdown")? else { return Ok(None) };
    let how: i32 = required(call, 0, "shutdown")?.extract()?;
    if !(libc::SHUT_RD..=libc::SHUT_RDWR).contains(&how) {
        return Err(system_error(libc::EINVAL));
    }
    socket.call(|sim, id| {
        if how != libc::SHUT_RD {
            sim.end_writing(id)?;
        }
        if how == libc::SHUT_WR { Ok(()) } else { sim.end_reading(id) }
    })?;
    none(call.py())
}

// -------------------------------------------------------------------- asking

fn getsockname<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "getsockname")? else { return Ok(None) };
    let name = socket.call(|sim, id| sim.local_name(id))?;
    socket.name(&name).map(Some)
}

fn getpeername<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "getpeername")? else { return Ok(None) };
    let name = socket.call(|sim, id| sim.peer_name(id))?;
    socket.name(&name).map(Some)
}

/// All but a few options are the token's own.
fn getsockopt<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let level = call.arg(0).and_then(|level| level.extract::<i32>().ok());
    let name = call.arg(1).and_then(|name| name.extract::<i32>().ok());
    if (level, name) != (Some(libc::SOL_SOCKET), Some(libc::SO_ERROR)) {
        return Ok(None);
    }
    let Some(socket) = socket(call, "getsockopt")? else { return Ok(None) };
    let fault = socket.call(sim::Simulated::take_error)?;
    Ok(Some(fault.map_or(0, errno).into_pyobject(call.py())?.into_any()))
}

/// The token takes every option; two of them are for the simulation as well.
fn setsockopt<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let number = |place| call.arg(place).and_then(|value| value.extract::<i32>().ok());
    if let (Some(libc::SOL_SOCKET), Some(libc::SO_SNDBUF), Some(bytes)) = (number(0), number(1), number(2))
        && let Some(socket) = socket(call, "setsockopt")?
    {
        // Of datagrams there is no such thing.
        let _ = socket.with(|sim, id| sim.set_window(id, usize::try_from(bytes).unwrap_or(0)))?;
    }
    if (number(0), number(1)) == (Some(libc::SOL_SOCKET), Some(libc::SO_LINGER))
        && let Some(socket) = socket(call, "setsockopt")?
        && let World::Simulated(world) = &socket.core.get().world
        && let Some(Ok(linger)) = call.arg(2).map(|value| value.extract::<Vec<u8>>())
    {
        // `struct linger`: whether it is on, and for how many seconds.
        let resets = linger.len() == 8 && linger[..4].iter().any(|byte| *byte != 0) && linger[4..] == [0; 4];
        world.with_tokens(call.py(), |tokens| {
            if let Some(token) = tokens.get_mut(&socket.fd) {
                token.resets = resets;
            }
        });
    }
    Ok(None)
}

// -------------------------------------------------------------------- receiving

/// Reads into memory of the loop's, and gives what came with its sender.
fn receive<'py>(
    socket: &Simulated<'py>,
    name: &str,
    limit: usize,
    flags: i32,
) -> PyResult<(Bound<'py, PyBytes>, Address)> {
    let (keeps, may_wait) = (flags & libc::MSG_PEEK != 0, flags & libc::MSG_DONTWAIT == 0);
    let mut buffer = vec![0; limit.min(READ_SIZE)];
    let (count, from) =
        socket.persist(name, may_wait, Side::Reader, |sim, id| sim.receive_from(id, &mut buffer, keeps))?;
    Ok((PyBytes::new(socket.py(), &buffer[..count]), from))
}

fn receive_into(
    socket: &Simulated<'_>,
    name: &str,
    buffer: &Bound<'_, PyAny>,
    limit: Option<usize>,
    flags: i32,
) -> PyResult<(usize, Address)> {
    let (keeps, may_wait) = (flags & libc::MSG_PEEK != 0, flags & libc::MSG_DONTWAIT == 0);
    let memory = Writable::of(buffer)?;
    let room = memory.fill(socket.py(), |bytes| Ok(bytes.len()))?;
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(room);
    if limit > room {
        return Err(PyValueError::new_err(if name == "recv_into" {
            "buffer too small for requested bytes"
        } else {
            "nbytes is greater than the length of the buffer"
        }));
    }
    socket.persist(name, may_wait, Side::Reader, |sim, id| {
        let mut result = Err(Fault::WouldBlock);
        // The outer result is of memory only, and there is nothing to fail.
        let _ = memory.fill(socket.py(), |bytes| {
            let room = bytes.len().min(limit);
            result = sim.receive_from(id, &mut bytes[..room], keeps);
            Ok(0)
        });
        result
    })
}

fn recv<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "recv")? else { return Ok(None) };
    let limit = size(&required(call, 0, "recv")?, "recv")?;
    let (data, _) = receive(&socket, "recv", limit, flags(call.arg(1))?)?;
    Ok(Some(data.into_any()))
}

fn recvfrom<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "recvfrom")? else { return Ok(None) };
    let limit = size(&required(call, 0, "recvfrom")?, "recvfrom")?;
    let (data, from) = receive(&socket, "recvfrom", limit, flags(call.arg(1))?)?;
    Ok(Some((data, socket.sender(&from)?).into_pyobject(call.py())?.into_any()))
}

fn recv_into<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "recv_into")? else { return Ok(None) };
    let buffer = argument(call, 0, "buffer")?.ok_or_else(|| PyTypeError::new_err("recv_into() needs a buffer"))?;
    let limit = argument(call, 1, "nbytes")?.map(|limit| size(&limit, "recv_into")).transpose()?;
    let (count, _) = receive_into(&socket, "recv_into", &buffer, limit, flags(argument(call, 2, "flags")?)?)?;
    number(call.py(), count)
}

fn recvfrom_into<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "recvfrom_into")? else { return Ok(None) };
    let buffer = argument(call, 0, "buffer")?.ok_or_else(|| PyTypeError::new_err("recvfrom_into() needs a buffer"))?;
    let limit = argument(call, 1, "nbytes")?.map(|limit| size(&limit, "recvfrom_into")).transpose()?;
    let flags = flags(argument(call, 2, "flags")?)?;
    let (count, from) = receive_into(&socket, "recvfrom_into", &buffer, limit, flags)?;
    Ok(Some((count, socket.sender(&from)?).into_pyobject(call.py())?.into_any()))
}

fn recvmsg<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(socket) = socket(call, "recvmsg")? else { return Ok(None) };
    let limit = size(&required(call, 0, "recvmsg")?, "recvmsg")?;
    let (data, from) = receive(&socket, "recvmsg", limit, flags(call.arg(2))?)?;
    Ok(Some((data, PyList::empty(py), 0, socket.sender(&from)?).into_pyobject(py)?.into_any()))
}

fn recvmsg_into<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(socket) = socket(call, "recvmsg_into")? else { return Ok(None) };
    let buffers: Vec<Bound<'py, PyAny>> = required(call, 0, "recvmsg_into")?.try_iter()?.collect::<PyResult<_>>()?;
    let memories = buffers.iter().map(Writable::of).collect::<PyResult<Vec<_>>>()?;
    let mut room = 0;
    for memory in &memories {
        let _ = memory.fill(py, |bytes| {
            room += bytes.len();
            Ok(0)
        });
    }
    let (data, from) = receive(&socket, "recvmsg_into", room, flags(call.arg(2))?)?;
    let mut rest = data.as_bytes();
    for memory in &memories {
        let _ = memory.fill(py, |bytes| {
            let (now, later) = rest.split_at(rest.len().min(bytes.len()));
            bytes[..now.len()].copy_from_slice(now);
            rest = later;
            Ok(0)
        });
    }
    let count = data.as_bytes().len();
    Ok(Some((count, PyList::empty(py), 0, socket.sender(&from)?).into_pyobject(py)?.into_any()))
}

// -------------------------------------------------------------------- sending

fn transmit(socket: &Simulated<'_>, name: &str, data: &Bound<'_, PyAny>, flags: i32, all: bool) -> PyResult<usize> {
    let memory = Readable::of(data)?;
    let may_wait = flags & libc::MSG_DONTWAIT == 0;
    let mut sent = 0;
    loop {
        let count = socket.persist(name, may_wait, Side::Writer, |sim, id| {
            memory.read(socket.py(), |bytes| sim.transmit(id, &[IoSlice::new(&bytes[sent.min(bytes.len())..])]))
        })?;
        sent += count;
        if !all || count == 0 || memory.read(socket.py(), |bytes| sent >= bytes.len()) {
            return Ok(sent);
        }
    }
}

fn send<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "send")? else { return Ok(None) };
    let sent = transmit(&socket, "send", &required(call, 0, "send")?, flags(call.arg(1))?, false)?;
    number(call.py(), sent)
}

fn sendall<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "sendall")? else { return Ok(None) };
    transmit(&socket, "sendall", &required(call, 0, "sendall")?, flags(call.arg(1))?, true)?;
    none(call.py())
}

fn send_datagram<'py>(
    socket: &Simulated<'py>,
    name: &str,
    data: &Bound<'py, PyAny>,
    flags: i32,
    to: Option<&Bound<'py, PyAny>>,
) -> PyResult<usize> {
    let (family, kind) = socket.call(|sim, id| sim.kind(id))?;
    let to = to.map(|to| parse(&socket.core, family, to, name)).transpose()?;
    if kind == Kind::Stream || to.is_none() {
        return transmit(socket, name, data, flags, false);
    }
    let memory = Readable::of(data)?;
    let may_wait = flags & libc::MSG_DONTWAIT == 0;
    socket.persist(name, may_wait, Side::Writer, |sim, id| {
        memory.read(socket.py(), |bytes| sim.send_to(id, bytes, to.as_ref()).map(|()| bytes.len()))
    })
}

fn sendto<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(socket) = socket(call, "sendto")? else { return Ok(None) };
    let data = required(call, 0, "sendto")?;
    let (flag, to) = match (call.arg(1), call.arg(2)) {
        (Some(flag), Some(to)) => (flags(Some(flag))?, to),
        (Some(to), None) => (0, to),
        _ => return Err(PyTypeError::new_err("sendto() takes 2 or 3 arguments")),
    };
    if socket.leads_outside(&to, "sendto")? {
        return Ok(None);
    }
    let sent = send_datagram(&socket, "sendto", &data, flag, Some(&to))?;
    number(call.py(), sent)
}

fn sendmsg<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(socket) = socket(call, "sendmsg")? else { return Ok(None) };
    let mut whole = Vec::new();
    for buffer in required(call, 0, "sendmsg")?.try_iter()? {
        Readable::of(&buffer?)?.read(py, |bytes| whole.extend_from_slice(bytes));
    }
    if let Some(ancillary) = call.arg(1)
        && ancillary.try_iter()?.next().is_some()
    {
        let what = "socket.sendmsg() with ancillary data: descriptors and credentials are the system's";
        return Err(super::outside(&socket.core, what)?);
    }
    let to = call.arg(3).filter(|to| !to.is_none());
    let data = PyBytes::new(py, &whole).into_any();
    let sent = send_datagram(&socket, "sendmsg", &data, flags(call.arg(2))?, to.as_ref())?;
    number(py, sent)
}

// -------------------------------------------------------------------- functions of the module

/// Two sockets of the system stand for two simulated ones.
fn socketpair<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(core) = inside::current(py) else { return Ok(None) };
    if core.call_method0(intern!(py, "_is_for_outside"))?.is_truthy()? {
        return Ok(None);
    }
    let pair = call.original()?;
    let (one, other) = (pair.get_item(0)?, pair.get_item(1)?);
    let kind: i32 = one.getattr(intern!(py, "type"))?.extract()?;
    let kind = match kind {
        libc::SOCK_STREAM => Kind::Stream,
        libc::SOCK_DGRAM => Kind::Datagram,
        _ => return Err(super::outside(&core, "socket.socketpair() of a kind that is not simulated")?),
    };
    let World::Simulated(world) = &core.get().world else { return Ok(Some(pair)) };
    let host = host(&core)?;
    let ids = world.with(py, |sim| sim.pair(host, Family::Unix, kind));
    for (object, id) in [(&one, ids.0), (&other, ids.1)] {
        let fd: RawFd = object.call_method0(intern!(py, "fileno"))?.extract()?;
        register(&core, fd, id);
    }
    Ok(Some(pair))
}

/// A pipe's ends stand for two ends of a simulated stream.
fn pipe<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(core) = inside::current(py) else { return Ok(None) };
    let World::Simulated(world) = &core.get().world else { return Ok(None) };
    if core.call_method0(intern!(py, "_is_for_outside"))?.is_truthy()? {
        return Ok(None);
    }
    let ends = call.original()?;
    let host = host(&core)?;
    let (reader, writer) = world.with(py, |sim| sim.pair(host, Family::Unix, Kind::Stream));
    register(&core, ends.get_item(0)?.extract()?, reader);
    register(&core, ends.get_item(1)?.extract()?, writer);
    Ok(Some(ends))
}

/// What stands behind a number, as a socket.
fn numbered<'py>(call: &Call<'_, 'py>) -> Option<Simulated<'py>> {
    let py = call.py();
    let core = inside::current(py)?;
    let fd: RawFd = call.arg(0)?.extract().ok()?;
    match core.get().world.source(py, fd) {
        Source::Simulated(id) => Some(Simulated { core, object: py.None().into_bound(py), fd, id }),
        Source::Descriptor(_) => None,
    }
}

fn read<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(pipe) = numbered(call) else { return Ok(None) };
    let limit = size(&required(call, 1, "read")?, "read")?;
    receive(&pipe, "read", limit, 0).map(|(data, _)| Some(data.into_any()))
}

fn write<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(pipe) = numbered(call) else { return Ok(None) };
    let sent = transmit(&pipe, "write", &required(call, 1, "write")?, 0, false)?;
    number(call.py(), sent)
}

/// A descriptor is closed by its number.
#[allow(clippy::unnecessary_wraps, reason = "it is a handler")]
fn close_number<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    if let (Some(core), Some(Ok(fd))) = (inside::current(call.py()), call.arg(0).map(|fd| fd.extract::<RawFd>())) {
        close_token(&core, fd);
    }
    Ok(None)
}

/// A descriptor is copied by its number.
fn dup<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(core) = inside::current(call.py()) else { return Ok(None) };
    let copy = call.original()?;
    if let (Some(Ok(fd)), Ok(to)) = (call.arg(0).map(|fd| fd.extract::<RawFd>()), copy.extract::<RawFd>()) {
        copy_token(&core, fd, to);
    }
    Ok(Some(copy))
}

/// Hands a question about names to the loop, with the arguments as they are.
fn ask<'py>(call: &Call<'_, 'py>, method: &str) -> Answer<'py> {
    let Some(core) = inside::current(call.py()) else { return Ok(None) };
    let core: &Bound<'py, LoopCore> = &core;
    let options = PyDict::new(call.py());
    for name in call.keywords()? {
        options.set_item(&name, call.keyword(&name)?)?;
    }
    core.call_method(method, PyTuple::new(call.py(), call.args())?, Some(&options)).map(Some)
}

fn getaddrinfo<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    ask(call, "_getaddrinfo")
}

fn getnameinfo<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    ask(call, "_getnameinfo")
}

fn gethostbyname<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    ask(call, "_gethostbyname")
}

fn gethostbyname_ex<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    ask(call, "_gethostbyname_ex")
}

fn gethostbyaddr<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    ask(call, "_gethostbyaddr")
}

fn gethostname<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    ask(call, "_gethostname")
}

/// What `socket.socket.listen` takes when it is told nothing.
const DEFAULT_BACKLOG: i64 = 128;
