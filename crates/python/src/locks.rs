//! The interpreter's locks and queues inside a simulation: who would wait for one in vain parks instead (Python docs, "threading", "queue").
//!
//! The locks themselves stay the interpreter's. It takes all simulated threads for one, so the owner of an `RLock` is noted here.

use crate::blocking::{self, Place};
use crate::event_loop::LoopCore;
use crate::ffi::intercept::{Call, Target, untouched};
use crate::inside;
use crate::simulated::SimulatedWorld;
use crate::threads;
use crate::world::World;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple};
use soliloop_engine::Instant;

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

/// The intercepted methods. (`_thread.lock` is the name of the class from 3.13 on only.)
pub(crate) const TARGETS: &[Target] = &[
    Target::new("_thread.LockType.acquire", acquire),
    Target::new("_thread.LockType.acquire_lock", acquire),
    Target::new("_thread.LockType.__enter__", acquire),
    Target::new("_thread.LockType.release", release),
    Target::new("_thread.LockType.release_lock", release),
    Target::new("_thread.LockType.__exit__", release),
    Target::new("_thread.RLock.acquire", acquire_again),
    Target::new("_thread.RLock.__enter__", acquire_again),
    Target::new("_thread.RLock.release", release_again),
    Target::new("_thread.RLock.__exit__", release_again),
    Target::new("_thread.RLock._release_save", release_all),
    Target::new("_thread.RLock._acquire_restore", acquire_all),
    Target::new("_thread.RLock._is_owned", is_owned),
    Target::new("_queue.SimpleQueue.get", get),
    Target::new("_queue.SimpleQueue.put", put),
    Target::new("_queue.SimpleQueue.put_nowait", put),
];

/// Who holds an `RLock`, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    thread: u64,
    count: usize,
}

/// Whether to wait, and until when.
struct Patience {
    waits: bool,
    deadline: Option<Instant>,
}

/// A lock in a simulation, by its address.
struct Lock<'py> {
    core: Bound<'py, LoopCore>,
    object: Bound<'py, PyAny>,
    address: usize,
}

fn lock<'py>(call: &Call<'_, 'py>) -> Option<Lock<'py>> {
    let (core, object) = (inside::current(call.py())?, call.this()?);
    let address = object.as_ptr() as usize;
    Some(Lock { core, object, address })
}

impl<'py> Lock<'py> {
    fn py(&self) -> Python<'py> {
        self.core.py()
    }

    fn world(&self) -> Option<&SimulatedWorld> {
        match &self.core.get().world {
            World::Simulated(world) => Some(world),
            World::Real(_) => None,
        }
    }

    /// Tries until it is taken.
    fn persist(&self, patience: &Patience, what: &str, take: impl Fn() -> PyResult<bool>) -> PyResult<bool> {
        if take()? {
            return Ok(true);
        }
        if !patience.waits {
            return Ok(false);
        }
        let attempt = || Ok(take()?.then_some(()));
        let taken = blocking::wait(&self.core, Place::Object(self.address), patience.deadline, what, attempt)?;
        Ok(taken.is_some())
    }

    fn tell(&self) {
        threads::wake_one(&self.core, self.address);
    }

    /// Who holds it; nobody, if the interpreter says so: then what was noted was of a lock that is gone.
    fn held(&self) -> PyResult<Option<Held>> {
        let Some(world) = self.world() else { return Ok(None) };
        let held = world.with_locks(self.py(), |locks| locks.get(&self.address).copied());
        if held.is_some() && !untouched(|| self.object.call_method0(intern!(self.py(), "_is_owned")))?.is_truthy()? {
            self.note(None);
            return Ok(None);
        }
        Ok(held)
    }

    fn note(&self, held: Option<Held>) {
        if let Some(world) = self.world() {
            world.with_locks(self.py(), |locks| match held {
                Some(held) => locks.insert(self.address, held),
                None => locks.remove(&self.address),
            });
        }
    }
}

/// `acquire(blocking=True, timeout=-1)`.
fn patience<'py>(lock: &Lock<'py>, call: &Call<'_, 'py>) -> PyResult<Patience> {
    let given = |place: usize, name: &str| match call.arg(place) {
        Some(value) => Ok(Some(value)),
        None => call.keyword(name),
    };
    let waits = given(0, "blocking")?.map_or(Ok(true), |blocking| blocking.is_truthy())?;
    let limit: f64 = given(1, "timeout")?.map_or(Ok(-1.0), |timeout| timeout.extract())?;
    #[allow(clippy::float_cmp, reason = "-1 stands for no limit, and nothing near it does")]
    let is_endless = limit == -1.0;
    if !waits && !is_endless {
        return Err(PyValueError::new_err("can't specify a timeout for a non-blocking call"));
    }
    if waits && limit < 0.0 && !is_endless {
        return Err(PyValueError::new_err("timeout value must be a non-negative number"));
    }
    let deadline = if is_endless { None } else { Some(blocking::after(&lock.core, limit)?) };
    Ok(Patience { waits, deadline })
}

