"""What the sides of TLS agree on, and over what: names, protocols, certificates, sessions; upgrades, sockets, TLS in TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from surface_support import Loop, Pair, Recorder, arrived, run
from tls_support import (
    HOST,
    NAME,
    VERSIONS,
    OwnObject,
    Peer,
    Reader,
    Tls,
    Writer,
    certificate,
    connect,
    connected,
    echo,
    end,
    new_contexts,
    opposite,
    run_quietly,
    serving,
    start_tls,
)

SIMULATED = True


def test_what_a_transport_tells(loop: Loop, tcp_pair: Pair, each_tls: Tls) -> None:
    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(tcp_pair, each_tls)
        for transport, context in ((near, each_tls.client), (far, each_tls.server)):
            assert isinstance(transport, asyncio.Transport)
            tell = transport.get_extra_info
            assert tell("sslcontext") is context
            tls_object = tell("ssl_object")
            assert type(tls_object) is (context.sslobject_class or ssl.SSLObject)
            assert tls_object.context is context
            assert tls_object.server_side is (transport is far)
            assert tls_object.session_reused is False
            assert tell("cipher") == tls_object.cipher()
            assert tell("compression") is tls_object.compression() is None
            assert tell("peercert") == tls_object.getpeercert()
            assert tell("nothing") is None
            assert "transport" in repr(transport).lower()
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(tell("socket").fileno(), print)
            assert tell("nothing", "default") == "default"
        agreed = [transport.get_extra_info("ssl_object") for transport in (near, far)]
        assert agreed[0].cipher() == agreed[1].cipher()
        assert agreed[0].version() == agreed[1].version()
        if each_tls.client.maximum_version in VERSIONS.values():
            assert agreed[0].version() == each_tls.client.maximum_version.name.replace("_", ".")
        if agreed[0].version() == "TLSv1.2":
            assert agreed[0].get_channel_binding() == agreed[1].get_channel_binding() is not None
        assert agreed[0].server_hostname == NAME
        assert ((("commonName", NAME),)) in near.get_extra_info("peercert")["subject"]
        assert agreed[0].getpeercert(binary_form=True).startswith(b"\x30")
        assert not far.get_extra_info("peercert")
        for one, other in ((near, far), (far, near)):
            address = one.get_extra_info("sockname")
            assert address == other.get_extra_info("peername")
            assert one.get_extra_info("socket").getsockname() == address
        await end(near_protocol, far_protocol)
        # What was agreed can still be asked for.
        assert agreed[0].cipher() == agreed[1].cipher()
        assert near.get_extra_info("peername") == far.get_extra_info("sockname")

    run(loop, main())


PROTOCOLS = {
    "the first of the server's": (["h2", "http/1.1"], ["http/1.1", "h2"], "h2"),
    "the only one": (["http/1.1"], ["h2", "http/1.1"], "http/1.1"),
    "none in common": (["h2"], ["http/1.1"], None),
    "the client offers none": (["h2"], [], None),
    "the server knows none": ([], ["h2"], None),
}


@pytest.mark.parametrize("case", PROTOCOLS)
def test_a_protocol_is_agreed_on(loop: Loop, pair: Pair, each_tls: Tls, case: str) -> None:
    server, client, expected = PROTOCOLS[case]
    if server:
        each_tls.server.set_alpn_protocols(server)
    if client:
        each_tls.client.set_alpn_protocols(client)

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        for transport in (near, far):
            tls_object = transport.get_extra_info("ssl_object")
            assert tls_object.selected_alpn_protocol() == expected
        await end(near_protocol, far_protocol)

    run(loop, main())


@pytest.mark.parametrize("name", ["localhost", "fakehostname"])
def test_a_server_of_two_names(loop: Loop, each_tls: Tls, name: str) -> None:
    """The callback is given the object that the transport tells of, and may choose another context for it."""
    other = new_contexts("keycert4.pem").server
    asked: list[tuple[Any, str | None, Any]] = []

    def choose(tls_object: Any, name: str | None, context: ssl.SSLContext) -> None:
        asked.append((tls_object, name, context))
        if name == "fakehostname":
            tls_object.context = other

    async def main() -> None:
        made: asyncio.Future[Any] = loop.create_future()

        class Serving(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                made.set_result(self)

        async with serving(Serving, each_tls.server) as address:
            transport, protocol = await loop.create_connection(
                Recorder, *address, ssl=each_tls.client, server_hostname=name
            )
            subject = transport.get_extra_info("peercert")["subject"]
            assert (("commonName", name),) in subject
            tell = (await made).transport.get_extra_info
            assert asked == [(tell("ssl_object"), name, each_tls.server)]
            assert tell("ssl_object").context is (
                other if name == "fakehostname" else each_tls.server
            )
            assert tell("sslcontext") is each_tls.server
            transport.close()
            await protocol.ended

    each_tls.server.sni_callback = choose
    run(loop, main())


def test_a_client_that_names_nobody(loop: Loop, pair: Pair, each_tls: Tls) -> None:
    asked: list[Any] = []

    async def main() -> None:
        each_tls.client.check_hostname = False
        (near, far) = await asyncio.gather(
            connect(pair[0], each_tls, server_hostname=""), connect(pair[1], each_tls, "server")
        )
        assert near[0].get_extra_info("ssl_object").server_hostname is None
        await end(near[1], far[1])

    each_tls.server.sni_callback = lambda tls_object, name, context: asked.append(name)
    run(loop, main())
    assert asked == [None]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_shows_its_certificate(loop: Loop, pair: Pair, tls: Tls, version: str) -> None:
    tls.limited_to(VERSIONS[version])
    tls.server.verify_mode = ssl.CERT_REQUIRED
    tls.server.load_verify_locations(certificate("pycacert.pem"))
    tls.client.load_cert_chain(certificate("keycert4.pem"))

    async def main() -> None:
        _, near_protocol, far, far_protocol = await connected(pair, tls)
        assert (("commonName", "fakehostname"),) in far.get_extra_info("peercert")["subject"]
        await end(near_protocol, far_protocol)

    run(loop, main())


class Resuming(OwnObject):
    """Goes on with the session that is remembered for its context."""

    remembered: ssl.SSLSession | None = None
    begun = False

    def do_handshake(self) -> None:
        if not self.begun and self.remembered:
            self.session = self.remembered
        self.begun = True
        super().do_handshake()


class ResumingContext(ssl.SSLContext):
    """Makes objects with the session that is remembered."""

    session: ssl.SSLSession | None = None

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **{**options, "session": self.session})


@pytest.mark.parametrize("by", ["object", "context"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed(loop: Loop, tls: Tls, version: str, by: str) -> None:
    """asyncio has no argument for a session: an object or a context of one's own has."""

    class Remembering(Resuming):
        """Of this run alone."""

    if by == "context":
        client: Any = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(certificate("pycacert.pem"))
        tls = tls._replace(client=client)
    else:
        tls.client.sslobject_class = Remembering
    tls.limited_to(VERSIONS[version])

    async def one() -> list[bool]:
        near_sock, far_sock = socket.socketpair()
        near, near_protocol, far, far_protocol = await connected((near_sock, far_sock), tls)
        far.write(b"with this comes what the client needs to remember")
        await arrived(near_protocol, 40)
        tls_object = near.get_extra_info("ssl_object")
        assert isinstance(tls_object.session, ssl.SSLSession)
        if by == "context":
            tls.client.session = tls_object.session  # type: ignore[attr-defined]
        else:
            Remembering.remembered = tls_object.session
        await end(near_protocol, far_protocol)
        return [each.get_extra_info("ssl_object").session_reused for each in (near, far)]

    async def main() -> None:
        assert await one() == [False, False]
        assert await one() == [True, True]

    run(loop, main())


