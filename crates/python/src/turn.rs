//! The cycle: wait, make timers and descriptors ready, run the batch, again.
//!
//! It runs on a hub (see `nest`). Between two jobs the cycle may be handed over to another hub and come back later, at any point of
//! the batch: all it knows about the queues it asks the engine for, each time.

use crate::event_loop::LoopCore;
use crate::exit;
use crate::handle::{Handle, Scheduled};
use crate::names::Names;
use crate::nest::{self, Next};
use crate::signals;
use crate::watchers::Side;
use crate::world::{RealWorld, Waited};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Wait;
use soliloop_engine::world::real::Events;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Why a hub's cycle ended.
#[must_use]
pub(crate) enum End {
    /// The loop was stopped: the outermost run is over.
    Stopped,
    /// The hub is not needed any more.
    Retired,
}

/// Carries the cycle on until the loop is stopped or this hub is retired.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` of callbacks, `DeadlockError` of a simulation, and what waiting fails with. The queues
/// are intact then: the loop can go on.
pub(crate) fn cycle(core: &Bound<'_, LoopCore>) -> PyResult<End> {
    let (py, this) = (core.py(), core.get());
    loop {
        // Checked before the first job as well: a fresh hub may find stacks that were woken before the run.
        if this.nest.wants_attention()
            && let Next::Retire = nest::attend(core)?
        {
            return Ok(End::Retired);
        }
        if let Some(Scheduled(handle)) = this.engine.with(py, soliloop_engine::Engine::next) {
            let handle = handle.into_bound(py);
            if this.debug.load(Relaxed) {
                run_watched(core, &handle)?;
            } else {
                Handle::run(&handle)?;
            }
            this.spare.take(handle);
            continue;
        }
        if this.has_turned.swap(true, Relaxed) && this.stopping.load(Relaxed) {
            return Ok(End::Stopped);
        }
        begin_turn(core)?;
    }
}

/// Waits for what comes next, and makes it the batch.
#[inline]
fn begin_turn(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    if this.is_forked() {
        return Err(PyRuntimeError::new_err(
            "this event loop was running when its process was forked: the child must make a loop of its own, or exit",
        ));
    }
    exit::stop_if_ending(py);
    if this.nest.has_parked(py) {
        nest::forward_cancellations(core)?;
    }
    let wait = loop {
        let (wait, discarded) = this.engine.with(py, |engine| (engine.wait(), engine.take_discarded()));
        if discarded.is_empty() {
            break if this.stopping.load(Relaxed) { Wait::None } else { wait };
        }
        // A callback of a weak reference may make something ready.
        drop(discarded);
    };
    match this.world.wait(py, wait)? {
        Waited::Turn(now, events) => {
            if let (Some(events), Some(world)) = (events, this.world.descriptors()) {
                collect(core, world, events)?;
            }
            let discarded = this.engine.with(py, |engine| {
                engine.begin_turn(now);
                engine.take_discarded()
            });
            drop(discarded);
            Ok(())
        }
        Waited::Stuck => Err(PyErr::from_value(core.call_method0(intern!(py, "_deadlock_error"))?)),
    }
}

/// Makes the callbacks of the descriptors in `events` ready.
fn collect(core: &Bound<'_, LoopCore>, world: &RealWorld, events: Events) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let real = world.real(py)?;
    for (fd, event) in events.iter().filter_map(|event| real.source(event)) {
        let (reader, writer) = this.watchers.with(py, |watchers| {
            let callback =
                |side, is_ready: bool| watchers.get(fd, side).filter(|_| is_ready).map(|handle| handle.clone_ref(py));
            (callback(Side::Reader, event.readable), callback(Side::Writer, event.writable))
        });
        if reader.is_none() && writer.is_none() {
            // Bytes of a signal; or an event of a registration that has ended since.
            signals::handle(core, fd)?;
        }
        for (handle, side) in [(reader, Side::Reader), (writer, Side::Writer)] {
            match handle {
                // Cancelled by its handle and not by a remove: it must not be asked for again.
                Some(handle) if handle.get().is_cancelled() => drop(this.unwatch(py, fd, side)),
                Some(handle) => this.engine.with(py, |engine| engine.push(Scheduled(handle))),
                None => {}
            }
        }
    }
    world.return_events(py, events);
    Ok(())
}

/// Debug mode: says which callbacks hold the loop up (asyncio docs, "Debug Mode"). Time in which a callback was parked in a nested run
/// does not count: the loop went on.
#[cold]
fn run_watched(core: &Bound<'_, LoopCore>, handle: &Bound<'_, Handle>) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let names = Names::get(py)?;
    drop(this.current_handle.replace(py, Some(handle.clone().into_any().unbind())));
    let away = this.nest.away.replace(py, Duration::ZERO);
    let started = Instant::now();
    let result = Handle::run_and_show(handle, || {
        let held_up = started.elapsed().saturating_sub(this.nest.away.replace(py, Duration::ZERO)).as_secs_f64();
        if held_up >= core.getattr(intern!(py, "slow_callback_duration"))?.extract::<f64>()? {
            let description = names.format_handle.bind(py).call1((handle,))?;
            let arguments = ("Executing %s took %.3f seconds", description, held_up);
            names.logger.bind(py).call_method1(intern!(py, "warning"), arguments)?;
        }
        Ok(())
    });
    this.nest.away.replace(py, away);
    drop(this.current_handle.replace(py, None));
    result
}
