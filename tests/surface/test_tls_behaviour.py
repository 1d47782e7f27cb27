"""Transports of TLS to asyncio's contract: what a protocol may do in each of its methods, and the end.

Both sides are on the same loop, over two connected sockets, or one of them is made by hand (`tls_support.Peer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import soliloop
from surface_support import Loop, Pair, Recorder, arrived, handled, run
from tls_support import (
    HOST,
    NAME,
    READERS,
    Reader,
    Tls,
    Writer,
    connect,
    connect_to_peer,
    connected,
    echo,
    end,
    opposite,
    run_quietly,
    some,
    until,
)

SIMULATED = True


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    """What each of them returns or raises."""
    return list(await asyncio.gather(*calls, return_exceptions=True))


# The protocol


@pytest.mark.parametrize("kind", ["protocol", "buffers of 100"])
def test_the_protocol_is_exchanged(loop: Loop, pair: Pair, each_tls: Tls, kind: str) -> None:
    async def main() -> None:
        near, near_protocol, far, first = await connected(pair, each_tls)
        assert far.get_protocol() is first
        near.write(b"for the first")
        await arrived(first, 13)
        second = READERS[kind]()
        second.transport = far
        far.set_protocol(second)
        assert far.get_protocol() is second
        near.write(b"for the second" * 100)
        await arrived(second, 1400)
        assert second.data == b"for the second" * 100
        far.set_protocol(third := Recorder())
        near.write(b"for the third")
        await arrived(third, 13)
        near.close()
        assert await near_protocol.ended is None
        assert await third.ended is None
        assert (first.data, first.told) == (b"for the first", ["made"])
        assert second.told == []
        assert (third.data, third.told) == (b"for the third", ["eof", "lost"])

    run(loop, main())


ACTIONS = ["close", "abort", "pause_reading"]


@pytest.mark.parametrize(
    ("method", "action"),
    [
        (method, action)
        for method in ("connection_made", "data_received", "pause_writing")
        for action in ACTIONS
        # asyncio would then keep the last record of the handshake.
        if (method, action) != ("connection_made", "pause_reading")
    ],
)
def test_what_a_protocol_does_inside_its_methods(
    loop: Loop, pair: Pair, each_tls: Tls, side: str, method: str, action: str
) -> None:
    class Acting(Recorder):
        def act(self, name: str) -> None:
            if name == method:
                getattr(self.transport, action)()
                assert self.transport.is_closing() is (action != "pause_reading")

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.act("connection_made")

        def data_received(self, data: bytes) -> None:
            assert not self.transport.is_closing(), "data after the close"
            super().data_received(data)
            self.act("data_received")

        def pause_writing(self) -> None:
            super().pause_writing()
            self.act("pause_writing")

    async def main() -> None:
        near, far = await outcomes(
            connect(pair[0], each_tls, side, Acting), connect(pair[1], each_tls, opposite(side))
        )
        if isinstance(far, ConnectionError):
            # That was before the handshake's last record.
            assert (method, action) == ("connection_made", "abort")
            far = near
        for number in range(3):
            far[0].write(b"data %d" % number)
        await asyncio.sleep(0.002)
        near[0].write(bytes(5_000_000))
        await asyncio.sleep(0.002)
        for transport, _ in (near, far):
            transport.abort()
        for _, protocol in (near, far):
            await protocol.ended
            assert [told for told in protocol.told if told in ("made", "lost")] == ["made", "lost"]
            assert protocol.told[-1] == "lost"

    run_quietly(loop, main())


def test_reading_is_paused_as_soon_as_one_can(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls, side: str
) -> None:
    """Nothing of the handshake is kept because of that, as asyncio does: the other side would wait for it."""

    class Paused(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    async def main() -> None:
        near, far = await asyncio.gather(
            connect(pair[0], each_tls, side, Paused), connect(pair[1], each_tls, opposite(side))
        )
        far[0].write(b"data")
        await asyncio.sleep(0.003)
        assert near[1].data == b""
        near[0].resume_reading()
        await arrived(near[1], 4)
        await end(near[1], far[1])

    run(our_loop, main())


METHODS = {
    "connection_made": True,
    "data_received": True,
    "eof_received": True,
    "connection_lost": False,
    "pause_writing": False,
    "resume_writing": False,
}


@pytest.mark.parametrize("method", METHODS)
def test_an_error_in_each_method_goes_to_the_handler(
    loop: Loop, pair: Pair, each_tls: Tls, method: str
) -> None:
    """As with asyncio's, some end the connection: also one in `connection_made`, which it doesn't without TLS."""

    class Failing(Recorder):
        pass

    def fail(self: Recorder, *args: Any) -> None:
        getattr(Recorder, method)(self, *args)
        raise ZeroDivisionError(method)

    setattr(Failing, method, fail)

    async def main() -> None:
        made: list[Failing] = []

        def factory() -> Failing:
            made.append(Failing())
            return made[-1]

        near, far = await outcomes(
            connect(pair[0], each_tls, "client", factory), connect(pair[1], each_tls, "server")
        )
        if method == "connection_made":
            assert isinstance(near, ZeroDivisionError)
        else:
            if method in ("pause_writing", "resume_writing"):
                near[0].set_write_buffer_limits(high=100_000)
                while "pause" not in made[0].told:
                    near[0].write(bytes(3_000_000))
                    await asyncio.sleep(0)
                await until(lambda: "resume" in made[0].told)
            far[0].write(b"data")
            await arrived(made[0], 4)
            far[0].close()
        error = await made[0].ended
        assert isinstance(error, ZeroDivisionError) is METHODS[method]
        if not isinstance(far, BaseException):
            far[0].abort()
            await far[1].ended
        await asyncio.sleep(0)

    with handled(loop) as contexts:
        run(loop, main())
    assert [str(context["exception"]) for context in contexts] == [method]


@pytest.mark.parametrize("method", ["data_received", "eof_received", "connection_lost"])
def test_an_interrupt_in_a_method_ends_the_run_and_the_loop_goes_on(
    loop: Loop, pair: Pair, tls: Tls, method: str
) -> None:
    class Interrupting(Recorder):
        pass

    def interrupt(self: Recorder, *args: Any) -> None:
        getattr(Recorder, method)(self, *args)
        raise KeyboardInterrupt

    setattr(Interrupting, method, interrupt)
    near, near_protocol, far, far_protocol = run(loop, connected(pair, tls, Interrupting))
    far.write(b"data")
    far.close()
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    near.abort()
    with contextlib.suppress(KeyboardInterrupt):
        run(loop, asyncio.wait_for(near_protocol.ended, 5))
    run(loop, asyncio.wait_for(far_protocol.ended, 5))
    assert near_protocol.told.count("lost") == 1


place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


def test_a_protocol_stays_in_the_context_of_its_connection(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls
) -> None:
    places: dict[str, str] = {}

    class Placed(Recorder):
        pass

    def note(method: str) -> Callable[..., Any]:
        def noting(self: Recorder, *args: Any) -> Any:
            places[method] = place.get()
            return getattr(Recorder, method)(self, *args)

        return noting

    for method in METHODS:
        setattr(Placed, method, note(method))

    async def elsewhere(call: Callable[..., object], *args: object) -> None:
        """Call in a context in which the place is another."""
        context = contextvars.copy_context()
        context.run(place.set, "elsewhere")
        our_loop.call_soon(call, *args, context=context)
        await asyncio.sleep(0)

    async def main() -> None:
        place.set("home")
        transport, protocol, peer = await connect_to_peer(pair, each_tls, "client", Placed)
        transport.pause_reading()
        await peer.write(b"data")
        await elsewhere(transport.resume_reading)
        await arrived(protocol, 4)
        written = 0
        while "pause" not in protocol.told:
            await elsewhere(transport.write, bytes(1_000_000))
            written += 1_000_000
        assert len(await peer.read(written)) == written
        await until(lambda: "resume" in protocol.told)
        await peer.unwrap()
        await protocol.ended

    run(our_loop, main())
    assert places == dict.fromkeys(METHODS, "home")


# The end


def test_what_is_written_at_once_and_closed_arrives(
    loop: Loop, pair: Pair, each_tls: Tls, side: str
) -> None:
    """In `connection_made`, which is as early as one can write."""

    class Brief(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.write(b"all ")
            self.transport.writelines([b"there ", b"is"])
            self.transport.close()
            self.transport.write(b" is dropped")

    async def main() -> None:
        (near, far) = await asyncio.gather(
            connect(pair[0], each_tls, side, Brief), connect(pair[1], each_tls, opposite(side))
        )
        assert await near[1].ended is None
        assert await far[1].ended is None
        assert far[1].data == b"all there is"

    run(loop, main())


def test_a_closed_transport(loop: Loop, pair: Pair, each_tls: Tls) -> None:
    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        assert not near.is_closing()
        near.write(b"last")
        near.close()
        assert near.is_closing()
        for _ in range(10):
            near.write(b"dropped")
            near.writelines([b"dropped"])
        assert await near_protocol.ended is None
        assert await far_protocol.ended is None
        assert far_protocol.data == b"last"
        assert far_protocol.told == ["made", "eof", "lost"]
        for transport in (near, far):
            assert transport.is_closing()
            transport.write(b"dropped")
            transport.abort()

    run_quietly(loop, main())


def test_a_transport_that_is_closed_often(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls
) -> None:
    """It can still be asked and written to. asyncio's has let go of all that it needs for that."""

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        for _ in range(3):
            near.close()
        near.write(b"dropped")
        assert near.get_extra_info("cipher")
        assert await near_protocol.ended is None
        assert await far_protocol.ended is None
        for transport in (near, far):
            transport.close()
            transport.abort()
            transport.close()
            transport.write(b"dropped")
            transport.writelines([b"dropped"])
            transport.pause_reading()
            transport.resume_reading()
            assert transport.is_closing()
            assert not transport.is_reading()
            assert transport.get_write_buffer_size() == 0
            assert transport.get_extra_info("ssl_object") is not None
        assert far_protocol.data == b""

    run_quietly(our_loop, main())


