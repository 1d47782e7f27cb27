//! Which simulation owns the thread.
//!
//! A simulation owns its thread from the beginning of `soliloop.simulation()` to its end, and while its loop runs. Simulations can be nested: the
//! innermost one counts. While there is any in the process, the functions in [`TARGETS`] are intercepted; threads without a simulation
//! get the true answers.

use crate::event_loop::LoopCore;
use crate::ffi::intercept::{self, Target};
use crate::sockets;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Every function that is intercepted.
pub(crate) const TARGETS: &[&[Target]] = &[sockets::methods::TARGETS];

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static OWNERS: RefCell<Vec<Py<LoopCore>>> = const { RefCell::new(Vec::new()) };
}

/// How many simulations own a thread.
static OWNED: AtomicUsize = AtomicUsize::new(0);

/// Whether a simulation owns this thread. Asked for each call of an intercepted function: it costs next to nothing.
#[inline]
pub(crate) fn is_inside() -> bool {
    DEPTH.with(Cell::get) > 0
}

/// The simulation that owns this thread.
pub(crate) fn current(py: Python<'_>) -> Option<Bound<'_, LoopCore>> {
    OWNERS.with(|owners| owners.borrow().last().map(|owner| owner.clone_ref(py))).map(|owner| owner.into_bound(py))
}

/// A simulation takes the thread.
///
/// # Errors
/// A function that is to be intercepted is not there.
pub(crate) fn enter(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    if OWNED.load(Relaxed) == 0 {
        intercept::install(core.py())?;
    }
    OWNED.fetch_add(1, Relaxed);
    let owner = core.clone().unbind();
    OWNERS.with(|owners| owners.borrow_mut().push(owner));
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    Ok(())
}

/// A simulation leaves the thread that it has entered last; nothing happens if it has not.
pub(crate) fn leave(core: &Bound<'_, LoopCore>) {
    let left = OWNERS.with(|owners| {
        let mut owners = owners.borrow_mut();
        let place = owners.iter().rposition(|owner| owner.is(core))?;
        Some(owners.remove(place))
    });
    let Some(left) = left else { return };
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    if OWNED.fetch_sub(1, Relaxed) == 1 {
        intercept::remove(core.py());
    }
    drop(left.into_bound(core.py()));
}

/// How many functions are intercepted now: for tests.
#[pyfunction]
pub(crate) fn _intercepted() -> usize {
    intercept::installed()
}
