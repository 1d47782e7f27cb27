//! Sockets that the loop makes: a connected pair, one end for a signal handler to write to, one for the loop to read; and one without a
//! connection, as a number for what stands elsewhere.

use crate::descriptor::borrow;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, getpeername, getsockname, socket_with, socketpair,
};
use std::io;
use std::net::SocketAddr;
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

/// A new socket that is neither bound nor connected, closed on exec: of an internet family or of the Unix family, by their numbers.
///
/// # Errors
/// What the system says.
pub fn unconnected(family: i32, is_stream: bool) -> io::Result<OwnedFd> {
    let family = u16::try_from(family).map_err(|_| Errno::AFNOSUPPORT)?;
    let kind = if is_stream { SocketType::STREAM } else { SocketType::DGRAM };
    Ok(socket_with(AddressFamily::from_raw(family), kind, SocketFlags::CLOEXEC, None)?)
}

/// Whether calls of a descriptor give up rather than wait.
pub fn is_nonblocking(fd: RawFd) -> bool {
    borrow(fd).and_then(rustix::fs::fcntl_getfl).is_ok_and(|flags| flags.contains(rustix::fs::OFlags::NONBLOCK))
}

/// Whether a socket is neither bound nor connected.
pub fn is_unused(fd: RawFd) -> bool {
    let Ok(fd) = borrow(fd) else { return false };
    let is_unbound = getsockname(fd).is_ok_and(|name| match SocketAddr::try_from(name.clone()) {
        Ok(name) => name.port() == 0,
        Err(_) => SocketAddrUnix::try_from(name).is_ok_and(|name| {
            name.path_bytes().is_none_or(<[u8]>::is_empty) && name.abstract_name().is_none_or(<[u8]>::is_empty)
        }),
    });
    is_unbound && getpeername(fd).is_err()
}