def test_an_end_that_is_not_agreed_to(loop: Loop, pair: Pair, each_tls: Tls) -> None:
    """`eof_received` may say that it wants to go on. In TLS it can't."""

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        far_protocol.keeps_open = True
        near.close()
        assert await near_protocol.ended is None
        assert await far_protocol.ended is None
        assert far.is_closing()

    run(loop, main())


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_both_sides_close_at_once(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls, size: int
) -> None:
    """What the other side had written is no error. For asyncio it is one, in some versions of OpenSSL."""

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        near.write(bytes(size))
        far.write(bytes(size))
        near.close()
        far.close()
        assert await near_protocol.ended is None
        assert await far_protocol.ended is None
        assert (near_protocol.data, far_protocol.data) == (b"", b"")

    run_quietly(our_loop, main())


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
@pytest.mark.parametrize("closes_too", [False, True])
def test_closing_while_reading_is_paused(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls, size: int, closes_too: bool
) -> None:
    """What is left of the other side's stream is read and dropped: its end comes after it.

    Of much, the transport below has stopped to read. It must go on.
    """

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        near.pause_reading()
        far.write(bytes(size))
        if closes_too:
            far.close()
        await asyncio.sleep(0.005)
        near.write(b"last words")
        near.close()
        assert await near_protocol.ended is None
        assert await far_protocol.ended is None
        assert near_protocol.data == b""
        assert far_protocol.data == (b"" if closes_too else b"last words")

    run_quietly(our_loop, main())


