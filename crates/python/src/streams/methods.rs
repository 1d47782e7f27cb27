//! The methods that asyncio's readers and writers get. What is not here is asyncio's.

use super::call::{StreamCall, What, thrown};
use super::native;
use super::reader::StreamCore;
use crate::ffi::method::{self, Arguments, Method};
use crate::transport::stream::StreamTransport;
use crate::transport::tls::TlsTransport;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyTuple, PyType};
use std::ffi::CStr;

/// Gives the classes their methods.
pub(super) fn define(reader: &Bound<'_, PyType>, writer: &Bound<'_, PyType>) -> PyResult<()> {
    method::define::<Read>(reader)?;
    method::define::<ReadLine>(reader)?;
    method::define::<ReadExactly>(reader)?;
    method::define::<ReadUntil>(reader)?;
    method::define::<NextLine>(reader)?;
    method::define::<AtEof>(reader)?;
    method::define::<FeedData>(reader)?;
    method::define::<FeedEof>(reader)?;
    method::define::<Exception>(reader)?;
    method::define::<SetException>(reader)?;
    method::define::<Write>(writer)?;
    method::define::<Drain>(writer)
}

// ---------------------------------------------------------------------- the reader

struct Read;
struct ReadLine;
struct ReadExactly;
struct ReadUntil;
struct NextLine;
struct AtEof;
struct FeedData;
struct FeedEof;
struct Exception;
struct SetException;

impl Method for Read {
    type This = PyAny;
    const NAME: &'static CStr = c"read";
    const DOC: &'static CStr = c"Read up to *n* bytes; all until the end of the stream if *n* is -1.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let count = args.only("n")?.map_or(Ok(-1), |count| count.extract::<isize>())?;
        let what = usize::try_from(count).map_or_else(|_| What::All(Vec::new()), What::Some);
        StreamCall::of(&native(this)?, what)
    }
}

impl Method for ReadLine {
    type This = PyAny;
    const NAME: &'static CStr = c"readline";
    const DOC: &'static CStr = c"Read a line, which ends with a newline unless the stream ends before.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        args.none()?;
        StreamCall::of(&native(this)?, What::Line { searched: 0 })
    }
}

impl Method for ReadExactly {
    type This = PyAny;
    const NAME: &'static CStr = c"readexactly";
    const DOC: &'static CStr = c"Read exactly *n* bytes, or raise `IncompleteReadError` at the end of the stream.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let count = args.exactly("n")?.extract::<isize>()?;
        StreamCall::of(&native(this)?, What::Exactly(count))
    }
}

impl Method for ReadUntil {
    type This = PyAny;
    const NAME: &'static CStr = c"readuntil";
    const DOC: &'static CStr =
        c"Read until a separator (or the first of a tuple of them) is found; it is part of the result.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let given = args.only("separator")?;
        let separators = match given {
            None => vec![PyBackedBytes::from(PyBytes::new(py, b"\n"))],
            Some(given) => match given.cast::<PyTuple>() {
                Ok(several) if several.is_empty() => {
                    return Err(PyValueError::new_err("Separator should contain at least one element"));
                }
                Ok(several) => several.iter().map(|one| separator(&one)).collect::<PyResult<_>>()?,
                Err(_) => vec![separator(&given)?],
            },
        };
        StreamCall::of(&native(this)?, What::Until { separators, searched: 0 })
    }
}

impl Method for NextLine {
    type This = PyAny;
    const NAME: &'static CStr = c"__anext__";
    const DOC: &'static CStr = c"Read the next line of `async for`.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        args.none()?;
        StreamCall::of(&native(this)?, What::NextLine { searched: 0 })
    }
}

impl Method for AtEof {
    type This = PyAny;
    const NAME: &'static CStr = c"at_eof";
    const DOC: &'static CStr = c"Return whether all was read and no more will come.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        args.none()?;
        let py = this.py();
        let is_at_end = native(this)?.get().state.with(py, |state| state.is_at_end && state.intake.is_empty());
        Ok(PyBool::new(py, is_at_end).to_owned().into_any())
    }
}

