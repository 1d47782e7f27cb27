//! Functions of Python's own C modules whose calls go to handlers of ours, on threads that want it.
//!
//! What is exchanged is the pointer in the function's definition (`PyMethodDef.ml_meth`), where the interpreter looks it up at each call. So
//! every reference to the function is covered, however long ago it was taken (`from time import time`), and nothing is left of it
//! once the pointer is put back. The definitions are written under the interpreter lock only.
//!
//! Which functions those are is said by tables of [`Target`]s, which are resolved once per process.

use super::method::of_panic;
use super::trampoline::{Raw, SLOTS, call_original, get_original, replacement, set_original};
use pyo3::PyTypeInfo;
use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PyAttributeError, PyImportError, PyKeyError, PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDate, PyDateTime, PyDict, PyTuple};
use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

pub(crate) use super::trampoline::{set_active, untouched};

/// Answers a call; `None` lets it go on to the original.
pub(crate) type Handler = for<'py> fn(&Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>>;

/// A function whose calls are answered.
pub(crate) struct Target {
    /// Module, class if it has one, and name: where the function is defined, not where it is inherited or imported.
    path: &'static str,
    handler: Handler,
    /// The first and the last minor version of Python 3 that must have it.
    versions: (u8, u8),
}

/// One call: valid until it returns.
pub(crate) struct Call<'a, 'py> {
    py: Python<'py>,
    slot: &'a Slot,
    this: *mut ffi::PyObject,
    raw: Raw,
}

/// A target that was found.
struct Slot {
    number: usize,
    target: &'static Target,
    definition: *mut ffi::PyMethodDef,
    /// The definition as it was: lives as long as the process.
    original: &'static ffi::PyMethodDef,
    replacement: ffi::PyMethodDefPointer,
    /// What `this` is in a function of a module.
    module: Option<Py<PyAny>>,
    /// What `this` is an instance of in a method.
    class: Option<Py<PyAny>>,
}

// SAFETY: the definitions belong to modules that are never unloaded; they are read and written under the interpreter lock.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

struct Resolved {
    slots: Vec<Slot>,
    missing: Vec<&'static str>,
}

static RESOLVED: PyOnceLock<Resolved> = PyOnceLock::new();

impl Target {
    pub(crate) const fn new(path: &'static str, handler: Handler) -> Self {
        Self { path, handler, versions: (0, u8::MAX) }
    }

    /// Not every version has it: the first and the last minor version of Python 3 that does.
    #[allow(dead_code, reason = "no target of today needs it")]
    pub(crate) const fn versions(mut self, first: u8, last: u8) -> Self {
        self.versions = (first, last);
        self
    }
}

/// Whether there are slots for so many targets.
pub(crate) const fn fit(tables: &[&[Target]]) -> bool {
    let (mut count, mut table) = (0, 0);
    while table < tables.len() {
        count += tables[table].len();
        table += 1;
    }
    count <= SLOTS
}

