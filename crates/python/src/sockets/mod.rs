//! Python's sockets inside a simulation: ordinary `socket.socket` objects, whose C methods go to simulated sockets while a simulation owns
//! the thread.
//!
//! | module | what |
//! |---|---|
//! | `methods` | what each intercepted method does |
//! | `address` | addresses as the module `socket` writes them |
//! | `select` | waiting for one of several |
//! | `tls` | TLS with blocking calls |
//!
//! Ground rules. The descriptor of such an object is a token (`simulated`): a socket of the system that is neither bound nor connected, so that
//! options can be set and asked for as ever. A socket becomes the simulation's with the first call that is intercepted, if it is still as it was
//! made; one that is bound or connected already belongs to the real world, and is refused, unless the simulation reaches out.

pub(crate) mod address;
pub(crate) mod methods;
pub(crate) mod select;
pub(crate) mod tls;

use crate::error;
use crate::event_loop::LoopCore;
use crate::names::Names;
use crate::port::Source;
use crate::simulated::{SimulatedWorld, Token};
use crate::world::World;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyWeakrefReference};
use soliloop_engine::world::sim::{Family, HostId, Kind, SocketId};
use std::os::fd::{IntoRawFd, RawFd};

/// A Python socket that belongs to a simulation.
pub(crate) struct Simulated<'py> {
    pub(crate) core: Bound<'py, LoopCore>,
    pub(crate) object: Bound<'py, PyAny>,
    pub(crate) fd: RawFd,
    pub(crate) id: SocketId,
}

/// Closes a simulated socket when the Python socket that stood for it dies.
#[pyclass(frozen, module = "soliloop._soliloop")]
struct TokenEnd {
    core: Py<LoopCore>,
    fd: RawFd,
    id: SocketId,
}

/// The simulated socket behind a Python socket; `None` if the call is to go to the system.
///
/// # Errors
/// `OutsideWorldError` if the socket belongs to the real world, which this simulation does not reach.
pub(crate) fn of<'py>(
    core: &Bound<'py, LoopCore>,
    object: &Bound<'py, PyAny>,
    call: &str,
) -> PyResult<Option<Simulated<'py>>> {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return Ok(None) };
    let fd: RawFd = object.call_method0(intern!(py, "fileno"))?.extract()?;
    if fd < 0 {
        return Ok(None);
    }
    let id = match known(core, world, object, fd)? {
        Some(id) => id,
        None => match adopt(core, world, object, fd)? {
            Some(id) => id,
            None if core.get().world.reaches(Source::Descriptor(fd)) => return Ok(None),
            // What looks only is harmless, and what says what the socket is needs it.
            None if LOOKS.contains(&call) => return Ok(None),
            None => {
                let what = format!("socket.{call}() of a real socket (descriptor {fd})");
                return Err(outside(core, &what)?);
            }
        },
    };
    Ok(Some(Simulated { core: core.clone(), object: object.clone(), fd, id }))
}

/// What a loop is given to watch: if it is a Python socket that nothing was done with yet, it becomes the simulation's.
pub(crate) fn claim(core: &Bound<'_, LoopCore>, object: &Bound<'_, PyAny>, fd: RawFd) -> PyResult<Source> {
    let py = core.py();
    if let World::Simulated(world) = &core.get().world
        && world.source(py, fd) == Source::Descriptor(fd)
        && object.is_instance(Names::get(py)?.socket.bind(py))?
    {
        adopt(core, world, object, fd)?;
    }
    let source = core.get().world.source(py, fd);
    LoopCore::check_inside(core, source)?;
    Ok(source)
}

/// The error for what reaches the real world.
pub(crate) fn outside(core: &Bound<'_, LoopCore>, what: &str) -> PyResult<PyErr> {
    Ok(PyErr::from_value(core.call_method1(intern!(core.py(), "_outside_error"), (what,))?))
}

/// A Python socket for a simulated one.
pub(crate) fn object_of<'py>(core: &Bound<'py, LoopCore>, id: SocketId) -> PyResult<Bound<'py, PyAny>> {
    let py = core.py();
    let (family, kind) =
        core.get().world.simulated(py, |sim| sim.kind(id)).map_err(|error| error::of_system(&error))?;
    let fd = token(core, id)?;
    let options = PyDict::new(py);
    options.set_item(intern!(py, "fileno"), fd)?;
    let object = Names::get(py)?.socket.bind(py).call((family_number(family), kind_number(kind), 0), Some(&options))?;
    if let World::Simulated(world) = &core.get().world {
        own(core, world, &object, fd, id)?;
    }
    if family != Family::Unix && kind == Kind::Stream {
        // As asyncio has it for each of its connections. The option of the token is what a program sees.
        let _ = soliloop_sys::stream::set_no_delay(fd);
    }
    Ok(object)
}

