//! The reading half of TLS: what has come is decrypted and given to the protocol above.

use super::channel::Rest;
use super::protocol::TlsProtocol;
use super::state::Stage;
use super::writing;
use crate::error;
use crate::ffi::buffer::Writable;
use crate::streams::reader::StreamCore;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soliloop_engine::flow::Advice;

/// What was decrypted, and why no more was.
pub(crate) struct Decrypted<'py> {
    data: Option<Bound<'py, PyBytes>>,
    rest: Rest,
}

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A job of the transport below: no task is running.
    Job,
    Anybody,
}

/// Takes what has come from below: decrypts it where it is, if it can be given to the protocol now, and keeps it otherwise.
pub(crate) fn take<'py>(slf: &Bound<'py, TlsProtocol>, input: &[u8]) -> PyResult<Option<Decrypted<'py>>> {
    let (py, this) = (slf.py(), slf.get());
    let is_wanted =
        this.state.with(py, |state| state.stage == Stage::Wrapped && state.is_reading() && !state.is_buffered);
    this.channel.with_input(py, input, || is_wanted.then(|| decrypt(slf)))
}

/// Goes on after something has come: gives the protocol what was decrypted, or goes on with the handshake or the shutdown.
///
/// # Errors
/// Those of the protocol's `connection_made`; `KeyboardInterrupt` and `SystemExit` of its other methods, and what the exception handler itself raises.
pub(crate) fn proceed<'py>(
    slf: &Bound<'py, TlsProtocol>,
    decrypted: Option<Decrypted<'py>>,
    caller: Caller,
) -> PyResult<()> {
    match slf.get().stage(slf.py()) {
        Stage::Unwrapped => Ok(()),
        Stage::Handshaking => TlsProtocol::shake_hands(slf),
        Stage::Wrapped => read(slf, decrypted, caller),
        Stage::Flushing => TlsProtocol::finish_flushing(slf),
        Stage::Shutdown => TlsProtocol::shut_down(slf),
    }
}

/// Gives the protocol what can be read.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` of the protocol, and what the exception handler itself raises.
pub(super) fn read<'py>(
    slf: &Bound<'py, TlsProtocol>,
    decrypted: Option<Decrypted<'py>>,
    caller: Caller,
) -> PyResult<()> {
    let delivered = deliver(slf, decrypted, caller);
    if delivered.as_ref().is_err_and(|error| error::is_interrupt(slf.py(), error)) {
        // The run ends, and the connection does not: what is here already is for the next run.
        TlsProtocol::go_on_soon(slf)?;
        return delivered;
    }
    delivered
        .and_then(|()| writing::encrypt(slf))
        .and_then(|()| control(slf))
        .or_else(|error| TlsProtocol::fatal(slf, error, "Fatal error on SSL protocol"))
}

/// Gives the protocol what can be read, until it is paused or closed; in buffers of its own some at a time, unless these are the last.
fn deliver<'py>(slf: &Bound<'py, TlsProtocol>, mut decrypted: Option<Decrypted<'py>>, caller: Caller) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let mut buffers = 0;
    loop {
        let rest = if let Some(Decrypted { data, rest }) = decrypted.take() {
            if let Some(data) = data {
                hand_over(slf, data, caller)?;
            }
            rest
        } else {
            let (is_reading, is_buffered) = this.state.with(py, |state| (state.is_reading(), state.is_buffered));
            if !is_reading || this.channel.is_drained(py)? {
                return Ok(());
            }
            if is_buffered && buffers >= MAX_BUFFERS && this.stage(py) == Stage::Wrapped {
                return TlsProtocol::go_on_soon(slf);
            } else if is_buffered {
                buffers += 1;
                fill(slf)?
            } else {
                decrypted = Some(decrypt(slf));
                continue;
            }
        };
        match rest {
            Rest::Nothing => return Ok(()),
            Rest::More => {}
            Rest::End => {
                TlsProtocol::tell_end_of_stream(slf)?;
                return TlsProtocol::begin_shutdown(slf);
            }
            Rest::Failed(error) => return Err(error),
        }
    }
}

/// Decrypts what has come, as much as one read takes.
fn decrypt<'py>(slf: &Bound<'py, TlsProtocol>) -> Decrypted<'py> {
    let (py, this) = (slf.py(), slf.get());
    this.core.get().io.with_plain(py, |memory| {
        let (count, rest) = this.channel.read(py, memory);
        Decrypted { data: (count > 0).then(|| PyBytes::new(py, &memory[..count])), rest }
    })
}

fn hand_over<'py>(slf: &Bound<'py, TlsProtocol>, data: Bound<'py, PyBytes>, caller: Caller) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let (stream, protocol) = this.state.with(py, |state| {
        let stream = state.stream.as_ref().map(|stream| stream.clone_ref(py));
        (stream, state.protocol.as_ref().map(|protocol| protocol.clone_ref(py)))
    });
    match (stream, protocol) {
        (Some(stream), _) if caller == Caller::Job => StreamCore::receive(stream.bind(py), data),
        (Some(stream), _) => StreamCore::feed(stream.bind(py), data.as_any()),
        (None, Some(protocol)) => {
            let protocol = protocol.bind(py);
            this.tell(py, || protocol.call_method1(intern!(py, "data_received"), (data,))).map(drop)
        }
        (None, None) => Ok(()),
    }
}

/// Decrypts to a buffer of the protocol's.
fn fill(slf: &Bound<'_, TlsProtocol>) -> PyResult<Rest> {
    let (py, this) = (slf.py(), slf.get());
    let Some(protocol) = this.protocol(py) else { return Ok(Rest::Nothing) };
    let hint = this.channel.input_len(py)?;
    let buffer = this.tell(py, || Writable::of(&protocol.call_method1(intern!(py, "get_buffer"), (hint,))?))?;
    if buffer.is_empty() {
        return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
    }
    // The protocol may have closed the transport, or paused it.
    if !this.state.with(py, |state| state.is_reading()) {
        return Ok(Rest::Nothing);
    }
    let (count, rest) = this.channel.read_into(py, &buffer);
    drop(buffer);
    if count > 0 {
        this.tell(py, || protocol.call_method1(intern!(py, "buffer_updated"), (count,)))?;
    }
    Ok(rest)
}

/// Reads what has come, and drops it. The transport below goes on if it was paused because of that.
///
/// # Errors
/// `ssl.SSLError`, and those of [`TlsProtocol::tell_end_of_stream`].
pub(super) fn discard(slf: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    loop {
        match decrypt(slf).rest {
            Rest::Nothing => return control(slf),
            Rest::More => {}
            Rest::End => return TlsProtocol::tell_end_of_stream(slf),
            Rest::Failed(error) => return Err(error),
        }
    }
}

/// Asks the transport below to pause or to go on, if it is time to.
pub(super) fn control(slf: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let waiting = this.channel.input_len(py)?;
    let advice = this.state.with(py, |state| state.input_marks.advise(waiting));
    let method = match advice {
        Advice::None => return Ok(()),
        Advice::Pause => intern!(py, "pause_reading"),
        Advice::Resume => intern!(py, "resume_reading"),
    };
    this.lower(py).map_or(Ok(()), |lower| lower.call_method0(method).map(drop))
}

/// Buffers of a protocol that are filled in one go: they may be small, and others want to run.
const MAX_BUFFERS: usize = 64;
