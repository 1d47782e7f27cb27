//! A waker: an eventfd that another thread writes to when it wants the loop's attention.
//!
//! It is never read: registered edge-triggered (`Epoll::add_edge`), each write is an event of its own. Its counter is full after more
//! wakes than a process can live to make.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsRawFd, OwnedFd};
use std::io;
use std::os::fd::RawFd;

/// Ends a wait from another thread.
#[derive(Debug)]
pub struct Waker {
    fd: OwnedFd,
}

impl Waker {
    /// A new waker, closed on exec.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// The descriptor to register.
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Makes an event.
    pub fn wake(&self) {
        // Fails only when the counter is full.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }
}
