//! Errors of the layers below as Python exceptions: the only place that maps them.

use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};
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
