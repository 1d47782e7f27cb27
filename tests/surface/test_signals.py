"""Handlers of signals, and the wake-up descriptor that a run borrows."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import soliloop
from surface_support import PATIENCE, Factory, Loop, handled, run


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """The process's own handlers are as they were at the end."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def raise_later(loop: Loop, number: int, times: int = 1) -> None:
    for _ in range(times):
        loop.call_soon(os.kill, os.getpid(), number)


def test_a_handler_runs_as_a_callback(loop: Loop) -> None:
    seen: list[tuple[Any, ...]] = []

    def handler(*args: Any) -> None:
        assert asyncio.get_running_loop() is loop
        seen.append(args)
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two")
    raise_later(loop, signal.SIGUSR1)
    loop.run_forever()
    assert seen == [(1, "two")]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert not loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_ends_a_sleep(loop: Loop) -> None:
    """Sent by a thread, it may arrive at any moment of the wait or before it."""
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    for _ in range(50):
        ready = threading.Event()

        def send(ready: threading.Event = ready) -> None:
            ready.wait(PATIENCE)
            os.kill(os.getpid(), signal.SIGUSR1)

        thread = threading.Thread(target=send)
        thread.start()
        loop.call_soon(ready.set)
        loop.run_forever()
        thread.join()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_two_handlers(loop: Loop) -> None:
    seen: list[str] = []

    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "one")
        loop.add_signal_handler(signal.SIGUSR2, seen.append, "two")
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.001)
        assert loop.remove_signal_handler(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await asyncio.sleep(0.001)
        assert loop.remove_signal_handler(signal.SIGUSR2)

    run(loop, main())
    assert seen == ["one", "two", "one", "two"]


def test_a_new_handler_replaces_the_old_one(loop: Loop) -> None:
    seen: list[str] = []

    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "old")
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "new")
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.001)
        loop.remove_signal_handler(signal.SIGUSR1)

    run(loop, main())
    assert seen == ["new"]


def test_a_signal_between_two_runs_is_kept(loop: Loop) -> None:
    seen: list[str] = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "between")
    loop.run_until_complete(asyncio.sleep(0))
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.001))
    assert seen == ["between"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_that_arrives_while_another_loop_runs_is_kept(
    loop: Loop, factory: Factory
) -> None:
    """A stacked run borrows the wake-up descriptor: what it reads there may be for the loop below."""
    seen: list[str] = []
    other = factory()
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "kept")
    raise_later(other, signal.SIGUSR1)
    other.run_until_complete(asyncio.sleep(0.001))
    other.close()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.remove_signal_handler(signal.SIGUSR1)
    assert seen == ["kept"]


def test_a_run_of_another_loop_in_between_changes_nothing(loop: Loop, factory: Factory) -> None:
    seen: list[str] = []
    other = factory()
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "kept")
    other.run_until_complete(asyncio.sleep(0))
    other.close()
    raise_later(loop, signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.remove_signal_handler(signal.SIGUSR1)
    assert seen == ["kept"]


def test_a_handler_that_fails_is_reported(loop: Loop) -> None:
    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, lambda: 1 / 0)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.001)
        loop.remove_signal_handler(signal.SIGUSR1)

    with handled(loop) as contexts:
        run(loop, main())
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]


def test_a_storm_of_signals_is_no_trouble(loop: Loop) -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    loop.add_signal_handler(signal.SIGUSR1, count)
    raise_later(loop, signal.SIGUSR1, 100)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0.001))
    assert calls > 0
    loop.remove_signal_handler(signal.SIGUSR1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_signals_that_cannot_be_caught(loop: Loop, number: int) -> None:
    with pytest.raises((RuntimeError, OSError)):
        loop.add_signal_handler(number, print)


@pytest.mark.parametrize("number", [0, -1, 1000, "SIGINT", None, 1.5])
def test_what_is_no_signal(loop: Loop, number: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        loop.add_signal_handler(number, print)


def test_a_coroutine_is_no_handler(loop: Loop) -> None:
    async def handler() -> None:
        pass

    with pytest.raises(TypeError):
        loop.add_signal_handler(signal.SIGUSR1, handler)


def test_only_the_main_thread_can_have_handlers(loop: Loop) -> None:
    errors: list[BaseException] = []

    def add() -> None:
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except (RuntimeError, ValueError) as error:
            errors.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_closing_the_loop_takes_its_handlers_away(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_a_run_gives_the_wake_up_descriptor_back(our_loop: soliloop.EventLoop) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        signal.set_wakeup_fd(near.fileno())
        our_loop.run_until_complete(asyncio.sleep(0))
        assert signal.set_wakeup_fd(-1) == near.fileno()


def test_a_run_gives_the_wake_up_descriptor_back_after_handlers_have_come_and_gone(
    our_loop: soliloop.EventLoop,
) -> None:
    async def main() -> None:
        our_loop.add_signal_handler(signal.SIGUSR1, print)
        our_loop.remove_signal_handler(signal.SIGUSR1)

    our_loop.run_until_complete(main())
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_of_python_handlers_run_while_the_loop_sleeps(loop: Loop) -> None:
    seen: list[int] = []

    def handler(number: int, _frame: object) -> None:
        seen.append(number)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR2, handler)
    try:
        timer = threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGUSR2))
        timer.start()
        loop.run_forever()
        timer.join()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [signal.SIGUSR2]


