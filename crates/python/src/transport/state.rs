//! The states of a stream transport.

use super::tls::TlsProtocol;
use super::{Extra, File};
use crate::port::Port;
use crate::streams::reader::StreamCore;
use crate::world::World;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use soliloop_engine::flow::Flow;
use std::time::{Duration, Instant};

/// Which ways the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Both,
    Read,
    Write,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    /// It was asked to close: what waits is still sent.
    Closing,
    /// The protocol is about to be told of the end.
    Losing,
    /// Nothing is left.
    Closed,
}

/// What a simulation that knows the real world waits for, while its clock stands still.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    None,
    Due,
    /// One that may not come.
    DueUntil(Instant),
}

/// For how long an answer is waited for that may not come: to a datagram, and from a server that may speak first.
const PATIENCE: Duration = Duration::from_secs(1);

impl Answer {
    /// One that may come from the real world.
    #[inline]
    pub(super) fn possible(world: &World, port: Port) -> Self {
        let is_from_outside = world.is_simulated() && matches!(port, Port::Real(_));
        if is_from_outside { Self::DueUntil(Instant::now() + PATIENCE) } else { Self::None }
    }

    pub(super) fn is_due(self) -> bool {
        match self {
            Self::None => false,
            Self::Due => true,
            Self::DueUntil(end) => Instant::now() < end,
        }
    }
}

/// Where what comes goes without a detour over Python.
#[derive(Default)]
pub(super) enum Link {
    /// Nowhere: it goes to the protocol.
    #[default]
    None,
    /// The protocol is asyncio's own of streams.
    Stream(Py<StreamCore>),
    Tls(Py<TlsProtocol>),
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The protocol is told of the beginning.
    Begin,
    /// The descriptor is ready.
    Ready,
    /// The protocol is told of the end.
    End,
}

#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other; the states are in `phase`")]
pub(super) struct State {
    pub(super) phase: Phase,
    /// `None` once it has been told of the end.
    pub(super) protocol: Option<Py<PyAny>>,
    pub(super) link: Link,
    /// Whether the protocol gives the buffers that are read into.
    pub(super) is_buffered: bool,
    pub(super) flow: Flow<PyBackedBytes>,
    /// The protocol has been told of the beginning: from now on it may be given data.
    pub(super) has_begun: bool,
    /// The protocol asked for a rest.
    pub(super) is_paused: bool,
    /// The peer has ended its half, and the protocol keeps the other one open.
    pub(super) is_at_end: bool,
    /// The end of the writing half was asked for.
    pub(super) is_ending: bool,
    /// Whether it is among the transports that were written to in this turn.
    pub(super) is_unsent: bool,
    pub(super) answer: Answer,
    /// What the loop watches for.
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// What has become ready, and whether a job is on its way.
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    pub(super) is_scheduled: bool,
    /// Writes after the connection was lost.
    pub(super) lost_writes: u32,
    pub(super) file: File,
    /// The server that accepted the connection.
    pub(super) server: Option<Py<PyAny>>,
    pub(super) rare: Option<Box<Rare>>,
}

/// What most transports never have.
#[derive(Default)]
pub(super) struct Rare {
    /// Done when the protocol has been told of the beginning.
    pub(super) waiter: Option<Py<PyAny>>,
    /// Done when nothing waits to be sent: for `sendfile`.
    pub(super) empty: Option<Py<PyAny>>,
    /// Why the connection is lost.
    pub(super) error: Option<Py<PyAny>>,
}

/// What a new transport is made of.
pub(crate) struct Beginning {
    pub(crate) protocol: Py<PyAny>,
    pub(crate) context: Py<PyAny>,
    pub(crate) extra: Extra,
    pub(crate) file: File,
    pub(crate) server: Option<Py<PyAny>>,
    pub(crate) waiter: Option<Py<PyAny>>,
}
