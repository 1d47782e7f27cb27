"""The simulated clock: whole nanoseconds, straight to the next timer, and only when nothing is ready."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator

import pytest
import soliloop


@pytest.fixture
def sim() -> Iterator[soliloop.Simulation]:
    with soliloop.simulation() as sim:
        yield sim


def test_it_starts_at_zero(sim: soliloop.Simulation) -> None:
    assert sim.loop.time() == 0.0
    assert sim.loop.time_ns() == 0


@pytest.mark.parametrize(
    ("delays", "nanoseconds"),
    [
        ([0.1] * 3, 300_000_000),
        ([0.1] * 1_000, 100_000_000_000),
        ([1e-9], 1),
        ([1e-9] * 7, 7),
        ([0.123456789], 123_456_789),
        ([1 / 3] * 3, 999_999_999),
        ([4e-10], 1),
        ([1e-300] * 3, 3),
        ([6e-10], 1),
        ([0], 0),
        ([-5], 0),
        ([86_400.000000001], 86_400_000_000_001),
    ],
)
def test_exact_nanoseconds(sim: soliloop.Simulation, delays: list[float], nanoseconds: int) -> None:
    async def main() -> None:
        for delay in delays:
            await asyncio.sleep(delay)

    sim.run(main())
    assert sim.loop.time_ns() == nanoseconds


def test_whoever_waits_for_the_clock_gets_on(sim: soliloop.Simulation) -> None:
    """What is left to wait may be less than a nanosecond, and the date asked for one that rounds to the present."""

    async def main() -> None:
        loop = sim.loop
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        deadline = loop.time() + 0.1
        assert deadline == 0.30000000000000004
        while loop.time() < deadline:
            await asyncio.sleep(deadline - loop.time())
        deadline = loop.time() + 5e-17
        while loop.time() < deadline:
            passed = loop.create_future()
            loop.call_at(deadline, passed.set_result, None)
            await passed

    sim.run(main())
    assert 0.3 < sim.loop.time() < 0.300000005


def test_call_at_and_call_later_meet(sim: soliloop.Simulation) -> None:
    instants: list[int] = []

    async def main() -> None:
        await asyncio.sleep(0.7)
        loop = sim.loop
        loop.call_later(0.1, lambda: instants.append(loop.time_ns()))
        loop.call_at(0.8, lambda: instants.append(loop.time_ns()))
        loop.call_at(loop.time() + 0.1, lambda: instants.append(loop.time_ns()))
        await asyncio.sleep(1)

    sim.run(main())
    assert instants == [800_000_000] * 3


def test_equal_deadlines_run_in_order_of_creation(sim: soliloop.Simulation) -> None:
    ran: list[int] = []
    loop = sim.loop

    async def main() -> None:
        for number in range(10_000):
            if number % 2:
                loop.call_at(5.0, ran.append, number)
            else:
                loop.call_later(5, ran.append, number)
        await asyncio.sleep(5)
        await asyncio.sleep(0)

    sim.run(main())
    assert ran == list(range(10_000))


def test_timers_in_random_order_with_many_cancelled(sim: soliloop.Simulation) -> None:
    draw = random.Random(7)
    expected: list[tuple[int, int]] = []
    ran: list[tuple[int, int]] = []
    loop = sim.loop

    def note(number: int) -> None:
        ran.append((round(loop.time()), number))

    async def main() -> None:
        for number in range(10_000):
            delay = draw.randrange(200)
            handle = loop.call_later(delay, note, number)
            if draw.random() < 0.6:
                handle.cancel()
            else:
                expected.append((delay, number))
        await asyncio.sleep(300)

    sim.run(main())
    assert ran == sorted(expected)


def test_sleepers_with_equal_deadlines_wake_in_order(sim: soliloop.Simulation) -> None:
    woken: list[int] = []

    async def sleeper(number: int) -> None:
        await asyncio.sleep(1)
        woken.append(number)

    async def main() -> None:
        await asyncio.gather(*(sleeper(number) for number in range(500)))

    sim.run(main())
    assert woken == list(range(500))


def test_waits_of_years(sim: soliloop.Simulation) -> None:
    year = 365 * 86_400

    async def main() -> None:
        await asyncio.sleep(10 * year)
        await asyncio.sleep(0.000_000_001)
        await asyncio.sleep(200 * year)

    sim.run(main())
    assert sim.loop.time_ns() == 210 * year * 1_000_000_000 + 1


@pytest.mark.parametrize("forever", [math.inf, 1e300])
def test_a_wait_that_never_ends_beside_one_that_does(
    sim: soliloop.Simulation, forever: float
) -> None:
    async def main() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(forever)
        sleeper = asyncio.create_task(asyncio.sleep(forever))
        await asyncio.sleep(5)
        sleeper.cancel()
        return "done"

    assert sim.run(main()) == "done"
    assert sim.loop.time_ns() == 10_000_000_000


def test_only_waits_that_never_end_are_a_deadlock(sim: soliloop.Simulation) -> None:
    with pytest.raises(soliloop.DeadlockError, match="sleep"):
        sim.run(asyncio.sleep(math.inf))
    assert sim.loop.time_ns() == 0


def test_a_delay_that_is_not_a_number(sim: soliloop.Simulation) -> None:
    with pytest.raises(ValueError, match="NaN"):
        sim.loop.call_later(math.nan, print)
    with pytest.raises(ValueError):
        sim.run(asyncio.sleep(math.nan))


def test_the_clock_stands_still_while_something_is_ready(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        late: list[int] = []
        sim.loop.call_later(1e-9, late.append, 1)
        for _ in range(5_000):
            await asyncio.sleep(0)
            assert sim.loop.time_ns() == 0
        assert late == []
        await asyncio.sleep(1e-9)
        await asyncio.sleep(0)
        assert late == [1]

    sim.run(main())


def test_the_clock_stands_still_during_work(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        sum(range(100_000))
        assert sim.loop.time_ns() == 0

    sim.run(main())
    assert sim.loop.time_ns() == 0


def test_what_is_due_at_once_runs_before_later_timers(sim: soliloop.Simulation) -> None:
    ran: list[str] = []
    loop = sim.loop

    async def main() -> None:
        loop.call_later(1, ran.append, "later")
        loop.call_at(-100, ran.append, "past")
        loop.call_later(0, ran.append, "zero")
        loop.call_soon(ran.append, "soon")
        await asyncio.sleep(2)

    sim.run(main())
    assert sorted(ran[:3]) == ["past", "soon", "zero"]
    assert ran[3:] == ["later"]


def test_the_clock_goes_on_over_several_runs(sim: soliloop.Simulation) -> None:
    instants = []
    for _ in range(4):
        sim.run(asyncio.sleep(0.25))
        instants.append(sim.loop.time_ns())
    assert instants == [250_000_000, 500_000_000, 750_000_000, 1_000_000_000]


def test_a_timer_of_one_run_comes_in_the_next(sim: soliloop.Simulation) -> None:
    ran: list[int] = []
    sim.loop.call_later(1.5, lambda: ran.append(sim.loop.time_ns()))
    sim.run(asyncio.sleep(1))
    assert ran == []
    sim.run(asyncio.sleep(1))
    assert ran == [1_500_000_000]


def test_a_day_of_a_hundred_sleepers(sim: soliloop.Simulation) -> None:
    async def sleeper(number: int) -> int:
        count = 0
        while sim.loop.time() < 86_400:
            await asyncio.sleep(600 + number)
            count += 1
        return count

    async def main() -> list[int]:
        return await asyncio.gather(*(sleeper(number) for number in range(100)))

    assert sim.run(main()) == [math.ceil(86_400 / (600 + number)) for number in range(100)]


def test_a_loop_by_itself_is_simulated_as_well() -> None:
    loop = soliloop.new_event_loop(simulated=True)
    try:
        loop.run_until_complete(asyncio.sleep(1_000))
        assert loop.time_ns() == 1_000_000_000_000
    finally:
        loop.close()
