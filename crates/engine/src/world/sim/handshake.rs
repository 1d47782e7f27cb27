//! How connections come about: listening sockets, asking for a connection, and what is answered.
//!
//! Between hosts whose link is perfect, and over paths, a connection is made within the call. Else the caller knocks, again and again at
//! growing intervals; the far host answers, unless its listening socket has no room, and the caller is connected when the answer comes.
//! Its first segment then makes the far end, which can be accepted. Invariant: there is no far end that nobody can accept; each
//! try to connect has a ticket of its own, so that what is left of an earlier one is void.

use super::address::{Address, BindOptions, Family, destination};
use super::datagram::missing;
use super::fault::{Fault, Result};
use super::hosts::HostId;
use super::socket::{Kind, Role, Socket, SocketId};
use super::stream::{Phase, Stream};
use super::travel::Content;
use super::{Event, Noted, Simulated};
use crate::world::Readiness;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A socket that connections come to.
#[derive(Debug)]
pub(super) struct Listener {
    backlog: usize,
    pub(super) queue: VecDeque<SocketId>,
}

impl Listener {
    pub(super) fn readiness(&self) -> Readiness {
        Readiness { readable: !self.queue.is_empty(), writable: false, is_exceptional: false }
    }

    pub(super) fn describe(&self) -> String {
        format!("listening, {} of {} waiting", self.queue.len(), self.backlog)
    }

    fn is_full(&self) -> bool {
        // Linux takes one more than it was asked to.
        self.queue.len() > self.backlog
    }
}

impl Simulated {
    /// Has a socket accept connections.
    ///
    /// # Errors
    /// [`Fault::NotSupported`] for datagrams, [`Fault::Invalid`] for a socket that is connected.
    pub fn listen(&mut self, id: SocketId, backlog: usize) -> Result<()> {
        let socket = self.sockets.open(id)?;
        match &mut socket.role {
            Role::Fresh if socket.local.is_some() => {
                socket.role = Role::Listener(Listener { backlog, queue: VecDeque::new() });
                Ok(())
            }
            Role::Fresh => {
                let any = match socket.family {
                    Family::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                    Family::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                    Family::Unix => return Err(Fault::Invalid),
                };
                self.bind(id, &Address::Internet(any), BindOptions::default())?;
                self.listen(id, backlog)
            }
            Role::Listener(listener) => {
                listener.backlog = backlog;
                Ok(())
            }
            Role::Stream(_) => Err(Fault::Invalid),
            Role::Datagram(_) => Err(Fault::NotSupported),
        }
    }

    /// Takes the next connection; gives its socket and the peer's name.
    ///
    /// # Errors
    /// [`Fault::WouldBlock`] if there is none, [`Fault::Invalid`] if the socket does not listen.
    pub fn accept(&mut self, id: SocketId) -> Result<(SocketId, Address)> {
        let accepted = match &mut self.sockets.open(id)?.role {
            Role::Listener(listener) => listener.queue.pop_front().ok_or(Fault::WouldBlock)?,
            Role::Datagram(_) => return Err(Fault::NotSupported),
            Role::Fresh | Role::Stream(_) => return Err(Fault::Invalid),
        };
        let peer = self.sockets.stream(accepted).and_then(|stream| stream.peer_name.clone());
        Ok((accepted, peer.unwrap_or(Address::Nameless)))
    }

    /// Connects a socket: a stream to a listening socket; a datagram socket to the only peer that it hears from then on.
    ///
    /// # Errors
    /// [`Fault::InProgress`] if the answer takes its time: the socket becomes writable then, and [`Simulated::take_error`] tells how it went.
    pub fn connect(&mut self, id: SocketId, to: &Address) -> Result<()> {
        let socket = self.sockets.open(id)?;
        let (host, family) = (socket.host, socket.family);
        match &mut socket.role {
            Role::Datagram(_) => return self.connect_datagram(id, to),
            Role::Listener(_) => return Err(Fault::IsConnected),
            Role::Stream(stream) => match stream.phase {
                Phase::Connecting { .. } => return Err(Fault::Already),
                Phase::Open => return Err(Fault::IsConnected),
                Phase::Dead if stream.peer_name.is_some() => return Err(Fault::IsConnected),
                // An earlier try has failed: whoever has not asked yet is told now.
                Phase::Dead => stream.take_error().map_or(Ok(()), Err)?,
            },
            Role::Fresh => {}
        }
        match (family, to) {
            (Family::Unix, Address::Path(path)) => self.connect_path(id, host, path),
            (Family::V4 | Family::V6, Address::Internet(to)) => {
                self.connect_internet(id, host, destination(family.reads(*to)?))
            }
            _ => Err(Fault::WrongFamily),
        }
    }

