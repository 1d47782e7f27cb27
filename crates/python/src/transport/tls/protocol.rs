//! `TlsProtocol`: what the transport below gives its bytes to, and TLS's own beginning and end.
//!
//! Ground rules. [`Stage`] says what may be done; every method asks for it again after a call into Python. What goes wrong ends the transport
//! below, by [`TlsProtocol::fatal`], and that one tells of the end.

use super::channel::{Channel, Progress};
use super::reading::{self, Caller};
use super::state::{Backlog, Stage, State, Told};
use super::transport::TlsTransport;
use super::{Classes, writing};
use crate::context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::names::Names;
use crate::streams;
use crate::transport::common::{Reporter, set_exception, set_result, water_marks};
use crate::transport::stream::{StreamTransport, is_buffered};
use crate::transport::writing::chunk;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyConnectionAbortedError, PyConnectionResetError, PyTimeoutError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use soliloop_engine::flow::Marks;
use std::sync::atomic::Ordering::Relaxed;

/// TLS between a transport and a protocol.
#[pyclass(frozen, weakref, module = "soliloop._soliloop")]
pub(crate) struct TlsProtocol {
    pub(super) core: Py<LoopCore>,
    /// What the methods of the protocol above run in.
    pub(super) context: Py<PyAny>,
    pub(super) settings: Settings,
    pub(super) channel: Channel,
    pub(super) state: GilCell<State>,
}

/// What connections have in common.
pub(crate) struct Settings {
    /// An `ssl.SSLContext`.
    pub(super) context: Py<PyAny>,
    /// In seconds, as they were given.
    handshake_timeout: Py<PyAny>,
    shutdown_timeout: Py<PyAny>,
}

impl Settings {
    /// # Errors
    /// `ValueError` for a time limit that is not positive.
    pub(crate) fn new(
        py: Python<'_>,
        context: Py<PyAny>,
        handshake_timeout: Option<Bound<'_, PyAny>>,
        shutdown_timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let limit = |name: &str, given: Option<Bound<'_, PyAny>>, default: f64| match given {
            None => Ok(default.into_pyobject(py)?.into_any().unbind()),
            Some(given) if given.gt(0)? => Ok(given.unbind()),
            Some(given) => {
                Err(PyValueError::new_err(format!("{name} should be a positive number, got {}", given.str()?)))
            }
        };
        Ok(Self {
            context,
            handshake_timeout: limit("ssl_handshake_timeout", handshake_timeout, HANDSHAKE_TIMEOUT)?,
            shutdown_timeout: limit("ssl_shutdown_timeout", shutdown_timeout, SHUTDOWN_TIMEOUT)?,
        })
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            context: self.context.clone_ref(py),
            handshake_timeout: self.handshake_timeout.clone_ref(py),
            shutdown_timeout: self.shutdown_timeout.clone_ref(py),
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.context)?;
        visit.call(&self.handshake_timeout)?;
        visit.call(&self.shutdown_timeout)
    }
}

/// What belongs to one connection.
pub(crate) struct Above {
    pub(crate) protocol: Py<PyAny>,
    /// What its methods run in.
    pub(crate) context: Py<PyAny>,
    /// Done when the handshake is.
    pub(crate) waiter: Option<Py<PyAny>>,
    /// Whether it was told of the beginning before.
    pub(crate) was_told: bool,
}

/// Which side of the handshake is ours.
pub(crate) enum Role<'a, 'py> {
    Server,
    /// With the name that the server's certificate is to have.
    Client(Option<&'a Bound<'py, PyAny>>),
}

