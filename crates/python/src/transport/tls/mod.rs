//! TLS over any stream transport (asyncio docs, "Transports and Protocols"; RFC 8446).
//!
//! | module | what |
//! |---|---|
//! | `channel` | `Channel`: encrypts and decrypts, with the `ssl` module's own connection |
//! | `protocol` | `TlsProtocol`: the protocol of the transport below; handshake, shutdown, what goes wrong |
//! | `reading` | what has come is decrypted and given to the protocol above |
//! | `writing` | what is written is encrypted and given to the transport below |
//! | `transport` | `TlsTransport`: what the protocol above has in its hands |
//! | `state` | its states |
//!
//! Ground rules are those of streams; OpenSSL counts as a call into Python, since it may call back. The order of events is that of
//! asyncio's `sslproto`, with these differences:
//!
//! - The protocol's methods run in one context, as without TLS.
//! - After `close()` the protocol receives no more data, and what the peer still sends is no error (bpo-39951); what was written goes out before the
//!   connection is closed, if the peer reads it within `ssl_shutdown_timeout`.
//! - A transport whose protocol paused reading can be closed after the peer ended the stream.
//! - Who waits for the handshake goes on before the first data is delivered.
//! - What waits in the transport below counts when the protocol is asked to pause: one big `write` is followed by a pause.
//! - A handshake that fails tells the peer why (RFC 8446, 6.2), and a protocol that was told of the beginning is always told of the end.

mod channel;
mod protocol;
pub(super) mod reading;
mod state;
mod transport;
mod writing;

pub(crate) use protocol::{Above, Role, Settings, TlsProtocol};
pub(crate) use transport::TlsTransport;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The classes of the module `ssl`.
struct Classes {
    memory_bio: Py<PyAny>,
    object: Py<PyAny>,
    wants_read: Py<PyAny>,
    /// What asyncio takes for the same.
    syscall: Py<PyAny>,
    ended: Py<PyAny>,
    certificate: Py<PyAny>,
}

impl Classes {
    /// # Errors
    /// `ImportError` in a Python that was built without TLS.
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || {
            let module = py.import("ssl")?;
            let class = |name: &str| -> PyResult<Py<PyAny>> { Ok(module.getattr(name)?.unbind()) };
            Ok(Self {
                memory_bio: class("MemoryBIO")?,
                object: class("SSLObject")?,
                wants_read: class("SSLWantReadError")?,
                syscall: class("SSLSyscallError")?,
                ended: class("SSLZeroReturnError")?,
                certificate: class("CertificateError")?,
            })
        })
    }

    /// Whether an exception says that the peer must say something first.
    fn is_again(&self, py: Python<'_>, error: &PyErr) -> bool {
        error.is_instance(py, self.wants_read.bind(py)) || error.is_instance(py, self.syscall.bind(py))
    }
}
