//! A connected pair of sockets: one end for a signal handler to write to, one for the loop to read.

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::fd::RawFd;

/// Both ends of a nonblocking stream.
#[derive(Debug)]
pub struct Pair {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pair {
    /// A new pair, closed on exec.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (reader, writer) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        Ok(Self { reader, writer })
    }

    /// The descriptor to register for reading.
    pub fn reader(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// The descriptor that a handler writes to.
    pub fn writer(&self) -> RawFd {
        self.writer.as_raw_fd()
    }

    /// Takes every byte that was written so far.
    ///
    /// # Errors
    /// What the system says, apart from there being nothing more to read.
    pub fn drain(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 256];
        loop {
            match rustix::io::read(&self.reader, &mut chunk) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(bytes),
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
