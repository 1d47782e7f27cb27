//! Who a simulated thread is to Python's own modules: its number (`threading.get_ident`), its object (`threading.current_thread`), and the
//! values that `threading.local` objects have in it.
//!
//! To the interpreter all simulated threads of a loop are the thread that the loop runs on. So the number is answered here; the values
//! are exchanged whenever a simulated thread is switched to or left. The object is made by `threading` itself, as for a thread that
//! it has not started, when it is first asked for; it is forgotten when the thread ends.

use crate::ffi::cell::GilCell;
use crate::ffi::intercept::{Call, Target};
use crate::ffi::locals::{self, Locals};
use crate::names::Names;
use crate::threads;
use pyo3::intern;
use pyo3::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The intercepted functions.
pub(crate) const TARGETS: &[Target] = &[Target::new("_thread.get_ident", ident)];

/// What tells a simulated thread from all others.
pub(crate) struct Identity {
    /// One that no other simulated thread of the process has. Those of real threads are addresses, and far above.
    number: u64,
    /// Whether `threading` has an object of it.
    is_known: AtomicBool,
    /// While the thread runs: those of whoever has switched to it.
    locals: GilCell<Locals>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let number = numbers().take();
        Self { number, is_known: AtomicBool::new(false), locals: GilCell::new(Locals::default()) }
    }

    /// The thread is about to be switched to, or was left.
    ///
    /// # Errors
    /// There is no memory left.
    pub(crate) fn exchange_locals(&self, py: Python<'_>) -> PyResult<()> {
        // Out of the cell: a collection may begin meanwhile.
        let mut locals = self.locals.replace(py, Locals::default());
        let exchanged = locals.exchange(py);
        drop(self.locals.replace(py, locals));
        exchanged
    }

    /// The thread has ended, and was left.
    pub(crate) fn forget_locals(&self, py: Python<'_>) {
        drop(self.locals.replace(py, Locals::default()));
    }

    /// Has `threading` make an object of the running thread, if it has none.
    fn introduce(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        if self.is_known.swap(true, Relaxed) {
            return Ok(());
        }
        KNOWN.fetch_add(1, Relaxed);
        // It asks for the number, finds nobody of that, and makes one.
        let object = Names::get(py)?.current_thread.bind(py).call0()?;
        object.setattr(intern!(py, "name"), name)
    }

    /// Has `threading` forget it.
    ///
    /// # Errors
    /// What asking its table fails with.
    pub(crate) fn take_leave(&self, py: Python<'_>) -> PyResult<()> {
        if !self.is_known.swap(false, Relaxed) {
            return Ok(());
        }
        KNOWN.fetch_sub(1, Relaxed);
        Names::get(py)?.known_threads.bind(py).call_method1(intern!(py, "pop"), (self.number, py.None())).map(drop)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        numbers().left.insert(self.number);
    }
}

/// The numbers of simulated threads.
struct Numbers {
    /// How many were ever in use at the same time: no number is higher.
    most: u64,
    /// Those of threads that have ended.
    left: BTreeSet<u64>,
}

impl Numbers {
    /// The smallest one that no thread has, so that a run that is repeated has the same ones.
    fn take(&mut self) -> u64 {
        self.left.pop_first().unwrap_or_else(|| {
            self.most += 1;
            self.most
        })
    }
}

/// How many of the threads that `threading` knows are simulated.
pub(crate) fn known() -> usize {
    KNOWN.load(Relaxed)
}

fn ident<'py>(call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = call.py();
    if !locals::threads_have_values(py) {
        // `threading` keeps such a value of each thread that it has an object of.
        return Ok(None);
    }
    let Some(thread) = threads::running(py) else { return Ok(None) };
    let (identity, name) = thread.get().identity();
    identity.introduce(py, name)?;
    Ok(Some(identity.number.into_pyobject(py)?.into_any()))
}

fn numbers() -> MutexGuard<'static, Numbers> {
    static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { most: 0, left: BTreeSet::new() });
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

static KNOWN: AtomicUsize = AtomicUsize::new(0);
