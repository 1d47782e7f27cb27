//! The cycle: wait, make timers and descriptors ready, run the batch, again.
//!
//! It runs on a hub (see `nest`). Between two jobs the cycle may be handed over to another hub and come back later, at any point of
//! the batch: all it knows about the queues it asks the engine for, each time.

use crate::event_loop::LoopCore;
use crate::exit;
use crate::graves;
use crate::handle::Handle;
use crate::job::Scheduled;
use crate::names::Names;
use crate::nest::{self, Next};
use crate::port::Source;
use crate::signals;
use crate::threads;
use crate::transport;
use crate::watchers::Side;
use crate::world::{RealWorld, SimulatedWorld, Waited, World};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Wait;
use soliloop_engine::world::Readiness;
use soliloop_engine::world::real::Events;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

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
        if let Some(job) = this.engine.with(py, soliloop_engine::Engine::next) {
            if this.has_dead.load(Relaxed) && graves::is_dead(py, &job) {
                drop(job);
            } else if this.debug.load(Relaxed) {
                run_watched(core, job)?;
            } else {
                job.run(core)?;
            }
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
    transport::send_unsent(core)?;
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
    let given = this.given.take(py);
    let is_outside_busy = || this.watchers.with(py, |watchers| watchers.is_outside_busy(py));
    match this.world.wait(py, wait, || given.announce(), is_outside_busy)? {
        Waited::Turn(now, events) => {
            if let (Some(events), Some(world)) = (events, this.world.descriptors()) {
                let collected = collect(core, world, events);
                // What was brought is in the queue by now: some of it would not be told again if a handler raises.
                py.check_signals()?;
                collected?;
            }
            if let World::Simulated(world) = &this.world {
                collect_simulated(core, world);
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
    let py = core.py();
    let real = world.real(py)?;
    let mut done = Ok(());
    for (fd, readiness) in events.iter().filter_map(|event| real.source(event)) {
        if !note(core, Source::Descriptor(fd), readiness) {
            // Bytes of a signal; or an event of a registration that has ended since.
            done = done.and(signals::handle(core, fd));
        }
    }
    world.return_events(py, events);
    done
}

/// Makes the jobs of simulated sockets ready.
#[inline]
pub(crate) fn collect_simulated(core: &Bound<'_, LoopCore>, world: &SimulatedWorld) {
    let Some(ready) = world.take_ready(core.py()) else { return };
    threads::wake_sleepers(core, world);
    for (id, readiness) in &ready {
        note(core, Source::Simulated(*id), *readiness);
    }
    world.return_ready(core.py(), ready);
}

/// Makes the jobs ready that a source has; gives whether it is known.
#[inline]
fn note(core: &Bound<'_, LoopCore>, source: Source, readiness: Readiness) -> bool {
    let (py, this) = (core.py(), core.get());
    let told = this.watchers.with(py, |watchers| watchers.note(py, source, readiness));
    let mut is_known = told.is_some();
    for job in told.into_iter().flatten().flatten() {
        this.engine.with(py, |engine| engine.push(job));
    }
    for (side, is_ready) in [(Side::Reader, readiness.readable), (Side::Writer, readiness.writable)] {
        if !is_ready {
            continue;
        }
        let told = this.watchers.with(py, |watchers| {
            watchers.get(source, side).map(|sink| if sink.is_cancelled() { Err(()) } else { Ok(sink.job(py, side)) })
        });
        is_known |= told.is_some();
        match told {
            Some(Ok(Some(job))) => this.engine.with(py, |engine| engine.push(job)),
            // It must not be asked for again.
            Some(Err(())) => drop(this.unwatch(py, source, side)),
            Some(Ok(None)) | None => {}
        }
    }
    is_known
}

/// Debug mode: says which callbacks hold the loop up (asyncio docs, "Debug Mode"). Time in which a callback was parked in a nested run
/// does not count: the loop went on.
#[cold]
fn run_watched(core: &Bound<'_, LoopCore>, job: Scheduled) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    let away = this.nest.away.replace(py, Duration::ZERO);
    // The loop's clock: in a simulation it is `time.sleep` that holds the loop up.
    let started = this.world.now(py);
    let elapsed = || started.until(this.world.now(py));
    let held_up = || elapsed().saturating_sub(this.nest.away.replace(py, Duration::ZERO)).as_secs_f64();
    let result = match job {
        Scheduled::Handle(handle) => {
            let handle = handle.into_bound(py);
            drop(this.current_handle.replace(py, Some(handle.clone().into_any().unbind())));
            let result = Handle::run_and_show(&handle, || {
                warn_if_slow(core, held_up(), || {
                    Ok(Names::get(py)?.format_handle.bind(py).call1((&handle,))?.to_string())
                })
            });
            this.spare.take(handle);
            result
        }
        job => {
            let description = job.describe(py)?;
            job.run(core).and_then(|()| warn_if_slow(core, held_up(), || Ok(description)))
        }
    };
    this.nest.away.replace(py, away);
    drop(this.current_handle.replace(py, None));
    result
}

fn warn_if_slow(core: &Bound<'_, LoopCore>, held_up: f64, describe: impl FnOnce() -> PyResult<String>) -> PyResult<()> {
    let py = core.py();
    if held_up >= core.getattr(intern!(py, "slow_callback_duration"))?.extract::<f64>()? {
        let arguments = ("Executing %s took %.3f seconds", describe()?, held_up);
        Names::get(py)?.logger.bind(py).call_method1(intern!(py, "warning"), arguments)?;
    }
    Ok(())
}
