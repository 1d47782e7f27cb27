"""The part of the loop that makes transports, and what ``isinstance`` takes them for.

The transports themselves are the core's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import warnings
from asyncio import sslproto, transports
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Literal

from soliloop import _soliloop
from soliloop._soliloop import Listener, StreamTransport, TlsProtocol

# Not in the type stubs of the standard library.
_transports: Any = transports
_tls: Any = sslproto
ssl: Any = _tls.ssl  # None in a Python that was built without it


class SocketTransport(_transports._FlowControlMixin, asyncio.Transport):  # type: ignore[misc]
    """What ``isinstance`` takes a stream transport of a socket for."""

    __slots__ = ()


class ReadPipeTransport(asyncio.ReadTransport):
    """What ``isinstance`` takes a transport of the reading end of a pipe for."""

    __slots__ = ()


class WritePipeTransport(_transports._FlowControlMixin, asyncio.WriteTransport):  # type: ignore[misc]
    """What ``isinstance`` takes a transport of the writing end of a pipe for."""

    __slots__ = ()


class DatagramTransport(_transports._FlowControlMixin, asyncio.DatagramTransport):  # type: ignore[misc]
    """What ``isinstance`` takes a transport of a datagram socket for."""

    __slots__ = ()


class SSLTransport(_tls._SSLProtocolTransport):  # type: ignore[misc]
    """What ``isinstance`` takes a transport of TLS for."""

    __slots__ = ()


class TransportMaking(asyncio.SelectorEventLoop):
    """The part of the loop that makes transports."""

    _is_transports: Callable[[int], bool]
    _watcher: Callable[[int], object]

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        number = fd
        if not isinstance(number, int):
            try:
                number = int(fd.fileno())
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"Invalid file object: {fd!r}") from None
        if self._is_transports(number):
            watcher = self._watcher(number)
            name = repr(watcher) if watcher else "that is paused"
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {name}")

    def _make_socket_transport(
        self: Any,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
    ) -> StreamTransport:
        self._ensure_fd_no_transport(sock)
        if sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return StreamTransport(self, sock, protocol, waiter, extra, server, "both")

    def _make_read_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> StreamTransport:
        _check_pipe(pipe)
        return StreamTransport(self, pipe, protocol, waiter, extra, None, "read")

    def _make_write_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> StreamTransport:
        # A device does not tell when nobody reads it.
        direction: Literal["device", "write"] = (
            "device" if stat.S_ISCHR(_check_pipe(pipe)) else "write"
        )
        return StreamTransport(self, pipe, protocol, waiter, extra, None, direction)

    def _make_ssl_transport(
        self: Any,
        rawsock: socket.socket,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> _soliloop.TlsTransport | None:
        tls = TlsProtocol(
            self,
            protocol,
            sslcontext or _tls._create_transport_context(server_side, server_hostname),
            waiter,
            server_side=server_side,
            server_hostname=server_hostname or None,
            was_told=False,
            runs_in=copy_context(),
            handshake_timeout=ssl_handshake_timeout,
            shutdown_timeout=ssl_shutdown_timeout,
        )
        self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        return tls.transport

    def _make_datagram_transport(
        self: Any, sock: socket.socket, protocol: Any, *args: Any, **options: Any
    ) -> _soliloop.DatagramTransport:
        self._ensure_fd_no_transport(sock)
        return _soliloop.DatagramTransport(self, sock, protocol, *args, **options)

    def _start_serving(
        self: Any,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        tls = sslcontext and (sslcontext, ssl_handshake_timeout, ssl_shutdown_timeout)
        Listener(self, sock, protocol_factory, server, backlog, tls).listen()

    async def _sendfile_native(self, transport: Any, file: Any, offset: int, count: int) -> int:
        was_reading = transport.is_reading()
        transport.pause_reading()
        await transport._make_empty_waiter()
        try:
            return await self.sock_sendfile(transport._sock, file, offset, count, fallback=False)
        finally:
            transport._reset_empty_waiter()
            if was_reading:
                transport.resume_reading()

    async def start_tls(
        self: Any,
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
            server_side=server_side,
            server_hostname=server_hostname or None,
            was_told=True,
            runs_in=getattr(transport, "_protocol_context", copy_context()),
            handshake_timeout=ssl_handshake_timeout,
            shutdown_timeout=ssl_shutdown_timeout,
        )
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
        return tls.transport

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


def _check_pipe(pipe: Any) -> int:
    """Make a pipe nonblocking; return its mode."""
    number = pipe.fileno()
    mode = os.fstat(number).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise ValueError("Pipe transport is only for pipes, sockets and character devices")
    os.set_blocking(number, False)
    return mode
