"""The event loop class: the core in Rust over asyncio's own set-up code.

What runs per event is ``LoopCore``; what runs per set-up (checking arguments, resolving, child processes, executors, asynchronous
generators, the exception handler) is inherited from asyncio, so that it is what each version of Python does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import selectors
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self, TypeVarTuple

from soliloop import _reports
from soliloop._errors import OutsideWorldError
from soliloop._executor import Workers
from soliloop._processes import ProcessMaking
from soliloop._soliloop import LoopCore, _after_fork_in_child
from soliloop._task import Task
from soliloop._transports import TransportMaking

_Ts = TypeVarTuple("_Ts")

# The child of a fork shares its parent's epoll: a loop that was running must neither go on there nor touch it.
os.register_at_fork(after_in_child=_after_fork_in_child)


class _Descriptor(NamedTuple):
    """What ``add_signal_handler`` of asyncio asks for the wake-up descriptor."""

    number: int

    def fileno(self) -> int:
        return self.number


class _Registrations:
    """What asyncio's transports ask a selector for when they describe themselves."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop

    def get_key(self, fileobj: int) -> selectors.SelectorKey:
        reads, writes = self._loop._watched(fileobj)
        if not (reads or writes):
            raise KeyError(f"{fileobj!r} is not registered")
        events = reads * selectors.EVENT_READ | writes * selectors.EVENT_WRITE
        return selectors.SelectorKey(fileobj, fileobj, events, None)


class EventLoop(LoopCore, TransportMaking, ProcessMaking):  # type: ignore[misc]
    """An asyncio event loop (asyncio docs, "Event Loop"). Made by ``soliloop.new_event_loop()``.

    Args:
        nesting: A callback of the running loop may call ``run_until_complete``.
    """

    _handle_signal: Callable[[int], None]
    _own_task_class: type[asyncio.Task[Any]] = Task

    def __new__(cls, *, nesting: bool = False) -> Self:
        return super().__new__(cls, nesting=nesting)

    def __init__(self, *, nesting: bool = False) -> None:
        # Not SelectorEventLoop.__init__: it makes a selector and a self-pipe, which the core has in its own way.
        asyncio.BaseEventLoop.__init__(self)
        self._signal_handlers: dict[int, asyncio.Handle] = {}
        self._unix_server_sockets: dict[Any, int] = {}
        if nesting:
            self.allow_nesting()

    def allow_nesting(self) -> None:
        """From now on a callback of this loop may call ``run_until_complete``, and other tasks go on meanwhile."""
        self.nesting = True
        self._task_class = self._own_task_class

    def close(self) -> None:
        """Close the loop. Nested runs that have not ended end with ``CancelledError``, and are named in a report."""
        if self.is_closed():
            return
        unfinished = [] if self.is_running() else _reports.nested_runs(self._unfinished_runs())
        asyncio.BaseEventLoop.close(self)
        if unfinished:
            text = "\n  ".join(unfinished)
            self.call_exception_handler(
                {"message": f"The event loop was closed during nested runs:\n  {text}"}
            )
        if sys.is_finalizing():
            self._signal_handlers.clear()
        for number in list(self._signal_handlers):
            self.remove_signal_handler(number)
        self._close_core()

    def _unfinished_runs(self) -> list[Any]:
        """The nested runs that closing the loop cuts short."""
        return self._nested_runs()

    def add_signal_handler(self, sig: int, callback: Callable[[*_Ts], object], *args: *_Ts) -> None:
        """Call *callback* when the signal arrives (asyncio docs, "Unix signals")."""
        with self._wakeup_kept():
            super().add_signal_handler(sig, callback, *args)
        _loops_with_handlers.add(self)

    def remove_signal_handler(self, sig: int) -> bool:
        """Remove the handler of a signal; return whether there was one."""
        with self._wakeup_kept():
            removed: bool = super().remove_signal_handler(sig)
            return removed

    @contextlib.contextmanager
    def _wakeup_kept(self) -> Iterator[None]:
        """asyncio sets and takes away the wake-up descriptor as if no loop ran, this one or another one below it."""
        if self.is_closed():
            yield
            return
        own = self._signal_descriptor()
        try:
            before = signal.set_wakeup_fd(own, warn_on_full_buffer=False)
        except ValueError:  # in a thread other than the main one: asyncio refuses, and says why
            yield
            return
        try:
            yield
        finally:
            another_runs = asyncio._get_running_loop() not in (None, self)
            keeps_own = self.is_running() or (self._signal_handlers and not another_runs)
            before = -1 if before == own else before
            descriptor = own if keeps_own else before
            signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)

    def _receive_signal(self, number: int, below: int) -> None:
        """Handle a signal, or pass it on: to loops of ours that have a handler, else to the descriptor below."""
        takers = [loop for loop in (self, *_loops_with_handlers) if number in loop._signal_handlers]
        if self in takers:
            self._handle_signal(number)
        elif takers:
            for loop in takers:
                loop._handle_signal(number)
        elif below >= 0:
            with contextlib.suppress(OSError):  # a full or closed pipe is no error
                os.write(below, bytes((number,)))

    def _collect_signals(self) -> None:
        """Have the other loops hand out what has arrived: nobody runs them now."""
        for loop in [loop for loop in _loops_with_handlers if loop is not self]:
            loop._deliver_signals()

    @functools.cached_property
    def _transports(self) -> weakref.WeakValueDictionary[int, Any]:
        return weakref.WeakValueDictionary()

    @property
    def _selector(self) -> _Registrations | None:
        return None if self.is_closed() else _Registrations(self)

    @property
    def _csock(self) -> _Descriptor:
        return _Descriptor(self._signal_descriptor())

    def _add_callback_signalsafe(self, handle: asyncio.Handle) -> None:
        self.call_soon_threadsafe(handle._run)

    def _create_task_by_factory(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        if options.keys() <= {"name", "context"}:
            return asyncio.BaseEventLoop.create_task(self, coro, **options)
        factory: Any = self.get_task_factory()
        task: asyncio.Task[Any] = factory(self, coro, **options)
        return task

    def _make_default_executor(self) -> Workers:
        executor = Workers("asyncio")
        self._default_executor = executor
        return executor

    def _already_running_error(self, call: str) -> RuntimeError:
        return _reports.already_running(self, call, _reports.caller())

    def _outside_error(self, what: str) -> OutsideWorldError:
        place = _reports.program_place(_reports.caller())
        return OutsideWorldError(
            f"{what}{place}: this simulation does not reach the real world; simulation(outside='allow') does"
        )

    def _blocked_error(self, what: str) -> RuntimeError:
        return _reports.endless(self, what, _reports.caller())

    def _deadlock_error(self) -> RuntimeError:
        return _reports.deadlock(self)


# Handlers belong to the main thread, and so do these loops.
_loops_with_handlers: weakref.WeakSet[EventLoop] = weakref.WeakSet()
