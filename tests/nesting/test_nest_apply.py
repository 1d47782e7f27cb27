"""`soliloop.nest.apply()` in the place of `nest_asyncio.apply()`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest
import soliloop
from soliloop import _run


@pytest.fixture(autouse=True)
def unapplied(no_leaks: None) -> Iterator[None]:
    """What `apply` changes for the whole process is put back."""
    run, runner_run, default = asyncio.run, asyncio.Runner.run, _run._always_nests
    yield
    asyncio.run, asyncio.Runner.run = run, runner_run  # type: ignore[method-assign]
    _run._always_nests = default


async def _answer() -> int:
    await asyncio.sleep(0.001)
    return 42


def test_before_any_loop() -> None:
    loop = soliloop.new_event_loop()
    assert not loop.nesting
    loop.close()
    soliloop.nest.apply()
    loop = soliloop.new_event_loop()

    async def main() -> int:
        return loop.run_until_complete(_answer())

    try:
        assert loop.run_until_complete(main()) == 42
    finally:
        loop.close()


def test_explicit_refusal_outlives_apply() -> None:
    soliloop.nest.apply()
    loop = soliloop.new_event_loop(nesting=False)
    assert not loop.nesting
    loop.close()


@pytest.mark.parametrize("simulated", [False, True])
def test_on_a_loop(simulated: bool) -> None:
    loop = soliloop.new_event_loop(simulated=simulated)
    soliloop.nest.apply(loop)

    async def main() -> int:
        return loop.run_until_complete(_answer())

    try:
        assert loop.run_until_complete(main()) == 42
        other = soliloop.new_event_loop()
        assert not other.nesting, "other loops stay as they are"
        other.close()
    finally:
        loop.close()


@pytest.mark.parametrize("simulated", [False, True])
def test_inside_a_running_loop(simulated: bool) -> None:
    loop = soliloop.new_event_loop(simulated=simulated)

    async def main() -> int:
        with pytest.raises(RuntimeError):
            loop.run_until_complete(loop.create_future())
        soliloop.nest.apply()
        return loop.run_until_complete(_answer())

    try:
        assert loop.run_until_complete(main()) == 42
    finally:
        loop.close()


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="such a task sees a second CancelledError there, see README"
)
def test_a_task_made_before_apply_can_be_cancelled_in_its_nested_run() -> None:
    loop = soliloop.new_event_loop(simulated=True)

    async def main() -> str:
        soliloop.nest.apply()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                loop.run_until_complete(loop.create_future())
        await asyncio.sleep(0)
        return "survived"

    try:
        assert loop.run_until_complete(main()) == "survived"
    finally:
        loop.close()


def test_asyncio_run_inside_a_running_loop(loop: soliloop.EventLoop, second: float) -> None:
    soliloop.nest.apply(loop)
    events: list[str] = []

    async def inner() -> bool:
        await asyncio.sleep(2 * second)
        return asyncio.get_running_loop() is loop

    async def other() -> None:
        await asyncio.sleep(second)
        events.append("other")

    async def main() -> bool:
        task, others = asyncio.current_task(), asyncio.create_task(other())
        await asyncio.sleep(0)
        result = asyncio.run(inner())
        assert events == ["other"], "other tasks go on"
        assert asyncio.current_task() is task
        await others
        return result

    assert loop.run_until_complete(main())


def test_asyncio_run_options(loop: soliloop.EventLoop) -> None:
    soliloop.nest.apply(loop)

    async def main() -> int:
        assert asyncio.run(_answer(), debug=False) == 42
        return asyncio.run(_answer(), debug=True)

    assert loop.run_until_complete(main()) == 42


def test_asyncio_run_raises_what_the_coroutine_raises(loop: soliloop.EventLoop) -> None:
    soliloop.nest.apply(loop)

    async def fails() -> None:
        raise LookupError("inner")

    async def main() -> None:
        with pytest.raises(LookupError, match="inner"):
            asyncio.run(fails())
        with pytest.raises((TypeError, ValueError), match="coroutine"):
            asyncio.run(5)  # type: ignore[arg-type]

    loop.run_until_complete(main())


def test_asyncio_runner_inside_a_running_loop(loop: soliloop.EventLoop) -> None:
    soliloop.nest.apply(loop)

    async def main() -> list[int]:
        task = asyncio.current_task()
        with asyncio.Runner() as runner:
            results = [runner.run(_answer()), runner.run(_answer())]
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        return results

    assert loop.run_until_complete(main()) == [42, 42]


def test_asyncio_runner_that_leaves_tasks_inside_a_running_loop(loop: soliloop.EventLoop) -> None:
    soliloop.nest.apply(loop)
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    async def inner() -> None:
        asyncio.create_task(forever())
        await asyncio.sleep(0)

    async def main() -> None:
        with asyncio.Runner() as runner:
            runner.run(inner())
        assert ended == ["cancelled"]
        assert asyncio.get_running_loop() is loop

    loop.run_until_complete(main())


def test_asyncio_run_outside_stays_stock() -> None:
    soliloop.nest.apply()
    assert asyncio.run(_answer()) == 42


def test_asyncio_run_in_a_foreign_loop_stays_refused() -> None:
    soliloop.nest.apply()

    async def main() -> None:
        coroutine = _answer()
        with pytest.raises(RuntimeError, match="running event loop"):
            asyncio.run(coroutine)
        coroutine.close()

    asyncio.run(main())


def test_twice(loop: soliloop.EventLoop) -> None:
    soliloop.nest.apply()
    once = asyncio.run
    soliloop.nest.apply(loop)
    assert asyncio.run is once


def test_foreign_loops() -> None:
    foreign = asyncio.SelectorEventLoop()
    try:
        with pytest.raises(TypeError, match="SelectorEventLoop"):
            soliloop.nest.apply(foreign)
    finally:
        foreign.close()


def test_inside_a_foreign_loop() -> None:
    before = asyncio.run

    async def main() -> None:
        with pytest.raises(TypeError, match=r"soliloop\.run"):
            soliloop.nest.apply()

    asyncio.run(main())
    assert asyncio.run is before, "a refused apply changes nothing"


@pytest.mark.parametrize("debug", [None, False, True])
def test_asyncio_run_sets_the_debug_mode_while_it_runs(
    loop: soliloop.EventLoop, debug: bool | None
) -> None:
    soliloop.nest.apply(loop)

    async def inner() -> bool:
        return loop.get_debug()

    async def main() -> list[bool]:
        modes = [asyncio.run(inner(), debug=debug), asyncio.Runner(debug=debug).run(inner())]
        return [*modes, loop.get_debug()]

    assert loop.run_until_complete(main()) == [bool(debug), bool(debug), False]


def test_a_closed_runner_stays_closed(loop: soliloop.EventLoop) -> None:
    soliloop.nest.apply(loop)

    async def main() -> None:
        runner = asyncio.Runner()
        runner.get_loop()
        runner.close()
        coroutine = _answer()
        with pytest.raises(RuntimeError, match="closed"):
            runner.run(coroutine)
        coroutine.close()

    loop.run_until_complete(main())
