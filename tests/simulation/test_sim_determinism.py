"""The same program twice gives the same trace of instants and events.

In one process, in two of different hash seeds, and where asyncio keeps tasks in sets.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import soliloop

Trace = list[tuple[int, str]]


def trace(seed: int) -> Trace:
    """Queues, locks, timeouts, cancellations, nested runs and executors, under a seeded choice of delays."""
    events: Trace = []
    draw = random.Random(seed)
    with soliloop.simulation() as sim:

        def note(event: str) -> None:
            events.append((sim.loop.time_ns(), event))

        async def worker(name: str, queue: asyncio.Queue[float], lock: asyncio.Lock) -> None:
            while True:
                delay = await queue.get()
                try:
                    async with asyncio.timeout(0.5):
                        if delay < 0.3:
                            soliloop.run(asyncio.sleep(delay))
                        else:
                            async with lock:
                                await asyncio.sleep(delay)
                    note(f"{name} done {delay}")
                except TimeoutError:
                    note(f"{name} late {delay}")
                finally:
                    queue.task_done()

        async def main() -> None:
            queue: asyncio.Queue[float] = asyncio.Queue()
            lock = asyncio.Lock()
            workers = {
                asyncio.create_task(worker(f"w{number}", queue, lock)) for number in range(8)
            }
            for _ in range(200):
                queue.put_nowait(draw.random())
                await asyncio.sleep(draw.random() / 20)
            await queue.join()
            note(str(await asyncio.to_thread(sum, range(10))))
            for task in workers:
                task.cancel()
            for ended in await asyncio.gather(*workers, return_exceptions=True):
                note(type(ended).__name__)

        sim.run(main())
    return events


def digest(seed: int) -> str:
    return hashlib.sha256(repr(trace(seed)).encode()).hexdigest()


def test_twice_in_one_process() -> None:
    first = trace(1)
    assert len(first) > 200
    assert any("late" in event for _, event in first) and any("done" in event for _, event in first)
    assert first == trace(1)
    assert first != trace(2)


def test_in_processes_of_different_hash_seeds() -> None:
    program = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); "
    program += f"import {__name__.rpartition('.')[2]} as canary; print(canary.digest(3))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in (1, 2)
    }
    assert digests == {digest(3) + "\n"}


def test_instants_do_not_depend_on_other_simulations() -> None:
    alone = trace(4)
    with soliloop.simulation() as sim:
        sim.run(asyncio.sleep(1))

        async def around() -> Trace:
            return trace(4)

        assert sim.run(around()) == alone


# ------------------------------------------------------------------ sets of tasks


async def _note_the_end(name: int, ended: list[int]) -> None:
    try:
        await asyncio.sleep(10)
    finally:
        ended.append(name)


async def _group(ended: list[int]) -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise LookupError

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(_note_the_end(number, ended))
            group.create_task(fails())
    except* LookupError:
        pass


async def _wait(ended: list[int]) -> None:
    tasks = [
        asyncio.create_task(_note_the_end(number, ended), name=str(number)) for number in range(30)
    ]
    _, pending = await asyncio.wait(tasks, timeout=1)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)


async def _all_tasks(ended: list[int]) -> None:
    tasks = [asyncio.create_task(_note_the_end(number, ended)) for number in range(30)]
    await asyncio.sleep(1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.wait(tasks)


async def _end_of_the_simulation(ended: list[int]) -> None:
    loop: Any = asyncio.get_running_loop()
    loop.kept = [asyncio.create_task(_note_the_end(number, ended)) for number in range(30)]
    await asyncio.sleep(1)


PROGRAMS = [_group, _wait, _all_tasks, _end_of_the_simulation]


@pytest.mark.parametrize(
    "program", PROGRAMS, ids=[program.__name__.strip("_") for program in PROGRAMS]
)
def test_the_order_in_which_sets_of_tasks_are_cancelled(
    program: Callable[[list[int]], Coroutine[Any, Any, None]],
) -> None:
    orders: list[list[int]] = []
    ballast: list[object] = []
    for round_ in range(5):
        ballast.append([object() for _ in range(101 * round_)])  # so that addresses differ
        ended: list[int] = []
        with soliloop.simulation() as sim:
            sim.run(program(ended))
        ballast.append(asyncio.Event())
        orders.append(ended)
    assert len(orders[0]) == 30
    assert all(order == orders[0] for order in orders), orders