@pytest.mark.parametrize("early", [True, False], ids=["before its run", "in its run"])
def test_a_stacked_loop_with_handlers_leaves_those_below_alone(
    factory: Factory, early: bool
) -> None:
    seen: list[str] = []

    async def inner() -> None:
        loop = asyncio.get_running_loop()
        if not early:
            loop.add_signal_handler(signal.SIGUSR2, seen.append, "inner")
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.raise_signal(number)
        await asyncio.sleep(0.01)

    async def outer() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "outer")
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        with soliloop.Runner() as runner:
            if early:
                runner.get_loop().add_signal_handler(signal.SIGUSR2, seen.append, "inner")
            runner.run(inner())
        assert signal.set_wakeup_fd(wakeup) == wakeup
        signal.raise_signal(signal.SIGUSR1)
        await asyncio.sleep(0.01)
        loop.remove_signal_handler(signal.SIGUSR1)

    below = factory()
    below.run_until_complete(outer())
    below.close()
    assert sorted(seen) == ["inner", "outer", "outer"]


def test_two_loops_with_handlers_that_run_in_turn() -> None:
    seen: list[str] = []

    async def raises(number: int) -> None:
        signal.raise_signal(number)
        await asyncio.sleep(0.001)

    first, second = soliloop.new_event_loop(), soliloop.new_event_loop()
    first.add_signal_handler(signal.SIGUSR1, seen.append, "first")
    second.add_signal_handler(signal.SIGUSR2, seen.append, "second")
    for _ in range(2):
        second.run_until_complete(raises(signal.SIGUSR2))
        first.run_until_complete(raises(signal.SIGUSR1))
    first.close()
    second.run_until_complete(raises(signal.SIGUSR2))
    second.close()
    assert seen == ["second", "first", "second", "first", "second"]


def test_a_wakeup_descriptor_that_was_closed_meanwhile(our_loop: soliloop.EventLoop) -> None:
    near, far = socket.socketpair()
    far.setblocking(False)
    signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)

    async def main() -> str:
        near.close()
        far.close()
        return "result"

    assert our_loop.run_until_complete(main()) == "result"
    assert signal.set_wakeup_fd(-1) == -1


def test_a_wakeup_descriptor_that_is_set_in_the_run_stays(loop: Loop) -> None:
    near, far = socket.socketpair()
    far.setblocking(False)

    async def main() -> None:
        signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)

    with near, far:
        loop.run_until_complete(main())
        assert signal.set_wakeup_fd(-1) == far.fileno()


@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_signal_that_arrives_while_another_handler_changes_is_kept(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    seen: list[str] = []

    def raising(function: Any) -> Any:
        def call(*args: Any) -> Any:
            signal.raise_signal(signal.SIGUSR1)
            return function(*args)

        return call

    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, seen.append, "kept")
        with monkeypatch.context() as patch:
            if change == "add":
                check = asyncio.coroutines.iscoroutine
                patch.setattr(asyncio.coroutines, "iscoroutine", raising(check))
                loop.add_signal_handler(signal.SIGUSR2, print)
            else:
                loop.add_signal_handler(signal.SIGUSR2, print)
                patch.setattr(signal, "signal", raising(signal.signal))
                loop.remove_signal_handler(signal.SIGUSR2)
        await asyncio.sleep(0.001)
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.remove_signal_handler(signal.SIGUSR2)

    loop.run_until_complete(main())
    assert seen == ["kept"]


def test_a_signal_between_two_runs_is_kept_though_an_older_loop_has_handlers(
    loop: Loop, factory: Factory
) -> None:
    seen: list[str] = []
    older = factory()
    older.add_signal_handler(signal.SIGUSR2, print)
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "between")
    signal.raise_signal(signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.remove_signal_handler(signal.SIGUSR1)
    older.close()
    signal.set_wakeup_fd(-1)
    assert seen == ["between"]
