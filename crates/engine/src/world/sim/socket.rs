//! Sockets: the table of them by number, and who is told when they are ready. Which addresses they have is `address`'s.
//!
//! Readiness is epoll's: a socket with an interest is listed when something about it changes; [`Simulated::take_ready`] asks each one on the list
//! what it is ready for, and keeps it there as long as it is (level-triggered), unless each change is told of once.

use super::Simulated;
use super::address::{Address, Family, Names};
use super::datagram::Datagram;
use super::fault::{Fault, Result};
use super::handshake::Listener;
use super::hosts::HostId;
use super::stream::{Stream, WINDOW};
use crate::world::{Interest, Readiness};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The number of a socket. It is never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    index: u32,
    generation: u32,
}

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream of bytes.
    Stream,
    /// Datagrams.
    Datagram,
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
    /// What a stream of it may have under way and unread.
    pub(super) window: usize,
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
    pub(super) names: Names,
    ready: VecDeque<SocketId>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    socket: Option<Socket>,
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
            window: WINDOW,
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

    pub(super) const fn is_unwatched(&self) -> bool {
        self.interest.is_none()
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
    pub(super) fn look(&self, id: SocketId) -> Result<&Socket> {
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
            self.names.unbind(id, socket.host, socket.kind, local);
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

    /// A socket gives its address back.
    pub(super) fn release(&mut self, id: SocketId) {
        if let Some(socket) = self.get_mut(id)
            && let Some(local) = socket.local.take()
        {
            socket.is_local_borrowed = false;
            let (host, kind) = (socket.host, socket.kind);
            self.names.unbind(id, host, kind, &local);
        }
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

    /// Whether a socket exists, and its owner has not closed it.
    pub fn is_open_socket(&self, id: SocketId) -> bool {
        self.sockets.get(id).is_some_and(|socket| !socket.is_closed)
    }

    /// The host of a socket.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn host_of(&self, id: SocketId) -> Result<HostId> {
        self.sockets.look(id).map(|socket| socket.host)
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
