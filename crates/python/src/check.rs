//! The command `soliloop check`, for Python. It converts arguments and results, no more.

use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the command: its exit status, and what it says to standard output and to standard error.
/// Its output has colours if a terminal shows it.
#[pyfunction]
pub(crate) fn _check(py: Python<'_>, arguments: Vec<OsString>, is_terminal: bool) -> (u8, String, String) {
    let answer = py.detach(|| soliloop_cli::run(arguments, is_terminal));
    (answer.status, answer.output, answer.complaint)
}
