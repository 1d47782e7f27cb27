//! Addresses of sockets: what they are, who has which, and what is free.
//!
//! A port belongs to the sockets that have asked for it, or that have got it on the way to a peer; a socket that was accepted has the name of
//! the listening one, but not its port. Which addresses a host has, and who is reached by them, is in `hosts`. Inside, addresses are of
//! the version that packets travel by; only names that a socket of version 6 shows write version 4 as a part of version 6.
//! Invariant: an address is in the table exactly as long as its socket has it.

use super::Simulated;
use super::fault::{Fault, Result};
use super::hosts::{FIRST_EPHEMERAL, HostId};
use super::socket::{Kind, Role, Socket, SocketId};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which addresses a socket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Internet, version 4.
    V4,
    /// Internet, version 6.
    V6,
    /// Paths, and names of their own space that begin with a null byte.
    Unix,
}

/// The name of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An internet address.
    Internet(SocketAddr),
    /// A path, or a name that begins with a null byte.
    Path(Vec<u8>),
    /// A Unix socket that was never bound.
    Nameless,
}

/// How a socket is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// `::` does not stand for the addresses of version 4 as well.
    pub only_v6: bool,
    /// Several sockets may share the port.
    pub shares_port: bool,
}

/// Who has which address.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Who has a port: each socket with its address.
    bound: BTreeMap<(HostId, IsStream, u16), Vec<Bound>>,
    paths: BTreeMap<(HostId, Vec<u8>), SocketId>,
    /// How many names were made up.
    made_up: u32,
}

type IsStream = bool;

#[derive(Clone, Copy, Debug)]
struct Bound {
    address: IpAddr,
    id: SocketId,
    options: BindOptions,
}

impl Family {
    /// An internet address as sockets of the family write it: for those of version 6, version 4 is a part of theirs.
    pub(super) fn writes(self, address: SocketAddr) -> SocketAddr {
        match (self, address) {
            (Self::V6, SocketAddr::V4(v4)) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            _ => address,
        }
    }

    /// The address that a socket of the family means, of the version that it travels by.
    pub(super) fn reads(self, address: SocketAddr) -> Result<SocketAddr> {
        match (self, address) {
            (Self::V4, SocketAddr::V4(_)) => Ok(address),
            (Self::V6, SocketAddr::V6(v6)) => Ok(v6.ip().to_ipv4_mapped().map_or(address, |v4| (v4, v6.port()).into())),
            _ => Err(Fault::WrongFamily),
        }
    }
}

impl Names {
    /// The sockets that get what comes to an address: either those that have it, or those that have all of its family.
    pub(super) fn at(
        &self,
        host: HostId,
        kind: Kind,
        to: SocketAddr,
        is_exact: bool,
    ) -> impl Iterator<Item = SocketId> {
        let entries = self.bound.get(&(host, kind == Kind::Stream, to.port())).map_or(&[][..], Vec::as_slice);
        let is_meant = move |bound: &&Bound| {
            let has_it = bound.address == to.ip();
            if is_exact { has_it } else { !has_it && bound.covers(to.ip()) }
        };
        entries.iter().filter(is_meant).map(|bound| bound.id)
    }

    /// A name of their own space that no socket has, for one that is bound to nothing in particular.
    fn nameless_path(&mut self, host: HostId) -> Vec<u8> {
        loop {
            self.made_up += 1;
            let path = format!("\0{:05x}", self.made_up).into_bytes();
            if !self.paths.contains_key(&(host, path.clone())) {
                return path;
            }
        }
    }

    pub(super) fn at_path(&self, host: HostId, path: &[u8]) -> Option<SocketId> {
        self.paths.get(&(host, path.to_vec())).copied()
    }

    pub(super) fn unbind(&mut self, id: SocketId, host: HostId, kind: Kind, local: &Address) {
        match local {
            Address::Internet(address) => {
                let key = (host, kind == Kind::Stream, address.port());
                if let Some(entries) = self.bound.get_mut(&key) {
                    entries.retain(|bound| bound.id != id);
                    if entries.is_empty() {
                        self.bound.remove(&key);
                    }
                }
            }
            Address::Path(path) => {
                let key = (host, path.clone());
                if self.paths.get(&key) == Some(&id) {
                    self.paths.remove(&key);
                }
            }
            Address::Nameless => {}
        }
    }
}

impl Bound {
    /// Whether a socket of this address gets what comes to another one.
    fn covers(&self, address: IpAddr) -> bool {
        match self.address {
            IpAddr::V4(own) => own.is_unspecified() && address.is_ipv4(),
            IpAddr::V6(own) => own.is_unspecified() && (address.is_ipv6() || !self.options.only_v6),
        }
    }

    fn collides(&self, address: IpAddr, options: BindOptions) -> bool {
        let other = Self { address, options, ..*self };
        let overlap = self.address == address || self.covers(address) || other.covers(self.address);
        overlap && !(self.options.shares_port && options.shares_port)
    }
}

