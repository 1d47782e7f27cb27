"""Executors in a simulation run the function at once; what it does to its caller is what a thread would do.

The first half is one text for both times: a function can't tell the difference.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import socket
import threading
from typing import Any

import pytest
import soliloop

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="unset")


def test_results(loop: soliloop.EventLoop) -> None:
    async def main() -> list[int]:
        return [await loop.run_in_executor(None, pow, 2, 5), await asyncio.to_thread(pow, 2, 6)]

    assert loop.run_until_complete(main()) == [32, 64]


def test_exceptions(loop: soliloop.EventLoop) -> None:
    error = LookupError("of the function")

    def fails() -> None:
        raise error

    async def main() -> None:
        for call in (lambda: loop.run_in_executor(None, fails), lambda: asyncio.to_thread(fails)):
            with pytest.raises(LookupError) as caught:
                await call()
            assert caught.value is error

    loop.run_until_complete(main())


def test_to_thread_has_a_copy_of_the_context(loop: soliloop.EventLoop) -> None:
    def work() -> str:
        seen = VAR.get()
        VAR.set("changed by the thread")
        return seen

    async def main() -> list[str]:
        VAR.set("main")
        return [await asyncio.to_thread(work), VAR.get()]

    assert loop.run_until_complete(main()) == ["main", "main"]


def test_run_in_executor_leaves_the_context_of_its_caller_alone(loop: soliloop.EventLoop) -> None:
    async def main() -> str:
        VAR.set("main")
        await loop.run_in_executor(None, VAR.set, "changed by the thread")
        return VAR.get()

    assert loop.run_until_complete(main()) == "main"


def test_the_calls_of_a_thread_share_its_context(loop: soliloop.EventLoop) -> None:
    def work() -> str:
        seen = VAR.get()
        VAR.set("first call")
        return seen

    async def main() -> list[str]:
        VAR.set("main")
        with concurrent.futures.ThreadPoolExecutor(
            1, initializer=VAR.set, initargs=("initializer",)
        ) as pool:
            calls = [loop.run_in_executor(pool, work) for _ in range(2)]
            return [*await asyncio.gather(*calls), VAR.get()]

    assert loop.run_until_complete(main()) == ["initializer", "first call", "main"]


def test_no_loop_runs_in_the_function(loop: soliloop.EventLoop) -> None:
    def work() -> object:
        with pytest.raises(RuntimeError):
            asyncio.current_task()
        return asyncio._get_running_loop()

    async def main() -> None:
        task = asyncio.current_task()
        assert await asyncio.to_thread(work) is None
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task

    loop.run_until_complete(main())


@pytest.mark.parametrize("run", [asyncio.run, soliloop.run])
def test_a_loop_of_its_own_in_the_function(loop: soliloop.EventLoop, run: Any) -> None:
    async def inner() -> int:
        await asyncio.sleep(0.001)
        return 42

    def work() -> Any:
        return run(inner())

    async def main() -> Any:
        task = asyncio.current_task()
        result = await asyncio.to_thread(work)
        assert asyncio.current_task() is task
        return result

    assert loop.run_until_complete(main()) == 42


def test_call_soon_threadsafe_in_the_function(loop: soliloop.EventLoop) -> None:
    async def main() -> str:
        future: asyncio.Future[str] = loop.create_future()
        await asyncio.to_thread(loop.call_soon_threadsafe, future.set_result, "done")
        return await future

    assert loop.run_until_complete(main()) == "done"


def test_many(loop: soliloop.EventLoop) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(pow, number, 2) for number in range(50)))

    assert loop.run_until_complete(main()) == [number**2 for number in range(50)]


def test_what_is_no_function(loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        with pytest.raises(TypeError):
            await loop.run_in_executor(None, 5)  # type: ignore[arg-type]

    loop.run_until_complete(main())


def test_nested_run_of_an_executor_call(loop: soliloop.EventLoop) -> None:
    async def main() -> int:
        return loop.run_until_complete(asyncio.to_thread(pow, 2, 5))

    assert loop.run_until_complete(main()) == 32


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
def test_exceptions_of_odd_kinds(loop: soliloop.EventLoop, kind: type[BaseException]) -> None:
    def fails() -> None:
        raise kind

    async def main() -> None:
        with pytest.raises(kind):
            await asyncio.to_thread(fails)
        await asyncio.sleep(0)

    loop.run_until_complete(main())


# ------------------------------------------------------------------ simulated time only


def test_it_takes_no_simulated_time() -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            await asyncio.sleep(1)
            await asyncio.to_thread(sum, range(10_000))

        sim.run(main())
        assert sim.loop.time_ns() == 1_000_000_000


def test_a_simulation_in_the_function() -> None:
    async def inner() -> float:
        await asyncio.sleep(1_000)
        return asyncio.get_running_loop().time()

    def work() -> float:
        with soliloop.simulation() as sim:
            return sim.run(inner())

    with soliloop.simulation() as sim:
        assert sim.run(asyncio.to_thread(work)) == 1_000
        assert sim.loop.time_ns() == 0


def test_a_closed_simulation_takes_no_more() -> None:
    with soliloop.simulation() as sim:
        loop = sim.loop
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_in_executor(None, print)


def test_a_cancellation_out_of_a_thread_is_asyncios(loop: soliloop.EventLoop) -> None:
    def cancelled() -> None:
        raise concurrent.futures.CancelledError("of the function")

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await loop.run_in_executor(None, cancelled)

    loop.run_until_complete(main())


def test_what_a_blocked_loop_has_just_sent_arrives() -> None:
    with soliloop.simulation() as sim:
        near, far = socket.socketpair()
        heard = threading.Event()

        def listen() -> bytes:
            data = far.recv(10)
            heard.set()
            return data

        async def main() -> None:
            listening = sim.loop.run_in_executor(None, listen)
            await asyncio.sleep(1)
            near.send(b"data")
            assert heard.wait(5)
            assert sim.loop.time() == 1
            assert await listening == b"data"

        with near, far:
            sim.run(main())


def test_debug_mode_refuses_what_is_not_thread_safe(loop: soliloop.EventLoop) -> None:
    loop.set_debug(True)

    def in_thread() -> None:
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            loop.call_soon(print)
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            loop.call_later(1, print)
        loop.call_soon_threadsafe(int)

    async def main() -> None:
        await asyncio.to_thread(in_thread)

    loop.run_until_complete(main())