#[allow(clippy::unnecessary_wraps, reason = "it is the answer of a handler")]
fn truth(py: Python<'_>, value: bool) -> Answer<'_> {
    Ok(Some(PyBool::new(py, value).to_owned().into_any()))
}

// -------------------------------------------------------------------- locks

fn acquire<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    // `__enter__` gets no arguments, or those of a `with` statement.
    let patience = patience(&lock, call)?;
    let object = &lock.object;
    let take = || try_lock(object);
    let taken = lock.persist(&patience, "a lock", take)?;
    truth(call.py(), taken)
}

/// Takes the lock if that is possible at once.
fn try_lock(lock: &Bound<'_, PyAny>) -> PyResult<bool> {
    untouched(|| lock.call_method1(intern!(lock.py(), "acquire"), (false,)))?.is_truthy()
}

fn release<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    let released = call.original()?;
    lock.tell();
    Ok(Some(released))
}

// -------------------------------------------------------------------- locks that their owner can take again

fn acquire_again<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    let patience = patience(&lock, call)?;
    let thread = threads::current_number(&lock.core);
    let taken = lock.persist(&patience, "an RLock", || take_again(&lock, thread, 1))?;
    truth(call.py(), taken)
}

fn take_again(lock: &Lock<'_>, thread: u64, more: usize) -> PyResult<bool> {
    let held = lock.held()?;
    if held.is_some_and(|held| held.thread != thread) {
        return Ok(false);
    }
    let py = lock.py();
    if !untouched(|| lock.object.call_method1(intern!(py, "acquire"), (false,)))?.is_truthy()? {
        return Ok(false);
    }
    lock.note(Some(Held { thread, count: held.map_or(0, |held| held.count) + more }));
    Ok(true)
}

fn release_again<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    let thread = threads::current_number(&lock.core);
    let held = lock.held()?;
    if held.is_some_and(|held| held.thread != thread) {
        return Err(PyRuntimeError::new_err("cannot release un-acquired lock"));
    }
    let released = untouched(|| lock.object.call_method0(intern!(call.py(), "release")))?;
    // One that was taken before the simulation is not noted.
    let left = held.filter(|held| held.count > 1).map(|held| Held { count: held.count - 1, ..held });
    lock.note(left);
    if left.is_none() {
        lock.tell();
    }
    Ok(Some(released))
}

/// Gives up all of it, for a condition that waits.
fn release_all<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    let thread = threads::current_number(&lock.core);
    if lock.held()?.is_some_and(|held| held.thread != thread) {
        return Err(PyRuntimeError::new_err("cannot release un-acquired lock"));
    }
    let saved = call.original()?;
    lock.note(None);
    lock.tell();
    Ok(Some(saved))
}

fn acquire_all<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    let Some(saved) = call.arg(0) else { return Ok(None) };
    let thread = threads::current_number(&lock.core);
    let count: usize = saved.cast::<PyTuple>()?.get_item(0)?.extract()?;
    let patience = Patience { waits: true, deadline: None };
    lock.persist(&patience, "an RLock", || {
        if lock.held()?.is_some() {
            return Ok(false);
        }
        lock.note(Some(Held { thread, count }));
        Ok(true)
    })?;
    Ok(Some(call.original()?))
}

fn is_owned<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(lock) = lock(call) else { return Ok(None) };
    let thread = threads::current_number(&lock.core);
    match lock.held()? {
        Some(held) if held.thread != thread => truth(call.py(), false),
        _ => Ok(None),
    }
}

// -------------------------------------------------------------------- queues

/// `get(block=True, timeout=None)`.
fn get<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(queue) = lock(call) else { return Ok(None) };
    let given = |place: usize, name: &str| match call.arg(place) {
        Some(value) => Ok(Some(value)),
        None => call.keyword(name),
    };
    let waits = given(0, "block")?.map_or(Ok(true), |block| block.is_truthy())?;
    let limit = given(1, "timeout")?.filter(|limit| !limit.is_none());
    if !waits {
        return Ok(None);
    }
    let deadline = match limit {
        Some(limit) => {
            let limit: f64 = limit.extract()?;
            if limit < 0.0 {
                return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
            }
            Some(blocking::after(&queue.core, limit)?)
        }
        None => None,
    };
    let attempt = || {
        if queue.object.call_method0(intern!(py, "empty"))?.is_truthy()? {
            return Ok(None);
        }
        queue.object.call_method0(intern!(py, "get_nowait")).map(Some)
    };
    match blocking::wait(&queue.core, Place::Object(queue.address), deadline, "a queue", attempt)? {
        Some(item) => Ok(Some(item)),
        None => queue.object.call_method0(intern!(py, "get_nowait")).map(Some),
    }
}

fn put<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(queue) = lock(call) else { return Ok(None) };
    let done = call.original()?;
    queue.tell();
    Ok(Some(done))
}
