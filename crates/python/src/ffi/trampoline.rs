//! The functions that take the place of C functions of Python's own modules (see `intercept`).
//!
//! A C function pointer carries no data, so there is one function per slot and calling convention, and the slot's number is a part of its
//! type. Each first looks at a flag of the thread; where it is off the original gets the very same arguments.

use super::intercept::serve;
use pyo3::ffi;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

type Object = *mut ffi::PyObject;

/// The arguments of a call as the interpreter has passed them.
#[derive(Clone, Copy)]
pub(super) enum Raw {
    /// Null, one argument or a tuple of them: the definition's flags say which.
    Plain(Object),
    /// A tuple, and a dictionary or null.
    Keywords(Object, Object),
    /// Positional values.
    Fast(*mut Object, ffi::Py_ssize_t),
    /// Positional values, those of keywords behind them, and the tuple of their names or null.
    FastKeywords(*const Object, ffi::Py_ssize_t, Object),
    /// The same, after the class that defines the method.
    Method(*mut ffi::PyTypeObject, *const Object, ffi::Py_ssize_t, Object),
}

/// The functions of one slot, one per convention.
#[derive(Clone, Copy)]
struct Trampolines {
    plain: ffi::PyCFunction,
    keywords: ffi::PyCFunctionWithKeywords,
    fast: ffi::PyCFunctionFast,
    fast_keywords: ffi::PyCFunctionFastWithKeywords,
    method: ffi::PyCMethod,
}

thread_local!(static ACTIVE: Cell<bool> = const { Cell::new(false) });

/// Whether calls of the calling thread go to the handlers.
pub(crate) fn set_active(is_active: bool) {
    ACTIVE.set(is_active);
}

/// Has the calls of `work` go to the originals. It must run no code of others.
pub(crate) fn untouched<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0);
        }
    }
    let _restore = Restore(ACTIVE.replace(false));
    work()
}

/// Notes the original of a slot. Its trampolines may be called from then on.
pub(super) fn set_original(slot: usize, original: ffi::PyMethodDefPointer) {
    ORIGINALS[slot].store(original.as_ptr(), Relaxed);
}

/// What was noted last.
pub(super) fn get_original(slot: usize) -> ffi::PyMethodDefPointer {
    // SAFETY: a pointer that was taken from such a union.
    unsafe { std::mem::transmute(ORIGINALS[slot].load(Relaxed)) }
}

/// The function that takes the place of one with these flags; `None` if its calling convention is not known.
pub(super) fn replacement(slot: usize, flags: c_int) -> Option<ffi::PyMethodDefPointer> {
    let these = &TRAMPOLINES[slot / ROW][slot % ROW];
    Some(match flags & CONVENTION {
        ffi::METH_NOARGS | ffi::METH_O | ffi::METH_VARARGS => ffi::PyMethodDefPointer { PyCFunction: these.plain },
        VARARGS_KEYWORDS => ffi::PyMethodDefPointer { PyCFunctionWithKeywords: these.keywords },
        ffi::METH_FASTCALL => ffi::PyMethodDefPointer { PyCFunctionFast: these.fast },
        FASTCALL_KEYWORDS => ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: these.fast_keywords },
        METHOD => ffi::PyMethodDefPointer { PyCMethod: these.method },
        _ => return None,
    })
}

/// Calls the original of a slot.
///
/// # Safety
/// The thread is attached, the slot's original was noted, and `this` and `raw` are what a trampoline of the slot was called with, or as good.
pub(super) unsafe fn call_original(slot: usize, this: Object, raw: Raw) -> Object {
    let original = ORIGINALS[slot].load(Relaxed);
    // SAFETY: a trampoline is put in the place of a function of its own convention only, which the variant of `raw` tells; the caller
    // answers for the rest.
    unsafe {
        match raw {
            Raw::Plain(arg) => std::mem::transmute::<*mut c_void, ffi::PyCFunction>(original)(this, arg),
            Raw::Keywords(args, named) => {
                std::mem::transmute::<*mut c_void, ffi::PyCFunctionWithKeywords>(original)(this, args, named)
            }
            Raw::Fast(values, count) => {
                std::mem::transmute::<*mut c_void, ffi::PyCFunctionFast>(original)(this, values, count)
            }
            Raw::FastKeywords(values, count, names) => std::mem::transmute::<
                *mut c_void,
                ffi::PyCFunctionFastWithKeywords,
            >(original)(this, values, count, names),
            Raw::Method(class, values, count, names) => {
                std::mem::transmute::<*mut c_void, ffi::PyCMethod>(original)(this, class, values, count, names)
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "the variant is known to each caller, and the match goes away")]
unsafe fn pass<const N: usize>(this: Object, raw: Raw) -> Object {
    // SAFETY: the interpreter calls a trampoline attached, and with what it would call the original with.
    unsafe { if ACTIVE.get() { serve(N, this, raw) } else { call_original(N, this, raw) } }
}

unsafe extern "C" fn plain<const N: usize>(this: Object, arg: Object) -> Object {
    // SAFETY: see `pass`; the same below.
    unsafe { pass::<N>(this, Raw::Plain(arg)) }
}

unsafe extern "C" fn keywords<const N: usize>(this: Object, args: Object, named: Object) -> Object {
    // SAFETY: as above.
    unsafe { pass::<N>(this, Raw::Keywords(args, named)) }
}

unsafe extern "C" fn fast<const N: usize>(this: Object, values: *mut Object, count: ffi::Py_ssize_t) -> Object {
    // SAFETY: as above.
    unsafe { pass::<N>(this, Raw::Fast(values, count)) }
}

unsafe extern "C" fn fast_keywords<const N: usize>(
    this: Object,
    values: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as above.
    unsafe { pass::<N>(this, Raw::FastKeywords(values, count, names)) }
}

unsafe extern "C" fn method<const N: usize>(
    this: Object,
    class: *mut ffi::PyTypeObject,
    values: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as above.
    unsafe { pass::<N>(this, Raw::Method(class, values, count, names)) }
}

const fn trampolines<const N: usize>() -> Trampolines {
    Trampolines {
        plain: plain::<N>,
        keywords: keywords::<N>,
        fast: fast::<N>,
        fast_keywords: fast_keywords::<N>,
        method: method::<N>,
    }
}

macro_rules! rows {
    ($($row:literal)*) => { [$(rows!(@ $row 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)),*] };
    (@ $row:literal $($column:literal)*) => { [$(trampolines::<{ ROW * $row + $column }>()),*] };
}

/// How many functions can be taken the place of.
pub(super) const SLOTS: usize = ROWS * ROW;
const ROWS: usize = 10;
const ROW: usize = 16;
static TRAMPOLINES: [[Trampolines; ROW]; ROWS] = rows!(0 1 2 3 4 5 6 7 8 9);
static ORIGINALS: [AtomicPtr<c_void>; SLOTS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; SLOTS];

const CONVENTION: c_int =
    ffi::METH_VARARGS | ffi::METH_KEYWORDS | ffi::METH_NOARGS | ffi::METH_O | ffi::METH_FASTCALL | ffi::METH_METHOD;
const VARARGS_KEYWORDS: c_int = ffi::METH_VARARGS | ffi::METH_KEYWORDS;
const FASTCALL_KEYWORDS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
const METHOD: c_int = ffi::METH_METHOD | ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
