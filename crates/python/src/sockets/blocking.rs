//! Calls that wait, in simulated time: whoever makes one stands still, and the world goes on.

use crate::event_loop::LoopCore;
use crate::world::World;
use pyo3::exceptions::PyTimeoutError;
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Instant;
use soliloop_engine::world::sim::Simulated;

/// Waits until `is_ready` says so, which is asked again after each event.
///
/// # Errors
/// `TimeoutError` when the deadline has come; `DeadlockError` if nothing can happen any more.
pub(crate) fn wait(
    core: &Bound<'_, LoopCore>,
    deadline: Option<Instant>,
    what: &str,
    mut is_ready: impl FnMut(&mut Simulated) -> bool,
) -> PyResult<()> {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return Ok(()) };
    loop {
        if world.with(py, &mut is_ready) {
            return Ok(());
        }
        let next = world.with(py, Simulated::next_event);
        match (next, deadline) {
            (Some(event), deadline) if deadline.is_none_or(|deadline| event <= deadline) => {
                world.with(py, |sim| sim.advance_to(event));
            }
            (_, Some(deadline)) => {
                world.with(py, |sim| sim.advance_to(deadline));
                return Err(PyTimeoutError::new_err("timed out"));
            }
            (_, None) => return Err(PyErr::from_value(core.call_method1(intern!(py, "_blocked_error"), (what,))?)),
        }
    }
}
