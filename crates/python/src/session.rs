//! What an outermost run sets up around the cycle, and takes down again: the marks by which asyncio knows the running loop,
//! the hooks of asynchronous generators, the wake-up by signals; and that the loop owns its thread.

use crate::event_loop::LoopCore;
use crate::exit;
use crate::ffi::cell::GilCell;
use crate::ffi::object::thread_ident;
use crate::inside;
use crate::names::Names;
use crate::signals;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::Ordering::Relaxed;

/// The marks of one run. To be closed, whatever the run gives.
pub(crate) struct Session {
    outer: Option<Outer>,
    hooks: (Py<PyAny>, Py<PyAny>),
}

/// The run of another loop on this thread, hidden while a loop of ours runs on top of it.
pub(crate) struct Outer {
    running: Py<PyAny>,
    task: Option<Py<PyAny>>,
}

/// A context manager that hides the loop that runs on this thread, with its current task, and shows it again at the end.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct OuterRun(GilCell<Option<Outer>>);

impl Session {
    pub(crate) fn open(core: &Bound<'_, LoopCore>) -> PyResult<Self> {
        let (py, this) = (core.py(), core.get());
        let names = Names::get(py)?;
        let outer = match names.get_running_loop(py)? {
            running if running.is_none() => None,
            _ if this.nesting.load(Relaxed) => Outer::hide(py)?,
            _ => {
                return Err(PyRuntimeError::new_err(
                    "Cannot run the event loop while another loop is running; \
                     soliloop.run(coroutine) can, and so can a loop made with nesting=True",
                ));
            }
        };
        let session = Self { outer, hooks: Self::hooks(py)? };
        // Whatever ran is hidden by now.
        inside::enter(core, None);
        if let Err(error) = Self::enter(core) {
            session.close(core)?;
            return Err(error);
        }
        Ok(session)
    }

    fn enter(core: &Bound<'_, LoopCore>) -> PyResult<()> {
        let (py, this) = (core.py(), core.get());
        let names = Names::get(py)?;
        this.thread.store(thread_ident(py), Relaxed);
        exit::run_begins();
        names.set_running_loop(core.as_any())?;
        let hooks = PyDict::new(py);
        hooks.set_item(intern!(py, "firstiter"), core.getattr(intern!(py, "_asyncgen_firstiter_hook"))?)?;
        hooks.set_item(intern!(py, "finalizer"), core.getattr(intern!(py, "_asyncgen_finalizer_hook"))?)?;
        names.set_asyncgen_hooks.bind(py).call((), Some(&hooks))?;
        if this.debug.load(Relaxed) {
            core.call_method1(intern!(py, "_set_coroutine_origin_tracking"), (true,))?;
        }
        if let Some(world) = this.world.descriptors() {
            signals::arm(core, &*world.real(py)?)?;
        }
        Ok(())
    }

    /// Takes all of it down, whatever fails; the first error is given.
    pub(crate) fn close(self, core: &Bound<'_, LoopCore>) -> PyResult<()> {
        let (py, this) = (core.py(), core.get());
        inside::leave(core);
        let names = Names::get(py)?;
        if this.thread.swap(0, Relaxed) != 0 {
            exit::run_ends();
        }
        let unmarked = names.set_running_loop(py.None().bind(py));
        let tracking = core.call_method1(intern!(py, "_set_coroutine_origin_tracking"), (false,)).map(drop);
        let hooks = names.set_asyncgen_hooks.bind(py).call1((self.hooks.0, self.hooks.1)).map(drop);
        let disarmed = signals::disarm(core);
        let shown = self.outer.map_or(Ok(()), |outer| outer.show(py));
        unmarked.and(tracking).and(hooks).and(disarmed).and(shown)
    }

    fn hooks(py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        Names::get(py)?.get_asyncgen_hooks.bind(py).call0()?.extract()
    }
}

impl Outer {
    pub(crate) fn hide(py: Python<'_>) -> PyResult<Option<Self>> {
        let names = Names::get(py)?;
        let running = names.get_running_loop(py)?;
        if running.is_none() {
            return Ok(None);
        }
        let task = leave_task(&running)?.map(Bound::unbind);
        names.set_running_loop(py.None().bind(py))?;
        Ok(Some(Self { running: running.unbind(), task }))
    }

    pub(crate) fn show(self, py: Python<'_>) -> PyResult<()> {
        Names::get(py)?.set_running_loop(self.running.bind(py))?;
        match self.task {
            Some(task) => enter_task(self.running.bind(py), task.bind(py)),
            None => Ok(()),
        }
    }
}

#[pymethods]
impl OuterRun {
    #[new]
    fn new() -> Self {
        Self(GilCell::new(None))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let outer = Outer::hide(py)?;
        drop(self.0.replace(py, outer));
        Ok(())
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.0.replace(py, None).map_or(Ok(()), |outer| outer.show(py))
    }
}

/// Makes no task current on `running`; gives the one that was.
pub(crate) fn leave_task<'py>(running: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let names = Names::get(running.py())?;
    let task = names.current_task.bind(running.py()).call1((running,))?;
    if task.is_none() {
        return Ok(None);
    }
    names.leave_task.bind(running.py()).call1((running, &task))?;
    Ok(Some(task))
}

/// Makes `task` current on `running` again.
pub(crate) fn enter_task<'py>(running: &Bound<'py, PyAny>, task: &Bound<'py, PyAny>) -> PyResult<()> {
    Names::get(running.py())?.enter_task.bind(running.py()).call1((running, task)).map(drop)
}
