//! Contexts of callbacks (PEP 567): each callback runs in its own copy of the context it was created in.
//!
//! Making a copy for each would cost 72 bytes and the collector's attention per pending callback. But a copy is needed only by a
//! callback that changes a variable, and hardly any does. So callbacks that were created with the same variables share one
//! [`Snapshot`], and run in its working copy one after the other; one that has changed it leaves with it, and the next ones get a
//! fresh copy of the pristine one. Seen from Python there is no difference: a context that somebody asks for is a copy of its own.

use crate::arguments::Args;
use crate::ffi::cell::GilCell;
use crate::ffi::context::{self, Entered};
use crate::ffi::gc;
use crate::graves;
use crate::nest::Nest;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;

/// The context of a callback.
pub(crate) enum Context {
    /// The user gave it; that it is one is checked when it is entered.
    Given(Py<PyAny>),
    Shared(Py<Snapshot>),
    /// None: the timer of `asyncio.sleep`, which completes a future and runs no code of the user.
    OfSleep,
}

/// The variables of a moment.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct Snapshot {
    variables: Option<usize>,
    /// No variable is set: nothing is kept alive by keeping it.
    is_empty: bool,
    pristine: Py<PyAny>,
    /// What callbacks run in: equal to `pristine` whenever it is not entered.
    working: GilCell<Option<Py<PyAny>>>,
}

/// The last snapshot, which the next callback most likely shares.
pub(crate) struct LastSnapshot(GilCell<Option<Py<Snapshot>>>);

impl LastSnapshot {
    pub(crate) const fn new() -> Self {
        Self(GilCell::new(None))
    }

    /// The variables of the calling thread at this moment.
    #[inline]
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<Context> {
        let copy = context::copy_current(py)?;
        let variables = context::variables(&copy);
        let shared = self.0.with(py, |last| {
            let is_same = |last: &&mut Py<Snapshot>| variables.is_some() && last.get().variables == variables;
            last.as_mut().filter(is_same).map(|last| last.clone_ref(py))
        });
        if let Some(shared) = shared {
            return Ok(Context::Shared(shared));
        }
        let is_empty = copy.len()? == 0;
        let new = Py::new(py, Snapshot { variables, is_empty, pristine: copy.unbind(), working: GilCell::new(None) })?;
        drop(self.0.replace(py, Some(new.clone_ref(py))));
        Ok(Context::Shared(new))
    }

    /// Drops a callback's share of a snapshot. Unless another callback has one, that is its end: variables of the past, and what they
    /// refer to, are not kept for a callback that may never come.
    #[inline]
    fn release(&self, py: Python<'_>, snapshot: Py<Snapshot>) {
        let is_last = |last: &mut Option<Py<Snapshot>>| last.as_ref().is_some_and(|last| last.is(&snapshot));
        if gc::references(py, &snapshot) == 2 && !snapshot.get().is_empty && self.0.with(py, is_last) {
            self.forget(py);
        }
        drop(snapshot.into_bound(py));
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.visit(|last| visit.call(&*last)).unwrap_or(Ok(()))
    }

    pub(crate) fn forget(&self, py: Python<'_>) {
        drop(self.0.replace(py, None));
    }
}

impl Context {
    /// Calls `callback(*args)` in the context. One that the user gave is noted in `nest.entered` meanwhile; if a parked stack is inside
    /// it all the same (deep in a `Context.run`), the callback gets a copy. If it fails, this becomes the context that it ran in, as the exception handler will ask for it.
    #[inline]
    pub(crate) fn call(&mut self, callback: &Bound<'_, PyAny>, args: &Args, nest: &Nest) -> PyResult<()> {
        let py = callback.py();
        match self {
            Self::OfSleep => end_sleep(py, args),
            Self::Shared(snapshot) => match snapshot.get().call(callback, args) {
                Ok(()) => Ok(()),
                Err((error, context)) => {
                    *self = Self::Given(context);
                    Err(error)
                }
            },
            Self::Given(given) => match Entered::enter(given.bind(py)) {
                Ok(entered) => call_entered(given.bind(py), entered, nest, || args.call(callback).map(drop)),
                Err(_) if nest.has_parked(py) => {
                    call_in_copy(given.bind(py), callback, args).map_err(|(error, _)| error)
                }
                Err(error) => Err(error),
            },
        }
    }

