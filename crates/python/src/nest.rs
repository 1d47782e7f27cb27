//! The stacks that a loop's cycle runs on, and nested runs.
//!
//! Ground rules. The cycle runs on a greenlet of its own, a *hub*, never on the stack of whoever called `run_forever`: that
//! stack is the *root*, and it only waits. A callback that asks for a nested run *parks* its stack (which is a hub's, with the
//! callback on top) and has the cycle carried on by another hub; the queues are the engine's, so hubs are interchangeable.
//! When the awaited future is done, its done-callback puts the parked stack on the list of the woken; the hub that runs at that
//! time sees it after the callback, goes idle, and switches to it. That stack ends its callback and carries the cycle on.
//!
//! - New hubs are made by the root, so every hub starts at the root's depth. Greenlets that share a piece of the machine stack
//!   are kept on the heap while they are parked: the depth of nesting is limited by memory, not by the machine stack.
//! - An outermost run ends on whichever hub sees its end. Stacks that are parked then stay parked; they go on when the loop runs
//!   again, or end with `CancelledError` when it is closed. Idle hubs end with the run.
//! - Greenlets belong to a thread: a loop with parked stacks runs on their thread only.
//! - A stack that gets control asks whether it was handed over ([`hand_over`]). If not, somebody's own greenlet has switched to the
//!   hub that made it (its parent), which does not carry the cycle on any more: what arrived is passed on to the hub that does.
//! - The context that a parked callback is in (if the user gave it) is left while it is parked, so that others can enter it.
//! - In the midst of a garbage collection a stack can't be left: the collector's lists are on it.
//! - No cell is in use across a switch, and whoever comes back from one looks at the state afresh.

use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::greenlet::Greenlet;
use crate::ffi::object::thread_ident;
use crate::ffi::{context, gc};
use crate::inside;
use crate::names::Names;
use crate::session;
use crate::turn::{self, End};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Instant;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The stacks of one loop.
pub(crate) struct Nest {
    state: GilCell<State>,
    /// Whether the cycle must call [`attend`] before its next job.
    attention: AtomicBool,
    /// Set by whoever hands control over, taken by the stack that gets it.
    handed: AtomicBool,
    /// The context that the callback on top of the running stack is in, if the user gave it.
    pub(crate) entered: GilCell<Option<Py<PyAny>>>,
    /// How long the callback on top of the running stack was parked.
    pub(crate) away: GilCell<Duration>,
}

#[derive(Default)]
struct State {
    /// The stack of the outermost run's caller.
    root: Option<Greenlet>,
    /// The hub that carries the cycle on.
    hub: Option<Greenlet>,
    /// Hubs that wait for a cycle to carry on.
    idle: Vec<Greenlet>,
    /// Stacks inside a nested run, in the order in which they were parked.
    parked: Vec<Parked>,
    /// Parked stacks whose future is done.
    woken: VecDeque<u64>,
    /// What the outermost run gives; set by the hub that ends it.
    outcome: Option<PyResult<()>>,
    /// A stack that wants to park has asked the root for a new hub.
    wants_hub: bool,
    /// Hubs that have nothing to carry on are to end.
    retiring: bool,
    /// The loop is being closed: parked stacks end.
    closing: bool,
    /// The thread of the parked stacks: its number, which another one has after its end, and its mark.
    thread: u64,
    mark: u64,
    next_id: u64,
}

struct Parked {
    id: u64,
    stack: Greenlet,
    task: Option<Py<PyAny>>,
    future: Py<PyAny>,
    is_woken: bool,
    /// The task's class does not tell the loop of a cancellation: it must be asked. No more once it was passed on.
    must_ask: bool,
}

/// What a hub is to do after it has attended.
#[must_use]
pub(crate) enum Next {
    CarryOn,
    Retire,
}

impl Nest {
    pub(crate) fn new() -> Self {
        Self {
            state: GilCell::new(State::default()),
            attention: AtomicBool::new(false),
            handed: AtomicBool::new(false),
            entered: GilCell::new(None),
            away: GilCell::new(Duration::ZERO),
        }
    }

    #[inline]
    pub(crate) fn wants_attention(&self) -> bool {
        self.attention.load(Relaxed)
    }

