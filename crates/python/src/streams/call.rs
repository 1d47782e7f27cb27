//! `StreamCall`: what `read()` and its kin give. It is awaited as a coroutine is: nothing happens before.
//!
//! Each step looks whether the call can be completed with what has come; if not it waits for more, and looks again. What was taken is in the
//! result or, if the stream ends too early, in the error: a cancelled call has taken nothing. (`read(-1)` collects until the end, as in asyncio.)

use super::reader::StreamCore;
use crate::ffi::cell::GilCell;
use crate::ffi::{gc, object};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopAsyncIteration, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use soliloop_engine::intake::{Found, Taken};

/// One call of a method that reads.
#[pyclass(frozen, freelist = 64, module = "soliloop._soliloop")]
pub(super) struct StreamCall {
    stream: Py<StreamCore>,
    state: GilCell<State>,
}

struct State {
    phase: Phase,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Waiting,
    Done,
}

impl Drop for StreamCall {
    /// A call that is given up while it waits lets another one wait.
    fn drop(&mut self) {
        Python::attach(|py| {
            if self.state.with(py, |state| state.phase) == Phase::Waiting {
                self.stream.get().disarm(py);
            }
        });
    }
}

/// What is wanted.
pub(super) enum What {
    /// Up to so many bytes.
    Some(usize),
    /// All, until the end.
    All(Vec<u8>),
    /// A negative count is refused when the call is awaited, as asyncio does.
    Exactly(isize),
    /// Up to and with a separator; so many bytes were searched before.
    Until {
        separators: Vec<PyBackedBytes>,
        searched: usize,
    },
    Line {
        searched: usize,
    },
    /// A line, for `async for`.
    NextLine {
        searched: usize,
    },
}

/// What a step has come to.
enum Progress<'py> {
    Done(Bound<'py, PyAny>),
    /// There is not enough.
    More,
}

impl StreamCall {
    pub(super) fn of<'py>(stream: &Bound<'py, StreamCore>, what: What) -> PyResult<Bound<'py, PyAny>> {
        let state = GilCell::new(State { phase: Phase::New, what });
        let call = Bound::new(stream.py(), Self { stream: stream.clone().unbind(), state })?;
        // One that is used again is unknown to the collector.
        gc::track(call.as_unbound());
        Ok(call.into_any())
    }

    /// Goes on until the call is done, which `None` and a `StopIteration` that is set say, or has to wait.
    #[inline]
    fn step(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let stream = self.stream.get();
        match self.state.with(py, |state| state.phase) {
            Phase::New => {}
            Phase::Waiting if stream.disarm(py) => {}
            Phase::Waiting => {
                self.finish(py);
                return Err(PyRuntimeError::new_err("the wait for data was resumed before any came"));
            }
            Phase::Done => return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
        match self.attempt(py) {
            Ok(Progress::Done(value)) => {
                self.finish(py);
                stream.resume(py, false)?;
                object::stop_with(&value)?;
                Ok(None)
            }
            Ok(Progress::More) => {
                let name = self.state.with(py, |state| state.what.name());
                let armed = stream.arm(py, name);
                self.state.with(py, |state| state.phase = if armed.is_ok() { Phase::Waiting } else { Phase::Done });
                armed.map(Some)
            }
            Err(error) => {
                self.finish(py);
                Err(error)
            }
        }
    }

    fn finish(&self, py: Python<'_>) {
        self.state.with(py, |state| state.phase = Phase::Done);
    }

    /// Completes the call, if what has come is enough.
    #[inline]
    fn attempt<'py>(&self, py: Python<'py>) -> PyResult<Progress<'py>> {
        let stream = self.stream.get();
        if let Some(exception) =
            stream.state.with(py, |state| state.exception.as_ref().map(|error| error.clone_ref(py)))
        {
            return Err(PyErr::from_value(exception.into_bound(py)));
        }
        // Out of its place meanwhile: errors are made, and transports resumed, by calls into Python.
        let mut what = self.state.with(py, |state| std::mem::replace(&mut state.what, What::Some(0)));
        let attempted = match &mut what {
            What::Some(count) => Ok(stream.some(py, *count)),
            What::All(collected) => Ok(stream.all(py, collected)),
            What::Exactly(count) => stream.exactly(py, *count),
            What::Until { separators, searched } => {
                let separators: Vec<&[u8]> = separators.iter().map(AsRef::as_ref).collect();
                stream.until(py, &separators, searched).map_err(Failed::into_error)
            }
            What::Line { searched } => stream.line(py, searched).map(Progress::from),
            What::NextLine { searched } => match stream.line(py, searched) {
                Ok(Some(line)) if line.as_bytes().is_empty() => Err(PyStopAsyncIteration::new_err(())),
                line => line.map(Progress::from),
            },
        };
        self.state.with(py, |state| state.what = what);
        attempted
    }
}

