//! The ends of child processes: an event of a descriptor, with neither thread nor signal.
//!
//! The transport of a process is told in the context that the process was made in. Once it was, nothing is registered any more.

use crate::context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::context::copy_current;
use crate::job::Scheduled;
use crate::port::Source;
use crate::watchers::{Side, Sink};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_sys::child::Child;

/// Who waits for the end of a process.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct ChildWatch {
    /// Until it has ended.
    child: GilCell<Option<Child>>,
    transport: Py<PyAny>,
    context: Py<PyAny>,
}

/// Has the transport of a process told when it ends.
///
/// # Errors
/// What the system says: it may have no such descriptors, or no more of them, or know no such process.
pub(crate) fn watch(core: &Bound<'_, LoopCore>, pid: i32, transport: Py<PyAny>) -> PyResult<()> {
    let py = core.py();
    let child = Child::new(pid).map_err(|error| error::of_system(&error))?;
    let fd = child.descriptor();
    let context = copy_current(py)?.unbind();
    let watch = Py::new(py, ChildWatch { child: GilCell::new(Some(child)), transport, context })?;
    drop(LoopCore::watch_for(core, Source::Descriptor(fd), Side::Reader, Sink::Child(watch))?);
    Ok(())
}

impl ChildWatch {
    pub(crate) fn job(slf: &Py<Self>, py: Python<'_>) -> Scheduled {
        Scheduled::Child(slf.clone_ref(py))
    }

    /// The process has ended: takes its status, and tells the transport.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit`, and what the exception handler itself raises.
    pub(crate) fn run(&self, core: &Bound<'_, LoopCore>) -> PyResult<()> {
        let py = core.py();
        let Some(child) = self.child.replace(py, None) else { return Ok(()) };
        drop(core.get().unwatch(py, Source::Descriptor(child.descriptor()), Side::Reader));
        let status = child.status();
        drop(child);
        let told = context::call_in(self.context.bind(py), &core.get().nest, || match status {
            Ok(status) => self.transport.bind(py).call_method1(intern!(py, "_process_exited"), (status,)),
            Err(_) => core.call_method1(intern!(py, "_status_was_taken"), (&self.transport,)),
        });
        told.map(drop).or_else(|failure| {
            error::to_handler(core, "Exception while a transport was told of the end of its process", failure)
        })
    }
}

#[pymethods]
impl ChildWatch {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)?;
        visit.call(&self.context)
    }
}
