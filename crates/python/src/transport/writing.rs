//! The writing half of a stream transport: what waits is sent when the turn ends, and the protocol is asked to pause when too much waits.

use super::common::{DEFAULT_HIGH, LOST_WRITES, set_exception, set_result, water_marks};
use super::is_transient;
use super::state::{Answer, Direction, Phase};
use super::stream::StreamTransport;
use crate::error;
use crate::names::Names;
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use soliloop_engine::flow::{Advice, Flow};
use std::io::{self, IoSlice};

/// What became of a `write`.
enum Taken {
    /// It waits for the end of the turn.
    Waits,
    /// The system takes nothing now.
    WaitsForPeer,
    /// It waits, and must not wait any longer.
    Urgent,
    /// The connection is gone: counted.
    Lost(u32),
    Ended,
    SendsFile,
}

/// Takes data to send.
///
/// # Errors
/// `TypeError` for what is not bytes-like; `RuntimeError` after `write_eof` and during `sendfile`; and what the protocol's `pause_writing`
/// raises, if it ends the run.
#[inline]
pub(super) fn write(slf: &Bound<'_, StreamTransport>, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    if this.direction == Direction::Read {
        return Err(PyNotImplementedError::new_err("the reading end of a pipe can't be written to"));
    }
    let chunk = chunk(data)?;
    if chunk.is_empty() {
        return Ok(());
    }
    let is_running = this.core.get().is_running();
    let mut is_new = false;
    let taken = this.state.with(py, |state| {
        if state.is_ending {
            return Taken::Ended;
        }
        if state.rare.as_ref().is_some_and(|rare| rare.empty.is_some()) {
            return Taken::SendsFile;
        }
        // The writing end of a pipe that was asked to close takes nothing more.
        let last = if this.direction == Direction::Write { Phase::Open } else { Phase::Closing };
        if state.phase > last {
            state.lost_writes += 1;
            return Taken::Lost(state.lost_writes);
        }
        let is_first = state.flow.is_empty();
        state.flow.push(chunk);
        if !is_first && !state.is_unsent {
            return Taken::WaitsForPeer;
        }
        if state.flow.len() >= LARGE || state.flow.is_above_high() || !is_running {
            state.is_unsent = false;
            return Taken::Urgent;
        }
        is_new = !std::mem::replace(&mut state.is_unsent, true);
        Taken::Waits
    });
    match taken {
        Taken::Waits if is_new => {
            let transport = slf.clone().unbind();
            this.core.get().io.unsent.with(py, |unsent| unsent.push_back(transport));
            Ok(())
        }
        Taken::Waits => Ok(()),
        Taken::WaitsForPeer => follow_advice(slf),
        Taken::Urgent => send(slf),
        Taken::Ended => Err(PyRuntimeError::new_err("Cannot call write() after write_eof()")),
        Taken::SendsFile => Err(PyRuntimeError::new_err("unable to write; sendfile is in progress")),
        Taken::Lost(count) => warn_of_lost(slf, count),
    }
}

/// Data as a chunk that nobody will change.
#[inline]
pub(super) fn chunk(data: &Bound<'_, PyAny>) -> PyResult<PyBackedBytes> {
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        return Ok(bytes.clone().into());
    }
    if let Ok(bytes) = data.cast::<PyByteArray>() {
        return Ok(bytes.clone().into());
    }
    if data.is_instance_of::<PyMemoryView>() || data.is_instance_of::<PyBytes>() {
        let copy = data.py().get_type::<PyBytes>().call1((data,))?;
        return Ok(copy.cast_into::<PyBytes>()?.into());
    }
    let name = data.get_type().name()?;
    Err(PyTypeError::new_err(format!("data argument must be a bytes-like object, not {}", name.repr()?)))
}

/// Sends what was written in this turn, if anything was.
#[inline]
pub(super) fn send_if_unsent(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let is_unsent =
        slf.get().state.with(slf.py(), |state| std::mem::take(&mut state.is_unsent) && !state.flow.is_empty());
    if is_unsent { send(slf) } else { Ok(()) }
}

/// Sends as much of what waits as the system takes; the rest when it takes more.
pub(super) fn send(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let sent = this.state.with(py, |state| {
        state.answer = if state.server.is_none() { Answer::Due } else { Answer::None };
        let sent = transmit(&mut state.flow, |pieces| this.port.transmit(py, &this.core.get().world, pieces));
        sent.map(|()| state.flow.is_empty())
    });
    match sent {
        Ok(is_empty) => {
            StreamTransport::watch(slf)?;
            if is_empty {
                on_all_sent(slf)?;
            }
            follow_advice(slf)
        }
        Err(error) => on_error(slf, &error),
    }
}

