//! What the engine's queues hold: callbacks of the user; and steps of transports, servers, executors, child processes and calls of
//! sockets, which need no handle.

use crate::child::ChildWatch;
use crate::error;
use crate::event_loop::LoopCore;
use crate::executor::Call;
use crate::handle::Handle;
use crate::server::Listener;
use crate::sock::call::SocketCall;
use crate::threads::SimulatedThread;
use crate::transport::Step;
use crate::transport::datagram::DatagramTransport;
use crate::transport::stream::StreamTransport;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use soliloop_engine::Job;

pub(crate) enum Scheduled {
    Handle(Py<Handle>),
    Stream(Py<StreamTransport>, Step),
    Datagram(Py<DatagramTransport>, Step),
    Listener(Py<Listener>),
    /// What a thread of the default executor has called.
    Call(Py<Call>),
    Child(Py<ChildWatch>),
    SocketCall(Py<SocketCall>),
    /// A simulated thread goes on.
    Thread(Py<SimulatedThread>),
}

// One word and a tag: the queue is the loop's hottest memory.
const _: () = assert!(size_of::<Scheduled>() == 16);

impl Job for Scheduled {
    #[inline]
    fn is_cancelled(&self) -> bool {
        matches!(self, Self::Handle(handle) if handle.get().is_cancelled())
    }
}

impl Scheduled {
    /// Runs the job.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit` of the code that it calls, and what the exception handler itself raises.
    #[inline]
    pub(crate) fn run(self, core: &Bound<'_, LoopCore>) -> PyResult<()> {
        let py = core.py();
        match self {
            Self::Handle(handle) => {
                let handle = handle.into_bound(py);
                Handle::run(&handle)?;
                core.get().spare.take(handle);
                Ok(())
            }
            Self::Stream(transport, step) => {
                let transport = transport.into_bound(py);
                let done = StreamTransport::run(&transport, step);
                done.or_else(|error| error::contain(core, error, transport.as_any()))
            }
            Self::Datagram(transport, step) => {
                let transport = transport.into_bound(py);
                let done = DatagramTransport::run(&transport, step);
                done.or_else(|error| error::contain(core, error, transport.as_any()))
            }
            Self::Listener(listener) => {
                let listener = listener.into_bound(py);
                Listener::run(&listener).or_else(|error| error::contain(core, error, listener.as_any()))
            }
            Self::Call(call) => call.get().run(py),
            Self::Child(child) => child.get().run(core),
            Self::SocketCall(call) => SocketCall::wake(&call.into_bound(py)),
            Self::Thread(thread) => SimulatedThread::run(&thread.into_bound(py), core),
        }
    }

    /// What debug mode calls it.
    pub(crate) fn describe(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match self {
            Self::Handle(handle) => handle.bind(py).repr()?,
            Self::Stream(transport, _) => transport.bind(py).repr()?,
            Self::Datagram(transport, _) => transport.bind(py).repr()?,
            Self::Listener(listener) => listener.bind(py).repr()?,
            Self::Call(call) => call.bind(py).repr()?,
            Self::Child(child) => child.bind(py).repr()?,
            Self::SocketCall(call) => call.bind(py).repr()?,
            Self::Thread(thread) => thread.bind(py).repr()?,
        }
        .to_string())
    }

    /// Reports to the collector what the queue refers to.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Handle(handle) => visit.call(handle),
            Self::Stream(transport, _) => visit.call(transport),
            Self::Datagram(transport, _) => visit.call(transport),
            Self::Listener(listener) => visit.call(listener),
            Self::Call(call) => visit.call(call),
            Self::Child(child) => visit.call(child),
            Self::SocketCall(call) => visit.call(call),
            Self::Thread(thread) => visit.call(thread),
        }
    }

    /// Shows it to the collector, now that the loop has stopped.
    pub(crate) fn show(&self) {
        if let Self::Handle(handle) = self {
            Handle::show(handle);
        }
    }

    /// Lets go of what it holds: the loop is closed.
    pub(crate) fn clear(&self, py: Python<'_>) {
        match self {
            Self::Handle(handle) => handle.get().clear(py),
            Self::Call(call) => call.get().clear(py),
            Self::Stream(..)
            | Self::Datagram(..)
            | Self::Listener(_)
            | Self::Child(_)
            | Self::SocketCall(_)
            | Self::Thread(_) => {}
        }
    }
}
