"""asyncio's transports, with what a protocol may rely on beyond asyncio.

A protocol's methods run in a context of its transport, whoever caused the call. What else differs from asyncio
stands at the class that gives it. Nothing here adds a call to the path of a read or of a write that succeeds at once.
"""

from __future__ import annotations

import asyncio
import socket
import warnings
from asyncio import constants, selector_events, unix_events
from asyncio.log import logger
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from soliloop._soliloop import run_in_context
from soliloop._tls import TlsProtocol, reads_into_buffer, ssl

# Not in the type stubs of the standard library.
_selectors: Any = selector_events
_pipes: Any = unix_events
_HEADER = 8  # bytes that a waiting datagram counts beside its data


class _OwnContext:
    """Has one context for all that the protocol is told after ``connection_made``: a copy of the one that it was made in.

    asyncio has one for what is read, and the rest runs in the context of whoever called ``close()``, ``abort()``, ``write()``
    or ``resume_reading()``.
    """

    _loop: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        self._protocol_context = copy_context()
        super().__init__(*args, **options)

    def _tell(self, method: Callable[..., object], *args: Any) -> None:
        run_in_context(self._protocol_context, method, *args)

    def _add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        if self.is_reading():  # type: ignore[attr-defined]
            self._loop._add_reader(fd, callback, *args, context=self._protocol_context)

    def _call_connection_lost(self, error: BaseException | None) -> None:
        self._tell(super()._call_connection_lost, error)  # type: ignore[misc]


class _OwnContextWriting(_OwnContext):
    """The same for ``pause_writing`` and ``resume_writing``."""

    _protocol_paused: bool
    _high_water: int
    _low_water: int
    get_write_buffer_size: Callable[[], int]

    def _maybe_pause_protocol(self) -> None:
        if not self._protocol_paused and self.get_write_buffer_size() > self._high_water:
            self._tell(super()._maybe_pause_protocol)  # type: ignore[misc]

    def _maybe_resume_protocol(self) -> None:
        if self._protocol_paused and self.get_write_buffer_size() <= self._low_water:
            self._tell(super()._maybe_resume_protocol)  # type: ignore[misc]


class SocketTransport(_OwnContextWriting, _selectors._SelectorSocketTransport):  # type: ignore[misc]
    """A transport of a stream socket.

    TCP sockets that were made without naming the protocol have Nagle's algorithm off too, and protocols that only look like
    an ``asyncio.BufferedProtocol`` are treated as one.
    """

    def __init__(self, loop: Any, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(loop, sock, *args, **options)
        internet = sock.family in (socket.AF_INET, socket.AF_INET6)
        if internet and sock.type == socket.SOCK_STREAM and sock.proto == 0:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Exchange the protocol."""
        super().set_protocol(protocol)
        if reads_into_buffer(protocol):
            self._read_ready_cb = self._read_ready__get_buffer


class DatagramTransport(_OwnContextWriting, _selectors._SelectorDatagramTransport):  # type: ignore[misc]
    """A transport of a datagram socket.

    ``sendto`` does nothing once the transport is closed, and sends to the peer of a connected socket that has no name, such as
    an end of a ``socketpair``. Errors of waiting datagrams don't keep the rest from being sent.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._to_peer = bool(self._extra["peername"])
        self._sent_too_late = 0

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram; ``addr`` is for sockets that are not connected."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"data argument must be a bytes-like object, not {type(data).__name__!r}"
            )
        if self._address:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._closing:
            self._sent_too_late += 1
            if self._sent_too_late > constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("sendto() of a closed transport was called.")
            return
        if not self._buffer:
            try:
                if addr is None or self._to_peer:
                    self._sock.send(data)
                else:
                    self._sock.sendto(data, addr)
                return
            except (BlockingIOError, InterruptedError):
                self._loop._add_writer(self._sock_fd, self._sendto_ready)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._send_failed(error)
                return
        self._buffer.append((bytes(data), addr))
        self._buffer_size += len(data) + _HEADER
        self._maybe_pause_protocol()

    def _sendto_ready(self) -> None:
        while self._buffer:
            data, addr = self._buffer[0]
            try:
                if addr is None or self._to_peer:
                    self._sock.send(data)
                else:
                    self._sock.sendto(data, addr)
            except (BlockingIOError, InterruptedError):
                break
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._sent()
                self._send_failed(error)
            else:
                self._sent()
        self._maybe_resume_protocol()  # which may add to the buffer
        if not self._buffer and not self._conn_lost:
            self._loop._remove_writer(self._sock_fd)
            if self._closing:
                self._call_connection_lost(None)

    def _sent(self) -> None:
        data, _ = self._buffer.popleft()
        self._buffer_size -= len(data) + _HEADER

    def _send_failed(self, error: BaseException) -> None:
        if isinstance(error, OSError):
            self._tell(self._protocol.error_received, error)
        else:
            self._fatal_error(error, "Fatal write error on datagram transport")


