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
use super::socket::{Address, Family, Kind, Role, SocketId};
use super::travel::{Content, Segment};
use super::{Noted, Simulated};
use crate::clock::Instant;
use crate::world::Readiness;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) phase: Phase,
    pub(super) peer: Option<SocketId>,
    pub(super) peer_host: HostId,
    pub(super) peer_name: Option<Address>,
    pub(super) inbox: Inbox,
    /// The peer has ended its half, and all of it has come.
    pub(super) is_at_end: bool,
    /// Bytes that were read, and not credited to the peer yet.
    pub(super) owed: usize,
    /// Bytes that may still be sent.
    pub(super) credit: usize,
    /// What is under way to the peer.
    pub(super) flight: VecDeque<Segment>,
    /// When the last of it arrives.
    pub(super) last_arrival: Instant,
    /// The number of the last segment, and of its latest sending.
    pub(super) serial: u64,
    /// How often what is under way was sent again in vain.
    pub(super) stall: Option<u32>,
    /// Nothing more will be written.
    pub(super) has_ended: bool,
    /// To be told to the owner, once.
    pub(super) error: Option<Fault>,
}

/// A socket that connections come to.
#[derive(Debug)]
pub(super) struct Listener {
    backlog: usize,
    pub(super) queue: VecDeque<SocketId>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Connecting {
        to: Address,
        /// Which connection is being made: a number that no other one has.
        call: u64,
        attempt: u32,
    },
    Open,
    /// It was refused, reset or given up.
    Dead,
}

impl Stream {
    pub(super) fn new(phase: Phase, peer_host: HostId) -> Self {
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

    /// Whether the connection of this number is being made.
    pub(super) fn is_connecting(&self, call: u64) -> bool {
        matches!(self.phase, Phase::Connecting { call: now, .. } if now == call)
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
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

    pub(super) fn die(&mut self, fault: Fault) {
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

    pub(super) fn is_full(&self) -> bool {
        // Linux takes one more than it was asked to.
        self.queue.len() > self.backlog
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
        stream.owed += stream.inbox.len();
        stream.inbox.clear();
        let is_owed = stream.is_open() && stream.owed > 0;
        self.sockets.mark(id);
        if is_owed {
            self.credit(id);
        }
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

    pub(super) fn remove_if_idle(&mut self, id: SocketId) {
        let is_idle = self.sockets.stream(id).is_none_or(|stream| stream.flight.is_empty());
        if is_idle && self.sockets.get(id).is_some_and(|socket| socket.is_closed) {
            self.sockets.remove(id);
        }
    }
}

/// Bytes that a sender may have under way and unread.
pub const WINDOW: usize = 256 * 1024;
/// A sender is told that it may go on when it may send so many.
pub(super) const LOW_WINDOW: usize = WINDOW / 4;
/// The reader credits so many at once.
const LEAST_CREDIT: usize = WINDOW / 4;
