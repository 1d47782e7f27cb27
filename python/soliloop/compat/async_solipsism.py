"""The surface of ``async_solipsism`` 0.10 over soliloop's simulated loop.

To move a program: ``import soliloop.compat.async_solipsism as async_solipsism``. Names, signatures
and exceptions are those of the package (its documentation is its README); the code is soliloop's.
Only the loop's own clock is simulated: ``time.time()`` and ``datetime.now()`` show the true time.

What differs:

- The clock counts whole nanoseconds, not microseconds: ``ResolutionWarning`` is never given.
- A wait of a day or longer is a wait; ``async_solipsism`` takes it for one without end.
- Sockets are the simulated network's. As there, they are of IP version 6, tell the names that were
  asked for, and those that connect have the ports from 1 on.
- What is not supported there works here: ``getaddrinfo`` and ``getnameinfo``, TLS, datagrams, Unix
  sockets, pipes, and ``socket.socket`` objects that are made while the loop runs. What would reach
  the real world is refused with ``SolipsismError``, as it is there; real threads may be started.
- A ``Queue`` says how much a direction of a connection holds, and has no methods.
- ``EventLoop(nesting=True)`` allows nested runs.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import contextvars
import errno
import functools
import inspect
import itertools
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from typing import Any, Self, TypeVar, TypeVarTuple

import soliloop

__version__ = "0.10"  # the version whose surface this is

__all__ = [
    "EventLoop",
    "ListenSocket",
    "Queue",
    "ResolutionWarning",
    "SleepForeverError",
    "Socket",
    "SolipsismError",
    "SolipsismWarning",
    "aiohappyeyeballs_start_connection",
    "socketpair",
    "stream_pairs",
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

    Its network is simulated: a server may have any host name and port, and nobody else is there.

    Args:
        nesting: A callback may call ``run_until_complete`` on the running loop (not in
            ``async_solipsism``).
    """

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        """Keep the arguments, which are the subclasses' own, from the core."""
        return super().__new__(cls, clocks=False, outside="threads", names=True)

    def __init__(self, *, nesting: bool = False) -> None:
        super().__init__(nesting=nesting)
        self.__executor: concurrent.futures.ThreadPoolExecutor | None = None
        self.__ports = itertools.count()

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

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect to a server of this loop (asyncio docs): any host name is known.

        Raises:
            ConnectionRefusedError: Nobody listens there.
        """
        _take_in(self, options.get("sock"))
        is_bound = options.get("sock") is not None or options.get("local_addr") is not None
        is_v4 = _family(host) == socket.AF_INET or options.get("family") == socket.AF_INET
        connect = functools.partial(
            super().create_connection, protocol_factory, _host_name(host), port
        )
        with _refusals():
            if is_bound or is_v4:
                return await connect(**options)
            for _ in range(_LAST_PORT):
                own = next(self.__ports) % _LAST_PORT + 1
                try:
                    return await connect(**options, local_addr=("::1", own))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
            raise OSError(errno.EADDRINUSE, "every port is in use")

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """Look a name up (asyncio docs): any one has an address, of IP version 6 unless it is to be another."""
        with _refusals():
            if not options.get("family"):
                with contextlib.suppress(socket.gaierror):
                    return await super().getaddrinfo(
                        host, port, **{**options, "family": socket.AF_INET6}
                    )
            return await super().getaddrinfo(host, port, **options)

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> asyncio.Server:
        """Listen at any host name and port (asyncio docs); at the first free one from 60000 on for port 0."""
        sock = options.get("sock")
        _take_in(self, sock)
        with _refusals():
            is_elsewhere = sock is not None or (host is None and port is None)
            for number in [port] if is_elsewhere else _ports(port):
                try:
                    return await super().create_server(
                        protocol_factory, _host_name(host), number, **options
                    )
                except OSError as error:
                    if number in (port, _LAST_PORT) or error.errno != errno.EADDRINUSE:
                        raise
        raise AssertionError("the last port returns or raises")

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the default executor's threads to end; *timeout* is ignored: no time passes."""
        if self.__executor is not None:
            with self.outside():
                self.__executor.shutdown(wait=True)


