//! `Channel`: the encrypted connection between what comes from the transport below and what the protocol reads and writes.
//!
//! Handshake and shutdown are calls of the `ssl.SSLObject`. Bytes go to OpenSSL directly ([`Connection`]) or, where that can't be reached, through
//! the object and two `ssl.MemoryBIO`: so also for an object of another class, which may have methods of its own, and where a context has callbacks
//! whose errors the object's methods would raise.

use super::Classes;
use crate::ffi::buffer::Writable;
use crate::ffi::openssl::{Connection, Outcome};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

pub(super) struct Channel {
    /// An `ssl.SSLObject`.
    object: Py<PyAny>,
    backend: Backend,
}

enum Backend {
    OpenSsl(Connection),
    /// Two `ssl.MemoryBIO`.
    Memory {
        incoming: Py<PyAny>,
        outgoing: Py<PyAny>,
    },
}

/// What a step of a handshake or a shutdown has come to.
pub(super) enum Progress {
    Done,
    /// The peer must say something first.
    Again,
}

/// Why no more was read.
pub(super) enum Rest {
    /// There is nothing more now.
    Nothing,
    /// There was no more room.
    More,
    /// The peer has ended its stream.
    End,
    Failed(PyErr),
}

impl Channel {
    /// A channel of an `ssl.SSLContext`.
    ///
    /// # Errors
    /// What `SSLContext.wrap_bio` raises.
    pub(super) fn new(
        context: &Bound<'_, PyAny>,
        is_server: bool,
        server_name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = context.py();
        let classes = Classes::get(py)?;
        let (incoming, outgoing) = (classes.memory_bio.bind(py).call0()?, classes.memory_bio.bind(py).call0()?);
        let options = PyDict::new(py);
        options.set_item(intern!(py, "server_side"), is_server)?;
        options.set_item(intern!(py, "server_hostname"), server_name)?;
        let object = context.call_method(intern!(py, "wrap_bio"), (&incoming, &outgoing), Some(&options))?;
        let calls_back = context.getattr_opt(intern!(py, "_msg_callback"))?.is_some_and(|callback| !callback.is_none());
        let is_plain = object.get_type().is(&classes.object) && !calls_back;
        let direct = if is_plain { Connection::of(&object)? } else { None };
        let backend = match direct {
            Some(connection) => Backend::OpenSsl(connection),
            None => Backend::Memory { incoming: incoming.unbind(), outgoing: outgoing.unbind() },
        };
        Ok(Self { object: object.unbind(), backend })
    }

