"""What the tests of clocks share: every clock under names taken before any simulation, and where they must stand."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from time import (
    clock_gettime,
    clock_gettime_ns,
    ctime,
    gmtime,
    localtime,
    monotonic,
    monotonic_ns,
    perf_counter,
    perf_counter_ns,
    strftime,
    time_ns,
)
from time import time as time_s
from typing import Any

from soliloop._soliloop import _intercepted

now, utcnow, today, date_today = datetime.now, datetime.utcnow, datetime.today, date.today

WALL: dict[str, Callable[[], Any]] = {
    "time": time_s,
    "time_ns": lambda: time_ns() / 1e9,
    "clock_gettime": lambda: clock_gettime(time.CLOCK_REALTIME),
    "clock_gettime_ns": lambda: clock_gettime_ns(time.CLOCK_REALTIME) / 1e9,
    "clock_gettime TAI": lambda: clock_gettime(time.CLOCK_TAI),
    "now": lambda: now().timestamp(),
    "now UTC": lambda: now(UTC).timestamp(),
    "now tz=": lambda: now(tz=UTC).timestamp(),
    "today": lambda: today().timestamp(),
}
"""Seconds since the epoch."""

MONOTONIC: dict[str, Callable[[], float]] = {
    "monotonic": monotonic,
    "monotonic_ns": lambda: monotonic_ns() / 1e9,
    "perf_counter": perf_counter,
    "perf_counter_ns": lambda: perf_counter_ns() / 1e9,
    "MONOTONIC": lambda: clock_gettime(time.CLOCK_MONOTONIC),
    "MONOTONIC_RAW": lambda: clock_gettime(time.CLOCK_MONOTONIC_RAW),
    "MONOTONIC ns": lambda: clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e9,
    "BOOTTIME": lambda: clock_gettime(time.CLOCK_BOOTTIME),
}

TEXTS: dict[str, Callable[[], str]] = {
    "localtime": lambda: time.strftime("%Y", localtime()),
    "localtime None": lambda: time.strftime("%Y", localtime(None)),
    "gmtime": lambda: time.strftime("%Y", gmtime()),
    "ctime": lambda: ctime()[-4:],
    "asctime": lambda: time.asctime()[-4:],
    "strftime": lambda: strftime("%Y"),
    "date.today": lambda: str(date_today().year),
}
"""The year."""


def is_true() -> bool:
    """Whether this thread sees the true clocks, which the simulations of the tests are far from."""
    clocks = {name: abs(clock() - TRUE_START) < HOUR for name, clock in WALL.items()}
    assert len(set(clocks.values())) == 1, clocks
    return clocks["time"]


def assert_untouched() -> None:
    """No simulation is under way: nothing is left of one."""
    assert _intercepted() == 0
    assert is_true()


TRUE_START = time_s()
HOUR = 3600.0
