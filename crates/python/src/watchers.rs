//! What waits for descriptors: callbacks that `add_reader` and `add_writer` register, transports, servers, ends of child processes; and calls
//! of sockets.
//!
//! All but the calls are sinks, at most one a side, told as long as a descriptor is ready (level-triggered). Calls of sockets have the
//! descriptor stay registered between them, and are told of each change once (edge-triggered), unless there is a sink as well: then the
//! one registration of the descriptor asks for what both want, level-triggered, and nothing is remembered between calls.
//!
//! The table mirrors what epoll was told. A descriptor that was closed without being removed is forgotten by the system but
//! not by the table; when its number comes up again the two disagree, and [`World::tell`] follows the system.

use crate::child::ChildWatch;
use crate::handle::Handle;
use crate::job::Scheduled;
use crate::port::Source;
use crate::server::Listener;
use crate::sock::call::SocketCall;
use crate::sock::readiness::{Calls, Known};
use crate::threads::SimulatedThread;
use crate::transport::datagram::DatagramTransport;
use crate::transport::stream::StreamTransport;
use crate::world::World;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use soliloop_engine::world::{Interest, Readiness};
use std::io;

#[derive(Default)]
pub(crate) struct Watchers {
    /// Indexed by descriptor.
    descriptors: Vec<Watch>,
    /// Indexed by the place of the simulated socket.
    simulated: Vec<Watch>,
}

#[derive(Default)]
struct Watch {
    reader: Option<Sink>,
    writer: Option<Sink>,
    /// Whether a transport has the descriptor for its own.
    is_owned: bool,
    /// Calls of sockets. While it is there, the descriptor is registered.
    calls: Option<Box<Calls>>,
}

/// Who is told when a descriptor is ready.
pub(crate) enum Sink {
    Handle(Py<Handle>),
    Stream(Py<StreamTransport>),
    Datagram(Py<DatagramTransport>),
    Listener(Py<Listener>),
    Child(Py<ChildWatch>),
    Thread(Py<SimulatedThread>),
}

impl Sink {
    /// The job that tells it, if there is need of one.
    #[inline]
    pub(crate) fn job(&self, py: Python<'_>, side: Side) -> Option<Scheduled> {
        match self {
            Self::Handle(handle) => Some(Scheduled::Handle(handle.clone_ref(py))),
            Self::Stream(transport) => StreamTransport::note_ready(transport, py, side),
            Self::Datagram(transport) => DatagramTransport::note_ready(transport, py, side),
            Self::Listener(listener) => Listener::note_ready(listener, py),
            Self::Child(child) => Some(ChildWatch::job(child, py)),
            Self::Thread(thread) => SimulatedThread::note_ready(thread, py),
        }
    }

    /// Whether it is a callback that was cancelled by its handle, and not by a remove.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Handle(handle) if handle.get().is_cancelled())
    }

    /// The object itself, for messages.
    pub(crate) fn object(&self, py: Python<'_>) -> Py<PyAny> {
        match self {
            Self::Handle(handle) => handle.clone_ref(py).into_any(),
            Self::Stream(transport) => transport.clone_ref(py).into_any(),
            Self::Datagram(transport) => transport.clone_ref(py).into_any(),
            Self::Listener(listener) => listener.clone_ref(py).into_any(),
            Self::Child(child) => child.clone_ref(py).into_any(),
            Self::Thread(thread) => thread.clone_ref(py).into_any(),
        }
    }

    /// Reports to the collector what the table refers to.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Handle(handle) => visit.call(handle),
            Self::Stream(transport) => visit.call(transport),
            Self::Datagram(transport) => visit.call(transport),
            Self::Listener(listener) => visit.call(listener),
            Self::Child(child) => visit.call(child),
            Self::Thread(thread) => visit.call(thread),
        }
    }
}

/// Which of the two callbacks of a descriptor.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Reader,
    Writer,
}

impl Watchers {
    #[inline]
    fn watch(&self, source: Source) -> Option<&Watch> {
        match source {
            Source::Descriptor(fd) => self.descriptors.get(usize::try_from(fd).ok()?),
            Source::Simulated(id) => self.simulated.get(id.index()),
        }
    }

    #[inline]
    fn watch_mut(&mut self, source: Source) -> Option<&mut Watch> {
        match source {
            Source::Descriptor(fd) => self.descriptors.get_mut(usize::try_from(fd).ok()?),
            Source::Simulated(id) => self.simulated.get_mut(id.index()),
        }
    }

