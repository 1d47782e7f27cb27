//! Sockets: their numbers, their addresses, and who is told when they are ready.
//!
//! Readiness is epoll's: a socket with an interest is listed when something about it changes; [`Simulated::take_ready`] asks each one on the list
//! what it is ready for, and keeps it there as long as it is (level-triggered), unless each change is told of once.

use super::Simulated;
use super::datagram::Datagram;
use super::fault::{Fault, Result};
use super::handshake::Listener;
use super::hosts::{FIRST_EPHEMERAL, HostId};
use super::stream::Stream;
use crate::world::{Interest, Readiness};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The number of a socket. It is never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    index: u32,
    generation: u32,
}

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

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream of bytes.
    Stream,
    /// Datagrams.
    Datagram,
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

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) host: HostId,
    pub(super) family: Family,
    pub(super) kind: Kind,
    pub(super) local: Option<Address>,
    /// The address was not asked for: it came with a connection, and goes with it.
    pub(super) is_local_borrowed: bool,
    pub(super) role: Role,
    /// The owner has closed it; it stays until what it has sent has arrived.
    pub(super) is_closed: bool,
    interest: Interest,
    is_listed: bool,
}

#[derive(Debug)]
pub(super) enum Role {
    /// Of a stream that is neither connected nor listening.
    Fresh,
    Listener(Listener),
    Stream(Box<Stream>),
    Datagram(Box<Datagram>),
}

#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Who has a port: each socket with its address.
    bound: BTreeMap<(HostId, IsStream, u16), Vec<Bound>>,
    paths: BTreeMap<(HostId, Vec<u8>), SocketId>,
    /// How many names were made up.
    named: u32,
    ready: VecDeque<SocketId>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    socket: Option<Socket>,
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

impl SocketId {
    /// The place in the table of sockets: of the sockets that exist at one time, each has another one.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl Socket {
    pub(super) fn new(host: HostId, family: Family, kind: Kind) -> Self {
        let role = match kind {
            Kind::Stream => Role::Fresh,
            Kind::Datagram => Role::Datagram(Box::default()),
        };
        Self {
            host,
            family,
            kind,
            local: None,
            is_local_borrowed: false,
            role,
            is_closed: false,
            interest: Interest::NONE,
            is_listed: false,
        }
    }

    /// The owner has closed it, and hears no more of it.
    pub(super) const fn set_closed(&mut self) {
        self.is_closed = true;
        self.interest = Interest::NONE;
    }

    /// The name of this end, as a system gives it to a socket that has none.
    pub(super) fn name(&self) -> Address {
        match (&self.local, self.family) {
            (Some(local), _) => local.clone(),
            (None, Family::V4) => Address::Internet((Ipv4Addr::UNSPECIFIED, 0).into()),
            (None, Family::V6) => Address::Internet((Ipv6Addr::UNSPECIFIED, 0).into()),
            (None, Family::Unix) => Address::Nameless,
        }
    }

    /// What it is ready for, of what is waited for.
    #[inline]
    fn awaited(&self) -> Option<Readiness> {
        let mut now = self.readiness();
        now.readable &= self.interest.read;
        now.writable &= self.interest.write;
        now.is_exceptional &= self.interest.is_edge;
        (now.readable || now.writable).then_some(now)
    }

    fn readiness(&self) -> Readiness {
        match &self.role {
            Role::Fresh => Readiness { readable: true, writable: true, is_exceptional: true },
            Role::Listener(listener) => listener.readiness(),
            Role::Stream(stream) => stream.readiness(),
            Role::Datagram(datagram) => datagram.readiness(),
        }
    }
}

