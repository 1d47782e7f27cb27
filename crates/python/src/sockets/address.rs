//! Addresses of simulated sockets, as the module `socket` writes them (Python docs, "Socket families").

use crate::event_loop::LoopCore;
use crate::transport::address_object;
use crate::world::World;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString, PyTuple};
use soliloop_engine::world::sim::{Address, Family};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

/// Reads an address; names of hosts are looked up in the simulation.
///
/// # Errors
/// `TypeError`, `OverflowError` as the module `socket`; `socket.gaierror` for a name that stands for nothing.
pub(crate) fn parse(
    core: &Bound<'_, LoopCore>,
    family: Family,
    object: &Bound<'_, PyAny>,
    call: &str,
) -> PyResult<Address> {
    if family == Family::Unix {
        return path(object);
    }
    let Ok(tuple) = object.cast::<PyTuple>() else {
        let (kind, name) = (if family == Family::V4 { "AF_INET" } else { "AF_INET6" }, object.get_type().name()?);
        return Err(PyTypeError::new_err(format!("{call}(): {kind} address must be tuple, not {name}")));
    };
    let is_fitting = if family == Family::V4 { tuple.len() == 2 } else { (2..=4).contains(&tuple.len()) };
    if !is_fitting {
        let text =
            if family == Family::V4 { "a pair (host, port)" } else { "a tuple (host, port[, flowinfo[, scopeid]])" };
        return Err(PyTypeError::new_err(format!("{call}(): address must be {text}")));
    }
    let port: i64 = tuple.get_item(1)?.extract()?;
    let Ok(port) = u16::try_from(port) else {
        return Err(PyOverflowError::new_err(format!("{call}(): port must be 0-65535.")));
    };
    let ip = host(core, family, &tuple.get_item(0)?)?;
    Ok(Address::Internet(match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(ip) => {
            let number = |index: usize| tuple.get_item(index).map_or(Ok(0), |item| item.extract::<u32>());
            SocketAddrV6::new(ip, port, number(2)?.to_be(), number(3)?).into()
        }
    }))
}

/// An address as an object; a Unix socket without a name has the empty string, or `nameless`.
pub(crate) fn object<'py>(
    core: &Bound<'py, LoopCore>,
    address: &Address,
    nameless: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = core.py();
    Ok(match address {
        Address::Internet(address) => address_object(py, &core.get().world, Some(*address))?,
        Address::Path(path) if path.first() == Some(&0) => PyBytes::new(py, path).into_any(),
        Address::Path(path) => OsStr::from_bytes(path).into_pyobject(py)?.into_any(),
        Address::Nameless => nameless.clone(),
    })
}

fn host(core: &Bound<'_, LoopCore>, family: Family, host: &Bound<'_, PyAny>) -> PyResult<IpAddr> {
    let text = if let Ok(text) = host.cast::<PyString>() {
        text.to_str()?.to_owned()
    } else if let Ok(bytes) = host.cast::<PyBytes>() {
        String::from_utf8_lossy(bytes.as_bytes()).into_owned()
    } else {
        let name = host.get_type().name()?;
        return Err(PyTypeError::new_err(format!("str, bytes or bytearray expected, not {name}")));
    };
    let any: IpAddr = if family == Family::V4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    if text.is_empty() {
        return Ok(any);
    }
    let fits = |ip: &IpAddr| ip.is_ipv4() == (family == Family::V4);
    if let Ok(ip) = text.split('%').next().unwrap_or_default().parse::<IpAddr>()
        && fits(&ip)
    {
        return Ok(ip);
    }
    let World::Simulated(world) = &core.get().world else { return Ok(any) };
    let found = world.with(core.py(), |sim| sim.resolve_in(&text, family == Family::V4));
    match found {
        Some(ip) => Ok(ip),
        None => Err(PyErr::from_value(core.call_method1(intern!(core.py(), "_unknown_name_error"), (text,))?)),
    }
}

fn path(object: &Bound<'_, PyAny>) -> PyResult<Address> {
    let py = object.py();
    let bytes = if let Ok(bytes) = object.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else if let Ok(bytes) = object.cast::<PyByteArray>() {
        bytes.to_vec()
    } else {
        let encoded = py.import(intern!(py, "os"))?.call_method1(intern!(py, "fsencode"), (object,))?;
        encoded.cast::<PyBytes>()?.as_bytes().to_vec()
    };
    Ok(if bytes.is_empty() { Address::Nameless } else { Address::Path(bytes) })
}