    pub(crate) fn has_parked(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| !state.parked.is_empty())
    }

    pub(crate) fn parked_len(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.parked.len())
    }

    /// The future that the parked stack of `task` waits for.
    pub(crate) fn waits_for(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let of_task = |parked: &&Parked| parked.task.as_ref().is_some_and(|own| own.is(task));
            state.parked.iter().find(of_task).map(|parked| parked.future.clone_ref(py))
        })
    }

    /// Whether `future` is a task in a nested run that waits, by way of nested runs, for `task`.
    pub(crate) fn waits_in_the_end_for(&self, future: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> bool {
        let py = future.py();
        let mut last = future.clone();
        while let Some(next) = self.waits_for(py, &last) {
            if next.is(task) {
                return true;
            }
            last = next.into_bound(py);
        }
        false
    }

    /// Per parked stack: its task if it has one, the future it waits for, its innermost Python frame.
    #[allow(clippy::type_complexity, reason = "a row of a table for Python")]
    pub(crate) fn table(&self, py: Python<'_>) -> PyResult<Vec<(Option<Py<PyAny>>, Py<PyAny>, Py<PyAny>)>> {
        let rows = self.state.with(py, |state| {
            let row = |parked: &Parked| {
                let task = parked.task.as_ref().map(|task| task.clone_ref(py));
                (task, parked.future.clone_ref(py), parked.stack.clone_ref(py))
            };
            state.parked.iter().map(row).collect::<Vec<_>>()
        });
        rows.into_iter()
            .map(|(task, future, stack)| {
                Ok((task, future, stack.object(py).getattr(intern!(py, "gr_frame"))?.unbind()))
            })
            .collect()
    }

    fn with<R>(&self, py: Python<'_>, access: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(py, access)
    }
}

/// Gives control to `to`, and returns when it is given back.
fn hand_over(nest: &Nest, py: Python<'_>, to: &Greenlet) -> PyResult<()> {
    nest.handed.store(true, Relaxed);
    let mut arrived = to.switch(py, None);
    while !nest.handed.swap(false, Relaxed) {
        // From a greenlet of somebody else: it means the hub that it was switched to from.
        let hub = nest.with(py, |state| state.hub.as_ref().map(|hub| hub.clone_ref(py)));
        let Some(hub) = hub else { break };
        arrived = match arrived {
            Ok(value) => hub.switch(py, Some(value)),
            Err(error) => hub.throw(py, &error),
        };
    }
    arrived.map(drop)
}

/// Runs the cycle on hubs until a hub ends the run. The caller's stack is the root.
pub(crate) fn run(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    check_thread(core)?;
    let root = Greenlet::current(py)?;
    let context = context::copy_current(py)?;
    let replaced = nest.with(py, |state| state.root.replace(root.clone_ref(py)));
    let woken = nest.with(py, |state| !state.woken.is_empty());
    nest.attention.store(woken, Relaxed);
    let result = serve(core, &root, &context);
    let retired = retire(core, &root);
    // A hub that has ended keeps the context that it was given.
    drop(nest.with(py, |state| (std::mem::replace(&mut state.root, replaced), state.hub.take(), state.outcome.take())));
    result.and(retired)
}

/// Parked stacks belong to a thread.
///
/// # Errors
/// `RuntimeError` if it is another one, and alive. Stacks of a thread that has ended are gone with it: they are forgotten.
pub(crate) fn check_thread(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    let is_other = |state: &mut State| !state.parked.is_empty() && state.mark != thread_mark();
    match nest.with(py, |state| is_other(state).then_some(state.thread)) {
        Some(owner) => {
            for thread in Names::get(py)?.threads.bind(py).call0()?.try_iter()? {
                if thread?.getattr(intern!(py, "ident"))?.extract::<Option<u64>>()? == Some(owner)
                    && owner != thread_ident(py)
                {
                    return Err(PyRuntimeError::new_err(
                        "nested runs of this loop are parked on another thread: run or close the loop on that thread",
                    ));
                }
            }
            let gone = nest.with(py, |state| (std::mem::take(&mut state.parked), std::mem::take(&mut state.woken)));
            drop(gone);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Tells the calling thread from every other one, living or dead.
pub(crate) fn thread_mark() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static MARK: u64 = NEXT.fetch_add(1, Relaxed));
    MARK.with(|mark| *mark)
}

/// The root's part: starts a hub whenever one is asked for, until there is an outcome.
fn serve(core: &Bound<'_, LoopCore>, root: &Greenlet, context: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    loop {
        nest.with(py, |state| state.wants_hub = false);
        let run = Bound::new(py, Hub { core: core.clone().unbind() })?;
        let hub = Greenlet::new(run.as_any(), root)?;
        hub.object(py).setattr(intern!(py, "gr_context"), context)?;
        hand_over(nest, py, &hub)?;
        if let Some(outcome) = nest.with(py, |state| state.outcome.take()) {
            return outcome;
        }
        if !nest.with(py, |state| state.wants_hub) {
            return Err(PyRuntimeError::new_err("the loop's cycle was left by a switch of greenlets from outside"));
        }
    }
}