def _of_the_loop(name: str) -> Callable[..., Any]:
    """A method of ``SimulatedLoop`` that takes sockets of this module, and refuses by ``SolipsismError``."""
    method = getattr(soliloop.SimulatedLoop, name)

    if name in _FUNCTIONS:

        @functools.wraps(method)
        def call(self: EventLoop, *args: Any, **options: Any) -> Any:
            _take_in(self, *args)
            with _refusals():
                return method(self, *args, **options)
    else:

        @functools.wraps(method)
        async def call(self: EventLoop, *args: Any, **options: Any) -> Any:
            _take_in(self, *args, *options.values())
            with _refusals():
                return await method(self, *args, **options)

    return call


def _take_in(loop: EventLoop, *things: object) -> None:
    """Have those that are sockets of this module in the world of a loop from now on."""
    for thing in things:
        if isinstance(thing, _Socket):
            thing._come_in(loop)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except soliloop.UnservedError:
        raise  # it is a refused connection, or an unknown name
    except soliloop.OutsideWorldError as error:
        raise _OutsideWorldError(str(error)) from None


# The methods of the loop that may be given a socket, or reach the real world.
_FUNCTIONS = (
    "add_reader remove_reader add_writer remove_writer add_signal_handler remove_signal_handler"
).split()
_COROUTINE_FUNCTIONS = (
    "create_datagram_endpoint create_unix_connection create_unix_server "
    "connect_accepted_socket sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into "
    "sock_sendall sock_sendto sock_sendfile sock_connect sock_accept "
    "connect_read_pipe connect_write_pipe subprocess_shell subprocess_exec"
).split()
for _name in _FUNCTIONS + _COROUTINE_FUNCTIONS:
    setattr(EventLoop, _name, _of_the_loop(_name))
del _name


# Sockets. Those of a connection are in the world of one loop: that which runs where they are made, else one that never
# runs; and then that of the loop that they are used in.


@functools.cache
def _nowhere() -> soliloop.SimulatedLoop:
    """The loop in whose world sockets are that were not used in any other one yet. It never runs."""
    loop = soliloop.SimulatedLoop(clocks=False)
    atexit.register(loop.close)
    return loop


def _here() -> soliloop.SimulatedLoop:
    """The loop in whose world a socket is made now."""
    with contextlib.suppress(RuntimeError):
        running = asyncio.get_running_loop()
        if isinstance(running, soliloop.SimulatedLoop):
            return running
    return _nowhere()


