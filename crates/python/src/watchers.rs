//! What waits for descriptors: callbacks that `add_reader` and `add_writer` register, transports, servers, ends of child processes.
//!
//! The table mirrors what epoll was told. A descriptor that was closed without being removed is forgotten by the system but
//! not by the table; when its number comes up again the two disagree, and [`Watchers::tell`] follows the system.

use crate::child::ChildWatch;
use crate::handle::Handle;
use crate::job::Scheduled;
use crate::server::Listener;
use crate::transport::stream::StreamTransport;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use soliloop_engine::world::real::{Interest, Real};
use std::io;
use std::os::fd::RawFd;

#[derive(Default)]
pub(crate) struct Watchers {
    /// Indexed by descriptor.
    table: Vec<Watch>,
}

#[derive(Default)]
struct Watch {
    reader: Option<Sink>,
    writer: Option<Sink>,
    /// Whether a transport has the descriptor for its own.
    is_owned: bool,
}

/// Who is told when a descriptor is ready.
pub(crate) enum Sink {
    Handle(Py<Handle>),
    Stream(Py<StreamTransport>),
    Listener(Py<Listener>),
    Child(Py<ChildWatch>),
}

impl Sink {
    /// The job that tells it, if there is need of one.
    #[inline]
    pub(crate) fn job(&self, py: Python<'_>, side: Side) -> Option<Scheduled> {
        match self {
            Self::Handle(handle) => Some(Scheduled::Handle(handle.clone_ref(py))),
            Self::Stream(transport) => StreamTransport::note_ready(transport, py, side),
            Self::Listener(listener) => Listener::note_ready(listener, py),
            Self::Child(child) => Some(ChildWatch::job(child, py)),
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
            Self::Listener(listener) => listener.clone_ref(py).into_any(),
            Self::Child(child) => child.clone_ref(py).into_any(),
        }
    }

    /// Reports to the collector what the table refers to.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Handle(handle) => visit.call(handle),
            Self::Stream(transport) => visit.call(transport),
            Self::Listener(listener) => visit.call(listener),
            Self::Child(child) => visit.call(child),
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
    /// Registers `sink`, and gives back the one that it replaces.
    pub(crate) fn add(&mut self, real: &Real, fd: RawFd, side: Side, sink: Sink) -> io::Result<Option<Sink>> {
        let Ok(index) = usize::try_from(fd) else {
            return Err(io::Error::from_raw_os_error(BAD_DESCRIPTOR));
        };
        let before = self.table.get(index).map_or(Interest { read: false, write: false }, Watch::interest);
        // Told even if nothing changes: the number may stand for another descriptor by now. Told before the table grows: only the
        // system knows whether there is a descriptor of that number at all.
        Self::tell(real, fd, before, before.with(side, true))?;
        if index >= self.table.len() {
            self.table.resize_with(index + 1, Watch::default);
        }
        let watch = &mut self.table[index];
        Ok(watch.slot(side).replace(sink))
    }

    /// Ends one registration, and gives back what was registered.
    pub(crate) fn remove(&mut self, real: Option<&Real>, fd: RawFd, side: Side) -> Option<Sink> {
        let watch = self.table.get_mut(usize::try_from(fd).ok()?)?;
        let before = watch.interest();
        let sink = watch.slot(side).take()?;
        if let Some(real) = real {
            // A descriptor that is closed by now has left epoll by itself.
            let _ = Self::tell(real, fd, before, before.with(side, false));
        }
        Some(sink)
    }

    pub(crate) fn get(&self, fd: RawFd, side: Side) -> Option<&Sink> {
        let watch = self.table.get(usize::try_from(fd).ok()?)?;
        match side {
            Side::Reader => watch.reader.as_ref(),
            Side::Writer => watch.writer.as_ref(),
        }
    }

    /// Marks a descriptor as a transport's own, or no longer so.
    pub(crate) fn set_owned(&mut self, fd: RawFd, is_owned: bool) {
        let Ok(index) = usize::try_from(fd) else { return };
        if index >= self.table.len() {
            self.table.resize_with(index + 1, Watch::default);
        }
        self.table[index].is_owned = is_owned;
    }

    /// Whether a transport has the descriptor for its own.
    pub(crate) fn is_owned(&self, fd: RawFd) -> bool {
        usize::try_from(fd).is_ok_and(|index| self.table.get(index).is_some_and(|watch| watch.is_owned))
    }

    pub(crate) fn sinks(&self) -> impl Iterator<Item = &Sink> {
        self.table.iter().flat_map(|watch| watch.reader.iter().chain(watch.writer.iter()))
    }

    fn tell(real: &Real, fd: RawFd, before: Interest, after: Interest) -> io::Result<()> {
        if after.is_none() {
            return real.unwatch(fd);
        }
        if before.is_none() {
            return match real.watch(fd, after) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => real.rewatch(fd, after),
                done => done,
            };
        }
        match real.rewatch(fd, after) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => real.watch(fd, after),
            done => done,
        }
    }
}

impl Watch {
    fn interest(&self) -> Interest {
        Interest { read: self.reader.is_some(), write: self.writer.is_some() }
    }

    fn slot(&mut self, side: Side) -> &mut Option<Sink> {
        match side {
            Side::Reader => &mut self.reader,
            Side::Writer => &mut self.writer,
        }
    }
}

trait With {
    fn with(self, side: Side, wanted: bool) -> Self;
}

impl With for Interest {
    fn with(mut self, side: Side, wanted: bool) -> Self {
        match side {
            Side::Reader => self.read = wanted,
            Side::Writer => self.write = wanted,
        }
        self
    }
}

/// `EBADF`.
const BAD_DESCRIPTOR: i32 = 9;
