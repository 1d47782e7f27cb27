//! The garbage collector: who refers to an object, and which objects it need not look at.

use pyo3::{Py, ffi};

/// Whether `object` is the only reference to what it refers to. To be called while the thread is attached, as it is in a
/// `__traverse__`, where no token can be had.
#[inline]
pub(crate) fn is_unique<T>(object: &Py<T>) -> bool {
    // SAFETY: reads the count of a live object; the collector runs under the interpreter lock.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) == 1 }
}

/// Hides an object from the collector, which tracks every object of a class made here. For classes that are part of no cycle, or
/// whose owner reports what they hold.
#[inline]
pub(crate) fn untrack<T>(object: &Py<T>) {
    // SAFETY: a live object of a class with a collector's header; its deallocator takes untracked ones as well.
    unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) }
}
