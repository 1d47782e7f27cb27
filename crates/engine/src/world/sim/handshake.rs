//! Connecting: the handshake between a socket and one that listens.
//!
//! On perfect links two ends are joined at once. Else the socket knocks (as TCP's SYN does), again and again until an answer comes, and the far
//! end can be accepted when the third packet of the handshake has arrived. A listening socket whose queue is full does not answer.

use super::fault::{Fault, Result};
use super::hosts::HostId;
use super::socket::{Address, Family, Kind, Role, Socket, SocketId, destination};
use super::stream::{Phase, Stream};
use super::travel::Content;
use super::{Event, Noted, Simulated};
use std::net::SocketAddr;
use std::time::Duration;

impl Simulated {
    /// Connects a socket: a stream to a listening socket; a datagram socket to the only peer that it hears from then on.
    ///
    /// # Errors
    /// [`Fault::InProgress`] if the answer takes its time: the socket becomes writable then, and [`Simulated::take_error`] tells how it went.
    pub fn connect(&mut self, id: SocketId, to: &Address) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, family) = (socket.host, socket.family);
        match &socket.role {
            Role::Datagram(_) => return self.connect_datagram(id, to),
            Role::Listener(_) => return Err(Fault::Invalid),
            Role::Stream(stream) => match stream.phase {
                Phase::Connecting { .. } => return Err(Fault::Already),
                Phase::Open => return Err(Fault::IsConnected),
                // Only one that was never made can be tried again.
                Phase::Dead if stream.peer.is_some() => return Err(Fault::IsConnected),
                Phase::Dead => {}
            },
            Role::Fresh => {}
        }
        match (family, to) {
            (Family::Unix, Address::Path(path)) => self.connect_path(id, host, path),
            (Family::V4 | Family::V6, Address::Internet(to)) if to.is_ipv4() == (family == Family::V4) => {
                self.connect_internet(id, host, destination(*to))
            }
            _ => Err(Fault::WrongFamily),
        }
    }

    fn connect_path(&mut self, id: SocketId, host: HostId, path: &[u8]) -> Result<()> {
        let missing = if path.first() == Some(&0) { Fault::ConnectionRefused } else { Fault::NoSuchPath };
        let listener = self.sockets.at_path(host, path).ok_or(missing)?;
        match &self.sockets.get(listener).ok_or(missing)?.role {
            Role::Listener(queue) if queue.is_full() => return Err(Fault::WouldBlock),
            Role::Listener(_) => {}
            _ => return Err(Fault::ConnectionRefused),
        }
        let near = self.sockets.get(id).map_or(Address::Nameless, Socket::name);
        self.establish(id, host, listener, host, Address::Path(path.to_vec()), near);
        Ok(())
    }

    fn connect_internet(&mut self, id: SocketId, host: HostId, to: SocketAddr) -> Result<()> {
        let far = self.hosts.route(host, to.ip()).ok_or(Fault::HostUnreachable)?;
        let near = self.bind_on_the_way(id, to)?;
        let socket = self.sockets.open(id)?;
        socket.local = Some(Address::Internet(near));
        if self.passes_at_once(host, far) && self.passes_at_once(far, host) {
            let listener = self.listener(far, to).ok_or(Fault::ConnectionRefused)?;
            if !self.is_full(listener) {
                self.establish(id, host, listener, far, Address::Internet(to), Address::Internet(near));
                return Ok(());
            }
        }
        self.calls += 1;
        let call = self.calls;
        let phase = Phase::Connecting { to: Address::Internet(to), call, attempt: 0 };
        self.sockets.open(id)?.role = Role::Stream(Box::new(Stream::new(phase, far)));
        self.knock(id, call, host, far, 0);
        Err(Fault::InProgress)
    }

    /// Connects two ends at once, and lets the far one be accepted.
    fn establish(
        &mut self,
        id: SocketId,
        host: HostId,
        listener: SocketId,
        far: HostId,
        far_name: Address,
        near_name: Address,
    ) {
        let Some(family) = self.sockets.get(listener).map(|socket| socket.family) else { return };
        let other = self.sockets.insert(Socket::new(far, family, Kind::Stream));
        self.join(id, host, far_name.clone(), other, far, near_name);
        if let Some(socket) = self.sockets.get_mut(other) {
            socket.local = Some(far_name);
        }
        self.admit(listener, other);
    }

    /// Makes two sockets the ends of one connection.
    pub(super) fn join(
        &mut self,
        one: SocketId,
        host: HostId,
        one_sees: Address,
        other: SocketId,
        far: HostId,
        other_sees: Address,
    ) {
        self.note(Noted::Connect, one, other.index());
        for (id, peer, peer_host, name) in [(one, other, far, one_sees), (other, one, host, other_sees)] {
            let mut stream = Stream::new(Phase::Open, peer_host);
            stream.peer = Some(peer);
            stream.peer_name = Some(name);
            if let Some(socket) = self.sockets.get_mut(id) {
                socket.role = Role::Stream(Box::new(stream));
            }
            self.sockets.mark(id);
        }
    }

    /// Puts the far end of a connection where it is accepted.
    pub(super) fn admit(&mut self, listener: SocketId, end: SocketId) {
        if let Some(Socket { role: Role::Listener(listening), is_closed: false, .. }) = self.sockets.get_mut(listener) {
            listening.queue.push_back(end);
            self.sockets.mark(listener);
        } else {
            self.abort(end);
        }
    }

    /// Asks the far host for a connection, and plans to ask again.
    fn knock(&mut self, id: SocketId, call: u64, host: HostId, far: HostId, attempt: u32) {
        let again = FIRST_KNOCK_AGAIN.saturating_mul(1 << attempt);
        self.agenda.push(self.now.after(again), Event::KnockAgain { from: id, call, attempt: attempt + 1 });
        if self.is_blocked(host, far) {
            return;
        }
        if let Some(arrival) = self.hosts.direction(host, far).signal_arrival(self.now, &mut self.tape) {
            self.agenda.push(arrival, Event::Knock { from: id, call });
        }
    }

    /// No answer has come.
    pub(super) fn on_knock_again(&mut self, id: SocketId, call: u64, attempt: u32) {
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let far = stream.peer_host;
        if attempt > MOST_KNOCKS {
            stream.die(Fault::TimedOut);
            self.sockets.mark(id);
        } else if let Phase::Connecting { attempt: now, .. } = &mut stream.phase {
            *now = attempt;
            self.knock(id, call, host, far, attempt);
        }
    }

    /// The far host is asked for a connection: it answers, unless its listening socket has no room.
    pub(super) fn on_knock(&mut self, id: SocketId, call: u64) {
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let far = stream.peer_host;
        let Some(Address::Internet(to)) = stream.target().cloned() else { return };
        if self.is_blocked(host, far) {
            return;
        }
        let listener = self.listener(far, to);
        if listener.is_some_and(|listener| self.is_full(listener)) {
            return;
        }
        if let Some(arrival) = self.hosts.direction(far, host).signal_arrival(self.now, &mut self.tape) {
            self.agenda.push(arrival, Event::Answer { to: id, call, listener });
        }
    }

    /// The answer has come; it need not be that to the latest try.
    pub(super) fn on_answer(&mut self, id: SocketId, listener: Option<SocketId>) {
        let Some((host, near)) = self.sockets.get(id).map(|socket| (socket.host, socket.name())) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let far = stream.peer_host;
        // Of a host that is down by now nothing is heard, not even that nobody listens.
        if self.hosts.is_cut(far, host) || !self.is_up(far) {
            return;
        }
        let Some(stream) = self.sockets.stream(id) else { return };
        let Some(to) = stream.target().cloned() else { return };
        let family = listener.and_then(|listener| self.sockets.get(listener)).map(|socket| socket.family);
        let (Some(listener), Some(family)) = (listener, family) else {
            if let Some(stream) = self.sockets.stream(id) {
                stream.die(Fault::ConnectionRefused);
            }
            self.sockets.mark(id);
            return;
        };
        let other = self.sockets.insert(Socket::new(far, family, Kind::Stream));
        self.join(id, host, to.clone(), other, far, near);
        if let Some(socket) = self.sockets.get_mut(other) {
            socket.local = Some(to);
        }
        self.send_or_deliver(id, Content::Hello(listener));
    }

    /// What a socket has under way is dropped: if that is the end of its handshake, nobody will ever have the far end.
    pub(super) fn drop_half_made(&mut self, id: SocketId) {
        let Some(stream) = self.sockets.stream(id) else { return };
        let is_half_made = stream.flight.iter().any(|segment| matches!(segment.content, Content::Hello(_)));
        if let Some(peer) = stream.peer.filter(|_| is_half_made) {
            self.sockets.remove(peer);
        }
    }

    /// The listening socket that a connection to an address comes to; of several that share the port, one is drawn.
    fn listener(&mut self, host: HostId, to: SocketAddr) -> Option<SocketId> {
        let listening: Vec<SocketId> = self
            .sockets
            .at(host, Kind::Stream, to)
            .filter(|id| matches!(self.sockets.get(*id), Some(Socket { role: Role::Listener(_), .. })))
            .collect();
        let exact = |id: &SocketId| matches!(self.sockets.get(*id).map(Socket::name), Some(Address::Internet(name)) if name == to);
        let best: Vec<SocketId> = listening.iter().copied().filter(exact).collect();
        let best = if best.is_empty() { listening } else { best };
        let chosen = self.tape.choose(best.len());
        best.get(chosen).copied()
    }

    fn is_full(&self, listener: SocketId) -> bool {
        matches!(self.sockets.get(listener), Some(Socket { role: Role::Listener(listening), .. }) if listening.is_full())
    }
}

/// Linux's: the first try is repeated after a second, then after twice as long, six times (`tcp_syn_retries`).
const FIRST_KNOCK_AGAIN: Duration = Duration::from_secs(1);
const MOST_KNOCKS: u32 = 6;
