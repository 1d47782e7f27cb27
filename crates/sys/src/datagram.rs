//! Sending and receiving datagrams on nonblocking sockets.
//!
//! Descriptors belong to the caller, who gives their numbers; a number that is not open is answered with `EBADF`.

use crate::descriptor::borrow;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, recvfrom};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// Who has sent a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A socket that has no name, or one of a family that has neither internet addresses nor paths.
    Nameless,
    /// A socket with an internet address.
    Internet(SocketAddr),
    /// A Unix socket with a place in the file system.
    Path(Vec<u8>),
    /// A Unix socket with a name of its own name space, without the null byte that marks it.
    Abstract(Vec<u8>),
}

/// Takes the next datagram; gives its length. What `buffer` has no room for is lost.
///
/// # Errors
/// `EAGAIN` if there is none; what the system says, which may be about a datagram that was sent before (`ECONNREFUSED`).
#[inline]
pub fn receive_from(fd: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Sender)> {
    let (count, _, sender) = recvfrom(borrow(fd)?, buffer, RecvFlags::empty())?;
    Ok((count, sender.map_or(Sender::Nameless, sender_of)))
}

/// Sends one datagram to the peer that the socket is connected to.
///
/// # Errors
/// `EAGAIN` if the system takes none now, and what else it says.
#[inline]
pub fn send(fd: RawFd, data: &[u8]) -> io::Result<()> {
    rustix::net::send(borrow(fd)?, data, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Sends one datagram to an internet address.
///
/// # Errors
/// `EAGAIN` if the system takes none now, and what else it says.
#[inline]
pub fn send_to(fd: RawFd, data: &[u8], to: SocketAddr) -> io::Result<()> {
    rustix::net::sendto(borrow(fd)?, data, SendFlags::NOSIGNAL, &to)?;
    Ok(())
}

#[inline]
fn sender_of(address: SocketAddrAny) -> Sender {
    match SocketAddr::try_from(address.clone()) {
        Ok(address) => Sender::Internet(address),
        Err(_) => SocketAddrUnix::try_from(address).map_or(Sender::Nameless, |address| unix_sender(&address)),
    }
}

fn unix_sender(address: &SocketAddrUnix) -> Sender {
    if let Some(name) = address.abstract_name() {
        return Sender::Abstract(name.to_vec());
    }
    address.path().map_or(Sender::Nameless, |path| Sender::Path(path.to_bytes().to_vec()))
}
