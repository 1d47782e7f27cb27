"""Simulated time: a loop that lives in a world of its own, and the context manager around it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import itertools
import operator
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar, TypeVarTuple

from soliloop import _reports
from soliloop._errors import DeadlockError
from soliloop._host import Incarnation, current_host, running_on
from soliloop._loop import EventLoop
from soliloop._network import Host, Latency, Link, context_of, pairs
from soliloop._resolver import Resolving
from soliloop._select import Selecting
from soliloop._soliloop import LoopCore, Network, _end_threads
from soliloop._task import SimulatedTask
from soliloop._threads import SimulatedPool

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_START = datetime(2000, 1, 1, tzinfo=UTC)
# Of the default executor. asyncio has as many as the machine has processors, and some; a simulation is the same everywhere.
DEFAULT_THREADS = 32
# Of a coroutine that is being closed, until it is left alone.
_MOST_AWAITS = 100


def parse_start(start: datetime | str | None) -> datetime:
    """The instant at which a simulation starts, as an aware datetime.

    Raises:
        ValueError: It is no ISO 8601 date and time, or has no time zone.
    """
    if start is None:
        return DEFAULT_START
    instant = datetime.fromisoformat(start) if isinstance(start, str) else start
    if not isinstance(instant, datetime):
        raise TypeError(f"start must be an aware datetime or ISO 8601 text, not {start!r}")
    if instant.utcoffset() is None:
        raise ValueError(
            f"start={start!r} has no time zone: write it with one, as in '2024-01-02T09:30-05:00', "
            "or pass an aware datetime"
        )
    return instant


def _nanoseconds(instant: datetime) -> int:
    """Nanoseconds since the epoch, exactly."""
    elapsed = instant - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000


class SimulatedLoop(EventLoop, Resolving, Selecting):
    """A loop whose clock starts at zero, and moves only when nothing is ready, straight to the next timer.

    While it runs, the clocks of ``time`` and ``datetime`` show its time on this thread, and with a seed the module ``random``
    draws from that, as in ``soliloop.simulation()``, whose arguments it has; ``clocks=False`` leaves both alone. It knows no
    outside world: what would reach the network, a child process or a signal raises ``OutsideWorldError``. Also made by
    ``soliloop.new_event_loop(simulated=True)``.
    """

    _own_task_class = SimulatedTask
    start: datetime

    def __new__(
        cls,
        *,
        start: datetime | str | None = None,
        nesting: bool = False,
        factor: float | None = None,
        seed: int | None = None,
        entropy: bool = False,
        clocks: bool = True,
    ) -> Self:
        instant = parse_start(start)
        if entropy and seed is None:
            raise ValueError("entropy=True needs a seed=, from which the random bytes are made")
        loop: Self = LoopCore.__new__(
            cls,
            simulated=True,
            nesting=nesting,
            factor=factor,
            start_ns=_nanoseconds(instant) if clocks else None,
            seed=None if seed is None else operator.index(seed),
            entropy=entropy,
        )
        loop.start = instant
        return loop

    def __init__(
        self,
        *,
        start: datetime | str | None = None,
        nesting: bool = False,
        factor: float | None = None,
        seed: int | None = None,
        entropy: bool = False,
        clocks: bool = True,
    ) -> None:
        self._task_numbers = itertools.count()
        super().__init__(nesting=nesting)
        self._task_class = self._own_task_class

    def now(self) -> datetime:
        """Return the simulated date and time, in the time zone of the start, in whole microseconds."""
        elapsed = timedelta(microseconds=self.time_ns() // 1000)
        try:
            return (self.start.astimezone(UTC) + elapsed).astimezone(self.start.tzinfo)
        except OverflowError:
            raise OverflowError(
                f"the simulated date, {elapsed} after {self.start}, is none that a datetime can hold"
            ) from None

    def _report_block(self, call: str, seconds: float) -> None:
        _reports.blocked(self, call, seconds, _reports.caller())

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """Look a name up in the table of hosts (asyncio docs); it takes no time."""
        return socket.getaddrinfo(host, port, **options)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Look an address up in the table of hosts (asyncio docs); it takes no time."""
        return socket.getnameinfo(sockaddr, flags)

    async def _sendfile_native(self, transport: Any, file: Any, offset: int, count: int) -> int:
        # The system's way is for its own sockets; here it is the same to read and to write.
        sent: int = await self._sendfile_fallback(transport, file, offset, count)  # type: ignore[attr-defined]
        return sent

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: int) -> int:
        sent: int = await self._sock_sendfile_fallback(sock, file, offset, count)  # type: ignore[attr-defined]
        return sent

    @property
    def _network(self) -> Network:
        # Made anew each time: kept, it would be a ring.
        return Network(self)

    def _host_number(self) -> int:
        return current_host()

    def run_in_executor(
        self, executor: Any, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run *func* in a simulated thread, no more at a time than the executor has threads (asyncio docs).

        Raises:
            OutsideWorldError: The executor's workers are no threads.
        """
        self._check_closed()
        if self.get_debug():
            self._check_callback(func, "run_in_executor")
        if executor is None:
            self._check_default_executor()
            executor = self._default_executor
        if executor is None:
            pool = self._pool_of_default()
        elif isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            if executor._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            pool = self._pool(executor)
        else:
            raise self._outside_error(f"loop.run_in_executor() of {executor!r}")
        return pool.submit(func, args)

    def _pool_of_default(self) -> SimulatedPool:
        make = functools.partial(SimulatedPool, self, "asyncio", DEFAULT_THREADS)
        return self._known_pool(None, make)

    def _pool(self, executor: concurrent.futures.ThreadPoolExecutor) -> SimulatedPool:
        return self._known_pool(executor, functools.partial(SimulatedPool.of, self, executor))

    def _known_pool(self, executor: Any, make: Callable[[], SimulatedPool]) -> SimulatedPool:
        # Each host has its own threads, which end with it.
        key = executor, running_on.get()
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = make()
        return pool

    @functools.cached_property
    def _pools(self) -> dict[tuple[Any, Incarnation | None], SimulatedPool]:
        return {}

    def _keep_the_dead(self) -> None:
        """Keep the tasks of hosts that have crashed: to let go of one would run its ``finally``."""
        for task in asyncio.all_tasks(self):
            if _is_dead(context_of(task).get(running_on)):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                self._graves.add(task)

    @functools.cached_property
    def _graves(self) -> set[asyncio.Task[Any]]:
        return set()

    def _let_go_of_the_dead(self) -> None:
        """The simulation is over: what the tasks of crashed hosts say to that is of no interest to anybody."""
        if not self._graves:
            return
        with warnings.catch_warnings(), _unheard():
            warnings.simplefilter("ignore")
            gone: set[asyncio.Task[Any]] = set()
            while left := self._graves - gone:
                for task in left:
                    context_of(task).copy().run(_end, task.get_coro())
                gone |= left
                # Those that they have started meanwhile.
                self._keep_the_dead()

    async def _bury(self) -> None:
        # Within a run: what ends may ask for the running loop.
        self._let_go_of_the_dead()

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        if not _is_dead(running_on.get()):
            super()._asyncgen_finalizer_hook(agen)  # type: ignore[misc]

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait until the default executor's threads have ended (asyncio docs): in simulated time."""
        self._executor_shutdown_called = True
        default = self._default_executor
        pools = [
            pool
            for (executor, incarnation), pool in self._pools.items()
            if executor is default and not (incarnation and incarnation.is_dead)
        ]
        try:
            async with asyncio.timeout(timeout):
                for pool in pools:
                    await pool.drain()
        except TimeoutError:
            warnings.warn(
                f"The executor did not finish joining its threads within {timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )
        if default is not None:
            default.shutdown(wait=False)

    def _close_core(self) -> None:
        self._let_go_of_the_dead()
        self._graves.clear()
        _end_threads(self)
        super()._close_core()


def _is_dead(incarnation: Incarnation | None) -> bool:
    return incarnation is not None and incarnation.is_dead


def _end(coroutine: Any) -> bool:
    """Close a coroutine, though it may well await something when it is told to end.

    What it awaits is closed first: left suspended, it would speak up when it is collected. Gives whether it has ended.
    """
    for _ in range(_MOST_AWAITS):
        awaited = getattr(coroutine, "cr_await", None)
        if isinstance(awaited, Coroutine) and not _end(awaited):
            return False
        with contextlib.suppress(BaseException):
            coroutine.close()
        if getattr(coroutine, "cr_frame", None) is None:
            return True
    return False


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Have errors that nobody can catch go unheard, on this thread."""
    before, own = sys.unraisablehook, threading.get_ident()

    def hook(unraisable: Any) -> None:
        if threading.get_ident() != own:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _outside(name: str) -> Callable[..., NoReturn]:
    def refuse(self: SimulatedLoop, *args: Any, **kwargs: Any) -> NoReturn:
        raise self._outside_error(f"loop.{name}() reaches the real world")

    refuse.__name__ = name
    return refuse


for _name in (
    "add_signal_handler remove_signal_handler connect_read_pipe connect_write_pipe subprocess_exec subprocess_shell"
).split():
    setattr(SimulatedLoop, _name, _outside(_name))
del _name


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

    Raises:
        ValueError: ``start`` has no time zone or is no date, ``factor`` is no positive number, or ``entropy`` has no seed.
        PitfallWarning: A warning, that ``time.sleep`` in a coroutine or callback has held the loop up.
        DeadlockError: At the end, a cancelled task waits for what never comes. (If the simulation has failed already, that goes
            to the loop's exception handler instead.)
    """
    loop = SimulatedLoop(start=start, nesting=nesting, factor=factor, seed=seed, entropy=entropy)
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
