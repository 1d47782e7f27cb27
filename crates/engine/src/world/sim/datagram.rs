//! Datagrams: each one travels for itself, and may be lost, doubled or overtaken.
//!
//! A datagram that nobody waits for is answered, as a system does it, by an error that only a connected sender hears of. What comes faster
//! than it is read is dropped when [`CAPACITY`] is reached. Left out: broadcast and multicast.

use super::fault::{Fault, Result};
use super::socket::{Address, Family, Kind, Role, Socket, SocketId, Sockets, destination};
use super::{Event, Noted, Simulated};
use crate::world::Readiness;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A socket of datagrams.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    peer: Option<Address>,
    inbox: VecDeque<(Vec<u8>, Address)>,
    /// What is in the inbox, in bytes.
    size: usize,
    error: Option<Fault>,
    /// The other end of a pair, which has no name.
    other: Option<SocketId>,
    /// The receiver that had no room for what this socket sends; and those that wait for room here.
    awaits: Option<SocketId>,
    waiting: Vec<SocketId>,
}

impl Datagram {
    pub(super) fn readiness(&self) -> Readiness {
        let is_ready = !self.inbox.is_empty() || self.error.is_some();
        Readiness { readable: is_ready, writable: self.awaits.is_none(), is_exceptional: self.error.is_some() }
    }

    pub(super) fn peer_name(&self) -> Option<Address> {
        self.peer.clone()
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.peer.is_some()
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

    /// Those that wait for room.
    pub(super) fn take_waiting(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.waiting)
    }

    /// Whether it hears of what this sender sends.
    fn hears(&self, from: &Address) -> bool {
        self.other.is_some() || self.peer.as_ref().is_none_or(|peer| peer == from)
    }
}

