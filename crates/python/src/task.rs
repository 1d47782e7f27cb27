//! The tasks of simulations: numbered in the order in which they were made, so that sets of them have the same order in every run.
//!
//! asyncio keeps tasks in sets (`all_tasks`, `TaskGroup`, `wait`), and a set's order follows the hashes of its members, which are
//! addresses otherwise. The registry of tasks asks for the hash as soon as a task is made.

use crate::event_loop::LoopCore;
use crate::ffi::numbered;
use crate::world::World;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::num::NonZeroUsize;

/// A subclass of `asyncio.Task`.
pub(crate) fn numbered_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let task = py.import(intern!(py, "asyncio"))?.getattr(intern!(py, "Task"))?.cast_into::<PyType>()?;
    numbered::subclass(&task, c"soliloop._soliloop.NumberedTask", next)
}

/// The number of a task that has none yet.
fn next(task: &Bound<'_, PyAny>) -> PyResult<NonZeroUsize> {
    let event_loop = task.call_method0(intern!(task.py(), "get_loop"))?;
    match event_loop.cast::<LoopCore>().map(|core| &core.get().world) {
        Ok(World::Simulated(world)) => Ok(world.number_task()),
        _ => Err(PyTypeError::new_err(format!("a task of a simulation can't be one of {}", event_loop.repr()?))),
    }
}
