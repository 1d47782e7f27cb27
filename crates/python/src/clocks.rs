//! Every clock of Python's own modules, answered by the simulation that owns the thread.

use crate::event_loop::LoopCore;
use crate::ffi::intercept::{Call, Target};
use crate::inside;
use pyo3::prelude::*;

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

pub(crate) const TARGETS: &[Target] = &[Target::new("time.time", time)];

fn time<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(core) = inside::current(py) else { return Ok(None) };
    seconds(wall(&core)).into_pyobject(py).map(|time| Some(time.into_any())).map_err(Into::into)
}

/// Nanoseconds since the epoch on the simulated wall clock.
pub(crate) fn wall(core: &Bound<'_, LoopCore>) -> i128 {
    wall_offset(core) + i128::from(core.get().world.now(core.py()).as_nanos())
}

/// How far the wall clock is ahead of the loop's, in nanoseconds.
fn wall_offset(core: &Bound<'_, LoopCore>) -> i128 {
    core.get().start
}

#[allow(clippy::cast_precision_loss, reason = "the nearest double is what Python's own clocks give")]
fn seconds(nanos: i128) -> f64 {
    if nanos % SECOND == 0 { (nanos / SECOND) as f64 } else { nanos as f64 / SECOND as f64 }
}

const SECOND: i128 = 1_000_000_000;
