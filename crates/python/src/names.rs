//! The table of imported Python names.
//!
//! Every name of Python's own modules that is not documented, and that this extension or the package above it uses, stands in
//! [`PRIVATE`] with the versions that have it; a test fails by name when one is missing.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// What the loop calls, looked up once.
pub(crate) struct Names {
    pub(crate) task: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
    pub(crate) ensure_future: Py<PyAny>,
    pub(crate) is_future: Py<PyAny>,
    events: Py<PyAny>,
    pub(crate) current_task: Py<PyAny>,
    pub(crate) enter_task: Py<PyAny>,
    pub(crate) leave_task: Py<PyAny>,
    pub(crate) get_asyncgen_hooks: Py<PyAny>,
    pub(crate) set_asyncgen_hooks: Py<PyAny>,
    pub(crate) handled: Py<PyAny>,
    pub(crate) threads: Py<PyAny>,
    pub(crate) set_wakeup_fd: Py<PyAny>,
    /// What `asyncio.sleep` has its timer call: `(future, result)`.
    pub(crate) set_result_unless_cancelled: Py<PyAny>,
    pub(crate) format_callback_source: Py<PyAny>,
    pub(crate) format_handle: Py<PyAny>,
    pub(crate) extract_stack: Py<PyAny>,
    pub(crate) logger: Py<PyAny>,
    pub(crate) cancelled_error: Py<PyAny>,
}

impl Names {
    /// The table; filled when the first loop is made.
    #[inline]
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static NAMES: PyOnceLock<Names> = PyOnceLock::new();
        NAMES.get_or_try_init(py, || Self::import(py))
    }

    /// Marks `running` (a loop or `None`) as the loop that runs on this thread. The function is looked up at each call, since it can
    /// be exchanged for the one that is written in Python.
    pub(crate) fn set_running_loop(&self, running: &Bound<'_, PyAny>) -> PyResult<()> {
        self.events.bind(running.py()).call_method1(intern!(running.py(), "_set_running_loop"), (running,)).map(drop)
    }

    /// The loop that runs on this thread, or `None`.
    pub(crate) fn get_running_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.events.bind(py).call_method0(intern!(py, "_get_running_loop"))
    }

    fn import(py: Python<'_>) -> PyResult<Self> {
        let name = |module: &str, name: &str| -> PyResult<Py<PyAny>> { Ok(py.import(module)?.getattr(name)?.unbind()) };
        Ok(Self {
            task: name("asyncio", "Task")?,
            future: name("asyncio", "Future")?,
            ensure_future: name("asyncio", "ensure_future")?,
            is_future: name("asyncio", "isfuture")?,
            events: name("asyncio", "events")?,
            current_task: name("asyncio", "current_task")?,
            enter_task: name("asyncio", "_enter_task")?,
            leave_task: name("asyncio", "_leave_task")?,
            get_asyncgen_hooks: name("sys", "get_asyncgen_hooks")?,
            set_asyncgen_hooks: name("sys", "set_asyncgen_hooks")?,
            handled: name("sys", "exception")?,
            threads: name("threading", "enumerate")?,
            set_wakeup_fd: name("signal", "set_wakeup_fd")?,
            set_result_unless_cancelled: name("asyncio.futures", "_set_result_unless_cancelled")?,
            format_callback_source: name("asyncio.format_helpers", "_format_callback_source")?,
            format_handle: name("asyncio.base_events", "_format_handle")?,
            extract_stack: name("asyncio.format_helpers", "extract_stack")?,
            logger: name("asyncio.log", "logger")?,
            cancelled_error: name("asyncio", "CancelledError")?,
        })
    }
}

/// Undocumented names of Python's own modules: the dotted name, the first minor version of Python 3 that has it, and the last one
/// that is known to.
pub(crate) const PRIVATE: &[(&str, u8, u8)] = &[
    // Documented in "Extending asyncio", with a leading underscore all the same.
    ("asyncio._enter_task", 11, 14),
    ("asyncio._leave_task", 11, 14),
    ("asyncio.events._set_running_loop", 11, 14),
    ("asyncio.events._get_running_loop", 11, 14),
    // A cancellation that reaches a nested run.
    ("asyncio.Task._must_cancel", 11, 14),
    ("asyncio.Task._cancel_message", 11, 14),
    ("asyncio.Task._log_destroy_pending", 11, 14),
    ("asyncio.Task._fut_waiter", 11, 14),
    // What `nest.apply` asks a runner for: whether it has a loop of its own.
    ("asyncio.Runner.run", 11, 14),
    ("asyncio.futures._set_result_unless_cancelled", 11, 14),
    // What asyncio prints of a callback.
    ("asyncio.format_helpers._format_callback_source", 11, 14),
    ("asyncio.format_helpers.extract_stack", 11, 14),
    ("asyncio.base_events._format_handle", 11, 14),
    // The classes that `EventLoop` inherits its set-up from, and what they call on the loop.
    ("asyncio.base_events.BaseEventLoop._check_callback", 11, 14),
    ("asyncio.base_events.BaseEventLoop._set_coroutine_origin_tracking", 11, 14),
    ("asyncio.base_events.BaseEventLoop._asyncgen_firstiter_hook", 11, 14),
    ("asyncio.base_events.BaseEventLoop._asyncgen_finalizer_hook", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._ensure_fd_no_transport", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._handle_signal", 11, 14),
    // Where the policy looks for the class of a new loop.
    ("asyncio.events._BaseDefaultEventLoopPolicy", 14, 14),
    ("asyncio.unix_events._DefaultEventLoopPolicy", 14, 14),
];
