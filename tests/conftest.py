"""What every test can ask for: a loop in either time, and the proof that a test left nothing behind.

`loop` is one text for two worlds: a test that takes it runs once in real and once in simulated
time. `second` is how long a second of the test's story lasts: a whole one in simulated time, a few
milliseconds in real time. Nothing here knows what a test is about.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Generator, Iterator

import greenlet
import pytest
import soliloop


def pytest_configure() -> None:
    """A shell's background job has SIGINT ignored. Python would take that over, and tests of Ctrl-C would hang."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["real", "simulated"])
def loop(request: pytest.FixtureRequest, no_leaks: None) -> Iterator[soliloop.EventLoop]:
    """A loop that allows nesting. At the end of the test it must be closed, or have nothing left to do."""
    loop = soliloop.new_event_loop(simulated=request.param == "simulated", nesting=True)
    loop.run_until_complete(asyncio.sleep(0))  # by now it has every descriptor that it needs
    descriptors = _open_descriptors()
    try:
        yield loop
        if not loop.is_closed() and _passed(request.node):
            _assert_idle(loop)
    finally:
        loop.close()
    if _passed(request.node):
        assert _open_descriptors() <= descriptors, "descriptors were left open"


@pytest.fixture
def second(loop: soliloop.EventLoop) -> float:
    """The length of a second of the test's story, in seconds of the loop's clock."""
    return 1.0 if loop._simulated else REAL_SECOND


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that passed but left a descriptor open or a stack suspended."""
    descriptors, stacks = _open_descriptors(), len(_suspended_stacks())
    yield
    if _passed(request.node):
        left = _suspended_stacks()
        assert len(left) <= stacks, f"stacks were left behind: {left}"
        # A loop that came from a fixture is still held by pytest here; `loop` itself has counted.
        holds_loop = any(
            isinstance(value, soliloop.EventLoop) for value in request.node.funcargs.values()
        )
        assert holds_loop or _open_descriptors() <= descriptors, "descriptors were left open"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers whether the test's own part passed: what a failed test leaves behind says nothing."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


def _passed(item: pytest.Item) -> bool:
    return item.stash.get(_PASSED, False)


def _assert_idle(loop: soliloop.EventLoop) -> None:
    assert not asyncio.all_tasks(loop), "tasks are still pending"
    for _ in range(3):  # the callbacks of what ended last
        loop.run_until_complete(asyncio.sleep(0))
    ready, timers, nested = loop._counts()
    assert (ready, nested) == (0, 0), "callbacks or nested runs were left behind"
    # Cancelled timers are swept by and by, not at once.
    assert timers < UNSWEPT_TIMERS, "timers were left behind"


def _suspended_stacks() -> list[greenlet.greenlet]:
    gc.collect()
    return [item for item in gc.get_objects() if type(item) is greenlet.greenlet and item.gr_frame]


def _open_descriptors() -> int:
    with contextlib.suppress(FileNotFoundError):
        return len(os.listdir("/proc/self/fd"))
    return 0


_PASSED = pytest.StashKey[bool]()
REAL_SECOND = 0.004
UNSWEPT_TIMERS = 256
