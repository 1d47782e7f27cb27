"""What a callback sees after its nested run is what it saw before: task, context, exception, running loop, hooks."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import sys

import pytest
import soliloop

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="unset")


def test_current_task(loop: soliloop.EventLoop, second: float) -> None:
    seen: list[bool] = []

    async def A(seconds: float) -> None:
        this = asyncio.current_task()
        loop.run_until_complete(asyncio.sleep(seconds * second))
        seen.append(asyncio.current_task() is this)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task() is this)

    async def main() -> None:
        await asyncio.gather(A(0.2), A(0.6), A(0.4))

    loop.run_until_complete(main())
    assert seen == [True] * 6


def test_no_task_is_current_in_a_callback_that_runs_meanwhile(loop: soliloop.EventLoop) -> None:
    seen: list[object] = []

    async def main() -> None:
        loop.call_soon(lambda: seen.append(asyncio.current_task()))
        loop.run_until_complete(asyncio.sleep(0))
        assert asyncio.current_task() is not None

    loop.run_until_complete(main())
    assert seen == [None]


def test_a_callback_without_a_task_has_none_after_its_nested_run(loop: soliloop.EventLoop) -> None:
    seen: list[object] = []
    gate = loop.create_future()

    def callback() -> None:
        loop.run_until_complete(asyncio.sleep(0))
        seen.append(asyncio.current_task())
        gate.set_result(None)

    async def main() -> None:
        loop.call_soon(callback)
        await gate

    loop.run_until_complete(main())
    assert seen == [None]


def test_running_loop_and_hooks(loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        hooks = sys.get_asyncgen_hooks()
        loop.run_until_complete(asyncio.sleep(0))
        assert asyncio.get_running_loop() is loop
        assert sys.get_asyncgen_hooks() == hooks
        assert loop.is_running()

    before = sys.get_asyncgen_hooks()
    loop.run_until_complete(main())
    assert asyncio._get_running_loop() is None
    assert sys.get_asyncgen_hooks() == before


def test_context_variables(loop: soliloop.EventLoop, second: float) -> None:
    seen: list[tuple[str, str]] = []

    async def inner(name: str, seconds: float) -> str:
        inherited = VAR.get()
        VAR.set(f"inner {name}")
        await asyncio.sleep(seconds * second)
        return inherited

    async def A(name: str, seconds: float) -> None:
        VAR.set(name)
        inherited = loop.run_until_complete(inner(name, seconds))
        seen.append((inherited, VAR.get()))
        VAR.set("again " + name)
        await asyncio.sleep(0)
        assert VAR.get() == "again " + name

    async def main() -> None:
        await asyncio.gather(A("A1", 0.2), A("A2", 0.6), A("A3", 0.4))

    loop.run_until_complete(main())
    assert seen == [("A1", "A1"), ("A3", "A3"), ("A2", "A2")]
    assert VAR.get() == "unset"


def test_context_variables_reset_by_token(loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        token = VAR.set("main")
        loop.run_until_complete(asyncio.sleep(0))
        VAR.reset(token)
        assert VAR.get() == "unset"

    loop.run_until_complete(main())


def test_nested_run_inside_context_run(loop: soliloop.EventLoop) -> None:
    def nests() -> str:
        VAR.set("entered")
        loop.run_until_complete(asyncio.sleep(0))
        return VAR.get()

    async def main() -> None:
        VAR.set("main")
        context = contextvars.copy_context()
        assert context.run(nests) == "entered"
        assert VAR.get() == "main"
        assert context[VAR] == "entered"

    loop.run_until_complete(main())


def test_exception_state(loop: soliloop.EventLoop, second: float) -> None:
    back: list[float] = []

    def B(seconds: float) -> None:
        try:
            raise ValueError(seconds)
        except ValueError as error:
            loop.run_until_complete(asyncio.sleep(seconds * second))
            assert sys.exc_info()[1] is error
            with pytest.raises(ValueError) as caught:
                raise
            assert caught.value is error
            back.append(seconds)
        assert sys.exc_info()[1] is None

    async def A(seconds: float) -> None:
        B(seconds)

    async def main() -> None:
        await asyncio.gather(A(0.2), A(0.6), A(0.4))

    loop.run_until_complete(main())
    assert back == [0.2, 0.4, 0.6]


def test_exception_state_does_not_reach_what_runs_meanwhile(loop: soliloop.EventLoop) -> None:
    contexts: list[BaseException | None] = []

    async def other() -> None:
        assert sys.exc_info() == (None, None, None)
        try:
            raise KeyError("other")
        except KeyError as error:
            contexts.append(error.__context__)

    async def main() -> None:
        try:
            raise ValueError("main")
        except ValueError:
            loop.run_until_complete(other())

    loop.run_until_complete(main())
    assert contexts == [None]


# ------------------------------------------------------------------ one context for several


def test_callbacks_with_one_context_of_which_one_is_parked(loop: soliloop.EventLoop) -> None:
    context = contextvars.copy_context()
    context.run(VAR.set, "shared")
    seen: list[str] = []
    gate = loop.create_future()

    def parks() -> None:
        loop.run_until_complete(gate)
        seen.append("parked " + VAR.get())

    def other() -> None:
        seen.append("other " + VAR.get())
        gate.set_result(None)

    async def main() -> None:
        loop.call_soon(parks, context=context)
        loop.call_soon(other, context=context)
        while len(seen) < 2:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert seen == ["other shared", "parked shared"]


def test_what_a_callback_sets_in_a_shared_context_stays_set(loop: soliloop.EventLoop) -> None:
    """As asyncio has it: a context that was given explicitly is that context, not a copy of it."""
    context = contextvars.copy_context()
    gate = loop.create_future()

    def other() -> None:
        VAR.set("set by the other")
        gate.set_result(None)

    async def main() -> None:
        loop.call_soon(lambda: loop.run_until_complete(gate), context=context)
        loop.call_soon(other, context=context)
        await gate
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert context[VAR] == "set by the other"


def test_a_task_keeps_its_variables_while_another_is_parked_in_the_same_context(
    loop: soliloop.EventLoop,
) -> None:
    context = contextvars.copy_context()
    gate = loop.create_future()

    async def parks() -> None:
        loop.run_until_complete(gate)

    async def other() -> str:
        VAR.set("mine")
        await asyncio.sleep(0)  # the next step enters the context anew
        return VAR.get()

    async def main() -> str:
        parked = loop.create_task(parks(), context=context)
        result = await loop.create_task(other(), context=context)
        gate.set_result(None)
        await parked
        return result

    assert loop.run_until_complete(main()) == "mine"


def test_a_context_that_two_tasks_share(loop: soliloop.EventLoop, second: float) -> None:
    """One is parked in it; the other one parks deep in a context of its own, and never leaves the shared one."""
    shared = contextvars.copy_context()
    results: list[object] = []

    async def outside() -> None:
        results.append(loop.run_until_complete(asyncio.sleep(2 * second, "outside")))
        results.append(asyncio.current_task() is tasks[0])
        VAR.set("outside")

    async def inside() -> None:
        def nests() -> object:
            return loop.run_until_complete(asyncio.sleep(4 * second, "inside"))

        results.append(contextvars.Context().run(nests))
        results.append(asyncio.current_task() is tasks[1])

    async def main() -> None:
        tasks.append(loop.create_task(outside(), context=shared))
        await asyncio.sleep(second)
        tasks.append(loop.create_task(inside(), context=shared))
        await asyncio.gather(*tasks)

    tasks: list[asyncio.Task[None]] = []
    loop.set_exception_handler(lambda _, context: results.append(context))
    loop.run_until_complete(main())
    assert results == ["outside", True, "inside", True]


@pytest.mark.parametrize("order", list(itertools.product(["plain", "deep"], repeat=2)))
@pytest.mark.parametrize("seconds", [(1, 3), (3, 1)])
def test_tasks_that_share_a_context_nest_and_come_back_in_any_order(
    loop: soliloop.EventLoop, second: float, order: tuple[str, str], seconds: tuple[int, int]
) -> None:
    """`deep`: what the task nests in is not the shared context but one that was entered on top of it."""
    shared = contextvars.copy_context()
    shared.run(VAR.set, "shared")
    reports: list[object] = []

    def nests(seconds: int) -> int:
        return loop.run_until_complete(asyncio.sleep(seconds * second, seconds))

    async def A(place: str, seconds: int) -> int:
        this = asyncio.current_task()
        enter = contextvars.Context().run if place == "deep" else lambda call, *args: call(*args)
        result = enter(nests, seconds)
        assert asyncio.current_task() is this
        assert VAR.get() == "shared"
        await asyncio.sleep(0)
        assert asyncio.current_task() is this
        assert VAR.get() == "shared"
        return result

    async def main() -> None:
        tasks = []
        for place, length in zip(order, seconds, strict=True):
            tasks.append(loop.create_task(A(place, length), context=shared))
            await asyncio.sleep(0)
        assert tuple(await asyncio.gather(*tasks)) == seconds

    loop.set_exception_handler(lambda _, context: reports.append(context))
    loop.run_until_complete(main())
    assert reports == []
