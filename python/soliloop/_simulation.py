"""Simulated worlds: the context manager that opens one, and what a test does to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from soliloop._errors import DeadlockError
from soliloop._network import Host, Latency, Link, pairs
from soliloop._simulated_loop import Outreach, SimulatedLoop

_T = TypeVar("_T")


class Simulation:
    """A simulated world: what ``soliloop.simulation()`` gives."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._hosts: dict[str, Host] = {}

    @property
    def loop(self) -> SimulatedLoop:
        """The event loop of the simulation."""
        return self._loop

    def run(self, main: Coroutine[Any, Any, _T] | asyncio.Future[_T]) -> _T:
        """Run a coroutine (or wait for a task) to its end in simulated time; return its result.

        May be called several times: the clock goes on. In a callback of the simulation it is a nested run.

        Raises:
            DeadlockError: It can never end, because nothing can happen any more.
        """
        if not (asyncio.iscoroutine(main) or asyncio.isfuture(main)):
            raise TypeError(f"a coroutine or a task was expected, got {main!r}")
        result: _T = self._loop.run_until_complete(main)
        return result

    def now(self) -> datetime:
        """Return the simulated date and time: aware, in the time zone of the start, in whole microseconds."""
        return self._loop.now()

    # ------------------------------------------------------------------ hosts and links

    def host(
        self,
        name: str,
        *,
        address: str | Iterable[str] = (),
        boot: Callable[[], Coroutine[Any, Any, Any]] | None = None,
        clock_offset: float = 0.0,
    ) -> Host:
        """Add a host. From the first one on, only names and addresses of hosts that were added are known.

        Args:
            name: The name that others resolve.
            address: Its addresses; by default it gets one of each IP version.
            boot: A coroutine function that runs on the host from now on, and again after each ``restart()``.
            clock_offset: How many seconds its wall clock is ahead.

        Raises:
            ValueError: Another host has the name, or an address.
        """
        addresses = [address] if isinstance(address, str) else list(address)
        number = self._loop._network.add_host(name, addresses)
        if clock_offset:
            self._loop._network.set_clock_offset(number, round(clock_offset * 1e9))
        host = Host(self._loop, name, number, boot)
        self._hosts[name] = host
        host._start()
        return host

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts that were added, in that order."""
        return tuple(self._hosts.values())

    def link(
        self,
        a: Host | str | None = None,
        b: Host | str | None = None,
        *,
        latency: Latency | float | tuple[float, float] = 0.0,
        both_ways: bool = True,
        **options: Any,
    ) -> None:
        """Set what the link between two hosts is like; without hosts, what all links are like that nothing else was said of.

        Args:
            a: One end.
            b: The other end.
            latency: In seconds: a number, a pair of them for a range, or a ``Latency``.
            both_ways: Whether it holds for what *b* sends to *a* as well.
            options: ``jitter``, ``bandwidth``, ``loss``, ``duplicate``, ``reorder``, ``mtu``, as ``Link`` has them.

        Raises:
            ValueError: A time is negative, a probability is none, or a host is unknown.
        """
        quality = Link(latency=Latency.of(latency), **options)._given()
        if a is None and b is None:
            self._loop._network.set_link(quality)
            return
        if a is None or b is None:
            raise ValueError("a link has two ends: name both hosts, or none for all links")
        source, target = self._host(a)._number, self._host(b)._number
        self._loop._network.set_link(quality, source, target)
        if both_ways:
            self._loop._network.set_link(quality, target, source)

    def partition(self, *groups: Iterable[Host | str] | Host | str) -> None:
        """Cut the links between hosts of different groups; the hosts in no group form one of their own.

        What is under way is lost: datagrams for good, streams go on after ``heal()``, or end with a timeout.
        """
        parts = [self._group(group) for group in groups]
        named = {host for part in parts for host in part}
        parts.append([host for host in self._hosts.values() if host not in named])
        for number, part in enumerate(parts):
            for others in parts[number + 1 :]:
                for one, other in pairs(part, others):
                    self._loop._network.set_cut(one._number, other._number, True)
                    self._loop._network.set_cut(other._number, one._number, True)

    def cut(self, source: Host | str, target: Host | str) -> None:
        """Cut one direction: what *source* sends does not reach *target*."""
        self._loop._network.set_cut(self._host(source)._number, self._host(target)._number, True)

    def heal(self) -> None:
        """Mend all that ``partition()`` and ``cut()`` have cut."""
        for one, other in pairs(self._hosts.values(), self._hosts.values()):
            self._loop._network.set_cut(one._number, other._number, False)

    @property
    def digest(self) -> str:
        """A digest of what has happened so far: two runs with the same one went the same way."""
        return f"{self._loop._network.digest():016x}"

    def snapshot(self) -> str:
        """The hosts, links and sockets as text: for the message of a failed test."""
        return self._loop._network.snapshot()

    def _group(self, group: Iterable[Host | str] | Host | str) -> list[Host]:
        if isinstance(group, Host | str):
            return [self._host(group)]
        return [self._host(host) for host in group]

    def _host(self, host: Host | str) -> Host:
        if isinstance(host, Host):
            return host
        try:
            return self._hosts[host]
        except KeyError:
            known = ", ".join(self._hosts) or "none was added"
            raise ValueError(f"there is no host {host!r} (hosts: {known})") from None


@contextlib.contextmanager
def simulation(
    start: datetime | str | None = None,
    *,
    nesting: bool = True,
    factor: float | None = None,
    seed: int | None = 0,
    entropy: bool = False,
    outside: Outreach = "forbid",
    names: bool = False,
) -> Iterator[Simulation]:
    """Open a simulated world; at its end pending tasks are cancelled and the loop is closed.

    In the block, on this thread, every clock of ``time`` and ``datetime`` shows the simulated time, ``time.sleep`` moves it,
    and the functions of ``random`` draw from a generator of the simulation. Other threads see the true time, and so does a loop in
    real time that is run inside. The clocks of the processor (``time.process_time``, ``time.thread_time``) stay real.

    Args:
        start: The simulated date and time of the beginning: an aware datetime, or ISO 8601 text with an offset. By default
            the year 2000 begins, in UTC.
        nesting: A callback may run a coroutine to its end (``loop.run_until_complete``, ``sim.run``, ``soliloop.run``).
        factor: Play at this many simulated seconds per real second, rather than without waiting.
        seed: What the functions of ``random`` draw in the simulation is what ``random.Random(seed)`` draws. A ``random.Random()``
            gets a seed that is made from this one. What is drawn outside is not affected. ``None`` leaves ``random`` alone.
        entropy: ``os.urandom``, and so ``uuid.uuid4``, ``secrets`` and ``random.SystemRandom``, give bytes that are made from the
            seed, too. (``uuid.uuid1`` stays the system's.)
        outside: With "allow" the program may use the real world as well: names and addresses that the simulation doesn't know,
            child processes, threads, signals, executors of processes. The simulated clock stands still while an answer of a real
            peer, the end of a child process or a call that ``run_in_executor`` gives to such an executor is waited for. It does
            not for a thread that the program has started itself, or by ``submit``: while only that is at work, the next timer is
            due at once (without a timer the loop waits for the thread). With "threads" it may start real threads and nothing
            else: the clock does not wait for them, and they may not call the loop.
        names: What ``getsockname()`` and the like tell has the names of hosts in the place of their numbers:
            ``("exchange", 80)`` rather than ``("10.0.0.2", 80)``. (Names are always fine as an address to connect or send to.)

    Raises:
        ValueError: ``start`` has no time zone or is no date, ``factor`` is no positive number, or ``entropy`` has no seed.
        PitfallWarning: A warning, that ``time.sleep`` in a coroutine or callback has held the loop up.
        DeadlockError: At the end, a cancelled task waits for what never comes. (If the simulation has failed already, that goes
            to the loop's exception handler instead.)
    """
    loop = SimulatedLoop(
        start=start,
        nesting=nesting,
        factor=factor,
        seed=seed,
        entropy=entropy,
        outside=outside,
        names=names,
    )
    try:
        loop._enter_world()
        try:
            yield Simulation(loop)
        except BaseException as failure:
            # What went wrong is not to be hidden by what that leaves undone.
            try:
                _finish(loop)
            except DeadlockError as error:
                if not isinstance(failure, DeadlockError):
                    loop.call_exception_handler(
                        {
                            "message": "a failed simulation left tasks that cannot end",
                            "exception": error,
                        }
                    )
            raise
        _finish(loop)
    finally:
        try:
            loop.close()
        finally:
            loop._leave_world()


def _finish(loop: SimulatedLoop) -> None:
    """Cancel what is pending and let it end, as ``asyncio.Runner.close`` does."""
    if loop.is_closed():  # by the program
        return
    pending = asyncio.all_tasks(loop) - loop._graves
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    for task in pending:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception at the end of a simulation",
                    "exception": error,
                    "task": task,
                }
            )
    if loop._graves:
        loop.run_until_complete(loop._bury())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
