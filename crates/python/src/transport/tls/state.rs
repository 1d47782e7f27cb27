//! The states of TLS over a stream.

use super::transport::TlsTransport;
use crate::port::Port;
use crate::streams::reader::StreamCore;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use soliloop_engine::flow::Marks;
use std::collections::VecDeque;

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the beginning and after the end.
    Unwrapped,
    Handshaking,
    Wrapped,
    /// One of both streams has ended, or is to: what was written goes out.
    Flushing,
    /// The end of our stream was announced.
    Shutdown,
}

/// What the protocol above was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Beginning,
    EndOfStream,
    Lost,
}

#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other; the states are in `stage`")]
pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) told: Told,
    /// The protocol above; `None` once it has been told of the end.
    pub(super) protocol: Option<Py<PyAny>>,
    /// Where what comes goes, if the protocol is asyncio's own of streams.
    pub(super) stream: Option<Py<StreamCore>>,
    /// Whether the protocol gives the buffers that are read into.
    pub(super) is_buffered: bool,
    /// The transport below; it is still asked about its socket when the connection is lost.
    pub(super) lower: Option<Py<PyAny>>,
    /// That of the transport below, if it is one of ours.
    pub(super) port: Option<Port>,
    /// The transport above; `None` once the connection is lost.
    pub(super) transport: Option<Py<TlsTransport>>,
    /// What was written and is not encrypted yet.
    pub(super) backlog: Backlog,
    /// When the protocol above is to pause writing, and the transport below to pause reading.
    pub(super) marks: Marks,
    pub(super) input_marks: Marks,
    /// The transport below takes no more for now.
    pub(super) is_lower_full: bool,
    /// The protocol above asked for a rest.
    pub(super) is_paused: bool,
    /// The stream below has ended.
    pub(super) is_at_end: bool,
    /// The end was asked for: nothing is delivered any more.
    pub(super) is_closing: bool,
    pub(super) lost_writes: u32,
    /// Done when the handshake is.
    pub(super) waiter: Option<Py<PyAny>>,
    /// The handshake is through.
    pub(super) is_established: bool,
    /// The peer's certificate, as it was then.
    pub(super) certificate: Option<Py<PyAny>>,
    /// The time limit of the handshake, and then of the shutdown.
    pub(super) timer: Option<Py<PyAny>>,
}

impl State {
    /// Whether the protocol is to be given what comes.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self.stage, Stage::Wrapped | Stage::Flushing) && !self.is_paused && !self.is_closing
    }

    /// Whether what was written is to be encrypted.
    pub(super) const fn is_sending(&self) -> bool {
        matches!(self.stage, Stage::Wrapped | Stage::Flushing)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.protocol)?;
        visit.call(&self.stream)?;
        visit.call(&self.lower)?;
        visit.call(&self.transport)?;
        visit.call(&self.waiter)?;
        visit.call(&self.certificate)?;
        visit.call(&self.timer)
    }
}

/// What was written and is not encrypted yet.
#[derive(Default)]
pub(super) struct Backlog {
    chunks: VecDeque<PyBackedBytes>,
    /// How much of the first chunk is encrypted.
    done: usize,
    len: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, chunk: PyBackedBytes) {
        if !chunk.is_empty() {
            self.len += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    pub(super) fn clear(&mut self) -> Self {
        std::mem::take(self)
    }

    /// The number of bytes.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The first chunk, and how much of it is done.
    pub(super) fn first(&self, py: Python<'_>) -> Option<(PyBackedBytes, usize)> {
        Some((self.chunks.front()?.clone_ref(py), self.done))
    }

    /// So many bytes of the first chunk were encrypted, unless all was given up meanwhile. Gives the chunk back when it is through: it is for the
    /// caller to drop.
    #[must_use]
    pub(super) fn advance(&mut self, count: usize) -> Option<PyBackedBytes> {
        let length = self.chunks.front()?.len();
        self.done += count;
        self.len -= count;
        if self.done < length {
            return None;
        }
        self.done = 0;
        self.chunks.pop_front()
    }
}
