"""Each nested run comes back the moment its own future is done, whatever the others wait for.

The order is the claim; in simulated time so is the instant.
"""

from __future__ import annotations

import asyncio
import random

import pytest
import soliloop


async def C(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


def test_the_program_everything_starts_from(loop: soliloop.EventLoop, second: float) -> None:
    def B() -> float:
        return asyncio.get_running_loop().run_until_complete(C(2 * second))

    async def A() -> float:
        await asyncio.sleep(2 * second)
        return B()

    assert loop.run_until_complete(A()) == 2 * second
    if loop._simulated:
        assert loop.time_ns() == 4_000_000_000


def test_nested_runs_come_back_in_the_order_of_completion(
    loop: soliloop.EventLoop, second: float
) -> None:
    back: list[tuple[str, int]] = []

    async def A(name: str, seconds: float) -> None:
        loop.run_until_complete(C(seconds * second))
        back.append((name, loop.time_ns()))

    async def main() -> None:
        await asyncio.gather(A("A1", 0.2), A("A2", 0.6), A("A3", 0.4))

    loop.run_until_complete(main())
    assert [name for name, _ in back] == ["A1", "A3", "A2"]
    if loop._simulated:
        assert [instant for _, instant in back] == [200_000_000, 400_000_000, 600_000_000]


def test_simulation_brings_them_back_at_the_exact_instants() -> None:
    back: dict[str, int] = {}
    with soliloop.simulation() as sim:

        async def A(name: str, seconds: float) -> None:
            soliloop.run(C(seconds))
            back[name] = sim.loop.time_ns()

        async def main() -> None:
            await asyncio.gather(A("A1", 0.2), A("A2", 0.6), A("A3", 0.4))

        sim.run(main())
    assert back == {"A1": 200_000_000, "A3": 400_000_000, "A2": 600_000_000}


@pytest.mark.parametrize("seed", range(3))
def test_hundreds_that_wait_at_once_complete_in_random_order(
    loop: soliloop.EventLoop, seed: int
) -> None:
    count = 400
    futures = [loop.create_future() for _ in range(count)]
    order = list(range(count))
    random.Random(seed).shuffle(order)
    back: list[int] = []

    async def A(number: int) -> None:
        assert loop.run_until_complete(futures[number]) == number
        back.append(number)

    async def main() -> None:
        tasks = [asyncio.create_task(A(number)) for number in range(count)]
        await asyncio.sleep(0)
        assert loop._counts()[2] == count
        for number in order:
            futures[number].set_result(number)
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    assert back == order


def test_all_woken_in_one_turn_come_back_in_the_order_of_waking(loop: soliloop.EventLoop) -> None:
    gate = loop.create_future()
    back: list[int] = []

    async def A(number: int) -> None:
        loop.run_until_complete(gate)
        back.append(number)

    async def main() -> None:
        tasks = [asyncio.create_task(A(number)) for number in range(50)]
        await asyncio.sleep(0)
        gate.set_result(None)
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    assert back == list(range(50))


def test_other_tasks_go_on_during_a_nested_run(loop: soliloop.EventLoop, second: float) -> None:
    events: list[str] = []

    ticked = asyncio.Event()

    async def ticker() -> None:
        for _ in range(3):
            await asyncio.sleep(second)
            events.append("tick")
        ticked.set()

    async def main() -> None:
        ticking = asyncio.create_task(ticker())
        loop.run_until_complete(ticked.wait())
        events.append("back")
        await ticking

    loop.run_until_complete(main())
    assert events == ["tick", "tick", "tick", "back"]


def test_callbacks_behind_a_nesting_one_keep_their_order(loop: soliloop.EventLoop) -> None:
    events: list[str] = []

    def nests() -> None:
        events.append("nests")
        loop.run_until_complete(asyncio.sleep(0))
        events.append("back")

    async def main() -> None:
        loop.call_soon(events.append, "before")
        loop.call_soon(nests)
        loop.call_soon(events.append, "behind 1")
        loop.call_soon(events.append, "behind 2")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while "back" not in events:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert events == ["before", "nests", "behind 1", "behind 2", "back"]
