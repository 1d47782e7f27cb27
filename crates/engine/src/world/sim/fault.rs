//! What a simulated socket refuses, as a system would: one variant for each error number that a caller can cause.

use std::fmt;

/// Why a call of a simulated socket has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing now: it may succeed later (`EAGAIN`).
    WouldBlock,
    /// The connection is being made (`EINPROGRESS`).
    InProgress,
    /// It is being made already (`EALREADY`).
    Already,
    /// No socket of that number: it was closed, or its host has crashed (`EBADF`).
    BadSocket,
    /// The call makes no sense in this state (`EINVAL`).
    Invalid,
    /// The call is not for sockets of this kind (`EOPNOTSUPP`).
    NotSupported,
    /// Another socket has the address (`EADDRINUSE`).
    AddressInUse,
    /// The host has no such address (`EADDRNOTAVAIL`).
    AddressNotAvailable,
    /// The address is of another family (`EAFNOSUPPORT`).
    WrongFamily,
    /// There is a connection already (`EISCONN`).
    IsConnected,
    /// There is none (`ENOTCONN`).
    NotConnected,
    /// A datagram socket that is not connected needs to be told where to (`EDESTADDRREQ`).
    NoDestination,
    /// Nobody listens there (`ECONNREFUSED`).
    ConnectionRefused,
    /// The peer is gone (`ECONNRESET`).
    ConnectionReset,
    /// The writing half has ended (`EPIPE`).
    BrokenPipe,
    /// The peer did not answer for too long (`ETIMEDOUT`).
    TimedOut,
    /// No host has the address (`EHOSTUNREACH`).
    HostUnreachable,
    /// The datagram is too long (`EMSGSIZE`).
    MessageTooLong,
    /// There is no such path (`ENOENT`).
    NoSuchPath,
}

/// What a call of a simulated socket gives.
pub type Result<T> = std::result::Result<T, Fault>;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WouldBlock => "nothing now",
            Self::InProgress => "the connection is being made",
            Self::Already => "the connection is being made already",
            Self::BadSocket => "no such socket",
            Self::Invalid => "invalid in this state",
            Self::NotSupported => "not supported by this kind of socket",
            Self::AddressInUse => "the address is in use",
            Self::AddressNotAvailable => "the host has no such address",
            Self::WrongFamily => "an address of another family",
            Self::IsConnected => "connected already",
            Self::NotConnected => "not connected",
            Self::NoDestination => "no destination",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionReset => "connection reset by the peer",
            Self::BrokenPipe => "the writing half has ended",
            Self::TimedOut => "the peer did not answer",
            Self::HostUnreachable => "no host has the address",
            Self::MessageTooLong => "the datagram is too long",
            Self::NoSuchPath => "no such path",
        })
    }
}

impl std::error::Error for Fault {}