impl Sockets {
    pub(super) fn insert(&mut self, socket: Socket) -> SocketId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        slot.socket = Some(socket);
        SocketId { index, generation: slot.generation }
    }

    #[inline]
    pub(super) fn get(&self, id: SocketId) -> Option<&Socket> {
        let slot = self.slots.get(id.index())?;
        slot.socket.as_ref().filter(|_| slot.generation == id.generation)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        let slot = self.slots.get_mut(id.index())?;
        slot.socket.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// The socket, if its owner has not closed it.
    fn look(&self, id: SocketId) -> Result<&Socket> {
        self.get(id).filter(|socket| !socket.is_closed).ok_or(Fault::BadSocket)
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn open(&mut self, id: SocketId) -> Result<&mut Socket> {
        self.get_mut(id).filter(|socket| !socket.is_closed).ok_or(Fault::BadSocket)
    }

    /// The stream of a socket, closed or not.
    #[inline]
    pub(super) fn stream(&mut self, id: SocketId) -> Option<&mut Stream> {
        match &mut self.get_mut(id)?.role {
            Role::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// The socket is gone: nothing has its number any more.
    pub(super) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        let socket = slot.socket.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        if let Some(local) = &socket.local {
            self.unbind(id, socket.host, socket.kind, local);
        }
        Some(socket)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = SocketId { index: u32::try_from(index).ok()?, generation: slot.generation };
            slot.socket.as_ref().map(|socket| (id, socket))
        })
    }

    // ------------------------------------------------------------------ readiness

    /// Something about the socket has changed.
    #[inline]
    pub(super) fn mark(&mut self, id: SocketId) {
        let Some(socket) = self.get_mut(id) else { return };
        if !socket.interest.is_none() && !std::mem::replace(&mut socket.is_listed, true) {
            self.ready.push_back(id);
        }
    }

    pub(super) fn has_listed(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether a socket is ready for what is waited for. Those that turn out not to be are taken off the list.
    pub(super) fn has_ready(&mut self) -> bool {
        while let Some(id) = self.ready.front().copied() {
            match self.get_mut(id) {
                Some(socket) if socket.awaited().is_some() => return true,
                Some(socket) => socket.is_listed = false,
                None => {}
            }
            self.ready.pop_front();
        }
        false
    }

    /// Asks those on the list; gives what they are ready for, of what is waited for.
    pub(super) fn take_ready(&mut self, ready: &mut Vec<(SocketId, Readiness)>) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else { break };
            let Some(socket) = self.get_mut(id) else { continue };
            socket.is_listed = false;
            let Some(now) = socket.awaited() else { continue };
            ready.push((id, now));
            if !socket.interest.is_edge {
                socket.is_listed = true;
                self.ready.push_back(id);
            }
        }
    }

    // ------------------------------------------------------------------ addresses

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
            self.named += 1;
            let path = format!("\0{:05x}", self.named).into_bytes();
            if !self.paths.contains_key(&(host, path.clone())) {
                return path;
            }
        }
    }

    pub(super) fn at_path(&self, host: HostId, path: &[u8]) -> Option<SocketId> {
        self.paths.get(&(host, path.to_vec())).copied()
    }

    /// A socket gives its address back.
    pub(super) fn release(&mut self, id: SocketId) {
        if let Some(socket) = self.get_mut(id)
            && let Some(local) = socket.local.take()
        {
            socket.is_local_borrowed = false;
            let (host, kind) = (socket.host, socket.kind);
            self.unbind(id, host, kind, &local);
        }
    }

    fn unbind(&mut self, id: SocketId, host: HostId, kind: Kind, local: &Address) {
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
    /// A new socket of a host.
    pub fn socket(&mut self, host: HostId, family: Family, kind: Kind) -> SocketId {
        self.sockets.insert(Socket::new(host, family, kind))
    }

    /// What a socket is.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn kind(&self, id: SocketId) -> Result<(Family, Kind)> {
        self.sockets.look(id).map(|socket| (socket.family, socket.kind))
    }

    /// The host of a socket.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn host_of(&self, id: SocketId) -> Result<HostId> {
        self.sockets.look(id).map(|socket| socket.host)
    }

    /// Gives a socket an address; port 0 stands for any that is free.
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
            (Family::Unix, Address::Path(path)) => {
                let path = if path.is_empty() { self.sockets.nameless_path(host) } else { path.clone() };
                let key = (host, path.clone());
                if self.sockets.paths.contains_key(&key) {
                    return Err(Fault::AddressInUse);
                }
                self.sockets.paths.insert(key, id);
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
        let entries = self.sockets.bound.entry((host, kind == Kind::Stream, address.port())).or_default();
        entries.push(Bound { address: address.ip(), id, options });
        Ok(address)
    }

    fn is_taken(&self, host: HostId, kind: Kind, address: SocketAddr, options: BindOptions) -> bool {
        let entries = self.sockets.bound.get(&(host, kind == Kind::Stream, address.port()));
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

    /// Sets what is told of a socket.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn watch(&mut self, id: SocketId, interest: Interest) -> Result<()> {
        self.sockets.open(id)?.interest = interest;
        self.sockets.mark(id);
        Ok(())
    }

    /// Puts in `ready` what is ready now.
    pub fn take_ready(&mut self, ready: &mut Vec<(SocketId, Readiness)>) {
        self.sockets.take_ready(ready);
    }

    /// What a socket is ready for, whether or not anybody waits.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn readiness(&self, id: SocketId) -> Result<Readiness> {
        self.sockets.look(id).map(Socket::readiness)
    }

    /// The error that a socket has come to, which is then forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn take_error(&mut self, id: SocketId) -> Result<Option<Fault>> {
        Ok(match &mut self.sockets.open(id)?.role {
            Role::Stream(stream) => stream.take_error(),
            Role::Datagram(datagram) => datagram.take_error(),
            Role::Fresh | Role::Listener(_) => None,
        })
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
