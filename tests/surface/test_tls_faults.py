"""What faults of TLS end in: an exception for who connects, `connection_lost` for who is connected; never in a wait.

The other side is made by hand (`tls_support.Peer`), or is a server or client on the same loop. A socket of which the
connection has failed must be closed, and what is no error of the application's must not reach the exception handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import Loop, Pair, Recorder, arrived, handled, open_descriptors, run
from tls_support import (
    HOST,
    NAME,
    VERSIONS,
    Peer,
    Reader,
    Tls,
    Writer,
    certificate,
    closed,
    connect,
    connect_to_peer,
    ended,
    expired_certificate,
    new_contexts,
    opposite,
    reset,
    run_quietly,
    serving,
    start_tls,
)

SIMULATED = True

# The peer is refused: it may be told why by an alert, or only find that the connection is closed.
REFUSED = (ssl.SSLError, ConnectionError)


class NeverMade(asyncio.Protocol):
    """For connections that fail in the handshake: a protocol is not told of those at all."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raise AssertionError("made without a handshake")

    def connection_lost(self, exc: BaseException | None) -> None:
        raise AssertionError("lost though never made")


async def fails(pair: Pair, tls: Tls, side: str, error: Any, **options: Any) -> Any:
    """Connecting over the near socket raises the error, closes the socket and leaves the protocol alone."""
    with pytest.raises(error) as caught:
        await connect(pair[0], tls, side, NeverMade, **options)
    await closed(pair[0])
    return caught.value


async def answers(address: tuple[str, int], tls: Tls) -> None:
    """A server is there for others still."""
    reader, writer = await asyncio.open_connection(*address, ssl=tls.client, server_hostname=NAME)
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"
    writer.close()
    await writer.wait_closed()


async def streams_to_peer(pair: Pair, tls: Tls) -> tuple[Reader, Writer, Peer]:
    peer = Peer(pair[1], tls, "server")
    (reader, writer), _ = await asyncio.gather(
        asyncio.open_connection(sock=pair[0], ssl=tls.client, server_hostname=NAME),
        peer.handshake(),
    )
    return reader, writer, peer


async def abandon(writer: Writer) -> None:
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


# Before and during the handshake

