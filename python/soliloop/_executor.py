"""The default executor: threads that take calls from the core's queue, and answer the loop without a future of their own.

To Python they are the threads of a ``ThreadPoolExecutor``: names, tracing, their end before the interpreter's. No frame of Rust
is below a call that they make, so that the interpreter can end them in the midst of one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from soliloop._soliloop import Worker, WorkerPool

_T = TypeVar("_T")


class Workers(WorkerPool, concurrent.futures.Executor):
    """The executor that a loop makes for ``run_in_executor(None, ...)``: threads are made lazily, at most as many as a
    ``ThreadPoolExecutor`` has."""

    _max_workers: int
    _own_threads: set[threading.Thread]

    def __new__(cls, thread_name_prefix: str) -> Workers:
        limit = min(32, (_processors() or 1) + 4)
        self = super().__new__(cls, limit)
        self._max_workers = limit
        return self

    def __init__(self, thread_name_prefix: str) -> None:
        self._thread_name_prefix = thread_name_prefix
        self._own_threads = set()

    def submit(
        self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[_T]:
        """Have a thread call *fn*: for whoever takes the loop's default executor for one of its own."""
        call = _Submitted(fn, args, kwargs)
        self._give(call)
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refuse further calls (``concurrent.futures`` docs)."""
        self._shut(cancel_futures)
        if wait:
            for thread in list(self._own_threads):
                thread.join()

    def _start_thread(self, number: int, worker: Worker) -> None:
        if _ended:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        name = f"{self._thread_name_prefix}_{number}"
        thread = threading.Thread(target=_work, args=(worker,), name=name)
        thread.start()
        self._own_threads.add(thread)
        _workers[thread] = worker


class _Submitted:
    """A call of ``submit``, which reports to its own future."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._target = function, args, kwargs

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        function, args, kwargs = self._target
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self.future.set_exception(error)
            del self  # the traceback would hold it, and it the error
        else:
            self.future.set_result(result)

    def cancel(self) -> None:
        self.future.cancel()


def _work(worker: Worker) -> None:
    while (call := worker.take()) is not None:
        function, args = call
        del call
        # What the call was made of is let go of before the loop hears of its end: destructors may ask the
        # loop for something, and from then on it would not be woken before the next call is taken.
        try:
            result = function(*args)
        except BaseException as error:
            del function, args
            worker.fail(_for_asyncio(error))
        else:
            del function, args
            worker.finish(result)
            del result


def _for_asyncio(error: BaseException) -> BaseException:
    """The error that asyncio gives for one of ``concurrent.futures``."""
    match error:
        case concurrent.futures.CancelledError():
            kind: type[BaseException] = asyncio.CancelledError
        case concurrent.futures.InvalidStateError():
            kind = asyncio.InvalidStateError
        case _:
            return error
    return kind(*error.args).with_traceback(error.__traceback__)


def _at_exit() -> None:
    """Let the threads end, and wait for them: daemons too, as ``concurrent.futures`` does."""
    global _ended
    _ended = True
    threads = list(_workers.items())
    for _, worker in threads:
        worker.end()
    for thread, _ in threads:
        thread.join()


_processors: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
_ended = False
_workers: weakref.WeakKeyDictionary[threading.Thread, Worker] = weakref.WeakKeyDictionary()
try:
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
except RuntimeError:
    _ended = True  # soliloop is first used as the interpreter ends
# The child has none of the threads.
os.register_at_fork(after_in_child=_workers.clear)
