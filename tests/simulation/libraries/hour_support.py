"""An hour in the life of a client and a server: what the tests of libraries have in common.

The link has latency, jitter and loss. There is a partition that is healed, and the server crashes and is restarted. Nothing here
knows a library; a test brings what the server serves, and what the client does all the time.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import soliloop

HOUR = 3600.0
PARTITION = 1000.0, 1120.0
OUTAGE = 2120.0, 2180.0
"""From the crash to the restart."""
SETTLED = 90.0
"""How long after a fault the client has surely noticed that all is well again."""
SEED = 11
CERTIFICATE = Path(__file__).parents[3] / "benches" / "localhost.pem"
"""A certificate for "localhost", with its key."""


@dataclass
class Log:
    """What the client saw: when something succeeded, and when something failed, with the name of the error."""

    clock: Callable[[], float]
    good: list[float] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)

    def success(self) -> None:
        self.good.append(round(self.clock(), 6))

    def failure(self, error: BaseException) -> None:
        self.errors.append((round(self.clock(), 6), type(error).__name__))

    @property
    def is_over(self) -> bool:
        return self.clock() >= HOUR


@dataclass
class Outcome:
    good: list[float]
    errors: list[tuple[float, str]]
    end: float
    digest: str
    loose_ends: list[str]
    """Sockets and tasks that were left at the end."""

    def good_between(self, begin: float, end: float) -> int:
        return sum(begin <= time < end for time in self.good)

    def errors_between(self, begin: float, end: float) -> list[str]:
        return [error for time, error in self.errors if begin <= time < end]


Serve = Callable[[asyncio.Event], Awaitable[None]]
"""Serves until the event is set, then ends in an orderly way."""
Work = Callable[[Log], Awaitable[None]]
"""Works until the log is over, whatever happens, and closes all that it has opened."""


def an_hour(serve: Serve, work: Work) -> Outcome:
    """Live through the hour on the hosts "server" and "client"."""
    with soliloop.simulation(seed=SEED) as sim:
        sim.link(latency=0.02, jitter=0.005, loss=0.01)
        stops: list[asyncio.Event] = []
        ended: list[asyncio.Event] = []

        async def boot() -> None:
            stops.append(asyncio.Event())
            ended.append(asyncio.Event())
            await serve(stops[-1])
            ended[-1].set()

        server = sim.host("server", address="10.1.0.1", boot=boot)
        client = sim.host("client", address="10.1.0.2")
        log = Log(sim.loop.time)

        async def main() -> None:
            await asyncio.sleep(1)  # until the server listens
            working = client.run(_of(work(log)))
            await _until(PARTITION[0])
            sim.partition([server], [client])
            await _until(PARTITION[1])
            sim.heal()
            await _until(OUTAGE[0])
            server.crash()
            await _until(OUTAGE[1])
            server.restart()
            await working
            stops[-1].set()
            await ended[-1].wait()
            await asyncio.sleep(30)  # for the last farewells

        sim.run(main())
        left = [line.strip() for line in sim.snapshot().splitlines() if line.startswith("  ")]
        left += [repr(task) for task in asyncio.all_tasks(sim.loop) - sim.loop._graves]
        outcome = Outcome(log.good, log.errors, sim.loop.time(), sim.digest, left)
    # What was not closed says so when it is collected: an error in tests.
    gc.collect()
    return outcome


def assert_plausible(outcome: Outcome, errors: set[str]) -> None:
    """Requests succeed but for the faults, where they fail with these errors or wait, and soon after."""
    assert outcome.end >= HOUR
    quiet = [(0.0, PARTITION[0]), (PARTITION[1] + SETTLED, OUTAGE[0]), (OUTAGE[1] + SETTLED, HOUR)]
    for begin, end in quiet:
        # One a ten seconds, and nothing goes wrong.
        assert outcome.good_between(begin, end) >= (end - begin) / 12, (begin, end)
        assert outcome.errors_between(begin, end) == []
    for begin, end in (PARTITION, OUTAGE):
        assert outcome.good_between(begin + 1, end) == 0
        found = set(outcome.errors_between(begin, end + SETTLED))
        assert found <= errors
        assert found or not errors
    assert outcome.loose_ends == []


async def _of(work: Awaitable[None]) -> None:
    await work


async def _until(time: float) -> None:
    await asyncio.sleep(time - asyncio.get_running_loop().time())
