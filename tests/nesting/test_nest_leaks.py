"""Thousands of nested runs leave nothing behind: no stack, descriptor, timer, task, future or context."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import types
import warnings
import weakref
from collections import Counter

import greenlet
import pytest
import soliloop


def test_thousands_of_nested_runs(loop: soliloop.EventLoop) -> None:
    refs: list[weakref.ref[object]] = []

    async def inner(fails: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        refs.append(weakref.ref(task))
        await asyncio.sleep(0)
        if fails:
            raise LookupError

    async def A(number: int) -> None:
        try:
            loop.run_until_complete(inner(number % 3 == 0))
        except LookupError:
            pass

    async def main(count: int) -> None:
        for start in range(0, count, 50):
            await asyncio.gather(*(A(number) for number in range(start, start + 50)))

    loop.run_until_complete(main(100))
    before = _census()
    loop.run_until_complete(main(3_000))
    gc.collect()
    assert [ref for ref in refs if ref() is not None] == []
    refs.clear()
    after = _census()
    assert loop._counts()[2] == 0
    grown = {name: after[name] - before[name] for name in after if after[name] - before[name] > 50}
    assert grown == {}


def test_hubs_end_with_the_run(loop: soliloop.EventLoop) -> None:
    gate = loop.create_future()
    before = len(_stacks())

    async def A() -> None:
        loop.run_until_complete(gate)

    async def main() -> None:
        tasks = [asyncio.create_task(A()) for _ in range(200)]
        await asyncio.sleep(0)
        gate.set_result(None)
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    assert len(_stacks()) == before


def test_cancelled_nested_runs(loop: soliloop.EventLoop) -> None:
    async def A() -> None:
        loop.run_until_complete(loop.create_future())

    async def main() -> None:
        for _ in range(20):
            tasks = [asyncio.create_task(A()) for _ in range(50)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(main())
    before = _census()
    loop.run_until_complete(main())
    after = _census()
    grown = {name: after[name] - before[name] for name in after if after[name] - before[name] > 50}
    assert grown == {}


def test_the_nested_result_is_let_go(loop: soliloop.EventLoop) -> None:
    class Result:
        pass

    async def inner() -> Result:
        return Result()

    async def main() -> None:
        ref = weakref.ref(loop.run_until_complete(inner()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        assert ref() is None

    loop.run_until_complete(main())


def test_context_variables_are_let_go(loop: soliloop.EventLoop) -> None:
    class Value:
        pass

    var: contextvars.ContextVar[Value] = contextvars.ContextVar("var")
    refs: list[weakref.ref[Value]] = []

    async def A() -> None:
        value = Value()
        refs.append(weakref.ref(value))
        var.set(value)
        del value
        loop.run_until_complete(asyncio.sleep(0))

    loop.run_until_complete(A())
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    assert refs[0]() is None


def test_loops_that_nested_are_let_go(no_leaks: None) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    refs: list[weakref.ref[object]] = []

    async def nests(loop: soliloop.EventLoop) -> None:
        loop.run_until_complete(asyncio.sleep(0))

    for simulated in [False, True] * 50:
        loop = soliloop.new_event_loop(simulated=simulated, nesting=True)
        refs.append(weakref.ref(loop))
        loop.run_until_complete(nests(loop))
        loop.close()
        del loop
    gc.collect()
    assert [ref for ref in refs if ref() is not None] == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_loops_closed_with_parked_stacks_are_let_go(no_leaks: None) -> None:
    refs: list[weakref.ref[object]] = []

    def park(loop: soliloop.EventLoop) -> None:
        loop.call_soon(loop.run_until_complete, loop.create_future())
        loop.run_until_complete(asyncio.sleep(0))
        assert loop._counts()[2] == 1

    for simulated in [False, True] * 20:
        loop = soliloop.new_event_loop(simulated=simulated, nesting=True)
        loop.set_exception_handler(lambda *_: None)
        refs.append(weakref.ref(loop))
        park(loop)
        loop.close()
        del loop
    gc.collect()
    assert [ref for ref in refs if ref() is not None] == []


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("simulated", [False, True])
def test_a_variable_that_refers_to_the_loop_does_not_keep_it(simulated: bool, closed: bool) -> None:
    """Nested runs give their contexts to stacks, which must not be kept with them."""
    var: contextvars.ContextVar[object] = contextvars.ContextVar("var")

    def use() -> weakref.ref[object]:
        loop = soliloop.new_event_loop(simulated=simulated, nesting=True)

        async def nests(depth: int) -> None:
            var.set(loop)
            await asyncio.sleep(0)
            if depth:
                loop.run_until_complete(nests(depth - 1))

        def runs() -> None:
            var.set(loop)
            loop.run_until_complete(asyncio.gather(*(loop.create_task(nests(3)) for _ in range(3))))

        contextvars.copy_context().run(runs)
        if closed:
            loop.close()
        return weakref.ref(loop)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reference = use()
        gc.collect()
        assert reference() is None


def _stacks() -> list[greenlet.greenlet]:
    gc.collect()
    return [item for item in gc.get_objects() if type(item) is greenlet.greenlet and item.gr_frame]


def _is_of_cache(item: object) -> bool:
    """The caches of abc grow with the classes that other tests have left, by weak references with this callback."""
    return isinstance(item, types.BuiltinFunctionType) and item.__name__ == "_destroy"


def _census() -> Counter[str]:
    gc.collect()
    counts = Counter(type(item).__qualname__ for item in gc.get_objects() if not _is_of_cache(item))
    counts["open descriptors"] = len(os.listdir("/proc/self/fd"))
    return counts
