//! Functions of ours as methods (C interface: `PyDescr_NewMethod`).
//!
//! Such a method is what a method of a built-in class is: no frame, no bound object per call. Classes that are written in Python get them, as
//! a class written in Rust could not have the layout of the instances, which were made by somebody else; and so do the hottest methods of our
//! own: their arguments come as they are, where `#[pymethods]` would make a tuple of them.

use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A method.
pub(crate) trait Method {
    /// What its instances are: `PyAny` if the class is written in Python.
    type This;
    /// Its name, and what `help()` shows.
    const NAME: &'static CStr;
    const DOC: &'static CStr;

    fn call<'py>(this: &Bound<'py, Self::This>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>>;
}

/// The arguments of one call: valid until it returns.
pub(crate) struct Arguments<'a, 'py> {
    positional: Values<'a, 'py>,
    /// The values behind the positional ones, and their names.
    named: Option<(Bound<'py, PyTuple>, Values<'a, 'py>)>,
}

/// Some arguments in a row.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a, 'py> {
    py: Python<'py>,
    values: &'a [*mut ffi::PyObject],
}

/// The arguments of a method with so many parameters, any number of others, and an option.
pub(crate) struct Split<'a, 'py, const N: usize> {
    pub(crate) parameters: [Borrowed<'a, 'py, PyAny>; N],
    pub(crate) others: Values<'a, 'py>,
    pub(crate) option: Option<Borrowed<'a, 'py, PyAny>>,
}

impl<'a, 'py> Values<'a, 'py> {
    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<Borrowed<'a, 'py, PyAny>> {
        // SAFETY: the caller of the method owns a reference to each value for as long as the call lasts.
        self.values.get(index).map(|value| unsafe { Borrowed::from_ptr(self.py, *value) })
    }

    pub(crate) const fn len(self) -> usize {
        self.values.len()
    }

    pub(crate) fn to_tuple(self) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(self.py, (0..self.len()).filter_map(|index| self.get(index)).collect::<Vec<_>>())
    }

    const fn from(self, index: usize) -> Self {
        let (_, values) = self.values.split_at(index);
        Self { py: self.py, values }
    }
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// The argument of a method that takes one at most, which may be given by this name.
    ///
    /// # Errors
    /// `TypeError` if there are more, or one of another name.
    pub(crate) fn only(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let count = self.positional.len() + self.named.as_ref().map_or(0, |(_, values)| values.len());
        if count > 1 {
            return Err(PyTypeError::new_err(format!("takes one argument at most, {count} given")));
        }
        let Some((names, values)) = &self.named else { return Ok(self.positional.get(0).map(Borrowed::to_owned)) };
        let given = names.get_item(0)?;
        if !given.eq(name)? {
            return Err(PyTypeError::new_err(format!("unexpected keyword argument {}", given.repr()?)));
        }
        Ok(values.get(0).map(Borrowed::to_owned))
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
        let is_empty = self.positional.len() == 0 && self.named.is_none();
        if is_empty { Ok(()) } else { Err(PyTypeError::new_err("takes no arguments")) }
    }

    /// The arguments of `def method(parameter, ..., *others, option=None)`.
    ///
    /// # Errors
    /// `TypeError` if one is missing, or one of another name is there.
    #[inline]
    pub(crate) fn split<const N: usize>(
        &self,
        method: &CStr,
        parameters: [&str; N],
        option: &str,
    ) -> PyResult<Split<'a, 'py, N>> {
        if let Some(given) = self.positional.values.first_chunk::<N>() {
            let others = self.positional.from(N);
            // SAFETY: as in `Values::get`.
            let parameters = given.map(|value| unsafe { Borrowed::from_ptr(self.positional.py, value) });
            match &self.named {
                None => return Ok(Split { parameters, others, option: None }),
                Some((names, values)) if values.len() == 1 && is_name(&*names.get_borrowed_item(0)?, option) => {
                    return Ok(Split { parameters, others, option: values.get(0) });
                }
                Some(_) => {}
            }
        }
        self.split_by_name(&method.to_string_lossy(), parameters, option)
    }

    #[cold]
    fn split_by_name<const N: usize>(
        &self,
        method: &str,
        parameters: [&str; N],
        option: &str,
    ) -> PyResult<Split<'a, 'py, N>> {
        let given = self.positional.len();
        let mut found: [_; N] = std::array::from_fn(|index| self.positional.get(index));
        let mut chosen = None;
        if let Some((names, values)) = &self.named {
            for (index, name) in names.iter().enumerate() {
                let place = match parameters.into_iter().position(|parameter| is_name(&name, parameter)) {
                    Some(place) if place < given => {
                        let text = format!("{method}() got multiple values for argument {}", name.repr()?);
                        return Err(PyTypeError::new_err(text));
                    }
                    Some(place) => &mut found[place],
                    None if is_name(&name, option) => &mut chosen,
                    None => {
                        let text = format!("{method}() got an unexpected keyword argument {}", name.repr()?);
                        return Err(PyTypeError::new_err(text));
                    }
                };
                *place = values.get(index);
            }
        }
        let missing = found.iter().position(Option::is_none);
        let (None, Some(one)) = (missing, found.iter().copied().flatten().next()) else {
            let name = parameters.get(missing.unwrap_or_default()).unwrap_or(&"");
            return Err(PyTypeError::new_err(format!("{method}() missing the argument '{name}'")));
        };
        // None of them is missing: the one that is written for those that are is never there.
        let parameters = found.map(|value| value.unwrap_or(one));
        Ok(Split { parameters, others: self.positional.from(given.min(N)), option: chosen })
    }
}

