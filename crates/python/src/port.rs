//! Ports: one end of a stream of bytes, or of datagrams, in either world. Transports, servers and `sock_*` calls stand on them.
//!
//! A port is a number that somebody else owns: of a descriptor, or of a simulated socket. What a simulated socket refuses has the error
//! number that a system would give.

use crate::transport::File;
use crate::world::World;
use pyo3::prelude::*;
use soliloop_engine::world::real::{self, Kind, Sender, SocketKind};
use soliloop_engine::world::sim::{Address, Family, Fault, Kind as SimulatedKind, SocketId};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

/// What is watched for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Descriptor(RawFd),
    Simulated(SocketId),
}

/// One end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    Real(real::Port),
    Simulated(SocketId),
}

/// A connection that a listening socket took.
pub(crate) struct Accepted {
    pub(crate) port: Port,
    pub(crate) file: File,
    /// `None` for sockets without internet addresses.
    pub(crate) peer: Option<SocketAddr>,
}

impl Source {
    /// The number for people: of the descriptor, or of the simulated socket.
    pub(crate) fn number(self) -> RawFd {
        match self {
            Self::Descriptor(fd) => fd,
            Self::Simulated(id) => RawFd::try_from(id.index()).unwrap_or(RawFd::MAX),
        }
    }

    pub(crate) const fn port(self, kind: Kind) -> Port {
        match self {
            Self::Descriptor(fd) => Port::Real(real::Port::new(fd, kind)),
            Self::Simulated(id) => Port::Simulated(id),
        }
    }
}

impl Port {
    #[inline]
    pub(crate) const fn source(self) -> Source {
        match self {
            Self::Real(port) => Source::Descriptor(port.number()),
            Self::Simulated(id) => Source::Simulated(id),
        }
    }

    /// The number for people.
    pub(crate) fn number(self) -> RawFd {
        self.source().number()
    }

    /// Reads what has come; 0 is the end of the stream.
    #[inline]
    pub(crate) fn receive(self, py: Python<'_>, world: &World, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Real(port) => port.receive(buffer),
            Self::Simulated(id) => world.simulated(py, |world| world.receive(id, buffer, false)),
        }
    }

    /// As [`Port::receive`] from a socket; tells besides whether a message with ancillary data has cut the read short.
    #[inline]
    pub(crate) fn receive_message(self, py: Python<'_>, world: &World, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        match self {
            Self::Real(port) => port.receive_message(buffer),
            Self::Simulated(_) => self.receive(py, world, buffer).map(|count| (count, false)),
        }
    }

    /// Writes as much of `chunks` as is taken now.
    #[inline]
    pub(crate) fn transmit(self, py: Python<'_>, world: &World, chunks: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Real(port) => port.transmit(chunks),
            Self::Simulated(id) => world.simulated(py, |world| world.transmit(id, chunks)),
        }
    }

    /// Takes the next datagram; gives its length and who has sent it.
    #[inline]
    pub(crate) fn receive_from(self, py: Python<'_>, world: &World, buffer: &mut [u8]) -> io::Result<(usize, Sender)> {
        match self {
            Self::Real(port) => port.receive_from(buffer),
            Self::Simulated(id) => {
                let (count, from) = world.simulated(py, |world| world.receive_from(id, buffer, false))?;
                Ok((count, sender(from)))
            }
        }
    }

    /// Sends one datagram, to the connected peer or to an address.
    #[inline]
    pub(crate) fn send_to(self, py: Python<'_>, world: &World, data: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        match self {
            Self::Real(port) => port.send_to(data, to),
            Self::Simulated(id) => {
                let to = to.map(Address::Internet);
                world.simulated(py, |world| world.send_to(id, data, to.as_ref()))
            }
        }
    }

    /// Tells the peer that nothing more will be written.
    pub(crate) fn shutdown_writing(self, py: Python<'_>, world: &World) -> io::Result<()> {
        match self {
            Self::Real(port) => port.shutdown_writing(),
            Self::Simulated(id) => world.simulated(py, |world| world.end_writing(id)),
        }
    }

    /// Takes the next connection of a listening socket, with small writes sent at once where the socket has that option.
    pub(crate) fn accept(self, py: Python<'_>, world: &World) -> io::Result<Accepted> {
        match self {
            Self::Real(port) => {
                let accepted = port.accept()?;
                let port = real::Port::new(accepted.fd.as_raw_fd(), Kind::Socket);
                if accepted.peer.is_some() {
                    // An option that is refused is no reason to refuse the connection.
                    let _ = port.set_no_delay();
                }
                Ok(Accepted { port: Self::Real(port), file: File::Own(accepted.fd), peer: accepted.peer })
            }
            Self::Simulated(id) => {
                let (id, peer) = world.simulated(py, |world| world.accept(id))?;
                let peer = if let Address::Internet(peer) = peer { Some(peer) } else { None };
                Ok(Accepted { port: Self::Simulated(id), file: File::Simulated(id), peer })
            }
        }
    }

    /// The internet address that the socket is bound to, if it has one.
    pub(crate) fn local_address(self, py: Python<'_>, world: &World) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Real(port) => port.local_address(),
            Self::Simulated(id) => {
                let name = world.simulated(py, |world| world.local_name(id))?;
                Ok(if let Address::Internet(address) = name { Some(address) } else { None })
            }
        }
    }

    /// What the socket is.
    pub(crate) fn socket_kind(self, py: Python<'_>, world: &World) -> io::Result<SocketKind> {
        match self {
            Self::Real(port) => port.socket_kind(),
            Self::Simulated(id) => {
                let (family, kind) = world.simulated(py, |world| world.kind(id))?;
                let is_stream = kind == SimulatedKind::Stream;
                let is_unix = is_stream && family == Family::Unix;
                Ok(SocketKind { is_stream, is_tcp: is_stream && !is_unix, is_unix })
            }
        }
    }
}

/// The error number of what a simulated socket refuses.
pub(crate) const fn errno(fault: Fault) -> i32 {
    match fault {
        Fault::WouldBlock => libc::EAGAIN,
        Fault::InProgress => libc::EINPROGRESS,
        Fault::Already => libc::EALREADY,
        Fault::BadSocket => libc::EBADF,
        Fault::Invalid => libc::EINVAL,
        Fault::NotSupported => libc::EOPNOTSUPP,
        Fault::AddressInUse => libc::EADDRINUSE,
        Fault::AddressNotAvailable => libc::EADDRNOTAVAIL,
        Fault::WrongFamily => libc::EAFNOSUPPORT,
        Fault::IsConnected => libc::EISCONN,
        Fault::NotConnected => libc::ENOTCONN,
        Fault::NoDestination => libc::EDESTADDRREQ,
        Fault::ConnectionRefused => libc::ECONNREFUSED,
        Fault::ConnectionReset => libc::ECONNRESET,
        Fault::BrokenPipe => libc::EPIPE,
        Fault::TimedOut => libc::ETIMEDOUT,
        Fault::HostUnreachable => libc::EHOSTUNREACH,
        Fault::MessageTooLong => libc::EMSGSIZE,
        Fault::NoSuchPath => libc::ENOENT,
    }
}

fn sender(from: Address) -> Sender {
    match from {
        Address::Internet(address) => Sender::Internet(address),
        Address::Path(mut path) if path.first() == Some(&0) => Sender::Abstract(path.split_off(1)),
        Address::Path(path) => Sender::Path(path),
        Address::Nameless => Sender::Nameless,
    }
}
