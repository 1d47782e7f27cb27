//! The loop class `LoopCore`, on which `soliloop.EventLoop` is built over `asyncio.BaseEventLoop`.
//!
//! Here stands what runs per event; what runs per set-up is inherited from asyncio. The `#[pymethods]` block is the table of
//! contents; state is in cells that are never in use across a call into Python, and in flags that may be read at any time.

use crate::child;
use crate::context::LastSnapshot;
use crate::entropy::Entropy;
use crate::error;
use crate::executor;
use crate::ffi::cell::GilCell;
use crate::ffi::gc::Made;
use crate::ffi::object::{is_coroutine, thread_ident};
use crate::fork::forks;
use crate::handle::{Handle, Spare};
use crate::inside;
use crate::job::Scheduled;
use crate::names::Names;
use crate::nest::{self, Nest};
use crate::session::Session;
use crate::signals::{self, Signals};
use crate::simulated::Plan;
use crate::sock::call::SocketCall;
use crate::sock::operation::Operation;
use crate::transport::{self, Io};
use crate::watchers::{Side, Sink, Watchers};
use crate::watching::descriptor;
use crate::world::{SimulatedWorld, World};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PySystemExit, PyTypeError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use soliloop_engine::Engine;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The core of an event loop. Use `soliloop.new_event_loop()`.
#[pyclass(subclass, frozen, module = "soliloop._soliloop")]
pub(crate) struct LoopCore {
    made: Made,
    pub(crate) engine: GilCell<Engine<Scheduled>>,
    pub(crate) spare: Spare,
    pub(crate) snapshot: LastSnapshot,
    pub(crate) world: World,
    /// Where the wall clock of a simulation starts, in nanoseconds since the epoch; without it, Python's own clocks are left alone.
    pub(crate) start: Option<i128>,
    pub(crate) entropy: Entropy,
    pub(crate) watchers: GilCell<Watchers>,
    pub(crate) io: Io,
    pub(crate) nest: Nest,
    pub(crate) signals: Signals,
    pub(crate) given: executor::Given,
    /// The handle that runs: in debug mode only.
    pub(crate) current_handle: GilCell<Option<Py<PyAny>>>,
    task_factory: GilCell<Option<Py<PyAny>>>,
    loop_option: GilCell<Option<Py<PyDict>>>,
    /// The class of new tasks, when there is no factory.
    task_class: GilCell<Option<Py<PyAny>>>,
    /// `threading.get_ident()` of the thread that runs the loop; 0 while it does not run.
    pub(crate) thread: AtomicU64,
    pub(crate) nesting: AtomicBool,
    pub(crate) debug: AtomicBool,
    pub(crate) stopping: AtomicBool,
    /// Whether a host of the simulation has crashed: see `graves`.
    pub(crate) has_dead: AtomicBool,
    /// Whether the outermost run has begun a turn yet.
    pub(crate) has_turned: AtomicBool,
    closed: AtomicBool,
    /// How often the process had been forked when the run began.
    forks: AtomicU64,
}

type Called = PyResult<Py<SocketCall>>;

impl LoopCore {
    /// Whether the process has been forked since the run began, and this is the child.
    pub(crate) fn is_forked(&self) -> bool {
        self.forks.load(Relaxed) != forks()
    }

    #[inline]
    pub(crate) fn check_open(&self) -> PyResult<()> {
        if self.closed.load(Relaxed) { Err(PyRuntimeError::new_err("Event loop is closed")) } else { Ok(()) }
    }

    pub(crate) fn is_running_here(&self, py: Python<'_>) -> bool {
        self.thread.load(Relaxed) == thread_ident(py)
    }

    /// Whether this loop is the one that runs on top of this thread, and not one below another.
    pub(crate) fn is_current(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(Names::get(slf.py())?.get_running_loop(slf.py())?.is(slf))
    }

