//! Functions of ours as methods of classes that are written in Python (C interface: `PyDescr_NewMethod`).
//!
//! Such a method is what a method of a built-in class is: no frame, no bound object per call. A class written in Rust could not have the layout
//! of the instances, which were made by somebody else.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A method.
pub(crate) trait Method {
    /// Its name, and what `help()` shows.
    const NAME: &'static CStr;
    const DOC: &'static CStr;

    fn call<'py>(this: &Bound<'py, PyAny>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>>;
}

/// The arguments of one call: valid until it returns.
pub(crate) struct Arguments<'a, 'py> {
    py: Python<'py>,
    values: &'a [*mut ffi::PyObject],
    positional: usize,
    /// The names of the values behind the positional ones.
    names: Option<Bound<'py, PyTuple>>,
}

impl<'py> Arguments<'_, 'py> {
    /// The argument of a method that takes one at most, which may be given by this name.
    ///
    /// # Errors
    /// `TypeError` if there are more, or one of another name.
    pub(crate) fn only(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.values.len() > 1 {
            return Err(PyTypeError::new_err(format!("takes one argument at most, {} given", self.values.len())));
        }
        if self.positional == 0
            && let Some(names) = &self.names
        {
            let given = names.get_item(0)?;
            if !given.eq(name)? {
                return Err(PyTypeError::new_err(format!("unexpected keyword argument {}", given.repr()?)));
            }
        }
        // SAFETY: the caller of the method owns a reference to each value for as long as the call lasts.
        Ok(self.values.first().map(|value| unsafe { Bound::from_borrowed_ptr(self.py, *value) }))
    }

    /// The argument of a method that takes exactly one.
    ///
    /// # Errors
    /// As [`Arguments::only`], and `TypeError` if there is none.
    pub(crate) fn exactly(&self, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.only(name)?.ok_or_else(|| PyTypeError::new_err(format!("missing the argument {name}")))
    }

    /// Refuses arguments.
    ///
    /// # Errors
    /// `TypeError` if there is one.
    pub(crate) fn none(&self) -> PyResult<()> {
        if self.values.is_empty() { Ok(()) } else { Err(PyTypeError::new_err("takes no arguments")) }
    }
}

/// Gives `class` the method `M`.
pub(crate) fn define<M: Method>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let definition = Box::new(ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: trampoline::<M> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: M::DOC.as_ptr(),
    });
    // SAFETY: the class is one; the definition lives as long as the process, as the call asks for.
    let method = unsafe {
        Bound::from_owned_ptr_or_err(class.py(), ffi::PyDescr_NewMethod(class.as_type_ptr(), Box::leak(definition)))
    }?;
    class.setattr(M::NAME.to_string_lossy().as_ref(), method)
}

unsafe extern "C" fn trampoline<M: Method>(
    this: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let called = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the interpreter calls this attached, with an instance of the class that the method was made for, with an array of as many
        // values as it says, and with a tuple of names or null. All live until the call returns.
        let (this, args) = unsafe {
            let py = Python::assume_attached();
            let names = Bound::from_borrowed_ptr_or_opt(py, names).map(|names| names.cast_into_unchecked::<PyTuple>());
            let positional = positional.unsigned_abs();
            let count = positional + names.as_ref().map_or(0, PyTupleMethods::len);
            let values = if count == 0 { &[] } else { std::slice::from_raw_parts(values, count) };
            (Bound::from_borrowed_ptr(py, this), Arguments { py, values, positional, names })
        };
        M::call(&this, &args)
    }));
    match called.unwrap_or_else(|payload| Err(of_panic(payload.as_ref()))) {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            // SAFETY: as above: the thread is attached.
            error.restore(unsafe { Python::assume_attached() });
            std::ptr::null_mut()
        }
    }
}

/// The exception that a panic becomes.
pub(super) fn of_panic(payload: &(dyn Any + Send)) -> PyErr {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    PanicException::new_err((text.unwrap_or_else(|| "panic in a method".to_owned()),))
}
