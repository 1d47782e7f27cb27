//! A cell that is guarded by the interpreter lock.
//!
//! The state of a loop is reached from Python threads only, and always under the interpreter lock, which therefore is the
//! lock of this cell: an access costs one flag. The rule "no borrow is alive across a call into Python" is enforced: an access
//! inside an access panics (and the panic becomes a Python exception) instead of aliasing.

use pyo3::Python;
use std::cell::{Cell, UnsafeCell};

pub(crate) struct GilCell<T> {
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: every access needs a `Python` token, so the thread is attached. The module refuses to be imported by an interpreter
// without a lock, so one thread at a time is attached, and its lock orders the accesses of different threads. A closure that
// detaches leaves `busy` set, and another thread then panics in `with` rather than alias the value.
unsafe impl<T: Send> Sync for GilCell<T> {}

impl<T> GilCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { busy: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `access` on the value. `access` must not call into Python: what it takes out is dropped by the caller.
    #[inline]
    pub(crate) fn with<R>(&self, _py: Python<'_>, access: impl FnOnce(&mut T) -> R) -> R {
        assert!(
            !self.busy.replace(true),
            "state of the loop is used while it is being changed: please report this bug"
        );
        let _idle_again = Release(&self.busy);
        // SAFETY: `busy` was clear, so no other reference to the value is alive (see the note on `Sync` for threads).
        access(unsafe { &mut *self.value.get() })
    }

    /// As [`GilCell::with`], for the garbage collector, which can't have a token and must never panic: `None` while in use.
    pub(crate) fn visit<R>(&self, access: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.busy.replace(true) {
            return None;
        }
        let _idle_again = Release(&self.busy);
        // SAFETY: as in `with`; the collector runs while its thread is attached.
        Some(access(unsafe { &mut *self.value.get() }))
    }
}

impl<T: Copy> GilCell<T> {
    #[inline]
    pub(crate) fn get(&self, py: Python<'_>) -> T {
        self.with(py, |value| *value)
    }
}

impl<T> GilCell<T> {
    /// Puts `value` in, and gives back what was there: it is for the caller to drop.
    #[inline]
    pub(crate) fn replace(&self, py: Python<'_>, value: T) -> T {
        self.with(py, |old| std::mem::replace(old, value))
    }
}

struct Release<'a>(&'a Cell<bool>);

impl Drop for Release<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.set(false);
    }
}