/// Looks the targets up, once per process, where their modules define them: a test that stands in for `time.sleep` at that time hides nothing.
/// One that is missing is left alone (see [`missing`]).
///
/// # Errors
/// What importing a module fails with, other than that there is none.
pub(crate) fn resolve(py: Python<'_>, tables: &'static [&'static [Target]]) -> PyResult<()> {
    RESOLVED
        .get_or_try_init(py, || {
            let minor = py.version_info().minor;
            let mut resolved = Resolved { slots: Vec::new(), missing: Vec::new() };
            for target in tables.iter().copied().flatten() {
                match Slot::find(py, target, resolved.slots.len())? {
                    Some(slot) => resolved.slots.push(slot),
                    None if (target.versions.0..=target.versions.1).contains(&minor) => {
                        resolved.missing.push(target.path);
                    }
                    None => {}
                }
            }
            PyResult::Ok(resolved)
        })
        .map(drop)
}

/// Puts the trampolines in. What they take the place of is what they pass calls on to: somebody else may have exchanged it before.
pub(crate) fn install(py: Python<'_>) {
    for slot in slots(py) {
        // SAFETY: see the note on `Send` of `Slot`; the replacement has the convention of the original.
        unsafe {
            let present = (*slot.definition).ml_meth;
            if present != slot.replacement {
                set_original(slot.number, present);
                (*slot.definition).ml_meth = slot.replacement;
            }
        }
    }
}

/// Puts back what [`install`] has found; not where somebody else has exchanged it since, and will put back a trampoline.
pub(crate) fn remove(py: Python<'_>) {
    for slot in slots(py) {
        // SAFETY: as above.
        unsafe {
            if (*slot.definition).ml_meth == slot.replacement {
                (*slot.definition).ml_meth = get_original(slot.number);
            }
        }
    }
}

/// How many functions have a trampoline at present.
pub(crate) fn installed(py: Python<'_>) -> usize {
    // SAFETY: as above.
    slots(py).iter().filter(|slot| unsafe { (*slot.definition).ml_meth } == slot.replacement).count()
}

/// The targets that this version of Python should have and has not.
pub(crate) fn missing(py: Python<'_>) -> &'static [&'static str] {
    RESOLVED.get(py).map_or(&[], |resolved| &resolved.missing)
}

/// Calls the original of a target that is a function of a module, whatever is installed.
///
/// # Errors
/// What it raises.
pub(crate) fn original<'py>(py: Python<'py>, path: &str, args: impl PyCallArgs<'py>) -> PyResult<Bound<'py, PyAny>> {
    let slot = slots(py).iter().find(|slot| slot.target.path == path);
    let Some((slot, module)) = slot.and_then(|slot| Some((slot, slot.module.as_ref()?))) else {
        return Err(PyRuntimeError::new_err(format!("{path} is not among the intercepted functions")));
    };
    slot.bound(py, module.as_ptr(), null_mut())?.call1(args)
}

fn slots(py: Python<'_>) -> &'static [Slot] {
    RESOLVED.get(py).map_or(&[], |resolved| &resolved.slots)
}

impl Slot {
    fn find(py: Python<'_>, target: &'static Target, number: usize) -> PyResult<Option<Self>> {
        let found = match Self::look_up(py, target.path) {
            Err(error)
                if error.is_instance_of::<PyImportError>(py)
                    || error.is_instance_of::<PyAttributeError>(py)
                    || error.is_instance_of::<PyKeyError>(py) =>
            {
                return Ok(None);
            }
            found => found?,
        };
        let Some(definition) = definition(&found) else { return Ok(None) };
        // SAFETY: the definition of a live function is alive, and belongs to a module that is never unloaded.
        let original = unsafe { *definition };
        let Some(replacement) = replacement(number, original.ml_flags) else { return Ok(None) };
        set_original(number, original.ml_meth);
        let module = found.getattr("__self__").ok().map(Bound::unbind);
        let class = found.getattr("__objclass__").ok().map(Bound::unbind);
        let original = Box::leak(Box::new(original));
        Ok(Some(Self { number, target, definition, original, replacement, module, class }))
    }

    fn look_up<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
        let (home, name) = path.rsplit_once('.').unwrap_or_default();
        let Some((module, class)) = home.split_once('.') else { return function_of(&py.import(home)?, name) };
        let class = match home {
            // The only classes that tests put others in the place of. Python's C interface knows them.
            "datetime.date" => PyDate::type_object(py).into_any(),
            "datetime.datetime" => PyDateTime::type_object(py).into_any(),
            _ => py.import(module)?.getattr(class)?,
        };
        // What is in the class itself, before it is bound to the class. A static method is a function in a wrapper.
        let found = class.getattr("__dict__")?.get_item(name)?;
        Ok(found.getattr("__func__").unwrap_or(found))
    }

    /// The original with `this` as its first argument.
    fn bound<'py>(
        &self,
        py: Python<'py>,
        this: *mut ffi::PyObject,
        class: *mut ffi::PyTypeObject,
    ) -> PyResult<Bound<'py, PyAny>> {
        let definition = std::ptr::from_ref(self.original).cast_mut();
        // SAFETY: the definition lives as long as the process; the others are live objects or null, as this convention has them.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCMethod_New(definition, this, null_mut(), class)) }
    }
}