    fn connect_path(&mut self, id: SocketId, host: HostId, path: &[u8]) -> Result<()> {
        let listener = self.sockets.names.at_path(host, path).ok_or_else(|| missing(path))?;
        match self.sockets.get(listener).map(|socket| &socket.role) {
            Some(Role::Listener(queue)) if queue.is_full() => return Err(Fault::WouldBlock),
            Some(Role::Listener(_)) => {}
            _ => return Err(Fault::ConnectionRefused),
        }
        self.open_near(id, host, Address::Path(path.to_vec()));
        self.admit(listener, id);
        Ok(())
    }

    fn connect_internet(&mut self, id: SocketId, host: HostId, to: SocketAddr) -> Result<()> {
        let far = self.hosts.route(host, to.ip()).ok_or(Fault::HostUnreachable)?;
        let socket = self.sockets.open(id)?;
        let family = socket.family;
        if socket.is_local_borrowed {
            self.sockets.release(id);
        }
        let near = self.bind_on_the_way(id, self.hosts.source(host, to.ip()), to, far)?;
        let name = Address::Internet(family.writes(near));
        if self.hosts.is_perfect(host, far) && self.hosts.is_perfect(far, host) {
            let listener = self.listener(far, to).ok_or(Fault::ConnectionRefused)?;
            if !self.is_full(listener) {
                self.sockets.open(id)?.local = Some(name);
                self.open_near(id, far, Address::Internet(family.writes(to)));
                self.admit(listener, id);
                return Ok(());
            }
        }
        self.tickets += 1;
        let phase = Phase::Connecting { to: Address::Internet(to), ticket: self.tickets, knocks: 0 };
        let socket = self.sockets.open(id)?;
        socket.local = Some(name);
        socket.role = Role::Stream(Box::new(Stream::new(phase, far)));
        self.knock(id);
        Err(Fault::InProgress)
    }

    /// The near end of a connection is connected.
    fn open_near(&mut self, id: SocketId, far: HostId, to: Address) {
        self.note(Noted::Connect, id, 0);
        let mut stream = Stream::new(Phase::Open, far);
        stream.peer_name = Some(to);
        if let Some(socket) = self.sockets.get_mut(id) {
            stream.window = socket.window;
            socket.role = Role::Stream(Box::new(stream));
        }
        self.sockets.mark(id);
    }

    /// Makes the far end of a connection, and puts it where it is accepted.
    pub(super) fn admit(&mut self, listener: SocketId, caller: SocketId) {
        let Some((near_host, far)) = self.ends(caller) else { return };
        let listening = self.sockets.get(listener).filter(|socket| matches!(socket.role, Role::Listener(_)));
        let (Some(listening), Some(calling)) = (listening, self.sockets.get(caller)) else {
            return self.refuse(caller);
        };
        let seen = |name: Address| match name {
            Address::Internet(name) => {
                Address::Internet(listening.family.writes(SocketAddr::new(name.ip().to_canonical(), name.port())))
            }
            other => other,
        };
        let mut end = Socket::new(far, listening.family, Kind::Stream);
        let mut stream = Stream::new(Phase::Open, near_host);
        stream.peer = Some(caller);
        stream.peer_name = Some(seen(calling.name()));
        end.window = listening.window;
        stream.window = end.window;
        if let Role::Stream(calling) = &calling.role {
            end.local = calling.peer_name.clone().map(seen);
            stream.least_credit = calling.step();
        }
        let step = stream.step();
        end.role = Role::Stream(Box::new(stream));
        let end = self.sockets.insert(end);
        self.note(Noted::Connect, end, 1);
        if let Some(stream) = self.sockets.stream(caller) {
            stream.peer = Some(end);
            stream.least_credit = step;
        }
        if let Some(Socket { role: Role::Listener(listening), .. }) = self.sockets.get_mut(listener) {
            listening.queue.push_back(end);
            self.sockets.mark(listener);
        }
    }

