//! Streams: one end of a connection, and the calls of a socket that has one.
//!
//! A stream never loses or reorders bytes, whatever the link is like. The window is real: a sender may have [`WINDOW`] bytes under way
//! and unread, or as many as its owner says, and what the reader takes is credited back over the link. How connections come about is in `handshake`, how things get to the
//! other end in `travel`. Left out, because no program can tell: sequence numbers, congestion control, acknowledgements other than credit,
//! `TIME_WAIT`.

use super::address::{Address, Family};
use super::fault::{Fault, Result};
use super::hosts::HostId;
use super::inbox::Inbox;
use super::socket::{Role, SocketId};
use super::travel::{Content, Segment};
use super::{Noted, Simulated};
use crate::clock::Instant;
use crate::world::Readiness;
use std::collections::VecDeque;
use std::io::IoSlice;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) phase: Phase,
    /// The other end, from when it exists.
    pub(super) peer: Option<SocketId>,
    pub(super) peer_host: HostId,
    /// The other end's name, from when there is a connection.
    pub(super) peer_name: Option<Address>,
    pub(super) inbox: Inbox,
    pub(super) reading: Reading,
    /// Bytes that were read, and not credited to the peer yet.
    pub(super) owed: usize,
    /// So many are credited at once, at least.
    pub(super) least_credit: usize,
    /// How many bytes may be under way and unread.
    pub(super) window: usize,
    /// How many are, as far as this end knows.
    pub(super) unread: usize,
    /// What is under way to the peer.
    pub(super) flight: VecDeque<Segment>,
    /// When the last of it arrives.
    pub(super) last_arrival: Instant,
    /// The number of the last segment, and of its latest sending.
    pub(super) serial: u64,
    /// Nothing passes: what is under way waits to be sent again.
    pub(super) is_stalled: bool,
    /// How often it was sent in vain since something last got through.
    pub(super) vain: u32,
    /// Nothing more will be written.
    pub(super) has_ended: bool,
    /// To be told to the owner, once.
    error: Option<Fault>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Connecting {
        to: Address,
        ticket: u64,
        /// How often it has knocked.
        knocks: u32,
    },
    Open,
    /// It was refused, reset or given up.
    Dead,
}

/// The half that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Open,
    /// The owner wants no more of it than what has come.
    Stopped,
    /// The peer has ended it, and all of it has come.
    Ended,
}