/// Ends the hubs that have nothing to carry on.
fn retire(core: &Bound<'_, LoopCore>, root: &Greenlet) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    nest.with(py, |state| state.retiring = true);
    let mut retired = Ok(());
    while let Some(hub) = nest.with(py, |state| state.idle.pop()) {
        retired = retired.and(hub.set_parent(py, root)).and_then(|()| hand_over(nest, py, &hub));
    }
    nest.with(py, |state| state.retiring = false);
    retired
}

/// Between two jobs: hands the cycle over to the stacks that were woken. Comes back when this hub carries on again.
#[cold]
pub(crate) fn attend(core: &Bound<'_, LoopCore>) -> PyResult<Next> {
    let (py, nest) = (core.py(), &core.get().nest);
    loop {
        if nest.with(py, |state| state.retiring) {
            return Ok(Next::Retire);
        }
        // One that was woken may have ended in another way since.
        let woken = nest.with(py, |state| {
            std::iter::from_fn(|| state.woken.pop_front())
                .find_map(|id| state.parked.iter().find(|parked| parked.id == id))
                .map(|parked| parked.stack.clone_ref(py))
        });
        let Some(stack) = woken else {
            nest.attention.store(false, Relaxed);
            return Ok(Next::CarryOn);
        };
        let this = Greenlet::current(py)?;
        nest.with(py, |state| state.idle.push(this.clone_ref(py)));
        hand_over(nest, py, &stack)?;
        drop(nest.with(py, |state| state.hub.replace(this)));
    }
}

/// A nested run: parks the calling stack until `future` is done. The cycle goes on meanwhile.
///
/// # Errors
/// `CancelledError` if the loop is closed meanwhile; what is thrown into the stack.
pub(crate) fn wait(core: &Bound<'_, LoopCore>, future: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    if gc::is_collecting(py) {
        return Err(PyRuntimeError::new_err(
            "a nested run can't begin in the midst of a garbage collection (this is a __del__ or a weakref callback that the \
             collector has called): schedule the coroutine with loop.create_task() instead",
        ));
    }
    let task = session::leave_task(core.as_any())?;
    let (entered, is_left) = leave_context(core);
    let watched = core.get().debug.load(Relaxed).then(|| Watched::leave(core));
    let id = park(core, task.as_ref(), future)?;
    let hub = nest.with(py, |state| state.hub.as_ref().map(|hub| hub.clone_ref(py)));
    let waker = Bound::new(py, Waker { core: core.clone().unbind(), id })?;
    let owners = inside::set_aside(core);
    let waited = future
        .call_method1(intern!(py, "add_done_callback"), (&waker,))
        .and_then(|_| task.as_ref().map_or(Ok(()), |task| pass_earlier_request_on(task, future)))
        .and_then(|()| carry_on_until_woken(core, id));
    inside::put_back(py, owners);
    drop(nest.with(py, |state| std::mem::replace(&mut state.hub, hub)));
    let parked = nest.with(py, |state| {
        let index = state.parked.iter().position(|parked| parked.id == id)?;
        Some(state.parked.remove(index))
    });
    drop(parked);
    if let Some(watched) = watched {
        watched.come_back(core);
    }
    if let Some(task) = &task {
        session::enter_task(core.as_any(), task)?;
    }
    if let Some(context) = entered {
        let context = if is_left { enter_again(context.bind(py))? } else { context };
        drop(nest.entered.replace(py, Some(context)));
    }
    if waited.is_err() {
        future.call_method1(intern!(py, "remove_done_callback"), (waker,))?;
        return waited;
    }
    task.as_ref().map_or(Ok(()), raise_late_request)
}

/// What debug mode knows of the callback on the running stack.
struct Watched {
    handle: Option<Py<PyAny>>,
    away: Duration,
    since: Instant,
}

