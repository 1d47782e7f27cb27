"""Executors: blocking functions in threads and processes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import math
import multiprocessing
import threading
from typing import Any

import pytest
from surface_support import Loop, run


def fail() -> None:
    raise LookupError("reason")


def test_the_default_executor_is_another_thread(loop: Loop) -> None:
    async def main() -> int:
        return await loop.run_in_executor(None, threading.get_ident)

    assert run(loop, main()) != threading.get_ident()


def test_arguments_results_and_errors(loop: Loop) -> None:
    async def main() -> None:
        assert await loop.run_in_executor(None, math.gcd, 12, 18) == 6
        with pytest.raises(LookupError, match="reason"):
            await loop.run_in_executor(None, fail)

    run(loop, main())


def test_many_at_once(loop: Loop) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(loop.run_in_executor(None, abs, -n) for n in range(500)))

    assert run(loop, main()) == list(range(500))


def test_the_loop_goes_on_while_a_thread_works(loop: Loop) -> None:
    async def main() -> None:
        go_on = threading.Event()
        work = loop.run_in_executor(None, go_on.wait, 30)
        await asyncio.sleep(0.001)
        assert not work.done()
        go_on.set()
        assert await work

    run(loop, main())


def test_to_thread_takes_the_variables_along(loop: Loop) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> str:
        variable.set("set")
        return await asyncio.to_thread(variable.get)

    assert run(loop, main()) == "set"


def test_an_own_executor(loop: Loop) -> None:
    async def main() -> str:
        return await loop.run_in_executor(pool, lambda: threading.current_thread().name)

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="own") as pool:
        assert run(loop, main()).startswith("own")


def test_an_own_default_executor(loop: Loop) -> None:
    async def main() -> str:
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    loop.set_default_executor(
        concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
    )
    assert run(loop, main()).startswith("default")


@pytest.mark.parametrize("executor", [5, object()])
def test_what_is_no_executor_cannot_be_the_default(loop: Loop, executor: Any) -> None:
    with pytest.raises(TypeError):
        loop.set_default_executor(executor)


def test_processes(loop: Loop) -> None:
    async def main() -> int:
        return await loop.run_in_executor(pool, math.gcd, 12, 18)

    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert run(loop, main()) == 6


def test_shutting_down_waits_for_work_and_refuses_more(loop: Loop) -> None:
    ended: list[str] = []

    async def main() -> None:
        loop.run_in_executor(None, ended.append, "ended")
        await loop.shutdown_default_executor()
        assert ended == ["ended"]
        with pytest.raises(RuntimeError, match="shut"):
            loop.run_in_executor(None, print)

    run(loop, main())


def test_a_cancelled_call_is_forgotten(loop: Loop) -> None:
    async def main() -> None:
        go_on = threading.Event()
        task = asyncio.create_task(asyncio.to_thread(go_on.wait, 30))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    run(loop, main())


def test_closing_the_loop_while_a_thread_works_is_no_trouble(loop: Loop) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(30)
        ended.set()

    async def main() -> None:
        loop.run_in_executor(None, work)

    loop.run_until_complete(main())
    loop.close()
    go_on.set()
    assert ended.wait(30)
