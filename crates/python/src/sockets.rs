//! Python's sockets inside a simulation.

use crate::event_loop::LoopCore;
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use soliloop_engine::world::sim::SocketId;

/// A Python socket for a simulated one.
pub(crate) fn object_of<'py>(_core: &Bound<'py, LoopCore>, _id: SocketId) -> PyResult<Bound<'py, PyAny>> {
    Err(PyNotImplementedError::new_err(()))
}
