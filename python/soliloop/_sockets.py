"""Calls of sockets that wait: a socket that is closed meanwhile stays open until the call is over."""

from __future__ import annotations

import asyncio
import functools
import socket
from asyncio import base_events
from collections.abc import Callable
from typing import Any

_check_ssl_socket: Callable[[Any], None] = base_events._check_ssl_socket  # type: ignore[attr-defined]


class SocketCalls(asyncio.SelectorEventLoop):
    """The ``sock_*`` part of a loop.

    Under asyncio a call that waits never ends when its socket is closed, and waits for the wrong one when the number of the
    descriptor comes up again. Here ``sock.close()`` takes effect when the call is done, or the loop is closed. (``sock_accept`` is
    asyncio's: who closes a listening socket wants its address back.)
    """

    _debug: bool
    _add_reader: Callable[..., asyncio.Handle]
    _add_writer: Callable[..., asyncio.Handle]
    _remove_reader: Callable[[int], bool]
    _remove_writer: Callable[[int], bool]
    _ensure_fd_no_transport: Callable[[int], None]
    # asyncio's, for sockets that are ready: `(future, socket, ...)`.
    _sock_recv: Callable[..., None]
    _sock_recv_into: Callable[..., None]
    _sock_recvfrom: Callable[..., None]
    _sock_recvfrom_into: Callable[..., None]
    _sock_sendall: Callable[..., None]
    _sock_sendto: Callable[..., None]
    _held_sockets: dict[asyncio.Future[Any], Any]

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        """Receive up to ``n`` bytes."""
        self._check_socket(sock)
        try:
            return sock.recv(n)
        except (BlockingIOError, InterruptedError):
            pass
        data: bytes = await self._when_readable(sock, self._sock_recv, n)
        return data

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """Receive into a buffer; return the number of bytes."""
        self._check_socket(sock)
        try:
            return sock.recv_into(buf)
        except (BlockingIOError, InterruptedError):
            pass
        size: int = await self._when_readable(sock, self._sock_recv_into, buf)
        return size

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """Receive a datagram; return it and its sender."""
        self._check_socket(sock)
        try:
            return sock.recvfrom(bufsize)
        except (BlockingIOError, InterruptedError):
            pass
        received: tuple[bytes, Any] = await self._when_readable(sock, self._sock_recvfrom, bufsize)
        return received

    async def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> tuple[int, Any]:
        """Receive a datagram into a buffer; return its size and its sender."""
        self._check_socket(sock)
        nbytes = nbytes or len(buf)
        try:
            return sock.recvfrom_into(buf, nbytes)
        except (BlockingIOError, InterruptedError):
            pass
        received: tuple[int, Any] = await self._when_readable(
            sock, self._sock_recvfrom_into, buf, nbytes
        )
        return received

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """Send all of the data."""
        self._check_socket(sock)
        try:
            sent = sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent != len(data):
            await self._when_writable(sock, self._sock_sendall, memoryview(data), [sent])

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send a datagram; return the number of bytes sent."""
        self._check_socket(sock)
        try:
            return sock.sendto(data, address)
        except (BlockingIOError, InterruptedError):
            pass
        sent: int = await self._when_writable(sock, self._sock_sendto, data, address)
        return sent

    def _sock_connect(self, future: asyncio.Future[Any], sock: Any, address: Any) -> None:
        super()._sock_connect(future, sock, address)  # type: ignore[misc]
        if not future.done():
            self._hold(future, sock)

    def _check_socket(self, sock: socket.socket) -> None:
        _check_ssl_socket(sock)
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    def _when_readable(
        self, sock: socket.socket, callback: Callable[..., None], *args: Any
    ) -> asyncio.Future[Any]:
        fd = sock.fileno()
        self._ensure_fd_no_transport(fd)
        future = self.create_future()
        handle = self._add_reader(fd, callback, future, sock, *args)
        future.add_done_callback(functools.partial(self._sock_read_done, fd, handle=handle))
        self._hold(future, sock)
        return future

    def _when_writable(
        self, sock: socket.socket, callback: Callable[..., None], *args: Any
    ) -> asyncio.Future[Any]:
        fd = sock.fileno()
        self._ensure_fd_no_transport(fd)
        future = self.create_future()
        handle = self._add_writer(fd, callback, future, sock, *args)
        future.add_done_callback(functools.partial(self._sock_write_done, fd, handle=handle))
        self._hold(future, sock)
        return future

    def _sock_read_done(
        self, fd: int, future: asyncio.Future[Any], handle: asyncio.Handle | None = None
    ) -> None:
        if handle is None or not handle.cancelled():
            self._ensure_fd_no_transport(fd)
            self._remove_reader(fd)
        self._release(future)

    def _sock_write_done(
        self, fd: int, future: asyncio.Future[Any], handle: asyncio.Handle | None = None
    ) -> None:
        if handle is None or not handle.cancelled():
            self._ensure_fd_no_transport(fd)
            self._remove_writer(fd)
        self._release(future)

    def _hold(self, future: asyncio.Future[Any], sock: Any) -> None:
        """Have ``sock.close()`` wait for the future, as it does for the files of ``sock.makefile()``."""
        if isinstance(
            getattr(sock, "_io_refs", None), int
        ):  # else it is no socket, but acts as one
            sock._io_refs += 1
            self._held_sockets[future] = sock

    def _release(self, future: asyncio.Future[Any]) -> None:
        if (sock := self._held_sockets.pop(future, None)) is not None:
            sock._decref_socketios()

    def _release_sockets(self) -> None:
        """Let go of every socket: calls that still wait will never be done."""
        for future in list(self._held_sockets):
            self._release(future)
