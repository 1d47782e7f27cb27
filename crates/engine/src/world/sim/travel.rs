//! What streams send: segments on their way, their delivery, and stalls.
//!
//! On a perfect link, with nothing under way before it, a segment arrives at once and without an event. A link that is cut, or a host that is
//! down, stalls the sender: what it has under way is sent again at growing intervals, until it passes or the sender gives up.

use super::fault::Fault;
use super::hosts::HostId;
use super::link::{LONGEST_RETRANSMISSION, MOST_RETRANSMISSIONS};
use super::socket::{Role, Socket, SocketId};
use super::stream::{LOW_WINDOW, Phase};
use super::{Event, Noted, Simulated};
use std::io::IoSlice;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) serial: u64,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// The end of the handshake: the other end can be accepted.
    Hello(SocketId),
    Data(Vec<u8>),
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
    pub(super) fn send(&mut self, id: SocketId, content: Content) {
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

    pub(super) fn send_or_deliver(&mut self, id: SocketId, content: Content) {
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
        // A connection that is lost already hears of nothing more.
        let Some(stream) = self.sockets.stream(to).filter(|stream| stream.is_open()) else { return };
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
    pub(super) fn deliver_data(&mut self, from: SocketId, to: Option<SocketId>, chunks: &[IoSlice<'_>], count: usize) {
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
        } else if !self.is_blocked(far, host) {
            // If it were lost, what it answers would be sent again, and answered again: loss is delay.
            let arrival = self.hosts.direction(far, host).stream_arrival(self.now, 0, &mut self.tape);
            self.agenda.push(arrival, Event::Reset { to: from });
        }
    }

    pub(super) fn on_reset(&mut self, to: SocketId) {
        if let Some(stream) = self.sockets.stream(to).filter(|stream| stream.is_open()) {
            stream.die(Fault::ConnectionReset);
            self.sockets.mark(to);
            self.remove_if_idle(to);
        }
    }

    /// Gives the peer credit for what was read.
    pub(super) fn credit(&mut self, id: SocketId) {
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
                self.drop_half_made(id);
                if let Some(stream) = self.sockets.stream(id) {
                    stream.die(Fault::TimedOut);
                }
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
}
