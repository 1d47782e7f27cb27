//! The end of the interpreter while loops still run in daemon threads.
//!
//! Up to Python 3.13 the interpreter ends a daemon thread that asks for its lock by unwinding the thread's stack, and a stack with Rust
//! frames on it can't be unwound so: the process would abort. So when the interpreter begins to end, such loops are stopped for good
//! where they don't hold its lock: between two turns, and after a wait.

use crate::ffi::object::thread_ident;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The thread that ends the interpreter; 0 as long as none does.
static ENDING: AtomicU64 = AtomicU64::new(0);
/// Runs of loops that hold the interpreter lock or will ask for it.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// A run of a loop begins.
pub(crate) fn run_begins() {
    BUSY.fetch_add(1, Relaxed);
}

/// A run of a loop has ended.
pub(crate) fn run_ends() {
    BUSY.fetch_sub(1, Relaxed);
}

/// Stops the calling thread for good if another one is ending the interpreter.
#[inline]
pub(crate) fn stop_if_ending(py: Python<'_>) {
    if ENDING.load(Relaxed) != 0 {
        detached(py, || ());
    }
}

/// Calls `wait` without the interpreter lock; does not come back if another thread is ending the interpreter.
pub(crate) fn detached<R: Send>(py: Python<'_>, wait: impl FnOnce() -> R + Send) -> R {
    let thread = thread_ident(py);
    py.detach(|| {
        run_ends();
        let result = wait();
        while ![0, thread].contains(&ENDING.load(Relaxed)) {
            std::thread::park();
        }
        run_begins();
        result
    })
}

/// Has [`_at_exit`] called when the interpreter ends.
pub(crate) fn watch(py: Python<'_>) -> PyResult<()> {
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(_at_exit, py)?,)).map(drop)
}

#[pyfunction]
fn _at_exit(py: Python<'_>) {
    ENDING.store(thread_ident(py), Relaxed);
    for _ in 0..PATIENCE {
        if BUSY.load(Relaxed) == 0 {
            break;
        }
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// Milliseconds that the end of the interpreter waits for callbacks to come to theirs.
const PATIENCE: u32 = 200;