impl TlsProtocol {
    /// TLS that begins when a transport makes its connection.
    ///
    /// # Errors
    /// What `SSLContext.wrap_bio` raises.
    pub(crate) fn make<'py>(
        core: &Bound<'py, LoopCore>,
        settings: Settings,
        role: &Role<'_, 'py>,
        above: Above,
    ) -> PyResult<Bound<'py, Self>> {
        let py = core.py();
        let is_buffered = is_buffered(above.protocol.bind(py))?;
        let context = settings.context.bind(py);
        let channel = match role {
            Role::Server => Channel::new(context, true, None)?,
            Role::Client(name) => Channel::new(context, false, *name)?,
        };
        let state = State {
            stage: Stage::Unwrapped,
            told: if above.was_told { Told::Beginning } else { Told::Nothing },
            protocol: Some(above.protocol),
            stream: None,
            is_buffered,
            lower: None,
            port: None,
            transport: None,
            backlog: Backlog::default(),
            marks: marks(WRITE_HIGH),
            input_marks: marks(READ_HIGH),
            is_lower_full: false,
            is_paused: false,
            is_at_end: false,
            is_closing: false,
            lost_writes: 0,
            waiter: above.waiter,
            is_established: false,
            certificate: None,
            timer: None,
        };
        let (core, state) = (core.clone().unbind(), GilCell::new(state));
        let this = Bound::new(py, Self { core, context: above.context, settings, channel, state })?;
        let transport = TlsTransport::make(&this)?;
        this.get().state.with(py, |state| state.transport = Some(transport));
        Ok(this)
    }

    // ------------------------------------------------------------------ what the parts share

    pub(super) fn stage(&self, py: Python<'_>) -> Stage {
        self.state.with(py, |state| state.stage)
    }

    pub(super) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let protocol = self.state.with(py, |state| state.protocol.as_ref().map(|protocol| protocol.clone_ref(py)));
        protocol.map(|protocol| protocol.into_bound(py))
    }

    /// The transport below.
    pub(super) fn lower<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let lower = self.state.with(py, |state| state.lower.as_ref().map(|lower| lower.clone_ref(py)));
        lower.map(|lower| lower.into_bound(py))
    }

    fn transport<'py>(&self, py: Python<'py>) -> Option<Bound<'py, TlsTransport>> {
        let transport = self.state.with(py, |state| state.transport.as_ref().map(|transport| transport.clone_ref(py)));
        transport.map(|transport| transport.into_bound(py))
    }

    /// Calls `call`, a method of the protocol above, in its context.
    #[inline]
    pub(super) fn tell<R>(&self, py: Python<'_>, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        context::call_in(self.context.bind(py), &self.core.get().nest, call)
    }

    fn reporter<'a, 'py>(slf: &'a Bound<'py, Self>, lower: &'a Bound<'py, PyAny>) -> Reporter<'a, 'py> {
        Reporter { core: slf.get().core.bind(slf.py()), transport: lower, protocol: Some(slf.as_any().clone()) }
    }

    /// Tells the loop's exception handler.
    ///
    /// # Errors
    /// `error` itself, if it is one that ends the run.
    #[cold]
    pub(super) fn report(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let transport =
            slf.get().transport(slf.py()).map_or_else(|| slf.py().None().into_bound(slf.py()), Bound::into_any);
        Self::reporter(slf, &transport).report(error, message)
    }

    /// Ends the connection because of `error`.
    ///
    /// # Errors
    /// `error` itself, if it is one that ends the run; and what the exception handler raises.
    #[cold]
    pub(super) fn fatal(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        let lower = this.lower(py);
        if let Some(lower) = &lower {
            force_close(lower, error.value(py).as_any())?;
        }
        let lower = lower.unwrap_or_else(|| py.None().into_bound(py));
        Self::reporter(slf, &lower).report_fatal(error, message).map(drop)
    }

    fn call_soon<'py>(slf: &Bound<'py, Self>, callback: Bound<'py, PyAny>) -> PyResult<()> {
        slf.get().core.bind(slf.py()).call_method1(intern!(slf.py(), "call_soon"), (callback,)).map(drop)
    }

    /// Has what waits to be read given to the protocol, soon.
    pub(super) fn go_on_soon(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::call_soon(slf, slf.getattr(intern!(slf.py(), "_go_on"))?)
    }

    fn start_timer(slf: &Bound<'_, Self>, seconds: &Py<PyAny>, check: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let timer = this.core.bind(py).call_method1(intern!(py, "call_later"), (seconds, check))?;
        this.stop_timer(py)?;
        this.state.with(py, |state| state.timer = Some(timer.unbind()));
        Ok(())
    }

    fn stop_timer(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |state| state.timer.take()) {
            Some(timer) => timer.bind(py).call_method0(intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }

    /// Tells who waits for the handshake that it has failed; if nobody does, as in a server, the exception handler, in debug mode.
    #[cold]
    fn give_up(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let Some(waiter) = this.state.with(py, |state| state.waiter.take()) else {
            let is_debug = this.core.get().debug.load(Relaxed);
            let message = "Error on transport creation for incoming connection";
            return if is_debug { Self::report(slf, PyErr::from_value(error.clone()), message) } else { Ok(()) };
        };
        set_exception(waiter.bind(py), error)
    }

    /// Has what comes go to the reader, without a detour, if the protocol above is asyncio's own of streams.
    fn adopt_stream(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (Some(protocol), Some(transport)) = (this.protocol(py), this.transport(py)) else { return Ok(()) };
        let stream = streams::adopt(transport.as_any(), &protocol, &this.core)?.map(Bound::unbind);
        drop(this.state.with(py, |state| std::mem::replace(&mut state.stream, stream)));
        Ok(())
    }

    pub(super) fn set_protocol(slf: &Bound<'_, Self>, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let is_buffered = is_buffered(protocol)?;
        let new = protocol.clone().unbind();
        let (old, is_established) = slf.get().state.with(slf.py(), |state| {
            state.is_buffered = is_buffered;
            ((state.protocol.replace(new), state.stream.take()), state.is_established)
        });
        drop(old);
        if is_established { Self::adopt_stream(slf) } else { Ok(()) }
    }

    pub(super) fn set_limits(slf: &Bound<'_, Self>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
        let (low, high) = water_marks(high, low, WRITE_HIGH)?;
        slf.get().state.with(slf.py(), |state| state.marks.set_limits(low, high));
        writing::control(slf)
    }

    pub(super) fn set_input_limits(slf: &Bound<'_, Self>, high: Option<isize>, low: Option<isize>) -> PyResult<()> {
        let (low, high) = water_marks(high, low, READ_HIGH)?;
        slf.get().state.with(slf.py(), |state| state.input_marks.set_limits(low, high));
        reading::control(slf)
    }

    /// How many bytes wait for the transport below.
    fn output_len(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.channel.output_len(py)? + self.state.with(py, |state| state.backlog.len()))
    }

    /// How many bytes wait to be sent. What the transport below has counts when that one is full: it will tell then when it takes more.
    pub(super) fn waiting_len(&self, py: Python<'_>) -> PyResult<usize> {
        let own = self.output_len(py)?;
        match self.lower(py) {
            Some(lower) if self.state.with(py, |state| state.is_lower_full) => {
                Ok(own + lower.call_method0(intern!(py, "get_write_buffer_size"))?.extract::<usize>()?)
            }
            _ => Ok(own),
        }
    }

    // ------------------------------------------------------------------ the handshake

    /// Goes on with the handshake.
    pub(super) fn shake_hands(slf: &Bound<'_, Self>) -> PyResult<()> {
        let shaken = slf.get().channel.shake_hands(slf.py());
        match shaken {
            // A callback of the context has closed the connection.
            _ if slf.get().stage(slf.py()) != Stage::Handshaking => Ok(()),
            Ok(Progress::Again) => writing::flush(slf),
            Ok(Progress::Done) => Self::on_handshake(slf),
            Err(error) => Self::on_no_handshake(slf, error),
        }
    }

    fn on_handshake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.stop_timer(py)?;
        let certificate = this.channel.object(py).call_method0(intern!(py, "getpeercert"))?.unbind();
        let is_first = this.state.with(py, |state| {
            state.stage = Stage::Wrapped;
            state.is_established = true;
            state.certificate = Some(certificate);
            let is_first = state.told == Told::Nothing;
            if is_first {
                state.told = Told::Beginning;
            }
            is_first
        });
        writing::flush(slf)?;
        Self::adopt_stream(slf)?;
        if is_first && let (Some(protocol), Some(transport)) = (this.protocol(py), this.transport(py)) {
            this.tell(py, || protocol.call_method1(intern!(py, "connection_made"), (transport,)))?;
        }
        let Some(waiter) = this.state.with(py, |state| state.waiter.take()) else {
            return reading::read(slf, None, Caller::Anybody);
        };
        set_result(waiter.bind(py))?;
        // The first data may be here already. Who awaits the handshake comes first.
        Self::go_on_soon(slf)
    }

    #[cold]
    fn on_no_handshake(slf: &Bound<'_, Self>, error: PyErr) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        this.stop_timer(py)?;
        // The peer is told why.
        writing::flush_in_any_case(slf)?;
        if let Some(stream) = this.lower(py).and_then(|lower| lower.cast_into_exact::<StreamTransport>().ok()) {
            StreamTransport::send_now(&stream)?;
        }
        this.state.with(py, |state| state.stage = Stage::Unwrapped);
        let message = if error.is_instance(py, Classes::get(py)?.certificate.bind(py)) {
            "SSL handshake failed on verifying the certificate"
        } else {
            "SSL handshake failed"
        };
        let value = error.value(py).clone().into_any();
        let reported = Self::fatal(slf, error, message);
        Self::give_up(slf, &value)?;
        reported
    }

    // ------------------------------------------------------------------ the end

    /// Begins to end the connection, because the peer has ended its stream or somebody asks for it.
    pub(super) fn begin_shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (stage, waits) = this.state.with(py, |state| {
            // The peer has ended the stream below, and what it sent last waits for a protocol that doesn't read.
            let waits = state.stage == Stage::Flushing && !state.is_closing;
            state.is_closing = true;
            if state.stage == Stage::Wrapped {
                state.stage = Stage::Flushing;
            }
            (state.stage, waits)
        });
        this.mark_closed(py);
        match stage {
            Stage::Handshaking => Self::abort(slf, None),
            Stage::Flushing if waits || this.state.with(py, |state| state.timer.is_none()) => {
                Self::start_timer(
                    slf,
                    &this.settings.shutdown_timeout,
                    &slf.getattr(intern!(py, "_end_slow_shutdown"))?,
                )?;
                Self::finish_flushing(slf)
            }
            _ => Ok(()),
        }
    }

    fn mark_closed(&self, py: Python<'_>) {
        if let Some(transport) = self.transport(py) {
            transport.get().mark_closed(py);
        }
    }

    /// Has the last data go where it belongs, and then ends our stream.
    pub(super) fn finish_flushing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.state.with(py, |state| state.is_closing) {
            let flushed = reading::discard(slf).and_then(|()| writing::encrypt(slf));
            if let Err(error) = flushed {
                return Self::on_shutdown(slf, Some(error));
            }
            if this.output_len(py)? > 0 {
                return Ok(());
            }
        } else {
            // The peer ended the stream: the protocol is given the rest.
            reading::read(slf, None, Caller::Anybody)?;
            if this.state.with(py, |state| state.is_paused && !state.is_closing) {
                return Ok(());
            }
        }
        let is_next = this.state.with(py, |state| {
            let is_next = state.stage == Stage::Flushing;
            if is_next {
                state.stage = Stage::Shutdown;
            }
            is_next
        });
        if is_next { Self::shut_down(slf) } else { Ok(()) }
    }

    /// Tells the peer of the end of our stream, and waits for that of its own.
    pub(super) fn shut_down(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if let Err(error) = reading::discard(slf) {
            return Self::on_shutdown(slf, Some(error));
        }
        if this.stage(py) != Stage::Shutdown {
            return Ok(());
        }
        if !this.state.with(py, |state| state.is_at_end) {
            match this.channel.shut_down(py) {
                Ok(Progress::Done) => {}
                Ok(Progress::Again) => return writing::flush(slf),
                Err(error) => return Self::on_shutdown(slf, Some(error)),
            }
        }
        writing::flush(slf)?;
        Self::tell_end_of_stream(slf)?;
        Self::on_shutdown(slf, None)
    }

    fn on_shutdown(slf: &Bound<'_, Self>, error: Option<PyErr>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.stop_timer(py)?;
        if let Some(error) = error {
            return Self::fatal(slf, error, "Fatal error on transport");
        }
        // The last record must not wait for a transport that is asked to close, and takes nothing then.
        writing::flush_in_any_case(slf)?;
        match this.lower(py) {
            Some(lower) => Self::call_soon(slf, lower.getattr(intern!(py, "close"))?),
            None => Ok(()),
        }
    }

    /// Tells the protocol above that the peer has ended its stream.
    pub(super) fn tell_end_of_stream(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let protocol = this.state.with(py, |state| {
            if state.told != Told::Beginning {
                return None;
            }
            state.told = Told::EndOfStream;
            state.protocol.as_ref().map(|protocol| protocol.clone_ref(py))
        });
        let Some(protocol) = protocol else { return Ok(()) };
        let keeps_open = this.tell(py, || protocol.bind(py).call_method0(intern!(py, "eof_received"))?.is_truthy());
        match keeps_open {
            Ok(false) => Ok(()),
            Ok(true) => {
                let text = "returning true from eof_received() has no effect when using ssl";
                Names::get(py)?.logger.bind(py).call_method1(intern!(py, "warning"), (text,)).map(drop)
            }
            Err(error) => Self::fatal(slf, error, "Error calling eof_received()"),
        }
    }

    /// Ends the connection at once.
    pub(super) fn abort(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.mark_closed(py);
        drop(this.state.with(py, |state| {
            state.stage = Stage::Unwrapped;
            state.is_closing = true;
            state.backlog.clear()
        }));
        match (this.lower(py), error) {
            (Some(lower), Some(error)) => force_close(&lower, error),
            (Some(lower), None) => lower.call_method0(intern!(py, "abort")).map(drop),
            (None, _) => Ok(()),
        }
    }
}