def test_a_client_is_asked_for_its_certificate_later(loop: Loop, pair: Pair, tls: Tls) -> None:
    """Its answer is a record that comes of reading, and goes out though nothing is written."""
    tls.limited_to(ssl.TLSVersion.TLSv1_3)
    tls.server.verify_mode = ssl.CERT_REQUIRED
    tls.server.load_verify_locations(certificate("pycacert.pem"))
    tls.client.load_cert_chain(certificate("keycert4.pem"))
    for context in tls:
        context.post_handshake_auth = True

    async def main() -> None:
        peer = Peer(pair[1], tls, "server")
        (_, protocol), _ = await asyncio.gather(connect(pair[0], tls), peer.handshake())
        await peer.write(b"hello")
        await arrived(protocol, 5)
        peer.tls.verify_client_post_handshake()
        await peer.write(b"who are you?")
        assert not peer.tls.getpeercert()
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.tls.read(1)
            if certificate_shown := peer.tls.getpeercert():
                break
            peer.incoming.write(await loop.sock_recv(pair[1], 65536))
        assert (("commonName", "fakehostname"),) in certificate_shown["subject"]
        protocol.transport.abort()
        await protocol.ended

    run_quietly(loop, main())


def test_an_object_of_ones_own_does_all_the_work(loop: Loop, pair: Pair, tls: Tls) -> None:
    """Who derives from `ssl.SSLObject` may look at what goes through it, and change it."""
    called: list[str] = []

    class Loud(ssl.SSLObject):
        def do_handshake(self) -> None:
            called.append("do_handshake")
            super().do_handshake()

        def read(self, size: int = 1024, buffer: Any = None) -> Any:
            called.append("read")
            return super().read(size, buffer) if buffer is not None else super().read(size).upper()

        def write(self, data: Any) -> int:
            called.append("write")
            return super().write(data)

        def unwrap(self) -> None:
            called.append("unwrap")
            super().unwrap()

    tls.client.sslobject_class = Loud

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, tls)
        near.write(b"quiet")
        far.write(b"loud")
        await arrived(near_protocol, 4)
        await arrived(far_protocol, 5)
        assert near_protocol.data == b"LOUD"
        await end(near_protocol, far_protocol)

    run_quietly(loop, main())
    assert set(called) == {"do_handshake", "read", "write", "unwrap"}