impl Method for FeedData {
    type This = PyAny;
    const NAME: &'static CStr = c"feed_data";
    const DOC: &'static CStr = c"Put data behind what has come.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        StreamCore::feed(&native(this)?, &args.exactly("data")?).map(|()| none(this.py()))
    }
}

impl Method for FeedEof {
    type This = PyAny;
    const NAME: &'static CStr = c"feed_eof";
    const DOC: &'static CStr = c"Say that no more will come.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        args.none()?;
        StreamCore::feed_end(&native(this)?).map(|()| none(this.py()))
    }
}

impl Method for Exception {
    type This = PyAny;
    const NAME: &'static CStr = c"exception";
    const DOC: &'static CStr = c"Return why nothing more can be read, or None.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        args.none()?;
        let py = this.py();
        let exception =
            native(this)?.get().state.with(py, |state| state.exception.as_ref().map(|error| error.clone_ref(py)));
        Ok(exception.map_or_else(|| none(py), |exception| exception.into_bound(py)))
    }
}

impl Method for SetException {
    type This = PyAny;
    const NAME: &'static CStr = c"set_exception";
    const DOC: &'static CStr = c"Say why nothing more can be read.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        StreamCore::set_exception(&native(this)?, args.exactly("exc")?).map(|()| none(this.py()))
    }
}

// ---------------------------------------------------------------------- the writer

struct Write;
struct Drain;

impl Method for Write {
    type This = PyAny;
    const NAME: &'static CStr = c"write";
    const DOC: &'static CStr = c"Send data to the peer.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let data = args.exactly("data")?;
        let transport = this.getattr(intern!(py, "_transport"))?;
        if let Ok(stream) = transport.cast_exact::<StreamTransport>() {
            StreamTransport::write(stream, &data)?;
        } else if let Ok(tls) = transport.cast_exact::<TlsTransport>() {
            tls.get().write(&data)?;
        } else {
            transport.call_method1(intern!(py, "write"), (data,))?;
        }
        Ok(none(py))
    }
}

impl Method for Drain {
    type This = PyAny;
    const NAME: &'static CStr = c"drain";
    const DOC: &'static CStr = c"Wait until the transport takes more data.";

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        static DRAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        args.none()?;
        let py = this.py();
        if is_ready_to_write(this)? {
            return Ok(Bound::new(py, Ready)?.into_any());
        }
        let drain = DRAIN.get_or_try_init(py, || -> PyResult<_> {
            Ok(py.import("asyncio")?.getattr("StreamWriter")?.getattr("drain")?.unbind())
        })?;
        drain.bind(py).call1((this,))
    }
}

/// Whether asyncio's `drain` would return without having waited.
fn is_ready_to_write(writer: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = writer.py();
    let transport = writer.getattr(intern!(py, "_transport"))?;
    let takes_more = match (transport.cast_exact::<StreamTransport>(), transport.cast_exact::<TlsTransport>()) {
        (Ok(stream), _) => stream.get().takes_more(py),
        (_, Ok(tls)) => tls.get().takes_more(py),
        _ => false,
    };
    if !takes_more {
        return Ok(false);
    }
    let reader = writer.getattr(intern!(py, "_reader"))?;
    Ok(match native(&reader) {
        Ok(stream) => stream.get().state.with(py, |state| state.exception.is_none()),
        Err(_) => false,
    })
}

/// What is done as soon as it is awaited.
#[pyclass(frozen, freelist = 64, module = "soliloop._soliloop")]
pub(super) struct Ready;

#[pymethods]
#[allow(clippy::unused_self, reason = "the methods of a coroutine")]
impl Ready {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<()> {
        None
    }

    fn send(&self, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(pyo3::exceptions::PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Err(thrown(kind, value, traceback)?)
    }

    fn close(&self) {}
}

fn separator(given: &Bound<'_, PyAny>) -> PyResult<PyBackedBytes> {
    let separator: PyBackedBytes = given.extract()?;
    if separator.is_empty() {
        return Err(PyValueError::new_err("Separator should be at least one-byte string"));
    }
    Ok(separator)
}

fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}