    /// Two sockets of a host that are connected to each other.
    pub fn pair(&mut self, host: HostId, family: Family, kind: Kind) -> (SocketId, SocketId) {
        let (one, other) = (self.socket(host, family, kind), self.socket(host, family, kind));
        match kind {
            Kind::Stream => {
                for (id, peer) in [(one, other), (other, one)] {
                    self.open_near(id, host, Address::Nameless);
                    if let Some(stream) = self.sockets.stream(id) {
                        stream.peer = Some(peer);
                    }
                }
            }
            Kind::Datagram => self.join_datagrams(one, other),
        }
        (one, other)
    }

    // ------------------------------------------------------------------ knocking

    /// Asks the far host for a connection, and plans to ask again.
    fn knock(&mut self, id: SocketId) {
        let Some((host, far)) = self.ends(id) else { return };
        let Some(Stream { phase: Phase::Connecting { ticket, knocks, .. }, .. }) = self.sockets.stream(id) else {
            return;
        };
        let again = FIRST_KNOCK_AGAIN.saturating_mul(1 << *knocks);
        *knocks += 1;
        let ticket = *ticket;
        self.agenda.push(self.now.after(again), Event::KnockAgain { from: id, ticket });
        if !self.hosts.is_blocked(host, far)
            && let Some(arrival) = self.hosts.direction(host, far).signal_arrival(self.now, &mut self.tape)
        {
            self.agenda.push(arrival, Event::Knock { from: id, ticket });
        }
    }

    /// No answer has come.
    pub(super) fn on_knock_again(&mut self, id: SocketId) {
        let Some(Stream { phase: Phase::Connecting { knocks, .. }, .. }) = self.sockets.stream(id) else { return };
        if *knocks > MOST_KNOCKS_AGAIN {
            self.end_connection(id, Fault::TimedOut);
        } else {
            self.knock(id);
        }
    }

    /// The far host is asked for a connection: it answers, unless its listening socket has no room.
    pub(super) fn on_knock(&mut self, id: SocketId, ticket: u64) {
        let Some((host, far)) = self.ends(id) else { return };
        let Some(Address::Internet(to)) = self.sockets.stream(id).and_then(|stream| stream.target().cloned()) else {
            return;
        };
        if self.hosts.is_blocked(host, far) {
            return;
        }
        let listener = self.listener(far, to);
        if self.hosts.is_blocked(far, host) || listener.is_some_and(|listener| self.is_full(listener)) {
            return;
        }
        if let Some(arrival) = self.hosts.direction(far, host).signal_arrival(self.now, &mut self.tape) {
            self.agenda.push(arrival, Event::Answer { to: id, ticket, listener });
        }
    }

    /// The answer has come. What has become of the listening socket meanwhile, the caller learns from the answer to its first segment.
    pub(super) fn on_answer(&mut self, id: SocketId, listener: Option<SocketId>) {
        let Some((host, far)) = self.ends(id) else { return };
        if self.hosts.is_blocked(far, host) {
            return;
        }
        let Some(listener) = listener else { return self.end_connection(id, Fault::ConnectionRefused) };
        let Some(socket) = self.sockets.get(id) else { return };
        let family = socket.family;
        let Some(Address::Internet(to)) = self.sockets.stream(id).and_then(|stream| stream.target().cloned()) else {
            return;
        };
        self.open_near(id, far, Address::Internet(family.writes(to)));
        self.send(id, Content::Hello(listener));
    }

    /// The listening socket that a connection to an address comes to; of several that share the port, one is drawn.
    fn listener(&mut self, host: HostId, to: SocketAddr) -> Option<SocketId> {
        for is_exact in [true, false] {
            let sockets = &self.sockets;
            let is_listening = |id: &SocketId| matches!(sockets.get(*id), Some(Socket { role: Role::Listener(_), .. }));
            let listening = || sockets.names.at(host, Kind::Stream, to, is_exact).filter(is_listening);
            let count = listening().count();
            if count > 0 {
                return listening().nth(self.tape.choose(count));
            }
        }
        None
    }

    pub(super) fn is_full(&self, listener: SocketId) -> bool {
        matches!(self.sockets.get(listener), Some(Socket { role: Role::Listener(listening), .. }) if listening.is_full())
    }
}

/// Linux's: the first try is repeated after a second, then after twice as long, six times (`tcp_syn_retries`).
const FIRST_KNOCK_AGAIN: Duration = Duration::from_secs(1);
const MOST_KNOCKS_AGAIN: u32 = 6;
