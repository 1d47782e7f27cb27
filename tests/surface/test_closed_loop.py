"""A closed loop: each method refuses, answers, or does nothing, as asyncio's does."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import soliloop
from surface_support import Factory, Loop, open_descriptors


async def value() -> None:
    pass


@pytest.fixture
def closed(factory: Factory) -> Iterator[Loop]:
    loop = factory()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    yield loop
    assert loop.is_closed()


def with_socket(method: str, *args: Any) -> Callable[[Loop], object]:
    def call(loop: Loop) -> object:
        near, far = socket.socketpair()
        with near, far:
            return getattr(loop, method)(near, *args)

    return call


def with_coroutine(method: str) -> Callable[[Loop], object]:
    def call(loop: Loop) -> object:
        coroutine = value()
        try:
            return getattr(loop, method)(coroutine)
        finally:
            coroutine.close()

    return call


REFUSED: dict[str, Callable[[Loop], object]] = {
    "call_soon": lambda loop: loop.call_soon(print),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(print),
    "call_later": lambda loop: loop.call_later(0, print),
    "call_at": lambda loop: loop.call_at(0, print),
    "run_forever": lambda loop: loop.run_forever(),
    "run_until_complete": with_coroutine("run_until_complete"),
    "run_until_complete of a future": lambda loop: loop.run_until_complete(loop.create_future()),
    "create_task": with_coroutine("create_task"),
    "run_in_executor": lambda loop: loop.run_in_executor(None, print),
    "add_reader": with_socket("add_reader", print),
    "add_writer": with_socket("add_writer", print),
}


@pytest.mark.parametrize("method", list(REFUSED))
def test_what_would_need_the_loop_is_refused(closed: Loop, method: str) -> None:
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        REFUSED[method](closed)


def test_debug_mode_changes_nothing_of_that(closed: Loop) -> None:
    closed.set_debug(True)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        closed.call_soon(print)


def test_signal_handlers_are_refused() -> None:
    loop = soliloop.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    descriptors = open_descriptors()
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1
    assert open_descriptors() == descriptors


def test_what_needs_no_loop_still_works(closed: Loop) -> None:
    assert closed.is_closed()
    assert not closed.is_running()
    assert isinstance(closed.time(), float)
    assert closed.get_debug() is False
    assert closed.get_task_factory() is None
    assert closed.get_exception_handler() is None
    assert closed.create_future().get_loop() is closed
    assert "closed=True" in repr(closed)
    closed.stop()
    closed.close()


def test_removing_finds_nothing(closed: Loop) -> None:
    near, far = socket.socketpair()
    with near, far:
        assert closed.remove_reader(near) is False
        assert closed.remove_writer(near) is False
    assert closed.remove_signal_handler(signal.SIGUSR1) is False


def test_operations_inside_another_loop_are_refused(closed: Loop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        with near, far:
            for operation in (closed.sock_recv(near, 1), closed.getaddrinfo("localhost", 1)):
                with pytest.raises(RuntimeError, match="closed"):
                    await operation

    with asyncio.Runner() as runner:
        runner.run(main())


def test_closing_cancels_nothing_and_runs_nothing(factory: Factory) -> None:
    seen: list[str] = []
    loop = factory()
    soon = loop.call_soon(seen.append, "soon")
    later = loop.call_later(0, seen.append, "later")
    loop.close()
    assert seen == []
    assert not soon.cancelled()
    assert not later.cancelled()
    soon.cancel()
    later.cancel()


def test_handles_of_a_closed_loop_hold_nothing_that_matters(factory: Factory) -> None:
    loop = factory()
    handles = [loop.call_soon(print), loop.call_later(9, print)]
    loop.close()
    for handle in handles:
        assert repr(handle)
        handle.cancel()
        assert handle.cancelled()
