"""Runners and simulations inside a running loop, foreign or our own: loops stacked on one thread."""

from __future__ import annotations

import asyncio

import pytest
import soliloop

pytestmark = pytest.mark.usefixtures("no_leaks")


async def _sleep(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time()


def test_a_runner_inside_a_foreign_loop() -> None:
    async def main() -> list[int]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        results = []
        with soliloop.Runner() as runner:
            for number in range(3):
                results.append(runner.run(asyncio.sleep(0.001, number)))
                assert (asyncio.get_running_loop(), asyncio.current_task()) == (loop, task)
                await asyncio.sleep(0.001)  # the outer loop goes on between two runs
        assert (asyncio.get_running_loop(), asyncio.current_task()) == (loop, task)
        return results

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_runner_inside_a_soliloop_loop(loop: soliloop.EventLoop) -> None:
    async def main() -> int:
        task = asyncio.current_task()
        with soliloop.Runner() as runner:
            result = runner.run(asyncio.sleep(0, 42))
        assert asyncio.current_task() is task
        return result

    assert loop.run_until_complete(main()) == 42


def test_a_runner_whose_coroutine_fails_inside_a_foreign_loop() -> None:
    async def fails() -> None:
        raise LookupError

    async def main() -> None:
        task = asyncio.current_task()
        with pytest.raises(LookupError), soliloop.Runner() as runner:
            runner.run(fails())
        assert asyncio.current_task() is task
        await asyncio.sleep(0)

    asyncio.run(main())


def test_a_simulation_inside_a_foreign_loop() -> None:
    async def main() -> float:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        with soliloop.simulation() as sim:
            result = sim.run(_sleep(86_400))
            assert (asyncio.get_running_loop(), asyncio.current_task()) == (loop, task)
            await asyncio.sleep(0.001)
            sim.loop.create_task(_sleep(3600))  # pending at the end
        assert (asyncio.get_running_loop(), asyncio.current_task()) == (loop, task)
        await asyncio.sleep(0.001)
        return result

    assert asyncio.run(main()) == 86_400


def test_a_simulation_inside_a_soliloop_loop(loop: soliloop.EventLoop, second: float) -> None:
    async def main() -> None:
        task = asyncio.current_task()
        before = loop.time_ns()
        with soliloop.simulation() as sim:
            assert sim.run(_sleep(86_400)) == 86_400
        assert asyncio.current_task() is task
        assert asyncio.get_running_loop() is loop
        if loop._simulated:
            assert loop.time_ns() == before, "two simulations have two clocks"
        await asyncio.sleep(second)

    loop.run_until_complete(main())


def test_a_simulation_inside_a_simulation_inside_a_foreign_loop() -> None:
    async def middle() -> list[float]:
        await asyncio.sleep(1)
        with soliloop.simulation() as inner:
            result = inner.run(_sleep(10))
        return [result, asyncio.get_running_loop().time()]

    async def main() -> list[float]:
        with soliloop.simulation() as outer:
            return outer.run(middle())

    assert asyncio.run(main()) == [10, 1]


def test_a_real_loop_inside_a_simulation() -> None:
    with soliloop.simulation() as sim:

        async def main() -> bool:
            await asyncio.sleep(5)
            loop = soliloop.new_event_loop(nesting=True)
            try:
                assert loop.run_until_complete(_sleep(0.001)) > 0
            finally:
                loop.close()
            assert asyncio.get_running_loop() is sim.loop
            await asyncio.sleep(5)
            return sim.loop.time() == 10

        assert sim.run(main())


def test_soliloop_run_inside_a_simulation_is_nested_in_it() -> None:
    with soliloop.simulation() as sim:

        async def main() -> float:
            return soliloop.run(_sleep(5))

        assert sim.run(main()) == 5


def test_a_stock_loop_inside_a_soliloop_loop_is_refused_as_asyncio_refuses_it(
    loop: soliloop.EventLoop,
) -> None:
    async def main() -> None:
        coroutine = _sleep(0)
        with pytest.raises(RuntimeError, match="running event loop|another loop"):
            asyncio.run(coroutine)
        coroutine.close()
        await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_stacks_parked_below_come_back_after_the_loop_on_top(
    loop: soliloop.EventLoop, second: float
) -> None:
    events: list[str] = []

    async def A(name: str, seconds: float) -> None:
        loop.run_until_complete(asyncio.sleep(seconds * second))
        events.append(name)

    async def top() -> None:
        await asyncio.gather(nests(1), nests(2))

    async def nests(number: float) -> None:
        soliloop.run(asyncio.sleep(number))
        events.append(f"top {number}")

    async def main() -> None:
        tasks = [asyncio.create_task(A("A1", 3)), asyncio.create_task(A("A2", 1))]
        await asyncio.sleep(0)
        with soliloop.simulation() as sim:
            sim.run(top())
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    assert events == ["top 1", "top 2", "A2", "A1"]


def test_a_stacked_loop_run_again_from_another_stack_of_the_lower_one(
    loop: soliloop.EventLoop,
) -> None:
    """Its parked stacks were made on one hub of the lower loop, and go on from another."""
    upper = soliloop.new_event_loop(simulated=True, nesting=True)
    gate = upper.create_future()
    events: list[str] = []

    def callback() -> None:
        upper.run_until_complete(gate)
        events.append("back")

    async def first() -> None:
        upper.call_soon(callback)
        upper.run_until_complete(asyncio.sleep(1))
        loop.run_until_complete(
            asyncio.sleep(0)
        )  # this stack is parked: the next step is taken elsewhere

    async def second() -> None:
        gate.set_result(None)
        upper.run_until_complete(asyncio.sleep(1))
        assert events == ["back"]

    async def main() -> None:
        await asyncio.gather(first(), second())

    loop.run_until_complete(main())
    upper.close()
    assert events == ["back"]
