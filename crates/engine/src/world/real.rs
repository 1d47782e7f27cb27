//! The real world: the monotonic clock and epoll, by way of `soliloop-sys`.
//!
//! A wait is split from the looking at what it brought: the owner calls [`Real::wait`] where it holds nothing (it may
//! block), with a buffer of its own, and reads the buffer afterwards. [`Real::wake`] may be called from any thread.

use crate::clock::Instant;
use crate::engine::Wait;
use crate::world::{Interest, Readiness};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

pub use soliloop_sys::epoll::{Event, Events};

pub use soliloop_sys::datagram::Sender;
pub use soliloop_sys::stream::{Accepted, Kind, SocketKind};

use soliloop_sys::epoll::{self, Epoll};
use soliloop_sys::{clock, datagram, stream, wake::Waker};

/// Waits in epoll; can be woken from other threads.
#[derive(Debug)]
pub struct Real {
    epoll: Epoll,
    waker: Waker,
}

/// One end of a stream of bytes, or of datagrams: a nonblocking descriptor of a socket or a pipe. It does not own the descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    fd: RawFd,
    kind: Kind,
}

/// The token of the waker, which no descriptor can have.
const WAKER: u64 = u64::MAX;

impl Real {
    /// Opens the descriptors of a world: an epoll instance and an eventfd.
    ///
    /// # Errors
    /// What the system says, when it is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let waker = Waker::new()?;
        epoll.add_edge(waker.descriptor(), WAKER)?;
        Ok(Self { epoll, waker })
    }

    /// The current instant: nanoseconds of the system's monotonic clock.
    #[inline]
    pub fn now() -> Instant {
        Instant::from_nanos(clock::monotonic())
    }

    /// The instant of the last tick of the system's clock: up to 10 ms ago, for a fraction of the cost.
    #[inline]
    pub fn last_tick() -> Instant {
        Instant::from_nanos(clock::monotonic_at_last_tick())
    }

    /// Begins to watch `fd`, whose events will carry `fd` as their token.
    ///
    /// # Errors
    /// What epoll says: a descriptor that is closed, registered already, or of a kind that can't be watched.
    pub fn watch(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.epoll.add(fd, token(fd), of_epoll(interest))
    }

    /// Changes what is watched for at `fd`.
    ///
    /// # Errors
    /// What epoll says: a descriptor that is closed or was never registered.
    pub fn rewatch(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.epoll.modify(fd, token(fd), of_epoll(interest))
    }

    /// Ends watching `fd`.
    ///
    /// # Errors
    /// What epoll says: a descriptor that is closed or was never registered.
    pub fn unwatch(&self, fd: RawFd) -> io::Result<()> {
        self.epoll.delete(fd)
    }

    /// Waits as `wait` says, and fills `events` with what happened. It may return early with nothing: after an interruption by a
    /// signal, and within a millisecond of the deadline, which the next wait then meets exactly.
    ///
    /// # Errors
    /// What epoll says, interruptions excepted.
    pub fn wait(&self, wait: Wait, events: &mut Events) -> io::Result<()> {
        let timeout = match wait {
            Wait::None => Some(Duration::ZERO),
            Wait::Until(deadline) => Some(Self::now().until(deadline)),
            Wait::Forever => None,
        };
        match self.epoll.wait(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            done => done,
        }
    }

    /// The descriptor and readiness of an event; `None` for a wake-up.
    #[inline]
    pub fn source(&self, event: Event) -> Option<(RawFd, Readiness)> {
        let Event { token, readable, writable, is_exceptional } = event;
        // The waker's token is no descriptor's number.
        RawFd::try_from(token).ok().map(|fd| (fd, Readiness { readable, writable, is_exceptional }))
    }

    /// Makes a wait that is under way, or the next one, return at once.
    pub fn wake(&self) {
        self.waker.wake();
    }
}

impl Port {
    /// The end that is behind `fd`.
    pub const fn new(fd: RawFd, kind: Kind) -> Self {
        Self { fd, kind }
    }

    /// The number of the descriptor.
    #[inline]
    pub const fn number(self) -> RawFd {
        self.fd
    }

    /// Reads what has come; 0 is the end of the stream.
    ///
    /// # Errors
    /// `EAGAIN` if nothing has come, and what else the system says.
    #[inline]
    pub fn receive(self, buffer: &mut [u8]) -> io::Result<usize> {
        stream::receive(self.fd, self.kind, buffer)
    }

    /// As [`Port::receive`] from a socket; tells besides whether a message with ancillary data has cut the read short.
    ///
    /// # Errors
    /// `EAGAIN` if nothing has come, and what else the system says.
    #[inline]
    pub fn receive_message(self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        stream::receive_message(self.fd, buffer)
    }

    /// Writes as much of `chunks` as is taken now.
    ///
    /// # Errors
    /// `EAGAIN` if nothing is taken, and what else the system says.
    #[inline]
    pub fn transmit(self, chunks: &[IoSlice<'_>]) -> io::Result<usize> {
        stream::transmit(self.fd, self.kind, chunks)
    }

    /// Takes the next datagram; gives its length and who has sent it.
    ///
    /// # Errors
    /// `EAGAIN` if there is none, and what else the system says.
    #[inline]
    pub fn receive_from(self, buffer: &mut [u8]) -> io::Result<(usize, Sender)> {
        datagram::receive_from(self.fd, buffer)
    }

    /// Sends one datagram, to the connected peer or to an address.
    ///
    /// # Errors
    /// `EAGAIN` if it is not taken now, and what else the system says.
    #[inline]
    pub fn send_to(self, data: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        match to {
            Some(to) => datagram::send_to(self.fd, data, to),
            None => datagram::send(self.fd, data),
        }
    }

    /// How many bytes have come and were not read.
    ///
    /// # Errors
    /// What the system says.
    pub fn readable_bytes(self) -> io::Result<u64> {
        stream::readable_bytes(self.fd)
    }

    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    /// What the system says.
    pub fn shutdown_writing(self) -> io::Result<()> {
        stream::shutdown_writing(self.fd)
    }

    /// Takes the next connection of a listening socket.
    ///
    /// # Errors
    /// `EAGAIN` if there is none, and what else the system says.
    pub fn accept(self) -> io::Result<Accepted> {
        stream::accept(self.fd)
    }

    /// The internet address that the socket is bound to, if it has one.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(self) -> io::Result<Option<SocketAddr>> {
        stream::local_address(self.fd)
    }

    /// What the socket is.
    ///
    /// # Errors
    /// What the system says.
    pub fn socket_kind(self) -> io::Result<SocketKind> {
        stream::socket_kind(self.fd)
    }

    /// Has small writes sent at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_no_delay(self) -> io::Result<()> {
        stream::set_no_delay(self.fd)
    }
}

const fn of_epoll(interest: Interest) -> epoll::Interest {
    epoll::Interest { read: interest.read, write: interest.write, is_edge: interest.is_edge }
}

fn token(fd: RawFd) -> u64 {
    // A negative descriptor is refused by the system before its token matters.
    u64::try_from(fd).unwrap_or(WAKER - 1)
}
