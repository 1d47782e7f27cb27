"""Nested runs for programs that expect ``nest_asyncio``: ``soliloop.nest.apply()`` in the place of ``nest_asyncio.apply()``."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from soliloop import _run
from soliloop._loop import EventLoop
from soliloop._soliloop import OuterRun

__all__ = ["apply"]


def apply(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Allow nested runs on *loop*, and make ``asyncio.run`` and ``asyncio.Runner.run`` legal inside a running soliloop loop.

    Args:
        loop: A soliloop loop. By default the one that runs on this thread, or, where none runs, every loop that
            ``soliloop.new_event_loop()`` makes from now on.

    Raises:
        TypeError: The loop is not soliloop's, and can't be made to nest.
    """
    if loop is None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _run.nest_always()
    if loop is not None:
        if not isinstance(loop, EventLoop):
            raise TypeError(
                f"nested runs need a soliloop loop, and this is {type(loop).__module__}.{type(loop).__qualname__}: make it by "
                "soliloop.new_event_loop(), or run the coroutine by soliloop.run(), which works inside any loop"
            )
        loop.allow_nesting()
    if asyncio.run is not _nestable_run:
        asyncio.run = _nestable_run
        asyncio.Runner.run = _nestable_runner_run  # type: ignore[method-assign]
        asyncio.Runner.close = _nestable_runner_close  # type: ignore[method-assign]


def _running_loop_that_nests() -> EventLoop | None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, EventLoop) and loop.nesting else None


@contextlib.contextmanager
def _debug_mode(loop: EventLoop, debug: bool | None) -> Iterator[None]:
    """The debug mode that a nested run asks for, while it lasts."""
    before = loop.get_debug()
    if debug is not None:
        loop.set_debug(debug)
    try:
        yield
    finally:
        loop.set_debug(before)


_CLOSED: Any = asyncio.runners._State.CLOSED  # type: ignore[attr-defined]
_stock_run = asyncio.run
_stock_runner_run = asyncio.Runner.run
_stock_runner_close = asyncio.Runner.close


@functools.wraps(_stock_run)
def _nestable_run(main: Any, **options: Any) -> Any:
    loop = _running_loop_that_nests()
    if loop is None:
        return _stock_run(main, **options)
    if options.get("loop_factory") is None:
        with _debug_mode(loop, options.get("debug")):
            return _run.run(main)
    with OuterRun():
        return _stock_run(main, **options)


@functools.wraps(_stock_runner_run)
def _nestable_runner_run(self: asyncio.Runner, coro: Any, **options: Any) -> Any:
    loop = _running_loop_that_nests()
    if loop is None:
        return _stock_runner_run(self, coro, **options)
    runner: Any = self
    if runner._loop is None and runner._loop_factory is None and runner._state is not _CLOSED:
        # It has no loop of its own yet, and asked for none in particular: the running one serves it.
        with _debug_mode(loop, runner._debug):
            return loop.run_until_complete(loop.create_task(coro, **options))
    with OuterRun():
        return _stock_runner_run(self, coro, **options)


@functools.wraps(_stock_runner_close)
def _nestable_runner_close(self: asyncio.Runner) -> None:
    if _running_loop_that_nests() is None:
        return _stock_runner_close(self)
    with OuterRun():
        return _stock_runner_close(self)
