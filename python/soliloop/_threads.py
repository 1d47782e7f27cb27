"""The executors of a simulation: functions run in simulated threads, no more at a time than the executor has threads.

A thread ends when there is nothing left for it to do; the next call starts another one. Each host has threads of its own.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextvars
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from greenlet import GreenletExit  # type: ignore[import-untyped]

from soliloop import _soliloop
from soliloop._host import Incarnation, running_on

if TYPE_CHECKING:
    from soliloop._simulated_loop import SimulatedLoop


# As asyncio has it for what rises out of an executor.
_TWINS: dict[type[BaseException], type[BaseException]] = {
    concurrent.futures.CancelledError: asyncio.CancelledError,
    concurrent.futures.InvalidStateError: asyncio.InvalidStateError,
}


class _Call(NamedTuple):
    function: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any]


class SimulatedPool:
    """The simulated threads that stand for those of one executor."""

    def __init__(
        self,
        loop: SimulatedLoop,
        name: str,
        limit: int,
        initializer: Callable[[], object] | None = None,
    ) -> None:
        self._loop = loop
        self._name = name
        self._limit = limit
        self._initializer = initializer
        self._host: Incarnation | None = running_on.get()
        self._waiting: collections.deque[_Call] = collections.deque()
        self._running: set[int] = set()
        self._started = 0
        self._is_broken = False
        self._idle: asyncio.Future[None] | None = None

    @classmethod
    def of(
        cls, loop: SimulatedLoop, executor: concurrent.futures.ThreadPoolExecutor
    ) -> SimulatedPool:
        """The pool of an executor's name, size and initializer."""
        given: Any = executor
        initializer = _initializer(given)
        return cls(loop, given._thread_name_prefix, given._max_workers, initializer)

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Have a thread call *function*; return the future of its result."""
        if self._is_broken:
            raise _broken()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(_Call(function, args, future))
        if len(self._running) < self._limit:
            self._start()
        return future

    def _start(self) -> None:
        number = self._started
        self._started += 1
        self._running.add(number)
        # An interrupt (a signal) may keep the thread from doing anything: its end is noted all the same.
        ended = functools.partial(self._running.discard, number)
        name = f"{self._name or 'ThreadPoolExecutor'}_{number}"
        # Of its own, as a real one has it: the initializer's variables are there in each call.
        context = contextvars.Context()
        work = functools.partial(context.run, self._work, number)
        _soliloop._start_thread(self._loop, work, ended, name)

    async def drain(self) -> None:
        """Wait until nothing runs or waits any more."""
        while self._running or self._waiting:
            if not self._running:
                self._start()
            if self._idle is None or self._idle.done():
                self._idle = self._loop.create_future()
            await asyncio.shield(self._idle)

    def _work(self, number: int) -> None:
        """What a thread does."""
        running_on.set(self._host)
        try:
            if self._initializer is not None:
                self._initializer()
            while self._waiting:
                call = self._waiting.popleft()
                if not call.future.cancelled():
                    self._make(call)
                del call
        except Exception as error:
            self._is_broken = True
            while self._waiting:
                call, broken = self._waiting.popleft(), _broken()
                self._loop.call_soon_threadsafe(_fail, call.future, broken)
            self._loop.call_exception_handler(
                {"message": f"Exception in initializer of {self._name}", "exception": error}
            )
        finally:
            self._running.discard(number)
            if not self._running and self._idle is not None:
                self._loop.call_soon_threadsafe(_finish, self._idle)

    def _make(self, call: _Call) -> None:
        try:
            result = call.function(*call.args)
        except GreenletExit:
            raise
        except BaseException as error:
            self._loop.call_soon_threadsafe(_fail, call.future, error)
        else:
            self._loop.call_soon_threadsafe(_succeed, call.future, result)


def _broken() -> Exception:
    # Its module, which a program that has an executor has imported, can't be imported as the interpreter ends.
    from concurrent.futures.thread import BrokenThreadPool

    return BrokenThreadPool("a thread initializer failed, the thread pool is not usable anymore")


def _initializer(executor: Any) -> Callable[[], object] | None:
    """What each thread of the executor begins with."""
    function = getattr(executor, "_initializer", None)
    if function is None:
        return None
    args = executor._initargs
    return lambda: function(*args)


def _succeed(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if future.done():
        return
    if type(error) in _TWINS:
        error = _TWINS[type(error)](*error.args)
    try:
        future.set_exception(error)
    except TypeError as refusal:  # StopIteration can't be raised into a future
        wrapped = RuntimeError(str(refusal))
        wrapped.__cause__ = error
        future.set_exception(wrapped)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