    /// The value of a variable in it.
    pub(crate) fn variable<'py>(&self, variable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let py = variable.py();
        match self {
            Self::Given(given) => graves::of(given.bind(py), variable),
            Self::Shared(snapshot) => graves::of(snapshot.get().pristine.bind(py), variable),
            Self::OfSleep => None,
        }
    }

    /// The context as an object of its own, for whoever may keep or change it.
    pub(crate) fn object(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let own = match self {
            Self::Given(given) => return Ok(given.clone_ref(py)),
            Self::Shared(snapshot) => context::copy(snapshot.get().pristine.bind(py))?,
            Self::OfSleep => return context::copy_current(py).map(Bound::unbind),
        };
        *self = Self::Given(own.clone().unbind());
        Ok(own.unbind())
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Given(given) => Self::Given(given.clone_ref(py)),
            Self::Shared(snapshot) => Self::Shared(snapshot.clone_ref(py)),
            Self::OfSleep => Self::OfSleep,
        }
    }

    /// Reports to the collector what the owner of this refers to.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Given(given) => visit.call(given),
            Self::Shared(snapshot) => visit.call(snapshot),
            Self::OfSleep => Ok(()),
        }
    }

    /// Drops it, where the thread is known to be attached.
    #[inline]
    pub(crate) fn release(self, py: Python<'_>, last: &LastSnapshot) {
        match self {
            Self::Given(given) => drop(given.into_bound(py)),
            Self::Shared(snapshot) => last.release(py, snapshot),
            Self::OfSleep => {}
        }
    }
}

#[pymethods]
impl Snapshot {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pristine)?;
        self.working.visit(|working| visit.call(&*working)).unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.working.replace(py, None));
    }
}

impl Snapshot {
    /// Calls `callback(*args)` in the working copy; if it fails, the context that it ran in is given away with the error.
    #[inline]
    fn call(&self, callback: &Bound<'_, PyAny>, args: &Args) -> Result<(), (PyErr, Py<PyAny>)> {
        let py = callback.py();
        let working = match self.working.with(py, |working| working.as_ref().map(|working| working.clone_ref(py))) {
            Some(working) => working.into_bound(py),
            None => self.renew(py).map_err(|error| (error, self.pristine.clone_ref(py)))?,
        };
        let Ok(entered) = Entered::enter(&working) else {
            // A parked stack, or a callback that runs this one, is inside it.
            return call_in_copy(self.pristine.bind(py), callback, args);
        };
        let result = args.call(callback);
        drop(entered);
        let was_changed = self.variables.is_none() || context::variables(&working) != self.variables;
        if result.is_err() || was_changed {
            drop(self.working.replace(py, None));
        }
        result.map(drop).map_err(|error| (error, working.unbind()))
    }

    /// A fresh working copy.
    #[cold]
    fn renew<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let working = context::copy(self.pristine.bind(py))?;
        drop(self.working.replace(py, Some(working.clone().unbind())));
        Ok(working)
    }
}

/// Calls `call` in `context`, the current one or another, or in a copy of it if somebody else is inside; has it left while `call` is parked in a nested run.
#[inline]
pub(crate) fn call_in<R>(context: &Bound<'_, PyAny>, nest: &Nest, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    match Entered::enter(context) {
        Ok(entered) => call_entered(context, entered, nest, call),
        Err(_) => call_in_entered(context, call),
    }
}

/// Calls `call` in `context`, which was just entered, and leaves it.
#[inline]
fn call_entered<R>(
    context: &Bound<'_, PyAny>,
    entered: Entered<'_, '_>,
    nest: &Nest,
    call: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let py = context.py();
    std::mem::forget(entered);
    let below = nest.entered.replace(py, Some(context.clone().unbind()));
    let result = call();
    // After a nested run it may be in a copy.
    match nest.entered.replace(py, below) {
        Some(last) => context::exit(&last.into_bound(py)),
        None => context::exit(context),
    }
    result
}

/// Calls `call` in `context`, which could not be entered: it is the current one, or somebody else is inside.
#[cold]
fn call_in_entered<R>(context: &Bound<'_, PyAny>, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    if context::leave(context) {
        context::reenter(context)?;
        return call();
    }
    let copy = context::copy(context)?;
    let _entered = Entered::enter(&copy)?;
    call()
}

/// What asyncio's `_set_result_unless_cancelled(future, result)` does.
#[inline]
fn end_sleep(py: Python<'_>, args: &Args) -> PyResult<()> {
    let (future, result) = args.sleep(py)?;
    match future.call_method1(intern!(py, "set_result"), (result,)) {
        // Asked afterwards: it is the exception.
        Err(_) if future.call_method0(intern!(py, "cancelled"))?.is_truthy()? => Ok(()),
        result => result.map(drop),
    }
}

#[cold]
fn call_in_copy(
    context: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    args: &Args,
) -> Result<(), (PyErr, Py<PyAny>)> {
    let copy = context::copy(context).map_err(|error| (error, context.clone().unbind()))?;
    let called = Entered::enter(&copy).and_then(|_entered| args.call(callback).map(drop));
    called.map_err(|error| (error, copy.unbind()))
}
