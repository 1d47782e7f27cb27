//! Callbacks of descriptors: what `add_reader` and `add_writer` register.
//!
//! The table mirrors what epoll was told. A descriptor that was closed without being removed is forgotten by the system but
//! not by the table; when its number comes up again the two disagree, and [`Watchers::tell`] follows the system.

use crate::handle::Handle;
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
    reader: Option<Py<Handle>>,
    writer: Option<Py<Handle>>,
}

/// Which of the two callbacks of a descriptor.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Reader,
    Writer,
}

impl Watchers {
    /// Registers `handle`, and gives back the one that it replaces.
    pub(crate) fn add(
        &mut self,
        real: &Real,
        fd: RawFd,
        side: Side,
        handle: Py<Handle>,
    ) -> io::Result<Option<Py<Handle>>> {
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
        Ok(watch.slot(side).replace(handle))
    }

    /// Ends one registration, and gives back its handle.
    pub(crate) fn remove(&mut self, real: Option<&Real>, fd: RawFd, side: Side) -> Option<Py<Handle>> {
        let watch = self.table.get_mut(usize::try_from(fd).ok()?)?;
        let before = watch.interest();
        let handle = watch.slot(side).take()?;
        if let Some(real) = real {
            // A descriptor that is closed by now has left epoll by itself.
            let _ = Self::tell(real, fd, before, before.with(side, false));
        }
        Some(handle)
    }

    pub(crate) fn get(&self, fd: RawFd, side: Side) -> Option<&Py<Handle>> {
        let watch = self.table.get(usize::try_from(fd).ok()?)?;
        match side {
            Side::Reader => watch.reader.as_ref(),
            Side::Writer => watch.writer.as_ref(),
        }
    }

    pub(crate) fn handles(&self) -> impl Iterator<Item = &Py<Handle>> {
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

    fn slot(&mut self, side: Side) -> &mut Option<Py<Handle>> {
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