impl Watched {
    fn leave(core: &Bound<'_, LoopCore>) -> Self {
        let (py, this) = (core.py(), core.get());
        let handle = this.current_handle.replace(py, None);
        Self { handle, away: this.nest.away.replace(py, Duration::ZERO), since: this.world.now(py) }
    }

    fn come_back(self, core: &Bound<'_, LoopCore>) {
        let (py, this) = (core.py(), core.get());
        this.nest.away.replace(py, self.away + self.since.until(this.world.now(py)));
        drop(this.current_handle.replace(py, self.handle));
    }
}

/// Puts the running stack on the list of the parked; gives its number.
fn park(core: &Bound<'_, LoopCore>, task: Option<&Bound<'_, PyAny>>, future: &Bound<'_, PyAny>) -> PyResult<u64> {
    let (py, nest) = (core.py(), &core.get().nest);
    let stack = Greenlet::current(py)?;
    let class = core.get().task_class(py)?;
    let must_ask = task.is_some_and(|task| !task.get_type().is(&class));
    Ok(nest.with(py, |state| {
        let id = state.next_id;
        state.next_id += 1;
        (state.thread, state.mark) = (thread_ident(py), thread_mark());
        let (task, future) = (task.map(|task| task.clone().unbind()), future.clone().unbind());
        state.parked.push(Parked { id, stack, task, future, is_woken: false, must_ask });
        id
    }))
}

/// Leaves the context that the running callback is in, if the user gave it and nothing else was entered on top of it; gives it, and
/// whether it was left.
fn leave_context(core: &Bound<'_, LoopCore>) -> (Option<Py<PyAny>>, bool) {
    let (py, nest) = (core.py(), &core.get().nest);
    let entered = nest.entered.replace(py, None);
    let is_left = entered.as_ref().is_some_and(|context| context::leave(context.bind(py)));
    (entered, is_left)
}

/// Enters a context that was left, or a copy of it if somebody else is inside; gives the one that was entered.
fn enter_again(context: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if context::reenter(context).is_ok() {
        return Ok(context.clone().unbind());
    }
    let copy = context::copy(context)?;
    context::reenter(&copy)?;
    Ok(copy.unbind())
}

/// A cancellation that was requested when the awaited future was done already rises in place of its result, as at an `await`.
fn raise_late_request(task: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    let message = match task.getattr_opt(intern!(py, "_late_request"))? {
        Some(request) if request.is_none() => None,
        Some(request) => {
            task.setattr(intern!(py, "_late_request"), py.None())?;
            Some(request.get_item(0)?)
        }
        None if task.getattr_opt(intern!(py, "_must_cancel"))?.map_or(Ok(false), |flag| flag.is_truthy())? => {
            let message = task.getattr(intern!(py, "_cancel_message"))?;
            take_request_from_stock(task)?;
            Some(message)
        }
        None => None,
    };
    let Some(message) = message else { return Ok(()) };
    let class = Names::get(py)?.cancelled_error.bind(py);
    let error = if message.is_none() { class.call0()? } else { class.call1((message,))? };
    Err(PyErr::from_value(error))
}

/// A cancellation that was requested while the task was running rises at its first wait, which is this nested run.
fn pass_earlier_request_on(task: &Bound<'_, PyAny>, future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    if !task.getattr(intern!(py, "_must_cancel"))?.is_truthy()? {
        return Ok(());
    }
    let message = task.getattr(intern!(py, "_cancel_message"))?;
    match task.getattr_opt(intern!(py, "_take_request"))? {
        Some(take) => drop(take.call0()?),
        None => take_request_from_stock(task)?,
    }
    future.call_method1(intern!(py, "cancel"), (message,)).map(drop)
}

/// A request that rises out of a nested run must not rise at the next `await` again. A stock task forgets it when every request was
/// taken back, from Python 3.13 on; its count of requests is lost with it.
fn take_request_from_stock(task: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    let requests: usize = task.call_method0(intern!(py, "cancelling"))?.extract()?;
    for _ in 0..requests {
        task.call_method0(intern!(py, "uncancel"))?;
    }
    Ok(())
}

