"""The loop of a simulation: what asyncio asks of a loop, answered inside a simulated world."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import operator
import os
import socket
import sys
import threading
import warnings
from asyncio import selector_events
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any, Literal, Self, TypeVar, TypeVarTuple, get_args

from soliloop import _reports
from soliloop._host import Incarnation, current_host, running_on
from soliloop._loop import EventLoop
from soliloop._network import context_of
from soliloop._resolver import Resolving
from soliloop._select import Selecting
from soliloop._soliloop import (
    LoopCore,
    Network,
    Outside,
    _end_threads,
    _hand_over,
    _is_simulated,
    _note_work,
)
from soliloop._task import SimulatedTask
from soliloop._threads import SimulatedPool

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Outreach = Literal["forbid", "threads", "allow"]
DEFAULT_START = datetime(2000, 1, 1, tzinfo=UTC)
# Of the default executor. asyncio has as many as the machine has processors, and some; a simulation is the same everywhere.
DEFAULT_THREADS = 32
_SELF_PIPE = selector_events.BaseSelectorEventLoop._make_self_pipe.__code__  # type: ignore[attr-defined]
_PAIR = socket.socketpair.__code__
_OF_PROCESSES = ("subprocess", "multiprocessing")
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


class SimulatedLoop(Resolving, Selecting):  # type: ignore[misc]
    """A loop whose clock starts at zero, and moves only when nothing is ready, straight to the next timer.

    While it runs, the clocks of ``time`` and ``datetime`` show its time on this thread, and with a seed the module ``random``
    draws from that, as in ``soliloop.simulation()``, whose arguments it has; ``clocks=False`` leaves both alone. What would reach
    the real world raises ``OutsideWorldError``, unless ``outside="allow"``; with ``"threads"`` real threads may be started,
    and no more. Also made by ``soliloop.new_event_loop(simulated=True)``.
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
        outside: Outreach = "forbid",
        names: bool = False,
    ) -> Self:
        instant = parse_start(start)
        if entropy and seed is None:
            raise ValueError("entropy=True needs a seed=, from which the random bytes are made")
        if outside not in get_args(Outreach):
            raise ValueError(f"outside is 'forbid', 'threads' or 'allow', and not {outside!r}")
        plan: Any = {
            "factor": factor,
            "start_ns": _nanoseconds(instant) if clocks else None,
            "seed": None if seed is None else operator.index(seed),
            "entropy": entropy,
            "outside": outside,
            "tells_names": names,
        }
        loop: Self = LoopCore.__new__(cls, nesting=nesting, simulated=plan)
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
        outside: Outreach = "forbid",
        names: bool = False,
    ) -> None:
        self._reaches_out = outside == "allow"
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

    def outside(self) -> Outside:
        """Return a context manager in which this thread has left the simulation: clocks, sockets and threads are the real ones."""
        return Outside()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Return a context manager in which this thread is in the simulation, whether the loop runs or not.

        Sockets that are made there are the simulation's, and are to be used there or in a run.
        """
        self._check_closed()
        self._enter_world()
        try:
            yield
        finally:
            self._leave_world()

    def hand_over(self, sock: socket.socket, to: SimulatedLoop) -> None:
        """Give a socket of this simulation, and the one that it is connected to, to another simulation.

        What was sent and not read goes with them. For connected pairs and new sockets of streams, that no call or
        transport waits for.

        Raises:
            ValueError: It is no such socket.
        """
        self._check_closed()
        self._ensure_fd_no_transport(sock)
        _hand_over(self, sock, to)

    def _report_block(self, call: str, seconds: float) -> None:
        _reports.blocked(self, call, seconds, _reports.caller())

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """Look a name up in the table of hosts (asyncio docs); it takes no time."""
        return socket.getaddrinfo(host, port, **options)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Look an address up in the table of hosts (asyncio docs); it takes no time."""
        return socket.getnameinfo(sockaddr, flags)

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: int) -> int:
        # The system's way is for its own sockets; here it is the same to read and to write. But it refuses what the system refuses.
        try:
            os.fstat(file.fileno())
        except (AttributeError, OSError):
            raise asyncio.SendfileNotAvailableError("not a regular file") from None
        sent: int = await self._sock_sendfile_fallback(sock, file, offset, count)  # type: ignore[attr-defined]
        return sent

    def _wrap_socket(self, context: Any, *args: Any, **options: Any) -> object:
        from soliloop._blocking_tls import BlockingTls

        return BlockingTls(context, *args, **options)

    @property
    def _network(self) -> Network:
        # Made anew each time: kept, it would be a ring.
        return Network(self)

    def _is_for_outside(self) -> bool:
        """Whether the caller makes a pipe for the real world.

        A loop of asyncio's own that is being made does, as it waits there; so do the modules for child processes.
        """
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is _PAIR:
            frame = frame.f_back
        if frame is None:
            return False
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        return frame.f_code is _SELF_PIPE or (self._reaches_out and package in _OF_PROCESSES)

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
            self._check_callback(func, "run_in_executor")  # type: ignore[attr-defined]
        if executor is None:
            self._check_default_executor()  # type: ignore[attr-defined]
            executor = self._default_executor
        if executor is None:
            pool = self._pool_of_default()
        elif isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            if executor._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            pool = self._pool(executor)
        elif self._reaches_out:
            return self._run_outside(executor, func, args)
        else:
            raise self._outside_error(f"loop.run_in_executor() was given {executor!r}")
        return pool.submit(func, args)

    def _run_outside(
        self, executor: Any, func: Callable[..., _T], args: tuple[Any, ...]
    ) -> asyncio.Future[_T]:
        """Have the real workers of an executor call *func*; the clock stands still until they have."""
        with Outside():
            future: asyncio.Future[_T] = super().run_in_executor(executor, func, *args)
        _note_work(self, True)
        future.add_done_callback(lambda _: _note_work(self, False))
        return future

    def _start_process(self, *args: Any, **options: Any) -> Any:
        with Outside():
            return super()._start_process(*args, **options)

    async def connect_read_pipe(self, protocol_factory: Any, pipe: Any) -> Any:
        """Read from a pipe (asyncio docs): one that was made in the simulation, unless it reaches out."""
        self._check_pipe_inside("connect_read_pipe", pipe)
        return await super().connect_read_pipe(protocol_factory, pipe)

    async def connect_write_pipe(self, protocol_factory: Any, pipe: Any) -> Any:
        """Write to a pipe (asyncio docs): one that was made in the simulation, unless it reaches out."""
        self._check_pipe_inside("connect_write_pipe", pipe)
        return await super().connect_write_pipe(protocol_factory, pipe)

    def _check_pipe_inside(self, call: str, pipe: Any) -> None:
        if not (self._reaches_out or _is_simulated(self, pipe.fileno())):
            raise self._outside_error(f"loop.{call}() of a pipe of the real world, {pipe!r}")

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

    def _unfinished_runs(self) -> list[Any]:
        return [run for run in super()._unfinished_runs() if run[0] not in self._graves]

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


def _reaching_out(name: str) -> Callable[..., Any]:
    method = getattr(EventLoop, name)

    @functools.wraps(method)
    def call(self: SimulatedLoop, *args: Any, **options: Any) -> Any:
        if not self._reaches_out:
            raise self._outside_error(f"loop.{name}() reaches the real world")
        return method(self, *args, **options)

    return call


for _name in ("add_signal_handler", "remove_signal_handler", "subprocess_exec", "subprocess_shell"):
    setattr(SimulatedLoop, _name, _reaching_out(_name))
del _name
