//! epoll: readiness of descriptors, level-triggered unless asked otherwise.
//!
//! epoll itself counts whole milliseconds (its successor `epoll_pwait2` is not on every kernel), so the rest of a wait is spent in ppoll.

use crate::descriptor::borrow;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fd::OwnedFd;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

/// What to wait for at a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Wake when it can be read, or the peer has closed.
    pub read: bool,
    /// Wake when it can be written.
    pub write: bool,
    /// Tell of each change once (edge-triggered), rather than as long as it lasts; and tell of [`Event::is_exceptional`].
    pub is_edge: bool,
}

/// What happened at the descriptor that was registered with `token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// As given at registration.
    pub token: u64,
    /// A read would not block. An error or a hang-up counts: the read is what reports it.
    pub readable: bool,
    /// A write would not block; an error or a hang-up counts.
    pub writable: bool,
    /// An error, the end of a half, or urgent data: a read or a write may stop short of what could be moved.
    pub is_exceptional: bool,
}

/// A buffer for the events of one wait.
pub struct Events {
    list: Vec<epoll::Event>,
}

impl Interest {
    /// Readability only.
    pub const READ: Self = Self { read: true, write: false, is_edge: false };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, is_edge: false };

    /// Every change of readability, and with `write` of writability, once.
    pub const fn edges(write: bool) -> Self {
        Self { read: true, write, is_edge: true }
    }

    /// Whether nothing is waited for.
    pub const fn is_none(self) -> bool {
        !self.read && !self.write
    }

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags.set(ONLY_OF_EDGES | epoll::EventFlags::ET, self.is_edge);
        flags
    }
}

impl Epoll {
    /// A new instance, closed on exec.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Registers a descriptor.
    ///
    /// # Errors
    /// `EBADF` if it is not open, `EEXIST` if it is registered, `EPERM` if its kind can't be waited for.
    pub fn add(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.fd, borrow(fd)?, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Registers a descriptor for reading that is told of once for each time that something comes, read or not.
    ///
    /// # Errors
    /// As [`Epoll::add`].
    pub fn add_edge(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        Ok(epoll::add(&self.fd, borrow(fd)?, epoll::EventData::new_u64(token), flags)?)
    }

    /// Changes a registration.
    ///
    /// # Errors
    /// `EBADF` if it is not open, `ENOENT` if it is not registered.
    pub fn modify(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.fd, borrow(fd)?, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Ends a registration.
    ///
    /// # Errors
    /// `EBADF` if it is not open, `ENOENT` if it is not registered.
    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, borrow(fd)?)?)
    }

    /// Waits for events, for `timeout` at most (`None`: without limit), and puts them in `events`. A limit of less than a millisecond
    /// is kept to the nanosecond. A longer wait may end without events up to a millisecond early: the caller waits for the rest.
    ///
    /// # Errors
    /// `EINTR` if a signal handler ran.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        let limit = match timeout {
            None => None,
            Some(limit) if limit < MILLISECOND => {
                if !limit.is_zero() && !self.is_ready_within(limit)? {
                    return Ok(());
                }
                Some(Duration::ZERO)
            }
            Some(limit) => Some(whole_milliseconds(limit.min(MAX_WAIT))),
        };
        let limit = limit.map(timespec);
        epoll::wait(&self.fd, rustix::buffer::spare_capacity(&mut events.list), limit.as_ref())?;
        Ok(())
    }

    fn is_ready_within(&self, limit: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
        Ok(poll(&mut polled, Some(&timespec(limit)))? > 0)
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}

impl Events {
    /// A buffer for `capacity` events of one wait; what does not fit comes with the next wait.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { list: Vec::with_capacity(capacity) }
    }

    /// Forgets the events.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        self.list.iter().map(|event| {
            let flags = event.flags;
            Event {
                token: event.data.u64(),
                readable: !(flags - epoll::EventFlags::OUT).is_empty(),
                writable: !(flags - epoll::EventFlags::IN - ONLY_OF_EDGES).is_empty(),
                is_exceptional: !(flags - epoll::EventFlags::IN - epoll::EventFlags::OUT).is_empty(),
            }
        })
    }
}

// SAFETY: an event is plain data. Its token is a number; it is never read as the pointer that epoll would also carry.
unsafe impl Send for Events {}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Asked for beside what every registration is told.
const ONLY_OF_EDGES: epoll::EventFlags = epoll::EventFlags::RDHUP.union(epoll::EventFlags::PRI);
/// Longer waits return early and are begun again: a day, as in asyncio's selectors.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);
