//! The garbage collector: which objects it looks at, and when it is at work.

use super::object::thread_ident;
use pyo3::ffi;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The number of references to what `object` refers to, itself included.
#[inline]
pub(crate) fn references<T>(_py: Python<'_>, object: &Py<T>) -> isize {
    // SAFETY: reads the count of a live object, under the interpreter lock.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// Hides an object from the collector, until [`track`]. For what is alive anyway, so that the collector need not walk through it.
#[inline]
pub(crate) fn untrack<T>(object: &Py<T>) {
    // SAFETY: a live object of a class with a collector's header; its deallocator takes untracked ones as well.
    unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) }
}

/// Shows an object to the collector that was hidden from it.
pub(crate) fn track<T>(object: &Py<T>) {
    let object = object.as_ptr();
    // SAFETY: a live object of a class with a collector's header, whole since its construction has ended.
    unsafe {
        if ffi::PyObject_GC_IsTracked(object) == 0 {
            ffi::PyObject_GC_Track(object.cast());
        }
    }
}

/// A field of a class whose instances have a `__dict__`, its own or a subclass's: Python 3.11 makes the dictionary after the collector has been
/// shown the object and before its fields are written, and may collect then. The memory is all zeros at that time, which this tells.
pub(crate) struct Made(AtomicBool);

impl Made {
    /// The field of an object that is made.
    pub(crate) const fn yes() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Whether the object's other fields may be looked at.
    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The thread that is in the midst of a collection, as `threading.get_ident()`; 0 if none is.
static COLLECTING: AtomicU64 = AtomicU64::new(0);

/// Whether the calling thread is in the midst of a collection. Known once [`watch`] was called.
pub(crate) fn is_collecting(py: Python<'_>) -> bool {
    COLLECTING.load(Relaxed) == thread_ident(py)
}

/// Begins to watch collections (`gc.callbacks`).
pub(crate) fn watch(py: Python<'_>) -> PyResult<()> {
    let callbacks = py.import("gc")?.getattr("callbacks")?;
    callbacks.call_method1("append", (wrap_pyfunction!(_on_collection, py)?,)).map(drop)
}

#[pyfunction]
fn _on_collection(py: Python<'_>, phase: &str, _info: &Bound<'_, PyAny>) {
    COLLECTING.store(if phase == "start" { thread_ident(py) } else { 0 }, Relaxed);
}
