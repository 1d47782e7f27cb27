"""A simulation that is played at a multiple of real time. No claim here is about how long that takes."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import pytest
import soliloop

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.timeout(30)]


def test_timers_come_at_their_exact_instants() -> None:
    instants: list[int] = []
    with soliloop.simulation(factor=1e6) as sim:

        async def sleeper(seconds: float) -> None:
            await asyncio.sleep(seconds)
            instants.append(sim.loop.time_ns())

        async def main() -> None:
            await asyncio.gather(*(sleeper(seconds) for seconds in (200, 600, 400, 0.5)))

        sim.run(main())
    assert instants == [500_000_000, 200_000_000_000, 400_000_000_000, 600_000_000_000]


def test_nested_runs() -> None:
    back: list[str] = []
    with soliloop.simulation(factor=1e6) as sim:

        async def A(name: str, seconds: float) -> None:
            soliloop.run(asyncio.sleep(seconds))
            back.append(f"{name} at {sim.loop.time_ns()}")

        async def main() -> None:
            await asyncio.gather(A("A1", 2000), A("A2", 6000), A("A3", 4000))

        sim.run(main())
    assert back == ["A1 at 2000000000000", "A3 at 4000000000000", "A2 at 6000000000000"]


def test_the_same_results_as_without_a_factor() -> None:
    async def program(sim: soliloop.Simulation) -> list[tuple[int, int]]:
        queue: asyncio.Queue[int] = asyncio.Queue(3)
        seen: list[tuple[int, int]] = []

        async def producer() -> None:
            for number in range(20):
                await queue.put(number)
                await asyncio.sleep(7 * (number % 3))

        async def consumer() -> None:
            for _ in range(20):
                seen.append((await queue.get(), sim.loop.time_ns()))
                await asyncio.sleep(5)

        await asyncio.gather(producer(), consumer())
        return seen

    with soliloop.simulation(factor=1e5) as paced:
        live = paced.run(program(paced))
    with soliloop.simulation() as sim:
        assert sim.run(program(sim)) == live


def test_the_clock_goes_on_where_it_stood_in_the_next_run() -> None:
    with soliloop.simulation(factor=1e6) as sim:
        for number in range(1, 4):
            sim.run(asyncio.sleep(100))
            assert sim.loop.time_ns() == number * 100_000_000_000


def test_a_tiny_factor_is_slow_motion() -> None:
    with soliloop.simulation(factor=0.001) as sim:
        sim.run(asyncio.sleep(0.000_001))
        assert sim.loop.time_ns() == 1_000


@pytest.mark.parametrize("factor", [0, 0.0, -1, -0.5, math.nan, math.inf, -math.inf])
def test_a_factor_out_of_range(factor: float) -> None:
    with pytest.raises(ValueError, match="factor"), soliloop.simulation(factor=factor):
        pass
    with pytest.raises(ValueError, match="factor"):
        soliloop.new_event_loop(simulated=True, factor=factor)


@pytest.mark.parametrize("factor", ["10", object()])
def test_a_factor_that_is_no_number(factor: Any) -> None:
    with pytest.raises((TypeError, ValueError)), soliloop.simulation(factor=factor):
        pass


def test_a_factor_is_for_simulated_time() -> None:
    with pytest.raises(ValueError, match="simulated=True"):
        soliloop.new_event_loop(factor=2)


def test_another_thread_wakes_a_paced_simulation() -> None:
    """The wait ends at once: an hour of real time would be the test's own end."""
    with soliloop.simulation(factor=1, outside="allow") as sim:
        waits = threading.Event()

        def work(future: asyncio.Future[str]) -> None:
            waits.wait(10)
            sim.loop.call_soon_threadsafe(future.set_result, "from a thread")

        async def main() -> str:
            future: asyncio.Future[str] = sim.loop.create_future()
            helper = threading.Thread(target=work, args=(future,))
            helper.start()
            sim.loop.call_later(0.001, waits.set)
            result = await asyncio.wait_for(future, 3600)
            helper.join()
            return result

        assert sim.run(main()) == "from a thread"
        assert 1_000_000 <= sim.loop.time_ns() < 3_600_000_000_000


def test_another_thread_feeds_a_paced_simulation_many_times() -> None:
    got: list[int] = []
    instants: list[int] = []
    with soliloop.simulation(factor=100, outside="allow") as sim:

        def take(number: int) -> None:
            got.append(number)
            instants.append(sim.loop.time_ns())

        def work(done: asyncio.Event) -> None:
            for number in range(500):
                sim.loop.call_soon_threadsafe(take, number)
            sim.loop.call_soon_threadsafe(done.set)

        async def main() -> None:
            done = asyncio.Event()
            helper = threading.Thread(target=work, args=(done,))
            helper.start()
            async with asyncio.timeout(100_000):
                await done.wait()
            helper.join()

        sim.run(main())
    assert got == list(range(500))
    assert instants == sorted(instants)


def test_run_coroutine_threadsafe_into_a_paced_simulation() -> None:
    results: list[int] = []
    with soliloop.simulation(factor=1000, outside="allow") as sim:

        async def work() -> int:
            await asyncio.sleep(1)
            return 42

        def thread(done: asyncio.Event) -> None:
            results.append(asyncio.run_coroutine_threadsafe(work(), sim.loop).result(10))
            sim.loop.call_soon_threadsafe(done.set)

        async def main() -> None:
            done = asyncio.Event()
            helper = threading.Thread(target=thread, args=(done,))
            helper.start()
            async with asyncio.timeout(100_000):
                await done.wait()
            helper.join()

        sim.run(main())
    assert results == [42]
