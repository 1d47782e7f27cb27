//! The default executor's queue: calls of `run_in_executor(None, ...)`, and the threads that take them.
//!
//! The threads are Python's (`soliloop._executor` starts them, lazily); each waits here without the interpreter lock, and hands what a
//! call gave straight to the loop's ready queue. The queue's own lock is never held by who waits for the interpreter lock.
//!
//! A thread that is woken by one that holds the interpreter lock has to wait for that lock next, so both sides wake the other one
//! when they let go of it: a thread when it asks for its next call (and it counts as idle before that, so that what the loop gives next
//! starts no other thread), the loop before it waits. A loop may not come to that for long, so an idle thread dozes before it sleeps:
//! it looks into the queue by itself once after [`DOZE`]. Calls that no dozing thread will find are announced at once.

use crate::error;
use crate::event_loop::LoopCore;
use crate::exit;
use crate::ffi::cell::GilCell;
use crate::fork::forks;
use crate::job::Scheduled;
use crate::names::Names;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use soliloop_engine::world::real::Real;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The pool of one executor: what `soliloop._executor.Workers` derives from.
#[pyclass(subclass, frozen, module = "soliloop._soliloop")]
pub(crate) struct WorkerPool {
    shared: GilCell<Arc<Shared>>,
    limit: usize,
}

/// What the threads of a pool have in common. It outlives the pool: calls that were given to it are made.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// In the child of a fork none of the threads is left, and the lock may never be released.
    forks: u64,
}

#[derive(Default)]
struct State {
    calls: VecDeque<Py<Call>>,
    threads: usize,
    /// Threads that wait for a call, or are about to.
    idle: usize,
    /// Those of them that will look again by themselves.
    dozing: usize,
    /// Those of them that can be notified.
    waiting: usize,
    is_shut: bool,
}

/// Whom the loop has given calls to since it waited last, without a word.
pub(crate) struct Given(GilCell<Option<Arc<Shared>>>);

/// What [`Given`] has held.
pub(crate) struct Unannounced(Option<Arc<Shared>>);

/// One thread of a pool.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    call: GilCell<Option<Py<Call>>>,
    /// The loop that waits for what was put in its queue.
    asleep: GilCell<Option<Arc<Real>>>,
}

/// A function that a thread is to call, and then what it gave.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct Call {
    content: GilCell<Content>,
}

#[derive(Default)]
struct Content {
    function: Option<(Py<PyAny>, Py<PyTuple>)>,
    /// Who is told; nobody, if the function sees to that itself.
    asker: Option<(Py<LoopCore>, Py<PyAny>)>,
    outcome: Option<Outcome>,
}

enum Outcome {
    Result(Py<PyAny>),
    Error(Py<PyAny>),
    /// It was not called, and will not be.
    Cancelled,
}

/// Has a thread of `executor` call a function; gives the future of that.
///
/// # Errors
/// The loop is closed, its default executor is shut down, or no thread can be started.
pub(crate) fn run(
    core: &Bound<'_, LoopCore>,
    executor: &Bound<'_, PyAny>,
    function: Py<PyAny>,
    args: Py<PyTuple>,
) -> PyResult<Py<PyAny>> {
    let py = core.py();
    if !executor.is_none() {
        return run_elsewhere(core, executor, function, &args);
    }
    core.call_method0(intern!(py, "_check_closed"))?;
    if core.get().debug.load(Relaxed) {
        core.call_method1(intern!(py, "_check_callback"), (&function, intern!(py, "run_in_executor")))?;
    }
    core.call_method0(intern!(py, "_check_default_executor"))?;
    let mut default = core.getattr(intern!(py, "_default_executor"))?;
    if default.is_none() {
        default = core.call_method0(intern!(py, "_make_default_executor"))?;
    }
    let Ok(pool) = default.cast::<WorkerPool>() else {
        return run_elsewhere(core, executor, function, &args);
    };
    let future = core.call_method0(intern!(py, "create_future"))?.unbind();
    let asker = Some((core.clone().unbind(), future.clone_ref(py)));
    WorkerPool::put(pool, Content { function: Some((function, args)), asker, outcome: None })?;
    Ok(future)
}

/// An executor that the program has chosen: asyncio's own way.
fn run_elsewhere(
    core: &Bound<'_, LoopCore>,
    executor: &Bound<'_, PyAny>,
    function: Py<PyAny>,
    args: &Py<PyTuple>,
) -> PyResult<Py<PyAny>> {
    let py = core.py();
    let given = (core, executor, function).into_pyobject(py)?.add(args.bind(py))?;
    let run = Names::get(py)?.run_in_executor.bind(py);
    Ok(run.call1(given.cast_into::<PyTuple>()?)?.unbind())
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), forks: forks() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the threads end, once there is nothing more to call.
    fn shut(&self) {
        if self.forks == forks() {
            self.lock().is_shut = true;
            self.changed.notify_all();
        }
    }

    /// Waits, as a thread that counts as idle and dozing. `None`: it is not needed any more.
    fn wait(&self) -> Option<Py<Call>> {
        let mut state = self.lock();
        let mut is_dozing = true;
        while state.calls.is_empty() && !state.is_shut {
            state.waiting += 1;
            if is_dozing {
                let (woken, end) = self.changed.wait_timeout(state, DOZE).unwrap_or_else(PoisonError::into_inner);
                state = woken;
                is_dozing = !end.timed_out();
                state.dozing -= usize::from(end.timed_out());
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting -= 1;
        }
        state.idle -= 1;
        state.dozing -= usize::from(is_dozing);
        state.calls.pop_front()
    }

    /// Wakes as many threads as there are calls.
    fn announce(&self) {
        let state = self.lock();
        let (calls, waiting) = (state.calls.len(), state.waiting);
        drop(state);
        match calls.min(waiting) {
            0 => {}
            1 => self.changed.notify_one(),
            _ => self.changed.notify_all(),
        }
    }
}