GARBAGE = {
    "zeros": bytes(200),
    "noise": random.Random(5).randbytes(200),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "a record of garbage": b"\x16\x03\x01\x00\xc8" + b"garbage!" * 25,
    "application data": b"\x17\x03\x03\x00\xc8" + b"garbage!" * 25,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_instead_of_a_hello(
    loop: Loop, tcp_pair: Pair, tls: Tls, side: str, garbage: bytes
) -> None:
    async def main() -> None:
        tcp_pair[1].send(garbage)
        await fails(tcp_pair, tls, side, ssl.SSLError)
        await ended(tcp_pair[1])

    run_quietly(loop, main())


@pytest.mark.parametrize("debug", [False, True])
def test_a_server_outlives_clients_that_speak_no_tls(loop: Loop, tls: Tls, debug: bool) -> None:
    loop.set_debug(debug)

    async def main() -> None:
        async with serving(Echo, tls.server) as address:
            for garbage in GARBAGE.values():
                with socket.create_connection(address) as client:
                    client.setblocking(False)
                    client.send(garbage)
                    await ended(client)
            await answers(address, tls)

    with handled(loop) as contexts:
        run(loop, main())
    # Who debugs is told.
    assert len(contexts) == (len(GARBAGE) if debug else 0)
    assert all(isinstance(context["exception"], ssl.SSLError) for context in contexts)


CUTS: dict[str, Callable[[socket.socket], object]] = {
    "end": lambda sock: sock.shutdown(socket.SHUT_WR),
    "close": lambda sock: sock.close(),
    "reset": reset,
}


@pytest.mark.parametrize("sent", [0, 1, 5, 100])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_the_connection_is_cut_in_the_handshake(
    loop: Loop, tcp_pair: Pair, tls: Tls, side: str, cut: Callable[..., object], sent: int
) -> None:
    """Before anything, in the header of the first record, and within it."""

    async def main() -> None:
        connecting = asyncio.create_task(fails(tcp_pair, tls, side, ConnectionError))
        await asyncio.sleep(0.001)
        peer = Peer(tcp_pair[1], tls, opposite(side))
        if side == "client":
            peer.incoming.write(await loop.sock_recv(tcp_pair[1], 65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.tls.do_handshake()
        await loop.sock_sendall(tcp_pair[1], peer.outgoing.read(sent))
        cut(tcp_pair[1])
        await connecting

    run_quietly(loop, main())


@pytest.mark.parametrize("drips", [False, True])
def test_a_peer_too_slow_for_the_handshake(
    loop: Loop, tcp_pair: Pair, tls: Tls, side: str, drips: bool
) -> None:
    async def drip() -> None:
        """A record that never ends, a byte at a time."""
        with contextlib.suppress(ConnectionError):
            for byte in b"\x16\x03\x01\x20\x00\x01\x00\x1f\xf0\x03\x03" + bytes(8000):
                await loop.sock_sendall(tcp_pair[1], bytes((byte,)))
                await asyncio.sleep(0.001)

    async def main() -> None:
        dripping = asyncio.create_task(drip()) if drips else None
        await fails(tcp_pair, tls, side, ConnectionAbortedError, ssl_handshake_timeout=0.05)
        await ended(tcp_pair[1])
        if dripping:
            await dripping

    run_quietly(loop, main())


def test_a_server_with_clients_too_slow_for_the_handshake(loop: Loop, tls: Tls) -> None:
    async def main() -> None:
        async with serving(Echo, tls.server, ssl_handshake_timeout=0.3) as address:
            with contextlib.ExitStack() as clients:
                slow = [clients.enter_context(socket.create_connection(address)) for _ in range(9)]
                await answers(address, tls)
                for client in slow:
                    client.setblocking(False)
                    await ended(client)
            await answers(address, tls)

    run_quietly(loop, main())


def test_the_time_for_the_handshake_is_for_the_handshake_alone(
    loop: Loop, tcp_pair: Pair, tls: Tls, side: str
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(
            tcp_pair, tls, side, ssl_handshake_timeout=0.2
        )
        await asyncio.sleep(0.25)
        await peer.write(b"still here")
        await arrived(protocol, 10)
        transport.abort()
        await protocol.ended

    run(loop, main())


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_a_time_that_is_none_or_has_no_tls(loop: Loop, pair: Pair, tls: Tls, name: str) -> None:
    create: Any = loop.create_connection

    async def main() -> None:
        for value in (0, -1):
            with pytest.raises(ValueError):
                await create(
                    NeverMade, sock=pair[0], ssl=tls.client, server_hostname=NAME, **{name: value}
                )
        with pytest.raises(ValueError):
            await create(NeverMade, HOST, 1, **{name: 1})

    run(loop, main())


# Who one talks to


def unfit_servers(directory: Path) -> dict[str, tuple[Tls, int]]:
    """Contexts whose server is not to be believed, and OpenSSL's number for why."""
    return {
        "expired": (new_contexts(expired_certificate(directory)), 10),
        "self-signed": (new_contexts("keycert.pem"), 18),
        "another name": (new_contexts("keycert4.pem"), 62),
    }


@pytest.mark.parametrize("kind", ["expired", "self-signed", "another name"])
@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_a_server_that_is_not_to_be_believed(
    loop: Loop, tmp_path: Path, kind: str, version: ssl.TLSVersion
) -> None:
    tls, code = unfit_servers(tmp_path)[kind]
    tls.limited_to(version)

    async def main() -> None:
        async with serving(NeverMade, tls.server) as address:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await asyncio.open_connection(*address, ssl=tls.client, server_hostname=NAME)
            assert caught.value.verify_code == code
            with socket.create_connection(address) as sock:
                sock.setblocking(False)
                await fails((sock, sock), tls, "client", ssl.SSLCertVerificationError)

    run_quietly(loop, main())


@pytest.fixture(params=list(VERSIONS))
def strict(request: pytest.FixtureRequest, tls: Tls) -> Tls:
    """A server that wants to see a certificate, and a client that has none."""
    tls.server.verify_mode = ssl.CERT_REQUIRED
    tls.server.load_verify_locations(certificate("pycacert.pem"))
    return tls.limited_to(VERSIONS[request.param])


def test_a_server_is_shown_no_certificate(loop: Loop, tcp_pair: Pair, strict: Tls) -> None:
    async def main() -> None:
        peer = Peer(tcp_pair[1], strict, "client")
        failing = asyncio.create_task(fails(tcp_pair, strict, "server", ssl.SSLError))
        with contextlib.suppress(*REFUSED):
            await peer.handshake()
        error = await failing
        assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in str(error)
        await ended(tcp_pair[1])

    run_quietly(loop, main())


def test_a_client_shows_no_certificate(loop: Loop, tcp_pair: Pair, strict: Tls) -> None:
    async def refuse(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            await peer.handshake()
        await peer.send()  # the alert

    async def main() -> None:
        refusing = asyncio.create_task(refuse(Peer(tcp_pair[1], strict, "server")))
        if strict.client.maximum_version is ssl.TLSVersion.TLSv1_2:
            await fails(tcp_pair, strict, "client", ssl.SSLError)
        else:
            # The client has said all that it has to say, and is connected until it hears the answer.
            _, protocol = await connect(tcp_pair[0], strict)
            assert isinstance(await protocol.ended, ssl.SSLError)
        await refusing

    run_quietly(loop, main())


def test_a_client_that_is_refused_by_our_server(loop: Loop, strict: Tls) -> None:
    async def main() -> None:
        async with serving(NeverMade, strict.server) as address:
            with contextlib.suppress(*REFUSED):
                reader, writer = await asyncio.open_connection(
                    *address, ssl=strict.client, server_hostname=NAME
                )
                assert strict.client.maximum_version is ssl.TLSVersion.TLSv1_3
                try:
                    assert await reader.read() == b""
                finally:
                    writer.close()
                    await writer.wait_closed()

    run_quietly(loop, main())


def nothing_in_common(kind: str) -> Tls:
    tls = new_contexts()
    if kind == "version":
        tls.server.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.client.maximum_version = ssl.TLSVersion.TLSv1_2
    else:
        tls.limited_to(ssl.TLSVersion.TLSv1_2)
        tls.server.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        tls.client.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    return tls


@pytest.mark.parametrize("kind", ["version", "cipher"])
def test_nothing_in_common(loop: Loop, tcp_pair: Pair, side: str, kind: str) -> None:
    tls = nothing_in_common(kind)

    async def resist(peer: Peer) -> None:
        with contextlib.suppress(*REFUSED):
            await peer.handshake()
        with contextlib.suppress(ConnectionError):
            await peer.send()

    async def main() -> None:
        resisting = asyncio.create_task(resist(Peer(tcp_pair[1], tls, opposite(side))))
        await fails(tcp_pair, tls, side, ssl.SSLError)
        await resisting

    run_quietly(loop, main())


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_a_callback_for_names_that_fails(
    loop: Loop,
    tcp_pair: Pair,
    tls: Tls,
    version: ssl.TLSVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client gets an alert or a closed connection; the error goes where errors go that nobody can take."""

    def choose(tls_object: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        raise ZeroDivisionError(name)

    async def main() -> None:
        peer = Peer(tcp_pair[1], tls, "client")
        failing = asyncio.create_task(fails(tcp_pair, tls, "server", ssl.SSLError))
        with pytest.raises(REFUSED):
            await peer.handshake()
        await failing

    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
    tls.limited_to(version).server.sni_callback = choose
    run_quietly(loop, main())
    assert [(type(error), str(error)) for error in unraisable] == [(ZeroDivisionError, NAME)]


@pytest.mark.parametrize("at_call", [1, 2])
def test_an_object_of_ones_own_that_fails(
    our_loop: soliloop.EventLoop, tcp_pair: Pair, tls: Tls, side: str, at_call: int
) -> None:
    """For asyncio, an error at the very beginning ends nothing: it goes on, or waits until the time is over."""
    calls: list[ssl.SSLObject] = []

    class Failing(ssl.SSLObject):
        def do_handshake(self) -> None:
            calls.append(self)
            if len(calls) == at_call:
                raise ZeroDivisionError("do_handshake")
            super().do_handshake()

    async def main() -> None:
        peer = Peer(tcp_pair[1], new_contexts(), opposite(side))
        shaking = asyncio.create_task(peer.handshake())
        await fails(tcp_pair, tls, side, ZeroDivisionError, ssl_handshake_timeout=2)
        with contextlib.suppress(*REFUSED):
            await shaking

    (tls.client if side == "client" else tls.server).sslobject_class = Failing
    with handled(our_loop) as contexts:
        run(our_loop, main())
    assert {str(context["exception"]) for context in contexts} <= {"do_handshake"}


def test_a_callback_for_names_that_refuses(loop: Loop, tcp_pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        peer = Peer(tcp_pair[1], tls, "client")
        failing = asyncio.create_task(fails(tcp_pair, tls, "server", ssl.SSLError))
        with pytest.raises(REFUSED):
            await peer.handshake()
        await failing

    tls.server.sni_callback = lambda *_: ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    run(loop, main())


# Giving up


def test_cancelled_in_the_handshake(loop: Loop, tcp_pair: Pair, tls: Tls, side: str) -> None:
    async def main() -> None:
        connecting = asyncio.create_task(fails(tcp_pair, tls, side, asyncio.CancelledError))
        await asyncio.sleep(0.005)
        connecting.cancel()
        await connecting
        await ended(tcp_pair[1])

    run_quietly(loop, main())


@pytest.mark.parametrize("turns", range(8))
def test_cancelled_at_any_turn_of_the_handshake(loop: Loop, tls: Tls, turns: int) -> None:
    async def main() -> None:
        before = open_descriptors()
        async with serving(Echo, tls.server) as address:
            connecting = asyncio.create_task(
                asyncio.open_connection(*address, ssl=tls.client, server_hostname=NAME)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            try:
                _, writer = await connecting
            except asyncio.CancelledError:
                pass
            else:
                writer.close()
                await writer.wait_closed()
            await answers(address, tls)
        while open_descriptors() > before:
            await asyncio.sleep(0.001)

    run_quietly(loop, main())


async def upgrading(pair: Pair, tls: Tls, side: str) -> tuple[Any, asyncio.Task[Any]]:
    """A plain transport over the near socket, and the task that waits in `start_tls`."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_accepted_socket(Recorder, pair[0])
    starting = asyncio.create_task(start_tls(transport, protocol, tls, side))
    await asyncio.sleep(0.005)
    assert not starting.done()
    return transport, starting


def test_an_upgrade_is_cancelled(loop: Loop, tcp_pair: Pair, tls: Tls, side: str) -> None:
    async def main() -> None:
        transport, starting = await upgrading(tcp_pair, tls, side)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert transport.is_closing()
        await ended(tcp_pair[1])
        await closed(tcp_pair[0])

    run_quietly(loop, main())


@pytest.mark.parametrize("action", ["abort", "close"])
def test_an_upgrade_whose_transport_is_closed(
    loop: Loop, tcp_pair: Pair, tls: Tls, side: str, action: str
) -> None:
    async def main() -> None:
        transport, starting = await upgrading(tcp_pair, tls, side)
        getattr(transport, action)()
        # asyncio takes an end without an error for a success without a transport.
        with contextlib.suppress(ConnectionError):
            assert await starting is None
        await ended(tcp_pair[1])
        await closed(tcp_pair[0])

    run_quietly(loop, main())


def test_an_upgrade_fails(loop: Loop, tcp_pair: Pair, tls: Tls, side: str) -> None:
    async def main() -> None:
        transport, starting = await upgrading(tcp_pair, tls, side)
        tcp_pair[1].send(GARBAGE["http"])
        with pytest.raises(ssl.SSLError):
            await starting
        assert transport.is_closing()
        await ended(tcp_pair[1])
        await closed(tcp_pair[0])

    run_quietly(loop, main())


def test_a_server_is_closed_while_handshakes_are_pending(loop: Loop, tls: Tls) -> None:
    async def main() -> None:
        server = await loop.create_server(NeverMade, HOST, 0, ssl=tls.server)
        address = server.sockets[0].getsockname()
        clients = [socket.create_connection(address) for _ in range(5)]
        await asyncio.sleep(0.005)
        server.close()
        for client in clients:
            client.close()
        await server.wait_closed()

    run_quietly(loop, main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="`abort_clients` is new in Python 3.13")
def test_a_server_drops_pending_handshakes(loop: Loop, tls: Tls) -> None:
    async def main() -> None:
        server = await loop.create_server(NeverMade, HOST, 0, ssl=tls.server)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.setblocking(False)
            await asyncio.sleep(0.005)
            server.close()
            server.abort_clients()  # type: ignore[attr-defined,unused-ignore]
            await ended(client)
            await server.wait_closed()

    run_quietly(loop, main())


# In mid-stream


@pytest.mark.parametrize("rest", [0, 1, 5, 20])
def test_the_stream_is_cut_off(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str, rest: int
) -> None:
    """Between two records, in the header of one, and within one: the end comes without a word of TLS.

    Like asyncio, this is an end as any other: the protocol's own messages must tell it from a whole stream.
    """

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        await peer.write(b"whole")
        await peer.send(peer.records(b"never whole")[:rest])
        tcp_pair[1].shutdown(socket.SHUT_WR)
        assert await protocol.ended is None
        assert protocol.data == b"whole"
        assert protocol.told == ["made", "eof", "lost"]
        assert transport.is_closing()
        await closed(tcp_pair[0])

    run_quietly(loop, main())


@pytest.mark.parametrize("writes", [False, True])
def test_the_stream_is_reset(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str, writes: bool
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        await peer.write(b"whole")
        await arrived(protocol, 5)
        if writes:
            transport.write(bytes(10_000_000))
        reset(tcp_pair[1])
        assert isinstance(await protocol.ended, ConnectionError)
        assert protocol.told[-1] == "lost"
        for _ in range(10):
            transport.write(b"dropped")
        await closed(tcp_pair[0])

    run_quietly(loop, main())


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "last byte": lambda record: record[:-1] + bytes((record[-1] ^ 1,)),
    "first byte": lambda record: record[:5] + bytes((record[5] ^ 1,)) + record[6:],
    "kind": lambda record: b"\x63" + record[1:],
    "length": lambda record: record[:3] + b"\xff\xff" + record[5:],
    "in clear": lambda record: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "twice": lambda record: record * 2,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_record_is_damaged(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str, damage: Callable[[bytes], bytes]
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        await peer.write(b"whole")
        await arrived(protocol, 5)
        await peer.send(damage(peer.records(b"second")))
        assert isinstance(await protocol.ended, ssl.SSLError)
        assert protocol.data in (b"whole", b"wholesecond")
        assert protocol.told == ["made", "lost"]
        assert transport.is_closing()
        await closed(tcp_pair[0])

    run_quietly(loop, main())


def test_a_reader_is_told_of_a_damaged_record(loop: Loop, tcp_pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        reader, writer, peer = await streams_to_peer(tcp_pair, tls)
        await peer.send(DAMAGES["last byte"](peer.records(b"second")))
        with pytest.raises(ssl.SSLError):
            await reader.read()
        with pytest.raises(ssl.SSLError):
            await writer.drain()
        writer.close()
        with pytest.raises(ssl.SSLError):
            await writer.wait_closed()

    run(loop, main())


def test_the_peer_finds_a_record_damaged(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str
) -> None:
    """It sends an alert, which is the error that the connection ends with."""

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        transport.write(b"data")
        record = await loop.sock_recv(tcp_pair[1], 65536)
        peer.incoming.write(DAMAGES["last byte"](record))
        with pytest.raises(ssl.SSLError):
            peer.tls.read(10)
        await peer.send()
        error = await protocol.ended
        assert isinstance(error, ssl.SSLError)
        assert "ALERT" in str(error.reason)

    run_quietly(loop, main())


# A peer that does not do its part


@pytest.mark.parametrize("waiting", [0, 20_000_000])
def test_a_peer_that_never_agrees_to_the_end(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str, waiting: int
) -> None:
    """It neither says that its stream ends too, nor takes what was written before the end."""

    async def main() -> None:
        transport, protocol, _ = await connect_to_peer(
            tcp_pair, each_tls, side, ssl_shutdown_timeout=0.05
        )
        transport.write(bytes(waiting))
        transport.close()
        assert transport.is_closing()
        assert isinstance(await protocol.ended, TimeoutError)
        await closed(tcp_pair[0])

    run_quietly(loop, main())


def test_a_peer_that_agrees_to_the_end(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        transport.write(b"last words")
        transport.close()
        assert await peer.read(100) == b"last words"
        await peer.unwrap()
        assert await protocol.ended is None
        assert await loop.sock_recv(tcp_pair[1], 100) == b"", "closed after the last record"

    run(loop, main())


def test_the_end_of_a_peer_is_answered(
    loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str
) -> None:
    async def main() -> None:
        _, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        await peer.unwrap()
        assert await protocol.ended is None
        assert protocol.told == ["made", "eof", "lost"]
        assert await loop.sock_recv(tcp_pair[1], 100) == b""

    run(loop, main())


def test_a_peer_that_never_reads(loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(tcp_pair, each_tls, side)
        transport.set_write_buffer_limits(high=100_000, low=10_000)
        assert transport.get_write_buffer_limits() == (10_000, 100_000)
        written = 0
        while "pause" not in protocol.told:
            transport.write(b"x" * 5000)
            written += 5000
            await asyncio.sleep(0)
        # A writer that obeys has what the marks allow waiting, and the write that went over; in records.
        assert 0 < transport.get_write_buffer_size() < 120_000
        assert await peer.read(written) == b"x" * written
        while "resume" not in protocol.told:
            await asyncio.sleep(0.0005)
        assert transport.get_write_buffer_size() <= 10_000
        assert protocol.told == ["made", "pause", "resume"]
        transport.abort()
        await protocol.ended

    run(loop, main())


def test_a_writer_waits_for_a_peer_that_does_not_read(loop: Loop, tcp_pair: Pair, tls: Tls) -> None:
    """Many times what the system and the marks allow is not taken."""
    chunk, many = bytes(100_000), 300

    async def fill(writer: Writer) -> None:
        for _ in range(many):
            writer.write(chunk)
            await writer.drain()
            written.append(len(chunk))

    async def main() -> None:
        _, writer, peer = await streams_to_peer(tcp_pair, tls)
        filling = asyncio.create_task(fill(writer))
        before = -1
        while before < len(written):
            before = len(written)
            await asyncio.sleep(0.02)
        assert len(written) < many
        assert len(await peer.read(many * len(chunk))) == many * len(chunk)
        await filling
        await abandon(writer)

    written: list[int] = []
    run(loop, main())


def test_a_writer_waits_after_one_big_write(
    our_loop: soliloop.EventLoop, tcp_pair: Pair, tls: Tls
) -> None:
    """asyncio does not count what waits in the transport below, and lets one write of any size pass."""
    size = 20_000_000

    async def main() -> None:
        _, writer, peer = await streams_to_peer(tcp_pair, tls)
        writer.write(bytes(size))
        draining = asyncio.create_task(writer.drain())
        try:
            await asyncio.sleep(0.02)
            assert writer.transport.get_write_buffer_size() > 1_000_000
            assert not draining.done()
            assert len(await peer.read(size)) == size
            await draining
        finally:
            await abandon(writer)

    run(our_loop, main())


def test_abort_drops_what_waits(loop: Loop, tcp_pair: Pair, each_tls: Tls, side: str) -> None:
    async def main() -> None:
        transport, protocol, _ = await connect_to_peer(tcp_pair, each_tls, side)
        transport.write(bytes(20_000_000))
        transport.abort()
        assert transport.is_closing()
        assert await protocol.ended is None
        assert protocol.told[-1] == "lost"
        transport.abort()
        transport.close()
        await closed(tcp_pair[0])

    run_quietly(loop, main())
