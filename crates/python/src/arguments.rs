//! What a callback is called with: the only argument itself, or a tuple of all of them.
//!
//! Most callbacks have one argument or none; a tuple for it would be half as large as the handle.

use crate::ffi::method::Values;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The arguments of a callback.
pub(crate) struct Args(Py<PyAny>);

impl Args {
    #[inline]
    pub(crate) fn of(values: Values<'_, '_>) -> PyResult<Self> {
        match values.get(0) {
            // One that is a tuple itself would be taken for all of them.
            Some(only) if values.len() == 1 && !only.is_exact_instance_of::<PyTuple>() => {
                Ok(Self(only.to_owned().unbind()))
            }
            _ => Ok(Self(values.to_tuple()?.into_any().unbind())),
        }
    }

    /// Those of `_set_result_unless_cancelled(future, result)`; the result of a sleep is hardly ever another than `None`.
    #[inline]
    pub(crate) fn of_sleep(values: Values<'_, '_>) -> PyResult<Self> {
        match (values.get(0), values.get(1)) {
            (Some(future), Some(result)) if result.is_none() && !future.is_exact_instance_of::<PyTuple>() => {
                Ok(Self(future.to_owned().unbind()))
            }
            _ => Ok(Self(values.to_tuple()?.into_any().unbind())),
        }
    }

    /// Calls `callback` with them.
    ///
    /// # Errors
    /// What it raises.
    #[inline]
    pub(crate) fn call<'py>(&self, callback: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let args = self.0.bind(callback.py());
        match args.cast_exact::<PyTuple>() {
            Ok(all) => callback.call1(all),
            Err(_) => callback.call1((args,)),
        }
    }

    /// The future and the result of [`Args::of_sleep`].
    #[inline]
    pub(crate) fn sleep<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let args = self.0.bind(py);
        match args.cast_exact::<PyTuple>() {
            Ok(all) => Ok((all.get_item(0)?, all.get_item(1)?)),
            Err(_) => Ok((args.clone(), py.None().into_bound(py))),
        }
    }

    /// All of them.
    pub(crate) fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let args = self.0.bind(py);
        args.cast_exact::<PyTuple>().map_or_else(|_| PyTuple::new(py, [args]), |all| Ok(all.clone()))
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// Drops them, where the thread is known to be attached.
    #[inline]
    pub(crate) fn release(self, py: Python<'_>) {
        drop(self.0.into_bound(py));
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

impl From<Py<PyTuple>> for Args {
    fn from(all: Py<PyTuple>) -> Self {
        Self(all.into_any())
    }
}
