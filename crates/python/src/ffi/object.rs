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

/// Whether the innermost Python frame runs `code`.
pub(crate) fn is_called_by(code: &Py<PyAny>, py: Python<'_>) -> bool {
    // SAFETY: the thread is attached; the first call gives a borrowed reference or null, the second one a new reference.
    unsafe {
        let frame = ffi::PyEval_GetFrame();
        !frame.is_null() && Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast()).is(code)
    }
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

/// Raises the `StopIteration` with which an iterator returns `value`. The caller has to end its `__next__` with `Ok(None)`: a slot that
/// gives no object and leaves an exception set has raised it. This way no `PyErr` is made of it in between.
///
/// # Errors
/// What making the exception fails with.
#[inline]
pub(crate) fn stop_with(value: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: the thread is attached, and both arguments are live objects. A tuple or an exception would be taken for the arguments
    // of the exception, or for itself: those are wrapped first.
    unsafe {
        let kind = ffi::PyExc_StopIteration;
        if ffi::PyTuple_Check(value.as_ptr()) == 0 && ffi::PyExceptionInstance_Check(value.as_ptr()) == 0 {
            ffi::PyErr_SetObject(kind, value.as_ptr());
            return Ok(());
        }
        let exception = ffi::PyObject_CallFunctionObjArgs(kind, value.as_ptr(), std::ptr::null_mut::<ffi::PyObject>());
        let exception = Bound::from_owned_ptr_or_err(value.py(), exception)?;
        ffi::PyErr_SetObject(kind, exception.as_ptr());
    }
    Ok(())
}
