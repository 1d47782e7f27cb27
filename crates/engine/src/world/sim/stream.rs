//! Streams: connections, listening sockets, and the bytes between them.
//!
//! A stream never loses or reorders bytes. What is sent travels as segments in order; on a link that is perfect they arrive at once,
//! without an event. Loss is delay. A link that is cut, or a host that is down, stalls the sender: its segments are sent
//! again and again, at growing intervals, until they pass or the sender gives up. The window is real: a sender may have [`WINDOW`] bytes
//! under way and unread, and what the reader takes is credited back over the link. Left out, because no program can tell: sequence
//! numbers, congestion control, acknowledgements other than credit, `TIME_WAIT`.

use super::fault::{Fault, Result};
use super::hosts::HostId;
use super::inbox::Inbox;
use super::link::{LONGEST_RETRANSMISSION, MOST_RETRANSMISSIONS};
use super::socket::{Address, Family, Kind, Role, Socket, SocketId, destination};
use super::{Event, Noted, Simulated};
use crate::clock::Instant;
use crate::world::Readiness;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    phase: Phase,
    peer: Option<SocketId>,
    peer_host: HostId,
    peer_name: Option<Address>,
    inbox: Inbox,
    /// The peer has ended its half, and all of it has come.
    is_at_end: bool,
    /// Bytes that were read, and not credited to the peer yet.
    owed: usize,
    /// Bytes that may still be sent.
    credit: usize,
    /// What is under way to the peer.
    flight: VecDeque<Segment>,
    /// When the last of it arrives.
    last_arrival: Instant,
    /// The number of the last segment, and of its latest sending.
    serial: u64,
    /// How often what is under way was sent again in vain.
    stall: Option<u32>,
    /// Nothing more will be written.
    has_ended: bool,
    /// To be told to the owner, once.
    error: Option<Fault>,
}

/// A socket that connections come to.
#[derive(Debug)]
pub(super) struct Listener {
    backlog: usize,
    queue: VecDeque<SocketId>,
}

#[derive(Clone, Debug)]
enum Phase {
    Connecting {
        to: Address,
        attempt: u32,
    },
    Open,
    /// It was refused, reset or given up.
    Dead,
}

#[derive(Debug)]
struct Segment {
    serial: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// The end of the handshake: the other end can be accepted.
    Hello(SocketId),
    Data(Vec<u8>),
    Credit(usize),
    End,
    Reset,
}

