//! The reading half of a stream transport: one read per event, and what it brought goes to the protocol.

use super::state::{Answer, Direction, Link, Phase};
use super::stream::StreamTransport;
use super::tls::reading::Caller;
use super::tls::{self, TlsProtocol};
use super::{Received, is_transient};
use crate::error;
use crate::ffi::buffer::Writable;
use crate::streams::reader::StreamCore;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

/// Something has come.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` of the protocol, and what the exception handler itself raises.
#[inline]
pub(super) fn on_readable(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    if this.direction == Direction::Write {
        return on_reader_gone(slf);
    }
    let reader = this.state.with(py, |state| {
        let is_wanted = state.phase == Phase::Open && !state.is_paused;
        state.answer = Answer::None;
        let protocol = state.protocol.as_ref().filter(|_| is_wanted)?;
        Some(match &state.link {
            Link::Stream(stream) => Reader::Stream(stream.clone_ref(py)),
            Link::Tls(tls) => Reader::Tls(tls.clone_ref(py)),
            Link::None if state.is_buffered => Reader::Buffered(protocol.clone_ref(py)),
            Link::None => Reader::Protocol(protocol.clone_ref(py)),
        })
    });
    match reader {
        Some(Reader::Stream(stream)) => receive_for(slf, stream.bind(py)),
        Some(Reader::Tls(tls)) => receive_encrypted(slf, tls.bind(py)),
        Some(Reader::Protocol(protocol)) => receive(slf, protocol.bind(py)),
        Some(Reader::Buffered(protocol)) => receive_into(slf, protocol.bind(py)),
        None => Ok(()),
    }
}

/// Who gets what has come.
enum Reader {
    Stream(Py<StreamCore>),
    Tls(Py<TlsProtocol>),
    Protocol(Py<PyAny>),
    Buffered(Py<PyAny>),
}

#[inline]
fn receive_for(slf: &Bound<'_, StreamTransport>, stream: &Bound<'_, StreamCore>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let core = this.core.get();
    match core.io.receive(py, &core.world, this.port) {
        Ok(Received::Data(data)) => StreamCore::receive(stream, data)
            .or_else(|error| StreamTransport::fatal(slf, error, "Fatal error: reading for a stream failed.")),
        Ok(Received::End) => match this.protocol(py) {
            Some(protocol) => on_end(slf, &protocol),
            None => Ok(()),
        },
        Ok(Received::Nothing) => Ok(()),
        Err(error) => on_error(slf, &error),
    }
}

#[inline]
fn receive_encrypted(slf: &Bound<'_, StreamTransport>, tls: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let (io, world) = (&this.core.get().io, &this.core.get().world);
    let received =
        io.receive_as(py, |buffer| this.port.receive(py, world, buffer), |data| tls::reading::take(tls, data));
    match received {
        Ok(Received::Data(decrypted)) => decrypted
            .and_then(|decrypted| tls::reading::proceed(tls, decrypted, Caller::Job))
            .or_else(|error| StreamTransport::fatal(slf, error, "Fatal error: protocol.data_received() call failed.")),
        Ok(Received::End) => on_end(slf, tls.as_any()),
        Ok(Received::Nothing) => Ok(()),
        Err(error) => on_error(slf, &error),
    }
}

#[inline]
fn receive(slf: &Bound<'_, StreamTransport>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let core = this.core.get();
    match core.io.receive(py, &core.world, this.port) {
        Ok(Received::Data(data)) => {
            match this.tell(py, || protocol.call_method1(intern!(py, "data_received"), (data,))) {
                Ok(_) => Ok(()),
                Err(error) => StreamTransport::fatal(slf, error, "Fatal error: protocol.data_received() call failed."),
            }
        }
        Ok(Received::End) => on_end(slf, protocol),
        Ok(Received::Nothing) => Ok(()),
        Err(error) => on_error(slf, &error),
    }
}

fn receive_into(slf: &Bound<'_, StreamTransport>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let buffer = this.tell(py, || {
        let buffer = Writable::of(&protocol.call_method1(intern!(py, "get_buffer"), (-1,))?)?;
        if buffer.is_empty() {
            return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
        }
        Ok(buffer)
    });
    let buffer = match buffer {
        Ok(buffer) => buffer,
        Err(error) => return StreamTransport::fatal(slf, error, "Fatal error: protocol.get_buffer() call failed."),
    };
    // The protocol may have closed the transport, or paused it.
    if !this.state.with(py, |state| state.phase == Phase::Open && !state.is_paused) {
        return Ok(());
    }
    let count = buffer.fill(py, |memory| this.port.receive(py, &this.core.get().world, memory));
    drop(buffer);
    match count {
        Ok(0) => on_end(slf, protocol),
        Ok(count) => match this.tell(py, || protocol.call_method1(intern!(py, "buffer_updated"), (count,))) {
            Ok(_) => Ok(()),
            Err(error) => StreamTransport::fatal(slf, error, "Fatal error: protocol.buffer_updated() call failed."),
        },
        Err(error) if is_transient(&error) => Ok(()),
        Err(error) => on_error(slf, &error),
    }
}

/// The peer will send nothing more.
#[cold]
fn on_end(slf: &Bound<'_, StreamTransport>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    if this.direction == Direction::Read {
        // A pipe has no other half that could stay open.
        StreamTransport::lose(slf, None)?;
        return this
            .tell(py, || protocol.call_method0(intern!(py, "eof_received")))
            .map(drop)
            .or_else(|error| StreamTransport::report(slf, error, "protocol.eof_received() call failed."));
    }
    // The end would be reported again and again, also while the protocol is told.
    StreamTransport::stop_reading(slf)?;
    let told = this.tell(py, || protocol.call_method0(intern!(py, "eof_received"))?.is_truthy());
    match told {
        Err(error) => StreamTransport::fatal(slf, error, "Fatal error: protocol.eof_received() call failed."),
        // Half-closed.
        Ok(true) => Ok(()),
        Ok(false) => slf.call_method0(intern!(py, "close")).map(drop),
    }
}

#[cold]
fn on_error(slf: &Bound<'_, StreamTransport>, error: &std::io::Error) -> PyResult<()> {
    let message = match slf.get().direction {
        Direction::Both => "Fatal read error on socket transport",
        Direction::Read | Direction::Write => "Fatal read error on pipe transport",
    };
    StreamTransport::fatal(slf, error::of_system(error), message)
}

/// The writing end of a pipe is readable when its reader is gone.
#[cold]
fn on_reader_gone(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = slf.py();
    let is_empty = slf.get().state.with(py, |state| state.flow.is_empty());
    if is_empty {
        return StreamTransport::lose(slf, None);
    }
    let error = pyo3::exceptions::PyBrokenPipeError::new_err(());
    StreamTransport::lose(slf, Some(error.value(py).as_any()))
}