impl Given {
    pub(crate) const fn new() -> Self {
        Self(GilCell::new(None))
    }

    #[inline]
    pub(crate) fn take(&self, py: Python<'_>) -> Unannounced {
        Unannounced(self.0.replace(py, None))
    }
}

impl Unannounced {
    #[inline]
    pub(crate) fn announce(&self) {
        if let Some(shared) = &self.0 {
            shared.announce();
        }
    }
}

impl WorkerPool {
    /// The threads' part: a new one in the child of a fork.
    fn shared(&self, py: Python<'_>) -> Arc<Shared> {
        let shared = self.shared.with(py, |shared| shared.clone());
        if shared.forks == forks() {
            return shared;
        }
        let fresh = Shared::new();
        drop(self.shared.replace(py, fresh.clone()));
        fresh
    }

    fn put(slf: &Bound<'_, Self>, content: Content) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let shared = this.shared(py);
        let core = content.asker.as_ref().map(|(core, _)| core.clone_ref(py));
        let call = Py::new(py, Call::new(content))?;
        let mut state = shared.lock();
        if state.is_shut {
            drop(state);
            return Err(PyRuntimeError::new_err("cannot schedule new futures after shutdown"));
        }
        state.calls.push_back(call.clone_ref(py));
        let is_short = state.calls.len() > state.idle && state.threads < this.limit;
        let number = state.threads;
        state.threads += usize::from(is_short);
        let will_be_found = state.calls.len() <= state.dozing;
        drop(state);
        if !is_short {
            let giver = core.as_ref().map(Py::get).filter(|core| will_be_found && core.is_running_here(py));
            let Some(giver) = giver else {
                shared.announce();
                return Ok(());
            };
            let before = giver.given.0.replace(py, Some(shared.clone()));
            // The default executor has been exchanged for another one.
            if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &shared)) {
                before.announce();
            }
            return Ok(());
        }
        let worker = Worker { shared: shared.clone(), call: GilCell::new(None), asleep: GilCell::new(None) };
        if let Err(error) = slf.call_method1(intern!(py, "_start_thread"), (number, worker)) {
            let mut state = shared.lock();
            state.threads -= 1;
            let at = state.calls.iter().position(|waiting| waiting.is(&call));
            let withdrawn = at.and_then(|at| state.calls.remove(at));
            drop(state);
            // Another thread may have taken it meanwhile.
            return withdrawn.map_or(Ok(()), |_| Err(error));
        }
        Ok(())
    }
}

#[pymethods]
impl WorkerPool {
    #[new]
    fn new(limit: usize) -> Self {
        Self { shared: GilCell::new(Shared::new()), limit }
    }

    /// Have a thread call a function that reports to whom it concerns by itself.
    fn _give(slf: &Bound<'_, Self>, function: Py<PyAny>) -> PyResult<()> {
        let args = PyTuple::empty(slf.py()).unbind();
        Self::put(slf, Content { function: Some((function, args)), ..Content::default() })
    }

    /// Refuse further calls; threads end when those are made that were given before, or taken back.
    fn _shut(&self, py: Python<'_>, cancel: bool) -> PyResult<()> {
        let shared = self.shared(py);
        let calls = if cancel { std::mem::take(&mut shared.lock().calls) } else { VecDeque::new() };
        shared.shut();
        calls.into_iter().try_for_each(|call| Call::cancel(call, py))
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.shared.visit(|shared| shared.shut());
    }
}

#[pymethods]
impl Worker {
    /// Wait for a call that somebody still wants made; ``None`` if there will be no more.
    fn take(&self, py: Python<'_>) -> Option<(Py<PyAny>, Py<PyTuple>)> {
        loop {
            let call = self.next(py)?;
            if call.get().is_cancelled(py) {
                continue;
            }
            let function = call.get().content.with(py, |content| content.function.take());
            if function.is_some() {
                drop(self.call.replace(py, Some(call)));
                return function;
            }
        }
    }

    /// The call that was taken has returned.
    fn finish(&self, py: Python<'_>, result: Py<PyAny>) {
        self.hand_over(py, Outcome::Result(result));
    }

    /// The call that was taken has raised.
    fn fail(&self, py: Python<'_>, error: Py<PyAny>) {
        self.hand_over(py, Outcome::Error(error));
    }