impl Simulated {
    pub(super) fn connect_datagram(&mut self, id: SocketId, to: &Address) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, family) = (socket.host, socket.family);
        let peer = match (family, to) {
            (Family::Unix, Address::Path(path)) => {
                self.sockets.at_path(host, path).ok_or(Fault::NoSuchPath)?;
                to.clone()
            }
            (Family::V4 | Family::V6, Address::Internet(to)) if to.is_ipv4() == (family == Family::V4) => {
                self.hosts.route(host, to.ip()).ok_or(Fault::HostUnreachable)?;
                let near = self.bind_on_the_way(id, *to)?;
                self.sockets.open(id)?.local = Some(Address::Internet(near));
                Address::Internet(destination(*to))
            }
            _ => return Err(Fault::WrongFamily),
        };
        if let Role::Datagram(datagram) = &mut self.sockets.open(id)?.role {
            datagram.peer = Some(peer);
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
        let to = match to {
            Some(to) => to.clone(),
            None => datagram.peer.clone().ok_or(Fault::NoDestination)?,
        };
        if data.len() > LARGEST {
            return Err(Fault::MessageTooLong);
        }
        self.note(Noted::Datagram, id, data.len());
        match (family, to) {
            (Family::Unix, to) => self.send_on_host(id, data, other, &to),
            (Family::V4 | Family::V6, Address::Internet(to)) if to.is_ipv4() == (family == Family::V4) => {
                let to = destination(to);
                let far = self.hosts.route(host, to.ip()).ok_or(Fault::HostUnreachable)?;
                let from = self.bind_on_the_way(id, to)?;
                let socket = self.sockets.open(id)?;
                if socket.local.is_none() {
                    socket.local = Some(Address::Internet(from));
                }
                if self.passes_at_once(host, far) && !self.hosts.is_lossy(host, far) {
                    self.on_datagram(id, from, to, data.to_vec());
                    return Ok(());
                }
                let now = self.now;
                let arrivals = self.hosts.direction(host, far).datagram_arrivals(now, data.len(), &mut self.tape);
                for arrival in arrivals.into_iter().flatten() {
                    self.agenda.push(arrival, Event::Datagram { sender: id, from, to, data: data.to_vec() });
                }
                Ok(())
            }
            _ => Err(Fault::WrongFamily),
        }
    }

    fn send_on_host(&mut self, id: SocketId, data: &[u8], other: Option<SocketId>, to: &Address) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, from) = (socket.host, socket.name());
        let receiver = match (other, to) {
            (Some(other), _) => other,
            (None, Address::Path(path)) => self.sockets.at_path(host, path).ok_or(Fault::NoSuchPath)?,
            (None, _) => return Err(Fault::WrongFamily),
        };
        let Some(Socket { role: Role::Datagram(datagram), is_closed: false, .. }) = self.sockets.get_mut(receiver)
        else {
            return Err(Fault::ConnectionRefused);
        };
        if datagram.size + data.len() > CAPACITY {
            if !datagram.waiting.contains(&id) {
                datagram.waiting.push(id);
            }
            if let Some(Socket { role: Role::Datagram(sender), .. }) = self.sockets.get_mut(id) {
                sender.awaits = Some(receiver);
            }
            return Err(Fault::WouldBlock);
        }
        datagram.size += data.len();
        datagram.inbox.push_back((data.to_vec(), from));
        self.sockets.mark(receiver);
        Ok(())
    }

    /// A datagram arrives.
    pub(super) fn on_datagram(&mut self, sender: SocketId, from: SocketAddr, to: SocketAddr, data: Vec<u8>) {
        let Some(host) = self.hosts.route(self.host_of(sender).unwrap_or(super::HostId::MAIN), to.ip()) else { return };
        // Its socket may be gone by now: the host that it came from is that of its address.
        let by = self.hosts.route(host, from.ip()).unwrap_or(host);
        if self.is_blocked(by, host) {
            return;
        }
        let name = Address::Internet(from);
        self.note(Noted::Arrive, sender, data.len());
        let at: Vec<SocketId> = self.sockets.at(host, Kind::Datagram, to).collect();
        for id in at {
            if let Some(Socket { role: Role::Datagram(datagram), is_closed: false, .. }) = self.sockets.get_mut(id)
                && datagram.hears(&name)
            {
                if datagram.size + data.len() <= CAPACITY {
                    datagram.size += data.len();
                    datagram.inbox.push_back((data, name));
                    self.sockets.mark(id);
                }
                return;
            }
        }
        self.answer_unreachable(sender, host);
    }

    /// Nobody waits for a datagram: its sender is told.
    fn answer_unreachable(&mut self, sender: SocketId, by: super::HostId) {
        let Ok(host) = self.host_of(sender) else { return };
        if self.passes_at_once(by, host) {
            self.on_unreachable(sender);
        } else if let Some(arrival) = self.hosts.direction(by, host).signal_arrival(self.now, &mut self.tape) {
            self.agenda.push(arrival, Event::Unreachable { to: sender });
        }
    }

    pub(super) fn on_unreachable(&mut self, id: SocketId) {
        if let Some(Socket { role: Role::Datagram(datagram), .. }) = self.sockets.get_mut(id)
            && datagram.peer.is_some()
        {
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
            datagram.size -= data.len();
            let waiting = std::mem::take(&mut datagram.waiting);
            self.sockets.tell_of_room(id, waiting);
        }
        Ok((count, from))
    }
}

impl Sockets {
    /// Those that waited for room at a receiver may send again.
    pub(super) fn tell_of_room(&mut self, receiver: SocketId, waiting: Vec<SocketId>) {
        for id in waiting {
            if let Some(Socket { role: Role::Datagram(sender), .. }) = self.get_mut(id)
                && sender.awaits == Some(receiver)
            {
                sender.awaits = None;
                self.mark(id);
            }
        }
    }
}

/// The largest datagram of UDP over the internet, version 4.
const LARGEST: usize = 65_507;
/// Bytes that a socket keeps for its reader: Linux's `rmem_default`.
const CAPACITY: usize = 212_992;
