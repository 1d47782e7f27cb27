//! Calls that wait, in simulated time.
//!
//! In a simulated thread such a call parks the thread, and all else goes on. Anywhere else it does what it does in life: it blocks the loop. Then
//! the world goes on without the loop: time passes, messages arrive, simulated threads run; callbacks and timers of the loop don't.

use crate::error;
use crate::event_loop::LoopCore;
use crate::exit;
use crate::identity;
use crate::names::Names;
use crate::port::Source;
use crate::threads::{self, SimulatedThread, Woken};
use crate::turn;
use crate::watchers::{Side, Sink};
use crate::world::World;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Instant;
use soliloop_engine::world::sim::SocketId;
use std::time::Duration;

/// Where the change comes from that is waited for.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Time alone.
    Time,
    /// A lock or a queue, by the address of its object: who changes it calls [`threads::wake_one`].
    Object(usize),
    /// One of these sockets becomes ready.
    Sockets(&'a [(SocketId, Side)]),
}

/// Tries until there is a result, and waits in between; gives nothing if the deadline comes first.
///
/// # Errors
/// What `attempt` raises; `DeadlockError` if nothing can happen any more.
pub(crate) fn wait<R>(
    core: &Bound<'_, LoopCore>,
    place: Place<'_>,
    deadline: Option<Instant>,
    what: &str,
    mut attempt: impl FnMut() -> PyResult<Option<R>>,
) -> PyResult<Option<R>> {
    if let Some(result) = attempt()? {
        return Ok(Some(result));
    }
    if matches!(place, Place::Object(_)) && has_other_threads(core.py())? {
        // A real thread may have it, if only for a moment.
        for _ in 0..LOOKS {
            exit::detached(core.py(), || std::thread::sleep(LOOKS_EVERY));
            if let Some(result) = attempt()? {
                return Ok(Some(result));
            }
        }
    }
    loop {
        if let Some(result) = attempt()? {
            return Ok(Some(result));
        }
        let woken = match threads::current(core) {
            Some(thread) => park(core, &thread, place, deadline, what)?,
            None => block(core, deadline, what)?,
        };
        if woken == Woken::Late {
            return attempt();
        }
    }
}

fn park(
    core: &Bound<'_, LoopCore>,
    thread: &Bound<'_, SimulatedThread>,
    place: Place<'_>,
    deadline: Option<Instant>,
    what: &str,
) -> PyResult<Woken> {
    match place {
        Place::Time => threads::park(core, thread, None, deadline, what),
        Place::Object(address) => threads::park(core, thread, Some(address), deadline, what),
        Place::Sockets(sockets) => {
            let mut before = Vec::new();
            let mut watched = Ok(());
            for &(id, side) in sockets {
                match LoopCore::watch_for(core, Source::Simulated(id), side, Sink::Thread(thread.clone().unbind())) {
                    Ok(sink) => before.push((Source::Simulated(id), side, sink)),
                    Err(error) => watched = Err(error),
                }
            }
            let woken = watched.and_then(|()| threads::park(core, thread, None, deadline, what));
            for (source, side, sink) in before {
                drop(core.get().unwatch(core.py(), source, side));
                if let Some(sink) = sink {
                    drop(LoopCore::watch_for(core, source, side, sink)?);
                }
            }
            woken
        }
    }
}

/// The loop is blocked: lets the next thing happen.
fn block(core: &Bound<'_, LoopCore>, deadline: Option<Instant>, what: &str) -> PyResult<Woken> {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return Ok(Woken::Late) };
    // What the caller has just sent may be there already.
    turn::collect_simulated(core, world);
    if threads::run_ready(core)? {
        return Ok(Woken::Told);
    }
    let (now, next) = world.with(py, |sim| (sim.now(), sim.next_event()));
    let woken = match (next, deadline) {
        (_, Some(deadline)) if deadline <= now => return Ok(Woken::Late),
        (Some(event), deadline) if deadline.is_none_or(|deadline| event <= deadline) => {
            world.advance(py, event)?;
            Woken::Told
        }
        (_, Some(deadline)) => {
            world.advance(py, deadline)?;
            Woken::Late
        }
        (_, None) if world.reaches_out() || (world.allows_threads() && has_other_threads(py)?) => {
            // A real thread may end the wait, and nothing tells of that.
            exit::detached(py, || std::thread::sleep(LOOKS_EVERY));
            py.check_signals()?;
            Woken::Told
        }
        (_, None) => return Err(PyErr::from_value(core.call_method1(intern!(py, "_blocked_error"), (what,))?)),
    };
    turn::collect_simulated(core, world);
    if woken == Woken::Late {
        // Those whose time comes at the very end still run within it.
        threads::run_ready(core)?;
    }
    Ok(woken)
}

/// The instant so many seconds from now.
///
/// # Errors
/// `ValueError` if it is no number.
pub(crate) fn after(core: &Bound<'_, LoopCore>, seconds: f64) -> PyResult<Instant> {
    core.get().world.now(core.py()).after_secs_f64(seconds).map_err(error::out_of_range)
}

/// Whether there are real threads besides this one.
///
/// # Errors
/// What asking the tables of `threading` fails with.
pub(crate) fn has_other_threads(py: Python<'_>) -> PyResult<bool> {
    let names = Names::get(py)?;
    // Not by `threading.enumerate`: it takes a lock, and whoever waits for a lock comes here.
    let count = names.known_threads.bind(py).len()? + names.starting_threads.bind(py).len()?;
    Ok(count > 1 + identity::known())
}

/// How often it is looked whether another real thread has let go of a lock, before that is taken for the simulation's own.
const LOOKS: u32 = 100;
/// How often a blocked loop that knows real threads looks whether one of them has ended the wait.
const LOOKS_EVERY: Duration = Duration::from_micros(200);
