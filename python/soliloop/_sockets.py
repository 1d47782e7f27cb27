"""Calls of sockets that wait: a stream socket that is closed meanwhile stays open until the call is over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any


class SocketCalls(asyncio.SelectorEventLoop):
    """The ``sock_*`` part of a loop.

    Under asyncio a call that waits never ends when its socket is closed, and waits for the wrong one when the number of the
    descriptor comes up again. Here, as in uvloop, ``sock.close()`` takes effect when the call is done, or the loop is closed.
    Datagram sockets and ``sock_accept`` are left to asyncio: who closes those wants the address back.
    """

    _held_sockets: dict[object, Any]

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        """Receive up to ``n`` bytes."""
        with self._hold(sock):
            return await super().sock_recv(sock, n)

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """Receive into a buffer; return the number of bytes."""
        with self._hold(sock):
            return await super().sock_recv_into(sock, buf)

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """Send all of the data."""
        with self._hold(sock):
            await super().sock_sendall(sock, data)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to a remote socket."""
        with self._hold(sock):
            await super().sock_connect(sock, address)

    @contextlib.contextmanager
    def _hold(self, sock: Any) -> Iterator[None]:
        """Have ``sock.close()`` wait, as it does for the files of ``sock.makefile()``."""
        # What has no such count is no socket, but acts as one.
        if not isinstance(getattr(sock, "_io_refs", None), int) or sock.type != socket.SOCK_STREAM:
            yield
            return
        sock._io_refs += 1
        call = object()
        self._held_sockets[call] = sock
        try:
            yield
        finally:
            if self._held_sockets.pop(call, None) is not None:
                sock._decref_socketios()

    def _release_sockets(self) -> None:
        """Let go of every socket: calls that still wait will never be done."""
        while self._held_sockets:
            self._held_sockets.popitem()[1]._decref_socketios()
