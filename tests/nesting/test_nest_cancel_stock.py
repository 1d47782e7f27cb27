"""Tasks of other classes: stock ones that a task factory makes, eager ones, and those of pure Python.

The claims are those of `test_nest_cancel.py`, for tasks that do not tell the loop when they are cancelled.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import soliloop


def _stock(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)


def _pure(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
    return asyncio.tasks._PyTask(coroutine, loop=loop, **options)  # type: ignore[attr-defined]


FACTORIES: dict[str, Any] = {"stock": _stock, "pure Python": _pure}
if sys.version_info >= (3, 12):
    FACTORIES["eager"] = asyncio.eager_task_factory


@pytest.fixture(params=list(FACTORIES.values()), ids=list(FACTORIES))
def factory(loop: soliloop.EventLoop, request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param is _pure and sys.version_info < (3, 12):
        pytest.skip("before Python 3.12 the C code asks its own table for the current task")
    loop.set_task_factory(request.param)
    yield
    loop.set_task_factory(None)


pytestmark = pytest.mark.usefixtures("factory")

# What README says under "Limits".
sees_one_request_once = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="before Python 3.13 a request can't be taken from the task"
)


def test_nested_runs_come_back_in_the_order_of_completion(
    loop: soliloop.EventLoop, second: float
) -> None:
    back: list[float] = []

    async def A(seconds: float) -> None:
        this = asyncio.current_task()
        loop.run_until_complete(asyncio.sleep(seconds * second))
        assert asyncio.current_task() is this
        back.append(seconds)

    async def main() -> None:
        first = loop.create_task(A(0.2))
        rest = [asyncio.create_task(A(seconds)) for seconds in (0.6, 0.4)]
        await asyncio.gather(first, *rest)

    loop.run_until_complete(main())
    assert sorted(back) == [0.2, 0.4, 0.6]


def test_cancelled_error_rises_out_of_the_nested_call(loop: soliloop.EventLoop) -> None:
    events: list[tuple[Any, ...]] = []

    async def A() -> None:
        await asyncio.sleep(0)
        try:
            loop.run_until_complete(loop.create_future())
        except asyncio.CancelledError as error:
            events.append(error.args)
            raise

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    loop.run_until_complete(main())
    assert events == [("why",)]


def test_it_rises_at_once_where_nothing_else_happens(loop: soliloop.EventLoop) -> None:
    async def A() -> None:
        await asyncio.sleep(0)
        loop.run_until_complete(loop.create_future())

    async def main() -> None:
        task = await _parked(loop, A())
        loop.call_soon(task.cancel)
        await asyncio.wait([task], timeout=3600)
        assert task.cancelled()

    loop.run_until_complete(main())


@sees_one_request_once
def test_no_second_error_after_a_caught_one(loop: soliloop.EventLoop) -> None:
    async def A() -> str:
        await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(loop.create_future())
        await asyncio.sleep(0)
        return "survived"

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel()
        assert await task == "survived"

    loop.run_until_complete(main())


@sees_one_request_once
def test_a_caught_one_leaves_the_task_its_result(loop: soliloop.EventLoop) -> None:
    async def A() -> str:
        await asyncio.sleep(0)
        try:
            loop.run_until_complete(loop.create_future())
        except asyncio.CancelledError:
            return "caught"
        return "unreachable"

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel()
        assert await task == "caught"

    loop.run_until_complete(main())


@sees_one_request_once
def test_timeout_around_a_nested_run(loop: soliloop.EventLoop, second: float) -> None:
    async def A() -> str:
        this = asyncio.current_task()
        assert this is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(second):
                loop.run_until_complete(asyncio.sleep(3600 * second))
        assert this.cancelling() == 0
        await asyncio.sleep(0)
        return "survived"

    async def main() -> None:
        assert await asyncio.create_task(A()) == "survived"

    loop.run_until_complete(main())


def test_a_nested_run_in_the_first_step(loop: soliloop.EventLoop, second: float) -> None:
    """An eager task takes its first step inside that of its maker."""

    async def A() -> str:
        this = asyncio.current_task()
        loop.run_until_complete(asyncio.sleep(second))
        assert asyncio.current_task() is this
        await asyncio.sleep(0)
        return "done"

    async def main() -> None:
        this = asyncio.current_task()
        task = asyncio.create_task(A())
        assert asyncio.current_task() is this
        assert await task == "done"

    loop.run_until_complete(main())


async def _parked(loop: soliloop.EventLoop, coroutine: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.create_task(coroutine)
    while not loop._counts()[2]:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task
