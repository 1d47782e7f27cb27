//! Simulated threads: stacks of one real thread, which take turns where a real one would wait.
//!
//! Ground rules. A simulated thread runs until it waits (for time, a lock, a socket) or ends; nothing else interrupts it. To run it is a job of the
//! loop's queue, so it is deterministic. It is *parked* while it waits: its stack is left for whoever has switched to it (the *resumer*: a
//! hub of the loop, or a stack that blocks the loop and keeps the world going). No loop runs in it, as in a new real thread.
//! Locks are the interpreter's own; who waits for one is known here, because the interpreter would take all stacks for one thread. Of a
//! lock that is held by its owner several times (`RLock`) the owner is known here for the same reason. No cell is in use across a switch.

use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::context::copy_current;
use crate::ffi::gc;
use crate::ffi::greenlet::Greenlet;
use crate::identity::Identity;
use crate::job::Scheduled;
use crate::session::Outer;
use crate::simulated::SimulatedWorld;
use crate::world::World;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Instant;
use soliloop_engine::world::sim::Simulated;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

/// The simulated threads of one loop.
#[derive(Default)]
pub(crate) struct Threads {
    /// Those that were started and have not ended, in the order of their numbers.
    living: BTreeMap<u64, Py<SimulatedThread>>,
    /// The one whose stack runs.
    current: Option<Py<SimulatedThread>>,
    /// Who sleeps, by the number that the world gave.
    sleepers: BTreeMap<u64, Py<SimulatedThread>>,
    /// Who waits for what, by its address: those that came first are woken first.
    queues: BTreeMap<usize, VecDeque<Py<SimulatedThread>>>,
    started: u64,
}

/// A simulated thread: what its stack runs, and where it waits.
#[pyclass(frozen, weakref, module = "soliloop._soliloop")]
pub(crate) struct SimulatedThread {
    core: Py<LoopCore>,
    number: u64,
    name: String,
    /// Of who has started it.
    context: Py<PyAny>,
    identity: Identity,
    state: GilCell<State>,
}

struct State {
    function: Option<Py<PyAny>>,
    /// To be called at the end, whatever the function gives. No code of Python's, which an interrupt could keep from running.
    ended: Option<Py<PyAny>>,
    stack: Option<Greenlet>,
    resumer: Option<Greenlet>,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// A job to run it is on its way.
    Ready,
    Running,
    Parked(Wait),
    Ended,
}

/// What a parked thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wait {
    what: String,
    sleeper: Option<u64>,
    place: Option<usize>,
}

/// Why a parked thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// What it waits for may be there.
    Told,
    /// Its time has come.
    Late,
}

impl State {
    /// Gives whether it was parked.
    fn make_ready(&mut self) -> bool {
        let was_parked = matches!(self.phase, Phase::Parked(_));
        if was_parked {
            self.phase = Phase::Ready;
        }
        was_parked
    }
}

impl Threads {
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.living.values().chain(&self.current).try_for_each(|thread| visit.call(thread))
    }
}

/// Starts a simulated thread that calls `function`, which raises interrupts only, and then `ended`.
fn start(core: &Bound<'_, LoopCore>, function: Py<PyAny>, ended: Py<PyAny>, name: String) -> PyResult<()> {
    let py = core.py();
    let Some(world) = world(core) else {
        return Err(PyRuntimeError::new_err("threads are simulated in simulations only"));
    };
    let number = world.with_threads(py, |threads| {
        threads.started += 1;
        threads.started
    });
    let (function, ended) = (Some(function), Some(ended));
    let state = State { function, ended, stack: None, resumer: None, phase: Phase::Ready };
    let context = copy_current(py)?.unbind();
    let (core_of_it, identity) = (core.clone().unbind(), Identity::new());
    let thread = SimulatedThread { core: core_of_it, number, name, context, identity, state: GilCell::new(state) };
    let thread = Bound::new(py, thread)?;
    let stack = Greenlet::new(thread.as_any(), &Greenlet::current(py)?)?;
    thread.get().state.with(py, |state| state.stack = Some(stack));
    world.with_threads(py, |threads| threads.living.insert(number, thread.clone().unbind()));
    push(core, thread.unbind());
    Ok(())
}

/// The simulated thread whose stack runs, if it is one.
pub(crate) fn current<'py>(core: &Bound<'py, LoopCore>) -> Option<Bound<'py, SimulatedThread>> {
    let py = core.py();
    let current = world(core)?.with_threads(py, |threads| threads.current.as_ref().map(|thread| thread.clone_ref(py)));
    current.map(|thread| thread.into_bound(py))
}

