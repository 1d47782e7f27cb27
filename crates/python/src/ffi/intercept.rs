//! Functions of CPython's own C modules that answer differently while a simulation owns the thread.
//!
//! The method pointer of a built-in (`PyMethodDef.ml_meth`) is exchanged for a trampoline of the same calling convention, so that it does not
//! matter how or when the caller has got hold of the function. A C function carries no data: which one it stands for is a constant of its
//! type (the number of a slot). A trampoline on a thread without a simulation goes straight to the original. The definitions are static data of
//! their modules, which are never unloaded. Pointers are exchanged and read under the interpreter lock.

use crate::inside;
use pyo3::exceptions::{PyRuntimeError, PySystemError, PyTypeError};
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::{CStr, c_int};
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// What answers: `None` leaves it to the original.
pub(crate) type Handler = for<'py> fn(&Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>>;

/// A function to intercept.
pub(crate) struct Target {
    /// Where it is, as in `datetime.datetime.now`.
    path: &'static str,
    handler: Handler,
    /// Whether every Python has it.
    is_optional: bool,
}

/// One call of an intercepted function: valid until it returns.
pub(crate) struct Call<'a, 'py> {
    this: &'a Bound<'py, PyAny>,
    slot: usize,
    values: Values,
}

#[derive(Clone, Copy)]
enum Values {
    None,
    One(Object),
    /// A tuple, and a dictionary or null.
    Packed(Object, Object),
    /// Values, how many of them have no name, and the tuple of names or null.
    Array(*const Object, usize, Object),
    /// As before, with the class that has the method.
    Method(Object, *const Object, usize, Object),
}

type Object = *mut ffi::PyObject;
type Pointer = *mut ();

/// How a function takes its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    Plain,
    Keywords,
    Fast,
    FastKeywords,
    Method,
}

/// A target that was found.
struct Entry {
    handler: Handler,
    definition: *mut ffi::PyMethodDef,
    convention: Convention,
    has_one: bool,
    has_none: bool,
}

// SAFETY: the definitions are reached under the interpreter lock only.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Target {
    /// A function that every supported Python has.
    pub(crate) const fn new(path: &'static str, handler: Handler) -> Self {
        Self { path, handler, is_optional: false }
    }

    /// A function that some Pythons don't have.
    pub(crate) const fn optional(path: &'static str, handler: Handler) -> Self {
        Self { path, handler, is_optional: true }
    }
}

impl<'py> Call<'_, 'py> {
    pub(crate) fn py(&self) -> Python<'py> {
        self.this.py()
    }

    /// The instance, the class (of a class method) or the module.
    pub(crate) fn this(&self) -> &Bound<'py, PyAny> {
        self.this
    }

    /// The arguments without names.
    pub(crate) fn args(&self) -> Vec<Bound<'py, PyAny>> {
        (0..).map_while(|place| self.arg(place)).collect()
    }

    /// An argument without a name.
    pub(crate) fn arg(&self, place: usize) -> Option<Bound<'py, PyAny>> {
        let py = self.py();
        match self.values {
            Values::None => None,
            // SAFETY: the caller of the function holds a reference to each value until it returns.
            Values::One(value) => (place == 0).then(|| unsafe { Bound::from_borrowed_ptr(py, value) }),
            Values::Packed(tuple, _) => {
                // SAFETY: as above; this convention gives a tuple.
                let tuple = unsafe { Bound::from_borrowed_ptr(py, tuple).cast_into_unchecked::<PyTuple>() };
                tuple.get_item(place).ok()
            }
            Values::Array(values, count, _) | Values::Method(_, values, count, _) => {
                // SAFETY: as above; the array has as many values as the convention says.
                (place < count).then(|| unsafe { Bound::from_borrowed_ptr(py, *values.add(place)) })
            }
        }
    }

    /// The arguments with names.
    pub(crate) fn keywords(&self) -> PyResult<Option<Bound<'py, PyDict>>> {
        let py = self.py();
        match self.values {
            Values::Packed(_, dict) if !dict.is_null() => {
                // SAFETY: the caller holds a reference, and this convention gives a dictionary.
                Ok(Some(unsafe { Bound::from_borrowed_ptr(py, dict).cast_into_unchecked::<PyDict>() }))
            }
            Values::Array(values, count, names) | Values::Method(_, values, count, names) if !names.is_null() => {
                // SAFETY: the caller holds a reference, and this convention gives a tuple of names, whose values follow the others.
                let names = unsafe { Bound::from_borrowed_ptr(py, names).cast_into_unchecked::<PyTuple>() };
                let dict = PyDict::new(py);
                for (place, name) in names.iter().enumerate() {
                    // SAFETY: as above.
                    dict.set_item(name, unsafe { Bound::from_borrowed_ptr(py, *values.add(count + place)) })?;
                }
                Ok(Some(dict))
            }
            _ => Ok(None),
        }
    }

    /// An argument with a name.
    pub(crate) fn keyword(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.keywords()?.map_or(Ok(None), |keywords| keywords.get_item(name))
    }

    /// Calls the original with the same arguments.
    pub(crate) fn original(&self) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the pointer is that of the slot's function, and the arguments are those that it was to be called with.
        let result = unsafe { call(self.slot, self.this.as_ptr(), self.values) };
        // SAFETY: a C function gives a new reference, or null with an exception.
        unsafe { Bound::from_owned_ptr_or_err(self.py(), result) }
    }

    /// Calls the original on another instance, with the same arguments.
    pub(crate) fn original_on(&self, this: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !this.is_instance(self.this.get_type().as_any())? && !self.this.is_instance(this.get_type().as_any())? {
            return Err(PyTypeError::new_err("the method belongs to another class"));
        }
        // SAFETY: as above; the object is of the class that the function belongs to, or of a base of it that has the method.
        let result = unsafe { call(self.slot, this.as_ptr(), self.values) };
        // SAFETY: as above.
        unsafe { Bound::from_owned_ptr_or_err(self.py(), result) }
    }
}

