"""A loop that is closed while stacks are parked: they end with `CancelledError`, and a report names them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import soliloop


@pytest.fixture
def reports(loop: soliloop.EventLoop) -> list[dict[str, Any]]:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    return contexts


def test_parked_stacks_end_with_cancelled_error(
    loop: soliloop.EventLoop, reports: list[dict[str, Any]]
) -> None:
    events: list[str] = []

    def callback() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        except asyncio.CancelledError as error:
            events.append(f"callback: {error}")
            assert asyncio.get_running_loop() is loop
        finally:
            events.append("finally")

    _park(loop, callback)
    loop.close()
    assert events == ["callback: the event loop was closed during a nested run", "finally"]
    assert loop.is_closed()
    assert loop._counts() == (0, 0, 0)
    assert asyncio._get_running_loop() is None


def test_the_report_names_them(loop: soliloop.EventLoop, reports: list[dict[str, Any]]) -> None:
    async def guilty() -> None:
        loop.run_until_complete(loop.create_future())

    line = guilty.__code__.co_firstlineno + 1
    task = loop.create_task(guilty(), name="culprit")
    _park(loop, lambda: loop.run_until_complete(loop.create_future()))
    loop.close()
    assert task.cancelled()
    text = next(report["message"] for report in reports if "nested runs" in report["message"])
    assert "'culprit'" in text
    assert f"guilty at {__file__}:{line}" in text
    assert "a callback" in text
    del task


def test_several_end_and_each_runs_its_finally(
    loop: soliloop.EventLoop, reports: list[dict[str, Any]]
) -> None:
    ended: list[int] = []

    def callback(number: int) -> None:
        try:
            loop.run_until_complete(loop.create_future())
        finally:
            ended.append(number)

    for number in range(20):
        loop.call_soon(callback, number)
    _park(loop, lambda: None)
    loop.close()
    assert sorted(ended) == list(range(20))


def test_nested_in_nested(loop: soliloop.EventLoop, reports: list[dict[str, Any]]) -> None:
    ended: list[int] = []

    async def descend(left: int) -> None:
        try:
            loop.run_until_complete(descend(left - 1) if left else loop.create_future())
        finally:
            ended.append(left)

    task = loop.create_task(descend(10))
    _park(loop, lambda: None)
    for _ in range(12):
        loop.run_until_complete(asyncio.sleep(0))
    assert loop._counts()[2] == 11
    loop.close()
    assert sorted(ended) == list(range(11))
    assert task.cancelled()


def test_a_stack_that_catches_it_and_nests_again(
    loop: soliloop.EventLoop, reports: list[dict[str, Any]]
) -> None:
    events: list[str] = []

    def callback() -> None:
        for _ in range(3):
            try:
                loop.run_until_complete(loop.create_future())
            except asyncio.CancelledError:
                events.append("cancelled")

    _park(loop, callback)
    loop.close()
    assert events == ["cancelled"] * 3
    assert loop.is_closed()


def test_a_stack_that_schedules_more_while_it_ends(
    loop: soliloop.EventLoop, reports: list[dict[str, Any]]
) -> None:
    ran: list[str] = []

    def callback() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        finally:
            loop.call_soon(ran.append, "must not run")
            loop.call_later(0, ran.append, "must not run")

    _park(loop, callback)
    loop.close()
    assert ran == []
    assert loop._counts() == (0, 0, 0)


def test_what_a_stack_raises_while_it_ends_is_reported(
    loop: soliloop.EventLoop, reports: list[dict[str, Any]]
) -> None:
    def callback() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        finally:
            raise LookupError("while ending")

    _park(loop, callback)
    loop.close()
    assert [type(report.get("exception")) for report in reports if "exception" in report] == [
        LookupError
    ]
    assert loop.is_closed()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_that_a_stack_raises_while_it_ends_is_not_lost(
    loop: soliloop.EventLoop, reports: list[dict[str, Any]], kind: type[BaseException]
) -> None:
    ended: list[str] = []

    def interrupts() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        finally:
            raise kind("while ending")

    def other() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        finally:
            ended.append("other")

    loop.call_soon(other)
    _park(loop, interrupts)
    raised: BaseException | None = None
    try:
        loop.close()
    except BaseException as error:
        raised = error
    errors = [raised, *(report.get("exception") for report in reports)]
    assert ended == ["other"]
    assert loop.is_closed()
    assert any(isinstance(error, kind) for error in errors), "the interrupt is gone without a trace"


def test_closing_a_running_loop_is_refused_and_harms_nobody(
    loop: soliloop.EventLoop, second: float
) -> None:
    async def A() -> str:
        loop.run_until_complete(asyncio.sleep(second))
        return "done"

    async def main() -> str:
        task = asyncio.create_task(A())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        return await task

    assert loop.run_until_complete(main()) == "done"
    assert not loop.is_closed()


def test_closing_twice(loop: soliloop.EventLoop, reports: list[dict[str, Any]]) -> None:
    _park(loop, lambda: loop.run_until_complete(loop.create_future()))
    loop.close()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_until_complete(loop.create_future())


def test_a_closed_loop_holds_no_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))
    loop = soliloop.new_event_loop(nesting=True)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert loop.is_closed()


@pytest.mark.parametrize("close", [False, True], ids=["loop left open", "loop closed at exit"])
def test_the_interpreter_ends_with_parked_stacks(close: bool) -> None:
    program = f"""
        import asyncio, atexit, soliloop

        async def A(depth):
            loop.run_until_complete(A(depth - 1) if depth else loop.create_future())

        loop = soliloop.new_event_loop(nesting=True)
        task = loop.create_task(A(5))
        loop.call_soon(lambda: loop.run_until_complete(loop.create_future()))
        loop.set_exception_handler(lambda *_: None)
        loop.run_until_complete(asyncio.sleep(0.001))
        assert loop._counts()[2] == 7
        if {close}:
            atexit.register(loop.close)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]


def test_a_loop_with_parked_stacks_that_is_dropped_unclosed() -> None:
    program = """
        import asyncio, gc, soliloop, warnings

        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(20):
            loop = soliloop.new_event_loop(nesting=True)
            loop.set_exception_handler(lambda *_: None)
            loop.call_soon(loop.run_until_complete, loop.create_future())
            loop.run_until_complete(asyncio.sleep(0))
            del loop
            gc.collect()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]


def _park(loop: soliloop.EventLoop, callback: Callable[[], object]) -> None:
    """Lets the callback run until it is parked."""
    loop.call_soon(callback)
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
