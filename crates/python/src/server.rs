//! Listening sockets: connections are accepted and get their transports here.
//!
//! Set-up and the class `asyncio.Server` are asyncio's. A listener is told when its socket is ready, and takes as many connections as there
//! seem to be: as long as they come one at a time it does not ask for a second one, since the next turn would tell.

use crate::context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::context::{copy, copy_current};
use crate::job::Scheduled;
use crate::names::Names;
use crate::port::{Accepted, Port};
use crate::sockets;
use crate::transport::stream::StreamTransport;
use crate::transport::tls::{Above, Role, Settings, TlsProtocol};
use crate::transport::{Addresses, Beginning, Extra};
use crate::watchers::{Side, Sink};
use crate::watching::descriptor;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soliloop_engine::world::real::Kind;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// What accepts on one socket.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct Listener {
    core: Py<LoopCore>,
    socket: Py<PyAny>,
    port: Port,
    factory: Py<PyAny>,
    server: Option<Py<PyAny>>,
    context: Py<PyAny>,
    /// Of the TLS that the connections begin with.
    tls: Option<Settings>,
    backlog: usize,
    /// The address of every connection's near end, if the socket listens on one address only.
    local: Option<SocketAddr>,
    state: GilCell<State>,
}

/// An `ssl.SSLContext`, and the time limits of the handshake and of the shutdown.
type Tls<'py> = (Py<PyAny>, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

struct State {
    /// How many connections to take at once.
    batch: usize,
    is_scheduled: bool,
}

impl Listener {
    /// The socket is ready; gives a job if there is none on its way.
    pub(crate) fn note_ready(slf: &Py<Self>, py: Python<'_>) -> Option<Scheduled> {
        let is_new = slf.get().state.with(py, |state| !std::mem::replace(&mut state.is_scheduled, true));
        is_new.then(|| Scheduled::Listener(slf.clone_ref(py)))
    }

    /// Accepts what has come.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit` of the protocol's factory, and what the exception handler itself raises.
    pub(crate) fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let batch = this.state.with(py, |state| {
            state.is_scheduled = false;
            state.batch
        });
        for count in 0..batch {
            // A factory may have closed the server, and its number may be another socket's by now.
            if !this.is_listening(py) {
                return Ok(());
            }
            match this.port.accept(py, &this.core.get().world) {
                Ok(accepted) => this.welcome(py, accepted)?,
                Err(error) if is_over(&error) => {
                    this.state.with(py, |state| state.batch = count.max(1));
                    return Ok(());
                }
                Err(error) => return Self::on_error(slf, &error),
            }
        }
        this.state.with(py, |state| state.batch = (batch * 2).min(this.backlog));
        Ok(())
    }

    pub(crate) fn context<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.context.bind(py)
    }

    fn is_listening(&self, py: Python<'_>) -> bool {
        let is_own = |sink: &Sink| matches!(sink, Sink::Listener(listener) if std::ptr::eq(listener.get(), self));
        let source = self.port.source();
        self.core.get().watchers.with(py, |watchers| watchers.get(source, Side::Reader).is_some_and(is_own))
    }

    /// Gives a connection its protocol and its transport.
    fn welcome(&self, py: Python<'_>, accepted: Accepted) -> PyResult<()> {
        let core = self.core.bind(py);
        let made = copy(self.context.bind(py)).and_then(|context| {
            let mut protocol = context::call_in(&context, &core.get().nest, || self.factory.bind(py).call0())?;
            if let Some(settings) = &self.tls {
                let context = context.clone().unbind();
                let above = Above { protocol: protocol.unbind(), context, waiter: None, was_told: false };
                protocol = TlsProtocol::make(core, settings.clone_ref(py), &Role::Server, above)?.into_any();
            }
            StreamTransport::begin(
                core,
                accepted.port,
                Beginning {
                    protocol: protocol.unbind(),
                    context: context.unbind(),
                    extra: Extra::of_accepted(Addresses { peer: accepted.peer, local: self.local }),
                    file: accepted.file,
                    server: self.server.as_ref().map(|server| server.clone_ref(py)),
                    waiter: None,
                },
            )
        });
        let Err(error) = made else { return Ok(()) };
        if error::is_interrupt(py, &error) {
            return Err(error);
        }
        let details = PyDict::new(py);
        details.set_item(intern!(py, "message"), "Error on transport creation for incoming connection")?;
        details.set_item(intern!(py, "exception"), error.into_value(py))?;
        core.call_method1(intern!(py, "call_exception_handler"), (details,)).map(drop)
    }

    /// The system is short of something: it is asked again in a while.
    #[cold]
    fn on_error(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let (core, names) = (this.core.bind(py), Names::get(py)?);
        let is_shortage = error.raw_os_error().is_some_and(|number| SHORTAGES.contains(&number));
        let message = if is_shortage { "socket.accept() out of system resource" } else { "socket.accept() failed" };
        let details = PyDict::new(py);
        details.set_item(intern!(py, "message"), message)?;
        details.set_item(intern!(py, "exception"), error::of_system(error).into_value(py))?;
        details.set_item(intern!(py, "socket"), names.transport_socket.bind(py).call1((&this.socket,))?)?;
        core.call_method1(intern!(py, "call_exception_handler"), (details,))?;
        if is_shortage && this.is_listening(py) {
            drop(core.get().unwatch(py, this.port.source(), Side::Reader));
            core.call_method1(intern!(py, "call_later"), (RETRY_DELAY, slf.getattr(intern!(py, "_listen_again"))?))?;
        }
        Ok(())
    }
}

