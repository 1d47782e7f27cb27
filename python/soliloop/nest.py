"""Nested runs for programs that expect ``nest_asyncio``: ``soliloop.nest.apply()`` in the place of ``nest_asyncio.apply()``."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any

from soliloop import _run
from soliloop._loop import EventLoop

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
            _run.nest_by_default()
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


def _nesting_loop() -> EventLoop | None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, EventLoop) and loop.nesting else None


_stock_run = asyncio.run
_stock_runner_run = asyncio.Runner.run


@functools.wraps(_stock_run)
def _nestable_run(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
    loop = _nesting_loop()
    if loop is None or options.get("loop_factory") is not None:
        return _stock_run(main, **options)
    return _run.run(main)


@functools.wraps(_stock_runner_run)
def _nestable_runner_run(self: asyncio.Runner, coro: Coroutine[Any, Any, Any], **options: Any) -> Any:
    if _nesting_loop() is None:
        return _stock_runner_run(self, coro, **options)
    with _run.OuterRun():
        return _stock_runner_run(self, coro, **options)
