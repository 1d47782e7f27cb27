//! How callbacks are handed to the loop (asyncio docs, "Scheduling callbacks").

use crate::arguments::Args;
use crate::context::Context;
use crate::error;
use crate::event_loop::LoopCore;
use crate::ffi::method::{self, Arguments, Method, Split};
use crate::ffi::object::has_frame;
use crate::handle::{Content, Handle, TimerHandle};
use crate::job::Scheduled;
use crate::names::Names;
use crate::threads;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use soliloop_engine::Instant;
use std::ffi::CStr;
use std::sync::atomic::Ordering::Relaxed;

/// Gives the loop's class its methods.
pub(crate) fn define(py: Python<'_>) -> PyResult<()> {
    method::define_native::<CallSoon>(py)?;
    method::define_native::<CallSoonThreadsafe>(py)?;
    method::define_native::<CallLater>(py)?;
    method::define_native::<CallAt>(py)
}

struct CallSoon;
struct CallSoonThreadsafe;
struct CallLater;
struct CallAt;

impl Method for CallSoon {
    type This = LoopCore;
    const NAME: &'static CStr = c"call_soon";
    const DOC: &'static CStr = c"call_soon($self, callback, *args, context=None)\n--\n\n\
        Arrange for *callback* to be called with *args* in the next iteration of the loop.";

    #[inline]
    fn call<'py>(this: &Bound<'py, LoopCore>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        LoopCore::soon(this, args, Self::NAME).map(Bound::into_any)
    }
}

impl Method for CallSoonThreadsafe {
    type This = LoopCore;
    const NAME: &'static CStr = c"call_soon_threadsafe";
    const DOC: &'static CStr = c"call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n\
        Like `call_soon`, from any thread: ends a wait of the loop.";

    fn call<'py>(this: &Bound<'py, LoopCore>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let handle = LoopCore::soon(this, args, Self::NAME)?;
        let (py, core) = (this.py(), this.get());
        core.world.wake(py);
        if !core.is_running_here(py) {
            core.world.expect_others(py);
        }
        Ok(handle.into_any())
    }
}

impl Method for CallLater {
    type This = LoopCore;
    const NAME: &'static CStr = c"call_later";
    const DOC: &'static CStr = c"call_later($self, delay, callback, *args, context=None)\n--\n\n\
        Arrange for *callback* to be called with *args* after *delay* seconds.";

    #[inline]
    fn call<'py>(this: &Bound<'py, LoopCore>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let args = args.split(Self::NAME, ["delay", "callback"], "context")?;
        let [delay, callback] = args.parameters;
        if delay.is_none() {
            return Err(PyTypeError::new_err("delay must not be None"));
        }
        let now = this.get().world.now(py);
        let delay = delay.extract::<f64>()?;
        let deadline = now.after_secs_f64(delay).map_err(error::out_of_range)?;
        let content = LoopCore::callback(this, callback, &args, Self::NAME)?;
        LoopCore::at(this, deadline, now.as_secs_f64() + delay, content)
    }
}

impl Method for CallAt {
    type This = LoopCore;
    const NAME: &'static CStr = c"call_at";
    const DOC: &'static CStr = c"call_at($self, when, callback, *args, context=None)\n--\n\n\
        Arrange for *callback* to be called with *args* at time *when*, in seconds on the loop's clock.";

    fn call<'py>(this: &Bound<'py, LoopCore>, args: &Arguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let args = args.split(Self::NAME, ["when", "callback"], "context")?;
        let [when, callback] = args.parameters;
        if when.is_none() {
            return Err(PyTypeError::new_err("when cannot be None"));
        }
        let when = when.extract::<f64>()?;
        let world = &this.get().world;
        let mut deadline = Instant::from_secs_f64(when).map_err(error::out_of_range)?;
        if world.is_simulated() {
            // A later `when` that rounds to this very nanosecond: the clock must get on.
            let now = world.now(py);
            if deadline == now && when > now.as_secs_f64() {
                deadline = now.after_secs_f64(f64::MIN_POSITIVE).map_err(error::out_of_range)?;
            }
        }
        let content = LoopCore::callback(this, callback, &args, Self::NAME)?;
        LoopCore::at(this, deadline, when, content)
    }
}

impl LoopCore {
    #[inline]
    fn soon<'py>(slf: &Bound<'py, Self>, args: &Arguments<'_, 'py>, caller: &CStr) -> PyResult<Bound<'py, Handle>> {
        let py = slf.py();
        let args = args.split(caller, ["callback"], "context")?;
        let content = Self::callback(slf, args.parameters[0], &args, caller)?;
        let handle = Handle::once(py, &slf.get().spare, content)?;
        slf.get().engine.with(py, |engine| engine.push(Scheduled::Handle(handle.clone_ref(py))));
        Ok(handle.into_bound(py))
    }

    /// What the handle of a callback holds.
    #[inline]
    fn callback<const N: usize>(
        slf: &Bound<'_, Self>,
        callback: Borrowed<'_, '_, PyAny>,
        args: &Split<'_, '_, N>,
        caller: &CStr,
    ) -> PyResult<Content> {
        let is_sleep = args.others.len() == 2 && callback.is(&Names::get(slf.py())?.set_result_unless_cancelled);
        let (args, context) = match args.option.filter(|context| !context.is_none()) {
            Some(given) => (Args::of(args.others)?, Some(Context::Given(given.to_owned().unbind()))),
            None if is_sleep => (Args::of_sleep(args.others)?, Some(Context::OfSleep)),
            None => (Args::of(args.others)?, None),
        };
        Self::content(slf, callback.to_owned().unbind(), args, context, caller)
    }

    /// What the handle of a callback holds; without a context, that of the caller.
    #[inline]
    pub(crate) fn content(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        args: Args,
        context: Option<Context>,
        caller: &CStr,
    ) -> PyResult<Content> {
        let (py, this) = (slf.py(), slf.get());
        this.check_open()?;
        let source = if this.debug.load(Relaxed) { Self::inspect(slf, &callback, caller)? } else { None };
        let context = context.map_or_else(|| this.snapshot.take(py), Ok)?;
        Ok(Content { callback, args, context, core: slf.clone().unbind(), source })
    }

    /// Debug mode: refuses what can't be a callback; tells where the handle is created.
    #[cold]
    fn inspect(slf: &Bound<'_, Self>, callback: &Py<PyAny>, caller: &CStr) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let is_elsewhere = || !slf.get().is_running_here(py) || threads::current(slf).is_some();
        if caller != CallSoonThreadsafe::NAME && slf.get().thread.load(Relaxed) != 0 && is_elsewhere() {
            return Err(PyRuntimeError::new_err(
                "Non-thread-safe operation invoked on an event loop other than the current one",
            ));
        }
        slf.call_method1(intern!(py, "_check_callback"), (callback, caller.to_string_lossy()))?;
        // The cycle itself may have woken a task: nobody's code has created that handle.
        has_frame(py).then(|| Ok(Names::get(py)?.extract_stack.bind(py).call0()?.unbind())).transpose()
    }

    #[inline]
    fn at<'py>(slf: &Bound<'py, Self>, deadline: Instant, when: f64, content: Content) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let handle = TimerHandle::at(py, when, content)?.into_bound(py);
        let job = Scheduled::Handle(handle.as_super().clone().unbind());
        slf.get().engine.with(py, |engine| engine.push_at(deadline, job));
        Ok(handle.into_any())
    }
}
