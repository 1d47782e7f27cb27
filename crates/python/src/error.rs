//! Errors of the layers below as Python exceptions: the only place that maps them.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;
use soliloop_engine::OutOfRange;

/// A time that is not a number.
pub(crate) fn out_of_range(error: OutOfRange) -> PyErr {
    PyValueError::new_err(error.to_string())
}
