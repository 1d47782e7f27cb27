//! Subclasses whose instances are numbered: a word behind what the base class needs holds the number, which is the hash.
//!
//! Python's own way to it, a method `__hash__` over an attribute, takes a dictionary per instance and a call per set that it goes into.

use super::method::of_panic;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Gives the next number to an instance that has none yet.
type Next = fn(&Bound<'_, PyAny>) -> PyResult<NonZeroUsize>;

struct Made {
    class: Py<PyType>,
    /// Where the number is in an instance.
    offset: isize,
    next: Next,
}

static MADE: PyOnceLock<Made> = PyOnceLock::new();

/// The one numbered subclass there is, made of `base` when it is first asked for.
///
/// # Errors
/// `TypeError` if nothing can be derived from `base` in C.
pub(crate) fn subclass<'py>(
    base: &Bound<'py, PyType>,
    name: &'static CStr,
    next: Next,
) -> PyResult<&'py Bound<'py, PyType>> {
    let py = base.py();
    MADE.get_or_try_init(py, || make(base, name, next)).map(|made| made.class.bind(py))
}

fn make(base: &Bound<'_, PyType>, name: &'static CStr, next: Next) -> PyResult<Made> {
    let py = base.py();
    let offset: isize = base.getattr(intern!(py, "__basicsize__"))?.extract()?;
    let is_aligned = offset.cast_unsigned().is_multiple_of(align_of::<usize>());
    let has_items = base.getattr(intern!(py, "__itemsize__"))?.extract::<isize>()? != 0;
    let (Ok(size), true, false) = (c_int::try_from(offset + size_of::<usize>().cast_signed()), is_aligned, has_items)
    else {
        return Err(PyTypeError::new_err(format!("instances of {base} have no room for a number")));
    };
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_tp_hash, pfunc: hash as ffi::hashfunc as *mut c_void },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size,
        itemsize: 0,
        flags: c_uint::try_from(ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE)?,
        slots: slots.as_mut_ptr(),
    };
    let bases = PyTuple::new(py, [base])?;
    // SAFETY: the name lives as long as the program; the slots are of the types that their numbers say, and end with zero. All else is
    // inherited: the base class clears its own part of an instance, and nothing is owned by the word behind that, which the allocator
    // has set to zero.
    let class =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpecWithBases(&raw mut spec, bases.as_ptr())) }?;
    Ok(Made { class: class.cast_into::<PyType>()?.unbind(), offset, next })
}

/// The number of an instance.
unsafe extern "C" fn hash(instance: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: the interpreter calls the slot on an attached thread, with a live instance of the class or of one that is derived from it.
    let (py, instance) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::from_borrowed_ptr(py, instance))
    };
    let number = catch_unwind(AssertUnwindSafe(|| number(&instance)));
    match number.unwrap_or_else(|payload| Err(of_panic(payload.as_ref()))) {
        Ok(number) => number.get().cast_signed(),
        Err(error) => {
            error.restore(py);
            -1
        }
    }
}

fn number(instance: &Bound<'_, PyAny>) -> PyResult<NonZeroUsize> {
    let Some(made) = MADE.get(instance.py()) else {
        return Err(PyTypeError::new_err("the class of the instance is still being made"));
    };
    // SAFETY: the instance has the number at the offset. Nobody else knows of it, it is read and written under the interpreter lock,
    // and no reference to it is kept.
    let place = unsafe { instance.as_ptr().byte_offset(made.offset).cast::<Option<NonZeroUsize>>() };
    // SAFETY: as above; zero, as the allocator leaves it, is `None`.
    if let Some(number) = unsafe { place.read() } {
        return Ok(number);
    }
    let number = (made.next)(instance)?;
    // SAFETY: as above; the instance is alive, as its reference is.
    unsafe { place.write(Some(number)) };
    Ok(number)
}
