"""Random programs run twice in simulated time: once with nested runs, once awaiting the same tasks instead.

A nested run is to be seen by nobody: every event comes at the same nanosecond, in the same order,
with the same outcome. Task groups are left out: they cancel their children in the order of a set
(see `test_sim_determinism.py`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import soliloop

Trace = list[tuple[int, str]]


@pytest.mark.parametrize("seed", range(100))
def test_nested_runs_are_like_awaits(seed: int) -> None:
    assert _run(seed, nested=True) == _run(seed, nested=False)


def _run(seed: int, *, nested: bool) -> Trace:
    events: Trace = []
    with soliloop.simulation() as sim:
        program = _Program(seed, sim.loop, nested, events)
        sim.run(program.main())
        assert sim.loop._counts()[2] == 0
    return events


class _Program:
    """A tree of coroutines; each draws what it does from a generator of its own, seeded by its path in the tree."""

    def __init__(self, seed: int, loop: soliloop.EventLoop, nested: bool, events: Trace) -> None:
        self.seed, self.loop, self.nested, self.events = seed, loop, nested, events
        self.gates = [asyncio.Event() for _ in range(3)]

    async def main(self) -> None:
        for number, gate in enumerate(self.gates):
            self.loop.call_later(2 + 3 * number, gate.set)
        tasks = [asyncio.create_task(self.node(f"{number}", 4)) for number in range(4)]
        for number, task in enumerate(tasks[:2]):
            self.loop.call_later(1.3 + number, task.cancel, f"from outside {number}")
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            self.note(f"main got {result!r}")

    async def node(self, path: str, depth: int) -> str:
        draw = random.Random(f"{self.seed}/{path}")
        self.note(f"{path} begins")
        try:
            for step in range(draw.randint(1, 3)):
                await self.step(f"{path}.{step}", depth, draw)
        except asyncio.CancelledError as error:
            self.note(f"{path} cancelled {error.args}")
            if draw.random() < 0.2:
                return f"{path} swallowed"
            raise
        finally:
            self.note(f"{path} ends")
        return path

    async def step(self, path: str, depth: int, draw: random.Random) -> None:
        action = draw.choice(self.ACTIONS if depth else self.ACTIONS[:3])
        await action(self, path, depth, draw)
        task = asyncio.current_task()
        assert task is not None
        self.note(f"{path} {action.__name__} done, {task.cancelling()}")

    async def sleep(self, path: str, depth: int, draw: random.Random) -> None:
        await asyncio.sleep(draw.choice([0, 0.1, 0.5, 1]))

    async def gate(self, path: str, depth: int, draw: random.Random) -> None:
        await draw.choice(self.gates).wait()

    async def fail(self, path: str, depth: int, draw: random.Random) -> None:
        if draw.random() < 0.3:
            raise LookupError(path)

    async def call(self, path: str, depth: int, draw: random.Random) -> None:
        try:
            result = await self.complete(self.node(path, depth - 1))
            self.note(f"{path} got {result}")
        except LookupError as error:
            self.note(f"{path} caught {error}")

    async def timeout(self, path: str, depth: int, draw: random.Random) -> None:
        try:
            async with asyncio.timeout(draw.choice([0, 0.2, 0.7, 5])):
                await self.call(path, depth, draw)
        except TimeoutError:
            self.note(f"{path} late")

    async def gather(self, path: str, depth: int, draw: random.Random) -> None:
        nodes = [self.node(f"{path}.{number}", depth - 1) for number in range(3)]
        for result in await asyncio.gather(*nodes, return_exceptions=True):
            self.note(f"{path} gathered {result!r}")

    async def complete(self, coroutine: Coroutine[Any, Any, str]) -> str:
        if self.nested:
            return self.loop.run_until_complete(coroutine)
        return await self.loop.create_task(coroutine)

    def note(self, event: str) -> None:
        self.events.append((self.loop.time_ns(), event))

    ACTIONS: tuple[Callable[..., Coroutine[Any, Any, None]], ...] = (
        sleep,
        gate,
        fail,
        call,
        call,
        timeout,
        gather,
    )
