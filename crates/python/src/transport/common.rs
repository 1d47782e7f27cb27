//! What transports of streams and of datagrams have in common: what they report, and how they are described.
//!
//! These are functions of facts; the states are the transports' own.

use super::state::Phase;
use crate::error;
use crate::event_loop::LoopCore;
use crate::names::Names;
use pyo3::exceptions::{PyAttributeError, PyOSError, PyResourceWarning, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;

/// Who reports.
pub(super) struct Reporter<'a, 'py> {
    pub(super) core: &'a Bound<'py, LoopCore>,
    pub(super) transport: &'a Bound<'py, PyAny>,
    pub(super) protocol: Option<Bound<'py, PyAny>>,
}

impl<'py> Reporter<'_, 'py> {
    /// Tells the loop's exception handler.
    ///
    /// # Errors
    /// `error` itself, if it is one that ends the run.
    #[cold]
    pub(super) fn report(self, error: PyErr, message: &str) -> PyResult<()> {
        let py = self.core.py();
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        let details = PyDict::new(py);
        details.set_item(intern!(py, "message"), message)?;
        details.set_item(intern!(py, "exception"), error.into_value(py))?;
        details.set_item(intern!(py, "transport"), self.transport)?;
        details.set_item(intern!(py, "protocol"), self.protocol)?;
        self.core.call_method1(intern!(py, "call_exception_handler"), (details,)).map(drop)
    }

    /// Tells of a method of the protocol that has failed as callbacks do.
    ///
    /// # Errors
    /// As [`Reporter::report`].
    #[cold]
    pub(super) fn report_callback(
        self,
        error: PyErr,
        method: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let text = Names::get(self.core.py())?.format_callback_source.bind(self.core.py()).call1((method, args))?;
        self.report(error, &format!("Exception in callback {text}"))
    }

    /// Tells of an error that ends the transport: the exception handler, unless it is the system's, which networks are full of. Gives the
    /// exception, which is for the protocol.
    ///
    /// # Errors
    /// As [`Reporter::report`].
    #[cold]
    pub(super) fn report_fatal(self, error: PyErr, message: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = self.core.py();
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        let value = error.value(py).clone().into_any();
        if !error.is_instance_of::<PyOSError>(py) {
            self.report(error, message)?;
        } else if self.core.get().debug.load(Relaxed) {
            let options = PyDict::new(py);
            options.set_item(intern!(py, "exc_info"), &value)?;
            let arguments = ("%r: %s", self.transport, message);
            Names::get(py)?.logger.bind(py).call_method(intern!(py, "debug"), arguments, Some(&options))?;
        }
        Ok(value)
    }
}

/// A transport as `repr` writes it: `reads` and `writes` say whether the loop watches, and how many bytes wait; `None` for the half that it
/// does not have.
pub(super) fn describe(
    name: &str,
    fd: RawFd,
    phase: Phase,
    is_closed_loop: bool,
    reads: Option<bool>,
    writes: Option<(bool, usize)>,
) -> String {
    let polling = |watched| match watched {
        _ if is_closed_loop => "open",
        true => "polling",
        false => "idle",
    };
    let mut words = vec![name.to_owned()];
    match phase {
        Phase::Open => {}
        Phase::Closing | Phase::Losing => words.push("closing".to_owned()),
        Phase::Closed => words.push("closed".to_owned()),
    }
    words.push(format!("fd={fd}"));
    if phase != Phase::Closed {
        words.extend(reads.map(|watched| format!("read={}", polling(watched))));
        words.extend(writes.map(|(watched, size)| format!("write=<{}, bufsize={size}>", polling(watched))));
    }
    format!("<{}>", words.join(" "))
}

/// The water marks `(low, high)`, as asyncio reads them: one follows from the other, or the high one is `default`.
///
/// # Errors
/// `ValueError` if one is negative, or the low one above the high one.
pub(super) fn water_marks(high: Option<isize>, low: Option<isize>, default: isize) -> PyResult<(usize, usize)> {
    let high = high.unwrap_or_else(|| low.map_or(default, |low| low.saturating_mul(4)));
    let low = low.unwrap_or(high / 4);
    match (usize::try_from(low), usize::try_from(high)) {
        (Ok(marks_low), Ok(marks_high)) if marks_low <= marks_high => Ok((marks_low, marks_high)),
        _ => Err(PyValueError::new_err(format!("high ({high}) must be >= low ({low}) must be >= 0"))),
    }
}

/// Warns that nobody has closed a transport, and closes its file; in a destructor.
pub(super) fn close_unclosed(py: Python<'_>, fd: RawFd, size: usize, close: impl FnOnce() -> PyResult<()>) {
    let text = format!("unclosed transport <fd={fd} bufsize={size}>");
    close_with_warning(py, &CString::new(text).unwrap_or_default(), close);
}

/// As [`close_unclosed`], with the text of the warning.
pub(super) fn close_with_warning(py: Python<'_>, text: &CStr, close: impl FnOnce() -> PyResult<()>) {
    // It may die while an exception is on its way.
    let raised = PyErr::take(py);
    let warned = PyErr::warn(py, &py.get_type::<PyResourceWarning>(), text, 1);
    // The collector may have taken the file's object apart: that one closes the descriptor itself then.
    let closed =
        close().or_else(|error| if error.is_instance_of::<PyAttributeError>(py) { Ok(()) } else { Err(error) });
    for failed in [warned, closed].into_iter().filter_map(Result::err) {
        failed.write_unraisable(py, None);
    }
    if let Some(raised) = raised {
        raised.restore(py);
    }
}

/// Completes a future with `None`, unless it was cancelled.
pub(super) fn set_result(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if future.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        return Ok(());
    }
    future.call_method1(intern!(py, "set_result"), (py.None(),)).map(drop)
}

/// Fails a future that is not done.
pub(super) fn set_exception(future: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    future.call_method1(intern!(py, "set_exception"), (error,)).map(drop)
}

/// asyncio's `LOG_THRESHOLD_FOR_CONNLOST_WRITES`.
pub(super) const LOST_WRITES: u32 = 5;
/// asyncio's: 64 KiB.
pub(super) const DEFAULT_HIGH: isize = 64 * 1024;