impl What {
    const fn name(&self) -> &'static str {
        match self {
            Self::Some(_) | Self::All(_) => "read",
            Self::Exactly(_) => "readexactly",
            Self::Until { .. } | Self::Line { .. } | Self::NextLine { .. } => "readuntil",
        }
    }
}

impl<'py> From<Option<Bound<'py, PyBytes>>> for Progress<'py> {
    fn from(value: Option<Bound<'py, PyBytes>>) -> Self {
        value.map_or(Self::More, |value| Self::Done(value.into_any()))
    }
}

/// Why there will be no separator.
enum Failed {
    Incomplete(PyErr),
    /// None within the limit, or the line that it ends is longer; the error has the count of bytes that could be skipped.
    Overrun {
        is_found: bool,
        consumed: usize,
    },
}

impl Failed {
    const fn text(is_found: bool) -> &'static str {
        if is_found {
            "Separator is found, but chunk is longer than limit"
        } else {
            "Separator is not found, and chunk exceed the limit"
        }
    }

    fn into_error(self) -> PyErr {
        match self {
            Self::Incomplete(error) => error,
            Self::Overrun { is_found, consumed } => {
                error_of("LimitOverrunError", |class| class.call1((Self::text(is_found), consumed)))
            }
        }
    }
}

/// An exception of asyncio's.
fn error_of(name: &str, make: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>) -> PyErr {
    Python::attach(|py| {
        let made = py.import("asyncio").and_then(|asyncio| asyncio.getattr(name)).and_then(|class| make(&class));
        made.map_or_else(|error| error, PyErr::from_value)
    })
}

/// The stream has ended before there were enough bytes.
fn incomplete(partial: Bound<'_, PyBytes>, expected: Option<usize>) -> PyErr {
    let partial = partial.unbind();
    error_of("IncompleteReadError", |class| class.call1((partial, expected)))
}

