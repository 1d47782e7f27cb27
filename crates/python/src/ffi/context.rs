//! Context variables (PEP 567): copying the current context and entering one, without a Python frame in between.

use pyo3::ffi;
use pyo3::prelude::*;

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
        // SAFETY: the thread is attached, no exception is set, and the argument is the context that was entered.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
            // Somebody has left another context current: not ours to mend, but to be seen.
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), Some(self.0));
        }
    }
}

/// A copy of the context of the calling thread (`contextvars.copy_context()`).
#[inline]
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: the thread is attached; the call gives a new reference or an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }.map(Bound::unbind)
}

/// A copy of `context` (`Context.copy`).
pub(crate) fn copy<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the thread is attached, and the call checks the type of its argument.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}
