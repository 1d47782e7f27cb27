"""Nested in nested, deep and wide: memory is the limit, not the machine stack."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
import soliloop


@pytest.mark.parametrize("depth", [1_000, 5_000])
def test_nested_in_nested(loop: soliloop.EventLoop, depth: int) -> None:
    assert loop.run_until_complete(_descend(loop, depth)) == depth


def test_a_thousand_deep_that_all_wait_before_the_innermost_ends(loop: soliloop.EventLoop) -> None:
    deepest: list[int] = []

    async def descend(left: int) -> int:
        await asyncio.sleep(0)
        if left:
            return 1 + loop.run_until_complete(descend(left - 1))
        deepest.append(loop._counts()[2])
        return 0

    assert loop.run_until_complete(descend(1_000)) == 1_000
    assert deepest == [1_000]


@pytest.mark.parametrize("simulated", [False, True])
def test_a_thousand_deep_on_a_small_thread_stack(simulated: bool, no_leaks: None) -> None:
    def work() -> int:
        loop = soliloop.new_event_loop(simulated=simulated, nesting=True)
        try:
            return loop.run_until_complete(_descend(loop, 1_000))
        finally:
            loop.close()

    assert _on_small_stack(work) == 1_000


def test_an_exception_rises_through_a_thousand(loop: soliloop.EventLoop) -> None:
    passed: list[int] = []

    async def descend(left: int) -> None:
        try:
            if not left:
                raise LookupError("the innermost")
            loop.run_until_complete(descend(left - 1))
        finally:
            passed.append(left)

    with pytest.raises(LookupError, match="the innermost"):
        loop.run_until_complete(descend(300))
    assert passed == list(range(301))


def test_cancelling_the_outermost_of_a_thousand(loop: soliloop.EventLoop) -> None:
    cancelled: list[int] = []

    async def descend(left: int, reached: asyncio.Event) -> None:
        try:
            if left:
                loop.run_until_complete(descend(left - 1, reached))
            else:
                reached.set()
                await loop.create_future()
        except asyncio.CancelledError:
            cancelled.append(left)
            raise

    async def main() -> None:
        reached = asyncio.Event()
        task = asyncio.create_task(descend(1_000, reached))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run_until_complete(main())
    assert cancelled == list(range(1_001))


def test_deep_recursion_of_python_inside_a_nested_run_is_an_error_and_no_crash(
    loop: soliloop.EventLoop,
) -> None:
    def recurse(depth: int) -> int:
        return 1 + recurse(depth + 1)

    async def main() -> None:
        with pytest.raises(RecursionError):
            loop.run_until_complete(asyncio.sleep(0, recurse(0)))

        async def inner() -> None:
            recurse(0)

        with pytest.raises(RecursionError):
            loop.run_until_complete(inner())
        loop.run_until_complete(asyncio.sleep(0))

    loop.run_until_complete(main())


async def _descend(loop: soliloop.EventLoop, left: int) -> int:
    if left == 0:
        return 0
    if left % 100 == 0:
        await asyncio.sleep(0)
    return 1 + loop.run_until_complete(_descend(loop, left - 1))


def _on_small_stack(work: Callable[[], int]) -> int:
    results: list[int | BaseException] = []

    def target() -> None:
        try:
            results.append(work())
        except BaseException as error:
            results.append(error)

    before = threading.stack_size(SMALL_STACK)
    try:
        helper = threading.Thread(target=target)
        helper.start()
    finally:
        threading.stack_size(before)
    helper.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


SMALL_STACK = 256 * 1024