    /// What a new handle holds.
    /// Lets go of every object but the world's.
    fn let_go(&self, py: Python<'_>) {
        for job in self.engine.with(py, Engine::drain) {
            job.clear(py);
        }
        let watchers = self.watchers.replace(py, Watchers::default());
        // They will never be done.
        for call in watchers.waiting() {
            call.get().release(py);
        }
        for sink in watchers.sinks() {
            if let Sink::Handle(handle) = sink {
                handle.get().clear(py);
            }
        }
        self.io.clear(py);
        if let World::Simulated(world) = &self.world {
            world.clear(py);
        }
        self.spare.clear(py);
        drop(self.task_factory.replace(py, None));
        drop(self.loop_option.replace(py, None));
        self.snapshot.forget(py);
    }

    /// The outermost run.
    fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.forks.store(forks(), Relaxed);
        let session = Session::open(slf)?;
        this.has_turned.store(false, Relaxed);
        this.world.resume(py);
        // A panic (of ours: a bug) must not leave the loop marked as running.
        let result = catch_unwind(AssertUnwindSafe(|| nest::run(slf)));
        // What was written last goes out even if an interrupt has ended the run.
        let sent = transport::send_unsent(slf);
        this.stopping.store(false, Relaxed);
        let closed = session.close(slf);
        this.show_pending(py);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| error::in_context(py, error).unwrap_or_else(|other| other)).and(closed).and(sent)
    }

    /// The run is over: from now on the collector must see what the queues hold.
    fn show_pending(&self, py: Python<'_>) {
        self.engine.with(py, |engine| engine.jobs().for_each(Scheduled::show));
        self.watchers.with(py, |watchers| {
            for sink in watchers.sinks() {
                if let Sink::Handle(handle) = sink {
                    Handle::show(handle);
                }
            }
        });
    }

    pub(crate) fn task_class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(class) = self.task_class.with(py, |class| class.as_ref().map(|class| class.clone_ref(py))) {
            return Ok(class.into_bound(py));
        }
        Ok(Names::get(py)?.task.bind(py).clone())
    }

    /// The keyword argument `loop=` of futures and tasks, which they read and do not keep.
    #[inline]
    pub(crate) fn loop_option<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(option) = this.loop_option.with(py, |option| option.as_ref().map(|option| option.clone_ref(py))) {
            return Ok(option.into_bound(py));
        }
        let option = PyDict::new(py);
        option.set_item(intern!(py, "loop"), slf)?;
        drop(this.loop_option.replace(py, Some(option.clone().unbind())));
        Ok(option)
    }

    fn refuse_to_nest(slf: &Bound<'_, Self>, call: &str) -> PyErr {
        match slf.call_method1(intern!(slf.py(), "_already_running_error"), (call,)) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }

    /// The future that runs `awaitable` on this loop, and whether it was made here.
    fn future_of<'py>(slf: &Bound<'py, Self>, awaitable: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, bool)> {
        let py = slf.py();
        let names = Names::get(py)?;
        if is_coroutine(awaitable) {
            // What `ensure_future` comes to, without its detour.
            let task = slf.call_method1(intern!(py, "create_task"), (awaitable,))?;
            task.setattr(intern!(py, "_log_destroy_pending"), false)?;
            return Ok((task, true));
        }
        let is_new = !names.is_future.bind(py).call1((awaitable,))?.is_truthy()?;
        let future = names.ensure_future.bind(py).call((awaitable,), Some(&Self::loop_option(slf)?))?;
        if is_new {
            // Whoever runs it holds it: not finishing is reported here, not by the task's end.
            future.setattr(intern!(py, "_log_destroy_pending"), false)?;
        }
        Ok((future, is_new))
    }
}

