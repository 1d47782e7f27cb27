//! The real world: the monotonic clock and epoll, by way of `soliloop-sys`.
//!
//! A wait is split from the looking at what it brought: the owner calls [`Real::wait`] where it holds nothing (it may
//! block), with a buffer of its own, and reads the buffer afterwards. [`Real::wake`] may be called from any thread.

use crate::clock::Instant;
use crate::engine::Wait;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

pub use soliloop_sys::epoll::{Event, Events, Interest};

use soliloop_sys::epoll::Epoll;
use soliloop_sys::{clock, wake::Waker};

/// Waits in epoll; can be woken from other threads.
#[derive(Debug)]
pub struct Real {
    epoll: Epoll,
    waker: Waker,
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
        epoll.add(waker.descriptor(), WAKER, Interest::READ)?;
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
        self.epoll.add(fd, token(fd), interest)
    }

    /// Changes what is watched for at `fd`.
    ///
    /// # Errors
    /// What epoll says: a descriptor that is closed or was never registered.
    pub fn rewatch(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.epoll.modify(fd, token(fd), interest)
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

    /// The descriptor and readiness of an event; `None` for a wake-up, which is used up here.
    #[inline]
    pub fn source(&self, event: Event) -> Option<(RawFd, Event)> {
        if event.token == WAKER {
            self.waker.reset();
            return None;
        }
        RawFd::try_from(event.token).ok().map(|fd| (fd, event))
    }

    /// Makes a wait that is under way, or the next one, return at once.
    pub fn wake(&self) {
        self.waker.wake();
    }
}

fn token(fd: RawFd) -> u64 {
    // A negative descriptor is refused by the system before its token matters.
    u64::try_from(fd).unwrap_or(WAKER - 1)
}