class Queue:
    """One direction of a connection: one socket writes to it, and another one reads from it.

    Args:
        capacity: How many bytes may be in it. By default as many as any connection of a
            simulation takes.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self._far_end: tuple[Queue, _End] | None = None


class _Socket(socket.socket):
    """A socket of the simulated network that can be made, and used, where no simulation is under way."""

    def setblocking(self, flag: bool) -> None:
        if flag:
            raise SolipsismError("these sockets are nonblocking ones")
        super().setblocking(False)

    def settimeout(self, value: float | None) -> None:
        self.setblocking(value != 0)

    def setsockopt(self, level: int, name: int, *value: Any) -> None:
        """Do nothing; say so where that makes a difference."""
        if (level, name) not in _HARMLESS_OPTIONS:
            warnings.warn(f"Ignoring socket option {level}:{name}", SolipsismWarning, stacklevel=2)

    def _come_in(self, loop: soliloop.SimulatedLoop) -> None:
        """From now on the socket is in the world of a loop."""
        raise NotImplementedError

    def _home(self) -> soliloop.SimulatedLoop | None:
        """The loop in whose world it is, if that is known yet."""
        raise NotImplementedError

    def _world(self) -> contextlib.AbstractContextManager[None]:
        """Where it is used.

        Raises:
            RuntimeError: The loop is closed: so are the connections of its world.
        """
        loop = self._home()
        return contextlib.nullcontext() if loop is None else loop.inside()

    def close(self) -> None:
        loop = self._home()
        with contextlib.nullcontext() if loop is None or loop.is_closed() else loop.inside():
            super().close()

    def __del__(self) -> None:
        # Nobody need close it.
        if self.fileno() >= 0:
            self.close()


def _in_its_world(name: str) -> Callable[..., Any]:
    method = getattr(socket.socket, name)

    @functools.wraps(method)
    def call(self: _Socket, *args: Any, **options: Any) -> Any:
        with self._world():
            return method(self, *args, **options)

    return call


for _name in (
    "accept bind detach getsockopt listen recv_into recvfrom recvfrom_into recvmsg recvmsg_into "
    "send sendall sendmsg sendto shutdown"
).split():
    setattr(_Socket, _name, _in_its_world(_name))
del _name


class _Connection:
    """What the two sockets of a connection share: the loop in whose world they are."""

    def __init__(self) -> None:
        self.loop = _here()


class _End(_Socket):
    """One end of a connection."""

    def __init__(self, connection: _Connection, descriptor: int) -> None:
        self._connection = connection
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
        self.setblocking(False)

    def _come_in(self, loop: soliloop.SimulatedLoop) -> None:
        if self._connection.loop is not loop and self.fileno() >= 0:
            self._connection.loop.hand_over(self, loop)
            self._connection.loop = loop

    def _home(self) -> soliloop.SimulatedLoop:
        return self._connection.loop


class Socket(_End):
    """One end of a connection. The other end is made of the same two queues, the other way round.

    Args:
        read_queue: Where it reads from.
        write_queue: Where it writes to.
        sockname: Its name, as of IP version 6; by default the address that stands for all.
        peername: The name of the other end.
    """

    def __init__(
        self,
        read_queue: Queue,
        write_queue: Queue,
        sockname: tuple[Any, ...] | None = None,
        peername: tuple[Any, ...] | None = None,
    ) -> None:
        self._names = _full_name(sockname), _full_name(peername)
        self._queues = read_queue, write_queue  # and so the other end, until it is asked for
        match write_queue._far_end:
            case (queue, end) if queue is read_queue:
                write_queue._far_end = None
                super().__init__(end._connection, end.detach())
            case _:
                connection = _Connection()
                with connection.loop.inside():
                    near, far = (end.detach() for end in socket.socketpair())
                super().__init__(connection, near)
                read_queue._far_end = write_queue, _End(connection, far)
        if write_queue.capacity is not None:
            with self._world():
                # In a simulation, this is what a socket may have sent that was not read.
                socket.socket.setsockopt(
                    self, socket.SOL_SOCKET, socket.SO_SNDBUF, write_queue.capacity
                )

    @property
    def family(self) -> socket.AddressFamily:
        """That of its names."""
        return socket.AF_INET6

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Receive so many bytes at most; as many as come if that is negative."""
        with self._world():
            return socket.socket.recv(self, sys.maxsize if bufsize < 0 else bufsize, flags)

    def getsockname(self) -> tuple[Any, ...]:
        """Return the name that it was given, with all four parts."""
        return self._names[0]

    def getpeername(self) -> tuple[Any, ...]:
        """Return the name that the other end was said to have."""
        return self._names[1]


class ListenSocket(_Socket):
    """A socket to listen at any host name and port, for ``create_server(..., sock=...)``.

    Args:
        sockname: The name, as of IP version 6. Port 0 stands for one that is free: the loop that
            uses the socket first says which.
    """

    def __init__(self, sockname: tuple[Any, ...]) -> None:
        self._name = _full_name(sockname)
        self._loop: soliloop.SimulatedLoop | None = None
        super().__init__(_family(self._name[0]), socket.SOCK_STREAM)
        super().setblocking(False)
        if (loop := _here()) is not _nowhere():
            self._come_in(loop)

    def getsockname(self) -> tuple[Any, ...]:
        """Return the name that it was given, with all four parts, and the port that it has got."""
        return self._name

    def _come_in(self, loop: soliloop.SimulatedLoop) -> None:
        if self._loop is not None:
            return
        host, port, *rest = self._name
        self._loop = loop
        for number in _ports(port):
            try:
                self.bind((_host_name(host), number))
                break
            except OSError as error:
                if number in (port, _LAST_PORT) or error.errno != errno.EADDRINUSE:
                    raise
        self._name = host, number, *rest

    def _home(self) -> soliloop.SimulatedLoop | None:
        return self._loop


