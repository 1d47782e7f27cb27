"""Asynchronous generators: their ends run on the loop, at the latest when it is shut down."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator

import pytest
from surface_support import Factory, Loop, run


async def numbers(ended: list[str]) -> AsyncGenerator[int, None]:
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)
        ended.append("ended")


def test_one_that_is_dropped_ends_on_the_loop(loop: Loop) -> None:
    ended: list[str] = []

    async def main() -> None:
        async for _ in numbers(ended):
            break
        gc.collect()
        for _ in range(4):
            await asyncio.sleep(0)
        assert ended == ["ended"]

    run(loop, main())


def test_shutting_down_ends_those_that_are_held(loop: Loop) -> None:
    ended: list[str] = []
    held = []

    async def main() -> None:
        for _ in range(3):
            generator = numbers(ended)
            await anext(generator)
            held.append(generator)

    loop.run_until_complete(main())
    assert ended == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert ended == ["ended"] * 3


def test_beginning_one_after_the_shutdown_is_warned_about(loop: Loop) -> None:
    ended: list[str] = []

    async def main() -> None:
        await loop.shutdown_asyncgens()
        generator = numbers(ended)
        with pytest.warns(ResourceWarning, match="was scheduled after"):
            await anext(generator)
        await generator.aclose()

    loop.run_until_complete(main())


def test_a_run_shuts_them_down(factory: Factory) -> None:
    ended: list[str] = []
    held = []

    async def main() -> None:
        held.append(numbers(ended))
        await anext(held[0])

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert ended == ["ended"]


def test_the_hooks_are_the_loops_during_a_run_only(loop: Loop) -> None:
    def firstiter(_: object) -> None:
        pass

    async def hooks() -> object:
        return sys.get_asyncgen_hooks()

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=firstiter)
    try:
        own = run(loop, hooks())
        assert own.firstiter is not firstiter  # type: ignore[attr-defined]
        assert own.finalizer is not None  # type: ignore[attr-defined]
        assert sys.get_asyncgen_hooks().firstiter is firstiter
    finally:
        sys.set_asyncgen_hooks(*before)


def test_an_end_that_fails_is_reported(loop: Loop) -> None:
    async def failing() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            raise LookupError("in the end")

    contexts: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    held = []

    async def main() -> None:
        held.append(failing())
        await anext(held[0])

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert [str(context["exception"]) for context in contexts] == ["in the end"]