impl Simulated {
    /// Gives a socket an address; port 0 stands for any that is free, [`Address::Nameless`] for a name that is made up.
    ///
    /// # Errors
    /// [`Fault::AddressInUse`], [`Fault::AddressNotAvailable`], [`Fault::WrongFamily`]; [`Fault::Invalid`] if it has one.
    pub fn bind(&mut self, id: SocketId, address: &Address, options: BindOptions) -> Result<()> {
        let socket = self.sockets.open(id)?;
        if socket.local.is_some() {
            return Err(Fault::Invalid);
        }
        let (host, family, kind) = (socket.host, socket.family, socket.kind);
        let local = match (family, address) {
            (Family::V4 | Family::V6, Address::Internet(wanted)) => {
                let claimed = self.claim(id, host, kind, family.reads(*wanted)?, options)?;
                Address::Internet(family.writes(claimed))
            }
            (Family::Unix, Address::Path(_) | Address::Nameless) => {
                let path = match address {
                    Address::Path(path) => path.clone(),
                    _ => self.sockets.names.nameless_path(host),
                };
                let key = (host, path.clone());
                if self.sockets.names.paths.contains_key(&key) {
                    return Err(Fault::AddressInUse);
                }
                self.sockets.names.paths.insert(key, id);
                Address::Path(path)
            }
            _ => return Err(Fault::WrongFamily),
        };
        self.sockets.open(id)?.local = Some(local);
        Ok(())
    }

    /// Takes a port of a host for a socket.
    fn claim(
        &mut self,
        id: SocketId,
        host: HostId,
        kind: Kind,
        wanted: SocketAddr,
        options: BindOptions,
    ) -> Result<SocketAddr> {
        if !self.hosts.can_bind(host, wanted.ip()) {
            return Err(Fault::AddressNotAvailable);
        }
        let mut address = wanted;
        if wanted.port() == 0 {
            address.set_port(self.free_port(host, kind, wanted.ip(), options).ok_or(Fault::AddressInUse)?);
        } else if self.is_taken(host, kind, wanted, options) {
            return Err(Fault::AddressInUse);
        }
        let entries = self.sockets.names.bound.entry((host, kind == Kind::Stream, address.port())).or_default();
        entries.push(Bound { address: address.ip(), id, options });
        Ok(address)
    }

    fn is_taken(&self, host: HostId, kind: Kind, address: SocketAddr, options: BindOptions) -> bool {
        let entries = self.sockets.names.bound.get(&(host, kind == Kind::Stream, address.port()));
        entries.is_some_and(|entries| entries.iter().any(|bound| bound.collides(address.ip(), options)))
    }

    fn free_port(&mut self, host: HostId, kind: Kind, address: IpAddr, options: BindOptions) -> Option<u16> {
        // Whoever asks for any port wants one for himself.
        let options = BindOptions { shares_port: false, ..options };
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let next = &mut self.hosts.get_mut(host).next_port;
            let port = *next;
            *next = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !self.is_taken(host, kind, SocketAddr::new(address, port), options) {
                return Some(port);
            }
        }
        None
    }

    /// Gives a socket that has no address a port of one; gives the address by which it is known at `to`, on the host `far`.
    pub(super) fn bind_on_the_way(
        &mut self,
        id: SocketId,
        own: IpAddr,
        to: SocketAddr,
        far: HostId,
    ) -> Result<SocketAddr> {
        let socket = self.sockets.open(id)?;
        let (host, family, kind) = (socket.host, socket.family, socket.kind);
        let local = match &socket.local {
            Some(Address::Internet(local)) => family.reads(*local)?,
            Some(_) => return Err(Fault::WrongFamily),
            None => {
                let claimed = self.claim(id, host, kind, SocketAddr::new(own, 0), BindOptions::default());
                let claimed = claimed.map_err(|_| Fault::AddressNotAvailable)?;
                let socket = self.sockets.open(id)?;
                socket.local = Some(Address::Internet(family.writes(claimed)));
                socket.is_local_borrowed = true;
                claimed
            }
        };
        if local.ip().is_loopback() && host != far {
            return Err(Fault::Invalid);
        }
        let ip = if local.ip().is_unspecified() { self.hosts.source(host, to.ip()) } else { local.ip() };
        Ok(SocketAddr::new(ip, local.port()))
    }

    /// The name of a socket.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn local_name(&self, id: SocketId) -> Result<Address> {
        self.sockets.look(id).map(Socket::name)
    }

    /// The name of the socket that this one is connected to.
    ///
    /// # Errors
    /// [`Fault::NotConnected`].
    pub fn peer_name(&self, id: SocketId) -> Result<Address> {
        let name = match &self.sockets.look(id)?.role {
            Role::Stream(stream) => stream.peer_name(),
            Role::Datagram(datagram) => datagram.peer_name(),
            Role::Fresh | Role::Listener(_) => None,
        };
        name.ok_or(Fault::NotConnected)
    }
}

/// Where a packet to an address goes: an address that stands for all stands for the host's own here.
pub(super) fn destination(to: SocketAddr) -> SocketAddr {
    let own: IpAddr = match to.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(own, to.port())
}
