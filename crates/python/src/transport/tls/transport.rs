//! `TlsTransport`: what the protocol above TLS has in its hands.

use super::protocol::TlsProtocol;
use super::state::Stage;
use super::writing;
use crate::ffi::cell::GilCell;
use crate::ffi::gc::Made;
use crate::graves;
use crate::names::Names;
use crate::transport::common::close_with_warning;
use crate::transport::writing::chunk;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;

/// A transport of a TLS connection, made by the loop.
#[pyclass(frozen, weakref, dict, module = "soliloop._soliloop")]
pub(crate) struct TlsTransport {
    made: Made,
    tls: Py<TlsProtocol>,
    is_closed: GilCell<bool>,
}

impl TlsTransport {
    pub(super) fn make(tls: &Bound<'_, TlsProtocol>) -> PyResult<Py<Self>> {
        let made = Made::yes();
        Py::new(tls.py(), Self { made, tls: tls.clone().unbind(), is_closed: GilCell::new(false) })
    }

    pub(super) fn mark_closed(&self, py: Python<'_>) {
        self.is_closed.replace(py, true);
    }

    /// Whether the host that it was on has crashed.
    fn is_of_the_dead(&self, py: Python<'_>) -> bool {
        let tls = self.tls.get();
        let port = tls.state.with(py, |state| state.port);
        port.is_some_and(|port| graves::is_buried(tls.core.get(), py, port))
    }

    /// Whether what is written will be sent without the writer having to wait.
    pub(crate) fn takes_more(&self, py: Python<'_>) -> bool {
        !self.is_closed.get(py) && self.tls.get().state.with(py, |state| !state.marks.is_paused())
    }
}

