//! Datagrams: each one travels for itself, and may be lost, doubled or overtaken.
//!
//! A datagram that nobody waits for is answered, as a system does it, by an error that only a connected sender hears of. What comes faster
//! than it is read is dropped when [`CAPACITY`] is reached. Left out: broadcast and multicast.

use super::address::{Address, Family, destination};
use super::fault::{Fault, Result};
use super::hosts::HostId;
use super::socket::{Kind, Role, Socket, SocketId};
use super::{Event, Noted, Simulated};
use crate::world::Readiness;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// A datagram under way.
#[derive(Debug)]
pub(super) struct Packet {
    sender: SocketId,
    /// The sender's.
    host: HostId,
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

/// A socket of datagrams.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    peer: Option<Address>,
    inbox: VecDeque<(Vec<u8>, Address)>,
    /// What the inbox takes up, in bytes.
    size: usize,
    error: Option<Fault>,
    /// The other end of a pair, which has no name.
    other: Option<SocketId>,
    /// Its peer on this host has no room.
    is_held_up: bool,
    /// Who is told when there is room.
    waiting: Vec<SocketId>,
}

impl Datagram {
    pub(super) fn readiness(&self) -> Readiness {
        let is_ready = !self.inbox.is_empty() || self.error.is_some();
        Readiness { readable: is_ready, writable: !self.is_held_up, is_exceptional: self.error.is_some() }
    }

    pub(super) fn peer_name(&self) -> Option<Address> {
        self.peer.clone()
    }

    pub(super) const fn take_error(&mut self) -> Option<Fault> {
        self.error.take()
    }

    pub(super) fn next_size(&self) -> usize {
        self.inbox.front().map_or(0, |(data, _)| data.len())
    }

    pub(super) fn describe(&self) -> String {
        format!("{} datagrams unread", self.inbox.len())
    }

    /// Whether it hears of what this sender sends.
    fn hears(&self, from: &Address) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer == from)
    }

    fn has_room(&self, size: usize) -> bool {
        self.size + size + OVERHEAD <= CAPACITY
    }

    fn put(&mut self, data: Vec<u8>, from: Address) {
        self.size += data.len() + OVERHEAD;
        self.inbox.push_back((data, from));
    }

    /// Those who wait for room: there is some now, or nobody is there any more to make it.
    pub(super) fn take_waiting(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.waiting)
    }
}