    /// End the thread when there is nothing more to call.
    fn end(&self) {
        self.shared.shut();
    }
}

impl Worker {
    fn next(&self, py: Python<'_>) -> Option<Py<Call>> {
        let asleep = self.asleep.replace(py, None);
        if self.shared.forks != forks() {
            // A call has forked, and this is the child: the queue and the sleeping loop are the parent's.
            return None;
        }
        let mut state = self.shared.lock();
        let next = state.calls.pop_front();
        state.idle += usize::from(next.is_none());
        state.dozing += usize::from(next.is_none());
        drop(state);
        if next.is_some() {
            if let Some(real) = asleep {
                real.wake();
            }
            return next;
        }
        exit::run_begins();
        // The loop is woken where it can have the interpreter lock at once.
        let next = exit::detached(py, || {
            if let Some(real) = asleep {
                real.wake();
            }
            self.shared.wait()
        });
        exit::run_ends();
        next
    }

    /// Puts the call in the loop's queue. The loop is woken when this thread asks for the next call, which it does at once.
    fn hand_over(&self, py: Python<'_>, outcome: Outcome) {
        let Some(call) = self.call.replace(py, None) else { return };
        let asleep = Call::answer(call, py, outcome);
        drop(self.asleep.replace(py, asleep));
    }
}

impl Call {
    fn new(content: Content) -> Self {
        Self { content: GilCell::new(content) }
    }

    fn asker(&self, py: Python<'_>) -> Option<(Py<LoopCore>, Py<PyAny>)> {
        self.content
            .with(py, |content| content.asker.as_ref().map(|(core, future)| (core.clone_ref(py), future.clone_ref(py))))
    }

    /// Whether nobody wants it made any more.
    fn is_cancelled(&self, py: Python<'_>) -> bool {
        let Some((_, future)) = self.asker(py) else { return false };
        let cancelled = future.bind(py).call_method0(intern!(py, "cancelled"));
        // A future that can't tell is told.
        cancelled.and_then(|cancelled| cancelled.is_truthy()).unwrap_or(false)
    }

    /// Puts it in its loop's queue, with what it gave; gives the loop's descriptors if they are to be woken.
    fn answer(slf: Py<Self>, py: Python<'_>, outcome: Outcome) -> Option<Arc<Real>> {
        let (core, _) = slf.get().asker(py)?;
        let this = core.get();
        if this.is_closed() {
            return None;
        }
        slf.get().content.with(py, |content| content.outcome = Some(outcome));
        this.engine.with(py, |engine| engine.push(Scheduled::Call(slf)));
        this.world.expect_others(py);
        this.world.sleeper(py)
    }

    /// Tells the future: on the loop's thread.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and `SystemExit`, and what the exception handler itself raises.
    pub(crate) fn run(&self, py: Python<'_>) -> PyResult<()> {
        let Content { asker, outcome, .. } = self.content.replace(py, Content::default());
        let (Some((core, future)), Some(outcome)) = (asker, outcome) else { return Ok(()) };
        Self::tell(future.bind(py), outcome).or_else(|failure| {
            error::to_handler(core.bind(py), "Exception while the future of an executor was set", failure)
        })
    }

    fn tell(future: &Bound<'_, PyAny>, outcome: Outcome) -> PyResult<()> {
        let py = future.py();
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match outcome {
            Outcome::Result(result) => future.call_method1(intern!(py, "set_result"), (result,)),
            Outcome::Error(error) => {
                let name = intern!(py, "set_exception");
                // Before Python 3.12 a future refuses StopIteration; its caller would wait for ever.
                future
                    .call_method1(name, (error,))
                    .or_else(|refusal| future.call_method1(name, (refusal.into_value(py),)))
            }
            Outcome::Cancelled => future.call_method0(intern!(py, "cancel")),
        }
        .map(drop)
    }

    /// Gives it up before it is made, and tells whom it concerns.
    fn cancel(slf: Py<Self>, py: Python<'_>) -> PyResult<()> {
        let function = slf.get().content.with(py, |content| content.function.take());
        if slf.get().asker(py).is_some() {
            if let Some(real) = Self::answer(slf, py, Outcome::Cancelled) {
                real.wake();
            }
        } else if let Some((function, _)) = function {
            function.call_method0(py, intern!(py, "cancel"))?;
        }
        Ok(())
    }

    /// Lets go of what it holds: the loop is closed.
    pub(crate) fn clear(&self, py: Python<'_>) {
        drop(self.content.replace(py, Content::default()));
    }
}

#[pymethods]
impl Call {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let visited = self.content.visit(|content| {
            if let Some((function, args)) = &content.function {
                visit.call(function)?;
                visit.call(args)?;
            }
            if let Some((core, future)) = &content.asker {
                visit.call(core)?;
                visit.call(future)?;
            }
            match &content.outcome {
                Some(Outcome::Result(object) | Outcome::Error(object)) => visit.call(object),
                Some(Outcome::Cancelled) | None => Ok(()),
            }
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        self.clear(py);
    }
}

/// After so long an idle thread looks for calls that it was not told of.
const DOZE: Duration = Duration::from_millis(1);
