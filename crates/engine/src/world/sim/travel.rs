//! What travels between the two ends of a connection: segments in order, and the word that an end is gone.
//!
//! On a link that is perfect a segment arrives at once, without an event. Loss is delay. A link that is cut, or a host that is down, stalls
//! the sender: its segments are sent again and again, at growing intervals, until they pass or the sender gives up. An end that is gone
//! answers with a reset. Invariant: of what a socket has under way, only the first can arrive, and a stalled socket has exactly one event
//! ahead, its next try.

use super::fault::Fault;
use super::hosts::HostId;
use super::link::{LONGEST_RETRANSMISSION, MOST_RETRANSMISSIONS};
use super::socket::{Role, Socket, SocketId};
use super::stream::Reading;
use super::{Event, Noted, Simulated};
use std::io::IoSlice;
use std::time::Duration;

/// A part of a stream that is under way.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) serial: u64,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// The end of the handshake with a listening socket: the other end comes into being.
    Hello(SocketId),
    Data(Vec<u8>),
    /// So many bytes were read.
    Credit(usize),
    End,
    Reset,
}

impl Content {
    pub(super) const fn size(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

impl Simulated {
    /// The two hosts of a connection: the socket's own, and the peer's.
    pub(super) fn ends(&self, id: SocketId) -> Option<(HostId, HostId)> {
        match self.sockets.get(id) {
            Some(Socket { host, role: Role::Stream(stream), .. }) => Some((*host, stream.peer_host)),
            _ => None,
        }
    }

    /// Sends something to the peer, behind all that is under way.
    pub(super) fn send(&mut self, id: SocketId, content: Content) {
        let Some((host, far)) = self.ends(id) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        stream.serial += 1;
        let (serial, size) = (stream.serial, content.size());
        stream.flight.push_back(Segment { serial, content });
        if stream.is_stalled {
            return;
        }
        if self.hosts.is_blocked(host, far) {
            return self.stall(id);
        }
        let arrival = self.hosts.direction(host, far).stream_arrival(self.now, size, &mut self.tape);
        stream.last_arrival = stream.last_arrival.max(arrival);
        self.agenda.push(stream.last_arrival, Event::Arrive { from: id, serial });
    }

    pub(super) fn send_or_deliver(&mut self, id: SocketId, content: Content) {
        let Some((host, far)) = self.ends(id) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        if stream.flight.is_empty() && self.hosts.is_perfect(host, far) {
            let peer = stream.peer;
            self.deliver(id, peer, content);
        } else {
            self.send(id, content);
        }
    }

    /// What a socket has sent arrives.
    pub(super) fn on_arrival(&mut self, from: SocketId) {
        let Some((host, far)) = self.ends(from) else { return };
        let Some(stream) = self.sockets.stream(from) else { return };
        let listener = match stream.flight.front() {
            Some(Segment { content: Content::Hello(listener), .. }) => Some(*listener),
            _ => None,
        };
        // A listening socket that has no room acts as if nothing had come.
        if self.hosts.is_blocked(host, far) || listener.is_some_and(|listener| self.is_full(listener)) {
            return self.stall(from);
        }
        let Some(stream) = self.sockets.stream(from) else { return };
        stream.vain = 0;
        let peer = stream.peer;
        let Some(segment) = stream.flight.pop_front() else { return };
        self.note(Noted::Arrive, from, segment.content.size());
        self.deliver(from, peer, segment.content);
        self.remove_if_done(from);
    }

    fn deliver(&mut self, from: SocketId, to: Option<SocketId>, content: Content) {
        match content {
            Content::Hello(listener) => return self.admit(listener, from),
            Content::Data(bytes) => return self.deliver_data(from, to, &[IoSlice::new(&bytes)], bytes.len()),
            Content::Credit(_) | Content::End | Content::Reset => {}
        }
        let stream = to.and_then(|to| self.sockets.stream(to)).filter(|stream| stream.is_open());
        let (Some(to), Some(stream)) = (to, stream) else {
            // Whoever still listens learns that nobody speaks.
            if matches!(content, Content::End) && self.sockets.stream(from).is_some_and(|from| !from.has_peer_ended()) {
                self.refuse(from);
            }
            return;
        };
        match content {
            Content::Credit(count) => {
                let could_write = stream.may_write();
                stream.unread = stream.unread.saturating_sub(count);
                if !could_write {
                    self.sockets.mark(to);
                }
            }
            Content::End => {
                stream.reading = Reading::Ended;
                self.sockets.mark(to);
            }
            Content::Reset | Content::Data(_) | Content::Hello(_) => self.reset(to),
        }
    }

    #[inline]
    pub(super) fn deliver_data(&mut self, from: SocketId, to: Option<SocketId>, chunks: &[IoSlice<'_>], count: usize) {
        let receiver = to.and_then(|to| self.sockets.open(to).ok());
        if let (Some(to), Some(Socket { role: Role::Stream(stream), .. })) = (to, receiver)
            && stream.takes_data()
        {
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

    // ------------------------------------------------------------------ resets

    /// Something has come for a socket that is gone: its sender is told.
    pub(super) fn refuse(&mut self, from: SocketId) {
        let Some((host, far)) = self.ends(from) else { return };
        if self.hosts.is_perfect(far, host) {
            return self.reset(from);
        }
        let at = if self.hosts.is_blocked(far, host) {
            self.now.after(self.backoff(far, host, 0))
        } else {
            self.hosts.direction(far, host).stream_arrival(self.now, 0, &mut self.tape)
        };
        self.agenda.push(at, Event::Reset { to: from, attempt: 0 });
    }

    /// The word arrives that the other end is gone. If it can't, what was sent would come again, and be refused again.
    pub(super) fn on_reset(&mut self, to: SocketId, attempt: u32) {
        let Some((host, far)) = self.ends(to) else { return };
        if !self.hosts.is_blocked(far, host) {
            self.reset(to);
        } else if attempt < MOST_RETRANSMISSIONS {
            let wait = self.backoff(far, host, attempt + 1);
            self.agenda.push(self.now.after(wait), Event::Reset { to, attempt: attempt + 1 });
        }
    }

    /// A connection is reset. Who had been told of the peer's end finds that writing is of no use, as on Linux.
    fn reset(&mut self, id: SocketId) {
        if let Some(stream) = self.sockets.stream(id)
            && stream.is_open()
        {
            let fault = if stream.has_peer_ended() { Fault::BrokenPipe } else { Fault::ConnectionReset };
            self.end_connection(id, fault);
        }
    }

    /// A connection is over for one end, which may have been closed before.
    pub(super) fn end_connection(&mut self, id: SocketId, fault: Fault) {
        let Some(stream) = self.sockets.stream(id) else { return };
        stream.die(fault);
        self.sockets.mark(id);
        self.remove_if_done(id);
    }

    // ------------------------------------------------------------------ stalls

    /// Nothing passes: it will be sent again.
    fn stall(&mut self, id: SocketId) {
        let Some((host, far)) = self.ends(id) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        stream.is_stalled = true;
        stream.vain += 1;
        let attempt = stream.vain;
        let wait = self.backoff(host, far, attempt - 1);
        self.agenda.push(self.now.after(wait), Event::Retry { from: id, attempt });
    }

    /// How long it takes until something is sent again, after so many vain tries before.
    fn backoff(&self, from: HostId, to: HostId, tries: u32) -> Duration {
        let first = self.hosts.quality(from, to).retransmission_timeout();
        first.saturating_mul(1 << tries.min(16)).min(LONGEST_RETRANSMISSION)
    }

    /// What a stalled socket has under way is sent again.
    pub(super) fn on_retry(&mut self, id: SocketId) {
        let Some((host, far)) = self.ends(id) else { return };
        let Some(stream) = self.sockets.stream(id) else { return };
        if stream.vain > MOST_RETRANSMISSIONS {
            return self.end_connection(id, Fault::TimedOut);
        }
        if self.hosts.is_blocked(host, far) {
            return self.stall(id);
        }
        stream.is_stalled = false;
        let link = self.hosts.direction(host, far);
        let mut latest = self.now;
        for segment in &mut stream.flight {
            latest = latest.max(link.stream_arrival(self.now, segment.content.size(), &mut self.tape));
            stream.serial += 1;
            segment.serial = stream.serial;
            self.agenda.push(latest, Event::Arrive { from: id, serial: stream.serial });
        }
        stream.last_arrival = latest;
    }
}