def socketpair(
    capacity: int | None = None,
    sock1_name: tuple[Any, ...] | None = None,
    sock2_name: tuple[Any, ...] | None = None,
) -> tuple[Socket, Socket]:
    """Make two sockets that are connected to each other.

    Args:
        capacity: How many bytes that were not read yet may have been sent in each direction.
        sock1_name: The name of the first.
        sock2_name: The name of the second.
    """
    there, back = Queue(capacity), Queue(capacity)
    return (
        Socket(back, there, sock1_name, sock2_name),
        Socket(there, back, sock2_name, sock1_name),
    )


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def stream_pairs(capacity: int | None = None) -> tuple[_Streams, _Streams]:
    """Make two pairs of a reader and a writer: what one writer writes, the other reader reads.

    Args:
        capacity: As of ``socketpair``.
    """
    one, other = socketpair(capacity)
    return await asyncio.open_connection(sock=one), await asyncio.open_connection(sock=other)


async def aiohappyeyeballs_start_connection(
    addr_infos: Sequence[Any],
    *,
    local_addr_infos: Sequence[Any] | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    socket_factory: Callable[[Any], socket.socket] | None = None,
) -> socket.socket:
    """Connect to the first address that can be, in the place of ``aiohappyeyeballs.start_connection``.

    No need for it here: that function itself works on these loops.

    Args:
        addr_infos: The addresses, as ``getaddrinfo`` gives them. None is tried before the last has failed.
            Names are of IP version 6 here, whatever the entry says.
        local_addr_infos: Addresses to bind to.
        happy_eyeballs_delay: Ignored, and so is ``interleave``.
        loop: The loop, if it is not the running one.
        socket_factory: Makes a socket for an address.

    Raises:
        OSError: No address could be connected to.
    """
    loop = loop or asyncio.get_running_loop()
    errors: list[OSError] = []
    make = socket_factory or (lambda info: socket.socket(_family(info[4][0]), *info[1:3]))
    for info in addr_infos:
        sock = make(info)
        try:
            sock.setblocking(False)
            for local in local_addr_infos or ():
                if local[0] == sock.family:
                    sock.bind(local[4])
                    break
            await loop.sock_connect(sock, info[4])
        except OSError as error:
            sock.close()
            errors.append(error)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    if not errors:
        raise ValueError("there is no address to connect to")
    raise errors[0] if len(errors) == 1 else OSError(f"no address answers: {errors}")


def _full_name(name: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """The name of a socket, as of IP version 6, with all four parts."""
    if name is None:
        return "::", 0, 0, 0
    if not (isinstance(name, tuple) and 2 <= len(name) <= 4):
        raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    return (*name, 0, 0)[:4]


def _family(host: Any) -> socket.AddressFamily:
    """The family of a host name: version 6, unless it is written as an address of version 4."""
    with contextlib.suppress(OSError, TypeError):
        socket.inet_pton(socket.AF_INET, host)
        return socket.AF_INET
    return socket.AF_INET6


def _host_name(host: Any) -> Any:
    """Any host name will do, a number as well."""
    return str(host) if isinstance(host, int) else host


def _ports(port: int | None) -> Sequence[int]:
    """The ports to try."""
    return [port] if port else range(_FIRST_PORT, _LAST_PORT + 1)


_FIRST_PORT, _LAST_PORT = 60_000, 2**16 - 1
_HARMLESS_OPTIONS = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
}


def __getattr__(name: str) -> Any:
    if name == "EventLoopPolicy" and sys.version_info < (3, 16):
        return _policy_class()
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