/// A descriptor that stands for a simulated socket.
pub(crate) fn token(core: &Bound<'_, LoopCore>, id: SocketId) -> PyResult<RawFd> {
    let py = core.py();
    let (family, kind) =
        core.get().world.simulated(py, |sim| sim.kind(id)).map_err(|error| error::of_system(&error))?;
    let made = soliloop_sys::socket::unconnected(family_number(family), kind == Kind::Stream);
    let fd = made.map_err(|error| error::of_system(&error))?.into_raw_fd();
    register(core, fd, id);
    Ok(fd)
}

/// Has a descriptor stand for a simulated socket.
pub(crate) fn register(core: &Bound<'_, LoopCore>, fd: RawFd, id: SocketId) {
    if let World::Simulated(world) = &core.get().world {
        let before = world.with_tokens(core.py(), |tokens| tokens.insert(fd, Token { id, owner: None, resets: false }));
        drop(before);
    }
}

/// The host that the code runs on which makes a socket now.
pub(crate) fn host(core: &Bound<'_, LoopCore>) -> PyResult<HostId> {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return Ok(HostId::MAIN) };
    if world.with(py, |sim| sim.is_open()) {
        return Ok(HostId::MAIN);
    }
    let number: u32 = core.call_method0(intern!(py, "_host_number"))?.extract()?;
    Ok(world.with(py, |sim| sim.hosts().find(|host| host.number() == number)).unwrap_or(HostId::MAIN))
}

fn known<'py>(
    core: &Bound<'py, LoopCore>,
    world: &SimulatedWorld,
    object: &Bound<'py, PyAny>,
    fd: RawFd,
) -> PyResult<Option<SocketId>> {
    let py = core.py();
    let Source::Simulated(id) = world.source(py, fd) else { return Ok(None) };
    let owner = world.with_tokens(py, |tokens| tokens.get(&fd)?.owner.as_ref().map(|owner| owner.clone_ref(py)));
    let is_own = owner.is_some_and(|owner| owner.bind(py).upgrade().is_some_and(|owner| owner.is(object)));
    if !is_own {
        own(core, world, object, fd, id)?;
    }
    Ok(Some(id))
}

/// Makes a socket the simulation's that nothing was done with yet.
fn adopt<'py>(
    core: &Bound<'py, LoopCore>,
    world: &SimulatedWorld,
    object: &Bound<'py, PyAny>,
    fd: RawFd,
) -> PyResult<Option<SocketId>> {
    let py = core.py();
    let (family, kind) = (object.getattr(intern!(py, "family"))?, object.getattr(intern!(py, "type"))?);
    let family = match family.extract::<i32>()? {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        libc::AF_UNIX => Family::Unix,
        _ => return Ok(None),
    };
    let kind = match kind.extract::<i32>()? {
        libc::SOCK_STREAM => Kind::Stream,
        libc::SOCK_DGRAM => Kind::Datagram,
        _ => return Ok(None),
    };
    if !soliloop_sys::socket::is_unused(fd) {
        return Ok(None);
    }
    let host = host(core)?;
    let id = world.with(py, |sim| sim.socket(host, family, kind));
    register(core, fd, id);
    own(core, world, object, fd, id)?;
    Ok(Some(id))
}

/// Notes which object has a token. Objects that can't be referred to weakly are none of Python's own sockets: they must be closed.
fn own<'py>(
    core: &Bound<'py, LoopCore>,
    world: &SimulatedWorld,
    object: &Bound<'py, PyAny>,
    fd: RawFd,
    id: SocketId,
) -> PyResult<()> {
    let py = core.py();
    let end = Bound::new(py, TokenEnd { core: core.clone().unbind(), fd, id })?;
    let owner = PyWeakrefReference::new_with(object, end).ok().map(Bound::unbind);
    let before = world.with_tokens(py, |tokens| {
        tokens.get_mut(&fd).filter(|token| token.id == id).and_then(|token| std::mem::replace(&mut token.owner, owner))
    });
    forget(py, before);
    Ok(())
}

/// Lets go of an owner's reference now: as long as it is there, the death of the owner closes the socket.
fn forget(py: Python<'_>, owner: Option<Py<PyWeakrefReference>>) {
    drop(owner.map(|owner| owner.into_bound(py)));
}

