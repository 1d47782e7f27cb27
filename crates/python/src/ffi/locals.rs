//! The values that `threading.local` objects have in the running thread: they can be exchanged for another set.
//!
//! Up to Python 3.12 they stand in the thread's dictionary (`PyThreadState_GetDict`), under names that begin alike. From 3.13 on the thread's state
//! has a key, by which such objects find the values, and a sentinel, at whose end they let go of them; both are made when there are none. Where
//! the two stand is found by looking for those that a `threading.local` tells of, and then tried. Where they are not to be found, as in a Python
//! that is not known here, threads share the values, and nothing tells one from the other.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyWeakrefMethods, PyWeakrefReference};
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A set of values that the running thread does not have at present: none, to begin with. What it holds refers to nothing else: it can't be
/// part of a cycle.
#[derive(Default)]
pub(crate) struct Locals {
    /// The key and the sentinel (3.13).
    pair: [Option<Py<PyAny>>; 2],
    /// Entries of a thread's dictionary (3.12): name, and the object at whose end the values are let go of.
    entries: Vec<(Py<PyAny>, Py<PyAny>)>,
}

/// To be called when the module is imported: [`Locals::exchange`] needs what is found out here.
///
/// # Errors
/// What asking Python's own modules fails with.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    PLACE.get_or_try_init(py, || if py.version_info() < (3, 13) { Ok(None) } else { find(py) }).map(drop)
}

/// Whether the simulated threads of a loop have thread-local values of their own. If not, they share them.
#[pyfunction]
#[pyo3(name = "_threads_have_values")]
pub(crate) fn threads_have_values(py: Python<'_>) -> bool {
    py.version_info() < (3, 13) || place(py).is_some()
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

    fn exchange_pair(&mut self, py: Python<'_>, place: usize) {
        // SAFETY: `place` is where the state has two references of its own, or null (see `find`).
        let words = unsafe { state(py).add(place) };
        for (index, kept) in self.pair.iter_mut().enumerate() {
            let ours = kept.take().map_or(std::ptr::null_mut(), Py::into_ptr);
            // SAFETY: as above; each reference moves from one owner to the other.
            *kept = unsafe { Bound::from_owned_ptr_or_opt(py, words.add(index).replace(ours)) }.map(Bound::unbind);
        }
    }

    fn exchange_entries(&mut self, py: Python<'_>) -> PyResult<()> {
        let count_references = py.import(intern!(py, "weakref"))?.getattr(intern!(py, "getweakrefcount"))?;
        // SAFETY: the thread is attached; the call gives a borrowed reference or null.
        let all = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyThreadState_GetDict()) };
        let Some(all) = all.and_then(|all| all.cast_into::<PyDict>().ok()) else { return Ok(()) };
        let is_one = |name: &Bound<'_, PyAny>| {
            name.cast::<PyString>().is_ok_and(|name| name.to_cow().is_ok_and(|name| name.starts_with(PREFIX)))
        };
        let theirs =
            all.iter().filter(|(name, _)| is_one(name)).map(|(name, value)| (name.unbind(), value.unbind())).collect();
        let ours = std::mem::replace(&mut self.entries, theirs);
        for (name, _) in &self.entries {
            all.del_item(name)?;
        }
        for (name, value) in ours {
            // The object of `threading` that the entry belongs to watches it by a weak reference. When such an object ends it takes its entries out of
            // the dictionaries of threads, but not out of ours; the values that such an entry leads to are no longer there.
            if count_references.call1((&value,))?.is_truthy()? {
                all.set_item(name, value)?;
            }
        }
        Ok(())
    }
}

/// Where a thread's state has the key, in words from its beginning; the sentinel is the next one.
fn place(py: Python<'_>) -> Option<usize> {
    PLACE.get(py).copied().flatten()
}

fn find(py: Python<'_>) -> PyResult<Option<usize>> {
    let Some(&(_, words)) = KNOWN.iter().find(|(minor, _)| *minor == py.version_info().minor) else { return Ok(None) };
    let local = py.import("_thread")?.getattr("_local")?.call0()?;
    local.setattr(intern!(py, "value"), py.None())?;
    let [key, sentinel] = pair(&local)?;
    let state = state(py).cast::<AtomicUsize>();
    // SAFETY: the state is as long as that (`KNOWN`), and aligned as its pointers are. Other threads change words of it at any time (by
    // which they ask this one for something), as atomic ones.
    let words: Vec<usize> = (0..words).map(|index| unsafe { (*state.add(index)).load(Relaxed) }).collect();
    let mut places = words.windows(2).enumerate().filter(|(_, pair)| **pair == [key, sentinel]).map(|(place, _)| place);
    let (Some(place), None) = (places.next(), places.next()) else { return Ok(None) };
    // Whether the two are what is looked up, and not a copy of it.
    let mut none = Locals::default();
    none.exchange_pair(py, place);
    let is_hidden = local.hasattr(intern!(py, "value")).map(|is_there| !is_there);
    none.exchange_pair(py, place);
    Ok((is_hidden? && local.hasattr(intern!(py, "value"))?).then_some(place))
}

/// The state of the running thread, in words.
fn state(_py: Python<'_>) -> *mut *mut ffi::PyObject {
    // SAFETY: the thread is attached.
    let state = unsafe { ffi::PyThreadState_Get() };
    // It begins with pointers, and is aligned as they are.
    state.cast::<c_void>().cast()
}

/// The addresses of the key and the sentinel of the running thread, by which `local` has a value.
fn pair(local: &Bound<'_, PyAny>) -> PyResult<[usize; 2]> {
    let (mut key, mut sentinel) = (0, 0);
    for referent in local.py().import("gc")?.call_method1("get_referents", (local,))?.try_iter()? {
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

static PLACE: PyOnceLock<Option<usize>> = PyOnceLock::new();
/// The minor versions of Python 3 whose states are known, and how many words they have at least (`cpython/pystate.h`).
const KNOWN: &[(u8, usize)] = &[(13, 38), (14, 48)];
/// How the names of entries begin.
const PREFIX: &str = "thread.local.";