    /// As [`Watchers::watch_mut`], and makes room first.
    fn entry(&mut self, source: Source) -> io::Result<&mut Watch> {
        let (table, index) = match source {
            Source::Descriptor(fd) => match usize::try_from(fd) {
                Ok(index) => (&mut self.descriptors, index),
                Err(_) => return Err(io::Error::from_raw_os_error(libc::EBADF)),
            },
            Source::Simulated(id) => (&mut self.simulated, id.index()),
        };
        if index >= table.len() {
            table.resize_with(index + 1, Watch::default);
        }
        Ok(&mut table[index])
    }

    fn watches(&self) -> impl Iterator<Item = &Watch> {
        self.descriptors.iter().chain(&self.simulated)
    }

    /// Registers `sink`, and gives back the one that it replaces.
    pub(crate) fn add(
        &mut self,
        py: Python<'_>,
        world: &World,
        source: Source,
        side: Side,
        sink: Sink,
    ) -> io::Result<Option<Sink>> {
        let nothing = Watch::default();
        let watch = self.watch(source).unwrap_or(&nothing);
        // Told even if nothing changes: the number may stand for another descriptor by now. Told before the table grows: only the
        // system knows whether there is a descriptor of that number at all.
        world.tell(py, source, watch.interest(), watch.interest_if(side, true))?;
        let watch = self.entry(source)?;
        if let Some(calls) = &mut watch.calls {
            calls.forget_readiness(false);
        }
        Ok(watch.slot(side).replace(sink))
    }

    /// Ends one registration, and gives back what was registered.
    pub(crate) fn remove(&mut self, py: Python<'_>, world: Option<&World>, source: Source, side: Side) -> Option<Sink> {
        let watch = self.watch_mut(source)?;
        let (before, after) = (watch.interest(), watch.interest_if(side, false));
        let sink = watch.slot(side).take()?;
        if let Some(world) = world {
            // A descriptor that is closed by now has left epoll by itself.
            let _ = world.tell(py, source, before, after);
        }
        if after.is_none() {
            watch.calls = None;
        } else if let Some(calls) = &mut watch.calls {
            calls.forget_readiness(after.is_edge);
        }
        Some(sink)
    }

    pub(crate) fn get(&self, source: Source, side: Side) -> Option<&Sink> {
        let watch = self.watch(source)?;
        match side {
            Side::Reader => watch.reader.as_ref(),
            Side::Writer => watch.writer.as_ref(),
        }
    }

    /// Marks a descriptor as a transport's own, or no longer so.
    pub(crate) fn set_owned(&mut self, source: Source, is_owned: bool) {
        if let Ok(watch) = self.entry(source) {
            watch.is_owned = is_owned;
        }
    }

    /// Whether a transport has the descriptor for its own.
    pub(crate) fn is_owned(&self, source: Source) -> bool {
        self.watch(source).is_some_and(|watch| watch.is_owned)
    }

    /// Whether somebody waits for what a descriptor brings: a call of a socket, the end of a child process, an answer of a peer. Servers and
    /// connections that only listen don't count, and neither do readers of the program's own.
    pub(crate) fn is_outside_busy(&self, py: Python<'_>) -> bool {
        self.descriptors.iter().any(|watch| {
            let is_busy = |sink: &Sink| match sink {
                Sink::Stream(transport) => transport.get().is_asking(py),
                Sink::Child(_) | Sink::Thread(_) => true,
                Sink::Datagram(transport) => transport.get().is_asking(py),
                Sink::Handle(_) | Sink::Listener(_) => false,
            };
            watch.writer.is_some()
                || watch.reader.as_ref().is_some_and(is_busy)
                || watch.waits(Side::Reader)
                || watch.waits(Side::Writer)
        })
    }

    /// Forgets all about a source that is gone; gives what was known, to be dropped.
    pub(crate) fn forget(&mut self, source: Source) -> Option<impl Sized + use<>> {
        self.watch_mut(source).map(std::mem::take)
    }

    pub(crate) fn sinks(&self) -> impl Iterator<Item = &Sink> {
        self.watches().flat_map(|watch| watch.reader.iter().chain(watch.writer.iter()))
    }

    // ------------------------------------------------------------------ calls of sockets

    /// What is known of one side of a socket, which is behind `source`.
    #[inline]
    pub(crate) fn look(&self, source: Source, socket: &Bound<'_, PyAny>, side: Side) -> Known {
        match self.calls(source) {
            Some(calls) if calls.is_of(socket) => calls.look(side),
            _ => Known::Nothing,
        }
    }