def test_calls_of_a_reader(loop: Loop, each_tls: Tls) -> None:
    async def serve(_: Reader, writer: Writer) -> None:
        writer.write(b"line one\nuntil;exactly" + bytes(100_000) + b"a\nb\nc\nrest")
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(serve, HOST, 0, ssl=each_tls.server) as server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=each_tls.client, server_hostname=NAME
            )
            assert await reader.readline() == b"line one\n"
            assert await reader.readuntil(b";") == b"until;"
            assert await reader.readexactly(100_007) == b"exactly" + bytes(100_000)
            assert [line async for line in reader] == [b"a\n", b"b\n", b"c\n", b"rest"]
            assert reader.at_eof()
            with pytest.raises(asyncio.IncompleteReadError):
                await reader.readexactly(1)
            assert not writer.can_write_eof()
            # The peer has closed: so did this side, without being asked.
            await writer.wait_closed()
            assert writer.is_closing()
            writer.close()
            await writer.wait_closed()

    run(loop, main())


@pytest.mark.parametrize("debug", [False, True])
def test_many_clients_of_a_server(loop: Loop, each_tls: Tls, debug: bool) -> None:
    loop.set_debug(debug)

    async def client(address: tuple[str, int], number: int) -> None:
        reader, writer = await asyncio.open_connection(
            *address, ssl=each_tls.client, server_hostname=NAME
        )
        for count in (1, 1000, 100_000):
            data = some(count, number)
            writer.write(data)
            assert await reader.readexactly(count) == data
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(echo, HOST, 0, ssl=each_tls.server) as server:
            address = server.sockets[0].getsockname()
            await asyncio.gather(*(client(address, number) for number in range(30)))

    run_quietly(loop, main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in Python 3.13")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_a_server_ends_its_connections(loop: Loop, each_tls: Tls, method: str) -> None:
    served: list[Recorder] = []

    class Serving(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            served.append(self)

    async def main() -> None:
        server = await loop.create_server(Serving, HOST, 0, ssl=each_tls.server)
        clients = [
            await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=each_tls.client,
                server_hostname=NAME,
            )
            for _ in range(3)
        ]
        await until(lambda: len(served) == 3)
        server.close()
        getattr(server, method)()
        await server.wait_closed()
        for _, protocol in clients:
            assert await protocol.ended is None
        for protocol in served:
            assert await protocol.ended is None

    run_quietly(loop, main())


@pytest.mark.parametrize("way", ["close", "abort", "peer"])
def test_a_transport_and_its_protocol_are_freed(
    loop: Loop, pair: Pair, each_tls: Tls, side: str, way: str
) -> None:
    """At once: they leave no cycle behind for the collector, but for one that the protocol makes."""

    async def main() -> list[weakref.ref[Any]]:
        transport, protocol, peer = await connect_to_peer(pair, each_tls, side)
        transport.write(b"data")
        await peer.write(b"data")
        await arrived(protocol, 4)
        assert await peer.read(4) == b"data"
        if way != "peer":
            getattr(transport, way)()
        if way != "abort":
            await peer.unwrap()
        await protocol.ended
        del protocol.transport
        tls_object = transport.get_extra_info("ssl_object")
        return [weakref.ref(thing) for thing in (transport, protocol, tls_object)]

    gc.disable()
    try:
        gone = run(loop, main())
        # The timer of the shutdown and the last callbacks.
        run(loop, asyncio.sleep(0.001))
        assert [ref() for ref in gone] == [None, None, None]
    finally:
        gc.enable()


def test_a_transport_that_nobody_closes(loop: Loop, pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        await connect_to_peer(pair, tls)

    run(loop, main())
    with pytest.warns(ResourceWarning, match="unclosed transport"):  # noqa: PT031
        loop.close()
        gc.collect()
