"""The surface of kaizenflow's ``helpers/hasyncio.py`` over soliloop's loop, with nested runs.

To move a program: ``import soliloop.compat.hasyncio as hasynci``. Names, signatures, results and
exceptions are those of that module; the code is soliloop's. A *wall clock* is a function without
arguments that returns the present moment, a ``datetime.datetime`` or its subclass
``pandas.Timestamp``; a program that asks its clock, and waits by the functions here, is the same in
real and in simulated time. ``time.time()``, ``datetime.now()`` and ``time.sleep()`` stay real, as they
do there.

What differs:

- The loop of ``solipsism_context()`` allows nested runs.
- pandas is used only if it is installed: moments are ``pandas.Timestamp`` then, and else
  ``datetime.datetime``. Moments of either kind can be passed.
- ``sleep((a, b), ...)`` waits for a random time, as its documentation says; the original fails.
- ``run(coroutine, None)`` is ``soliloop.run(coroutine)``: a real loop, or a nested run where a loop
  that allows it is running; what the coroutine leaves behind is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import importlib
import itertools
import logging
import math
import random
import time
import zoneinfo
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, TypeVar, cast

import soliloop
from soliloop.compat import async_solipsism

__all__ = [
    "GetWallClockTime",
    "PollOutput",
    "PollingFunction",
    "WaitInSecs",
    "async_wait_until",
    "gather_coroutines_with_wall_clock",
    "get_poll_kwargs",
    "get_seconds_to_align_to_grid",
    "poll",
    "run",
    "sleep",
    "solipsism_context",
    "sync_poll",
    "sync_wait_until",
]

_T = TypeVar("_T")

GetWallClockTime = Callable[[], datetime.datetime]
"""A wall clock."""

PollOutput = tuple[bool, Any]
"""What a polling function returns: whether it has succeeded, and a value."""

PollingFunction = Callable[[], PollOutput]
"""What is polled: a function without arguments."""

WaitInSecs = float | tuple[float, float]
"""A wait in seconds, or the shortest and the longest of a random one."""

_log = logging.getLogger(__name__)


# Loops, and runs on them.


class _EventLoop(async_solipsism.EventLoop):
    """A simulated loop with a date: its clock starts at the moment at which it is made."""

    def __init__(self) -> None:
        super().__init__(nesting=True)
        self.__start = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)

    def get_current_time(self) -> datetime.datetime:
        """Return the simulated date and time.

        Returns:
            UTC without a time zone: a ``pandas.Timestamp`` where pandas is installed.
        """
        return _as_timestamp(self.__start + datetime.timedelta(seconds=self.time()))


@contextlib.contextmanager
def solipsism_context() -> Iterator[_EventLoop]:
    """Make a loop that lives in simulated time, and asyncio's current loop while the context lasts.

    It is not closed at the end: that is for ``run()``, or for the caller.
    """
    loop = _EventLoop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)


async def gather_coroutines_with_wall_clock(
    event_loop: asyncio.AbstractEventLoop | None,
    *coroutines: Callable[[GetWallClockTime], Awaitable[Any]],
) -> list[Any]:
    """Call each coroutine function with a wall clock of the loop, and await them together.

    Args:
        event_loop: A loop with ``get_current_time()``, or None for real time.
        coroutines: Coroutine functions of one argument, the wall clock. It gives New York time.

    Returns:
        Their results, in their order.
    """
    clock = functools.partial(_new_york_time, event_loop)
    return await asyncio.gather(*(coroutine(clock) for coroutine in coroutines))


def run(
    coroutine: Coroutine[Any, Any, _T] | asyncio.Future[_T],
    event_loop: asyncio.AbstractEventLoop | None,
    *,
    close_event_loop: bool = True,
) -> _T:
    """Run a coroutine to its end; return its result.

    Args:
        coroutine: The coroutine, or a future of the loop.
        event_loop: The loop to use; None for one of the call's own, in real time. On a loop that is
            running, and allows it, this is a nested run: then pass ``close_event_loop=False``.
        close_event_loop: Close the loop afterwards.

    Raises:
        AssertionError: ``event_loop`` is no event loop.
        RuntimeError: The loop is running and does not allow nested runs, or is to be closed while
            it is running.
    """
    if event_loop is None:
        return soliloop.run(cast("Coroutine[Any, Any, _T]", coroutine))
    _check(
        isinstance(event_loop, asyncio.AbstractEventLoop), f"{event_loop!r} is not an event loop"
    )
    try:
        return event_loop.run_until_complete(coroutine)
    finally:
        if close_event_loop:
            event_loop.close()


# Polling.


async def poll(
    polling_func: PollingFunction,
    sleep_in_secs: float,
    timeout_in_secs: float,
    get_wall_clock_time: GetWallClockTime,
    *,
    tag: str | None = None,
) -> tuple[int, Any]:
    """Call *polling_func* every *sleep_in_secs* seconds until it succeeds.

    Args:
        polling_func: Returns whether it has succeeded, and a value.
        sleep_in_secs: Seconds between two calls.
        timeout_in_secs: It is called ``ceil(timeout_in_secs / sleep_in_secs)`` times at most.
        get_wall_clock_time: The clock of the log.
        tag: A name for the log and the error.

    Returns:
        The number of calls that were made, and the value of the last.

    Raises:
        TimeoutError: None of the calls succeeded.
        AssertionError: The seconds are not positive.
    """
    tag = tag or "poll"
    calls = _poll_calls(polling_func, sleep_in_secs, timeout_in_secs, get_wall_clock_time, tag)
    while (outcome := next(calls)) is None:
        await asyncio.sleep(sleep_in_secs)
    return outcome


def sync_poll(
    polling_func: PollingFunction,
    sleep_in_secs: float,
    timeout_in_secs: float,
    get_wall_clock_time: GetWallClockTime,
    *,
    tag: str | None = None,
) -> tuple[bool, Any]:
    """``poll()`` for functions that cannot await: between two calls the whole thread sleeps.

    Returns:
        True, and the value of the last call.
    """
    tag = tag or "sync_poll"
    calls = _poll_calls(polling_func, sleep_in_secs, timeout_in_secs, get_wall_clock_time, tag)
    while (outcome := next(calls)) is None:
        time.sleep(sleep_in_secs)
    return True, outcome[1]


def get_poll_kwargs(
    get_wall_clock_time: GetWallClockTime,
    *,
    sleep_in_secs: float = 1.0,
    timeout_in_secs: float = 10.0,
) -> dict[str, Any]:
    """Return the keyword arguments of ``poll()`` and ``sync_poll()`` but the function and the tag.

    Raises:
        AssertionError: The seconds are not positive, or the clock is no function.
    """
    _check_poll_seconds(sleep_in_secs, timeout_in_secs)
    _check(callable(get_wall_clock_time), f"{get_wall_clock_time!r} is not a wall clock")
    return {
        "sleep_in_secs": sleep_in_secs,
        "timeout_in_secs": timeout_in_secs,
        "get_wall_clock_time": get_wall_clock_time,
    }


# Waiting.


async def sleep(
    delay_in_secs: WaitInSecs,
    get_wall_clock_time: GetWallClockTime,
    *,
    tag: str | None = None,
    seed: int = 42,
) -> None:
    """Wait for some seconds.

    Args:
        delay_in_secs: How long; or a pair, for a time drawn evenly between the two.
        get_wall_clock_time: The clock of the log.
        tag: A name for the log.
        seed: The drawn time follows from it: equal seeds draw equally.

    Raises:
        ValueError: The delay is neither a number nor a pair.
        AssertionError: A delay is negative, or the pair not in order.
    """
    tag = tag or "sleep"
    if isinstance(delay_in_secs, tuple):
        _check(len(delay_in_secs) == 2, f"delay_in_secs={delay_in_secs!r} is not a pair")
        shortest, longest = delay_in_secs
        _check(0 <= shortest <= longest, f"delay_in_secs={delay_in_secs!r} is not in order")
        seconds = random.Random(seed).uniform(shortest, longest)
    elif isinstance(delay_in_secs, (int, float)):
        seconds = delay_in_secs
        _check(seconds >= 0, f"delay_in_secs={delay_in_secs!r} is negative")
    else:
        raise ValueError(f"Invalid delay_in_secs={delay_in_secs!r}")
    _log.debug("%s: at %s: waiting for %s s", tag, get_wall_clock_time(), seconds)
    await asyncio.sleep(seconds)
    _log.debug("%s: at %s: waited for %s s", tag, get_wall_clock_time(), seconds)


def get_seconds_to_align_to_grid(
    bar_duration_in_secs: int,
    get_wall_clock_time: GetWallClockTime,
    *,
    add_buffer_in_secs: int = 0,
) -> tuple[datetime.datetime, float]:
    """Say how long it is to the next line of a grid of time: 58 s at 9:31:02 on one of 120 s.

    Args:
        bar_duration_in_secs: The grid's period, counted from midnight of 1 January 1970 in the
            clock's own time zone.
        get_wall_clock_time: Gives the present moment.
        add_buffer_in_secs: Added to the seconds, to be behind the line for sure.

    Returns:
        The moment of the next line, the present one if it is on the grid; and the seconds to it,
        with the buffer.

    Raises:
        AssertionError: The period is no positive integer, or the buffer negative.
    """
    _check(add_buffer_in_secs >= 0, f"{add_buffer_in_secs=} is negative")
    now = get_wall_clock_time()
    _check(isinstance(bar_duration_in_secs, int), f"{bar_duration_in_secs=} is not an integer")
    _check(bar_duration_in_secs > 0, f"{bar_duration_in_secs=} is not positive")
    line = _next_on_grid(now, datetime.timedelta(seconds=bar_duration_in_secs))
    return line, _seconds_between(now, line) + add_buffer_in_secs


def sync_wait_until(
    wait_until_timestamp: datetime.datetime,
    get_wall_clock_time: GetWallClockTime,
    *,
    tag: str | None = None,
    log_verbosity: int = logging.DEBUG,
) -> None:
    """Let the whole thread sleep until a moment; not at all, if that has passed.

    Args:
        wait_until_timestamp: The moment.
        get_wall_clock_time: Gives the present moment, once more for each line of the log.
        tag: A name for the log.
        log_verbosity: The level of the last line of the log.
    """
    tag = tag or "sync_wait_until"
    time.sleep(_seconds_until(wait_until_timestamp, get_wall_clock_time, tag))
    _log.log(log_verbosity, "%s: at %s: done waiting", tag, get_wall_clock_time())


async def async_wait_until(
    wait_until_timestamp: datetime.datetime,
    get_wall_clock_time: GetWallClockTime,
    *,
    tag: str | None = None,
) -> None:
    """Wait until a moment; not at all, if that has passed. Arguments as of ``sync_wait_until``."""
    tag = tag or "async_wait_until"
    await asyncio.sleep(_seconds_until(wait_until_timestamp, get_wall_clock_time, tag))
    _log.debug("%s: at %s: done waiting", tag, get_wall_clock_time())


def _check(condition: bool, message: str) -> None:
    """``assert``, which the option ``-O`` cannot switch off: callers rely on the exception."""
    if not condition:
        raise AssertionError(message)


def _check_poll_seconds(sleep_in_secs: float, timeout_in_secs: float) -> None:
    _check(sleep_in_secs > 0, f"{sleep_in_secs=} is not positive")
    _check(timeout_in_secs > 0, f"{timeout_in_secs=} is not positive")


def _poll_calls(
    polling_func: PollingFunction,
    sleep_in_secs: float,
    timeout_in_secs: float,
    get_wall_clock_time: GetWallClockTime,
    tag: str,
) -> Generator[tuple[int, Any] | None]:
    """Make one call per item. An item is None if another call is to be made after a sleep."""
    _check_poll_seconds(sleep_in_secs, timeout_in_secs)
    most = math.ceil(timeout_in_secs / sleep_in_secs)
    for number in itertools.count(1):
        _log.debug("%s: at %s: call %d of %d", tag, get_wall_clock_time(), number, most)
        success, value = polling_func()
        if success:
            _log.debug("%s: at %s: success, %r", tag, get_wall_clock_time(), value)
            yield number, value
        if number == most:
            message = f"Timeout for {polling_func=}, {sleep_in_secs=}, {timeout_in_secs=}, {tag=}"
            _log.error(message)
            raise TimeoutError(message)
        yield None


def _seconds_until(
    moment: datetime.datetime, get_wall_clock_time: GetWallClockTime, tag: str
) -> float:
    now = get_wall_clock_time()
    seconds = _seconds_between(now, moment)
    if seconds < 0:
        _log.warning("%s: it is %s, and %s has passed: not waiting", tag, now, moment)
        return 0.0
    _log.debug("%s: at %s: waiting for %s s", tag, get_wall_clock_time(), seconds)
    return seconds


def _seconds_between(start: datetime.datetime, end: datetime.datetime) -> float:
    """Seconds that pass. In one time zone datetimes would not count an hour put back or forward."""
    if start.tzinfo is not None and end.tzinfo is not None:
        start = start.astimezone(datetime.UTC)
        end = end.astimezone(datetime.UTC)
    return (end - start).total_seconds()


def _next_on_grid(moment: datetime.datetime, period: datetime.timedelta) -> datetime.datetime:
    if hasattr(moment, "ceil"):  # a pandas.Timestamp
        return cast("datetime.datetime", moment.ceil(period))
    behind = (moment.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)) % period
    return moment + (period - behind) if behind else moment


def _new_york_time(event_loop: asyncio.AbstractEventLoop | None) -> datetime.datetime:
    if event_loop is None:
        moment = datetime.datetime.now(datetime.UTC)
    else:
        moment = cast("_EventLoop", event_loop).get_current_time().replace(tzinfo=datetime.UTC)
    timestamp = _as_timestamp(moment)
    if hasattr(timestamp, "tz_convert"):  # pandas brings time zones of its own
        return cast("datetime.datetime", timestamp.tz_convert(_NEW_YORK))
    return moment.astimezone(zoneinfo.ZoneInfo(_NEW_YORK))


def _as_timestamp(moment: datetime.datetime) -> datetime.datetime:
    timestamp_class = _timestamp_class()
    return moment if timestamp_class is None else timestamp_class(moment)


@functools.cache
def _timestamp_class() -> Callable[[datetime.datetime], datetime.datetime] | None:
    """``pandas.Timestamp``, a subclass of ``datetime.datetime``, where pandas is installed."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return None
    return cast("Callable[[datetime.datetime], datetime.datetime]", pandas.Timestamp)


_NEW_YORK = "America/New_York"
