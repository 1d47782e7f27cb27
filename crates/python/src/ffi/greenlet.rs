//! The C interface of the package `greenlet`: stacks that can be left and gone back to.
//!
//! A greenlet belongs to the thread that made it. A switch gives back control when something switches to the greenlet that
//! called it, or when its children have ended. The numbers below are those of `greenlet.h`, which have been kept since 1.0.

use pyo3::PyTraverseError;
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::ffi::{c_int, c_void};

/// One stack.
pub(crate) struct Greenlet(Py<PyAny>);

type Object = *mut ffi::PyObject;
type New = unsafe extern "C" fn(Object, Object) -> Object;
type Current = unsafe extern "C" fn() -> Object;
type Switch = unsafe extern "C" fn(Object, Object, Object) -> Object;
type Throw = unsafe extern "C" fn(Object, Object, Object, Object) -> Object;
type SetParent = unsafe extern "C" fn(Object, Object) -> c_int;

struct Api {
    new: New,
    current: Current,
    throw: Throw,
    switch: Switch,
    set_parent: SetParent,
}

impl Greenlet {
    /// The greenlet that is running.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        let api = api(py)?;
        // SAFETY: the thread is attached; the call gives a new reference or an exception.
        unsafe { Bound::from_owned_ptr_or_err(py, (api.current)()) }.map(|this| Self(this.unbind()))
    }

    /// A greenlet that will call `run` when it is first switched to, and whose end switches to `parent`.
    pub(crate) fn new(run: &Bound<'_, PyAny>, parent: &Self) -> PyResult<Self> {
        let py = run.py();
        let api = api(py)?;
        // SAFETY: both arguments are live objects, the second one a greenlet; the call gives a new reference or an exception.
        unsafe { Bound::from_owned_ptr_or_err(py, (api.new)(run.as_ptr(), parent.0.as_ptr())) }
            .map(|new| Self(new.unbind()))
    }

    /// Leaves the running stack for this one, which gets `value` where it left (nothing: an empty tuple); returns what comes
    /// back when something switches to the running one again.
    ///
    /// # Errors
    /// What was thrown into the running stack meanwhile, and `greenlet.error` if this one belongs to another thread.
    pub(crate) fn switch<'py>(&self, py: Python<'py>, value: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let api = api(py)?;
        let args = value.map(|value| PyTuple::new(py, [value])).transpose()?;
        let args = args.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
        let this = self.0.clone_ref(py);
        // SAFETY: the object is a greenlet, kept alive here; null arguments stand for none. No cell of the loop is in use, since
        // a cell is never in use across a call into Python.
        unsafe { Bound::from_owned_ptr_or_err(py, (api.switch)(this.as_ptr(), args, std::ptr::null_mut())) }
    }

    /// As [`Greenlet::switch`], but raises `error` where this stack left.
    pub(crate) fn throw<'py>(&self, py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyAny>> {
        let api = api(py)?;
        let this = self.0.clone_ref(py);
        let (kind, value) = (error.get_type(py), error.value(py));
        let traceback = error.traceback(py);
        let traceback = traceback.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
        // SAFETY: as in `switch`; the error's parts are alive until the call returns.
        unsafe {
            let arrived = (api.throw)(this.as_ptr(), kind.as_ptr(), value.as_ptr(), traceback);
            Bound::from_owned_ptr_or_err(py, arrived)
        }
    }

    /// Makes `parent` the greenlet that gets control when this one ends.
    pub(crate) fn set_parent(&self, py: Python<'_>, parent: &Self) -> PyResult<()> {
        let api = api(py)?;
        // SAFETY: both are greenlets.
        if unsafe { (api.set_parent)(self.0.as_ptr(), parent.0.as_ptr()) } != 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(())
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }

    /// The Python object.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.0.bind(py)
    }
}

fn api(py: Python<'_>) -> PyResult<&'static Api> {
    static API: PyOnceLock<Api> = PyOnceLock::new();
    API.get_or_try_init(py, || {
        // SAFETY: the thread is attached, and the name is a C string.
        let table = unsafe { ffi::PyCapsule_Import(c"greenlet._C_API".as_ptr(), 0) }.cast::<*mut c_void>();
        if table.is_null() {
            let cause = PyErr::fetch(py);
            let error = PyImportError::new_err("soliloop needs the package greenlet >= 3.1: pip install greenlet");
            error.set_cause(py, Some(cause));
            return Err(error);
        }
        // SAFETY: the capsule is a table of twelve pointers; these places hold functions of these types (greenlet.h).
        unsafe {
            Ok(Api {
                new: std::mem::transmute::<*mut c_void, New>(*table.add(NEW)),
                current: std::mem::transmute::<*mut c_void, Current>(*table.add(CURRENT)),
                throw: std::mem::transmute::<*mut c_void, Throw>(*table.add(THROW)),
                switch: std::mem::transmute::<*mut c_void, Switch>(*table.add(SWITCH)),
                set_parent: std::mem::transmute::<*mut c_void, SetParent>(*table.add(SET_PARENT)),
            })
        }
    })
}

const NEW: usize = 3;
const CURRENT: usize = 4;
const THROW: usize = 5;
const SWITCH: usize = 6;
const SET_PARENT: usize = 7;