    /// The `ssl.SSLObject`.
    pub(super) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }

    // ------------------------------------------------------------------ what comes from below

    /// Does `work`, which may read `input` behind what was kept before; keeps what it leaves.
    #[inline]
    pub(super) fn with_input<R>(&self, py: Python<'_>, input: &[u8], work: impl FnOnce() -> R) -> PyResult<R> {
        match &self.backend {
            Backend::OpenSsl(connection) => Ok(connection.with_input(py, input, work)),
            Backend::Memory { incoming, .. } => {
                incoming.bind(py).call_method1(intern!(py, "write"), (PyBytes::new(py, input),))?;
                Ok(work())
            }
        }
    }

    /// How many encrypted bytes wait to be read.
    pub(super) fn input_len(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.backend {
            Backend::OpenSsl(connection) => Ok(connection.input_len(py)),
            Backend::Memory { incoming, .. } => pending(incoming.bind(py)),
        }
    }

    /// Whether a read would bring nothing.
    #[inline]
    pub(super) fn is_drained(&self, py: Python<'_>) -> PyResult<bool> {
        match &self.backend {
            Backend::OpenSsl(connection) => Ok(connection.is_drained(py)),
            Backend::Memory { incoming, .. } => Ok(pending(incoming.bind(py))? == 0
                && self.object.bind(py).call_method0(intern!(py, "pending"))?.extract::<usize>()? == 0),
        }
    }

    // ------------------------------------------------------------------ what goes below

    /// How many encrypted bytes wait to be sent.
    #[inline]
    pub(super) fn output_len(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.backend {
            Backend::OpenSsl(connection) => Ok(connection.output_len(py)),
            Backend::Memory { outgoing, .. } => pending(outgoing.bind(py)),
        }
    }

    /// Takes the encrypted bytes that wait to be sent.
    #[inline]
    pub(super) fn take_output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match &self.backend {
            Backend::OpenSsl(connection) => Ok(connection.take_output(py)),
            Backend::Memory { outgoing, .. } => {
                Ok(outgoing.bind(py).call_method0(intern!(py, "read"))?.cast_into::<PyBytes>()?)
            }
        }
    }

    // ------------------------------------------------------------------ the protocol's bytes

    /// Reads and decrypts until `memory` is full or there is no more; gives the number of bytes.
    #[inline]
    pub(super) fn read(&self, py: Python<'_>, memory: &mut [u8]) -> (usize, Rest) {
        let room = memory.len();
        self.read_all(py, room, |filled| match &self.backend {
            Backend::OpenSsl(connection) => connection.read(py, &mut memory[filled..]),
            Backend::Memory { .. } => self.read_slowly(py, room - filled, |bytes| {
                memory[filled..filled + bytes.len()].copy_from_slice(bytes);
            }),
        })
    }

    /// As [`Channel::read`], to memory of the protocol's.
    pub(super) fn read_into(&self, py: Python<'_>, memory: &Writable) -> (usize, Rest) {
        let room = memory.len();
        self.read_all(py, room, |filled| match &self.backend {
            Backend::OpenSsl(connection) => connection.read_into(py, memory, filled),
            Backend::Memory { .. } => self.read_slowly(py, room - filled, |bytes| memory.put(py, filled, bytes)),
        })
    }

    #[inline]
    fn read_all(&self, py: Python<'_>, room: usize, mut read: impl FnMut(usize) -> Outcome) -> (usize, Rest) {
        let mut filled = 0;
        let rest = loop {
            match self.is_drained(py) {
                Ok(true) => break Rest::Nothing,
                Ok(false) if filled == room => break Rest::More,
                Ok(false) => {}
                Err(error) => break Rest::Failed(error),
            }
            match read(filled) {
                Outcome::Done(count) => filled += count,
                Outcome::Again => break Rest::Nothing,
                Outcome::End => break Rest::End,
                Outcome::Failed(error) => break Rest::Failed(error),
            }
        };
        (filled, rest)
    }

    fn read_slowly(&self, py: Python<'_>, room: usize, put: impl FnOnce(&[u8])) -> Outcome {
        let read = self.object.bind(py).call_method1(intern!(py, "read"), (room,));
        match read.and_then(|read| Ok(read.cast_into::<PyBytes>()?)) {
            Ok(bytes) if bytes.as_bytes().is_empty() => Outcome::End,
            Ok(bytes) => {
                put(bytes.as_bytes());
                Outcome::Done(bytes.as_bytes().len())
            }
            Err(error) => outcome(py, error),
        }
    }

    /// Encrypts `data`, of which it may take less than all.
    #[inline]
    pub(super) fn write(&self, py: Python<'_>, data: &[u8]) -> Outcome {
        match &self.backend {
            Backend::OpenSsl(connection) => connection.write(py, data),
            Backend::Memory { .. } => {
                let written = self.object.bind(py).call_method1(intern!(py, "write"), (PyBytes::new(py, data),));
                match written.and_then(|count| count.extract()) {
                    Ok(count) => Outcome::Done(count),
                    Err(error) => outcome(py, error),
                }
            }
        }
    }

    // ------------------------------------------------------------------ the beginning and the end

    /// Goes on with the handshake.
    ///
    /// # Errors
    /// Those of `SSLObject.do_handshake`.
    pub(super) fn shake_hands(&self, py: Python<'_>) -> PyResult<Progress> {
        step(self.object.bind(py).call_method0(intern!(py, "do_handshake")), py)
    }

    /// Goes on with the end of both streams.
    ///
    /// # Errors
    /// Those of `SSLObject.unwrap`.
    pub(super) fn shut_down(&self, py: Python<'_>) -> PyResult<Progress> {
        step(self.object.bind(py).call_method0(intern!(py, "unwrap")), py)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        match &self.backend {
            Backend::OpenSsl(connection) => connection.traverse(visit),
            Backend::Memory { incoming, outgoing } => {
                visit.call(incoming)?;
                visit.call(outgoing)
            }
        }
    }
}

fn step(called: PyResult<Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Progress> {
    match called {
        Ok(_) => Ok(Progress::Done),
        Err(error) if Classes::get(py)?.is_again(py, &error) => Ok(Progress::Again),
        Err(error) => Err(error),
    }
}

/// What an exception of an `SSLObject` says.
#[cold]
fn outcome(py: Python<'_>, error: PyErr) -> Outcome {
    match Classes::get(py) {
        Ok(classes) if classes.is_again(py, &error) => Outcome::Again,
        Ok(classes) if error.is_instance(py, classes.ended.bind(py)) => Outcome::End,
        Ok(_) => Outcome::Failed(error),
        Err(missing) => Outcome::Failed(missing),
    }
}

fn pending(memory_bio: &Bound<'_, PyAny>) -> PyResult<usize> {
    memory_bio.getattr(intern!(memory_bio.py(), "pending"))?.extract()
}