/// Has the functions of `targets` intercepted from now on.
///
/// # Errors
/// What looking them up fails with: a name that is missing, or is no C function.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let entries = ENTRIES.get_or_try_init(py, || {
        let found = targets().filter_map(|target| find(py, target).transpose()).collect::<PyResult<Vec<_>>>()?;
        if found.len() > SLOTS {
            return Err(PySystemError::new_err("there are more functions to intercept than slots"));
        }
        Ok::<_, PyErr>(found)
    })?;
    for (slot, entry) in entries.iter().enumerate() {
        let trampoline = trampoline(entry.convention, slot);
        // SAFETY: the definition is static data of its module, and the interpreter lock is held.
        unsafe {
            let place: *mut Pointer = (&raw mut (*entry.definition).ml_meth).cast();
            if *place != trampoline {
                ORIGINALS[slot].store(*place, Relaxed);
                *place = trampoline;
            }
        }
    }
    INSTALLED.store(entries.len(), Relaxed);
    Ok(())
}

/// Puts the original functions back.
pub(crate) fn remove(py: Python<'_>) {
    for (slot, entry) in ENTRIES.get(py).into_iter().flatten().enumerate() {
        // SAFETY: as in `install`. What somebody else has put there meanwhile is left alone: it would call the trampoline, which goes on.
        unsafe {
            let place: *mut Pointer = (&raw mut (*entry.definition).ml_meth).cast();
            if *place == trampoline(entry.convention, slot) {
                *place = ORIGINALS[slot].load(Relaxed);
            }
        }
    }
    INSTALLED.store(0, Relaxed);
}

/// How many functions are intercepted now.
pub(crate) fn installed() -> usize {
    INSTALLED.load(Relaxed)
}

fn targets() -> impl Iterator<Item = &'static Target> {
    inside::TARGETS.iter().copied().flatten()
}

fn find(py: Python<'_>, target: &Target) -> PyResult<Option<Entry>> {
    let mut names = target.path.split('.');
    let module = names.next().unwrap_or_default();
    let mut object = match py.import(module) {
        Err(_) if target.is_optional => return Ok(None),
        module => module?.into_any(),
    };
    for name in names {
        // Of a class the descriptor itself, not what it makes.
        let found = if object.is_instance_of::<pyo3::types::PyType>() {
            object.getattr("__dict__")?.get_item(name)
        } else {
            object.getattr(name)
        };
        object = match found {
            Err(_) if target.is_optional => return Ok(None),
            found => found?,
        };
    }
    let name = target.path.rsplit('.').next().unwrap_or_default();
    let missing = || PyRuntimeError::new_err(format!("{} is no function that can be intercepted", target.path));
    let definition = definition(&object).ok_or_else(missing)?;
    // SAFETY: the definition of a C function lives as long as its module; its name is a string.
    let (flags, own_name) = unsafe { ((*definition).ml_flags, CStr::from_ptr((*definition).ml_name)) };
    if own_name.to_str() != Ok(name) {
        return Err(missing());
    }
    let convention = convention(flags).ok_or_else(missing)?;
    let (has_one, has_none) = (flags & ffi::METH_O != 0, flags & ffi::METH_NOARGS != 0);
    Ok(Some(Entry { handler: target.handler, definition, convention, has_one, has_none }))
}

