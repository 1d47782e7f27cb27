//! Errors of the layers below as Python exceptions: the only place that maps them. And errors that come from another stack.

use crate::event_loop::LoopCore;
use crate::names::Names;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PySystemExit, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soliloop_engine::OutOfRange;
use std::io;

/// A time that is not a number.
pub(crate) fn out_of_range(error: OutOfRange) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An error of the operating system, with its number: Python makes the fitting subclass of `OSError` of it.
pub(crate) fn of_system(error: &io::Error) -> PyErr {
    let text = error.to_string();
    match error.raw_os_error() {
        // Rust adds the number to the text, and so would Python.
        Some(number) => PyOSError::new_err((number, text.split(" (os error").next().unwrap_or_default().to_owned())),
        None => PyOSError::new_err(text),
    }
}

/// Whether an error ends the run: nobody but the caller of the run may see it.
pub(crate) fn is_interrupt(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py)
}

/// Hands an error to the loop's exception handler.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit`, which end the run, and what the exception handler itself raises.
pub(crate) fn to_handler(core: &Bound<'_, LoopCore>, message: &str, error: PyErr) -> PyResult<()> {
    let py = core.py();
    if is_interrupt(py, &error) {
        return Err(error);
    }
    let details = PyDict::new(py);
    details.set_item(intern!(py, "message"), message)?;
    details.set_item(intern!(py, "exception"), error.into_value(py))?;
    core.call_method1(intern!(py, "call_exception_handler"), (details,)).map(drop)
}

/// The same for an error in work that the loop did for `source`: the run must go on.
///
/// # Errors
/// As [`to_handler`].
#[cold]
pub(crate) fn contain(core: &Bound<'_, LoopCore>, error: PyErr, source: &Bound<'_, PyAny>) -> PyResult<()> {
    to_handler(core, &format!("Error in the work of {}", source.repr()?), error)
}

/// Gives an error that was raised on another stack the context that it would have on this one: the exception that is being handled here.
///
/// # Errors
/// What reading or setting `__context__` fails with.
pub(crate) fn in_context(py: Python<'_>, error: PyErr) -> PyResult<PyErr> {
    let handled = Names::get(py)?.handled.bind(py).call0()?;
    if handled.is_none() {
        return Ok(error);
    }
    let raised = error.value(py).as_any();
    let oldest = oldest(raised)?;
    // Neither end may lead to the other already: a chain has no ring.
    if !oldest.is(&self::oldest(&handled)?) {
        oldest.setattr(intern!(py, "__context__"), handled)?;
    }
    Ok(error)
}

/// The end of an exception's chain of contexts; some link of it if the chain is a ring.
fn oldest<'py>(exception: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let name = intern!(exception.py(), "__context__");
    let (mut oldest, mut behind) = (exception.clone(), exception.clone());
    for steps in 1_usize.. {
        let before = oldest.getattr(name)?;
        if before.is_none() || before.is(&behind) {
            break;
        }
        oldest = before;
        // Half as fast: in a ring the fast one meets it from behind.
        if steps % 2 == 0 {
            behind = behind.getattr(name)?;
        }
    }
    Ok(oldest)
}