/// Hands the pieces to `transmit` until it takes no more.
fn transmit<C: AsRef<[u8]>>(
    flow: &mut Flow<C>,
    mut transmit: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<()> {
    while !flow.is_empty() {
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let mut count = 0;
        for (slot, piece) in slices.iter_mut().zip(flow.pieces()) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        match transmit(&slices[..count]) {
            Ok(sent) => {
                flow.consume(sent);
                if sent < offered {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_transient(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Nothing waits any more.
#[inline]
fn on_all_sent(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let (phase, is_ending, empty) = this.state.with(py, |state| {
        let empty = state.rare.as_ref().and_then(|rare| rare.empty.as_ref()).map(|empty| empty.clone_ref(py));
        (state.phase, state.is_ending, empty)
    });
    if let Some(empty) = empty {
        set_result(empty.bind(py))?;
    }
    if phase == Phase::Closing {
        StreamTransport::lose(slf, None)?;
    } else if is_ending && let Err(error) = this.port.shutdown_writing(py, &this.core.get().world) {
        return on_error(slf, &error);
    }
    Ok(())
}

#[cold]
fn on_error(slf: &Bound<'_, StreamTransport>, error: &io::Error) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let error = error::of_system(error);
    let empty = this.state.with(py, |state| {
        state.flow.clear();
        state.rare.as_ref().and_then(|rare| rare.empty.as_ref()).map(|empty| empty.clone_ref(py))
    });
    if let Some(empty) = empty {
        set_exception(empty.bind(py), error.value(py).as_any())?;
    }
    let message = match this.direction {
        Direction::Both => "Fatal write error on socket transport",
        Direction::Read | Direction::Write => "Fatal write error on pipe transport",
    };
    StreamTransport::fatal(slf, error, message)
}

/// Asks the protocol to pause or to go on, if it is time to.
#[inline]
fn follow_advice(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    let advice =
        this.state.with(py, |state| if state.phase < Phase::Losing { state.flow.advise() } else { Advice::None });
    let (method, message) = match advice {
        Advice::None => return Ok(()),
        Advice::Pause => (intern!(py, "pause_writing"), "protocol.pause_writing() failed"),
        Advice::Resume => (intern!(py, "resume_writing"), "protocol.resume_writing() failed"),
    };
    let Some(protocol) = this.protocol(py) else { return Ok(()) };
    match this.tell(py, || protocol.call_method0(method)) {
        Ok(_) => Ok(()),
        Err(error) => StreamTransport::report(slf, error, message),
    }
}

/// Ends the writing half when what waits is sent.
pub(super) fn end(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, this) = (slf.py(), slf.get());
    send_if_unsent(slf)?;
    let is_due = this.state.with(py, |state| {
        if state.phase > Phase::Open || std::mem::replace(&mut state.is_ending, true) {
            return false;
        }
        state.flow.is_empty()
    });
    if is_due && let Err(error) = this.port.shutdown_writing(py, &this.core.get().world) {
        return Err(error::of_system(&error));
    }
    Ok(())
}

/// Sets the water marks.
pub(super) fn set_limits(slf: &Bound<'_, StreamTransport>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
    let (low, high) = water_marks(high, low, DEFAULT_HIGH)?;
    slf.get().state.with(slf.py(), |state| state.flow.set_limits(low, high));
    follow_advice(slf)
}

#[cold]
fn warn_of_lost(slf: &Bound<'_, StreamTransport>, count: u32) -> PyResult<()> {
    if count < LOST_WRITES {
        return Ok(());
    }
    let text = match slf.get().direction {
        Direction::Both => "socket.send() raised exception.",
        Direction::Read | Direction::Write => "pipe closed by peer or os.write(pipe, data) raised exception.",
    };
    let py = slf.py();
    Names::get(py)?.logger.bind(py).call_method1(intern!(py, "warning"), (text,)).map(drop)
}

/// Bytes that do not wait for the end of the turn: to wake the peer is cheap beside what they take, and waiting would push them out of
/// the cache.
const LARGE: usize = 16 * 1024;
/// Chunks that one system call sends.
const MAX_PIECES: usize = 64;
