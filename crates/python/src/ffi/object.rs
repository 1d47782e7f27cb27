//! Small facts about objects and threads that the interpreter tells by C functions only.

use pyo3::ffi;
use pyo3::prelude::*;

/// Whether `object` is a coroutine of an `async def` function, and of no other type.
#[inline]
pub(crate) fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: compares the type of a live object with a static one.
    unsafe { ffi::Py_TYPE(object.as_ptr()) == &raw mut ffi::PyCoro_Type }
}

/// The number of the calling thread, as `threading.get_ident()`.
#[inline]
pub(crate) fn thread_ident(_py: Python<'_>) -> u64 {
    // SAFETY: has no requirements once the interpreter runs.
    unsafe { ffi::PyThread_get_thread_ident() }
}
