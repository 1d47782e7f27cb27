//! Reading, writing and accepting on descriptors of sockets, and of nonblocking pipes.
//!
//! Descriptors belong to the caller, who gives their numbers; a number that is not open is answered with `EBADF`.

use crate::descriptor::borrow;
use rustix::fd::OwnedFd;
use rustix::io::{IoSlice, IoSliceMut, ioctl_fionread, read, write, writev};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, Shutdown,
    SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, getsockname, ipproto, recv, recvmsg, send, sendmsg,
    sockopt,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// Which system calls move the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `recv`, `send`: no signal when the peer is gone.
    Socket,
    /// `read`, `write`.
    File,
}

/// Reads what has come, up to the length of `buffer`; 0 is the end of the stream.
///
/// # Errors
/// `EAGAIN` if nothing has come, and what else the system says.
#[inline]
pub fn receive(fd: RawFd, kind: Kind, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = borrow(fd)?;
    Ok(match kind {
        Kind::Socket => recv(fd, buffer, RecvFlags::DONTWAIT)?.0,
        Kind::File => read(fd, buffer)?,
    })
}

/// As [`receive`] from a socket, and tells besides whether the read was cut short at a message with ancillary data, which is dropped. (Unix
/// stream sockets end a read at such a message even if more has come.)
///
/// # Errors
/// `EAGAIN` if nothing has come, and what else the system says.
#[inline]
pub fn receive_message(fd: RawFd, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut none = RecvAncillaryBuffer::default();
    let received = recvmsg(borrow(fd)?, &mut [IoSliceMut::new(buffer)], &mut none, RecvFlags::DONTWAIT)?;
    Ok((received.bytes, received.flags.contains(ReturnFlags::CTRUNC)))
}

/// Writes as much of `chunks` as the system takes now; gives the number of bytes.
///
/// # Errors
/// `EAGAIN` if it takes none, and what else the system says.
#[inline]
pub fn transmit(fd: RawFd, kind: Kind, chunks: &[IoSlice<'_>]) -> io::Result<usize> {
    let fd = borrow(fd)?;
    Ok(match (kind, chunks) {
        (Kind::Socket, [one]) => send(fd, one, SEND_FLAGS)?,
        (Kind::Socket, many) => sendmsg(fd, many, &mut SendAncillaryBuffer::default(), SEND_FLAGS)?,
        (Kind::File, [one]) => write(fd, one)?,
        (Kind::File, many) => writev(fd, many)?,
    })
}

/// How many bytes have come and were not read.
///
/// # Errors
/// What the system says.
pub fn readable_bytes(fd: RawFd) -> io::Result<u64> {
    Ok(ioctl_fionread(borrow(fd)?)?)
}

/// Tells the peer that nothing more will be written.
///
/// # Errors
/// What the system says: `ENOTCONN` if the peer is gone.
pub fn shutdown_writing(fd: RawFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(borrow(fd)?, Shutdown::Write)?)
}

/// A connection that a listening socket took, nonblocking and closed on exec.
#[derive(Debug)]
pub struct Accepted {
    /// Its descriptor.
    pub fd: OwnedFd,
    /// The address of the peer; `None` for sockets without internet addresses.
    pub peer: Option<SocketAddr>,
}

/// Takes the next connection from the queue of a listening socket.
///
/// # Errors
/// `EAGAIN` if there is none; `EMFILE` and its kin if the system is short of something; `ECONNABORTED` if the peer is gone.
pub fn accept(fd: RawFd) -> io::Result<Accepted> {
    let (socket, peer) = acceptfrom_with(borrow(fd)?, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    Ok(Accepted { fd: socket, peer: peer.and_then(internet_address) })
}

/// The internet address that a socket is bound to; `None` for one of another family.
///
/// # Errors
/// What the system says.
pub fn local_address(fd: RawFd) -> io::Result<Option<SocketAddr>> {
    Ok(internet_address(getsockname(borrow(fd)?)?))
}

/// Has small writes sent at once (Nagle's algorithm off).
///
/// # Errors
/// What the system says: not every socket has the option.
pub fn set_no_delay(fd: RawFd) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(borrow(fd)?, true)?)
}

/// What a socket is, as far as its system calls differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketKind {
    /// A stream of bytes, of whatever family.
    pub is_stream: bool,
    /// TCP over an internet family.
    pub is_tcp: bool,
    /// A stream of the Unix family.
    pub is_unix: bool,
}

/// What the socket is.
///
/// # Errors
/// What the system says: `ENOTSOCK` for what is none.
pub fn socket_kind(fd: RawFd) -> io::Result<SocketKind> {
    let fd = borrow(fd)?;
    let is_stream = sockopt::socket_type(fd)? == SocketType::STREAM;
    let family = sockopt::socket_domain(fd)?;
    let is_tcp = is_stream
        && matches!(family, AddressFamily::INET | AddressFamily::INET6)
        && sockopt::socket_protocol(fd)? == Some(ipproto::TCP);
    Ok(SocketKind { is_stream, is_tcp, is_unix: is_stream && family == AddressFamily::UNIX })
}

fn internet_address(address: SocketAddrAny) -> Option<SocketAddr> {
    address.try_into().ok()
}

/// No waiting even if the descriptor would, and no signal when the peer is gone.
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