    /// Registers a socket for calls. Calls that wait for the same number go on waiting: if it has become another socket's meanwhile, the
    /// next event tells them.
    pub(crate) fn register(
        &mut self,
        py: Python<'_>,
        world: &World,
        source: Source,
        mut calls: Box<Calls>,
    ) -> io::Result<()> {
        let watch = self.entry(source)?;
        if let Some(before) = watch.calls.take() {
            calls.inherit(*before);
        }
        let after = if watch.has_sink() { watch.interest() } else { calls.edges() };
        // The table may be wrong about what is registered.
        if let Err(error) = world.tell(py, source, Interest::NONE, after) {
            watch.calls = Some(calls);
            return Err(error);
        }
        calls.forget_readiness(after.is_edge);
        watch.calls = Some(calls);
        Ok(())
    }

    /// Has a call wait, in its turn. `saw_nothing`: it has tried, and the system had nothing for it. Gives whether epoll must be told.
    #[inline]
    pub(crate) fn wait(&mut self, source: Source, side: Side, call: &Bound<'_, SocketCall>, saw_nothing: bool) -> bool {
        let Some(watch) = self.watch_mut(source) else { return false };
        let wants_more = watch.calls.as_mut().is_some_and(|calls| calls.wait(side, call, saw_nothing));
        wants_more || watch.has_sink()
    }

    /// A call is over. Gives the job of the next one that may go on, and whether epoll must be told.
    #[inline]
    pub(crate) fn end_wait(
        &mut self,
        source: Source,
        side: Side,
        call: &Bound<'_, SocketCall>,
    ) -> (Option<Scheduled>, bool) {
        let Some(watch) = self.watch_mut(source) else { return (None, false) };
        (watch.calls.as_mut().and_then(|calls| calls.end_wait(side, call)), watch.has_sink())
    }

    /// Calls want more than before. Or they have come or gone beside a sink: what is not waited for any more would be reported over
    /// and over.
    #[cold]
    pub(crate) fn tell_of_calls(&self, py: Python<'_>, world: &World, source: Source) -> io::Result<()> {
        let watch = self.watch(source);
        watch.map_or(Ok(()), |watch| world.tell(py, source, watch.interest(), watch.interest()))
    }

    pub(crate) fn calls(&self, source: Source) -> Option<&Calls> {
        self.watch(source)?.calls.as_deref()
    }

    pub(crate) fn calls_mut(&mut self, source: Source) -> Option<&mut Calls> {
        self.watch_mut(source)?.calls.as_deref_mut()
    }

    /// Notes what has happened at a source; gives the jobs of the calls that it concerns, and nothing if it has none to do with
    /// calls.
    #[inline]
    pub(crate) fn note(&mut self, py: Python<'_>, source: Source, now: Readiness) -> Option<[Option<Scheduled>; 2]> {
        self.calls_mut(source).map(|calls| calls.note(py, now))
    }

    /// Every call that waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Py<SocketCall>> {
        self.watches().filter_map(|watch| watch.calls.as_deref()).flat_map(Calls::waiting)
    }
}

impl Watch {
    /// What epoll was told.
    fn interest(&self) -> Interest {
        self.interest_of(self.reader.is_some(), self.writer.is_some())
    }

    /// What epoll is to be told when a sink comes or goes.
    fn interest_if(&self, side: Side, is_watched: bool) -> Interest {
        let after = match side {
            Side::Reader => self.interest_of(is_watched, self.writer.is_some()),
            Side::Writer => self.interest_of(self.reader.is_some(), is_watched),
        };
        // What was registered for calls ends with the last sink, unless calls wait: most likely a transport was made of the socket.
        let is_idle = !(self.waits(Side::Reader) || self.waits(Side::Writer));
        if after.is_edge && is_idle { Interest::NONE } else { after }
    }

    fn interest_of(&self, reads: bool, writes: bool) -> Interest {
        if reads || writes {
            let (read, write) = (reads || self.waits(Side::Reader), writes || self.waits(Side::Writer));
            return Interest { read, write, is_edge: false };
        }
        self.calls.as_ref().map_or(Interest::NONE, |calls| calls.edges())
    }

    fn has_sink(&self) -> bool {
        self.reader.is_some() || self.writer.is_some()
    }

    /// Whether a call waits.
    fn waits(&self, side: Side) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.waits(side))
    }

    fn slot(&mut self, side: Side) -> &mut Option<Sink> {
        match side {
            Side::Reader => &mut self.reader,
            Side::Writer => &mut self.writer,
        }
    }
}