impl Stream {
    fn new(phase: Phase, peer_host: HostId) -> Self {
        Self {
            phase,
            peer: None,
            peer_host,
            peer_name: None,
            inbox: Inbox::new(),
            is_at_end: false,
            owed: 0,
            credit: WINDOW,
            flight: VecDeque::new(),
            last_arrival: Instant::ORIGIN,
            serial: 0,
            stall: None,
            has_ended: false,
            error: None,
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        if matches!(self.phase, Phase::Connecting { .. }) {
            return Readiness { readable: false, writable: false, is_exceptional: false };
        }
        let is_over = matches!(self.phase, Phase::Dead) || self.error.is_some();
        Readiness {
            readable: is_over || self.is_at_end || !self.inbox.is_empty(),
            writable: is_over || self.has_ended || self.credit >= LOW_WINDOW,
            is_exceptional: is_over || self.is_at_end,
        }
    }

    pub(super) fn peer_name(&self) -> Option<Address> {
        if matches!(self.phase, Phase::Open) { self.peer_name.clone() } else { None }
    }

    pub(super) const fn take_error(&mut self) -> Option<Fault> {
        self.error.take()
    }

    /// What a line of a snapshot says of it.
    pub(super) fn describe(&self) -> String {
        let phase = match &self.phase {
            Phase::Connecting { attempt, .. } => format!("connecting (attempt {})", attempt + 1),
            Phase::Open if self.has_ended && self.is_at_end => "ended".to_owned(),
            Phase::Open if self.has_ended => "half-closed".to_owned(),
            Phase::Open if self.is_at_end => "at the peer's end".to_owned(),
            Phase::Open => "open".to_owned(),
            Phase::Dead => "dead".to_owned(),
        };
        let stall = self.stall.map_or_else(String::new, |attempt| format!(", sent {} times in vain", attempt + 1));
        let under_way = self.flight.iter().map(|segment| segment.content.size()).sum::<usize>();
        format!("{phase}, {} B unread, {under_way} B under way{stall}", self.inbox.len())
    }

    pub(super) fn is_connecting(&self, attempt: u32) -> bool {
        matches!(&self.phase, Phase::Connecting { attempt: now, .. } if *now == attempt)
    }

    /// Whether an answer to this attempt still counts: it does after later ones, too.
    pub(super) fn awaits_answer(&self, attempt: u32) -> bool {
        matches!(&self.phase, Phase::Connecting { attempt: now, .. } if *now >= attempt)
    }

    pub(super) fn awaits_arrival(&self, serial: u64) -> bool {
        self.stall.is_none() && self.flight.front().is_some_and(|segment| segment.serial == serial)
    }

    pub(super) fn is_stalled(&self, attempt: u32) -> bool {
        self.stall == Some(attempt)
    }

    /// The address that it is being connected to.
    pub(super) const fn target(&self) -> Option<&Address> {
        match &self.phase {
            Phase::Connecting { to, .. } => Some(to),
            _ => None,
        }
    }

    fn die(&mut self, fault: Fault) {
        self.phase = Phase::Dead;
        self.error = Some(fault);
        self.flight.clear();
        self.stall = None;
    }
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

impl Content {
    const fn size(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// Calls of sockets.
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
                self.bind(id, &Address::Internet(any), super::BindOptions::default())?;
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
        let Role::Listener(listener) = &mut self.sockets.open(id)?.role else { return Err(Fault::Invalid) };
        let accepted = listener.queue.pop_front().ok_or(Fault::WouldBlock)?;
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
        match &socket.role {
            Role::Datagram(_) => return self.connect_datagram(id, to),
            Role::Listener(_) => return Err(Fault::Invalid),
            Role::Stream(stream) => match stream.phase {
                Phase::Connecting { .. } => return Err(Fault::Already),
                Phase::Open => return Err(Fault::IsConnected),
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
        let phase = Phase::Connecting { to: Address::Internet(to), attempt: 0 };
        self.sockets.open(id)?.role = Role::Stream(Box::new(Stream::new(phase, far)));
        self.knock(id, host, far, 0);
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
    fn join(
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
    fn admit(&mut self, listener: SocketId, end: SocketId) {
        if let Some(Socket { role: Role::Listener(listening), is_closed: false, .. }) = self.sockets.get_mut(listener) {
            listening.queue.push_back(end);
            self.sockets.mark(listener);
        } else {
            self.abort(end);
        }
    }

    /// Two sockets of a host that are connected to each other.
    pub fn pair(&mut self, host: HostId, family: Family, kind: Kind) -> (SocketId, SocketId) {
        let (one, other) = (self.socket(host, family, kind), self.socket(host, family, kind));
        match kind {
            Kind::Stream => self.join(one, host, Address::Nameless, other, host, Address::Nameless),
            Kind::Datagram => self.join_datagrams(one, other),
        }
        (one, other)
    }

    /// Reads what has come; 0 is the end of the stream. With `keeps` it can be read again.
    ///
    /// # Errors
    /// [`Fault::WouldBlock`] if nothing has come; what has become of the connection, once.
    #[inline]
    pub fn receive(&mut self, id: SocketId, buffer: &mut [u8], keeps: bool) -> Result<usize> {
        let stream = match &mut self.sockets.open(id)?.role {
            Role::Stream(stream) => stream,
            Role::Datagram(_) => return self.receive_from(id, buffer, keeps).map(|(count, _)| count),
            Role::Fresh | Role::Listener(_) => return Err(Fault::NotConnected),
        };
        if !stream.inbox.is_empty() {
            if keeps {
                return Ok(stream.inbox.peek(buffer));
            }
            let count = stream.inbox.take(buffer);
            stream.owed += count;
            if stream.owed >= LEAST_CREDIT {
                self.credit(id);
            }
            return Ok(count);
        }
        if let Some(error) = stream.error.take() {
            return Err(error);
        }
        match stream.phase {
            Phase::Connecting { .. } => Err(Fault::NotConnected),
            Phase::Open if !stream.is_at_end => Err(Fault::WouldBlock),
            Phase::Open | Phase::Dead => Ok(0),
        }
    }

    /// Sends as much of `chunks` as the window takes.
    ///
    /// # Errors
    /// [`Fault::WouldBlock`] if that is nothing; what has become of the connection.
    #[inline]
    pub fn transmit(&mut self, id: SocketId, chunks: &[IoSlice<'_>]) -> Result<usize> {
        let total: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        let socket = self.sockets.open(id)?;
        let (host, family) = (socket.host, socket.family);
        let stream = match &mut socket.role {
            Role::Stream(stream) => stream,
            Role::Datagram(_) => {
                let whole = chunks.iter().fold(Vec::with_capacity(total), |mut whole, chunk| {
                    whole.extend_from_slice(chunk);
                    whole
                });
                return self.send_to(id, &whole, None).map(|()| total);
            }
            Role::Fresh => return Err(Fault::BrokenPipe),
            Role::Listener(_) => return Err(Fault::NotConnected),
        };
        if let Some(error) = stream.error.take() {
            return Err(error);
        }
        match stream.phase {
            Phase::Connecting { .. } => return Err(Fault::WouldBlock),
            Phase::Dead => return Err(Fault::BrokenPipe),
            Phase::Open if stream.has_ended => return Err(Fault::BrokenPipe),
            Phase::Open => {}
        }
        let count = total.min(stream.credit);
        if count == 0 {
            return if total == 0 { Ok(0) } else { Err(Fault::WouldBlock) };
        }
        // On one host it is known at once that the peer is gone.
        if let (Family::Unix, Some(peer)) = (family, stream.peer)
            && self.sockets.open(peer).is_err()
        {
            return Err(Fault::BrokenPipe);
        }
        let stream = self.sockets.stream(id).ok_or(Fault::BadSocket)?;
        stream.credit -= count;
        let (peer, peer_host, is_alone) = (stream.peer, stream.peer_host, stream.flight.is_empty());
        self.note(Noted::Send, id, count);
        if is_alone && self.passes_at_once(host, peer_host) {
            self.deliver_data(id, peer, chunks, count);
        } else {
            let mut bytes = Vec::with_capacity(count);
            for chunk in chunks {
                let rest = count - bytes.len();
                bytes.extend_from_slice(&chunk[..rest.min(chunk.len())]);
            }
            self.send(id, Content::Data(bytes));
        }
        Ok(count)
    }

    /// Ends the writing half.
    ///
    /// # Errors
    /// [`Fault::NotConnected`].
    pub fn end_writing(&mut self, id: SocketId) -> Result<()> {
        let Role::Stream(stream) = &mut self.sockets.open(id)?.role else { return Err(Fault::NotConnected) };
        if !matches!(stream.phase, Phase::Open) {
            return Err(Fault::NotConnected);
        }
        if !std::mem::replace(&mut stream.has_ended, true) {
            self.send_or_deliver(id, Content::End);
            self.sockets.mark(id);
        }
        Ok(())
    }

    /// Ends the reading half: what has come is dropped, and what comes is never seen.
    ///
    /// # Errors
    /// [`Fault::NotConnected`].
    pub fn end_reading(&mut self, id: SocketId) -> Result<()> {
        let Role::Stream(stream) = &mut self.sockets.open(id)?.role else { return Err(Fault::NotConnected) };
        stream.is_at_end = true;
        stream.inbox.clear();
        self.sockets.mark(id);
        Ok(())
    }

    /// How many bytes have come and were not read.
    ///
    /// # Errors
    /// [`Fault::BadSocket`].
    pub fn readable_bytes(&mut self, id: SocketId) -> Result<usize> {
        Ok(match &self.sockets.open(id)?.role {
            Role::Stream(stream) => stream.inbox.len(),
            Role::Datagram(datagram) => datagram.next_size(),
            Role::Fresh | Role::Listener(_) => 0,
        })
    }

    /// Closes a socket: its number is gone. What it has sent still arrives; if it has not read all, the peer's connection is reset.
    pub fn close(&mut self, id: SocketId) {
        let Ok(socket) = self.sockets.open(id) else { return };
        socket.is_closed = true;
        let closing = match &mut socket.role {
            Role::Fresh | Role::Datagram(_) => None,
            Role::Listener(listener) => {
                let waiting = std::mem::take(&mut listener.queue);
                self.sockets.remove(id);
                for end in waiting {
                    self.abort(end);
                }
                return;
            }
            Role::Stream(stream) if !matches!(stream.phase, Phase::Open) => None,
            Role::Stream(stream) if !stream.inbox.is_empty() => Some(Content::Reset),
            Role::Stream(stream) if stream.has_ended => None,
            Role::Stream(stream) => {
                stream.has_ended = true;
                Some(Content::End)
            }
        };
        if let Some(content) = closing {
            self.note(Noted::Close, id, content.size());
            self.send_or_deliver(id, content);
        }
        self.remove_if_idle(id);
    }

    /// Closes a socket, and resets its connection.
    pub fn abort(&mut self, id: SocketId) {
        let Ok(socket) = self.sockets.open(id) else { return };
        if let Role::Stream(stream) = &mut socket.role
            && matches!(stream.phase, Phase::Open)
        {
            socket.is_closed = true;
            self.send_or_deliver(id, Content::Reset);
            self.remove_if_idle(id);
        } else {
            self.close(id);
        }
    }

    fn remove_if_idle(&mut self, id: SocketId) {
        let is_idle = self.sockets.stream(id).is_none_or(|stream| stream.flight.is_empty());
        if is_idle && self.sockets.get(id).is_some_and(|socket| socket.is_closed) {
            self.sockets.remove(id);
        }
    }
}

/// What travels.
impl Simulated {
    /// Whether what one host sends to another arrives at once and for certain.
    #[inline]
    pub(super) fn passes_at_once(&self, from: HostId, to: HostId) -> bool {
        self.hosts.is_perfect(from, to) && (from == to || self.hosts.get(to).is_up)
    }

    /// Whether nothing passes between two hosts.
    pub(super) fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        self.hosts.is_cut(from, to) || !self.hosts.get(to).is_up
    }

    /// Sends something to the peer, behind all that is under way.
    fn send(&mut self, id: SocketId, content: Content) {
        let now = self.now;
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let (far, size) = (stream.peer_host, content.size());
        stream.serial += 1;
        let serial = stream.serial;
        let (is_stalled, last_arrival) = (stream.stall.is_some(), stream.last_arrival);
        stream.flight.push_back(Segment { serial, content });
        if is_stalled {
            return;
        }
        if self.is_blocked(host, far) {
            return self.stall(id);
        }
        let arrival = self.hosts.direction(host, far).stream_arrival(now, size, &mut self.tape).max(last_arrival);
        if let Some(stream) = self.sockets.stream(id) {
            stream.last_arrival = arrival;
        }
        self.agenda.push(arrival, Event::Arrive { from: id, serial });
    }

    fn send_or_deliver(&mut self, id: SocketId, content: Content) {
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let (peer, far, is_alone) = (stream.peer, stream.peer_host, stream.flight.is_empty());
        if is_alone && self.passes_at_once(host, far) {
            self.deliver(id, peer, content);
        } else {
            self.send(id, content);
        }
    }

    /// What a socket has sent arrives.
    pub(super) fn on_arrival(&mut self, from: SocketId) {
        let Some(host) = self.sockets.get(from).map(|socket| socket.host) else { return };
        let Some(far) = self.sockets.stream(from).map(|stream| stream.peer_host) else { return };
        if self.is_blocked(host, far) {
            return self.stall(from);
        }
        let Some(stream) = self.sockets.stream(from) else { return };
        let peer = stream.peer;
        let Some(segment) = stream.flight.pop_front() else { return };
        self.note(Noted::Arrive, from, segment.content.size());
        self.deliver(from, peer, segment.content);
        self.remove_if_idle(from);
    }

    fn deliver(&mut self, from: SocketId, to: Option<SocketId>, content: Content) {
        match content {
            Content::Data(bytes) => return self.deliver_data(from, to, &[IoSlice::new(&bytes)], bytes.len()),
            Content::Hello(listener) => {
                if let Some(to) = to {
                    self.admit(listener, to);
                }
                return;
            }
            Content::Credit(_) | Content::End | Content::Reset => {}
        }
        let Some(to) = to else { return };
        let Some(stream) = self.sockets.stream(to) else { return };
        let was_low = stream.credit < LOW_WINDOW;
        match content {
            Content::Credit(count) => {
                stream.credit += count;
                if !was_low {
                    return;
                }
            }
            Content::End => stream.is_at_end = true,
            Content::Reset | Content::Data(_) | Content::Hello(_) => stream.die(Fault::ConnectionReset),
        }
        self.sockets.mark(to);
        self.remove_if_idle(to);
    }

    #[inline]
    fn deliver_data(&mut self, from: SocketId, to: Option<SocketId>, chunks: &[IoSlice<'_>], count: usize) {
        let receiver = to.and_then(|to| self.sockets.open(to).ok());
        if let (Some(to), Some(Socket { role: Role::Stream(stream), .. })) = (to, receiver)
            && matches!(stream.phase, Phase::Open)
        {
            if stream.is_at_end {
                // The reading half was ended: what comes is dropped, and the sender may go on.
                stream.owed += count;
                self.credit(to);
                return;
            }
            let mut rest = count;
            for chunk in chunks {
                let part = &chunk[..rest.min(chunk.len())];
                stream.inbox.push(part);
                rest -= part.len();
            }
            self.sockets.mark(to);
        } else {
            self.refuse(from);
        }
    }

    /// Something has come for a socket that is gone: its sender is told.
    fn refuse(&mut self, from: SocketId) {
        let Some(host) = self.sockets.get(from).map(|socket| socket.host) else { return };
        let Some(far) = self.sockets.stream(from).map(|stream| stream.peer_host) else { return };
        if self.passes_at_once(far, host) {
            self.on_reset(from);
        } else if let Some(arrival) = self.hosts.direction(far, host).signal_arrival(self.now, &mut self.tape) {
            self.agenda.push(arrival, Event::Reset { to: from });
        }
    }

    pub(super) fn on_reset(&mut self, to: SocketId) {
        if let Some(stream) = self.sockets.stream(to) {
            stream.die(Fault::ConnectionReset);
            self.sockets.mark(to);
            self.remove_if_idle(to);
        }
    }

    /// Gives the peer credit for what was read.
    fn credit(&mut self, id: SocketId) {
        let Some(stream) = self.sockets.stream(id) else { return };
        let count = std::mem::take(&mut stream.owed);
        self.send_or_deliver(id, Content::Credit(count));
    }

    // ------------------------------------------------------------------ stalls

    /// Nothing passes: it will be sent again.
    fn stall(&mut self, id: SocketId) {
        if let Some(stream) = self.sockets.stream(id) {
            stream.stall = Some(0);
            self.plan_retry(id, 0);
        }
    }

    fn plan_retry(&mut self, id: SocketId, attempt: u32) {
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(far) = self.sockets.stream(id).map(|stream| stream.peer_host) else { return };
        let first = self.hosts.direction(host, far).quality.retransmission_timeout();
        let wait = first.saturating_mul(1 << attempt.min(16)).min(LONGEST_RETRANSMISSION);
        self.agenda.push(self.now.after(wait), Event::Retry { from: id, attempt });
    }

    /// What a stalled socket has under way is sent again.
    pub(super) fn on_retry(&mut self, id: SocketId, attempt: u32) {
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(far) = self.sockets.stream(id).map(|stream| stream.peer_host) else { return };
        let is_blocked = self.is_blocked(host, far);
        let now = self.now;
        let Some(stream) = self.sockets.stream(id) else { return };
        if is_blocked {
            if attempt + 1 >= MOST_RETRANSMISSIONS {
                stream.die(Fault::TimedOut);
                self.sockets.mark(id);
                return self.remove_if_idle(id);
            }
            stream.stall = Some(attempt + 1);
            return self.plan_retry(id, attempt + 1);
        }
        stream.stall = None;
        let sizes: Vec<usize> = stream.flight.iter().map(|segment| segment.content.size()).collect();
        let mut latest = now;
        for (place, size) in sizes.into_iter().enumerate() {
            latest = self.hosts.direction(host, far).stream_arrival(now, size, &mut self.tape).max(latest);
            let Some(stream) = self.sockets.stream(id) else { return };
            stream.serial += 1;
            let serial = stream.serial;
            stream.flight[place].serial = serial;
            stream.last_arrival = latest;
            self.agenda.push(latest, Event::Arrive { from: id, serial });
        }
    }

    // ------------------------------------------------------------------ the handshake

    /// Asks the far host for a connection, and plans to ask again.
    fn knock(&mut self, id: SocketId, host: HostId, far: HostId, attempt: u32) {
        let again = FIRST_KNOCK_AGAIN.saturating_mul(1 << attempt);
        self.agenda.push(self.now.after(again), Event::KnockAgain { from: id, attempt: attempt + 1 });
        if self.is_blocked(host, far) {
            return;
        }
        if let Some(arrival) = self.hosts.direction(host, far).signal_arrival(self.now, &mut self.tape) {
            self.agenda.push(arrival, Event::Knock { from: id, attempt });
        }
    }

    /// No answer has come.
    pub(super) fn on_knock_again(&mut self, id: SocketId, attempt: u32) {
        let Some(host) = self.sockets.get(id).map(|socket| socket.host) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let far = stream.peer_host;
        if attempt > MOST_KNOCKS {
            stream.die(Fault::TimedOut);
            self.sockets.mark(id);
        } else if let Phase::Connecting { attempt: now, .. } = &mut stream.phase {
            *now = attempt;
            self.knock(id, host, far, attempt);
        }
    }

    /// The far host is asked for a connection: it answers, unless its listening socket has no room.
    pub(super) fn on_knock(&mut self, id: SocketId, attempt: u32) {
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
            self.agenda.push(arrival, Event::Answer { to: id, attempt, listener });
        }
    }

    /// The answer has come.
    pub(super) fn on_answer(&mut self, id: SocketId, listener: Option<SocketId>) {
        let Some((host, near)) = self.sockets.get(id).map(|socket| (socket.host, socket.name())) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        let far = stream.peer_host;
        if self.hosts.is_cut(far, host) {
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

/// Bytes that a sender may have under way and unread.
pub const WINDOW: usize = 256 * 1024;
/// A sender is told that it may go on when it may send so many.
const LOW_WINDOW: usize = WINDOW / 4;
/// The reader credits so many at once.
const LEAST_CREDIT: usize = WINDOW / 4;
/// Linux's: the first try is repeated after a second, then after twice as long, six times (`tcp_syn_retries`).
const FIRST_KNOCK_AGAIN: Duration = Duration::from_secs(1);
const MOST_KNOCKS: u32 = 6;
