"""The hosts of a simulation and the links between them, as a test sets them up."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import gc
import math
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from soliloop._errors import HostCrashedError
from soliloop._host import Incarnation, running_on

if TYPE_CHECKING:
    from soliloop._simulated_loop import SimulatedLoop

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long a packet is on its way, in seconds. Made by one of the class methods."""

    shape: str
    times: tuple[float, ...]

    @classmethod
    def fixed(cls, time: float) -> Self:
        """Always the same."""
        return cls("fixed", (_time("latency", time),))

    @classmethod
    def uniform(cls, low: float, high: float) -> Self:
        """Anything from *low* to *high*, each as likely."""
        if low > high:
            raise ValueError(f"the lowest latency, {low}, is above the highest, {high}")
        return cls("uniform", (_time("latency", low), _time("latency", high)))

    @classmethod
    def normal(cls, mean: float, deviation: float) -> Self:
        """A normal distribution, without what would be below zero."""
        return cls("normal", (_time("latency", mean), _time("deviation", deviation)))

    @classmethod
    def exponential(cls, least: float, mean: float) -> Self:
        """At least *least*, and on top of that an exponential distribution with this mean."""
        return cls("exponential", (_time("latency", least), _time("mean", mean)))

    @classmethod
    def of(cls, given: Latency | float | tuple[float, float]) -> Latency:
        """A latency as ``link`` takes it: seconds, a pair of them for a range, or a ``Latency``."""
        if isinstance(given, Latency):
            return given
        if isinstance(given, tuple):
            return cls.uniform(*given)
        return cls.fixed(given)


@dataclasses.dataclass(frozen=True)
class Link:
    """What one direction of a link is like.

    Args:
        latency: How long a packet is on its way.
        jitter: Up to as many seconds longer, each as likely.
        bandwidth: Bytes per second; without limit by default.
        loss: The probability that a packet is lost: a datagram for good, a part of a stream until it is sent again.
        duplicate: The probability that a datagram arrives twice.
        reorder: The probability that a datagram is held back, so that later ones overtake it.
        mtu: The largest packet in bytes, headers included; longer datagrams go in pieces, each of which can be lost.
    """

    latency: Latency = Latency("fixed", (0.0,))
    jitter: float = 0.0
    bandwidth: float | None = None
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    mtu: int = 1500

    def __post_init__(self) -> None:
        _time("jitter", self.jitter)
        for name in ("loss", "duplicate", "reorder"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a probability, from 0 to 1, and not {value!r}")
        if self.bandwidth is not None and not (self.bandwidth > 0):
            raise ValueError(
                f"bandwidth is in bytes per second, above 0, and not {self.bandwidth!r}"
            )
        if self.mtu < 68:
            raise ValueError(
                f"mtu is a number of bytes, at least 68 (RFC 791), and not {self.mtu!r}"
            )

    def _given(
        self,
    ) -> tuple[str, tuple[float, ...], float, float | None, float, float, float, int]:
        return (
            self.latency.shape,
            self.latency.times,
            self.jitter,
            self.bandwidth,
            self.loss,
            self.duplicate,
            self.reorder,
            self.mtu,
        )


class Host:
    """A host of a simulation: made by ``Simulation.host()``."""

    def __init__(
        self,
        loop: SimulatedLoop,
        name: str,
        number: int,
        boot: Callable[[], Coroutine[Any, Any, Any]] | None,
    ) -> None:
        self._loop = loop
        self._name = name
        self._number = number
        self._boot = boot
        self._incarnation = Incarnation(number)
        self._runs: dict[asyncio.Future[Any], asyncio.Task[Any]] = {}

    @property
    def name(self) -> str:
        """Its name, which the others resolve."""
        return self._name

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, loopback apart."""
        return tuple(self._loop._network.addresses(self._number))

    @property
    def is_up(self) -> bool:
        """Whether it runs: it does until ``crash()``, and again from ``restart()`` on."""
        return not self._incarnation.is_dead

    def run(self, main: Coroutine[Any, Any, _T], *, name: str | None = None) -> asyncio.Future[_T]:
        """Run a coroutine on this host; return the future of its result.

        It and all that it starts have the host's address and clock, and never run again once it has crashed: the future
        raises ``HostCrashedError`` then. Cancelling the future cancels the coroutine's task.

        Raises:
            RuntimeError: The host is down.
        """
        if not asyncio.iscoroutine(main):
            raise TypeError(f"a coroutine was expected, got {main!r}")
        if not self.is_up:
            main.close()
            raise RuntimeError(f"host {self._name!r} is down: restart() it first")
        context = contextvars.copy_context()
        context.run(running_on.set, self._incarnation)
        task: asyncio.Task[_T] = self._loop.create_task(
            main,
            name=name or f"{self._name}: {getattr(main, '__qualname__', main)}",
            context=context,
        )
        outcome: asyncio.Future[_T] = self._loop.create_future()
        self._runs[outcome] = task
        task.add_done_callback(functools.partial(self._pass_on, outcome), context=_NOWHERE)
        outcome.add_done_callback(functools.partial(_cancel, task), context=_NOWHERE)
        return outcome

    def crash(self) -> None:
        """Stop the host at once, as if its power failed: nothing that runs there goes on, not even a ``finally``.

        Its connections are gone without a word: peers find out by what does not come. Code of the host that is running now stops at
        its next ``await``.
        """
        if not self.is_up:
            return
        self._incarnation.is_dead = True
        self._loop._network.crash(self._number)
        self._loop._keep_the_dead()
        for outcome in list(self._runs):
            if not outcome.done():
                outcome.set_exception(HostCrashedError(f"host {self._name!r} has crashed"))
                outcome.exception()  # nobody need ask
        self._runs.clear()

    def restart(self) -> None:
        """Start the host again after a crash: its ports are free, its ``boot`` function runs anew, and nothing else does."""
        if self.is_up:
            raise RuntimeError(f"host {self._name!r} is up: crash() it first")
        self._incarnation = Incarnation(self._number)
        self._loop._network.restart(self._number)
        self._start()

    def _start(self) -> None:
        if self._boot is not None:
            self.run(self._boot())

    def _pass_on(self, outcome: asyncio.Future[Any], task: asyncio.Task[Any]) -> None:
        """The task has ended: so does the future that the caller has."""
        self._runs.pop(outcome, None)
        if task.cancelled():
            outcome.cancel()
        elif outcome.done():
            return
        elif (error := task.exception()) is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(task.result())

    def __repr__(self) -> str:
        return f"<Host {self._name!r} {'up' if self.is_up else 'down'} {', '.join(self.addresses)}>"


def _cancel(task: asyncio.Task[Any], outcome: asyncio.Future[Any]) -> None:
    if outcome.cancelled():
        task.cancel()


def context_of(task: asyncio.Task[Any]) -> contextvars.Context:
    """The context that a task runs in."""
    if sys.version_info >= (3, 12):
        return task.get_context()
    things = gc.get_referents(task)
    contexts = [thing for thing in things if isinstance(thing, contextvars.Context)]
    return next((one for one in contexts if running_on in one), contextvars.Context())


# What tells the caller of a crash must not belong to the host itself.
_NOWHERE = contextvars.Context()


def pairs(sources: Iterable[Host], targets: Iterable[Host]) -> Iterable[tuple[Host, Host]]:
    """Every pair of two different hosts."""
    targets = list(targets)
    return ((one, other) for one in sources for other in targets if one is not other)


def _time(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is in seconds, at least 0, and not {value!r}")
    return float(value)
