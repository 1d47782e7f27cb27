//! The module `soliloop._checker`: the command `soliloop check`, for Python. It converts arguments and results, no more.
//!
//! It stands beside `soliloop._soliloop` in one library, and needs nothing of it: to import that one is to import asyncio.

use pyo3::prelude::*;
use std::ffi::OsString;

#[pymodule(gil_used = false)]
fn _checker(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run, module)?)
}

/// Runs the command: its exit status, and what it says to standard output and to standard error.
/// Its output has colours if a terminal shows it.
#[pyfunction]
fn run(py: Python<'_>, arguments: Vec<OsString>, is_terminal: bool) -> (u8, String, String) {
    let answer = py.detach(|| soliloop_cli::run(arguments, is_terminal));
    (answer.status, answer.output, answer.complaint)
}
