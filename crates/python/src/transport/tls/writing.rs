//! The writing half of TLS: what is written is encrypted at once, and given to the transport below, unless that one takes no more.

use super::protocol::TlsProtocol;
use super::state::{Stage, State};
use crate::ffi::openssl::Outcome;
use crate::names::Names;
use crate::transport::common::LOST_WRITES;
use crate::transport::stream::StreamTransport;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use soliloop_engine::flow::Advice;

/// Takes a chunk to send.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` of the protocol, and what the exception handler itself raises.
pub(super) fn write(slf: &Bound<'_, TlsProtocol>, chunk: PyBackedBytes) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let (stage, lost) = this.state.with(py, |state| {
        if matches!(state.stage, Stage::Handshaking | Stage::Wrapped) {
            state.backlog.push(chunk);
        } else {
            state.lost_writes += 1;
        }
        (state.stage, state.lost_writes)
    });
    match stage {
        Stage::Handshaking => control(slf),
        Stage::Wrapped => encrypt(slf).or_else(|error| TlsProtocol::fatal(slf, error, "Fatal error on SSL protocol")),
        _ if lost > LOST_WRITES => {
            let text = "SSL connection is closed";
            Names::get(py)?.logger.bind(py).call_method1(intern!(py, "warning"), (text,)).map(drop)
        }
        _ => Ok(()),
    }
}

/// Encrypts what was written, and gives it to the transport below.
///
/// # Errors
/// `ssl.SSLError`, and those of [`flush`].
pub(super) fn encrypt(slf: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let next = |state: &mut State| if state.is_sending() { state.backlog.first(py) } else { None };
    while let Some((chunk, done)) = this.state.with(py, next) {
        match this.channel.write(py, &chunk[done..]) {
            Outcome::Done(count) => drop(this.state.with(py, |state| state.backlog.advance(count))),
            // The end of the peer's stream, which a renegotiation may meet here, is for the reader to find.
            Outcome::Again | Outcome::End => break,
            Outcome::Failed(error) => return Err(error),
        }
    }
    flush(slf)
}

/// Gives what is encrypted to the transport below, if that one takes it.
///
/// # Errors
/// Those of the transport's `write`; `KeyboardInterrupt` and `SystemExit` of the protocol above, and what the exception handler itself raises.
pub(super) fn flush(slf: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    if slf.get().state.with(slf.py(), |state| !state.is_lower_full) {
        flush_in_any_case(slf)?;
    }
    control(slf)
}

/// As [`flush`], also if the transport below would rather wait.
pub(super) fn flush_in_any_case(slf: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    if this.channel.output_len(py)? == 0 {
        return Ok(());
    }
    let output = this.channel.take_output(py)?;
    match this.lower(py) {
        Some(lower) => write_to(&lower, output),
        None => Ok(()),
    }
}

fn write_to(lower: &Bound<'_, PyAny>, output: Bound<'_, PyBytes>) -> PyResult<()> {
    match lower.cast_exact::<StreamTransport>() {
        Ok(stream) => StreamTransport::write(stream, output.as_any()),
        Err(_) => lower.call_method1(intern!(lower.py(), "write"), (output,)).map(drop),
    }
}

/// Asks the protocol to pause or to go on, if it is time to.
pub(super) fn control(slf: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let waiting = this.waiting_len(py)?;
    let advice = this.state.with(py, |state| state.marks.advise(waiting));
    let (method, message) = match advice {
        Advice::None => return Ok(()),
        Advice::Pause => (intern!(py, "pause_writing"), "protocol.pause_writing() failed"),
        Advice::Resume => (intern!(py, "resume_writing"), "protocol.resume_writing() failed"),
    };
    let Some(protocol) = this.protocol(py) else { return Ok(()) };
    this.tell(py, || protocol.call_method0(method)).map(drop).or_else(|error| TlsProtocol::report(slf, error, message))
}