#[pymethods]
impl TlsProtocol {
    /// *context* is an `ssl.SSLContext`. The handshake begins when a transport makes its connection, and completes *waiter*. The protocol's methods
    /// run in the context `runs_in`; if it `was_told` of the beginning, it is not told again. Time limits are in seconds.
    #[new]
    #[pyo3(signature = (core, protocol, context, waiter, *, server_side, server_hostname, was_told, runs_in, handshake_timeout, shutdown_timeout))]
    #[allow(clippy::too_many_arguments, reason = "asyncio's options")]
    fn new(
        core: &Bound<'_, LoopCore>,
        protocol: Py<PyAny>,
        context: Py<PyAny>,
        waiter: Option<Py<PyAny>>,
        server_side: bool,
        server_hostname: Option<&Bound<'_, PyAny>>,
        was_told: bool,
        runs_in: Py<PyAny>,
        handshake_timeout: Option<Bound<'_, PyAny>>,
        shutdown_timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<Self>> {
        let settings = Settings::new(core.py(), context, handshake_timeout, shutdown_timeout)?;
        let role = if server_side { Role::Server } else { Role::Client(server_hostname) };
        let above = Above { protocol, context: runs_in, waiter, was_told };
        Self::make(core, settings, &role, above).map(Bound::unbind)
    }

    /// The class that `isinstance` sees.
    #[getter(__class__)]
    #[allow(clippy::unused_self, reason = "a property")]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import(intern!(py, "asyncio"))?.getattr(intern!(py, "Protocol"))
    }