#[pymethods]
impl TlsTransport {
    /// The class that `isinstance` sees: asyncio's, which this one can't derive from.
    #[getter(__class__)]
    #[allow(clippy::unused_self, reason = "a property")]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let [.., tls] = Names::transport_classes(py)?;
        Ok(tls.bind(py).clone())
    }

    /// Return the protocol.
    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.tls.get().protocol(py).map(Bound::unbind)
    }

    /// Exchange the protocol.
    fn set_protocol(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        TlsProtocol::set_protocol(self.tls.bind(protocol.py()), protocol)
    }

    /// Return information about the connection (asyncio docs, `BaseTransport.get_extra_info`), or about the transport below.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let tls = self.tls.get();
        let object = tls.channel.object(py);
        let is_established = tls.state.with(py, |state| state.is_established);
        let answer = match name {
            "sslcontext" => tls.settings.context.bind(py).clone(),
            "ssl_object" if is_established => object.clone(),
            "peercert" if is_established => match object.call_method0(intern!(py, "getpeercert")) {
                Err(error) if error.is_instance_of::<PyValueError>(py) => {
                    // OpenSSL has forgotten it when the connection has failed.
                    let known = tls.state.with(py, |state| state.certificate.as_ref().map(|known| known.clone_ref(py)));
                    return Ok(known.map(|known| known.into_bound(py)));
                }
                certificate => certificate?,
            },
            "cipher" if is_established => object.call_method0(intern!(py, "cipher"))?,
            "compression" if is_established => object.call_method0(intern!(py, "compression"))?,
            _ => match tls.lower(py) {
                Some(lower) => lower.call_method1(intern!(py, "get_extra_info"), (name, default))?,
                None => return Ok(default),
            },
        };
        Ok(Some(answer))
    }

    // ------------------------------------------------------------------ closing

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.is_closed.get(py) || self.is_of_the_dead(py)
    }

    /// Close the connection: what was written is still sent, and the peer told of the end.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_closed.replace(py, true) { Ok(()) } else { TlsProtocol::begin_shutdown(self.tls.bind(py)) }
    }

    /// Close the connection at once: what was written and not sent is lost.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        TlsProtocol::abort(self.tls.bind(py), None)
    }

    fn _force_close(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        TlsProtocol::abort(self.tls.bind(py), error)
    }

    // ------------------------------------------------------------------ reading

    /// Whether the transport is receiving data.
    fn is_reading(&self, py: Python<'_>) -> bool {
        !self.is_closed.get(py) && self.tls.get().state.with(py, |state| !state.is_paused)
    }

    /// Stop giving data to the protocol.
    fn pause_reading(&self, py: Python<'_>) {
        self.tls.get().state.with(py, |state| state.is_paused = true);
    }

    /// Go on giving data to the protocol.
    fn resume_reading(&self, py: Python<'_>) -> PyResult<()> {
        let was_paused = self.tls.get().state.with(py, |state| std::mem::replace(&mut state.is_paused, false));
        if was_paused { TlsProtocol::go_on_soon(self.tls.bind(py)) } else { Ok(()) }
    }

    /// Return the number of encrypted bytes that wait to be read.
    fn get_read_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.tls.get().channel.input_len(py)
    }

    /// Return the water marks `(low, high)` of these bytes.
    fn get_read_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.tls.get().state.with(py, |state| state.input_marks.limits())
    }

    /// Set the water marks of these bytes.
    #[pyo3(signature = (high = None, low = None))]
    fn set_read_buffer_limits(&self, py: Python<'_>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
        TlsProtocol::set_input_limits(self.tls.bind(py), high, low)
    }

    // ------------------------------------------------------------------ writing

    /// Send data to the peer, by the end of the turn.
    pub(crate) fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        writing::write(self.tls.bind(data.py()), chunk(data)?)
    }

    /// Send several pieces of data to the peer, by the end of the turn.
    fn writelines(&self, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        list_of_data.try_iter()?.try_for_each(|data| self.write(&data?))
    }

    /// Not supported: TLS has no half-closed connections.
    #[allow(clippy::unused_self, reason = "asyncio has it as a method")]
    fn write_eof(&self) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("TLS can't end one half of a connection: use close()"))
    }

    /// Whether `write_eof` is supported.
    #[allow(clippy::unused_self, reason = "asyncio has it as a method")]
    fn can_write_eof(&self) -> bool {
        false
    }

    /// Return the number of bytes that wait to be sent, also in the transport below if that one takes no more.
    fn get_write_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.tls.get().waiting_len(py)
    }

    /// Return the water marks `(low, high)` of these bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.tls.get().state.with(py, |state| state.marks.limits())
    }

    /// Set the water marks of these bytes.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(&self, py: Python<'_>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
        TlsProtocol::set_limits(self.tls.bind(py), high, low)
    }

    // ------------------------------------------------------------------ what asyncio's sendfile and TLS ask for

    #[classattr]
    fn _start_tls_compatible() -> bool {
        true
    }

    #[classattr]
    fn _sendfile_compatible(py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.import("asyncio.constants")?.getattr("_SendfileMode")?.getattr("FALLBACK")?.unbind())
    }

    #[getter]
    fn _protocol_paused(&self, py: Python<'_>) -> bool {
        self.tls.get().state.with(py, |state| state.marks.is_paused())
    }

    #[getter]
    fn _protocol_context(&self, py: Python<'_>) -> Py<PyAny> {
        self.tls.get().context.clone_ref(py)
    }

    // ------------------------------------------------------------------ what asyncio's tests ask for

    #[getter]
    fn _ssl_protocol(&self, py: Python<'_>) -> Py<TlsProtocol> {
        self.tls.clone_ref(py)
    }

    /// Has `data` wait to be sent, without trying.
    #[pyo3(name = "_test__append_write_backlog")]
    fn append_to_backlog(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let chunk = chunk(data)?;
        self.tls.get().state.with(data.py(), |state| state.backlog.push(chunk));
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (stage, lower) = (self.tls.get().stage(py), self.tls.get().lower(py));
        let stage = match stage {
            _ if self.is_closed.get(py) => "closing",
            Stage::Handshaking => "handshaking",
            _ => "open",
        };
        Ok(match lower {
            Some(lower) => format!("<TlsTransport {stage} over {}>", lower.repr()?),
            None => format!("<TlsTransport {stage}>"),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if self.made.is_made() { visit.call(&self.tls) } else { Ok(()) }
    }
}

impl Drop for TlsTransport {
    /// A transport that nobody closed: asyncio warns.
    fn drop(&mut self) {
        Python::attach(|py| {
            if !self.is_closed.get(py) && !self.is_of_the_dead(py) {
                close_with_warning(py, c"unclosed transport <TlsTransport>", || Ok(()));
            }
        });
    }
}
