//! Reference counts, for the garbage collector.

use pyo3::{Py, ffi};

/// Whether `object` is the only reference to what it refers to. To be called while the thread is attached, as it is in a
/// `__traverse__`, where no token can be had.
pub(crate) fn is_unique<T>(object: &Py<T>) -> bool {
    // SAFETY: reads the count of a live object; the collector runs under the interpreter lock.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) == 1 }
}
