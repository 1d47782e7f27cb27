"""Lifetimes: what a loop gives back when it is closed, and when it is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import socket
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
from surface_support import Factory, Loop, open_descriptors


async def work() -> None:
    """A little of everything that a loop holds on to."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, soliloop.SimulatedLoop):
        await use_sockets(loop)
    loop.call_later(3600, print)
    loop.call_soon(int)
    async with asyncio.timeout(10):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))


async def use_sockets(loop: asyncio.AbstractEventLoop) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        loop.add_writer(far, int)
        far.send(b"x")
        await loop.sock_recv(near, 1)
        loop.remove_writer(far)


def cycle(factory: Callable[[], Loop], times: int) -> None:
    for _ in range(times):
        loop = factory()
        loop.run_until_complete(work())
        loop.close()


def assert_nothing_is_kept(factory: Callable[[], Loop], times: int) -> None:
    """A leak grows with every window; caches of the interpreter grow in one of them at most."""
    growths = []
    for _ in range(4):
        gc.collect()
        before = open_descriptors(), len(gc.get_objects()), sys.getallocatedblocks()
        cycle(factory, times // 3)
        gc.collect()
        after = open_descriptors(), len(gc.get_objects()), sys.getallocatedblocks()
        growths.append([late - early for early, late in zip(before, after, strict=True)])
    descriptors, objects, blocks = (min(kind) for kind in zip(*growths[1:], strict=True))
    assert descriptors == 0
    # What a loop left behind would be there a hundred times.
    assert objects < 10
    assert blocks < 60


KINDS: dict[str, Callable[[], Loop]] = {
    "real": soliloop.new_event_loop,
    "nesting": lambda: soliloop.new_event_loop(nesting=True),
    "simulated": lambda: soliloop.new_event_loop(simulated=True),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_three_hundred_loops_leave_nothing(kind: str) -> None:
    assert_nothing_is_kept(KINDS[kind], 300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_ten_thousand_loops_leave_nothing(kind: str) -> None:
    assert_nothing_is_kept(KINDS[kind], 10_000)


def test_runs_leave_nothing(our_loop: soliloop.EventLoop) -> None:
    def runs(times: int) -> None:
        for _ in range(times):
            our_loop.run_until_complete(asyncio.sleep(0))
            our_loop.call_soon(our_loop.stop)
            our_loop.run_forever()

    growths = []
    for _ in range(4):
        gc.collect()
        blocks = sys.getallocatedblocks()
        runs(500)
        gc.collect()
        growths.append(sys.getallocatedblocks() - blocks)
    assert min(growths) < 30


def test_closing_gives_the_descriptors_back_while_the_loop_is_held(factory: Factory) -> None:
    gc.collect()
    descriptors = open_descriptors()
    loop = factory()
    loop.run_until_complete(asyncio.sleep(0))
    assert open_descriptors() > descriptors
    loop.close()
    assert open_descriptors() == descriptors


def test_closing_lets_go_of_callbacks_while_the_loop_is_held(factory: Factory) -> None:
    class Thing:
        def method(self) -> None:
            pass

    loop = factory()
    things = [Thing(), Thing(), Thing()]
    references = [weakref.ref(thing) for thing in things]
    near, far = socket.socketpair()
    loop.call_soon(things[0].method)
    loop.call_later(9, things[1].method)
    loop.add_reader(near, things[2].method)
    things.clear()
    loop.close()
    near.close()
    far.close()
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_a_closed_loop_that_is_forgotten_is_freed(factory: Factory) -> None:
    loop = factory()
    loop.run_until_complete(work())
    loop.close()
    reference = weakref.ref(loop)
    del loop
    gc.collect()
    assert reference() is None


class Holder:
    """Something of the user's that holds the loop and whose method the loop is to call."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.handle: Any = None

    def method(self, *_: object) -> None:
        pass

    def soon(self) -> None:
        self.loop.call_soon(self.method)

    def soon_and_held(self) -> None:
        self.handle = self.loop.call_soon(self.method)

    def soon_with_context(self) -> None:
        variable: contextvars.ContextVar[Holder] = contextvars.ContextVar("variable")
        context = contextvars.Context()
        context.run(variable.set, self)
        self.loop.call_soon(print, context=context)

    def later(self) -> None:
        self.loop.call_later(3600, self.method)

    def later_and_held(self) -> None:
        self.handle = self.loop.call_later(3600, self.method)

    def later_and_held_by_its_argument(self) -> None:
        arguments: list[object] = [self]
        arguments.append(self.loop.call_later(3600, print, arguments))

    def reader(self) -> None:
        near, far = socket.socketpair()
        self.loop.add_reader(near, self.method)
        near.close()
        far.close()

    def done_callback(self) -> None:
        self.handle = self.loop.create_future()
        self.handle.add_done_callback(self.method)

    def exception_handler(self) -> None:
        self.loop.set_exception_handler(self.method)

    def task_factory(self) -> None:
        self.loop.set_task_factory(self.method)  # type: ignore[arg-type]

    def sleeping_task(self) -> None:
        async def sleep() -> None:
            await asyncio.sleep(3600)

        self._begin(sleep())

    def waiting_task(self) -> None:
        async def wait() -> None:
            await self.loop.create_future()

        self._begin(wait())

    def task_with_timeout(self) -> None:
        async def wait() -> None:
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()

        self._begin(wait())

    def _begin(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.loop.run_until_complete(asyncio.sleep(0))


PENDING = [
    "soon",
    "soon_and_held",
    "soon_with_context",
    "later",
    "later_and_held",
    "later_and_held_by_its_argument",
    "reader",
    "done_callback",
    "exception_handler",
    "task_factory",
    "sleeping_task",
    "waiting_task",
    "task_with_timeout",
]


@pytest.mark.parametrize("pending", PENDING)
def test_a_loop_that_is_forgotten_unclosed_is_freed_with_what_is_pending(
    factory: Factory, pending: str
) -> None:
    """Everything here is one cycle: loop, callback, holder, loop."""
    gc.collect()
    descriptors = open_descriptors()
    loop = factory()
    reference = weakref.ref(loop)
    holder = Holder(loop)
    getattr(holder, pending)()
    things: list[weakref.ref[Any]] = [reference, weakref.ref(holder)]
    del loop, holder
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            gc.collect()
    assert [thing() for thing in things] == [None, None]
    messages = [str(entry.message) for entry in caught if entry.category is ResourceWarning]
    assert any("unclosed event loop" in message for message in messages)
    caught.clear()  # a warning holds its source
    gc.collect()
    assert open_descriptors() == descriptors


def test_a_loop_that_is_forgotten_while_a_task_waits_is_no_trouble(factory: Factory) -> None:
    loop = factory()
    task = loop.create_task(asyncio.sleep(3600))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(0))
    del loop
    with contextlib.suppress(RuntimeError):
        task.cancel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del task
        gc.collect()


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_variable_that_refers_to_the_loop_does_not_keep_it(kind: str, closed: bool) -> None:
    variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable")

    def use() -> weakref.ref[object]:
        loop = KINDS[kind]()

        def runs() -> None:
            variable.set(loop)
            loop.run_until_complete(asyncio.sleep(0))

        contextvars.copy_context().run(runs)
        if closed:
            loop.close()
        return weakref.ref(loop)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reference = use()
        gc.collect()
        assert reference() is None


def test_a_cycle_through_where_a_handle_was_created(our_loop: soliloop.EventLoop) -> None:
    class Thing:
        pass

    our_loop.set_debug(True)
    thing = Thing()
    handle: Any = our_loop.call_later(3600, print)
    handle._source_traceback.extend([handle, thing])
    reference = weakref.ref(thing)
    handle.cancel()
    our_loop.call_soon(handle.cancel)
    del handle, thing
    our_loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("kind", list(KINDS))
def test_such_a_cycle_of_a_timer_that_is_forgotten_with_its_loop(kind: str) -> None:
    class Thing:
        pass

    def use() -> weakref.ref[Thing]:
        loop, thing = KINDS[kind](), Thing()
        loop.set_debug(True)
        handle: Any = loop.call_later(3600, print)
        handle._source_traceback.extend([handle, thing, loop])
        return weakref.ref(thing)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reference = use()
        gc.collect()
        assert reference() is None
