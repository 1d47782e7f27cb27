//! The command `soliloop check`, for Python. It converts arguments and results, no more.

use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the command: its exit status, and what it says to standard output and to standard error.
#[pyfunction]
pub(crate) fn _check(py: Python<'_>, arguments: Vec<OsString>) -> (u8, String, String) {
    let answer = py.detach(|| soliloop_cli::run(arguments));
    (answer.status, answer.output, answer.complaint)
}
