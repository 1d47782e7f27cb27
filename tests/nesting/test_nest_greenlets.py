"""Programs with greenlets of their own, as SQLAlchemy's asyncio layer has them.

`greenlet_spawn` runs synchronous code on a greenlet whose parent is the stack of the coroutine, and
`await_only` switches to that parent with an awaitable. The parent is the hub on which the coroutine
took its first step; a later step may be on another.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import greenlet
import pytest
import soliloop

# A stack that is switched to by mistake may be a hang.
pytestmark = pytest.mark.timeout(10, method="signal")


def await_only(awaitable: Awaitable[Any]) -> Any:
    parent = greenlet.getcurrent().parent
    assert parent is not None
    return parent.switch(awaitable)


async def greenlet_spawn(function: Callable[..., Any], *args: Any) -> Any:
    stack = greenlet.greenlet(function, greenlet.getcurrent())
    result = stack.switch(*args)
    while not stack.dead:
        try:
            value = await result
        except BaseException:
            result = stack.throw(*sys.exc_info())
        else:
            result = stack.switch(value)
    return result


def _query(loop: soliloop.EventLoop, seconds: float, count: int = 3) -> str:
    for number in range(count):
        assert await_only(asyncio.sleep(seconds, number)) == number
    return "done"


def test_without_nested_runs(loop: soliloop.EventLoop, second: float) -> None:
    assert loop.run_until_complete(greenlet_spawn(_query, loop, second)) == "done"


def test_a_nested_run_on_a_user_greenlet(loop: soliloop.EventLoop, second: float) -> None:
    def work() -> str:
        task = asyncio.current_task()
        result = loop.run_until_complete(asyncio.sleep(second, "nested"))
        assert asyncio.current_task() is task
        assert await_only(asyncio.sleep(0, "awaited")) == "awaited"
        return result

    async def main() -> Any:
        return await asyncio.gather(greenlet_spawn(work), greenlet_spawn(work))

    assert loop.run_until_complete(main()) == ["nested", "nested"]


def test_a_greenlet_whose_first_hub_is_parked_by_another_task(
    loop: soliloop.EventLoop, second: float
) -> None:
    async def nests() -> None:
        await asyncio.sleep(second / 2)
        loop.run_until_complete(asyncio.sleep(10 * second))

    async def main() -> Any:
        other = asyncio.create_task(nests())
        result = await asyncio.wait_for(greenlet_spawn(_query, loop, second), 30 * second)
        await other
        return result

    assert loop.run_until_complete(main()) == "done"


def test_a_greenlet_that_ends_while_its_first_hub_is_parked(
    loop: soliloop.EventLoop, second: float
) -> None:
    async def nests() -> None:
        await asyncio.sleep(second / 2)
        loop.run_until_complete(asyncio.sleep(10 * second))

    async def main() -> Any:
        other = asyncio.create_task(nests())
        result = await asyncio.wait_for(greenlet_spawn(_query, loop, second, 1), 30 * second)
        await other
        return result

    assert loop.run_until_complete(main()) == "done"


def test_a_greenlet_that_raises_while_its_first_hub_is_parked(
    loop: soliloop.EventLoop, second: float
) -> None:
    def work() -> None:
        await_only(asyncio.sleep(second))
        raise LookupError("of the greenlet")

    async def nests() -> None:
        await asyncio.sleep(second / 2)
        loop.run_until_complete(asyncio.sleep(10 * second))

    async def main() -> None:
        other = asyncio.create_task(nests())
        with pytest.raises(LookupError, match="of the greenlet"):
            await asyncio.wait_for(greenlet_spawn(work), 30 * second)
        await other

    loop.run_until_complete(main())


def test_a_greenlet_that_outlives_the_run_it_began_in(
    loop: soliloop.EventLoop, second: float
) -> None:
    task = loop.create_task(greenlet_spawn(_query, loop, second))
    loop.run_until_complete(asyncio.sleep(second / 2))
    assert loop.run_until_complete(task) == "done"


def test_many_greenlets_and_many_nested_runs(loop: soliloop.EventLoop, second: float) -> None:
    async def nests(number: int) -> None:
        await asyncio.sleep(number % 7 * second / 20)
        loop.run_until_complete(asyncio.sleep(number % 5 * second / 10))

    async def main() -> None:
        async with asyncio.timeout(1000 * second):
            results = await asyncio.gather(
                *(greenlet_spawn(_query, loop, number % 3 * second / 10) for number in range(20)),
                *(nests(number) for number in range(20)),
            )
        assert results == ["done"] * 20 + [None] * 20

    loop.run_until_complete(main())


def test_a_loop_run_from_a_user_greenlet(loop: soliloop.EventLoop, second: float) -> None:
    """The root need not be the thread's main stack."""

    async def main() -> Any:
        return loop.run_until_complete(asyncio.sleep(second, "done"))

    def work() -> Any:
        return loop.run_until_complete(main())

    assert greenlet.greenlet(work).switch() == "done"
    assert greenlet.greenlet(work).switch() == "done"
    assert loop.run_until_complete(main()) == "done"