#[pymethods]
impl Listener {
    /// *tls* is an `ssl.SSLContext` with the time limits of the handshake and of the shutdown, in seconds.
    #[new]
    #[pyo3(signature = (core, socket, factory, server, backlog, tls = None))]
    fn new(
        core: &Bound<'_, LoopCore>,
        socket: Bound<'_, PyAny>,
        factory: Py<PyAny>,
        server: Option<Py<PyAny>>,
        backlog: usize,
        tls: Option<Tls<'_>>,
    ) -> PyResult<Self> {
        let py = core.py();
        let number: RawFd = descriptor(&socket)?;
        let world = &core.get().world;
        let port = sockets::claim(core, &socket, number)?.port(Kind::Socket);
        let local = port.local_address(py, world).map_err(|error| error::of_system(&error))?;
        Ok(Self {
            core: core.clone().unbind(),
            socket: socket.unbind(),
            port,
            factory,
            server,
            context: copy_current(py)?.unbind(),
            tls: tls
                .map(|(context, handshake, shutdown)| Settings::new(py, context, handshake, shutdown))
                .transpose()?,
            backlog: backlog.max(1),
            local: local.filter(|address| !address.ip().is_unspecified()),
            state: GilCell::new(State { batch: 1, is_scheduled: false }),
        })
    }

    /// Begins to accept.
    fn listen(slf: &Bound<'_, Self>) -> PyResult<()> {
        let sink = Sink::Listener(slf.clone().unbind());
        LoopCore::watch_for(slf.get().core.bind(slf.py()), slf.get().port.source(), Side::Reader, sink).map(drop)
    }

    /// Begins to accept again, unless the server was closed meanwhile.
    fn _listen_again(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let number: RawFd = this.socket.bind(py).call_method0(intern!(py, "fileno"))?.extract()?;
        if this.core.get().world.source(py, number) == this.port.source() { Self::listen(slf) } else { Ok(()) }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Listener {}>", self.socket.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        visit.call(&self.socket)?;
        visit.call(&self.factory)?;
        visit.call(&self.server)?;
        if let Some(tls) = &self.tls {
            tls.traverse(&visit)?;
        }
        visit.call(&self.context)
    }
}

/// Whether there is nothing to accept: nobody came, or who came is gone.
fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted)
}

/// `ENOMEM`, `ENFILE`, `EMFILE`, `ENOBUFS`.
const SHORTAGES: [i32; 4] = [12, 23, 24, 105];
/// asyncio's `ACCEPT_RETRY_DELAY`, in seconds.
const RETRY_DELAY: f64 = 1.0;