#[pymethods]
impl LoopCore {
    #[new]
    #[pyo3(signature = (*, nesting = false, simulated = None))]
    fn new(py: Python<'_>, nesting: bool, simulated: Option<Plan>) -> PyResult<Self> {
        let (world, start, entropy) = match simulated {
            None => (World::real(), None, Entropy::new(None, false)),
            Some(plan) => {
                let world = World::Simulated(Box::new(SimulatedWorld::new(py, &plan)?));
                (world, plan.start_ns, Entropy::new(plan.seed.map(Py::into_any), plan.entropy))
            }
        };
        Ok(Self {
            made: Made::yes(),
            engine: GilCell::new(Engine::new()),
            spare: Spare::new(),
            snapshot: LastSnapshot::new(),
            world,
            start,
            entropy,
            watchers: GilCell::new(Watchers::default()),
            io: Io::new(),
            nest: Nest::new(),
            signals: Signals::new(),
            given: executor::Given::new(),
            current_handle: GilCell::new(None),
            task_factory: GilCell::new(None),
            loop_option: GilCell::new(None),
            task_class: GilCell::new(None),
            thread: AtomicU64::new(0),
            nesting: AtomicBool::new(nesting),
            debug: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            has_dead: AtomicBool::new(false),
            has_turned: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            forks: AtomicU64::new(forks()),
        })
    }

    /// Return the loop's time in seconds: monotonic in real time, zero at the start of a simulation.
    #[inline]
    fn time(&self, py: Python<'_>) -> f64 {
        self.world.now(py).as_secs_f64()
    }

    /// Return the loop's time in whole nanoseconds.
    fn time_ns(&self, py: Python<'_>) -> u64 {
        self.world.now(py).as_nanos()
    }

    // ------------------------------------------------------------------ tasks and futures

    /// Create a future that belongs to the loop.
    fn create_future(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        Ok(Names::get(py)?.future.bind(py).call((), Some(&Self::loop_option(slf)?))?.unbind())
    }

    /// Schedule the execution of a coroutine; return its task. With a task factory the options are handed to it.
    #[pyo3(signature = (coro, **options))]
    fn create_task(slf: &Bound<'_, Self>, coro: Py<PyAny>, options: Option<Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        this.check_open()?;
        if this.task_factory.with(py, |factory| factory.is_some()) {
            return Ok(slf.call_method(intern!(py, "_create_task_by_factory"), (coro,), options.as_ref())?.unbind());
        }
        let options = match options {
            Some(options) => {
                options.set_item(intern!(py, "loop"), slf)?;
                options
            }
            None => Self::loop_option(slf)?,
        };
        Ok(this.task_class(py)?.call((coro,), Some(&options))?.unbind())
    }

    /// Have *func* called with *args* in a thread of an executor (``None``: the default one); return a future of its result.
    #[pyo3(signature = (executor, func, *args))]
    fn run_in_executor(
        slf: &Bound<'_, Self>,
        executor: &Bound<'_, PyAny>,
        func: Py<PyAny>,
        args: Py<PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        executor::run(slf, executor, func, args)
    }

    // ------------------------------------------------------------------ running

    /// Run until `stop()` is called.
    fn run_forever(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        this.check_open()?;
        if this.thread.load(Relaxed) != 0 {
            return Err(Self::refuse_to_nest(slf, "run_forever"));
        }
        Self::run(slf)
    }

