"""Simulated time: a loop that lives in a world of its own, and the context manager around it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import operator
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar, TypeVarTuple

from soliloop import _reports
from soliloop._errors import DeadlockError, OutsideWorldError
from soliloop._loop import EventLoop
from soliloop._soliloop import LoopCore, OuterRun
from soliloop._task import SimulatedTask

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_START = datetime(2000, 1, 1, tzinfo=UTC)


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


class SimulatedLoop(EventLoop):
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

    def run_in_executor(
        self, executor: Any, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run *func* at once, as if its thread took no time; it sees no running loop and no variables, as in a new thread."""
        self._check_closed()
        future: asyncio.Future[_T] = self.create_future()
        try:
            with OuterRun():
                result = contextvars.Context().run(func, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future


def _outside(name: str) -> Callable[..., NoReturn]:
    def refuse(self: SimulatedLoop, *args: Any, **kwargs: Any) -> NoReturn:
        raise OutsideWorldError(
            f"loop.{name}() reaches the real world, and this loop lives in a simulated one"
        )

    refuse.__name__ = name
    return refuse


for _name in (
    "add_reader remove_reader add_writer remove_writer add_signal_handler remove_signal_handler "
    "sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto sock_sendfile sock_connect sock_accept "
    "create_connection create_server create_unix_connection create_unix_server create_datagram_endpoint "
    "connect_accepted_socket connect_read_pipe connect_write_pipe subprocess_exec subprocess_shell "
    "getaddrinfo getnameinfo sendfile start_tls"
).split():
    setattr(SimulatedLoop, _name, _outside(_name))
del _name


class Simulation:
    """A simulated world: what ``soliloop.simulation()`` gives."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    @property
    def loop(self) -> SimulatedLoop:
        """The event loop of the simulation."""
        return self._loop

    def run(self, main: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end in simulated time; return its result.

        May be called several times: the clock goes on. In a callback of the simulation it is a nested run.

        Raises:
            DeadlockError: It can never end, because nothing can happen any more.
        """
        if not asyncio.iscoroutine(main):
            raise TypeError(f"a coroutine was expected, got {main!r}")
        result: _T = self._loop.run_until_complete(main)
        return result

    def now(self) -> datetime:
        """Return the simulated date and time: aware, in the time zone of the start, in whole microseconds."""
        return self._loop.now()


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
        except BaseException:
            # What went wrong is not to be hidden by what that leaves undone.
            try:
                _finish(loop)
            except DeadlockError as error:
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
    pending = asyncio.all_tasks(loop)
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
    loop.run_until_complete(loop.shutdown_asyncgens())
