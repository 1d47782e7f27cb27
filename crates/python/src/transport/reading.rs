//! The reading half of a stream transport: one read per event, and what it brought goes to the protocol.

use super::stream::{Direction, Phase, StreamTransport};
use super::{Received, is_transient};
use crate::error;
use crate::ffi::buffer::Writable;
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
        state.protocol.as_ref().filter(|_| is_wanted).map(|protocol| (protocol.clone_ref(py), state.is_buffered))
    });
    match reader {
        Some((protocol, false)) => receive(slf, protocol.bind(py)),
        Some((protocol, true)) => receive_into(slf, protocol.bind(py)),
        None => Ok(()),
    }
}

#[inline]
fn receive(slf: &Bound<'_, StreamTransport>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    match this.core.get().io.receive(py, this.port) {
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
    let count = buffer.fill(py, |memory| this.port.receive(memory));
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
        let told = this.tell(py, || protocol.call_method0(intern!(py, "eof_received")));
        StreamTransport::lose(slf, None)?;
        return told
            .map(drop)
            .or_else(|error| StreamTransport::report(slf, error, "protocol.eof_received() call failed."));
    }
    let told = this.tell(py, || protocol.call_method0(intern!(py, "eof_received"))?.is_truthy());
    match told {
        Err(error) => StreamTransport::fatal(slf, error, "Fatal error: protocol.eof_received() call failed."),
        // Half-closed: the end would be reported again and again.
        Ok(true) => StreamTransport::stop_reading(slf),
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
