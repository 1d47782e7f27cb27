//! The loop's side of watching descriptors: what `watchers` registers, and under which conditions.

use crate::context::Context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::handle::Handle;
use crate::port::Source;
use crate::sockets;
use crate::watchers::{Side, Sink};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::os::fd::RawFd;

impl LoopCore {
    /// Has `callback` called whenever a descriptor is ready.
    pub(crate) fn watch(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        side: Side,
        callback: Py<PyAny>,
        args: Py<PyTuple>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Py<Handle>> {
        let (py, number) = (slf.py(), descriptor(fd)?);
        let mut content = Self::content(slf, callback, args.into(), context.map(Context::Given), c"add_reader")?;
        // It runs many times, and each time finds the variables as it left them.
        drop(content.context.object(py)?);
        let handle = Handle::watcher(py, content)?;
        let source = sockets::claim(slf, fd, number)?;
        if let Some(Sink::Handle(replaced)) = Self::watch_for(slf, source, side, Sink::Handle(handle.clone_ref(py)))? {
            replaced.bind(py).call_method0(intern!(py, "cancel"))?;
        }
        Ok(handle)
    }

    /// Has `sink` told when a source is ready; gives what was registered before.
    pub(crate) fn watch_for(slf: &Bound<'_, Self>, source: Source, side: Side, sink: Sink) -> PyResult<Option<Sink>> {
        let (py, this) = (slf.py(), slf.get());
        Self::check_inside(slf, source)?;
        let replaced = this.watchers.with(py, |watchers| watchers.add(py, &this.world, source, side, sink));
        replaced.map_err(|error| error::of_system(&error))
    }

    /// Refuses what is outside of the loop's world.
    ///
    /// # Errors
    /// `OutsideWorldError`.
    pub(crate) fn check_inside(slf: &Bound<'_, Self>, source: Source) -> PyResult<()> {
        if slf.get().world.reaches(source) {
            return Ok(());
        }
        let what = format!("descriptor {}, which belongs to the real world, was to be watched", source.number());
        Err(PyErr::from_value(slf.call_method1(intern!(slf.py(), "_outside_error"), (what,))?))
    }

    /// Ends a registration; gives what was registered.
    pub(crate) fn unwatch(&self, py: Python<'_>, source: Source, side: Side) -> Option<Sink> {
        // The child of a fork shares its parent's epoll, and must leave it alone.
        let world = Some(&self.world).filter(|_| !self.is_forked());
        self.watchers.with(py, |watchers| watchers.remove(py, world, source, side))
    }

    /// Ends a registration, and cancels the callback; tells whether there was one.
    pub(crate) fn remove(&self, py: Python<'_>, fd: RawFd, side: Side) -> PyResult<bool> {
        if self.is_closed() {
            return Ok(false);
        }
        match self.unwatch(py, self.world.source(py, fd), side) {
            Some(Sink::Handle(handle)) => handle.bind(py).call_method0(intern!(py, "cancel")).map(|_| true),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }
}

/// The number of a descriptor, given as an int or as an object with `fileno()`.
pub(crate) fn descriptor(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let given = object.extract::<RawFd>().or_else(|_| {
        let number = object.call_method0(intern!(object.py(), "fileno"))?;
        number.extract::<RawFd>()
    });
    match given {
        Ok(fd) if fd >= 0 => Ok(fd),
        Ok(fd) => Err(PyValueError::new_err(format!("Invalid file descriptor: {fd}"))),
        Err(_) => Err(PyValueError::new_err(format!("Invalid file object: {}", object.repr()?))),
    }
}
