//! What closes a transport's descriptor.

use pyo3::intern;
use pyo3::prelude::*;
use std::os::fd::OwnedFd;

/// What closes the descriptor.
pub(crate) enum File {
    /// The `socket.socket` or the object of a pipe.
    Object(Py<PyAny>),
    /// Of a connection that was accepted here, as long as nobody has asked for its socket.
    Own(OwnedFd),
    Closed,
}

impl File {
    /// Closes the descriptor.
    ///
    /// # Errors
    /// What the object's own `close()` raises.
    pub(super) fn close(self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Object(file) => file.bind(py).call_method0(intern!(py, "close")).map(drop),
            Self::Own(_) | Self::Closed => Ok(()),
        }
    }
}