/// A function of a C module as the module's own table has it, whatever stands under its name by now.
fn function_of<'py>(module: &Bound<'py, PyModule>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a live module. Its definition and the table in it, which ends with an entry that has no name, are never freed.
    unsafe {
        let mut entry = ffi::PyModule_GetDef(module.as_ptr()).as_ref().map_or(null_mut(), |module| module.m_methods);
        while let Some(definition) = entry.as_ref().filter(|definition| !definition.ml_name.is_null()) {
            if CStr::from_ptr(definition.ml_name).to_bytes() == name.as_bytes() {
                let function = ffi::PyCMethod_New(entry, module.as_ptr(), null_mut(), null_mut());
                return Bound::from_owned_ptr_or_err(module.py(), function);
            }
            entry = entry.add(1);
        }
    }
    drop(PyErr::take(module.py())); // what stands for a module, and is none, has no definition
    Err(PyAttributeError::new_err(format!("no C function {name} in {module}")))
}

/// The definition of a C function, or of a method or class method of a C class.
fn definition(function: &Bound<'_, PyAny>) -> Option<*mut ffi::PyMethodDef> {
    /// How a `PyCFunctionObject` begins.
    #[repr(C)]
    struct Function {
        object: ffi::PyObject,
        definition: *mut ffi::PyMethodDef,
    }
    let object = function.as_ptr();
    // SAFETY: a live object, which is looked into according to its type.
    unsafe {
        if ffi::PyCFunction_Check(object) != 0 {
            return Some((*object.cast::<Function>()).definition);
        }
        let class = ffi::Py_TYPE(object);
        (class == &raw mut ffi::PyMethodDescr_Type || class == &raw mut ffi::PyClassMethodDescr_Type)
            .then(|| (*object.cast::<ffi::PyMethodDescrObject>()).d_method)
    }
}

/// Has the handler of a slot answer a call.
///
/// # Safety
/// A trampoline of the slot was called with `this` and `raw`.
pub(super) unsafe fn serve(number: usize, this: *mut ffi::PyObject, raw: Raw) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls trampolines attached.
    let py = unsafe { Python::assume_attached() };
    let answered = catch_unwind(AssertUnwindSafe(|| match slots(py).get(number) {
        Some(slot) => (slot.target.handler)(&Call { py, slot, this, raw }),
        None => Ok(None),
    }));
    match answered.unwrap_or_else(|payload| Err(of_panic(payload.as_ref()))) {
        Ok(Some(value)) => value.into_ptr(),
        // SAFETY: with what the trampoline was called with.
        Ok(None) => unsafe { call_original(number, this, raw) },
        Err(error) => {
            error.restore(py);
            null_mut()
        }
    }
}

