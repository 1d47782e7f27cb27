//! What closes a transport's descriptor.

use crate::world::World;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::world::sim::SocketId;
use std::os::fd::OwnedFd;

/// What closes the descriptor.
pub(crate) enum File {
    /// The `socket.socket` or the object of a pipe.
    Object(Py<PyAny>),
    /// Of a connection that was accepted here, as long as nobody has asked for its socket.
    Own(OwnedFd),
    /// Such a connection in a simulation.
    Simulated(SocketId),
    Closed,
}

impl File {
    /// Closes the descriptor.
    ///
    /// # Errors
    /// What the object's own `close()` raises.
    pub(super) fn close(self, py: Python<'_>, world: &World) -> PyResult<()> {
        match self {
            Self::Simulated(id) => {
                world.close_socket(py, id);
                Ok(())
            }
            Self::Object(file) => file.bind(py).call_method0(intern!(py, "close")).map(drop),
            Self::Own(_) | Self::Closed => Ok(()),
        }
    }
}
