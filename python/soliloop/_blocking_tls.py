"""TLS over a simulated socket that is read and written by blocking calls: ``ssl.SSLContext.wrap_socket`` inside a simulation.

OpenSSL writes to descriptors itself, and that of a simulated socket leads nowhere. So it is given memory to read and write, and
what comes and goes there is carried over the socket's own methods, which are intercepted.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import weakref
from collections.abc import Callable
from typing import Any

_CHUNK = 65536


class BlockingTls:
    """What an ``ssl.SSLSocket`` has in the place of OpenSSL's own object, whose methods these are."""

    def __init__(
        self,
        context: Any,
        sock: socket.socket,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context._wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
            owner=owner,
            session=session,
        )
        self._socket = weakref.ref(sock)
        self._unsent = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls, name)

    @property
    def context(self) -> Any:
        """The context, which can be exchanged during the handshake."""
        return self._tls.context

    @context.setter
    def context(self, context: Any) -> None:
        self._tls.context = context

    @property
    def session(self) -> Any:
        """The session, which can be set before the handshake."""
        return self._tls.session

    @session.setter
    def session(self, session: Any) -> None:
        self._tls.session = session

    def do_handshake(self) -> None:
        """Agree with the peer (Python docs, ``SSLSocket.do_handshake``)."""
        self._carry("handshake", self._tls.do_handshake)

    def read(self, *args: Any) -> Any:
        """Read decrypted bytes, into a buffer if there is one."""
        return self._carry("read", self._tls.read, *args)

    def write(self, data: Any) -> Any:
        """Encrypt bytes and send them; return how many."""
        return self._carry("write", self._tls.write, data)

    def shutdown(self) -> Any:
        """Tell the peer of the end and wait for its answer; return the socket, which is plain from then on."""
        self._carry("shutdown", self._tls.shutdown)
        return self._socket()

    def _carry(self, what: str, call: Callable[..., Any], *args: Any) -> Any:
        """Call, and carry what it has for the peer and what it wants from there, until it is done."""
        sock = self._socket()
        if sock is None:
            raise ssl.SSLError("Underlying socket connection gone")
        try:
            while True:
                try:
                    result = call(*args)
                except ssl.SSLWantReadError:
                    self._send(sock)
                    self._receive(sock)
                else:
                    self._send(sock)
                    return result
        except TimeoutError:
            raise TimeoutError(f"The {what} operation timed out") from None
        except ssl.SSLError:
            # The peer is told why, if it can be.
            with contextlib.suppress(OSError):
                self._send(sock)
            raise

    def _send(self, sock: socket.socket) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                # Not the method of the SSLSocket, which would encrypt once more.
                sent = socket.socket.send(sock, self._unsent)
            except BlockingIOError:
                return  # it goes with the next call
            self._unsent = self._unsent[sent:]

    def _receive(self, sock: socket.socket) -> None:
        try:
            data = socket.socket.recv(sock, _CHUNK)
        except BlockingIOError:
            raise ssl.SSLWantReadError(
                ssl.SSL_ERROR_WANT_READ, "The operation did not complete (read)"
            ) from None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