impl Simulated {
    pub(super) fn connect_datagram(&mut self, id: SocketId, to: &Address) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, family) = (socket.host, socket.family);
        let peer = match (family, to) {
            (Family::Unix, Address::Path(path)) => {
                let receiver = self.sockets.names.at_path(host, path).ok_or_else(|| missing(path))?;
                if !matches!(self.kind(receiver), Ok((_, Kind::Datagram))) {
                    return Err(Fault::ConnectionRefused);
                }
                to.clone()
            }
            (Family::V4 | Family::V6, Address::Internet(to)) => {
                let to = destination(family.reads(*to)?);
                let far = self.hosts.route(host, to.ip()).ok_or(Fault::HostUnreachable)?;
                let near = self.bind_on_the_way(id, self.hosts.source(host, to.ip()), to, far)?;
                self.sockets.open(id)?.local = Some(Address::Internet(family.writes(near)));
                Address::Internet(family.writes(to))
            }
            _ => return Err(Fault::WrongFamily),
        };
        if let Role::Datagram(datagram) = &mut self.sockets.open(id)?.role {
            datagram.peer = Some(peer);
            datagram.other = None;
            datagram.is_held_up = false;
        }
        Ok(())
    }

    pub(super) fn join_datagrams(&mut self, one: SocketId, other: SocketId) {
        for (id, peer) in [(one, other), (other, one)] {
            if let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(id) {
                datagram.other = Some(peer);
                datagram.peer = Some(Address::Nameless);
            }
        }
    }

    /// Sends a datagram, to the peer or to an address.
    ///
    /// # Errors
    /// [`Fault::NoDestination`], [`Fault::MessageTooLong`], [`Fault::HostUnreachable`], and what became of an earlier one.
    pub fn send_to(&mut self, id: SocketId, data: &[u8], to: Option<&Address>) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, family) = (socket.host, socket.family);
        let Role::Datagram(datagram) = &mut socket.role else { return Err(Fault::IsConnected) };
        if let Some(error) = datagram.error.take() {
            return Err(error);
        }
        let other = datagram.other;
        let is_to_peer = to.is_none() || to == datagram.peer.as_ref();
        let Some(to) = to.cloned().or_else(|| datagram.peer.clone()) else {
            return Err(if family == Family::Unix { Fault::NotConnected } else { Fault::NoDestination });
        };
        if data.len() > if family == Family::Unix { CAPACITY - OVERHEAD } else { LARGEST } {
            return Err(Fault::MessageTooLong);
        }
        let Address::Internet(to) = to else { return self.send_on_host(id, data, other, &to, is_to_peer) };
        let to = destination(family.reads(to)?);
        let far = self.hosts.route(host, to.ip()).ok_or(Fault::HostUnreachable)?;
        let any = if family == Family::V4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let from = self.bind_on_the_way(id, any, to, far)?;
        self.note(Noted::Datagram, id, data.len());
        let packet = |data: &[u8]| Packet { sender: id, host, from, to, data: data.to_vec() };
        if self.hosts.is_perfect(host, far) && !self.hosts.is_lossy(host, far) {
            self.on_datagram(packet(data));
        } else if !self.hosts.is_blocked(host, far) {
            let arrivals = self.hosts.direction(host, far).datagram_arrivals(self.now, data.len(), &mut self.tape);
            for arrival in arrivals.into_iter().flatten() {
                self.agenda.push(arrival, Event::Datagram(Box::new(packet(data))));
            }
        }
        Ok(())
    }

    fn send_on_host(
        &mut self,
        id: SocketId,
        data: &[u8],
        other: Option<SocketId>,
        to: &Address,
        is_to_peer: bool,
    ) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, from) = (socket.host, socket.name());
        if socket.family != Family::Unix {
            return Err(Fault::WrongFamily);
        }
        let receiver = match to {
            Address::Path(path) => self
                .sockets
                .names
                .at_path(host, path)
                .ok_or_else(|| if is_to_peer { Fault::ConnectionRefused } else { missing(path) })?,
            Address::Internet(_) => return Err(Fault::WrongFamily),
            Address::Nameless => other.ok_or(Fault::Invalid)?,
        };
        self.note(Noted::Datagram, id, data.len());
        let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(receiver) else {
            return Err(Fault::ConnectionRefused);
        };
        if datagram.has_room(data.len()) {
            datagram.put(data.to_vec(), from);
            self.sockets.mark(receiver);
            return Ok(());
        }
        // Whoever sends to one peer alone can wait for it.
        if is_to_peer
            && let Some(Socket { role: Role::Datagram(sender), .. }) = self.sockets.get_mut(id)
            && !std::mem::replace(&mut sender.is_held_up, true)
            && let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(receiver)
        {
            datagram.waiting.push(id);
        }
        Err(Fault::WouldBlock)
    }

    /// Those who waited for room are told.
    pub(super) fn let_write(&mut self, waiting: Vec<SocketId>) {
        for id in waiting {
            if let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(id) {
                datagram.is_held_up = false;
                self.sockets.mark(id);
            }
        }
    }

    /// A datagram arrives. Of several sockets that could have it, one that is connected to the sender gets it.
    pub(super) fn on_datagram(&mut self, packet: Packet) {
        let Packet { sender, host, from, to, data } = packet;
        let Some(far) = self.hosts.route(host, to.ip()).filter(|far| !self.hosts.is_blocked(host, *far)) else {
            return;
        };
        self.note(Noted::Arrive, sender, data.len());
        let sockets = &self.sockets;
        let at = |is_exact| sockets.names.at(far, Kind::Datagram, to, is_exact);
        let hearing = at(true).chain(at(false)).filter_map(|id| match sockets.get(id) {
            Some(Socket { role: Role::Datagram(datagram), family, .. }) => {
                let hears = datagram.hears(&Address::Internet(family.writes(from)));
                hears.then_some((id, *family, datagram.peer.is_none()))
            }
            _ => None,
        });
        let Some((id, family, _)) = hearing.min_by_key(|(_, _, is_unconnected)| *is_unconnected) else {
            return self.answer_unreachable(sender, to, far);
        };
        if let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(id)
            && datagram.has_room(data.len())
        {
            datagram.put(data, Address::Internet(family.writes(from)));
            self.sockets.mark(id);
        }
    }

    /// Nobody waits for a datagram: its sender is told, if it is one that hears of it.
    fn answer_unreachable(&mut self, sender: SocketId, about: SocketAddr, by: HostId) {
        if !self.would_hear(sender, about) {
            return;
        }
        let Ok(host) = self.host_of(sender) else { return };
        if self.hosts.is_perfect(by, host) {
            self.on_unreachable(sender);
        } else if !self.hosts.is_blocked(by, host)
            && let Some(arrival) = self.hosts.direction(by, host).signal_arrival(self.now, &mut self.tape)
        {
            self.agenda.push(arrival, Event::Unreachable { to: sender, about });
        }
    }

    /// Whether a socket hears that nobody waits at an address: only if it is connected to it.
    pub(super) fn would_hear(&self, id: SocketId, about: SocketAddr) -> bool {
        match self.sockets.get(id) {
            Some(Socket { role: Role::Datagram(datagram), family, .. }) => {
                datagram.peer == Some(Address::Internet(family.writes(about)))
            }
            _ => false,
        }
    }

    pub(super) fn on_unreachable(&mut self, id: SocketId) {
        if let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(id) {
            datagram.error = Some(Fault::ConnectionRefused);
            self.sockets.mark(id);
        }
    }

    /// Takes the next datagram; gives its length and its sender. What `buffer` has no room for is lost. With `keeps` it can be read again.
    ///
    /// # Errors
    /// [`Fault::WouldBlock`] if there is none; what became of one that was sent.
    pub fn receive_from(&mut self, id: SocketId, buffer: &mut [u8], keeps: bool) -> Result<(usize, Address)> {
        let socket = self.sockets.open(id)?;
        let Role::Datagram(datagram) = &mut socket.role else {
            return self.receive(id, buffer, keeps).map(|count| (count, Address::Nameless));
        };
        if let Some(error) = datagram.error.take() {
            return Err(error);
        }
        let (data, from) = datagram.inbox.front().ok_or(Fault::WouldBlock)?;
        let count = data.len().min(buffer.len());
        buffer[..count].copy_from_slice(&data[..count]);
        let from = from.clone();
        if !keeps && let Some((data, _)) = datagram.inbox.pop_front() {
            datagram.size -= data.len() + OVERHEAD;
            let waiting = datagram.take_waiting();
            self.let_write(waiting);
        }
        Ok((count, from))
    }
}

/// Why nothing can be sent to a path that nobody has.
pub(super) fn missing(path: &[u8]) -> Fault {
    if path.first() == Some(&0) { Fault::ConnectionRefused } else { Fault::NoSuchPath }
}

/// The largest datagram of UDP over the internet, version 4.
const LARGEST: usize = 65_507;
/// Bytes that a socket keeps for its reader: Linux's `rmem_default`.
const CAPACITY: usize = 212_992;
/// What a datagram takes up beside its bytes, so that empty ones can't pile up without end: the headers of IP and UDP.
const OVERHEAD: usize = 28;