/// Whether the name of a keyword argument is this one. (asyncio's own is not interned: another object each time it is loaded.)
#[inline]
fn is_name(given: &Bound<'_, PyAny>, name: &str) -> bool {
    given.cast::<PyString>().is_ok_and(|given| given.to_str().is_ok_and(|given| given == name))
}

/// Gives a class that is written in Python the method `M`.
pub(crate) fn define<M: Method<This = PyAny>>(class: &Bound<'_, PyType>) -> PyResult<()> {
    define_in::<M>(class)
}

/// Gives a class that is written in Rust the method `M`: what `#[pymethods]` does, for a method that is called for every event.
pub(crate) fn define_native<M: Method<This: PyClass>>(py: Python<'_>) -> PyResult<()> {
    define_in::<M>(&py.get_type::<M::This>())
}

fn define_in<M: Method>(class: &Bound<'_, PyType>) -> PyResult<()> {
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
    Python::attach(|py| {
        let called = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the interpreter calls this with an instance of the class that the method was made for, which it has checked, with
            // an array of as many values as it says, and with a tuple of names or null. All live until the call returns.
            let (this, args) = unsafe {
                let names = Bound::from_borrowed_ptr_or_opt(py, names);
                let names = names.map(|names| names.cast_into_unchecked::<PyTuple>()).filter(|names| !names.is_empty());
                let positional = positional.unsigned_abs();
                let count = positional + names.as_ref().map_or(0, PyTupleMethods::len);
                let values = if count == 0 { &[] } else { std::slice::from_raw_parts(values, count) };
                let (values, named) = values.split_at(positional);
                let args = Arguments {
                    positional: Values { py, values },
                    named: names.map(|names| (names, Values { py, values: named })),
                };
                (Bound::from_borrowed_ptr(py, this).cast_into_unchecked::<M::This>(), args)
            };
            M::call(&this, &args)
        }));
        match called.unwrap_or_else(|payload| Err(of_panic(payload.as_ref()))) {
            Ok(value) => value.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    })
}

/// The exception that a panic becomes.
pub(super) fn of_panic(payload: &(dyn Any + Send)) -> PyErr {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    PanicException::new_err((text.unwrap_or_else(|| "panic in a method".to_owned()),))
}
