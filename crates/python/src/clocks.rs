//! Every clock of Python's own modules, answered by the simulation that owns the thread; and `time.sleep`.
//!
//! The wall clock is the start of the simulation plus the loop's time; the monotonic ones are the loop's time, as they are in asyncio. Clocks of the
//! processor stay real. Arguments that a function would refuse go to the original, whose errors are the right ones.

use crate::blocking::{self, Place};
use crate::event_loop::LoopCore;
use crate::ffi::intercept::{self, Call, Target};
use crate::ffi::object::is_called_by;
use crate::inside;
use crate::names::Names;
use crate::sockets;
use crate::world::World;
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateAccess, PyDateTime, PyDict, PyFloat, PyTimeAccess, PyTuple, PyType, PyTzInfo};
use std::time::Duration;

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("time.time", |call| answer(call, |core| seconds(wall(core)))),
    Target::new("time.time_ns", |call| answer(call, wall)),
    Target::new("time.monotonic", monotonic_here),
    Target::new("time.monotonic_ns", |call| answer(call, monotonic)),
    Target::new("time.perf_counter", |call| answer(call, loop_time)),
    Target::new("time.perf_counter_ns", |call| answer(call, monotonic)),
    Target::new("time.clock_gettime", |call| match clock(call) {
        Some((core, Shows::Wall)) => some(call, seconds(wall(&core))),
        Some((core, Shows::Monotonic)) => some(call, loop_time(&core)),
        None => Ok(None),
    }),
    Target::new("time.clock_gettime_ns", |call| match clock(call) {
        Some((core, Shows::Wall)) => some(call, wall(&core)),
        Some((core, Shows::Monotonic)) => some(call, monotonic(&core)),
        None => Ok(None),
    }),
    Target::new("time.localtime", at_present),
    Target::new("time.gmtime", at_present),
    Target::new("time.ctime", at_present),
    Target::new("time.asctime", |call| with_local_time(call, 0)),
    Target::new("time.strftime", |call| with_local_time(call, 1)),
    Target::new("time.sleep", sleep_here),
    Target::new("datetime.datetime.now", now),
    Target::new("datetime.datetime.utcnow", utcnow),
    Target::new("datetime.date.today", today),
];

/// Waits in simulated time.
///
/// # Errors
/// What rises meanwhile, in a paced simulation or in the simulated threads that run.
pub(crate) fn sleep(core: &Bound<'_, LoopCore>, duration: Duration) -> PyResult<()> {
    let deadline = core.get().world.now(core.py()).after(duration);
    blocking::wait(core, Place::Time, Some(deadline), "time.sleep()", || Ok(None::<()>)).map(drop)
}

/// Nanoseconds since the epoch on the simulated wall clock.
pub(crate) fn wall(core: &Bound<'_, LoopCore>) -> i128 {
    wall_offset(core) + monotonic(core)
}

/// How far the wall clock is ahead of the loop's, in nanoseconds.
fn wall_offset(core: &Bound<'_, LoopCore>) -> i128 {
    let own = match &core.get().world {
        World::Simulated(world) => {
            sockets::host(core).map_or(0, |host| i128::from(world.with(core.py(), |sim| sim.clock_offset(host))))
        }
        World::Real(_) => 0,
    };
    core.get().start.unwrap_or_default() + own
}

/// Seconds on the loop's clock: the very number that the loop gives.
fn loop_time(core: &Bound<'_, LoopCore>) -> f64 {
    core.get().world.now(core.py()).as_secs_f64()
}

/// Nanoseconds on the loop's clock.
fn monotonic(core: &Bound<'_, LoopCore>) -> i128 {
    i128::from(core.get().world.now(core.py()).as_nanos())
}

// The module `time`.

fn answer<'py, T>(call: &Call<'_, 'py>, read: impl FnOnce(&Bound<'py, LoopCore>) -> T) -> Answer<'py>
where
    T: IntoPyObjectExt<'py>,
{
    inside::timekeeper(call.py()).map_or(Ok(None), |core| some(call, read(&core)))
}

fn some<'py, T>(call: &Call<'_, 'py>, value: T) -> Answer<'py>
where
    T: IntoPyObjectExt<'py>,
{
    value.into_bound_py_any(call.py()).map(Some)
}

fn monotonic_here<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    // A loop of asyncio's own waits in real time, whatever runs on its thread beside it.
    if is_called_by(&Names::get(call.py())?.time_of_loops, call.py()) {
        return Ok(None);
    }
    answer(call, loop_time)
}

enum Shows {
    Wall,
    Monotonic,
}

/// Which clock it is whose number is the argument, if it is one of those.
fn clock<'py>(call: &Call<'_, 'py>) -> Option<(Bound<'py, LoopCore>, Shows)> {
    let shows = match call.arg(0)?.extract().ok()? {
        // A machine that was told of no leap seconds has the same time on all of these.
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_REALTIME_ALARM | libc::CLOCK_TAI => {
            Shows::Wall
        }
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_BOOTTIME
        | libc::CLOCK_BOOTTIME_ALARM => Shows::Monotonic,
        _ => return None,
    };
    Some((inside::timekeeper(call.py())?, shows))
}

/// A function of a time in seconds, which is the present one if it is not given.
fn at_present<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    match inside::timekeeper(call.py()) {
        Some(core) if call.len() == 0 || (call.len() == 1 && call.arg(0).is_some_and(|time| time.is_none())) => {
            call.call_original((whole_seconds(wall(&core)),)).map(Some)
        }
        _ => Ok(None),
    }
}