class ReadPipeTransport(_OwnContext, _pipes._UnixReadPipeTransport):  # type: ignore[misc]
    """A transport of the reading end of a pipe."""

    def resume_reading(self) -> None:
        """Go on reading."""
        super().resume_reading()
        self._add_reader(self._fileno, self._read_ready)


class WritePipeTransport(_OwnContextWriting, _pipes._UnixWritePipeTransport):  # type: ignore[misc]
    """A transport of the writing end of a pipe."""


class TransportMaking(asyncio.SelectorEventLoop):
    """The part of the loop that makes transports."""

    _ensure_fd_no_transport: Callable[[Any], None]

    def _make_socket_transport(
        self, sock: socket.socket, protocol: Any, waiter: Any = None, **options: Any
    ) -> SocketTransport:
        self._ensure_fd_no_transport(sock)
        return SocketTransport(self, sock, protocol, waiter, **options)

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        **options: Any,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        tls = TlsProtocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname, **options
        )
        transport = SocketTransport(self, rawsock, tls, extra=extra, server=server)
        tls.use_context(transport._protocol_context)
        return tls._app_transport

    def _make_datagram_transport(
        self, sock: socket.socket, protocol: Any, *args: Any, **options: Any
    ) -> DatagramTransport:
        self._ensure_fd_no_transport(sock)
        return DatagramTransport(self, sock, protocol, *args, **options)

    def _make_read_pipe_transport(self, *args: Any, **options: Any) -> ReadPipeTransport:
        return ReadPipeTransport(self, *args, **options)

    def _make_write_pipe_transport(self, *args: Any, **options: Any) -> WritePipeTransport:
        return WritePipeTransport(self, *args, **options)

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport | None:
        """Upgrade a transport to TLS; return the transport that the protocol is to use from then on."""
        if ssl is None:
            raise RuntimeError("Python ssl module is not available")
        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(
                f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
            )
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        waiter = self.create_future()
        tls = TlsProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            call_connection_made=False,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        tls.use_context(getattr(transport, "_protocol_context", copy_context()))
        # Nothing may be read before the handshake begins.
        transport.pause_reading()
        transport.set_protocol(tls)
        beginnings = (
            self.call_soon(tls.connection_made, transport),
            self.call_soon(transport.resume_reading),
        )
        try:
            await waiter
        except BaseException:
            transport.close()
            for beginning in beginnings:
                beginning.cancel()
            raise
        upgraded: asyncio.Transport | None = tls._app_transport
        return upgraded

    async def create_datagram_endpoint(
        self,
        protocol_factory: Any,
        local_addr: Any = None,
        remote_addr: Any = None,
        *,
        reuse_address: bool | None = None,
        **options: Any,
    ) -> tuple[Any, Any]:
        """Create a datagram connection (asyncio docs). ``reuse_address`` was asyncio's until Python 3.11, and is uvloop's."""
        if reuse_address:
            raise ValueError(
                "reuse_address=True is not supported: with SO_REUSEADDR, another process could take over a UDP address"
            )
        if reuse_address is not None:
            warnings.warn(
                "The reuse_address parameter has no effect, and is deprecated",
                DeprecationWarning,
                stacklevel=2,
            )
        return await super().create_datagram_endpoint(
            protocol_factory, local_addr, remote_addr, **options
        )
