//! Context variables (PEP 567): copying the current context and entering one, without a Python frame in between.

use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};

/// A context that is current until this is dropped.
pub(crate) struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl<'a, 'py> Entered<'a, 'py> {
    /// Makes `context` current for the calling thread, as `Context.run` does.
    ///
    /// # Errors
    /// `RuntimeError` if it is entered already, `TypeError` if it is not a `contextvars.Context`.
    #[inline]
    pub(crate) fn enter(context: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        // SAFETY: the thread is attached, and the call checks the type of its argument.
        if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
            return Err(PyErr::fetch(context.py()));
        }
        Ok(Self(context))
    }
}

impl Drop for Entered<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        exit(self.0);
    }
}

/// Ends what [`Entered::enter`] began, where its guard was forgotten.
#[inline]
pub(crate) fn exit(context: &Bound<'_, PyAny>) {
    // SAFETY: the thread is attached, and no exception is set; the call refuses anything but the current context.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } != 0 {
        // Somebody has left another context current: not ours to mend, but to be seen.
        PyErr::fetch(context.py()).write_unraisable(context.py(), Some(context));
    }
}

/// Leaves `context`, if it is the current one and nothing was entered on top of it.
pub(crate) fn leave(context: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the thread is attached; the call refuses anything but the current context.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } == 0 {
        return true;
    }
    drop(PyErr::fetch(context.py()));
    false
}

/// Enters `context` again, which was left by [`leave`] and has an [`Entered`] on the stack.
///
/// # Errors
/// `RuntimeError` if somebody else is inside it.
pub(crate) fn reenter(context: &Bound<'_, PyAny>) -> PyResult<()> {
    Entered::enter(context).map(std::mem::forget)
}

/// A copy of the context of the calling thread (`contextvars.copy_context()`).
#[inline]
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the thread is attached; the call gives a new reference or an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// A copy of `context` (`Context.copy`).
pub(crate) fn copy<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the thread is attached, and the call checks the type of its argument.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}

/// Tells contexts with the same variables from others: the address of the immutable map that a context holds its variables in, or
/// `None` if that can't be told. Equal addresses mean equal variables while one of the contexts is alive and unchanged.
///
/// The map is what the type reports to the garbage collector (`gc.get_referents`) beside the context that was entered before.
#[inline]
pub(crate) fn variables(context: &Bound<'_, PyAny>) -> Option<usize> {
    unsafe extern "C" fn visit(object: *mut ffi::PyObject, found: *mut c_void) -> c_int {
        // SAFETY: `found` is the `Found` below, and `object` is alive.
        unsafe {
            let found = &mut *found.cast::<Found>();
            if ffi::Py_TYPE(object) != found.context_type {
                found.count += 1;
                found.map = object as usize;
            }
        }
        0
    }
    struct Found {
        context_type: *mut ffi::PyTypeObject,
        map: usize,
        count: usize,
    }
    // SAFETY: reads the type of a live object; its traverse function calls `visit`, which calls nothing, with live objects.
    unsafe {
        let context_type = ffi::Py_TYPE(context.as_ptr());
        let mut found = Found { context_type, map: 0, count: 0 };
        let traverse = (*context_type).tp_traverse?;
        traverse(context.as_ptr(), visit, (&raw mut found).cast());
        (found.count == 1).then_some(found.map)
    }
}
