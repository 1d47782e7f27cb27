//! Transports: bytes between endpoints and protocols (asyncio docs, "Transports and Protocols").
//!
//! | module | what |
//! |---|---|
//! | `stream` | `StreamTransport`, of sockets and pipes: states, closing, its table of contents |
//! | `reading` | what has come is given to the protocol |
//! | `writing` | what is written is sent, at the end of the turn |
//! | `state` | its states |
//! | `file` | what closes the descriptor |
//! | `datagram` | `DatagramTransport`, of datagram sockets |
//! | `peers` | the addresses that datagrams come from and go to |
//! | `common` | what both kinds report, and how they are described |
//! | `extra` | what a transport can be asked about its socket |
//! | `tls` | TLS over any of the streams |
//!
//! Ground rules. A transport's state is in one cell that is never in use across a call into Python; after such a call everything is
//! asked for again, since the protocol may have closed the transport meanwhile. The protocol's methods run in the transport's
//! context, whoever caused the call. What `write` is given waits in the transport until the turn ends ([`send_unsent`]), so that the peer is
//! woken once per turn; unless more waits than the high-water mark allows, or no turn will end because the loop doesn't run.

mod common;
pub(crate) mod datagram;
mod extra;
mod file;
pub(crate) use extra::{Addresses, Extra, address as address_object};
pub(crate) use file::File;
pub(crate) use state::{Beginning, Step};

mod peers;
mod reading;
mod state;
pub(crate) mod stream;
pub(crate) mod tls;
mod writing;

use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::port::Port;
use crate::world::World;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soliloop_engine::world::real::Sender;
use std::collections::VecDeque;
use std::io;
use stream::StreamTransport;

/// What the transports of one loop share.
pub(crate) struct Io {
    /// What is read goes through this; made when it is first needed, out of its place while it is used.
    buffer: GilCell<Option<Box<[u8]>>>,
    /// What is decrypted goes through this, in the same way.
    plain: GilCell<Option<Box<[u8]>>>,
    /// Transports that were written to in this turn.
    unsent: GilCell<VecDeque<Py<StreamTransport>>>,
}

/// What a read has brought.
pub(crate) enum Received<T> {
    Data(T),
    /// The peer will send nothing more.
    End,
    /// Nothing now.
    Nothing,
}

impl Io {
    pub(crate) const fn new() -> Self {
        Self { buffer: GilCell::new(None), plain: GilCell::new(None), unsent: GilCell::new(VecDeque::new()) }
    }

    /// Reads what has come.
    #[inline]
    fn receive<'py>(&self, py: Python<'py>, world: &World, port: Port) -> io::Result<Received<Bound<'py, PyBytes>>> {
        self.receive_by(py, |buffer| port.receive(py, world, buffer))
    }

    /// As [`Io::receive`], by a call that is given the buffer, of [`READ_SIZE`] bytes. It must not call into Python.
    #[inline]
    pub(crate) fn receive_by<'py>(
        &self,
        py: Python<'py>,
        receive: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Received<Bound<'py, PyBytes>>> {
        self.receive_as(py, receive, |data| PyBytes::new(py, data))
    }

    /// As [`Io::receive_by`], and gives what `take` makes of the data, where it is.
    #[inline]
    fn receive_as<T>(
        &self,
        py: Python<'_>,
        receive: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> io::Result<Received<T>> {
        let mut buffer = self.take_buffer(py);
        let received = match receive(&mut buffer) {
            Ok(0) => Ok(Received::End),
            Ok(count) => Ok(Received::Data(take(&buffer[..count]))),
            Err(error) if is_transient(&error) => Ok(Received::Nothing),
            Err(error) => Err(error),
        };
        drop(self.buffer.replace(py, Some(buffer)));
        received
    }

    /// Lends memory of [`READ_SIZE`] bytes for what is decrypted.
    #[inline]
    fn with_plain<R>(&self, py: Python<'_>, work: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut plain = self.plain.replace(py, None).unwrap_or_else(|| vec![0; READ_SIZE].into_boxed_slice());
        let result = work(&mut plain);
        drop(self.plain.replace(py, Some(plain)));
        result
    }

    /// Takes the next datagram, if there is one.
    #[inline]
    fn receive_from<'py>(
        &self,
        py: Python<'py>,
        world: &World,
        port: Port,
    ) -> io::Result<Option<(Bound<'py, PyBytes>, Sender)>> {
        let mut buffer = self.take_buffer(py);
        let received = match port.receive_from(py, world, &mut buffer) {
            Ok((count, sender)) => Ok(Some((PyBytes::new(py, &buffer[..count]), sender))),
            Err(error) if is_transient(&error) => Ok(None),
            Err(error) => Err(error),
        };
        drop(self.buffer.replace(py, Some(buffer)));
        received
    }

    #[inline]
    fn take_buffer(&self, py: Python<'_>) -> Box<[u8]> {
        self.buffer.replace(py, None).unwrap_or_else(|| vec![0; READ_SIZE].into_boxed_slice())
    }

    /// Lets go of every transport: the loop is closed.
    pub(crate) fn clear(&self, py: Python<'_>) {
        drop(self.unsent.replace(py, VecDeque::new()));
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.unsent.visit(|unsent| unsent.iter().try_for_each(|transport| visit.call(transport))).unwrap_or(Ok(()))
    }
}

/// Sends what was written in the turn that ends.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` of the protocols that are told, and what the exception handler itself raises.
#[inline]
pub(crate) fn send_unsent(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    // One by one: a protocol that is told may park its stack, and another one goes on here.
    while let Some(transport) = core.get().io.unsent.with(core.py(), VecDeque::pop_front) {
        let transport = transport.into_bound(core.py());
        StreamTransport::send_now(&transport).or_else(|error| error::contain(core, error, transport.as_any()))?;
    }
    Ok(())
}

/// Whether the same call may succeed later.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Bytes that one read takes at most: as asyncio.
pub(crate) const READ_SIZE: usize = 256 * 1024;
