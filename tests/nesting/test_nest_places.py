"""Where a nested run may be asked for: in everything that the loop calls, and in what that calls in turn."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import soliloop


class Nester:
    """Runs nested when it is called, or when it dies; remembers what came of it."""

    def __init__(self, loop: soliloop.EventLoop, seconds: float = 0) -> None:
        self.loop = loop
        self.seconds = seconds
        self.results: list[Any] = []

    def __call__(self, *_: object) -> None:
        coroutine = asyncio.sleep(self.seconds, "done")
        try:
            self.results.append(self.loop.run_until_complete(coroutine))
        except BaseException as error:
            coroutine.close()
            self.results.append(error)


class Dying:
    """Calls its nester when it is deleted."""

    def __init__(self, nester: Nester) -> None:
        self.nester = nester

    def __del__(self) -> None:
        self.nester()


@pytest.fixture
def nester(loop: soliloop.EventLoop, second: float) -> Nester:
    return Nester(loop, second)


Schedule = Callable[[soliloop.EventLoop, Nester], object]
SCHEDULES: dict[str, Schedule] = {
    "call_soon": lambda loop, nester: loop.call_soon(nester),
    "call_later": lambda loop, nester: loop.call_later(0.001, nester),
    "call_at": lambda loop, nester: loop.call_at(loop.time(), nester),
    "call_soon_threadsafe": lambda loop, nester: loop.call_soon_threadsafe(nester),
    "done-callback of a future": lambda loop, nester: _done_future(loop).add_done_callback(nester),
    "done-callback of a task": lambda loop, nester: loop.create_task(
        asyncio.sleep(0)
    ).add_done_callback(nester),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_callbacks(loop: soliloop.EventLoop, nester: Nester, schedule: Schedule) -> None:
    async def main() -> None:
        schedule(loop, nester)
        await _until(nester)

    loop.run_until_complete(main())
    assert nester.results == ["done"]


def test_hundreds_of_plain_callbacks_at_once(loop: soliloop.EventLoop, nester: Nester) -> None:
    async def main() -> None:
        for _ in range(300):
            loop.call_soon(nester)
        await _until(nester, 300)

    loop.run_until_complete(main())
    assert nester.results == ["done"] * 300


def test_callback_from_another_thread(loop: soliloop.EventLoop, nester: Nester) -> None:
    if loop._simulated:
        helper: Callable[[], Coroutine[Any, Any, object]] = lambda: asyncio.sleep(0)  # noqa: E731
        loop.call_soon_threadsafe(nester)
    else:
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(nester,))
        helper = lambda: asyncio.to_thread(thread.join)  # noqa: E731
        thread.start()

    async def main() -> None:
        await helper()
        await _until(nester)

    loop.run_until_complete(main())
    assert nester.results == ["done"]


def test_reader_callback() -> None:
    loop = soliloop.new_event_loop(nesting=True)
    nester = Nester(loop)
    reader, writer = os.pipe()

    def readable() -> None:
        os.read(reader, 1)
        nester()

    async def main() -> None:
        loop.add_reader(reader, readable)
        os.write(writer, b"1")
        await _until(nester)
        os.write(writer, b"2")
        await _until(nester, 2)
        loop.remove_reader(reader)

    try:
        loop.run_until_complete(main())
        assert nester.results == ["done", "done"]
    finally:
        loop.close()
        os.close(reader)
        os.close(writer)


def test_signal_handler_of_the_loop() -> None:
    loop = soliloop.new_event_loop(nesting=True)
    nester = Nester(loop, 0.002)

    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, nester)
        signal.raise_signal(signal.SIGUSR1)
        await _until(nester)
        loop.remove_signal_handler(signal.SIGUSR1)

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert nester.results == ["done"]


@pytest.mark.parametrize("idle", [False, True], ids=["inside a callback", "while the loop waits"])
def test_signal_handler_of_python(idle: bool) -> None:
    loop = soliloop.new_event_loop(nesting=True)
    nester = Nester(loop, 0.002)
    previous = signal.signal(signal.SIGALRM, nester)

    async def main() -> None:
        if idle:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            while not nester.results:
                await asyncio.sleep(0.02)
        else:
            signal.raise_signal(signal.SIGALRM)
        await asyncio.sleep(0.001)

    try:
        loop.run_until_complete(main())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        loop.close()
    assert nester.results == ["done"]


def test_finalizer_of_an_async_generator(loop: soliloop.EventLoop, nester: Nester) -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            nester()

    async def main() -> None:
        async for _ in numbers():
            break  # dropped here: the loop's finalizer hook closes it
        gc.collect()
        await _until(nester)

    loop.run_until_complete(main())
    assert nester.results == ["done"]


def test_shutdown_of_async_generators(loop: soliloop.EventLoop, nester: Nester) -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            nester()

    generator = numbers()

    async def main() -> None:
        await anext(generator)

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert nester.results == ["done"]


def test_exception_handler(loop: soliloop.EventLoop, nester: Nester) -> None:
    messages: list[str] = []

    def handler(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        messages.append(context["message"])
        nester()

    def fails() -> None:
        raise ValueError("the callback's own")

    async def main() -> None:
        loop.set_exception_handler(handler)
        loop.call_soon(fails)
        await _until(nester)
        loop.set_exception_handler(None)

    loop.run_until_complete(main())
    assert nester.results == ["done"]
    assert len(messages) == 1 and "fails" in messages[0]


def test_task_factory(loop: soliloop.EventLoop, second: float) -> None:
    nester = Nester(loop, second)
    is_outer = [True]

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        if is_outer[0]:
            is_outer[0] = False
            nester()
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main() -> None:
        loop.set_task_factory(factory)
        await asyncio.create_task(asyncio.sleep(0))
        loop.set_task_factory(None)

    loop.run_until_complete(main())
    assert nester.results == ["done"]


# ------------------------------------------------------------------ the end of objects


def test_del(loop: soliloop.EventLoop, nester: Nester) -> None:
    async def main() -> None:
        dying = Dying(nester)
        del dying
        assert nester.results == ["done"]

    loop.run_until_complete(main())


def _drop_after_the_run(loop: soliloop.EventLoop, dying: Dying) -> None:
    loop.call_soon(_take, dying)


def _drop_by_cancel(loop: soliloop.EventLoop, dying: Dying) -> None:
    handle = loop.call_later(1e6, _take, dying)
    del dying
    handle.cancel()


def _drop_timer_after_the_run(loop: soliloop.EventLoop, dying: Dying) -> None:
    loop.call_later(0.001, _take, dying)


def _drop_by_the_context(loop: soliloop.EventLoop, dying: Dying) -> None:
    context = contextvars.copy_context()
    context.run(contextvars.ContextVar[Dying]("dying").set, dying)
    loop.call_soon(_take, context=context)


def _drop_by_the_result_of_a_task(loop: soliloop.EventLoop, dying: Dying) -> None:
    loop.create_task(asyncio.sleep(0, dying))


def _drop_by_the_factory(loop: soliloop.EventLoop, dying: Dying) -> None:
    def factory(
        loop: Any, coroutine: Any, *, _kept: Dying = dying, **options: Any
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    del factory, dying
    loop.set_task_factory(None)


def _drop_by_the_exception_of_a_callback(loop: soliloop.EventLoop, dying: Dying) -> None:
    def fails(_: Dying) -> None:
        raise ValueError

    loop.set_exception_handler(lambda *_: None)
    loop.call_soon(fails, dying)


DROPS = {
    "argument of a callback that has run": _drop_after_the_run,
    "argument of a cancelled timer": _drop_by_cancel,
    "argument of a timer that has run": _drop_timer_after_the_run,
    "variable of a callback's context": _drop_by_the_context,
    "result of a task": _drop_by_the_result_of_a_task,
    "task factory": _drop_by_the_factory,
    "argument of a callback that raised": _drop_by_the_exception_of_a_callback,
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS.keys())
def test_del_inside_the_loops_own_machinery(
    loop: soliloop.EventLoop, nester: Nester, drop: Callable[[soliloop.EventLoop, Dying], None]
) -> None:
    async def main() -> None:
        drop(loop, Dying(nester))
        await _until(nester)
        loop.set_exception_handler(None)

    loop.run_until_complete(main())
    assert nester.results == ["done"]


def test_del_of_a_replaced_reader() -> None:
    loop = soliloop.new_event_loop(nesting=True)
    nester = Nester(loop)
    reader, writer = os.pipe()

    async def main() -> None:
        loop.add_reader(reader, _take, Dying(nester))
        loop.add_reader(reader, _take)
        assert nester.results == ["done"]
        loop.add_reader(reader, _take, Dying(nester))
        loop.remove_reader(reader)
        assert nester.results == ["done", "done"]

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
        os.close(reader)
        os.close(writer)


def test_del_while_the_loop_is_closed_is_refused(loop: soliloop.EventLoop, nester: Nester) -> None:
    loop.call_later(1e6, _take, Dying(nester))
    loop.call_soon(_take, Dying(nester))
    loop.close()
    assert [type(result) for result in nester.results] == [RuntimeError, RuntimeError]


def test_gc(loop: soliloop.EventLoop, nester: Nester) -> None:
    async def main() -> None:
        dying: Any = Dying(nester)
        dying.itself = dying
        del dying
        gc.collect()
        assert len(nester.results) == 1

    loop.run_until_complete(main())
    # Refused or run: either will do, a crash will not.
    assert nester.results == ["done"] or isinstance(nester.results[0], RuntimeError)


def test_gc_whose_garbage_is_freed_by_the_nested_run() -> None:
    """The collector's lists are on the machine stack: to free a member while it is parked corrupts memory."""
    program = """
        import asyncio, gc, soliloop

        class Cyclic:
            __slots__ = ("itself", "child", "tail")

            def __init__(self):
                self.itself, self.child = self, [[]]
                self.tail = [self.child]

            def __del__(self):
                async def free():
                    await asyncio.sleep(1)
                    self.tail = self.child = None
                    await asyncio.sleep(1)

                coroutine = free()
                try:
                    loop.run_until_complete(coroutine)
                except RuntimeError:
                    coroutine.close()

        async def main():
            Cyclic()
            gc.collect()
            gc.collect()

        loop = soliloop.new_event_loop(simulated=True, nesting=True)
        gc.disable()
        gc.collect()
        loop.run_until_complete(main())
        loop.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False
    )
    assert done.returncode == 0, (
        f"the interpreter ended with {done.returncode}: {done.stderr.decode()[-500:]}"
    )


# ------------------------------------------------------------------ helpers


def _take(*_: object) -> None:
    """A callback that does nothing with what it gets."""


def _done_future(loop: soliloop.EventLoop) -> asyncio.Future[None]:
    future = loop.create_future()
    future.set_result(None)
    return future


async def _until(nester: Nester, count: int = 1) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while len(nester.results) < count:
                await asyncio.sleep(nester.seconds / 4 or 0.0005)