/// A function that takes a broken-down time behind `others` arguments, the present one if it is not given.
fn with_local_time<'py>(call: &Call<'_, 'py>, others: usize) -> Answer<'py> {
    let py = call.py();
    let Some(core) = inside::timekeeper(py).filter(|_| call.len() == others) else { return Ok(None) };
    let local = intercept::original(py, "time.localtime", (whole_seconds(wall(&core)),))?;
    let mut args = call.args();
    args.push(local);
    call.call_original(PyTuple::new(py, args)?).map(Some)
}

fn sleep_here<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(core) = inside::timekeeper(py) else { return Ok(None) };
    let Some(duration) = call.arg(0).and_then(|length| duration(&length)) else { return Ok(None) };
    sleep(&core, duration)?;
    // Outside of a run, and in a function that stands for a thread's, nothing is held up by it.
    if !duration.is_zero() && core.get().is_running_here(py) && LoopCore::is_current(&core)? {
        core.call_method1(intern!(py, "_report_block"), ("time.sleep", duration.as_secs_f64()))?;
    }
    Ok(Some(py.None().into_bound(py)))
}

/// The argument of `time.sleep`; `None` if that is one which it refuses.
fn duration(length: &Bound<'_, PyAny>) -> Option<Duration> {
    let Ok(length) = length.cast::<PyFloat>() else {
        let nanos = length.extract::<i64>().ok()?.checked_mul(1_000_000_000)?;
        return Some(Duration::from_nanos(u64::try_from(nanos).ok()?));
    };
    // As asyncio's delays are rounded here, but never to nothing.
    let seconds = length.value();
    let nanos = (seconds * 1e9).round().max(f64::from(u8::from(seconds > 0.0)));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies in the range")]
    (seconds >= 0.0 && nanos < LONGEST_SLEEP).then(|| Duration::from_nanos(nanos as u64))
}

// The module `datetime`.

fn now<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let (Some(core), Some(class)) = (inside::timekeeper(py), call.this()) else { return Ok(None) };
    let (is_understood, zone) = call.only("tz")?;
    if !is_understood {
        return Ok(None);
    }
    let Some(zone) = zone.filter(|zone| !zone.is_none()) else {
        return moment(&class, wall(&core), Zone::Local).map(Some);
    };
    let Ok(zone) = zone.cast::<PyTzInfo>() else { return Ok(None) };
    let utc = moment(&class, wall(&core), Zone::Utc(Some(zone)))?;
    zone.call_method1(intern!(py, "fromutc"), (utc,)).map(Some)
}

fn utcnow<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let (Some(core), Some(class)) = (inside::timekeeper(call.py()), call.this()) else { return Ok(None) };
    // It warns that it is deprecated, in the versions where it is.
    call.original()?;
    moment(&class, wall(&core), Zone::Utc(None)).map(Some)
}

/// Of `date` and all its subclasses, `datetime` included: this is what the original does with the time, but that it is not rounded up.
fn today<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let (Some(core), Some(class)) = (inside::timekeeper(call.py()), call.this()) else { return Ok(None) };
    let has_time = class.cast::<PyType>()?.is_subclass_of::<PyDateTime>()?;
    let unit = if has_time { 1000 } else { SECOND };
    let time = seconds(wall(&core).div_euclid(unit) * unit);
    class.call_method1(intern!(call.py(), "fromtimestamp"), (time,)).map(Some)
}

#[derive(Clone, Copy)]
enum Zone<'a, 'py> {
    /// That of the process: the result is naive.
    Local,
    /// UTC, with this as the result's zone.
    Utc(Option<&'a Bound<'py, PyTzInfo>>),
}

/// The instant as an object of `class`, `datetime` or a subclass, made as the original makes it: from its fields.
fn moment<'py>(class: &Bound<'py, PyAny>, nanos: i128, zone: Zone<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let (source, zone) = match zone {
        Zone::Local => (None, None),
        Zone::Utc(zone) => (Some(PyTzInfo::utc(py)?), zone),
    };
    // Whole seconds, which a double holds exactly.
    let second = PyDateTime::from_timestamp(py, seconds(nanos.div_euclid(SECOND) * SECOND), source.as_deref())?;
    let fields = (
        second.get_year(),
        second.get_month(),
        second.get_day(),
        second.get_hour(),
        second.get_minute(),
        second.get_second(),
        nanos.rem_euclid(SECOND) / 1000,
        zone,
    );
    let made = class.call1(fields)?;
    if !second.get_fold() {
        return Ok(made);
    }
    let fold = PyDict::new(py);
    fold.set_item(intern!(py, "fold"), 1)?;
    py.get_type::<PyDateTime>().getattr(intern!(py, "replace"))?.call((made,), Some(&fold))
}

#[allow(clippy::cast_precision_loss, reason = "the nearest double is what Python's own clocks give")]
fn seconds(nanos: i128) -> f64 {
    (nanos / SECOND) as f64 + (nanos % SECOND) as f64 / SECOND as f64
}

fn whole_seconds(nanos: i128) -> i128 {
    nanos.div_euclid(SECOND)
}

const SECOND: i128 = 1_000_000_000;
/// In nanoseconds: what `time.sleep` can't count any more.
const LONGEST_SLEEP: f64 = 9_223_372_036_854_775_808.0;
