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
    pub(crate) current_thread: Py<PyAny>,
    /// The objects of threads, by their numbers.
    pub(crate) known_threads: Py<PyAny>,
    /// Those of threads that have no number yet.
    pub(crate) starting_threads: Py<PyAny>,
    pub(crate) set_wakeup_fd: Py<PyAny>,
    /// What `asyncio.sleep` has its timer call: `(future, result)`.
    pub(crate) set_result_unless_cancelled: Py<PyAny>,
    pub(crate) format_callback_source: Py<PyAny>,
    pub(crate) format_handle: Py<PyAny>,
    pub(crate) extract_stack: Py<PyAny>,
    pub(crate) logger: Py<PyAny>,
    /// The code by which asyncio's own loops tell the time.
    pub(crate) time_of_loops: Py<PyAny>,
    pub(crate) cancelled_error: Py<PyAny>,
    pub(crate) connection_error: Py<PyAny>,
    pub(crate) buffered_protocol: Py<PyAny>,
    pub(crate) socket: Py<PyAny>,
    pub(crate) transport_socket: Py<PyAny>,
    /// The variable that says which host of a simulation code runs on.
    pub(crate) host: Py<PyAny>,
    /// asyncio's own, for executors that are not ours.
    pub(crate) run_in_executor: Py<PyAny>,
    /// Whether a server is told which transport it has (3.13).
    server_knows_transports: bool,
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

    /// Tells an `asyncio.Server` of a new connection.
    pub(crate) fn attach(&self, server: &Bound<'_, PyAny>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = intern!(server.py(), "_attach");
        if self.server_knows_transports { server.call_method1(name, (transport,)) } else { server.call_method0(name) }
            .map(drop)
    }

    /// Tells an `asyncio.Server` of the end of a connection.
    pub(crate) fn detach(&self, server: &Bound<'_, PyAny>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = intern!(server.py(), "_detach");
        if self.server_knows_transports { server.call_method1(name, (transport,)) } else { server.call_method0(name) }
            .map(drop)
    }

    /// The classes that `isinstance` sees in transports: of sockets, of reading and of writing ends of pipes, of datagrams, of TLS.
    pub(crate) fn transport_classes(py: Python<'_>) -> PyResult<&'static [Py<PyAny>; 5]> {
        static CLASSES: PyOnceLock<[Py<PyAny>; 5]> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || {
            let module = py.import("soliloop._transports")?;
            let class = |name: &str| -> PyResult<Py<PyAny>> { Ok(module.getattr(name)?.unbind()) };
            let stream = [class("SocketTransport")?, class("ReadPipeTransport")?, class("WritePipeTransport")?];
            let [socket, read_pipe, write_pipe] = stream;
            Ok([socket, read_pipe, write_pipe, class("DatagramTransport")?, class("SSLTransport")?])
        })
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
            current_thread: name("threading", "current_thread")?,
            known_threads: name("threading", "_active")?,
            starting_threads: name("threading", "_limbo")?,
            set_wakeup_fd: name("signal", "set_wakeup_fd")?,
            set_result_unless_cancelled: name("asyncio.futures", "_set_result_unless_cancelled")?,
            format_callback_source: name("asyncio.format_helpers", "_format_callback_source")?,
            format_handle: name("asyncio.base_events", "_format_handle")?,
            extract_stack: name("asyncio.format_helpers", "extract_stack")?,
            logger: name("asyncio.log", "logger")?,
            time_of_loops: py
                .import("asyncio")?
                .getattr("BaseEventLoop")?
                .getattr("time")?
                .getattr("__code__")?
                .unbind(),
            cancelled_error: name("asyncio", "CancelledError")?,
            connection_error: name("builtins", "ConnectionError")?,
            buffered_protocol: name("asyncio", "BufferedProtocol")?,
            socket: name("socket", "socket")?,
            transport_socket: name("asyncio.trsock", "TransportSocket")?,
            host: name("soliloop._host", "running_on")?,
            run_in_executor: py.import("asyncio")?.getattr("BaseEventLoop")?.getattr("run_in_executor")?.unbind(),
            server_knows_transports: py.version_info() >= (3, 13),
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
    // What `nest.apply` asks a runner for: whether it has a loop of its own, or is closed.
    ("asyncio.Runner._loop", 11, 14),
    ("asyncio.Runner._loop_factory", 11, 14),
    ("asyncio.Runner._state", 11, 14),
    ("asyncio.Runner._debug", 11, 14),
    ("asyncio.runners._State", 11, 14),
    ("asyncio.futures._set_result_unless_cancelled", 11, 14),
    // What asyncio prints of a callback.
    ("asyncio.format_helpers._format_callback_source", 11, 14),
    ("asyncio.format_helpers.extract_stack", 11, 14),
    ("asyncio.base_events._format_handle", 11, 14),
    ("sys._getframe", 11, 14),
    // What asyncio asks of a handle.
    ("asyncio.Handle._run", 11, 14),
    ("asyncio.Handle._loop", 11, 14),
    ("asyncio.Handle._args", 11, 14),
    ("asyncio.Handle._callback", 11, 14),
    ("asyncio.Handle._cancelled", 11, 14),
    ("asyncio.Handle._source_traceback", 11, 14),
    ("asyncio.TimerHandle._when", 11, 14),
    // The classes that `EventLoop` inherits its set-up from, and what they call on the loop.
    ("asyncio.base_events.BaseEventLoop._check_callback", 11, 14),
    ("asyncio.base_events.BaseEventLoop._check_closed", 11, 14),
    ("asyncio.base_events.BaseEventLoop._ensure_resolved", 11, 14),
    ("asyncio.base_events.BaseEventLoop._thread_id", 11, 14),
    ("asyncio.base_events.BaseEventLoop._set_coroutine_origin_tracking", 11, 14),
    ("asyncio.base_events.BaseEventLoop._asyncgen_firstiter_hook", 11, 14),
    ("asyncio.base_events.BaseEventLoop._asyncgen_finalizer_hook", 11, 14),
    ("asyncio.base_events.BaseEventLoop._check_default_executor", 11, 14),
    ("asyncio.base_events.BaseEventLoop._default_executor", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._ensure_fd_no_transport", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._add_reader", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._add_writer", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._remove_reader", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._remove_writer", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._selector", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._csock", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._transports", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._make_socket_transport", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._make_ssl_transport", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._make_datagram_transport", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._handle_signal", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._add_callback_signalsafe", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._signal_handlers", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._unix_server_sockets", 13, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._make_read_pipe_transport", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._make_write_pipe_transport", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._start_serving", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._sendfile_native", 11, 14),
    // What asyncio's sendfile, TLS and servers ask of a transport, and ours answers.
    ("asyncio.constants._SendfileMode", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._sendfile_compatible", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._make_empty_waiter", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._reset_empty_waiter", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._start_tls_compatible", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._force_close", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._paused", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._closing", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._sock", 11, 14),
    ("asyncio.selector_events._SelectorSocketTransport._sock_fd", 11, 14),
    ("asyncio.base_events.Server._attach", 11, 14),
    ("asyncio.base_events.Server._detach", 11, 14),
    // Streams: what a protocol has, and what a reader and a writer have.
    ("asyncio.Future._asyncio_future_blocking", 11, 14),
    ("asyncio.StreamReaderProtocol._stream_reader", 11, 14),
    ("asyncio.StreamReaderProtocol._client_connected_cb", 11, 14),
    ("asyncio.StreamReader._buffer", 11, 14),
    ("asyncio.StreamReader._eof", 11, 14),
    ("asyncio.StreamReader._exception", 11, 14),
    ("asyncio.StreamReader._limit", 11, 14),
    ("asyncio.StreamReader._waiter", 11, 14),
    ("asyncio.StreamWriter._reader", 11, 14),
    ("asyncio.StreamWriter._transport", 11, 14),
    // Of simulations: files go out by reading and writing, executors are simulated, and the module below `socket` is asked by name.
    ("asyncio.base_events.BaseEventLoop._sendfile_fallback", 11, 14),
    ("asyncio.base_events.BaseEventLoop._sock_sendfile_fallback", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._sock_sendfile_native", 11, 14),
    ("asyncio.base_events.BaseEventLoop._executor_shutdown_called", 11, 14),
    ("concurrent.futures.ThreadPoolExecutor._max_workers", 11, 14),
    ("concurrent.futures.ThreadPoolExecutor._thread_name_prefix", 11, 14),
    ("concurrent.futures.ThreadPoolExecutor._shutdown", 11, 14),
    ("asyncio.selector_events.BaseSelectorEventLoop._make_self_pipe", 11, 14),
    ("_socket.socket", 11, 14),
    ("_queue.SimpleQueue", 11, 14),
    // What `isinstance` takes a transport that is written to for.
    ("asyncio.transports._FlowControlMixin._protocol_paused", 11, 14),
    // The transport of TLS that `isinstance` takes ours for, what it makes of `ssl=True`, and what asyncio's tests ask of it.
    ("asyncio.sslproto._SSLProtocolTransport", 11, 14),
    ("asyncio.sslproto._SSLProtocolTransport._test__append_write_backlog", 11, 14),
    ("asyncio.sslproto._SSLProtocolTransport._ssl_protocol", 11, 14),
    ("asyncio.sslproto._create_transport_context", 11, 14),
    // Where the connection of OpenSSL is.
    ("ssl.SSLObject._sslobj", 11, 14),
    ("ssl.SSLContext._msg_callback", 11, 14),
    ("_ssl._SSLSocket", 11, 14),
    // The transport of a child process, and what a watcher of children is told by.
    ("asyncio.unix_events._UnixSelectorEventLoop._make_subprocess_transport", 11, 14),
    ("asyncio.unix_events._UnixSelectorEventLoop._child_watcher_callback", 11, 14),
    ("asyncio.unix_events._UnixSubprocessTransport", 11, 14),
    ("asyncio.unix_events._UnixSubprocessTransport._proc", 11, 14),
    ("asyncio.unix_events._UnixSubprocessTransport._process_exited", 11, 14),
    ("asyncio.unix_events._UnixSubprocessTransport._wait", 11, 14),
    ("asyncio.unix_events._UnixDefaultEventLoopPolicy._watcher", 11, 13),
    ("asyncio.unix_events._ThreadedChildWatcher", 14, 14),
    // Which threads there are, and what their values are found by.
    ("threading._active", 11, 14),
    ("threading._limbo", 11, 14),
    ("_thread._local", 11, 14),
    // Threads of the default executor end before the interpreter does.
    ("threading._register_atexit", 11, 14),
    // A socket that is closed while a call waits for it.
    ("socket.socket._io_refs", 11, 14),
    ("socket.socket._closed", 11, 14),
    // What the functions of the module `random` are methods of, and below them; and where the system's random bytes are.
    ("random._inst", 11, 14),
    ("random.Random.gauss_next", 11, 14),
    ("_random.Random", 11, 14),
    ("posix.urandom", 11, 14),
    ("posix.getrandom", 11, 14),
    // Where the policy looks for the class of a new loop.
    ("asyncio.unix_events._DefaultEventLoopPolicy", 14, 14),
];