/// The definition behind a function of a module, or a method of a class.
fn definition(object: &Bound<'_, PyAny>) -> Option<*mut ffi::PyMethodDef> {
    let pointer = object.as_ptr();
    // SAFETY: the type of the object says which structure it is: a built-in function, or a descriptor of a method.
    unsafe {
        if ffi::PyCFunction_Check(pointer) != 0 {
            return Some((*pointer.cast::<ffi::PyCFunctionObject>()).m_ml);
        }
        let class = ffi::Py_TYPE(pointer);
        if class == &raw mut ffi::PyMethodDescr_Type || class == &raw mut ffi::PyClassMethodDescr_Type {
            return Some((*pointer.cast::<MethodDescriptor>()).definition);
        }
    }
    None
}

/// `PyMethodDescrObject`, as it begins in every supported version.
#[repr(C)]
struct MethodDescriptor {
    head: ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    name: Object,
    qualified_name: Object,
    definition: *mut ffi::PyMethodDef,
}

const fn convention(flags: c_int) -> Option<Convention> {
    let kept =
        ffi::METH_VARARGS | ffi::METH_KEYWORDS | ffi::METH_NOARGS | ffi::METH_O | ffi::METH_FASTCALL | METH_METHOD;
    const FAST_KEYWORDS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    const KEYWORDS: c_int = ffi::METH_VARARGS | ffi::METH_KEYWORDS;
    const METHOD: c_int = METH_METHOD | FAST_KEYWORDS;
    match flags & kept {
        ffi::METH_NOARGS | ffi::METH_O | ffi::METH_VARARGS => Some(Convention::Plain),
        KEYWORDS => Some(Convention::Keywords),
        ffi::METH_FASTCALL => Some(Convention::Fast),
        FAST_KEYWORDS => Some(Convention::FastKeywords),
        METHOD => Some(Convention::Method),
        _ => None,
    }
}

/// Calls the original of a slot.
///
/// # Safety
/// The values must be those of the slot's calling convention, and the thread attached.
unsafe fn call(slot: usize, this: Object, values: Values) -> Object {
    let original = ORIGINALS[slot].load(Relaxed);
    // SAFETY: the pointer was taken from a definition whose flags say what it points to; each kind of values is made by the trampoline of
    // that convention alone.
    unsafe {
        match values {
            Values::None => transmute::<Pointer, Plain>(original)(this, null_mut()),
            Values::One(value) => transmute::<Pointer, Plain>(original)(this, value),
            Values::Packed(tuple, dict) => transmute::<Pointer, WithKeywords>(original)(this, tuple, dict),
            Values::Array(values, count, names) => {
                transmute::<Pointer, FastWithKeywords>(original)(this, values, count.cast_signed(), names)
            }
            Values::Method(class, values, count, names) => {
                transmute::<Pointer, WithClass>(original)(this, class, values, count.cast_signed(), names)
            }
        }
    }
}

/// Has the handler of a slot answer.
///
/// # Safety
/// As [`call`], with the arguments of a call that is under way.
unsafe fn answer(slot: usize, this: Object, values: Values) -> Object {
    // SAFETY: the interpreter calls its functions attached.
    let py = unsafe { Python::assume_attached() };
    let Some(entry) = ENTRIES.get(py).and_then(|entries| entries.get(slot)) else {
        // SAFETY: handed on.
        return unsafe { call(slot, this, values) };
    };
    let answered = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller holds a reference to the object that the function belongs to; of a function of a module it may be null.
        let this = unsafe { Bound::from_borrowed_ptr_or_opt(py, this) }.unwrap_or_else(|| py.None().into_bound(py));
        (entry.handler)(&Call { this: &this, slot, values })
    }));
    let answered = answered.unwrap_or_else(|_| Err(PanicException::new_err(("panic in an intercepted function",))));
    match answered {
        Ok(Some(value)) => value.into_ptr(),
        // SAFETY: handed on.
        Ok(None) => unsafe { call(slot, this, values) },
        Err(error) => {
            error.restore(py);
            null_mut()
        }
    }
}

