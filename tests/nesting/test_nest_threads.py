"""Parked stacks belong to a thread: elsewhere their loop can't be run or closed, and the error says so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest
import soliloop


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("action", ["run", "close"])
def test_another_thread(simulated: bool, action: str, no_leaks: None) -> None:
    loop = soliloop.new_event_loop(simulated=simulated, nesting=True)
    loop.set_exception_handler(lambda *_: None)
    parked, tried = threading.Event(), threading.Event()
    ended: list[str] = []

    def callback() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        except asyncio.CancelledError:
            ended.append("cancelled")

    def work() -> None:
        loop.call_soon(callback)
        loop.run_until_complete(asyncio.sleep(0))
        parked.set()
        tried.wait(30)
        loop.close()

    helper = threading.Thread(target=work)
    helper.start()
    parked.wait(30)
    coroutine = asyncio.sleep(0)
    try:
        with pytest.raises(RuntimeError, match="thread"):
            loop.run_until_complete(coroutine) if action == "run" else loop.close()
        assert not loop.is_running()
        assert asyncio._get_running_loop() is None
    finally:
        coroutine.close()
        tried.set()
        helper.join()
    assert ended == ["cancelled"]
    assert loop.is_closed()


@pytest.mark.parametrize(
    "last", ["loop.close()", "loop.run_until_complete(asyncio.sleep(0))", "del loop"]
)
def test_the_thread_of_the_parked_stacks_has_ended(last: str) -> None:
    """In an interpreter of its own: what must not happen is a crash or a hang."""
    program = f"""
        import asyncio, gc, soliloop, threading

        loop = soliloop.new_event_loop(nesting=True)
        loop.set_exception_handler(lambda *_: None)

        def work():
            loop.call_soon(lambda: loop.run_until_complete(loop.create_future()))
            loop.run_until_complete(asyncio.sleep(0))

        helper = threading.Thread(target=work)
        helper.start()
        helper.join()
        gc.collect()
        try:
            {last}
        except RuntimeError as error:
            print(error)
        gc.collect()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr.decode()[-800:]


def test_a_loop_without_parked_stacks_may_change_its_thread(loop: soliloop.EventLoop) -> None:
    async def nests() -> int:
        return loop.run_until_complete(asyncio.sleep(0, 42))

    results: list[int] = [loop.run_until_complete(nests())]
    for _ in range(3):
        _in_thread(lambda: results.append(loop.run_until_complete(nests())))
        results.append(loop.run_until_complete(nests()))
    assert results == [42] * 7


def test_nesting_loops_on_many_threads_at_once(no_leaks: None) -> None:
    results: list[int] = []

    async def descend(depth: int) -> int:
        await asyncio.sleep(0)
        return 1 + soliloop.run(descend(depth - 1)) if depth else 0

    def work() -> None:
        results.append(soliloop.run(descend(100)))

    helpers = [threading.Thread(target=work) for _ in range(8)]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
    assert results == [100] * 8


def _in_thread(work: Callable[[], Any]) -> None:
    helper = threading.Thread(target=work)
    helper.start()
    helper.join()


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("runs", [0, 3])
def test_stacks_of_a_thread_that_has_ended(simulated: bool, runs: int) -> None:
    """The next thread often has its number; the loop can run and be closed there all the same."""
    loop = soliloop.new_event_loop(simulated=simulated, nesting=True)
    results: list[object] = []

    async def nests() -> None:
        loop.run_until_complete(loop.create_future())

    async def main() -> None:
        tasks.append(loop.create_task(nests()))
        await asyncio.sleep(0)

    def second() -> None:
        for number in range(runs):
            results.append(loop.run_until_complete(again(number)))
        loop.close()

    async def again(number: int) -> int:
        return loop.run_until_complete(asyncio.sleep(0.001, number))

    tasks: list[asyncio.Task[None]] = []
    for work in (lambda: loop.run_until_complete(main()), second):
        helper = threading.Thread(target=work)
        helper.start()
        helper.join()
    assert results == list(range(runs)) and loop.is_closed()
    tasks[0]._log_destroy_pending = False  # type: ignore[attr-defined]
