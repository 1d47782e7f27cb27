"""What can be run nested, and what comes out of it: results, exceptions, refusals of what can't be run."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Generator
from typing import Any

import pytest
import soliloop


def test_a_future(loop: soliloop.EventLoop, second: float) -> None:
    async def main() -> object:
        future = loop.create_future()
        loop.call_later(second, future.set_result, "done")
        return loop.run_until_complete(future)

    assert loop.run_until_complete(main()) == "done"


def test_a_future_that_is_done(loop: soliloop.EventLoop) -> None:
    async def main() -> object:
        future = loop.create_future()
        future.set_result("done")
        return loop.run_until_complete(future)

    assert loop.run_until_complete(main()) == "done"


def test_a_future_that_was_cancelled(loop: soliloop.EventLoop) -> None:
    async def main() -> int:
        this = asyncio.current_task()
        assert this is not None
        future = loop.create_future()
        future.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(future)
        return this.cancelling()

    assert loop.run_until_complete(main()) == 0


def test_a_gather(loop: soliloop.EventLoop, second: float) -> None:
    async def main() -> list[int]:
        return loop.run_until_complete(
            asyncio.gather(*(asyncio.sleep(second, number) for number in range(5)))
        )

    assert loop.run_until_complete(main()) == [0, 1, 2, 3, 4]


def test_a_task_that_others_await_as_well(loop: soliloop.EventLoop, second: float) -> None:
    async def main() -> Any:
        task = asyncio.create_task(asyncio.sleep(second, "done"))

        async def nests() -> object:
            return loop.run_until_complete(task)

        async def awaits() -> object:
            return await task

        return await asyncio.gather(nests(), awaits(), nests(), awaits())

    assert loop.run_until_complete(main()) == ["done"] * 4


def test_an_awaitable_object(loop: soliloop.EventLoop) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from asyncio.sleep(0).__await__()
            return "done"

    async def main() -> str:
        return loop.run_until_complete(Awaitable())

    assert loop.run_until_complete(main()) == "done"


def test_an_exception_with_its_traceback(loop: soliloop.EventLoop, second: float) -> None:
    error = LookupError("inner")

    async def inner() -> None:
        await asyncio.sleep(second)
        raise error

    async def main() -> None:
        with pytest.raises(LookupError) as caught:
            loop.run_until_complete(inner())
        assert caught.value is error
        assert "inner" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        await asyncio.sleep(0)

    loop.run_until_complete(main())


@pytest.mark.parametrize(
    "kind", [GeneratorExit, BaseException, asyncio.InvalidStateError, RecursionError]
)
def test_exceptions_of_odd_kinds(loop: soliloop.EventLoop, kind: type[BaseException]) -> None:
    async def inner() -> None:
        await asyncio.sleep(0)
        raise kind("odd")

    async def main() -> None:
        with pytest.raises(kind):
            loop.run_until_complete(inner())

    loop.run_until_complete(main())


def test_an_uncaught_exception_rises_through_every_level(loop: soliloop.EventLoop) -> None:
    async def inner() -> None:
        raise LookupError("inner")

    async def main() -> None:
        loop.run_until_complete(inner())

    with pytest.raises(LookupError, match="inner"):
        loop.run_until_complete(main())


def test_no_coroutine_at_all(loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        with pytest.raises(TypeError):
            loop.run_until_complete(5)  # type: ignore[arg-type]
        loop.run_until_complete(asyncio.sleep(0))

    loop.run_until_complete(main())


def test_a_future_of_another_loop(loop: soliloop.EventLoop) -> None:
    other = soliloop.new_event_loop(simulated=True)
    future = other.create_future()
    other.close()

    async def main() -> None:
        with pytest.raises(ValueError, match="loop"):
            loop.run_until_complete(future)
        loop.run_until_complete(asyncio.sleep(0))

    loop.run_until_complete(main())


def test_a_coroutine_that_was_awaited_already(loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        coroutine = asyncio.sleep(0, "done")
        assert loop.run_until_complete(coroutine) == "done"
        with pytest.raises(RuntimeError, match="already awaited"):
            loop.run_until_complete(coroutine)

    loop.run_until_complete(main())


def test_the_running_task_itself(loop: soliloop.EventLoop) -> None:
    """`await` refuses it ("Task cannot await on itself"); a nested run of it would never end."""

    async def main() -> None:
        this = asyncio.current_task()
        assert this is not None
        guard = loop.call_later(0.01, loop.stop)  # so that a failure is no hang
        with pytest.raises(RuntimeError):
            loop.run_until_complete(this)
        guard.cancel()

    loop.run_until_complete(main())


def test_synchronous_helpers_of_asyncio(loop: soliloop.EventLoop, second: float) -> None:
    """Queues, locks and events between a nested run and the tasks around it."""

    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        got: list[int] = []

        async def producer() -> None:
            for number in range(5):
                loop.run_until_complete(queue.put(number))
                await asyncio.sleep(second / 10)

        async def consumer() -> None:
            for _ in range(5):
                got.append(loop.run_until_complete(queue.get()))

        await asyncio.gather(producer(), consumer())
        return got

    assert loop.run_until_complete(main()) == [0, 1, 2, 3, 4]