/// A descriptor is closed; with the last one that stands for it a simulated socket is closed too.
pub(crate) fn close_token(core: &Bound<'_, LoopCore>, fd: RawFd) {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return };
    let (removed, is_last) = world.with_tokens(py, |tokens| {
        let removed = tokens.remove(&fd);
        let is_last = removed.as_ref().is_some_and(|removed| !tokens.values().any(|token| token.id == removed.id));
        (removed, is_last)
    });
    if let Some(token) = removed.as_ref().filter(|_| is_last) {
        world.with(py, |sim| if token.resets { sim.abort(token.id) } else { sim.close(token.id) });
    }
    drop(removed);
}

/// A descriptor stands for a simulated socket no more: what is done with it is done to its own.
pub(crate) fn release_token(core: &Bound<'_, LoopCore>, fd: RawFd) {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return };
    let token = world.with_tokens(py, |tokens| tokens.remove(&fd));
    if let Some(token) = &token {
        world.with(py, |sim| sim.close(token.id));
    }
    drop(token);
}

/// A descriptor is a copy of another one: it stands for the same simulated socket.
pub(crate) fn copy_token(core: &Bound<'_, LoopCore>, from: RawFd, to: RawFd) {
    if let World::Simulated(world) = &core.get().world
        && let Source::Simulated(id) = world.source(core.py(), from)
    {
        register(core, to, id);
    }
}

/// Hands a socket over to another simulated loop, with the one that it is connected to.
///
/// # Errors
/// `ValueError` if it is not at rest (see the engine's `moving`), or no simulated socket of the loop.
#[pyfunction]
pub(crate) fn _hand_over<'py>(
    core: &Bound<'py, LoopCore>,
    sock: &Bound<'py, PyAny>,
    to: &Bound<'py, LoopCore>,
) -> PyResult<()> {
    let py = core.py();
    let given: RawFd = sock.call_method0(intern!(py, "fileno"))?.extract()?;
    let (World::Simulated(from), World::Simulated(other)) = (&core.get().world, &to.get().world) else {
        return Err(PyValueError::new_err("both loops must be simulated ones"));
    };
    let Source::Simulated(id) = from.source(py, given) else {
        return Err(PyValueError::new_err(format!("descriptor {given} is no socket of this simulation")));
    };
    if core.is(to) {
        return Ok(());
    }
    let host = host(to)?;
    let moved = from.with(py, |sim| other.with(py, |other| sim.move_to(id, other, host)));
    let moved = moved.map_err(|_| {
        PyValueError::new_err(
            "only a stream socket that is new, or a connected pair that nobody waits for, can be handed over",
        )
    })?;
    for (before, id) in moved {
        let tokens: Vec<(RawFd, Token)> = from.with_tokens(py, |tokens| {
            let is_one = |(fd, token): (&RawFd, &Token)| (token.id == before).then_some(*fd);
            let fds: Vec<RawFd> = tokens.iter().filter_map(is_one).collect();
            fds.into_iter().filter_map(|fd| tokens.remove_entry(&fd)).collect()
        });
        for (fd, token) in tokens {
            register(to, fd, id);
            other.with_tokens(py, |tokens| {
                if let Some(new) = tokens.get_mut(&fd) {
                    new.resets = token.resets;
                }
            });
            if fd == given {
                own(to, other, sock, fd, id)?;
            } else if let Some(object) = token.owner.as_ref().and_then(|owner| owner.bind(py).upgrade()) {
                own(to, other, &object, fd, id)?;
            }
        }
    }
    Ok(())
}

/// The object lets go of its descriptor, which goes on standing for the simulated socket.
pub(crate) fn disown(core: &Bound<'_, LoopCore>, fd: RawFd) {
    if let World::Simulated(world) = &core.get().world {
        let owner = world.with_tokens(core.py(), |tokens| tokens.get_mut(&fd).and_then(|token| token.owner.take()));
        forget(core.py(), owner);
    }
}

#[pymethods]
impl TokenEnd {
    fn __call__(&self, py: Python<'_>, _reference: &Bound<'_, PyAny>) {
        let core = self.core.bind(py);
        if core.get().world.source(py, self.fd) == Source::Simulated(self.id) {
            close_token(core, self.fd);
        }
    }
}

pub(crate) const fn family_number(family: Family) -> i32 {
    match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
        Family::Unix => libc::AF_UNIX,
    }
}

pub(crate) const fn kind_number(kind: Kind) -> i32 {
    match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
    }
}

/// An error of the system by its number.
pub(crate) fn system_error(number: i32) -> PyErr {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    PyOSError::new_err((number, text.split(" (os error").next().unwrap_or_default().to_owned()))
}

const LOOKS: [&str; 4] = ["getsockname", "getpeername", "getsockopt", "detach"];
