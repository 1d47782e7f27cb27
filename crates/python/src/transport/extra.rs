//! What a transport can be asked about its socket: `get_extra_info`.
//!
//! Most transports are never asked, so what an accepted connection's answers are made of is kept, and the answers are made when
//! somebody asks.

use super::stream::StreamTransport;
use crate::error;
use crate::ffi::cell::GilCell;
use crate::names::Names;
use crate::port::Port;
use crate::world::World;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyOSError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use soliloop_engine::world::real::Kind;
use std::net::SocketAddr;

pub(crate) struct Extra {
    known: GilCell<Option<Py<PyDict>>>,
    /// Of an accepted connection.
    accepted: Option<Addresses>,
}

/// The addresses of an accepted connection.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    /// `None`: the socket is of a family without internet addresses.
    pub(crate) peer: Option<SocketAddr>,
    /// `None`: the server listens on more than one address, so that it must be asked for.
    pub(crate) local: Option<SocketAddr>,
}

impl Extra {
    pub(crate) const fn of_accepted(addresses: Addresses) -> Self {
        Self { known: GilCell::new(None), accepted: Some(addresses) }
    }

    /// What asyncio's transports know of a socket or a pipe; `extra` is what the loop knows already.
    pub(super) fn of_file(file: &Bound<'_, PyAny>, extra: Option<Bound<'_, PyDict>>, kind: Kind) -> PyResult<Self> {
        let py = file.py();
        let known = PyDict::new(py);
        if let Some(extra) = extra {
            known.update(extra.as_mapping())?;
        }
        if kind == Kind::File {
            known.set_item(intern!(py, "pipe"), file)?;
        } else {
            let names = Names::get(py)?;
            known.set_item(intern!(py, "socket"), names.transport_socket.bind(py).call1((file,))?)?;
            known.set_item(intern!(py, "sockname"), name(py, file.call_method0(intern!(py, "getsockname")))?)?;
            if !known.contains(intern!(py, "peername"))? {
                known.set_item(intern!(py, "peername"), name(py, file.call_method0(intern!(py, "getpeername")))?)?;
            }
        }
        Ok(Self { known: GilCell::new(Some(known.unbind())), accepted: None })
    }

    /// What is known without asking the socket.
    pub(super) fn known(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        let known = self.known.with(py, |known| known.as_ref().map(|known| known.clone_ref(py)));
        let answer = known.map(|known| known.bind(py).get_item(name)).transpose()?.flatten();
        Ok(answer.map(Bound::unbind))
    }

    pub(super) fn get(&self, py: Python<'_>, transport: &StreamTransport, name: &str) -> PyResult<Option<Py<PyAny>>> {
        if let Some(answer) = self.known(py, name)? {
            return Ok(Some(answer));
        }
        let Some(addresses) = self.accepted else { return Ok(None) };
        let answer = match name {
            // Names that are no internet addresses are for the socket to write, as long as it is open.
            "peername" | "sockname" if addresses.peer.is_none() => match transport.socket(py)? {
                Some(socket) => {
                    let ask = if name == "peername" { intern!(py, "getpeername") } else { intern!(py, "getsockname") };
                    self::name(py, socket.bind(py).call_method0(ask))?.into_pyobject(py)?.into_any()
                }
                None => return Ok(None),
            },
            "peername" => address(py, &transport.core.get().world, addresses.peer)?,
            "sockname" => match addresses.local {
                Some(local) => address(py, &transport.core.get().world, Some(local))?,
                None => local_name(py, &transport.core.get().world, transport.port)?,
            },
            "socket" => match transport.socket(py)? {
                Some(socket) => Names::get(py)?.transport_socket.bind(py).call1((socket,))?,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.remember(py, name, &answer)?;
        Ok(Some(answer.unbind()))
    }

    /// The socket is about to be closed, but may be asked about after that.
    pub(super) fn keep_for_the_dead(&self, py: Python<'_>, world: &World, port: Port) {
        if self.accepted.is_some_and(|addresses| addresses.local.is_none() && addresses.peer.is_some()) {
            // Not worth an error: somebody would have to ask first.
            let kept = local_name(py, world, port).and_then(|name| self.remember(py, "sockname", &name));
            drop(kept);
        }
    }

    fn remember(&self, py: Python<'_>, name: &str, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let known = self.known.with(py, |known| known.as_ref().map(|known| known.clone_ref(py)));
        let known = if let Some(known) = known {
            known.into_bound(py)
        } else {
            let known = PyDict::new(py);
            drop(self.known.replace(py, Some(known.clone().unbind())));
            known
        };
        known.set_item(name, answer)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.known.visit(|known| visit.call(&*known)).unwrap_or(Ok(()))
    }
}

/// A name that the system may not have: `None` then, as in asyncio.
fn name<'py>(py: Python<'py>, answer: PyResult<Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match answer {
        Ok(name) => Ok(Some(name)),
        Err(error) if error.is_instance_of::<PyOSError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of a socket that is open.
fn local_name<'py>(py: Python<'py>, world: &World, port: Port) -> PyResult<Bound<'py, PyAny>> {
    address(py, world, port.local_address(py, world).map_err(|error| error::of_system(&error))?)
}

/// An internet address as the module `socket` writes it; no name for a socket that has none.
pub(crate) fn address<'py>(py: Python<'py>, world: &World, address: Option<SocketAddr>) -> PyResult<Bound<'py, PyAny>> {
    let Some(address) = address else { return Ok(PyString::new(py, "").into_any()) };
    let host = world.host_name(py, address.ip()).unwrap_or_else(|| address.ip().to_string());
    Ok(match address {
        SocketAddr::V4(address) => (host, address.port()).into_pyobject(py)?.into_any(),
        SocketAddr::V6(address) => {
            (host, address.port(), u32::from_be(address.flowinfo()), address.scope_id()).into_pyobject(py)?.into_any()
        }
    })
}
