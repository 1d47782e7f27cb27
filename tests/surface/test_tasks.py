"""Tasks and futures: the stock C classes on a loop that does not nest, and everything asyncio builds on them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from typing import Any

import pytest
import soliloop
from surface_support import Loop, handled, run

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


async def value(result: Any = None) -> Any:
    await asyncio.sleep(0)
    return result


def test_tasks_and_futures_are_the_stock_ones(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        assert type(asyncio.current_task()) is asyncio.Task
        assert type(our_loop.create_task(value())) is asyncio.Task
        assert type(asyncio.create_task(value())) is asyncio.Task
        assert type(our_loop.create_future()) is asyncio.Future
        assert asyncio.Task.__module__ == "_asyncio"

    our_loop.run_until_complete(main())


def test_a_task_knows_its_loop_and_its_name(loop: Loop) -> None:
    async def main() -> None:
        task = loop.create_task(value(1), name="a name")
        assert task.get_loop() is loop
        assert task.get_name() == "a name"
        assert loop.create_future().get_loop() is loop
        assert await task == 1
        assert loop.create_task(value(), name=None).get_name().startswith("Task-")
        assert asyncio.get_running_loop() is loop
        assert asyncio.get_event_loop() is loop

    run(loop, main())


def test_a_task_runs_in_the_context_that_is_given(loop: Loop) -> None:
    async def change(to: str) -> str:
        before = VARIABLE.get()
        VARIABLE.set(to)
        await asyncio.sleep(0)
        assert VARIABLE.get() == to
        return before

    async def main() -> None:
        context = contextvars.Context()
        assert await loop.create_task(change("first"), context=context) == "unset"
        assert await loop.create_task(change("second"), context=context) == "first"
        assert await loop.create_task(change("third")) == "unset"
        assert context[VARIABLE] == "second"
        assert VARIABLE.get() == "unset"

    run(loop, main())


def test_variables_survive_every_kind_of_wait(loop: Loop) -> None:
    async def work(name: str) -> None:
        VARIABLE.set(name)
        for delay in (0, 0.0001, 0, 0.0002):
            await asyncio.sleep(delay)
            assert VARIABLE.get() == name
        await asyncio.wait_for(value(), 10)
        await asyncio.to_thread(lambda: VARIABLE.get())
        assert await asyncio.to_thread(VARIABLE.get) == name

    async def main() -> None:
        await asyncio.gather(*(work(str(number)) for number in range(20)))

    run(loop, main())


def test_unknown_options_are_refused(loop: Loop) -> None:
    coroutine = value()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, colour="red")  # type: ignore[call-arg]
    coroutine.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager_start is new in 3.12")
def test_a_task_can_start_eagerly(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def work() -> str:
            seen.append("started")
            await asyncio.sleep(0)
            seen.append("ended")
            return "result"

        task = our_loop.create_task(work(), eager_start=True)
        assert seen == ["started"]
        assert await task == "result"
        done = our_loop.create_task(_at_once(3), eager_start=True)
        assert done.done()
        assert done.result() == 3
        lazy = our_loop.create_task(work(), eager_start=False)
        assert seen == ["started", "ended"]
        await lazy

    our_loop.run_until_complete(main())


async def _at_once(result: int) -> int:
    return result


def test_cancellation_reaches_the_task_and_what_it_awaits(loop: Loop) -> None:
    async def main() -> None:
        future = loop.create_future()

        async def wait() -> None:
            await future

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert future.cancelled()

    run(loop, main())


def test_timeouts(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.create_future(), 0.001)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await loop.create_future()
        assert await asyncio.wait_for(value(1), 10) == 1

    run(loop, main())


def test_task_groups(loop: Loop) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise LookupError

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(value(number)) for number in range(10)]
        assert [task.result() for task in tasks] == list(range(10))
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                endless = group.create_task(asyncio.sleep(3600))
        assert [type(error) for error in caught.value.exceptions] == [LookupError]
        assert endless.cancelled()

    run(loop, main())


def test_primitives(loop: Loop) -> None:
    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
        lock, event, barrier = asyncio.Lock(), asyncio.Event(), asyncio.Barrier(2)
        seen: list[int] = []

        async def produce() -> None:
            for number in range(10):
                await queue.put(number)
            event.set()
            await barrier.wait()

        async def consume() -> None:
            for _ in range(10):
                async with lock:
                    seen.append(await queue.get())
            await event.wait()
            await barrier.wait()

        await asyncio.gather(produce(), consume())
        return seen

    assert run(loop, main()) == list(range(10))


def test_all_tasks_and_the_current_one(loop: Loop) -> None:
    async def main() -> None:
        me = asyncio.current_task()
        other = asyncio.create_task(value())
        assert asyncio.all_tasks() == {me, other}
        assert asyncio.current_task(loop) is me
        await other
        assert asyncio.all_tasks(loop) == {me}

    loop.run_until_complete(main())
    assert asyncio.all_tasks(loop) == set()
    assert asyncio.current_task(loop) is None
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_task_that_is_done_is_let_go_of(loop: Loop) -> None:
    async def main() -> weakref.ref[Any]:
        task = asyncio.create_task(value())
        await task
        return weakref.ref(task)

    reference = run(loop, main())
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    assert reference() is None


def test_an_exception_that_nobody_asks_for_is_reported(loop: Loop) -> None:
    async def fail() -> None:
        raise LookupError

    async def main() -> None:
        asyncio.create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with handled(loop) as contexts:
        loop.run_until_complete(main())
        gc.collect()
    assert [type(context["exception"]) for context in contexts] == [LookupError]
    assert contexts[0]["message"] == "Task exception was never retrieved"


def test_a_pending_task_that_is_dropped_is_reported(loop: Loop) -> None:
    async def main() -> None:
        asyncio.create_task(_hold(loop))
        await asyncio.sleep(0)

    with handled(loop) as contexts:
        loop.run_until_complete(main())
        gc.collect()
    assert [context["message"] for context in contexts] == ["Task was destroyed but it is pending!"]


async def _hold(loop: Loop) -> None:
    await loop.create_future()


def test_results_and_errors_of_a_run(loop: Loop) -> None:
    async def fail() -> None:
        raise LookupError("reason")

    assert loop.run_until_complete(value(1)) == 1
    with pytest.raises(LookupError, match="reason"):
        loop.run_until_complete(fail())
    future = loop.create_future()
    loop.call_soon(future.set_result, 2)
    assert loop.run_until_complete(future) == 2
    assert loop.run_until_complete(future) == 2
    future = loop.create_future()
    loop.call_soon(future.cancel)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(future)
    assert loop.run_until_complete(asyncio.ensure_future(value(3), loop=loop)) == 3


def test_many_tasks(loop: Loop) -> None:
    async def main() -> int:
        return sum(await asyncio.gather(*(value(number) for number in range(5000))))

    assert run(loop, main()) == sum(range(5000))