    /// Run until *future* is done; return its result. In a callback of this loop it is a nested run, if the loop allows it.
    fn run_until_complete(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        this.check_open()?;
        let is_nested = this.thread.load(Relaxed) != 0;
        if is_nested && !(this.nesting.load(Relaxed) && this.is_running_here(py) && Self::is_current(slf)?) {
            return Err(Self::refuse_to_nest(slf, "run_until_complete"));
        }
        let (future, is_new) = Self::future_of(slf, future)?;
        if is_nested {
            let task = Names::get(py)?.current_task.bind(py).call1((slf,))?;
            if task.is(&future) || this.nest.waits_in_the_end_for(&future, &task) {
                return Err(PyRuntimeError::new_err(format!("Task cannot await on itself: {}", future.repr()?)));
            }
            nest::wait(slf, &future)?;
            return Ok(future.call_method0(intern!(py, "result"))?.unbind());
        }
        let stop = slf.getattr(intern!(py, "_stop_when_done"))?;
        future.call_method1(intern!(py, "add_done_callback"), (&stop,))?;
        let run = Self::run(slf);
        future.call_method1(intern!(py, "remove_done_callback"), (&stop,))?;
        let is_done = future.call_method0(intern!(py, "done"))?.is_truthy()?;
        if let Err(error) = run {
            if is_new && is_done && !future.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
                // The error that ended the run is on its way: the task's copy of it was seen.
                future.call_method0(intern!(py, "exception"))?;
            }
            return Err(error);
        }
        if !is_done {
            return Err(PyRuntimeError::new_err("Event loop stopped before Future completed."));
        }
        Ok(future.call_method0(intern!(py, "result"))?.unbind())
    }

    /// The done-callback of the future of an outermost run.
    fn _stop_when_done(&self, py: Python<'_>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        if !future.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
            let error = future.call_method0(intern!(py, "exception"))?;
            if error.is_instance_of::<PyKeyboardInterrupt>() || error.is_instance_of::<PySystemExit>() {
                // It has ended the run already: a stop would end the next one.
                return Ok(());
            }
        }
        self.stop(py);
        Ok(())
    }

    /// Stop the loop at the end of the current iteration.
    fn stop(&self, _py: Python<'_>) {
        self.stopping.store(true, Relaxed);
    }

    /// Return whether the loop is running.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.load(Relaxed) != 0
    }

    /// Return whether the loop was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Ends parked stacks with `CancelledError`, then lets go of callbacks and descriptors.
    fn _close_core(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        nest::check_thread(slf)?;
        let mut interrupted = Ok(());
        if this.nest.has_parked(py) {
            let session = Session::open(slf)?;
            let ended = nest::end_parked(slf);
            session.close(slf)?;
            // An interrupt that rose meanwhile goes on when the loop is closed.
            interrupted = ended;
        }
        this.closed.store(true, Relaxed);
        this.let_go(py);
        this.signals.close(py);
        if let Some(world) = this.world.descriptors() {
            world.close(py);
        }
        interrupted
    }

    fn _check_closed(&self) -> PyResult<()> {
        self.check_open()
    }

    /// From now on the loop owns the calling thread, whether it runs or not: see `inside`.
    fn _enter_world(slf: &Bound<'_, Self>) -> PyResult<()> {
        inside::enter_here(slf)
    }

    /// Undoes one `_enter_world`.
    fn _leave_world(slf: &Bound<'_, Self>) {
        inside::leave(slf);
    }

    // ------------------------------------------------------------------ nesting

    /// Whether a callback may run the loop: settable at any time.
    #[getter]
    fn get_nesting(&self) -> bool {
        self.nesting.load(Relaxed)
    }

    #[setter]
    fn set_nesting(&self, nesting: bool) {
        self.nesting.store(nesting, Relaxed);
    }

    /// The future that the nested run of *task* waits for, or ``None``.
    fn _nested_wait(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        self.nest.waits_for(py, task)
    }

    /// Per nested run: its task or ``None``, the future it waits for, its innermost frame.
    #[allow(clippy::type_complexity, reason = "a row of a table for Python")]
    fn _nested_runs(&self, py: Python<'_>) -> PyResult<Vec<(Option<Py<PyAny>>, Py<PyAny>, Py<PyAny>)>> {
        self.nest.table(py)
    }

    // ------------------------------------------------------------------ descriptors and signals

    #[pyo3(signature = (fd, callback, *args, context = None))]
    fn _add_reader(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Py<PyAny>,
        args: Py<PyTuple>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Py<Handle>> {
        Self::watch(slf, fd, Side::Reader, callback, args, context)
    }

    #[pyo3(signature = (fd, callback, *args, context = None))]
    fn _add_writer(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Py<PyAny>,
        args: Py<PyTuple>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Py<Handle>> {
        Self::watch(slf, fd, Side::Writer, callback, args, context)
    }

    fn _remove_reader(&self, py: Python<'_>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.remove(py, descriptor(fd)?, Side::Reader)
    }

    fn _remove_writer(&self, py: Python<'_>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.remove(py, descriptor(fd)?, Side::Writer)
    }

    /// Whether a descriptor has a reader, and whether it has a writer.
    fn _watched(&self, py: Python<'_>, fd: RawFd) -> (bool, bool) {
        let source = self.world.source(py, fd);
        self.watchers
            .with(py, |table| (table.get(source, Side::Reader).is_some(), table.get(source, Side::Writer).is_some()))
    }

    /// Whether a transport of this loop uses the descriptor.
    fn _is_transports(&self, py: Python<'_>, fd: RawFd) -> bool {
        let source = self.world.source(py, fd);
        self.watchers.with(py, |table| table.is_owned(source))
    }

    /// What is registered for a descriptor: for messages.
    fn _watcher(&self, py: Python<'_>, fd: RawFd) -> Option<Py<PyAny>> {
        let source = self.world.source(py, fd);
        self.watchers.with(py, |table| {
            let sink = table.get(source, Side::Reader).or_else(|| table.get(source, Side::Writer));
            sink.map(|sink| sink.object(py))
        })
    }

    /// Has the transport of a child process told of its end; the system may refuse.
    fn _watch_child(slf: &Bound<'_, Self>, pid: i32, transport: Py<PyAny>) -> PyResult<()> {
        child::watch(slf, pid, transport)
    }

    /// The descriptor that the interpreter writes the numbers of signals to.
    fn _signal_descriptor(slf: &Bound<'_, Self>) -> PyResult<RawFd> {
        let py = slf.py();
        match slf.get().world.descriptors() {
            Some(world) => slf.get().signals.writer(py, &*world.real(py)?),
            None => Err(PyRuntimeError::new_err("a simulated loop gets no signals")),
        }
    }

    /// Hands out the signals that have arrived in this loop's socket.
    fn _deliver_signals(slf: &Bound<'_, Self>) -> PyResult<()> {
        signals::deliver(slf)
    }

    // ------------------------------------------------------------------ sockets (asyncio docs, "Working with socket objects directly")

    /// Receive up to *n* bytes.
    fn sock_recv(slf: &Bound<'_, Self>, sock: Py<PyAny>, n: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::Receive(n))
    }

    /// Receive into a buffer; return the number of bytes.
    fn sock_recv_into(slf: &Bound<'_, Self>, sock: Py<PyAny>, buf: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::ReceiveInto(buf))
    }

    /// Receive a datagram of up to *bufsize* bytes; return it and the address of its sender.
    fn sock_recvfrom(slf: &Bound<'_, Self>, sock: Py<PyAny>, bufsize: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::ReceiveFrom(bufsize))
    }

    /// Receive a datagram into a buffer; return the number of bytes and the address of the sender.
    #[pyo3(signature = (sock, buf, nbytes = 0))]
    fn sock_recvfrom_into(slf: &Bound<'_, Self>, sock: Py<PyAny>, buf: Py<PyAny>, nbytes: isize) -> Called {
        SocketCall::new(slf, sock, Operation::ReceiveFromInto(buf, nbytes))
    }

    /// Send all of *data*.
    fn sock_sendall(slf: &Bound<'_, Self>, sock: Py<PyAny>, data: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::send_all(data))
    }

    /// Send a datagram to *address*; return the number of bytes.
    fn sock_sendto(slf: &Bound<'_, Self>, sock: Py<PyAny>, data: Py<PyAny>, address: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::SendTo(data, address))
    }

    /// Connect to *address*.
    fn sock_connect(slf: &Bound<'_, Self>, sock: Py<PyAny>, address: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::connect(address))
    }

    /// Accept a connection; return its socket and the address of its peer.
    fn sock_accept(slf: &Bound<'_, Self>, sock: Py<PyAny>) -> Called {
        SocketCall::new(slf, sock, Operation::Accept)
    }

    // ------------------------------------------------------------------ settings

    /// Return whether the debug mode is on.
    fn get_debug(&self) -> bool {
        self.debug.load(Relaxed)
    }

    /// Return the factory of tasks, or ``None`` if the default one is in use.
    fn get_task_factory(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_task_factory_slot(py)
    }

    /// Set the factory of tasks: *factory(loop, coro, \*\*options)*; ``None`` sets the default one.
    fn set_task_factory(&self, py: Python<'_>, factory: Option<Py<PyAny>>) -> PyResult<()> {
        if factory.as_ref().is_some_and(|factory| !factory.bind(py).is_callable()) {
            return Err(PyTypeError::new_err("task factory must be a callable or None"));
        }
        drop(self.task_factory.replace(py, factory));
        Ok(())
    }

    #[getter(_task_factory)]
    fn get_task_factory_slot(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.task_factory.with(py, |factory| factory.as_ref().map(|factory| factory.clone_ref(py)))
    }

    #[setter(_task_factory)]
    fn set_task_factory_slot(&self, py: Python<'_>, factory: Option<Py<PyAny>>) {
        drop(self.task_factory.replace(py, factory));
    }

    #[getter(_task_class)]
    fn get_task_class(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.task_class(py).map(Bound::unbind)
    }

    #[setter(_task_class)]
    fn set_task_class(&self, py: Python<'_>, class: Option<Py<PyAny>>) {
        drop(self.task_class.replace(py, class));
    }

    #[getter(_debug)]
    fn get_debug_slot(&self) -> bool {
        self.get_debug()
    }

    #[setter(_debug)]
    fn set_debug_slot(&self, debug: &Bound<'_, PyAny>) -> PyResult<()> {
        self.debug.store(debug.is_truthy()?, Relaxed);
        Ok(())
    }

    #[getter(_thread_id)]
    fn get_thread_id(&self) -> Option<u64> {
        Some(self.thread.load(Relaxed)).filter(|thread| *thread != 0)
    }

    // asyncio's initialiser sets these: the values are the core's.

    #[setter(_thread_id)]
    #[allow(clippy::unused_self, reason = "the value is the core's own")]
    fn set_thread_id(&self, _thread: &Bound<'_, PyAny>) {}

    #[setter(_current_handle)]
    #[allow(clippy::unused_self, reason = "the value is the core's own")]
    fn set_current_handle(&self, _handle: &Bound<'_, PyAny>) {}

    #[getter(_closed)]
    fn get_closed(&self) -> bool {
        self.is_closed()
    }

    #[setter(_closed)]
    #[allow(clippy::unused_self, reason = "the value is the core's own")]
    fn set_closed(&self, _closed: &Bound<'_, PyAny>) {}

    #[getter(_current_handle)]
    fn get_current_handle(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.current_handle.with(py, |handle| handle.as_ref().map(|handle| handle.clone_ref(py)))
    }

    #[getter(_simulated)]
    fn get_simulated(&self) -> bool {
        self.world.is_simulated()
    }

    /// Jobs in the ready queue, timers, nested runs: for tests and reports.
    fn _counts(&self, py: Python<'_>) -> (usize, usize, usize) {
        let (ready, timers) = self.engine.with(py, |engine| (engine.ready_len(), engine.timers_len()));
        (ready, timers, self.nest.parked_len(py))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is_made() {
            return Ok(());
        }
        if self.is_running() {
            // It is alive, and so is what its queues hold: a walk through a million timers would tell nothing.
            return Ok(());
        }
        let jobs = self.engine.visit(|engine| engine.jobs().try_for_each(|job| job.traverse(&visit)));
        jobs.unwrap_or(Ok(()))?;
        let sinks = self.watchers.visit(|watchers| watchers.sinks().try_for_each(|sink| sink.traverse(&visit)));
        sinks.unwrap_or(Ok(()))?;
        let calls = self.watchers.visit(|watchers| watchers.waiting().try_for_each(|call| visit.call(call)));
        calls.unwrap_or(Ok(()))?;
        self.io.traverse(&visit)?;
        if let World::Simulated(world) = &self.world {
            world.traverse(&visit)?;
        }
        self.snapshot.traverse(&visit)?;
        for slot in [&self.current_handle, &self.task_factory, &self.task_class] {
            slot.visit(|object| object.as_ref().map_or(Ok(()), |object| visit.call(object))).unwrap_or(Ok(()))?;
        }
        let option = self.loop_option.visit(|option| option.as_ref().map_or(Ok(()), |option| visit.call(option)));
        option.unwrap_or(Ok(()))?;
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        self.let_go(py);
    }
}
