//! The values that `threading.local` objects have in the running thread: they can be exchanged for another set.
//!
//! Up to Python 3.12 they stand in the thread's dictionary (`PyThreadState_GetDict`), under names that begin alike. From 3.13 on the thread's state
//! has a key, by which such objects find the values, and a sentinel, at whose end they let go of them; both are made when there are none. Where
//! the two stand is found by looking for those that a `threading.local` tells of. Where they are not to be found, threads share the values.

use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyWeakrefMethods, PyWeakrefReference};
use std::ffi::c_void;

/// A set of values that the running thread does not have at present: none, to begin with.
#[derive(Default)]
pub(crate) struct Locals {
    /// The key and the sentinel (3.13).
    pair: [Option<Py<PyAny>>; 2],
    /// Entries of a thread's dictionary (3.12).
    entries: Option<Py<PyDict>>,
}

impl Locals {
    /// Gives these values to the running thread, and keeps those that it had.
    ///
    /// # Errors
    /// There is no memory left.
    pub(crate) fn exchange(&mut self, py: Python<'_>) -> PyResult<()> {
        if py.version_info() < (3, 13) {
            return self.exchange_entries(py);
        }
        if let Some(place) = place(py) {
            self.exchange_pair(py, place);
        }
        Ok(())
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.entries)
    }

    fn exchange_pair(&mut self, py: Python<'_>, place: usize) {
        // SAFETY: `place` is where the state has two references of its own, or null (see `place`).
        let words = unsafe { state(py).add(place) };
        for (index, kept) in self.pair.iter_mut().enumerate() {
            let ours = kept.take().map_or(std::ptr::null_mut(), Py::into_ptr);
            // SAFETY: as above; each reference moves from one owner to the other.
            *kept = unsafe { Bound::from_owned_ptr_or_opt(py, words.add(index).replace(ours)) }.map(Bound::unbind);
        }
    }

    fn exchange_entries(&mut self, py: Python<'_>) -> PyResult<()> {
        // SAFETY: the thread is attached; the call gives a borrowed reference or null.
        let all = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyThreadState_GetDict()) };
        let Some(all) = all.and_then(|all| all.cast_into::<PyDict>().ok()) else { return Ok(()) };
        let theirs = PyDict::new(py);
        for (name, value) in all.iter() {
            if name.cast::<PyString>().is_ok_and(|name| name.to_cow().is_ok_and(|name| name.starts_with(PREFIX))) {
                theirs.set_item(name, value)?;
            }
        }
        for name in theirs.keys() {
            all.del_item(name)?;
        }
        let ours = self.entries.replace(theirs.unbind());
        ours.map_or(Ok(()), |ours| all.update(ours.bind(py).as_mapping()))
    }
}

/// Where a thread's state has the key, in words from its beginning; the sentinel is the next one.
fn place(py: Python<'_>) -> Option<usize> {
    static PLACE: PyOnceLock<Option<usize>> = PyOnceLock::new();
    *PLACE.get_or_init(py, || {
        let [key, sentinel] = pair(py).ok()?;
        // No shorter than this (cpython/pystate.h).
        let words = if py.version_info() >= (3, 14) { 48 } else { 38 };
        // SAFETY: the state is as long as that.
        let state = unsafe { std::slice::from_raw_parts(state(py).cast::<usize>(), words) };
        state.windows(2).position(|pair| pair == [key, sentinel])
    })
}

/// The state of the running thread, in words.
fn state(_py: Python<'_>) -> *mut *mut ffi::PyObject {
    // SAFETY: the thread is attached.
    let state = unsafe { ffi::PyThreadState_Get() };
    // It begins with pointers, and is aligned as they are.
    state.cast::<c_void>().cast()
}

/// The addresses of the key and the sentinel of the running thread.
fn pair(py: Python<'_>) -> PyResult<[usize; 2]> {
    let local = py.import("threading")?.getattr("local")?.call0()?;
    local.setattr(intern!(py, "value"), py.None())?;
    let (mut key, mut sentinel) = (0, 0);
    for referent in py.import("gc")?.call_method1("get_referents", (&local,))?.try_iter()? {
        // A dictionary of the values by key; a set of weak references to sentinels.
        for item in referent?.try_iter().into_iter().flatten().flatten() {
            match item.cast::<PyWeakrefReference>() {
                Ok(reference) => sentinel = reference.upgrade().map_or(0, |object| object.as_ptr() as usize),
                Err(_) => key = item.as_ptr() as usize,
            }
        }
    }
    Ok([key, sentinel])
}

/// How the names of entries begin.
const PREFIX: &str = "thread.local.";
