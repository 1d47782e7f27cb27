//! Small facts about objects and threads that the interpreter tells by C functions only.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

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

/// Whether the running stack has a Python frame.
pub(crate) fn has_frame(_py: Python<'_>) -> bool {
    // SAFETY: the thread is attached; the call gives a borrowed reference or null.
    unsafe { !ffi::PyEval_GetFrame().is_null() }
}

/// Whether there are weak references to `object`.
#[inline]
pub(crate) fn has_weakrefs<T>(object: &Bound<'_, T>) -> bool {
    let object = object.as_ptr();
    // SAFETY: an object has the head of its list of weak references at this offset, if its type says one. (It is negative
    // where the interpreter keeps the list, which it does for classes that are written in Python.)
    unsafe {
        let offset = (*ffi::Py_TYPE(object)).tp_weaklistoffset;
        offset < 0 || (offset > 0 && !object.byte_offset(offset).cast::<*mut ffi::PyObject>().read().is_null())
    }
}

/// Calls `object.__init__(**options)` of its class once more.
///
/// # Errors
/// What it raises.
#[inline]
pub(crate) fn initialize(object: &Bound<'_, PyAny>, options: &Bound<'_, PyDict>) -> PyResult<()> {
    let none = PyTuple::empty(object.py());
    // SAFETY: every class has the slot, inherited from `object`; it gets what the interpreter would give it.
    let failed = unsafe {
        let class = ffi::Py_TYPE(object.as_ptr());
        (*class).tp_init.is_some_and(|init| init(object.as_ptr(), none.as_ptr(), options.as_ptr()) != 0)
    };
    if failed { Err(PyErr::fetch(object.py())) } else { Ok(()) }
}