/// The simulated thread, of whichever loop, whose stack runs on the calling thread; whatever runs on top of it.
pub(crate) fn running(py: Python<'_>) -> Option<Bound<'_, SimulatedThread>> {
    let running = RUNNING.take();
    let thread = running.as_ref().map(|thread| thread.clone_ref(py).into_bound(py));
    RUNNING.set(running);
    thread
}

/// The number of the simulated thread whose stack runs; 0 for the loop's own.
pub(crate) fn current_number(core: &Bound<'_, LoopCore>) -> u64 {
    current(core).map_or(0, |thread| thread.get().number)
}

/// Runs a thread until it waits or ends.
///
/// # Errors
/// What rises out of a thread that is ended from outside.
pub(crate) fn resume(core: &Bound<'_, LoopCore>, thread: &Bound<'_, SimulatedThread>) -> PyResult<()> {
    let (py, this) = (core.py(), thread.get());
    let Some(world) = world(core) else { return Ok(()) };
    let stack = this.state.with(py, |state| {
        if state.phase != Phase::Ready {
            return None;
        }
        state.phase = Phase::Running;
        state.stack.as_ref().map(|stack| stack.clone_ref(py))
    });
    let Some(stack) = stack else { return Ok(()) };
    let outer = Outer::hide(py)?;
    let resumer = Greenlet::current(py)?;
    stack.set_parent(py, &resumer)?;
    drop(this.state.with(py, |state| state.resumer.replace(resumer)));
    let arrived = as_thread(world, thread, || stack.switch(py, None).map(drop));
    if this.state.with(py, |state| state.phase == Phase::Ended) {
        let left = this
            .state
            .with(py, |state| (state.stack.take(), state.resumer.take(), state.function.take(), state.ended.take()));
        drop(left);
        this.identity.forget_locals(py);
        drop(world.with_threads(py, |threads| threads.living.remove(&this.number)));
    }
    outer.map_or(Ok(()), |outer| outer.show(py)).and(arrived)
}

/// Switches to the stack of a thread, by `switch`: until it is left again, that is the thread that runs.
fn as_thread(
    world: &SimulatedWorld,
    thread: &Bound<'_, SimulatedThread>,
    switch: impl FnOnce() -> PyResult<()>,
) -> PyResult<()> {
    let (py, identity) = (thread.py(), &thread.get().identity);
    identity.exchange_locals(py)?;
    let before = world.with_threads(py, |threads| threads.current.replace(thread.clone().unbind()));
    let below = RUNNING.replace(Some(thread.clone().unbind()));
    let arrived = switch();
    drop(RUNNING.replace(below));
    drop(world.with_threads(py, |threads| std::mem::replace(&mut threads.current, before)));
    arrived.and(identity.exchange_locals(py))
}

/// Parks the running thread until it is told at `place`, or the deadline has come.
///
/// # Errors
/// What is thrown into it when the loop is closed.
pub(crate) fn park(
    core: &Bound<'_, LoopCore>,
    thread: &Bound<'_, SimulatedThread>,
    place: Option<usize>,
    deadline: Option<Instant>,
    what: &str,
) -> PyResult<Woken> {
    let (py, this) = (core.py(), thread.get());
    let Some(world) = world(core) else { return Ok(Woken::Late) };
    if gc::is_collecting(py) {
        return Err(PyRuntimeError::new_err(
            "a simulated thread can't wait in the midst of a garbage collection (this is a __del__ or a weakref callback that the \
             collector has called)",
        ));
    }
    let sleeper = deadline.map(|deadline| world.with(py, |sim| sim.sleep_until(deadline)));
    world.with_threads(py, |threads| {
        if let Some(sleeper) = sleeper {
            threads.sleepers.insert(sleeper, thread.clone().unbind());
        }
        if let Some(place) = place {
            threads.queues.entry(place).or_default().push_back(thread.clone().unbind());
        }
    });
    let resumer = this.state.with(py, |state| {
        state.phase = Phase::Parked(Wait { what: what.to_owned(), sleeper, place });
        state.resumer.as_ref().map(|resumer| resumer.clone_ref(py))
    });
    let arrived = match resumer {
        Some(resumer) => resumer.switch(py, None).map(drop),
        None => Err(PyRuntimeError::new_err("a simulated thread was switched to from outside")),
    };
    let is_late = leave(world, thread, sleeper, place);
    arrived.map(|()| if is_late { Woken::Late } else { Woken::Told })
}

/// Takes a thread out of where it waits; gives whether its time has come.
fn leave(
    world: &SimulatedWorld,
    thread: &Bound<'_, SimulatedThread>,
    sleeper: Option<u64>,
    place: Option<usize>,
) -> bool {
    let py = thread.py();
    let removed = world.with_threads(py, |threads| {
        let queued = place.and_then(|place| {
            let queue = threads.queues.get_mut(&place)?;
            let index = queue.iter().position(|waiting| waiting.is(thread))?;
            let removed = queue.remove(index);
            if queue.is_empty() {
                threads.queues.remove(&place);
            }
            removed
        });
        (queued, sleeper.and_then(|sleeper| threads.sleepers.remove(&sleeper)))
    });
    let was_asleep = sleeper.is_some_and(|sleeper| world.with(py, |sim| sim.forget_sleeper(sleeper)));
    drop(removed);
    sleeper.is_some() && !was_asleep
}

/// Has the first thread that waits at `place` go on.
pub(crate) fn wake_one(core: &Bound<'_, LoopCore>, place: usize) {
    let py = core.py();
    let Some(world) = world(core) else { return };
    // Those that were told already are on their way.
    let first = world.with_threads(py, |threads| {
        let queue = threads.queues.get(&place)?;
        queue.iter().find(|thread| thread.get().is_parked(py)).map(|thread| thread.clone_ref(py))
    });
    if let Some(thread) = first {
        tell(core, thread);
    }
}

/// Has the threads go on whose time has come.
pub(crate) fn wake_sleepers(core: &Bound<'_, LoopCore>, world: &SimulatedWorld) {
    let py = core.py();
    for sleeper in world.with(py, Simulated::take_woken) {
        if let Some(thread) = world.with_threads(py, |threads| threads.sleepers.remove(&sleeper)) {
            tell(core, thread);
        }
    }
}

/// A parked thread is to go on.
pub(crate) fn tell(core: &Bound<'_, LoopCore>, thread: Py<SimulatedThread>) {
    if let Some(job) = SimulatedThread::note_ready(&thread, core.py()) {
        core.get().engine.with(core.py(), |engine| engine.push(job));
    }
    drop(thread.into_bound(core.py()));
}

/// Runs every thread that is ready, while the loop is blocked; gives whether there was one.
pub(crate) fn run_ready(core: &Bound<'_, LoopCore>) -> PyResult<bool> {
    let py = core.py();
    let Some(world) = world(core) else { return Ok(false) };
    let ready: Vec<Py<SimulatedThread>> = world.with_threads(py, |threads| {
        let is_ready = |thread: &&Py<SimulatedThread>| thread.get().state.with(py, |state| state.phase == Phase::Ready);
        threads.living.values().filter(is_ready).map(|thread| thread.clone_ref(py)).collect()
    });
    let any = !ready.is_empty();
    for thread in ready {
        resume(core, thread.bind(py))?;
    }
    Ok(any)
}

/// Per thread that has not ended: its name, what it waits for, and its innermost frame if it waits.
#[allow(clippy::type_complexity, reason = "a row of a table for Python")]
pub(crate) fn table(core: &Bound<'_, LoopCore>) -> PyResult<Vec<(String, Option<String>, Py<PyAny>)>> {
    let py = core.py();
    let Some(world) = world(core) else { return Ok(Vec::new()) };
    let living: Vec<Py<SimulatedThread>> =
        world.with_threads(py, |threads| threads.living.values().map(|thread| thread.clone_ref(py)).collect());
    living
        .into_iter()
        .map(|thread| {
            let this = thread.get();
            let (what, stack) = this.state.with(py, |state| {
                let what = if let Phase::Parked(wait) = &state.phase { Some(wait.what.clone()) } else { None };
                (what, state.stack.as_ref().map(|stack| stack.clone_ref(py)))
            });
            let frame = match stack {
                Some(stack) => stack.object(py).getattr(intern!(py, "gr_frame"))?.unbind(),
                None => py.None(),
            };
            Ok((this.name.clone(), what, frame))
        })
        .collect()
}

/// Ends every thread: the loop is being closed. `GreenletExit` rises where each of them waits.
pub(crate) fn end_all(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let py = core.py();
    let Some(world) = world(core) else { return Ok(()) };
    if world.with_threads(py, |threads| threads.living.is_empty()) {
        // Not only sooner done: at the end of the interpreter nothing can be imported.
        return Ok(());
    }
    let exit = py.import(intern!(py, "greenlet"))?.getattr(intern!(py, "GreenletExit"))?;
    let mut ended = Ok(());
    while let Some((_, thread)) = world.with_threads(py, |threads| threads.living.pop_first()) {
        let this = thread.get();
        let stack = this.state.with(py, |state| {
            state.phase = Phase::Ended;
            state.stack.take()
        });
        let Some(stack) = stack else { continue };
        let is_alive = stack.object(py).is_truthy()?;
        if is_alive {
            stack.set_parent(py, &Greenlet::current(py)?)?;
            let error = PyErr::from_value(exit.call0()?);
            ended = ended.and(as_thread(world, thread.bind(py), || stack.throw(py, &error).map(drop)));
        }
        this.identity.forget_locals(py);
    }
    ended
}

fn push(core: &Bound<'_, LoopCore>, thread: Py<SimulatedThread>) {
    core.get().engine.with(core.py(), |engine| engine.push(Scheduled::Thread(thread)));
}

fn world<'a>(core: &'a Bound<'_, LoopCore>) -> Option<&'a SimulatedWorld> {
    match &core.get().world {
        World::Simulated(world) => Some(world),
        World::Real(_) => None,
    }
}

impl SimulatedThread {
    pub(crate) fn context<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.context.bind(py)
    }

    pub(crate) fn identity(&self) -> (&Identity, &str) {
        (&self.identity, &self.name)
    }

    fn is_parked(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| matches!(state.phase, Phase::Parked(_)))
    }

    /// What it waits for may be there; gives a job if there is none on its way.
    pub(crate) fn note_ready(slf: &Py<Self>, py: Python<'_>) -> Option<Scheduled> {
        let is_new = slf.get().state.with(py, State::make_ready);
        is_new.then(|| Scheduled::Thread(slf.clone_ref(py)))
    }

    /// Runs it as a job.
    ///
    /// # Errors
    /// As [`resume`].
    pub(crate) fn run(slf: &Bound<'_, Self>, core: &Bound<'_, LoopCore>) -> PyResult<()> {
        resume(core, slf).or_else(|error| error::contain(core, error, slf.as_any()))
    }
}

