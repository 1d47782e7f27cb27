//! The addresses that datagrams come from and go to: as the system has them, and as Python writes them.
//!
//! A socket talks to few peers, so the tuples that were handed out last are kept, and handed out again; and the one that was handed out
//! last of all is known again when an answer is sent to it. What is kept holds nothing but strings and numbers: no code runs when it is dropped.

use super::extra::address;
use crate::world::World;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use soliloop_engine::world::real::Sender;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

/// What addresses of a socket look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
    Unix,
    /// Only the module `socket` knows.
    Other,
}

/// The tuples that were handed out.
pub(super) struct Peers {
    last: Option<Peer>,
    /// By a hash of the address, where the newer one wins. Empty as long as there is but one peer.
    table: Vec<Option<Peer>>,
}

struct Peer {
    address: SocketAddr,
    tuple: Py<PyAny>,
}

impl Family {
    /// The family of a number of the module `socket`.
    pub(super) const fn of_number(number: i32) -> Self {
        match number {
            1 => Self::Unix,
            2 => Self::V4,
            10 => Self::V6,
            _ => Self::Other,
        }
    }
}

impl Peers {
    pub(super) const fn new() -> Self {
        Self { last: None, table: Vec::new() }
    }

    /// The tuple of an address, if it is kept.
    #[inline]
    pub(super) fn tuple<'py>(&mut self, py: Python<'py>, address: SocketAddr) -> Option<Bound<'py, PyAny>> {
        let last = self.last.as_ref()?;
        if last.address == address {
            return Some(last.tuple.bind(py).clone());
        }
        let peer = self.table.get(place(address))?.as_ref().filter(|peer| peer.address == address)?;
        let tuple = peer.tuple.bind(py).clone();
        self.last = Some(Peer { address, tuple: tuple.clone().unbind() });
        Some(tuple)
    }

    /// Keeps the tuple of an address.
    pub(super) fn keep(&mut self, address: SocketAddr, tuple: &Bound<'_, PyAny>) {
        let peer = || Peer { address, tuple: tuple.clone().unbind() };
        let Some(before) = self.last.replace(peer()) else { return };
        if self.table.is_empty() {
            self.table.resize_with(PLACES, || None);
            let place = place(before.address);
            self.table[place] = Some(before);
        }
        self.table[place(address)] = Some(peer());
    }

    /// The address behind a tuple, if it is the one that was handed out last.
    #[inline]
    pub(super) fn address(&self, tuple: &Bound<'_, PyAny>) -> Option<SocketAddr> {
        self.last.as_ref().filter(|last| last.tuple.is(tuple)).map(|last| last.address)
    }
}

/// Where an address is kept: peers of one machine differ in their ports, and others in the end of their hosts.
#[inline]
fn place(address: SocketAddr) -> usize {
    let host = match address.ip() {
        IpAddr::V4(host) => u32::from(host),
        IpAddr::V6(host) => {
            let [.., a, b, c, d] = host.octets();
            u32::from_be_bytes([a, b, c, d])
        }
    };
    let mixed = (host ^ (u32::from(address.port()) << 8)).wrapping_mul(0x9E37_79B1);
    (mixed >> (u32::BITS - PLACES.ilog2())) as usize
}

/// A sender without a tuple that could be kept, as the module `socket` writes it.
pub(super) fn sender<'py>(py: Python<'py>, world: &World, sender: Sender) -> PyResult<Bound<'py, PyAny>> {
    Ok(match sender {
        Sender::Nameless => py.None().into_bound(py),
        Sender::Internet(internet) => address(py, world, Some(internet))?,
        Sender::Path(path) => OsStr::from_bytes(&path).into_pyobject(py)?.into_any(),
        Sender::Abstract(name) => PyBytes::new(py, &[b"\0", &name[..]].concat()).into_any(),
    })
}

/// The address that a tuple stands for, if that can be told without asking anybody: a host by number, in the form of the family.
pub(super) fn parse(to: &Bound<'_, PyAny>, family: Family) -> Option<SocketAddr> {
    let tuple = to.cast_exact::<PyTuple>().ok()?;
    let item = |index: usize| tuple.get_item(index).ok();
    let host = item(0)?;
    let host = host.cast_exact::<PyString>().ok()?.to_str().ok()?;
    let port: u16 = item(1)?.extract().ok()?;
    match (family, tuple.len()) {
        (Family::V4, 2) => Some(SocketAddrV4::new(host.parse::<Ipv4Addr>().ok()?, port).into()),
        (Family::V6, 2..=4) => {
            let number = |index: usize| item(index).map_or(Some(0), |number| number.extract::<u32>().ok());
            let flow = number(2).filter(|flow| *flow <= LARGEST_FLOW)?;
            Some(SocketAddrV6::new(host.parse::<Ipv6Addr>().ok()?, port, flow.to_be(), number(3)?).into())
        }
        _ => None,
    }
}

/// How many peers of a socket are kept in mind.
const PLACES: usize = 256;
/// Flows have 20 bits.
const LARGEST_FLOW: u32 = 0xF_FFFF;
