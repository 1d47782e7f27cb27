"""The surface of ``async_solipsism`` 0.10 over soliloop's simulated loop.

To move a program: ``import soliloop.compat.async_solipsism as async_solipsism``. Names, signatures
and exceptions are those of the package (its documentation is its README); the code is soliloop's.
Only the loop's own clock is simulated: ``time.time()`` and ``datetime.now()`` show the true time.

What differs:

- The clock counts whole nanoseconds, not microseconds: ``ResolutionWarning`` is never given.
- A wait of a day or longer is a wait; ``async_solipsism`` takes it for one without end.
- Its sockets, and the loop methods that work on them, are not here yet: they come with the
  simulated network. Until then their names can be imported, and raise ``SolipsismError`` when they
  are used.
- ``EventLoop(nesting=True)`` allows nested runs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn, Self, TypeVar, TypeVarTuple

import soliloop

__version__ = "0.10"  # the version whose surface this is

__all__ = [
    "EventLoop",
    "ResolutionWarning",
    "SleepForeverError",
    "SolipsismError",
    "SolipsismWarning",
]
if sys.version_info < (3, 16):
    __all__ += ["EventLoopPolicy"]  # noqa: F822

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class SolipsismWarning(Warning):
    """The base class of this module's warnings."""


class ResolutionWarning(SolipsismWarning):
    """A wait is too short for the clock to count. Never given: only the name is needed."""


class SolipsismError(RuntimeError):
    """The loop was asked for what it cannot give; the base class of this module's errors."""


class SleepForeverError(SolipsismError, soliloop.DeadlockError):
    """Nothing can ever happen again: no callback is ready and no timer is set.

    The message lists every pending task with what it waits for, and where.
    """


class _OutsideWorldError(SolipsismError, soliloop.OutsideWorldError):
    """A ``SolipsismError`` that says what ``soliloop.OutsideWorldError`` says."""


class EventLoop(soliloop.SimulatedLoop):
    """An event loop in a world of its own: its clock starts at 0.0 s and jumps from timer to timer.

    Args:
        nesting: A callback may call ``run_until_complete`` on the running loop (not in
            ``async_solipsism``).
    """

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        """Keep the arguments, which are the subclasses' own, from the core."""
        return super().__new__(cls, clocks=False)

    def __init__(self, *, nesting: bool = False) -> None:
        super().__init__(nesting=nesting)
        self.__executor: concurrent.futures.ThreadPoolExecutor | None = None

    def run_forever(self) -> None:
        """Run until ``stop()`` is called.

        Raises:
            SleepForeverError: Nothing can ever happen again.
        """
        try:
            super().run_forever()
        except soliloop.DeadlockError as error:
            raise SleepForeverError(str(error)) from None

    def run_until_complete(self, future: Generator[Any, None, _T] | Awaitable[_T]) -> _T:
        """Run until *future* is done; return its result, or raise its exception.

        Raises:
            SleepForeverError: Nothing can ever happen again, and it is not done.
        """
        try:
            return super().run_until_complete(future)  # type: ignore[arg-type]
        except soliloop.DeadlockError as error:
            raise SleepForeverError(str(error)) from None

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> soliloop.Handle:
        """``call_soon``, for callbacks of this loop.

        Raises:
            SolipsismError: The caller is none: a clock that jumps cannot wait for other threads.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not self:
            raise SolipsismError(
                "call_soon_threadsafe is supported on the thread that runs the loop only"
            )
        return self.call_soon(callback, *args, context=context)

    def set_default_executor(  # type: ignore[override]
        self, executor: concurrent.futures.ThreadPoolExecutor
    ) -> None:
        """Set the executor of ``run_in_executor(None, ...)``."""
        super().set_default_executor(executor)
        self.__executor = executor

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        """Run *func* on a thread of the executor, and wait for it here, in no simulated time.

        Returns:
            A future that is done.
        """
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        if self.get_debug() and (inspect.iscoroutine(func) or inspect.iscoroutinefunction(func)):
            raise TypeError("coroutines cannot be used with run_in_executor()")
        if executor is None:
            executor = self.__executor
        if executor is None:
            self.set_default_executor(concurrent.futures.ThreadPoolExecutor())
            executor = self.__executor
            assert executor is not None
        with self.outside():  # the thread is a real one, and so is the wait for it
            work = executor.submit(func, *args)
            concurrent.futures.wait([work])
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(work.result())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the default executor's threads to end; *timeout* is ignored: no time passes."""
        if self.__executor is not None:
            with self.outside():
                self.__executor.shutdown(wait=True)


def _unsupported(name: str, is_async: bool, why: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_options: Any) -> NoReturn:
        raise _OutsideWorldError(f"{name} is not supported: {why}")

    async def refuse_async(*_args: Any, **_options: Any) -> NoReturn:
        refuse()

    function = refuse_async if is_async else refuse
    function.__name__ = function.__qualname__ = name
    return function


_NETWORK = "sockets come with the simulated network, in a later release of soliloop"
_REAL_WORLD = "it reaches the real world, and this loop lives in a world of its own"

# Every method of the loop that is refused: why, whether it is a coroutine function, and its name.
_REFUSED = (
    (
        _NETWORK,
        True,
        "create_connection create_server create_datagram_endpoint connect_accepted_socket "
        "create_unix_connection create_unix_server start_tls getaddrinfo getnameinfo "
        "sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto "
        "sock_sendfile sock_connect sock_accept sendfile aiohappyeyeballs_start_connection",
    ),
    (
        _REAL_WORLD,
        True,
        "connect_read_pipe connect_write_pipe subprocess_shell subprocess_exec",
    ),
    (
        _REAL_WORLD,
        False,
        "add_reader remove_reader add_writer remove_writer "
        "add_signal_handler remove_signal_handler",
    ),
)
for _why, _is_async, _names in _REFUSED:
    for _name in _names.split():
        setattr(EventLoop, _name, _unsupported(_name, _is_async, _why))
del _why, _is_async, _names, _name

# Names of the module that come with the simulated network.
_LATER = {
    "ListenSocket",
    "Queue",
    "Socket",
    "aiohappyeyeballs_start_connection",
    "socketpair",
    "stream_pairs",
}


def __getattr__(name: str) -> Any:
    if name == "EventLoopPolicy" and sys.version_info < (3, 16):
        return _policy_class()
    if name in _LATER:
        return _unsupported(name, False, _NETWORK)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _policy_class() -> type[soliloop.EventLoopPolicy]:
    warnings.warn(
        "async_solipsism.EventLoopPolicy is deprecated, as event loop policies are",
        DeprecationWarning,
        stacklevel=3,
    )

    class EventLoopPolicy(soliloop.EventLoopPolicy):
        """An event loop policy whose new loops are this module's."""

        def new_event_loop(self) -> EventLoop:
            return EventLoop()

    globals()["EventLoopPolicy"] = EventLoopPolicy  # one class, and one warning
    return EventLoopPolicy
