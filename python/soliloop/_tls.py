"""asyncio's TLS, which is a protocol between a socket's transport and a user's protocol, with a close that loses nothing."""

from __future__ import annotations

from asyncio import sslproto
from contextvars import Context
from typing import Any

from soliloop._soliloop import run_in_context

# Not in the type stubs of the standard library.
_tls: Any = sslproto
ssl: Any = _tls.ssl  # None in a Python that was built without it

_FLUSHING: Any = _tls.SSLProtocolState.FLUSHING
_SHUTDOWN: Any = _tls.SSLProtocolState.SHUTDOWN


def reads_into_buffer(protocol: Any) -> bool:
    """Whether a protocol has the methods of ``asyncio.BufferedProtocol`` without being one, and no ``data_received``."""
    return hasattr(protocol, "get_buffer") and not hasattr(protocol, "data_received")


class TlsProtocol(_tls.SSLProtocol):  # type: ignore[misc]
    """TLS between a socket's transport and a protocol.

    - The protocol's methods run in the context of the transport, as without TLS.
    - After ``close()`` the protocol receives no more data, and what the peer still sends is no error (bpo-39951); what was
      written goes out before the connection is closed, if the peer reads it within ``ssl_shutdown_timeout``.
    - A transport whose protocol paused reading can be closed after the peer ended the stream.
    - ``start_tls`` returns before the first data is delivered.
    """

    _closing = False

    def use_context(self, context: Context) -> None:
        """Run the protocol's methods in the context of the transport below."""
        self._protocol_context = context
        # For TLS within TLS: where `start_tls` looks.
        self._app_transport._protocol_context = context

    def _set_app_protocol(self, protocol: Any) -> None:
        super()._set_app_protocol(protocol)
        if reads_into_buffer(protocol):
            self._app_protocol_get_buffer = protocol.get_buffer
            self._app_protocol_buffer_updated = protocol.buffer_updated
            self._app_protocol_is_buffer = True

    def _on_handshake_complete(self, error: BaseException | None) -> None:
        # The first data may be here already. Who awaits the handshake comes first.
        self._do_read = self._read_soon
        try:
            super()._on_handshake_complete(error)
        finally:
            del self._do_read

    def _read_soon(self) -> None:
        self._loop.call_soon(super()._do_read)

    def _resume_reading(self) -> None:
        run_in_context(self._protocol_context, super()._resume_reading)

    def _call_eof_received(self) -> None:
        run_in_context(self._protocol_context, super()._call_eof_received)

    def _control_app_writing(self) -> None:
        size = self._get_write_buffer_size()
        paused = self._app_writing_paused
        if size <= self._outgoing_low_water if paused else size >= self._outgoing_high_water:
            run_in_context(self._protocol_context, super()._control_app_writing)

    def resume_writing(self) -> None:
        """Called by the transport below when it takes more."""
        super().resume_writing()
        if self._closing and self._state is _FLUSHING:
            self._do_flush()

    def _start_shutdown(self) -> None:
        # The peer ended the stream, and what it sent last waits for a protocol that doesn't read.
        waits = self._state is _FLUSHING and not self._closing and self._app_reading_paused
        self._closing = True
        super()._start_shutdown()
        if waits:
            self._do_flush()

    def _do_flush(self) -> None:
        if not self._closing:
            # The peer ended the stream: the protocol is given the rest.
            super()._do_flush()
            return
        try:
            self._discard_input()
            self._do_write()
        except Exception as error:
            self._on_shutdown_complete(error)
        else:
            if self._state is _FLUSHING and not self._get_write_buffer_size():
                self._set_state(_SHUTDOWN)
                self._do_shutdown()

    def _do_shutdown(self) -> None:
        try:
            self._discard_input()
        except Exception as error:
            self._on_shutdown_complete(error)
        else:
            if self._state is _SHUTDOWN:
                super()._do_shutdown()

    def _on_shutdown_complete(self, error: BaseException | None) -> None:
        # The last record must not wait for a transport that is asked to close, and takes nothing then.
        if error is None and self._outgoing.pending:
            self._transport.write(self._outgoing.read())
        super()._on_shutdown_complete(error)

    def _discard_input(self) -> None:
        """Read until the end of the peer's stream, or of what has come."""
        try:
            while self._sslobj.read(self.max_size):
                pass
        except _tls.SSLAgainErrors:
            return
        except ssl.SSLZeroReturnError:
            pass
        self._call_eof_received()
