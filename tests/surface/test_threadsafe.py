"""Callbacks from other threads: none is lost, each thread's keep their order, a sleeping loop wakes up."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
from surface_support import PATIENCE, Loop, Script, handled, run

THREADS = 4
CALLS = 2000


def storm(loop: Loop) -> list[tuple[int, int]]:
    """Let several threads give callbacks to the loop while it runs; returns them in the order in which they ran."""
    seen: list[tuple[int, int]] = []

    def collect(thread: int, call: int) -> None:
        seen.append((thread, call))
        if len(seen) == THREADS * CALLS:
            loop.stop()

    def give(thread: int) -> None:
        for call in range(CALLS):
            loop.call_soon_threadsafe(collect, thread, call)

    threads = [threading.Thread(target=give, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    loop.run_forever()
    for thread in threads:
        thread.join()
    return seen


def assert_complete(seen: list[tuple[int, int]]) -> None:
    for number in range(THREADS):
        assert [call for thread, call in seen if thread == number] == list(range(CALLS))


def test_a_storm_while_the_loop_sleeps(loop: Loop) -> None:
    assert_complete(storm(loop))


def test_a_storm_while_the_loop_is_busy(loop: Loop) -> None:
    busy = 0

    def work() -> None:
        nonlocal busy
        busy += 1
        loop.call_soon(work)

    loop.call_soon(work)
    assert_complete(storm(loop))
    assert busy


def test_a_storm_while_timers_come_and_go(loop: Loop) -> None:
    def again() -> None:
        loop.call_later(0.0001, again)
        loop.call_later(3600, again).cancel()

    again()
    assert_complete(storm(loop))


def test_each_single_call_wakes_a_loop_that_sleeps_without_a_deadline(loop: Loop) -> None:
    lost = True

    def ask() -> None:
        nonlocal lost
        for _ in range(500):
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            if not answered.wait(PATIENCE):
                break
        else:
            lost = False
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=ask)
    thread.start()
    loop.run_forever()
    thread.join()
    assert not lost


def test_a_call_before_the_loop_runs_is_kept(loop: Loop) -> None:
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
    thread.start()
    thread.join()
    loop.run_forever()


def test_a_coroutine_from_another_thread(loop: Loop) -> None:
    async def work(value: int) -> int:
        await asyncio.sleep(0)
        if value < 0:
            raise ValueError(value)
        return value * 2

    results: list[Any] = []

    def ask() -> None:
        results.append(asyncio.run_coroutine_threadsafe(work(21), loop).result(PATIENCE))
        results.append(asyncio.run_coroutine_threadsafe(work(-1), loop).exception(PATIENCE))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=ask)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results[0] == 42
    assert isinstance(results[1], ValueError)


def test_the_variables_are_those_of_the_calling_thread(loop: Loop) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def give() -> None:
        variable.set("thread")
        loop.call_soon_threadsafe(lambda: seen.append(variable.get()))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=give)
    thread.start()
    loop.run_forever()
    thread.join()
    assert seen == ["thread"]


def test_a_handle_can_be_cancelled_from_the_thread_that_made_it(loop: Loop) -> None:
    seen: list[str] = []

    def give() -> None:
        blocker = threading.Event()
        loop.call_soon_threadsafe(blocker.wait, PATIENCE)
        loop.call_soon_threadsafe(seen.append, "cancelled").cancel()
        loop.call_soon_threadsafe(loop.stop)
        blocker.set()

    thread = threading.Thread(target=give)
    thread.start()
    loop.run_forever()
    thread.join()
    assert seen == []


def test_a_loop_runs_in_any_thread(factory: Callable[[], Loop]) -> None:
    async def main() -> bool:
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(lambda: True)

    results: list[bool] = []

    def work() -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            results.append(runner.run(main()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


def test_a_closed_loop_refuses_other_threads(loop: Loop) -> None:
    loop.close()
    errors: list[BaseException] = []

    def give() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=give)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == ["Event loop is closed"]


def test_a_failing_callback_from_another_thread_is_reported(loop: Loop) -> None:
    with handled(loop) as contexts:
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(lambda: 1 / 0))
        thread.start()
        thread.join()
        run(loop, asyncio.sleep(0))
    assert isinstance(contexts[0]["exception"], ZeroDivisionError)


@pytest.mark.slow
def test_closing_races_with_a_storm() -> None:
    """A thread that calls while the loop is being closed gets the error or is ignored; nothing worse happens."""
    for _ in range(50):
        loop = soliloop.new_event_loop()
        ended = threading.Event()

        def give(loop: soliloop.EventLoop = loop, ended: threading.Event = ended) -> None:
            try:
                while True:
                    loop.call_soon_threadsafe(int)
            except RuntimeError:
                ended.set()

        thread = threading.Thread(target=give)
        thread.start()
        loop.run_until_complete(asyncio.sleep(0.0005))
        loop.close()
        assert ended.wait(PATIENCE)
        thread.join()


@pytest.mark.parametrize("work", ["busy", "sleeping", "waking often", "in a simulation"])
def test_the_interpreter_ends_while_a_loop_runs_in_a_daemon_thread(
    script: Script, work: str
) -> None:
    """Without an abort: the exit code is 0, or `script` fails."""
    text = script(
        """
        import soliloop, threading

        loop = soliloop.new_event_loop(simulated=WORK == "in a simulation")

        def work():
            loop.call_later(0.0005, work) if WORK == "waking often" else loop.call_soon(work)
            began.set()

        began = threading.Event()
        loop.call_soon(began.set if WORK == "sleeping" else work)
        threading.Thread(target=loop.run_forever, daemon=True).start()
        began.wait()
        print("end")
        """,
        WORK=repr(work),
    )
    assert text == "end\n"
