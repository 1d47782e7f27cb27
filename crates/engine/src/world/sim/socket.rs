//! Sockets: their numbers, their addresses, and who is told when they are ready.
//!
//! Readiness is epoll's: a socket with an interest is listed when something about it changes; [`Simulated::take_ready`] asks each one on the list
//! what it is ready for, and keeps it there as long as it is (level-triggered), unless each change is told of once.

use super::Simulated;
use super::datagram::Datagram;
use super::fault::{Fault, Result};
use super::hosts::{FIRST_EPHEMERAL, HostId};
use super::stream::{Listener, Stream};
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
        Self { host, family, kind, local: None, role, is_closed: false, interest: Interest::NONE, is_listed: false }
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
        let mut socket = slot.socket.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.unbind(id, &socket);
        if let Role::Datagram(datagram) = &mut socket.role {
            // They find out that it is gone.
            let waiting = datagram.take_waiting();
            self.tell_of_room(id, waiting);
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

    /// Asks those on the list; gives what they are ready for, of what is waited for.
    pub(super) fn take_ready(&mut self, ready: &mut Vec<(SocketId, Readiness)>) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else { break };
            let Some(socket) = self.get_mut(id) else { continue };
            socket.is_listed = false;
            let interest = socket.interest;
            let mut now = socket.readiness();
            now.readable &= interest.read;
            now.writable &= interest.write;
            now.is_exceptional &= interest.is_edge;
            if !(now.readable || now.writable) {
                continue;
            }
            ready.push((id, now));
            if !interest.is_edge {
                socket.is_listed = true;
                self.ready.push_back(id);
            }
        }
    }

    // ------------------------------------------------------------------ addresses

    /// The socket that gets what comes to an address: one that has it, before one that has them all.
    pub(super) fn at(&self, host: HostId, kind: Kind, to: SocketAddr) -> impl Iterator<Item = SocketId> {
        let entries = self.bound.get(&(host, kind == Kind::Stream, to.port())).map_or(&[][..], Vec::as_slice);
        let exact = entries.iter().filter(move |bound| bound.address == to.ip());
        let any = entries.iter().filter(move |bound| bound.address != to.ip() && bound.covers(to.ip()));
        exact.chain(any).map(|bound| bound.id)
    }

    pub(super) fn at_path(&self, host: HostId, path: &[u8]) -> Option<SocketId> {
        self.paths.get(&(host, path.to_vec())).copied()
    }

    fn unbind(&mut self, id: SocketId, socket: &Socket) {
        match &socket.local {
            Some(Address::Internet(address)) => {
                let key = (socket.host, socket.kind == Kind::Stream, address.port());
                if let Some(entries) = self.bound.get_mut(&key) {
                    entries.retain(|bound| bound.id != id);
                    if entries.is_empty() {
                        self.bound.remove(&key);
                    }
                }
            }
            Some(Address::Path(path)) => {
                let key = (socket.host, path.clone());
                if self.paths.get(&key) == Some(&id) {
                    self.paths.remove(&key);
                }
            }
            Some(Address::Nameless) | None => {}
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
        let socket = self.sockets.get(id).ok_or(Fault::BadSocket)?;
        Ok((socket.family, socket.kind))
    }

    /// Whether a socket exists, and its owner has not closed it.
    pub fn is_open_socket(&self, id: SocketId) -> bool {
        self.sockets.get(id).is_some_and(|socket| !socket.is_closed)
    }

    /// The host of a socket.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn host_of(&self, id: SocketId) -> Result<HostId> {
        self.sockets.get(id).map(|socket| socket.host).ok_or(Fault::BadSocket)
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
            (Family::V4, Address::Internet(internet)) if internet.is_ipv4() => {
                Address::Internet(self.claim(id, host, kind, *internet, options)?)
            }
            (Family::V6, Address::Internet(internet)) if internet.is_ipv6() => {
                Address::Internet(self.claim(id, host, kind, *internet, options)?)
            }
            (Family::Unix, Address::Nameless) => {
                // Linux's autobind: a name of five digits in the space of its own.
                let name = (0_u32..1 << 20)
                    .map(|number| format!("\0{number:05x}").into_bytes())
                    .find(|name| !self.sockets.paths.contains_key(&(host, name.clone())))
                    .ok_or(Fault::AddressInUse)?;
                self.sockets.paths.insert((host, name.clone()), id);
                Address::Path(name)
            }
            (Family::Unix, Address::Path(path)) => {
                let key = (host, path.clone());
                if self.sockets.paths.contains_key(&key) {
                    return Err(Fault::AddressInUse);
                }
                self.sockets.paths.insert(key, id);
                address.clone()
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

    /// Gives a socket without an address the one that it has on the way to `to`.
    pub(super) fn bind_on_the_way(&mut self, id: SocketId, to: SocketAddr) -> Result<SocketAddr> {
        let socket = self.sockets.open(id)?;
        let host = socket.host;
        match &mut socket.local {
            Some(Address::Internet(local)) if local.ip().is_unspecified() => {
                // Bound to all of them: from now on it has the one that it is reached by.
                let source = self.hosts.source(host, to.ip());
                Ok(SocketAddr::new(source, local.port()))
            }
            Some(Address::Internet(local)) => Ok(*local),
            _ => {
                let source = SocketAddr::new(self.hosts.source(host, to.ip()), 0);
                let kind = socket.kind;
                let claimed = self.claim(id, host, kind, source, BindOptions::default())?;
                self.sockets.open(id)?.local = Some(Address::Internet(claimed));
                Ok(claimed)
            }
        }
    }

    /// The name of a socket.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn local_name(&self, id: SocketId) -> Result<Address> {
        self.sockets.get(id).map(Socket::name).ok_or(Fault::BadSocket)
    }

    /// The name of the socket that this one is connected to.
    ///
    /// # Errors
    /// [`Fault::NotConnected`].
    pub fn peer_name(&self, id: SocketId) -> Result<Address> {
        let name = match &self.sockets.get(id).ok_or(Fault::BadSocket)?.role {
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
    pub fn readiness(&mut self, id: SocketId) -> Result<Readiness> {
        self.sockets.open(id).map(|socket| socket.readiness())
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