fn carry_on_until_woken(core: &Bound<'_, LoopCore>, id: u64) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    loop {
        let (is_woken, is_closing) = nest.with(py, |state| {
            let is_woken = state.parked.iter().any(|parked| parked.id == id && parked.is_woken);
            (is_woken, state.closing)
        });
        if is_woken {
            return Ok(());
        }
        if is_closing {
            let error = Names::get(py)?.cancelled_error.bind(py);
            return Err(PyErr::from_value(error.call1(("the event loop was closed during a nested run",))?));
        }
        let next = nest.with(py, |state| {
            state.idle.pop().or_else(|| {
                state.wants_hub = true;
                state.root.as_ref().map(|root| root.clone_ref(py))
            })
        });
        match next {
            Some(stack) => hand_over(nest, py, &stack)?,
            None => return Err(PyRuntimeError::new_err("a nested run needs a run to be nested in")),
        }
    }
}

/// Ends every parked stack with `CancelledError`: the loop is being closed. It must not be running.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` that a stack raises while it ends, the first one; every stack has ended then all the same.
pub(crate) fn end_parked(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    let root = Greenlet::current(py)?;
    let replaced = nest.with(py, |state| {
        state.closing = true;
        state.retiring = true;
        state.root.replace(root)
    });
    nest.attention.store(true, Relaxed);
    let mut ended = Ok(());
    // The innermost first, as frames of one stack would end.
    while let Some(stack) = nest.with(py, |state| state.parked.last().map(|parked| parked.stack.clone_ref(py))) {
        let handed = hand_over(nest, py, &stack);
        let outcome = nest.with(py, |state| state.outcome.take());
        ended = ended.and(outcome.unwrap_or(Ok(())));
        if handed.is_err() {
            ended = ended.and(handed);
            break;
        }
    }
    drop(nest.with(py, |state| {
        state.closing = false;
        state.retiring = false;
        (std::mem::replace(&mut state.root, replaced), state.hub.take())
    }));
    ended
}

/// Passes cancellations of tasks whose class does not tell the loop on to the futures that their stacks wait for.
#[cold]
pub(crate) fn forward_cancellations(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, nest) = (core.py(), &core.get().nest);
    let waiting = nest.with(py, |state| {
        let of_task = |parked: &Parked| {
            let task = parked.task.as_ref().filter(|_| parked.must_ask)?;
            Some((parked.id, task.clone_ref(py), parked.future.clone_ref(py)))
        };
        state.parked.iter().filter_map(of_task).collect::<Vec<_>>()
    });
    for (id, task, future) in waiting {
        let must_cancel = task.bind(py).getattr_opt(intern!(py, "_must_cancel"))?;
        if must_cancel.map_or(Ok(false), |flag| flag.is_truthy())? {
            nest.with(py, |state| {
                if let Some(parked) = state.parked.iter_mut().find(|parked| parked.id == id) {
                    parked.must_ask = false;
                }
            });
            let message = task.bind(py).getattr(intern!(py, "_cancel_message"))?;
            take_request_from_stock(task.bind(py))?;
            future.bind(py).call_method1(intern!(py, "cancel"), (message,))?;
        }
    }
    Ok(())
}

/// The function of a hub's greenlet.
#[pyclass(frozen, module = "soliloop._soliloop")]
struct Hub {
    core: Py<LoopCore>,
}

#[pymethods]
impl Hub {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)
    }

    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core.bind(py);
        let nest = &core.get().nest;
        nest.handed.store(false, Relaxed);
        let this = Greenlet::current(py)?;
        drop(nest.with(py, |state| state.hub.replace(this)));
        let outcome = match turn::cycle(core) {
            Ok(End::Retired) => None,
            Ok(End::Stopped) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        let root = nest.with(py, |state| {
            if outcome.is_some() {
                state.outcome = outcome;
            }
            state.root.as_ref().map(|root| root.clone_ref(py))
        });
        // The end of this greenlet gives control to its parent. The root of today need not be the one that made this hub.
        nest.handed.store(true, Relaxed);
        match root {
            Some(root) => Greenlet::current(py)?.set_parent(py, &root),
            None => Ok(()),
        }
    }
}

/// The done-callback of a future that a parked stack waits for.
#[pyclass(frozen, module = "soliloop._soliloop")]
struct Waker {
    core: Py<LoopCore>,
    id: u64,
}

#[pymethods]
impl Waker {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)
    }

    fn __call__(&self, py: Python<'_>, _future: &Bound<'_, PyAny>) {
        let nest = &self.core.get().nest;
        nest.with(py, |state| {
            if let Some(parked) = state.parked.iter_mut().find(|parked| parked.id == self.id) {
                parked.is_woken = true;
                state.woken.push_back(self.id);
            }
        });
        nest.attention.store(true, Relaxed);
    }
}
