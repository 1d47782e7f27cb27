//! The loop's side of watching descriptors: what `watchers` registers, and under which conditions.

use crate::error;
use crate::event_loop::LoopCore;
use crate::handle::Handle;
use crate::watchers::{Side, Sink};
use crate::world::World;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::os::fd::RawFd;

impl LoopCore {
    /// Has `callback` called whenever a descriptor is ready.
    pub(crate) fn watch(
        slf: &Bound<'_, Self>,
        fd: RawFd,
        side: Side,
        callback: Py<PyAny>,
        args: Py<PyTuple>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Py<Handle>> {
        let (py, this) = (slf.py(), slf.get());
        let mut content = Self::content(slf, callback, args, context, "add_reader")?;
        // It runs many times, and each time finds the variables as it left them.
        drop(content.context.object(py)?);
        let handle = Handle::watcher(py, content)?;
        if let Some(Sink::Handle(replaced)) = this.watch_for(py, fd, side, Sink::Handle(handle.clone_ref(py)))? {
            replaced.bind(py).call_method0(intern!(py, "cancel"))?;
        }
        Ok(handle)
    }

    /// Has `sink` told when a descriptor is ready; gives what was registered before.
    pub(crate) fn watch_for(&self, py: Python<'_>, fd: RawFd, side: Side, sink: Sink) -> PyResult<Option<Sink>> {
        let World::Real(world) = &self.world else {
            return Err(PyRuntimeError::new_err("a simulated loop does not watch real descriptors"));
        };
        let real = world.real(py)?;
        let replaced = self.watchers.with(py, |watchers| watchers.add(&real, fd, side, sink));
        replaced.map_err(|error| error::of_system(&error))
    }

    /// Ends a registration; gives what was registered.
    pub(crate) fn unwatch(&self, py: Python<'_>, fd: RawFd, side: Side) -> Option<Sink> {
        // The child of a fork shares its parent's epoll, and must leave it alone.
        let real = self.world.descriptors().filter(|_| !self.is_forked()).and_then(|world| world.opened(py));
        self.watchers.with(py, |watchers| watchers.remove(real.as_deref(), fd, side))
    }

    /// Ends a registration, and cancels the callback; tells whether there was one.
    pub(crate) fn remove(&self, py: Python<'_>, fd: RawFd, side: Side) -> PyResult<bool> {
        if self.is_closed() {
            return Ok(false);
        }
        match self.unwatch(py, fd, side) {
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