    /// The transport of the protocol above; `None` once the connection is lost.
    #[getter(transport)]
    fn get_transport(&self, py: Python<'_>) -> Option<Py<TlsTransport>> {
        self.transport(py).map(Bound::unbind)
    }

    // ------------------------------------------------------------------ what the transport below calls

    fn connection_made(slf: &Bound<'_, Self>, transport: Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (told, is_closing) = this.state.with(py, |state| {
            state.port = transport.cast_exact::<StreamTransport>().ok().map(|stream| stream.get().port());
            state.lower = Some(transport.unbind());
            (state.told, state.is_closing)
        });
        if told == Told::Lost {
            return Ok(());
        }
        if is_closing {
            return Self::abort(slf, None);
        }
        this.state.with(py, |state| state.stage = Stage::Handshaking);
        Self::start_timer(slf, &this.settings.handshake_timeout, &slf.getattr(intern!(py, "_end_slow_handshake"))?)?;
        Self::shake_hands(slf)
    }

    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let decrypted = reading::take(slf, &chunk(data)?)?;
        reading::proceed(slf, decrypted, Caller::Anybody)
    }

    /// Gives `True` if the transport below is to stay open.
    fn eof_received(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let stage = this.state.with(py, |state| {
            state.is_at_end = true;
            if state.stage == Stage::Wrapped {
                state.stage = Stage::Flushing;
                return Stage::Wrapped;
            }
            state.stage
        });
        match stage {
            Stage::Unwrapped => {}
            Stage::Handshaking => {
                let error = PyConnectionResetError::new_err("the peer closed the connection during the TLS handshake");
                Self::on_no_handshake(slf, error)?;
            }
            Stage::Wrapped => Self::finish_flushing(slf)?,
            Stage::Flushing | Stage::Shutdown => {
                writing::encrypt(slf)?;
                this.state.with(py, |state| state.stage = Stage::Shutdown);
                Self::shut_down(slf)?;
            }
        }
        // Its last data waits until the protocol reads again.
        Ok(this.state.with(py, |state| state.stage == Stage::Flushing && state.is_paused && !state.is_closing))
    }

    fn connection_lost(slf: &Bound<'_, Self>, error: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.mark_closed(py);
        let (stage, protocol, was_told, dropped) = this.state.with(py, |state| {
            state.lost_writes += 1;
            let stage = std::mem::replace(&mut state.stage, Stage::Unwrapped);
            let was_told = matches!(state.told, Told::Beginning | Told::EndOfStream);
            state.told = Told::Lost;
            (
                stage,
                state.protocol.take(),
                was_told,
                (state.backlog.clear(), state.stream.take(), state.transport.take()),
            )
        });
        drop(dropped);
        this.stop_timer(py)?;
        if stage == Stage::Handshaking || this.state.with(py, |state| state.waiter.is_some()) {
            let closed = || PyConnectionAbortedError::new_err("the connection was closed during the TLS handshake");
            let reason = error.clone().unwrap_or_else(|| closed().value(py).clone().into_any());
            Self::give_up(slf, &reason)?;
        }
        let Some(protocol) = protocol.filter(|_| was_told) else { return Ok(()) };
        let lost = protocol.bind(py).getattr(intern!(py, "connection_lost"))?;
        match this.tell(py, || lost.call1((&error,))) {
            Ok(_) => Ok(()),
            Err(failed) => {
                let lower = this.lower(py).unwrap_or_else(|| py.None().into_bound(py));
                Self::reporter(slf, &lower).report_callback(failed, &lost, &PyTuple::new(py, [error])?)
            }
        }
    }

    fn pause_writing(&self, py: Python<'_>) {
        self.state.with(py, |state| state.is_lower_full = true);
    }

    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state.with(slf.py(), |state| state.is_lower_full = false);
        writing::flush(slf)?;
        let is_flushing = slf.get().state.with(slf.py(), |state| state.is_closing && state.stage == Stage::Flushing);
        if is_flushing { Self::finish_flushing(slf) } else { Ok(()) }
    }

    // ------------------------------------------------------------------ what the loop calls

    /// Reads again, now that the protocol above does.
    fn _go_on(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().stage(slf.py()) {
            Stage::Wrapped => reading::read(slf, None, Caller::Anybody),
            Stage::Flushing => Self::finish_flushing(slf),
            Stage::Shutdown => Self::shut_down(slf),
            Stage::Unwrapped | Stage::Handshaking => Ok(()),
        }
    }

    fn _end_slow_handshake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.stage(py) != Stage::Handshaking {
            return Ok(());
        }
        let limit = this.settings.handshake_timeout.bind(py).str()?;
        let text = format!("SSL handshake is taking longer than {limit} seconds: aborting the connection");
        Self::fatal(slf, PyConnectionAbortedError::new_err(text), "Fatal error on transport")
    }

    fn _end_slow_shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        match this.lower(py) {
            Some(lower) if matches!(this.stage(py), Stage::Flushing | Stage::Shutdown) => {
                force_close(&lower, PyTimeoutError::new_err("SSL shutdown timed out").value(py).as_any())
            }
            _ => Ok(()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        visit.call(&self.context)?;
        self.settings.traverse(&visit)?;
        self.channel.traverse(&visit)?;
        self.state.visit(|state| state.traverse(&visit)).unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, |state| {
            let above = (state.protocol.take(), state.stream.take(), state.transport.take());
            (above, state.lower.take(), state.waiter.take(), state.timer.take(), state.certificate.take())
        }));
    }
}

/// Ends a transport at once, because of `error`.
fn force_close(lower: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = lower.py();
    match lower.getattr_opt(intern!(py, "_force_close"))? {
        Some(force_close) => force_close.call1((error,)),
        None => lower.call_method0(intern!(py, "abort")),
    }
    .map(drop)
}

fn marks(high: isize) -> Marks {
    let mut marks = Marks::new();
    let high = high.unsigned_abs();
    marks.set_limits(high / 4, high);
    marks
}

/// asyncio's `SSL_HANDSHAKE_TIMEOUT` and `SSL_SHUTDOWN_TIMEOUT`, in seconds.
const HANDSHAKE_TIMEOUT: f64 = 60.0;
const SHUTDOWN_TIMEOUT: f64 = 30.0;
/// asyncio's `FLOW_CONTROL_HIGH_WATER_SSL_WRITE` and `FLOW_CONTROL_HIGH_WATER_SSL_READ`, in bytes.
const WRITE_HIGH: isize = 512 * 1024;
const READ_HIGH: isize = 256 * 1024;
