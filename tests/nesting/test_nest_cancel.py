"""Cancelling a task whose stack is parked: `CancelledError` rises out of the nested call, once."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import soliloop


def test_cancelled_error_rises_out_of_the_nested_call(loop: soliloop.EventLoop) -> None:
    events: list[str] = []

    async def inner() -> None:
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            events.append("inner")
            raise

    async def A() -> None:
        try:
            loop.run_until_complete(inner())
        except asyncio.CancelledError:
            events.append("outer")
            raise
        finally:
            events.append("finally")

    async def main() -> None:
        task = await _parked(loop, A())
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    loop.run_until_complete(main())
    assert events == ["inner", "outer", "finally"]


@pytest.mark.parametrize("coroutine", [False, True], ids=["future", "coroutine"])
def test_the_message_is_kept(loop: soliloop.EventLoop, coroutine: bool) -> None:
    seen: list[tuple[Any, ...]] = []

    async def inner() -> None:
        await loop.create_future()

    async def A() -> None:
        try:
            loop.run_until_complete(inner() if coroutine else loop.create_future())
        except asyncio.CancelledError as error:
            seen.append(error.args)
            raise

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        seen.append(caught.value.args)

    loop.run_until_complete(main())
    assert seen == [("why",), ("why",)]


def test_no_second_error_after_a_caught_one(loop: soliloop.EventLoop, second: float) -> None:
    async def A() -> str:
        this = asyncio.current_task()
        assert this is not None
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(loop.create_future())
        assert this.cancelling() == 1
        await asyncio.sleep(0)
        await asyncio.sleep(second)
        loop.run_until_complete(asyncio.sleep(second))
        assert this.uncancel() == 0
        assert this.uncancel() == 0
        await asyncio.sleep(0)
        return "survived"

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel()
        assert task.cancelling() == 1
        assert await task == "survived"
        assert not task.cancelled()

    loop.run_until_complete(main())


def test_two_requests_count_two(loop: soliloop.EventLoop) -> None:
    async def A() -> list[int]:
        this = asyncio.current_task()
        assert this is not None
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(_stubborn(loop))
        return [this.cancelling(), this.uncancel(), this.uncancel(), this.uncancel()]

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        assert await task == [2, 1, 0, 0]

    loop.run_until_complete(main())


def test_a_nested_coroutine_may_swallow_the_cancellation(loop: soliloop.EventLoop) -> None:
    async def inner() -> str:
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            return "swallowed"
        return "unreachable"

    async def A() -> str:
        result = loop.run_until_complete(inner())
        await asyncio.sleep(0)
        return result

    async def main() -> None:
        task = await _parked(loop, A())
        task.cancel()
        assert await task == "swallowed"

    loop.run_until_complete(main())


def test_a_cancellation_passes_through_several_nested_runs(loop: soliloop.EventLoop) -> None:
    events: list[int] = []

    async def A(depth: int) -> None:
        try:
            loop.run_until_complete(A(depth - 1) if depth else loop.create_future())
        except asyncio.CancelledError:
            events.append(depth)
            raise

    async def main() -> None:
        task = asyncio.create_task(A(5))
        while loop._counts()[2] < 6:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run_until_complete(main())
    assert events == [0, 1, 2, 3, 4, 5]


@pytest.mark.timeout(10, method="signal")
@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="before Python 3.13 a request can't be taken from the task"
)
def test_a_request_made_before_the_nested_run(loop: soliloop.EventLoop) -> None:
    """As with an `await`: it rises at the first wait, and only there."""

    async def A() -> str:
        this = asyncio.current_task()
        assert this is not None
        this.cancel("before")
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(loop.create_future())
        await asyncio.sleep(0)
        return "survived"

    async def main() -> None:
        task = asyncio.create_task(A())
        assert await task == "survived"

    loop.run_until_complete(main())


def test_a_request_after_the_future_is_done_and_before_the_stack_resumes(
    loop: soliloop.EventLoop,
) -> None:
    future = loop.create_future()

    async def A() -> str:
        with pytest.raises(asyncio.CancelledError, match="late"):
            loop.run_until_complete(future)
        await asyncio.sleep(0)
        return "survived"

    async def main() -> None:
        task = await _parked(loop, A())
        future.set_result(None)
        assert task.cancel("late")
        assert task.cancelling() == 1
        assert await task == "survived"

    loop.run_until_complete(main())


def test_such_a_request_can_be_taken_back(loop: soliloop.EventLoop) -> None:
    future = loop.create_future()

    async def A() -> str:
        result: str = loop.run_until_complete(future)
        await asyncio.sleep(0)
        return result

    async def main() -> None:
        task = await _parked(loop, A())
        future.set_result("survived")
        assert task.cancel()
        assert task.uncancel() == 0
        assert await task == "survived"

    loop.run_until_complete(main())


@pytest.mark.parametrize("ring", [(1, 0), (1, 2, 0)], ids=["two", "three"])
def test_tasks_that_wait_for_each_other(loop: soliloop.EventLoop, ring: tuple[int, ...]) -> None:
    """The one that would close the ring is refused, and nobody waits for ever."""
    tasks: list[asyncio.Task[str]] = []

    async def A(other: int) -> str:
        await asyncio.sleep(0)
        try:
            return loop.run_until_complete(tasks[other])
        except RuntimeError as error:
            return str(error)

    async def main() -> None:
        tasks.extend(asyncio.create_task(A(other)) for other in ring)
        answers = await asyncio.gather(*tasks)
        assert len(set(answers)) == 1 and answers[0].startswith("Task cannot await on itself")

    loop.run_until_complete(main())


def test_cancelling_a_task_of_a_ring_that_was_refused(loop: soliloop.EventLoop) -> None:
    tasks: list[asyncio.Task[None]] = []
    refused: list[str] = []

    async def A(other: int) -> None:
        await asyncio.sleep(0)
        try:
            loop.run_until_complete(tasks[other])
        except RuntimeError as error:
            refused.append(str(error))
            await asyncio.sleep(3600)

    async def main() -> None:
        tasks.extend(asyncio.create_task(A(other)) for other in (1, 0))
        while not refused:
            await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2

    loop.run_until_complete(main())
    assert len(refused) == 1 and "cannot await on itself" in refused[0]


def test_cancelling_the_nested_task_itself(loop: soliloop.EventLoop) -> None:
    inner: asyncio.Task[None] = loop.create_task(asyncio.sleep(3600))

    async def A() -> int:
        this = asyncio.current_task()
        assert this is not None
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(inner)
        return this.cancelling()

    async def main() -> None:
        task = await _parked(loop, A())
        inner.cancel()
        assert await task == 0

    loop.run_until_complete(main())


def test_cancelling_one_of_many(loop: soliloop.EventLoop) -> None:
    gate = loop.create_future()

    async def A(number: int) -> int:
        loop.run_until_complete(asyncio.shield(gate))
        return number

    async def main() -> None:
        tasks = [asyncio.create_task(A(number)) for number in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set_result(None)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, int] * 25

    loop.run_until_complete(main())


# ------------------------------------------------------------------ what asyncio builds on it


def test_timeout_around_a_nested_run(loop: soliloop.EventLoop, second: float) -> None:
    async def main() -> None:
        this = asyncio.current_task()
        assert this is not None
        started = loop.time_ns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(second):
                loop.run_until_complete(asyncio.sleep(3600 * second))
        if loop._simulated:
            assert loop.time_ns() - started == 1_000_000_000
        assert this.cancelling() == 0
        await asyncio.sleep(0)
        loop.run_until_complete(asyncio.sleep(0))

    loop.run_until_complete(main())


def test_timeouts_in_one_another(loop: soliloop.EventLoop, second: float) -> None:
    async def inner() -> str:
        try:
            async with asyncio.timeout(second):
                loop.run_until_complete(asyncio.sleep(3600 * second))
        except TimeoutError:
            return "inner"
        return "none"

    async def main() -> None:
        async with asyncio.timeout(100 * second):
            assert loop.run_until_complete(inner()) == "inner"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(second):
                async with asyncio.timeout(100 * second):
                    loop.run_until_complete(loop.create_future())

    loop.run_until_complete(main())


def test_a_timeout_that_is_not_reached(loop: soliloop.EventLoop, second: float) -> None:
    async def main() -> None:
        async with asyncio.timeout(3600):
            loop.run_until_complete(asyncio.sleep(second))

    loop.run_until_complete(main())


def test_wait_for(loop: soliloop.EventLoop, second: float) -> None:
    async def A() -> None:
        loop.run_until_complete(asyncio.sleep(3600 * second))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(A(), second)

    loop.run_until_complete(main())


def test_task_group_whose_body_is_parked(loop: soliloop.EventLoop, second: float) -> None:
    async def fails() -> None:
        await asyncio.sleep(second)
        raise LookupError("child")

    async def main() -> None:
        this = asyncio.current_task()
        assert this is not None
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                loop.run_until_complete(asyncio.sleep(3600 * second))
        assert [type(error) for error in caught.value.exceptions] == [LookupError]
        assert this.cancelling() == 0
        await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_task_group_whose_children_are_parked(loop: soliloop.EventLoop, second: float) -> None:
    ended: list[int] = []

    async def parked(number: int) -> None:
        try:
            loop.run_until_complete(asyncio.sleep(3600 * second))
        finally:
            ended.append(number)

    async def fails() -> None:
        await asyncio.sleep(second)
        raise LookupError("child")

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(parked(number))
                group.create_task(fails())
        assert sorted(ended) == [0, 1, 2]

    loop.run_until_complete(main())


def test_task_group_inside_a_nested_run(loop: soliloop.EventLoop, second: float) -> None:
    async def inner() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(second, number)) for number in range(3)]
        return sum(task.result() for task in tasks)

    async def main() -> int:
        return loop.run_until_complete(inner())

    assert loop.run_until_complete(main()) == 3


def test_asyncio_run_cancels_what_is_parked() -> None:
    events: list[str] = []

    async def A() -> None:
        try:
            asyncio.get_running_loop().run_until_complete(asyncio.sleep(3600))
        except asyncio.CancelledError:
            events.append("cancelled")
            await asyncio.sleep(0)
            events.append("cleaned up")
            raise

    async def main() -> str:
        asyncio.create_task(A())
        await asyncio.sleep(0)
        return "done"

    assert soliloop.run(main()) == "done"
    assert events == ["cancelled", "cleaned up"]


# ------------------------------------------------------------------ helpers


async def _parked(loop: soliloop.EventLoop, coroutine: Any) -> asyncio.Task[Any]:
    """A task that is parked in one nested run."""
    task: asyncio.Task[Any] = asyncio.create_task(coroutine)
    while not loop._counts()[2]:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def _stubborn(loop: soliloop.EventLoop) -> None:
    try:
        await loop.create_future()
    except asyncio.CancelledError:
        await loop.create_future()