type Plain = unsafe extern "C" fn(Object, Object) -> Object;
type WithKeywords = unsafe extern "C" fn(Object, Object, Object) -> Object;
type Fast = unsafe extern "C" fn(Object, *const Object, ffi::Py_ssize_t) -> Object;
type FastWithKeywords = unsafe extern "C" fn(Object, *const Object, ffi::Py_ssize_t, Object) -> Object;
type WithClass = unsafe extern "C" fn(Object, Object, *const Object, ffi::Py_ssize_t, Object) -> Object;

// Each trampoline takes what its convention says, and the interpreter calls it with just that: so are the notes on safety below.

unsafe extern "C" fn plain<const SLOT: usize>(this: Object, argument: Object) -> Object {
    if !inside::is_inside() {
        // SAFETY: the original of this convention, with its arguments.
        return unsafe { transmute::<Pointer, Plain>(ORIGINALS[SLOT].load(Relaxed))(this, argument) };
    }
    // SAFETY: the values are those of the slot: which of the three it is the entry knows.
    unsafe { answer(SLOT, this, plain_values(SLOT, argument)) }
}

unsafe extern "C" fn keywords<const SLOT: usize>(this: Object, tuple: Object, dict: Object) -> Object {
    let values = Values::Packed(tuple, dict);
    // SAFETY: as above.
    unsafe { if inside::is_inside() { answer(SLOT, this, values) } else { call(SLOT, this, values) } }
}

unsafe extern "C" fn fast<const SLOT: usize>(this: Object, values: *const Object, count: ffi::Py_ssize_t) -> Object {
    // A function of this convention never looks at a fourth argument, so that it may be called with one.
    let values = Values::Array(values, count.unsigned_abs(), null_mut());
    // SAFETY: as above.
    unsafe { if inside::is_inside() { answer(SLOT, this, values) } else { call(SLOT, this, values) } }
}

unsafe extern "C" fn fast_keywords<const SLOT: usize>(
    this: Object,
    values: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    let values = Values::Array(values, count.unsigned_abs(), names);
    // SAFETY: as above.
    unsafe { if inside::is_inside() { answer(SLOT, this, values) } else { call(SLOT, this, values) } }
}

unsafe extern "C" fn method<const SLOT: usize>(
    this: Object,
    class: Object,
    values: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    let values = Values::Method(class, values, count.unsigned_abs(), names);
    // SAFETY: as above.
    unsafe { if inside::is_inside() { answer(SLOT, this, values) } else { call(SLOT, this, values) } }
}

/// The only argument of a plain function: none, one, or a tuple.
fn plain_values(slot: usize, argument: Object) -> Values {
    // SAFETY: the interpreter calls its functions attached.
    let py = unsafe { Python::assume_attached() };
    match ENTRIES.get(py).and_then(|entries| entries.get(slot)) {
        Some(entry) if entry.has_none => Values::None,
        Some(entry) if entry.has_one => Values::One(argument),
        _ => Values::Packed(argument, null_mut()),
    }
}

fn trampoline(convention: Convention, slot: usize) -> Pointer {
    match convention {
        Convention::Plain => PLAIN[slot] as Pointer,
        Convention::Keywords => KEYWORDS[slot] as Pointer,
        Convention::Fast => FAST[slot] as Pointer,
        Convention::FastKeywords => FAST_KEYWORDS[slot] as Pointer,
        Convention::Method => METHOD[slot] as Pointer,
    }
}

macro_rules! of_each_slot {
    ($($slot:literal)*) => {
        const SLOTS: usize = [$($slot),*].len();
        static PLAIN: [Plain; SLOTS] = [$(plain::<$slot>),*];
        static KEYWORDS: [WithKeywords; SLOTS] = [$(keywords::<$slot>),*];
        static FAST: [Fast; SLOTS] = [$(fast::<$slot>),*];
        static FAST_KEYWORDS: [FastWithKeywords; SLOTS] = [$(fast_keywords::<$slot>),*];
        static METHOD: [WithClass; SLOTS] = [$(method::<$slot>),*];
    };
}

of_each_slot! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
        16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
        48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79
        80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
        96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111
        112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127
        128 129 130 131 132 133 134 135 136 137 138 139 140 141 142 143
}

/// `METH_METHOD`, which pyo3 has for the unlimited interface only.
const METH_METHOD: c_int = 0x0200;
static ENTRIES: PyOnceLock<Vec<Entry>> = PyOnceLock::new();
static ORIGINALS: [AtomicPtr<()>; SLOTS] = [const { AtomicPtr::new(null_mut()) }; SLOTS];
static INSTALLED: AtomicUsize = AtomicUsize::new(0);