impl<'py> Call<'_, 'py> {
    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    /// What the function is called on: the module, the instance or the class; `None` for a static method.
    pub(crate) fn this(&self) -> Option<Bound<'py, PyAny>> {
        // SAFETY: the caller of the function owns a reference for as long as the call lasts.
        unsafe { Bound::from_borrowed_ptr_or_opt(self.py, self.this) }
    }

    /// How many positional arguments there are.
    pub(crate) fn len(&self) -> usize {
        match self.raw {
            Raw::Plain(_) if self.has(ffi::METH_NOARGS) => 0,
            Raw::Plain(_) if self.has(ffi::METH_O) => 1,
            Raw::Plain(args) | Raw::Keywords(args, _) => self.tuple(args).map_or(0, |args| args.len()),
            Raw::Fast(_, count) | Raw::FastKeywords(_, count, _) | Raw::Method(_, _, count, _) => count.unsigned_abs(),
        }
    }

    /// The positional argument at `index`.
    pub(crate) fn arg(&self, index: usize) -> Option<Bound<'py, PyAny>> {
        if index >= self.len() {
            return None;
        }
        match self.raw {
            Raw::Plain(arg) if self.has(ffi::METH_O) => self.borrowed(arg),
            Raw::Plain(args) | Raw::Keywords(args, _) => self.tuple(args)?.get_item(index).ok(),
            Raw::Fast(values, _) => self.value(values, index),
            Raw::FastKeywords(values, ..) | Raw::Method(_, values, ..) => self.value(values, index),
        }
    }

    /// The positional arguments.
    pub(crate) fn args(&self) -> Vec<Bound<'py, PyAny>> {
        (0..self.len()).filter_map(|index| self.arg(index)).collect()
    }

    /// The names of the keyword arguments, in their order.
    ///
    /// # Errors
    /// A name that is no text.
    pub(crate) fn keywords(&self) -> PyResult<Vec<String>> {
        match self.raw {
            Raw::Plain(_) | Raw::Fast(..) => Ok(Vec::new()),
            Raw::Keywords(_, named) => self
                .dictionary(named)
                .map_or(Ok(Vec::new()), |named| named.keys().iter().map(|key| key.extract()).collect()),
            Raw::FastKeywords(.., names) | Raw::Method(.., names) => {
                self.tuple(names).map_or(Ok(Vec::new()), |names| names.iter().map(|name| name.extract()).collect())
            }
        }
    }

    /// The keyword argument of this name.
    ///
    /// # Errors
    /// What looking it up fails with.
    pub(crate) fn keyword(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.raw {
            Raw::Plain(_) | Raw::Fast(..) => Ok(None),
            Raw::Keywords(_, named) => self.dictionary(named).map_or(Ok(None), |named| named.get_item(name)),
            Raw::FastKeywords(values, ..) | Raw::Method(_, values, ..) => {
                let index = self.keywords()?.iter().position(|given| given == name);
                Ok(index.and_then(|index| self.value(values, self.len() + index)))
            }
        }
    }

    /// The arguments of a function that takes at most one, which may be given by this name: whether they are such, and the argument.
    ///
    /// # Errors
    /// As [`Call::keyword`].
    pub(crate) fn only(&self, name: &str) -> PyResult<(bool, Option<Bound<'py, PyAny>>)> {
        let keywords = self.keywords()?;
        match (self.len(), keywords.as_slice()) {
            (0, []) => Ok((true, None)),
            (1, []) => Ok((true, self.arg(0))),
            (0, [given]) if given == name => Ok((true, self.keyword(name)?)),
            _ => Ok((false, None)),
        }
    }

    /// Calls the original as this call is.
    ///
    /// # Errors
    /// What it raises.
    pub(crate) fn original(&self) -> PyResult<Bound<'py, PyAny>> {
        self.raw_original(self.this)
    }

    /// Calls the original as this call is, on another object of the same class.
    ///
    /// # Errors
    /// What it raises; `TypeError` if the object is of no such class.
    pub(crate) fn original_on(&self, this: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let Some(class) = &self.slot.class else {
            return Err(PyTypeError::new_err(format!("{} is no method", self.slot.target.path)));
        };
        if this.is_instance(class.bind(self.py))? {
            return self.raw_original(this.as_ptr());
        }
        Err(PyTypeError::new_err(format!("{} is no method of {this:?}", self.slot.target.path)))
    }

    /// Calls the original with other arguments.
    ///
    /// # Errors
    /// What it raises.
    pub(crate) fn call_original(&self, args: impl PyCallArgs<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = if let Raw::Method(class, ..) = self.raw { class } else { null_mut() };
        self.slot.bound(self.py, self.this, class)?.call1(args)
    }

    fn raw_original(&self, this: *mut ffi::PyObject) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: with what the trampoline was called with, but perhaps for an object that has a layout the function knows.
        unsafe { Bound::from_owned_ptr_or_err(self.py, call_original(self.slot.number, this, self.raw)) }
    }

    fn has(&self, flag: c_int) -> bool {
        self.slot.original.ml_flags & flag != 0
    }

    fn value(&self, values: *const *mut ffi::PyObject, index: usize) -> Option<Bound<'py, PyAny>> {
        // SAFETY: the array is as long as the call says, and callers of this have looked.
        self.borrowed(unsafe { *values.add(index) })
    }

    fn borrowed(&self, object: *mut ffi::PyObject) -> Option<Bound<'py, PyAny>> {
        // SAFETY: a live object, or null; the caller of the function owns a reference for as long as the call lasts.
        unsafe { Bound::from_borrowed_ptr_or_opt(self.py, object) }
    }

    fn tuple(&self, object: *mut ffi::PyObject) -> Option<Bound<'py, PyTuple>> {
        self.borrowed(object)?.cast_into().ok()
    }

    fn dictionary(&self, object: *mut ffi::PyObject) -> Option<Bound<'py, PyDict>> {
        self.borrowed(object)?.cast_into().ok()
    }
}