impl Stream {
    pub(super) fn new(phase: Phase, peer_host: HostId) -> Self {
        Self {
            phase,
            peer: None,
            peer_host,
            peer_name: None,
            inbox: Inbox::new(),
            reading: Reading::Open,
            owed: 0,
            least_credit: WINDOW / STEPS,
            window: WINDOW,
            unread: 0,
            flight: VecDeque::new(),
            last_arrival: Instant::ORIGIN,
            serial: 0,
            is_stalled: false,
            vain: 0,
            has_ended: false,
            error: None,
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        if matches!(self.phase, Phase::Connecting { .. }) {
            return Readiness { readable: false, writable: false, is_exceptional: false };
        }
        let is_over = matches!(self.phase, Phase::Dead);
        let is_at_end = self.reading != Reading::Open;
        Readiness {
            readable: is_over || is_at_end || !self.inbox.is_empty(),
            writable: is_over || self.has_ended || self.may_write(),
            is_exceptional: is_over || is_at_end,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(super) fn awaits_answer(&self, ticket: u64) -> bool {
        matches!(&self.phase, Phase::Connecting { ticket: own, .. } if *own == ticket)
    }

    pub(super) fn awaits_arrival(&self, serial: u64) -> bool {
        !self.is_stalled && self.flight.front().is_some_and(|segment| segment.serial == serial)
    }

    pub(super) const fn awaits_retry(&self, attempt: u32) -> bool {
        self.is_stalled && self.vain == attempt
    }

    /// Whether bytes that come are kept: with both halves ended by the owner, nobody can want them.
    pub(super) const fn takes_data(&self) -> bool {
        self.is_open() && !(matches!(self.reading, Reading::Stopped) && self.has_ended)
    }

    pub(super) const fn has_peer_ended(&self) -> bool {
        matches!(self.reading, Reading::Ended)
    }

    /// Whether the reading of what came is worth telling the peer.
    const fn owes_credit(&self) -> bool {
        self.owed >= self.least_credit && self.is_open() && !self.has_peer_ended()
    }

    /// How many bytes may be sent.
    const fn room(&self) -> usize {
        self.window.saturating_sub(self.unread)
    }

    /// Whether the sender is told that it may go on.
    pub(super) const fn may_write(&self) -> bool {
        self.room() >= self.step()
    }

    /// What is worth an event. A window that somebody has set is kept to the byte.
    pub(super) const fn step(&self) -> usize {
        if self.window == WINDOW { WINDOW / STEPS } else { 1 }
    }

    /// The connection is over. What has come can still be read.
    pub(super) fn die(&mut self, fault: Fault) {
        self.phase = Phase::Dead;
        self.error = Some(fault);
        self.flight.clear();
        self.is_stalled = false;
    }

    /// Whether it has nothing under way, and waits for no answer.
    pub(super) fn is_quiet(&self) -> bool {
        self.flight.is_empty() && !self.is_stalled && !matches!(self.phase, Phase::Connecting { .. })
    }

    pub(super) const fn take_error(&mut self) -> Option<Fault> {
        self.error.take()
    }

    pub(super) fn peer_name(&self) -> Option<Address> {
        if self.is_open() { self.peer_name.clone() } else { None }
    }

    /// The address that it is being connected to.
    pub(super) const fn target(&self) -> Option<&Address> {
        match &self.phase {
            Phase::Connecting { to, .. } => Some(to),
            _ => None,
        }
    }

    /// What a line of a snapshot says of it.
    pub(super) fn describe(&self) -> String {
        let phase = match &self.phase {
            Phase::Connecting { knocks, .. } => format!("connecting (attempt {knocks})"),
            Phase::Open if self.has_ended && self.has_peer_ended() => "ended".to_owned(),
            Phase::Open if self.has_ended => "half-closed".to_owned(),
            Phase::Open if self.has_peer_ended() => "at the peer's end".to_owned(),
            Phase::Open => "open".to_owned(),
            Phase::Dead => "dead".to_owned(),
        };
        let stall = if self.is_stalled { format!(", sent {} times in vain", self.vain) } else { String::new() };
        let under_way = self.flight.iter().map(|segment| segment.content.size()).sum::<usize>();
        format!("{phase}, {} B unread, {under_way} B under way{stall}", self.inbox.len())
    }
}

impl Simulated {
    /// Reads what has come; 0 is the end of the stream. With `keeps` it can be read again.
    ///
    /// # Errors
    /// [`Fault::WouldBlock`] if nothing has come; what has become of the connection, once.
    #[inline]
    pub fn receive(&mut self, id: SocketId, buffer: &mut [u8], keeps: bool) -> Result<usize> {
        let socket = self.sockets.open(id)?;
        let stream = match &mut socket.role {
            Role::Stream(stream) => stream,
            Role::Datagram(_) => return self.receive_from(id, buffer, keeps).map(|(count, _)| count),
            Role::Fresh if socket.family == Family::Unix => return Err(Fault::Invalid),
            Role::Fresh | Role::Listener(_) => return Err(Fault::NotConnected),
        };
        if !stream.inbox.is_empty() {
            if keeps {
                return Ok(stream.inbox.peek(buffer));
            }
            let count = stream.inbox.take(buffer);
            stream.owed += count;
            if stream.owes_credit() {
                self.credit(id);
            }
            return Ok(count);
        }
        if stream.has_peer_ended() {
            return Ok(0);
        }
        if let Some(error) = stream.error.take() {
            return Err(error);
        }
        let is_over = stream.reading == Reading::Stopped || matches!(stream.phase, Phase::Dead);
        if is_over { Ok(0) } else { Err(Fault::WouldBlock) }
    }

    /// Sends as much of `chunks` as the window takes.
    ///
    /// # Errors
    /// [`Fault::WouldBlock`] if that is nothing; what has become of the connection.
    #[inline]
    pub fn transmit(&mut self, id: SocketId, chunks: &[IoSlice<'_>]) -> Result<usize> {
        let total: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        let socket = self.sockets.open(id)?;
        let host = socket.host;
        let stream = match &mut socket.role {
            Role::Stream(stream) => stream,
            Role::Datagram(_) => return self.send_to(id, &joined(chunks, total), None).map(|()| total),
            Role::Fresh | Role::Listener(_) if socket.family == Family::Unix => return Err(Fault::NotConnected),
            Role::Fresh | Role::Listener(_) => return Err(Fault::BrokenPipe),
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
        let count = total.min(stream.room());
        if count == 0 {
            return if total == 0 { Ok(0) } else { Err(Fault::WouldBlock) };
        }
        stream.unread += count;
        let (peer, peer_host, is_alone) = (stream.peer, stream.peer_host, stream.flight.is_empty());
        self.note(Noted::Send, id, count);
        if is_alone && self.hosts.is_perfect(host, peer_host) {
            self.deliver_data(id, peer, chunks, count);
        } else {
            self.send(id, Content::Data(joined(chunks, count)));
        }
        Ok(count)
    }

    /// Ends the writing half.
    ///
    /// # Errors
    /// [`Fault::NotConnected`].
    pub fn end_writing(&mut self, id: SocketId) -> Result<()> {
        let stream = self.connected(id)?;
        if !std::mem::replace(&mut stream.has_ended, true) {
            self.send_or_deliver(id, Content::End);
            self.sockets.mark(id);
        }
        Ok(())
    }

    /// Ends the reading half: when what has come was read, that is the end. The peer of an internet socket learns nothing of it; that of a
    /// Unix socket can write no more.
    ///
    /// # Errors
    /// [`Fault::NotConnected`].
    pub fn end_reading(&mut self, id: SocketId) -> Result<()> {
        let stream = self.connected(id)?;
        if stream.reading == Reading::Open {
            stream.reading = Reading::Stopped;
        }
        let peer = stream.peer;
        self.sockets.mark(id);
        if matches!(self.kind(id), Ok((Family::Unix, _))) {
            self.silence(peer);
        }
        Ok(())
    }

    /// The stream of a socket that is connected.
    fn connected(&mut self, id: SocketId) -> Result<&mut Stream> {
        match &mut self.sockets.open(id)?.role {
            Role::Stream(stream) if stream.is_open() => Ok(stream),
            _ => Err(Fault::NotConnected),
        }
    }

    /// Nobody will read what this Unix socket writes.
    fn silence(&mut self, peer: Option<SocketId>) {
        if let Some(peer) = peer
            && let Some(stream) = self.sockets.stream(peer)
        {
            stream.has_ended = true;
            self.sockets.mark(peer);
        }
    }

    /// Sets how many bytes a stream, or one that comes of this socket, may have under way and unread; at least one.
    ///
    /// # Errors
    /// [`Fault::NotSupported`] for datagrams.
    pub fn set_window(&mut self, id: SocketId, bytes: usize) -> Result<()> {
        let socket = self.sockets.open(id)?;
        if matches!(socket.role, Role::Datagram(_)) {
            return Err(Fault::NotSupported);
        }
        socket.window = bytes.max(1);
        let Role::Stream(stream) = &mut socket.role else { return Ok(()) };
        stream.window = socket.window;
        let (step, peer) = (stream.step(), stream.peer);
        if let Some(peer) = peer
            && let Some(stream) = self.sockets.stream(peer)
        {
            stream.least_credit = step;
            if stream.owes_credit() {
                self.credit(peer);
            }
        }
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
        let is_unix = socket.family == Family::Unix;
        match &mut socket.role {
            Role::Listener(listener) => {
                let waiting = std::mem::take(&mut listener.queue);
                self.sockets.remove(id);
                for end in waiting {
                    self.abort(end);
                }
            }
            Role::Datagram(datagram) => {
                let waiting = datagram.take_waiting();
                self.sockets.remove(id);
                self.let_write(waiting);
            }
            Role::Stream(stream) if stream.is_open() => {
                let closing = if stream.inbox.is_empty() { Content::End } else { Content::Reset };
                let is_news = !std::mem::replace(&mut stream.has_ended, true) || matches!(closing, Content::Reset);
                let peer = stream.peer;
                socket.set_closed();
                if is_news {
                    self.note(Noted::Close, id, 0);
                    self.send_or_deliver(id, closing);
                }
                if is_unix {
                    self.silence(peer);
                }
            }
            Role::Fresh | Role::Stream(_) => socket.set_closed(),
        }
        self.remove_if_done(id);
    }

    /// Closes a socket, and resets its connection.
    pub fn abort(&mut self, id: SocketId) {
        if self.connected(id).is_err() {
            return self.close(id);
        }
        if let Ok(socket) = self.sockets.open(id) {
            socket.set_closed();
        }
        self.note(Noted::Close, id, 1);
        self.send_or_deliver(id, Content::Reset);
        self.remove_if_done(id);
    }

    /// A socket that was closed is gone when nothing of it is under way any more.
    pub(super) fn remove_if_done(&mut self, id: SocketId) {
        let is_idle = self.sockets.stream(id).is_none_or(|stream| stream.flight.is_empty());
        if is_idle && self.sockets.get(id).is_some_and(|socket| socket.is_closed) {
            self.sockets.remove(id);
        }
    }

    /// Gives the peer credit for what was read.
    fn credit(&mut self, id: SocketId) {
        let Some(stream) = self.sockets.stream(id) else { return };
        let count = std::mem::take(&mut stream.owed);
        self.send_or_deliver(id, Content::Credit(count));
    }
}

/// The first bytes of chunks, in one piece.
fn joined(chunks: &[IoSlice<'_>], count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count);
    for chunk in chunks {
        let rest = count - bytes.len();
        bytes.extend_from_slice(&chunk[..rest.min(chunk.len())]);
    }
    bytes
}

/// Bytes that a sender may have under way and unread.
pub const WINDOW: usize = 256 * 1024;
/// A sender is told that it may go on, and a reader credits, when it is this part of the window.
const STEPS: usize = 4;
