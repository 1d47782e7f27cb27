"""The context manager around a simulation: what it gives, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import soliloop

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_results_and_exceptions() -> None:
    async def fails() -> None:
        raise LookupError("inner")

    with soliloop.simulation() as sim:
        assert sim.run(asyncio.sleep(1, 42)) == 42
        with pytest.raises(LookupError, match="inner"):
            sim.run(fails())
        assert sim.run(asyncio.sleep(1, 43)) == 43


def test_the_loop_is_the_running_one_inside() -> None:
    with soliloop.simulation() as sim:

        async def main() -> bool:
            return asyncio.get_running_loop() is sim.loop

        assert sim.run(main())
        assert asyncio._get_running_loop() is None
        assert sim.loop._simulated


@pytest.mark.parametrize("main", [None, 5, print, asyncio.sleep])
def test_what_is_no_coroutine(main: Any) -> None:
    with soliloop.simulation() as sim, pytest.raises(TypeError, match="coroutine"):
        sim.run(main)


def test_without_nesting() -> None:
    with soliloop.simulation(nesting=False) as sim:

        async def main() -> None:
            with pytest.raises(RuntimeError, match="already running"):
                sim.loop.run_until_complete(sim.loop.create_future())

        sim.run(main())


def test_sim_run_in_a_callback_is_nested() -> None:
    with soliloop.simulation() as sim:

        async def main() -> float:
            sim.run(asyncio.sleep(5))
            return sim.loop.time()

        assert sim.run(main()) == 5


def test_pending_tasks_are_cancelled_at_the_end() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            ended.append("cleaned up")

    async def main() -> None:
        asyncio.get_running_loop().pending = asyncio.create_task(forever())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    with soliloop.simulation() as sim:
        sim.run(main())
    assert ended == ["cleaned up"]
    assert sim.loop.is_closed()


def test_asynchronous_generators_are_closed_at_the_end() -> None:
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("closed")

    generator = numbers()
    with soliloop.simulation() as sim:

        async def main() -> None:
            await anext(generator)

        sim.run(main())
    assert ended == ["closed"]


def test_an_exception_of_the_block_comes_out() -> None:
    with pytest.raises(LookupError, match="of the block"), soliloop.simulation() as sim:
        sim.loop.create_task(asyncio.sleep(10))
        raise LookupError("of the block")
    assert sim.loop.is_closed()


def test_an_exception_of_a_task_that_is_cancelled_at_the_end_is_reported() -> None:
    reports: list[dict[str, Any]] = []

    async def fails() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            raise LookupError("while ending")

    with soliloop.simulation() as sim:
        sim.loop.set_exception_handler(lambda _, context: reports.append(context))
        task = sim.loop.create_task(fails())
        sim.run(asyncio.sleep(1))
    assert [type(report["exception"]) for report in reports] == [LookupError]
    assert task.done()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_comes_out_and_the_simulation_goes_on(kind: type[BaseException]) -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise kind

    with soliloop.simulation() as sim:
        with pytest.raises(kind):
            sim.run(main())
        sim.run(asyncio.sleep(1))
        assert sim.loop.time_ns() == 2_000_000_000


def test_a_simulation_that_is_over_is_closed() -> None:
    with soliloop.simulation() as sim:
        pass
    coroutine = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        sim.run(coroutine)
    coroutine.close()


def test_call_soon_threadsafe_from_inside() -> None:
    ran: list[int] = []
    with soliloop.simulation() as sim:
        sim.loop.call_soon_threadsafe(ran.append, 1)
        sim.run(asyncio.sleep(1))
    assert ran == [1]


async def _cannot_end() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.Event().wait()


def test_an_error_is_not_hidden_by_the_tasks_it_leaves_behind() -> None:
    reported: list[object] = []

    async def main() -> None:
        task = asyncio.create_task(_cannot_end())
        tasks.append(task)
        await asyncio.sleep(0)
        raise LookupError("the bug")

    tasks: list[object] = []
    with pytest.raises(LookupError, match="the bug"), soliloop.simulation() as sim:
        sim.loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        sim.run(main())
    assert [type(error) for error in reported] == [soliloop.DeadlockError]


def test_tasks_that_cannot_end_are_an_error_of_their_own() -> None:
    tasks: list[object] = []

    async def main() -> None:
        tasks.append(asyncio.create_task(_cannot_end()))
        await asyncio.sleep(0)

    with pytest.raises(soliloop.DeadlockError, match="_cannot_end"), soliloop.simulation() as sim:
        sim.run(main())


def test_a_date_that_no_datetime_can_hold() -> None:
    with soliloop.simulation(start="9999-12-31T00:00Z") as sim:
        sim.run(asyncio.sleep(3 * 86400))
        with pytest.raises(OverflowError, match="simulated date, 3 days, 0:00:00 after 9999-12-31"):
            sim.now()


def test_only_its_own_class_is_simulated() -> None:
    with pytest.raises(TypeError):
        soliloop.EventLoop(simulated=True)  # type: ignore[call-arg]
    loop = soliloop.SimulatedLoop(start="2024-01-02T09:30Z", factor=1e9, nesting=True)
    loop.run_until_complete(asyncio.sleep(60))
    assert loop.nesting and loop.now().isoformat() == "2024-01-02T09:31:00+00:00"
    loop.close()


def test_a_loop_that_the_program_has_closed() -> None:
    with soliloop.simulation() as sim:
        sim.run(asyncio.sleep(1))
        sim.loop.close()
    assert sim.loop.is_closed()
