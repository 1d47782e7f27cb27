//! The reader and the writer of asyncio's streams, without asyncio's Python code (asyncio docs, "Streams").
//!
//! | module | what |
//! |---|---|
//! | `reader` | `StreamCore`: what has come for one reader, and who waits for it |
//! | `call` | `StreamCall`: what `read()` and its kin give; it is awaited |
//! | `methods` | the methods that asyncio's objects get |
//!
//! When a transport begins and its protocol is exactly asyncio's `StreamReaderProtocol` with an exact `StreamReader`, which is what
//! `asyncio.start_server` and `asyncio.open_connection` make, [`adopt`] changes the class of the reader to one that has the methods in `methods`, and
//! what comes goes to its [`StreamCore`](reader::StreamCore) without a detour. The writer that a server's callback gets is changed in the same
//! way. Classes that derive from asyncio's are left alone.

mod call;
mod methods;
pub(crate) mod reader;

use crate::event_loop::LoopCore;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use reader::StreamCore;

/// The classes of the package, and those of asyncio that they stand in for.
struct Classes {
    protocol: Py<PyAny>,
    asyncio_reader: Py<PyAny>,
    reader: Py<PyAny>,
    asyncio_writer: Py<PyAny>,
    writer: Py<PyAny>,
}

impl Classes {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || {
            let (asyncio, ours) = (py.import("asyncio")?, py.import("soliloop._streams")?);
            let (reader, writer) = (ours.getattr("StreamReader")?, ours.getattr("StreamWriter")?);
            methods::define(reader.cast::<PyType>()?, writer.cast::<PyType>()?)?;
            Ok(Self {
                protocol: asyncio.getattr("StreamReaderProtocol")?.unbind(),
                asyncio_reader: asyncio.getattr("StreamReader")?.unbind(),
                reader: reader.unbind(),
                asyncio_writer: asyncio.getattr("StreamWriter")?.unbind(),
                writer: writer.unbind(),
            })
        })
    }
}

/// Gives the reader of `protocol` the methods of ours, if both are exactly asyncio's; gives its core, to which what comes is to be fed.
pub(crate) fn adopt<'py>(
    transport: &Bound<'py, PyAny>,
    protocol: &Bound<'py, PyAny>,
    core: &Py<LoopCore>,
) -> PyResult<Option<Bound<'py, StreamCore>>> {
    let py = protocol.py();
    let classes = Classes::get(py)?;
    if !protocol.get_type().is(&classes.protocol) {
        return Ok(None);
    }
    let reader = protocol.getattr(intern!(py, "_stream_reader"))?;
    if reader.get_type().is(&classes.reader) {
        // Adopted by the transport that this one stands on, or a protocol that went back to its transport.
        let stream = native(&reader)?;
        stream.get().set_transport(py, transport);
        return Ok(Some(stream));
    }
    if !reader.get_type().is(&classes.asyncio_reader) || !StreamCore::is_untouched(&reader)? {
        return Ok(None);
    }
    let limit: usize = reader.getattr(intern!(py, "_limit"))?.extract()?;
    let stream = StreamCore::new(py, core.clone_ref(py), transport.clone().unbind(), limit)?;
    reader.setattr(intern!(py, "_native"), &stream)?;
    reader.setattr(intern!(py, "__class__"), &classes.reader)?;
    let callback = protocol.getattr(intern!(py, "_client_connected_cb"))?;
    if !callback.is_none() {
        protocol.setattr(intern!(py, "_client_connected_cb"), Welcome(callback.unbind()))?;
    }
    Ok(Some(stream))
}

/// Stands in front of the callback of a server: the writer that it is given becomes one of ours.
#[pyclass(frozen, module = "soliloop._soliloop")]
struct Welcome(Py<PyAny>);

#[pymethods]
impl Welcome {
    #[pyo3(signature = (reader, writer))]
    fn __call__(&self, reader: &Bound<'_, PyAny>, writer: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = writer.py();
        let classes = Classes::get(py)?;
        if writer.get_type().is(&classes.asyncio_writer) {
            writer.setattr(intern!(py, "__class__"), &classes.writer)?;
        }
        self.0.call1(py, (reader, writer))
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.0)
    }
}

/// The core of a reader of ours.
#[inline]
fn native<'py>(reader: &Bound<'py, PyAny>) -> PyResult<Bound<'py, StreamCore>> {
    Ok(reader.getattr(intern!(reader.py(), "_native"))?.cast_into::<StreamCore>()?)
}