# Over what


def test_over_a_unix_socket(loop: Loop, each_tls: Tls, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        async with await asyncio.start_unix_server(echo, path, ssl=each_tls.server):
            reader, writer = await asyncio.open_unix_connection(
                path, ssl=each_tls.client, server_hostname=NAME
            )
            writer.write(b"there and back")
            assert await reader.readexactly(14) == b"there and back"
            assert writer.get_extra_info("peername") == path
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_a_name_must_be_given_where_there_is_none(loop: Loop, pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="server_hostname"):
            await loop.create_connection(Recorder, sock=pair[0], ssl=tls.client)
        with pytest.raises(ValueError, match="server_hostname"):
            await loop.create_connection(Recorder, HOST, 1, server_hostname=NAME)

    run(loop, main())


def test_a_context_that_is_none(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await loop.connect_accepted_socket(Recorder, pair[0])
        for context in (None, True, "context"):
            with pytest.raises(TypeError):
                await loop.start_tls(transport, protocol, context)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await loop.create_server(Recorder, HOST, 0, ssl=True)
        with pytest.raises(TypeError):
            await loop.start_tls("transport", protocol, ssl.create_default_context())  # type: ignore[arg-type]
        transport.abort()
        await protocol.ended

    run(loop, main())


# Upgrades


async def upgraded(transport: Any, protocol: Any, tls: Tls, side: str) -> Any:
    """The transport of TLS; the protocol writes to that from now on."""
    protocol.transport = await start_tls(transport, protocol, tls, side)
    return protocol.transport


def test_both_sides_are_upgraded(loop: Loop, pair: Pair, each_tls: Tls) -> None:
    async def main() -> None:
        plain = [await loop.connect_accepted_socket(Recorder, sock) for sock in pair]
        plain[0][0].write(b"in clear")
        await arrived(plain[1][1], 8)
        near, far = await asyncio.gather(
            upgraded(*plain[0], each_tls, "client"), upgraded(*plain[1], each_tls, "server")
        )
        near.write(b" and not")
        far.write(b"answer")
        await arrived(plain[0][1], 6)
        await arrived(plain[1][1], 16)
        assert plain[1][1].data == b"in clear and not"
        assert (
            near.get_extra_info("ssl_object").version()
            == far.get_extra_info("ssl_object").version()
        )
        assert near.get_protocol() is plain[0][1]
        await end(plain[0][1], plain[1][1])
        # Not told again that there is a connection, and told of its end once.
        for _, protocol in plain:
            assert [told for told in protocol.told if told != "eof"] == ["made", "lost"]

    run(loop, main())


def test_data_right_behind_the_handshake(loop: Loop, pair: Pair, each_tls: Tls, side: str) -> None:
    """What comes in the same piece as the end of the handshake is delivered, and after `start_tls` has returned."""

    async def main() -> None:
        peer = Peer(pair[1], each_tls, opposite(side))
        plain, protocol = await loop.connect_accepted_socket(Recorder, pair[0])
        starting = asyncio.create_task(start_tls(plain, protocol, each_tls, side))
        await peer.do(peer.tls.do_handshake)
        peer.tls.write(b"right behind")
        await peer.send()
        transport = await starting
        protocol.told.append("upgraded")
        await arrived(protocol, 12)
        assert protocol.data == b"right behind"
        transport.write(b"answer")
        assert await peer.read(6) == b"answer"
        transport.abort()
        await protocol.ended

    run(loop, main())


def test_data_and_the_end_right_behind_the_handshake(
    loop: Loop, pair: Pair, each_tls: Tls, side: str
) -> None:
    async def main() -> None:
        peer = Peer(pair[1], each_tls, opposite(side))
        connecting = asyncio.create_task(connect(pair[0], each_tls, side))
        await peer.do(peer.tls.do_handshake)
        handshake = peer.outgoing.read()
        await peer.send(handshake + peer.last_words(b"all there is"))
        pair[1].shutdown(socket.SHUT_WR)
        _, protocol = await connecting
        assert await protocol.ended is None
        assert protocol.data == b"all there is"
        assert protocol.told == ["made", "eof", "lost"]

    run(loop, main())


def test_streams_are_upgraded_and_written_to_at_once(loop: Loop, each_tls: Tls) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.start_tls(each_tls.server)
        writer.write(b"welcome\n")
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go on\n"
            await writer.start_tls(each_tls.client, server_hostname=NAME)
            writer.write(b"secret\n" * 3)
            assert await reader.readline() == b"welcome\n"
            assert [await reader.readline() for _ in range(3)] == [b"SECRET\n"] * 3
            assert writer.get_extra_info("ssl_object") is not None
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_tls_in_tls(loop: Loop, pair: Pair, each_tls: Tls) -> None:
    data = bytes(range(256)) * 4000

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        inner = await asyncio.gather(
            upgraded(near, near_protocol, new_contexts(), "client"),
            upgraded(far, far_protocol, new_contexts(), "server"),
        )
        for transport in inner:
            transport.write(data)
        await arrived(near_protocol, len(data))
        await arrived(far_protocol, len(data))
        assert near_protocol.data == far_protocol.data == data
        assert inner[0].get_extra_info("ssl_object") is not near.get_extra_info("ssl_object")
        await end(near_protocol, far_protocol)

    run_quietly(loop, main())