/// What completes calls. Nothing here calls into Python.
impl StreamCore {
    #[inline]
    fn take<'py>(&self, py: Python<'py>, count: usize) -> Bound<'py, PyBytes> {
        let taken = self.state.with(py, |state| state.intake.take(count, |bytes| PyBytes::new(py, bytes)));
        match taken {
            Taken::Whole(chunk) => whole(py, chunk),
            Taken::Made(bytes) => bytes,
        }
    }

    #[inline]
    fn some<'py>(&self, py: Python<'py>, count: usize) -> Progress<'py> {
        let (has, is_at_end) = self.state.with(py, |state| (!state.intake.is_empty(), state.is_at_end));
        if has || is_at_end || count == 0 { Progress::Done(self.take(py, count).into_any()) } else { Progress::More }
    }

    fn all<'py>(&self, py: Python<'py>, collected: &mut Vec<u8>) -> Progress<'py> {
        let is_at_end = self.state.with(py, |state| {
            collected.extend_from_slice(state.intake.bytes());
            state.intake.clear();
            state.is_at_end
        });
        if is_at_end { Progress::Done(PyBytes::new(py, collected).into_any()) } else { Progress::More }
    }

    fn exactly<'py>(&self, py: Python<'py>, count: isize) -> PyResult<Progress<'py>> {
        let Ok(count) = usize::try_from(count) else {
            return Err(PyValueError::new_err("readexactly size can not be less than zero"));
        };
        let (size, is_at_end) = self.state.with(py, |state| (state.intake.len(), state.is_at_end));
        if size >= count {
            return Ok(Progress::Done(self.take(py, count).into_any()));
        }
        if is_at_end { Err(incomplete(self.take(py, size), Some(count))) } else { Ok(Progress::More) }
    }

    fn until<'py>(&self, py: Python<'py>, separators: &[&[u8]], searched: &mut usize) -> Result<Progress<'py>, Failed> {
        let (found, size, is_at_end) = self
            .state
            .with(py, |state| (state.intake.find(separators, *searched), state.intake.len(), state.is_at_end));
        if let Some(Found { start, end }) = found {
            if start > self.limit() {
                return Err(Failed::Overrun { is_found: true, consumed: start });
            }
            return Ok(Progress::Done(self.take(py, end).into_any()));
        }
        // A separator may begin in what is here and end in what comes.
        let longest = separators.iter().map(|separator| separator.len()).max().unwrap_or(1);
        let shortest = separators.iter().map(|separator| separator.len()).min().unwrap_or(1);
        if size >= *searched + shortest {
            *searched = (size + 1).saturating_sub(longest);
            if *searched > self.limit() {
                return Err(Failed::Overrun { is_found: false, consumed: *searched });
            }
        }
        if is_at_end { Err(Failed::Incomplete(incomplete(self.take(py, size), None))) } else { Ok(Progress::More) }
    }

    fn line<'py>(&self, py: Python<'py>, searched: &mut usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (found, size, is_at_end) =
            self.state.with(py, |state| (state.intake.find(&[b"\n"], *searched), state.intake.len(), state.is_at_end));
        let consumed = match found {
            Some(Found { start, end }) if start <= self.limit() => return Ok(Some(self.take(py, end))),
            Some(Found { start, .. }) => start,
            None if size > self.limit() => size,
            // The last line need not have an end.
            None if is_at_end => return Ok(Some(self.take(py, size))),
            None => {
                *searched = size;
                return Ok(None);
            }
        };
        // The line is too long: what is here of it is dropped.
        self.state
            .with(py, |state| if found.is_some() { state.intake.skip(consumed + 1) } else { state.intake.clear() });
        self.resume(py, false)?;
        Err(PyValueError::new_err(Failed::text(found.is_some())))
    }
}

#[pymethods]
impl StreamCall {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.step(py)
    }

    /// Go on; *value* is of no meaning.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.step(py)?.ok_or_else(|| PyErr::fetch(py))
    }

    /// Give the call up with an exception.
    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.close(py);
        Err(thrown(kind, value, traceback)?)
    }

    /// Give the call up.
    fn close(&self, py: Python<'_>) {
        if self.state.with(py, |state| std::mem::replace(&mut state.phase, Phase::Done)) == Phase::Waiting {
            self.stream.get().disarm(py);
        }
    }

    #[getter]
    fn __name__(&self, py: Python<'_>) -> &'static str {
        self.state.with(py, |state| state.what.name())
    }

    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> String {
        format!("StreamReader.{}", self.__name__(py))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<call of StreamReader.{}>", self.__name__(py))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.stream)
    }
}

/// The object that a chunk came as.
fn whole(py: Python<'_>, chunk: PyBackedBytes) -> Bound<'_, PyBytes> {
    let Ok(bytes) = chunk.into_pyobject(py);
    bytes
}

/// What the arguments of a coroutine's `throw` mean.
pub(super) fn thrown<'py>(
    kind: &Bound<'py, PyAny>,
    value: Option<Bound<'py, PyAny>>,
    traceback: Option<Bound<'py, PyAny>>,
) -> PyResult<PyErr> {
    let given = value.unwrap_or_else(|| kind.clone());
    let exception = if given.is_instance_of::<PyBaseException>() {
        given
    } else if given.is(kind) {
        kind.call0()?
    } else {
        kind.call1((given,))?
    };
    if let Some(traceback) = traceback {
        exception.setattr(intern!(kind.py(), "__traceback__"), traceback)?;
    }
    Ok(PyErr::from_value(exception))
}