#[pymethods]
impl SimulatedThread {
    /// The function of the thread's stack.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let function = self.state.with(py, |state| state.function.take());
        let called = function.map_or(Ok(()), |function| function.bind(py).call0().map(drop));
        let ended = self.state.with(py, |state| state.ended.take());
        let left = ended.map_or(Ok(()), |ended| ended.bind(py).call0().map(drop)).and(self.identity.take_leave(py));
        self.state.with(py, |state| state.phase = Phase::Ended);
        called.and(left)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let phase = self.state.with(py, |state| match &state.phase {
            Phase::Parked(wait) => format!("waits for {}", wait.what),
            phase => format!("{phase:?}").to_lowercase(),
        });
        format!("<SimulatedThread {:?} {phase}>", self.name)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        visit.call(&self.context)?;
        let visited = self.state.visit(|state| {
            visit.call(&state.function)?;
            visit.call(&state.ended)?;
            let stacks = state.stack.iter().chain(&state.resumer);
            stacks.into_iter().try_for_each(|stack| stack.traverse(&visit))
        });
        visited.unwrap_or(Ok(()))
    }
}

thread_local!(static RUNNING: Cell<Option<Py<SimulatedThread>>> = const { Cell::new(None) });

/// Starts a simulated thread of a loop that calls *function*, and then *ended*.
#[pyfunction]
pub(crate) fn _start_thread(
    core: &Bound<'_, LoopCore>,
    function: Py<PyAny>,
    ended: Py<PyAny>,
    name: String,
) -> PyResult<()> {
    start(core, function, ended, name)
}

/// The simulated threads of a loop that have not ended: name, what each waits for, and where.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "a row of a table for Python")]
pub(crate) fn _simulated_threads(core: &Bound<'_, LoopCore>) -> PyResult<Vec<(String, Option<String>, Py<PyAny>)>> {
    table(core)
}

/// Ends the simulated threads of a loop, which is being closed.
#[pyfunction]
pub(crate) fn _end_threads(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    end_all(core)
}
