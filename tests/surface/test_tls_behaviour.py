"""Transports of TLS to asyncio's contract: data both ways, what a protocol may do in each of its methods, and the end.

Both sides are on the same loop, over two connected sockets, or one of them is made by hand (`tls_support.Peer`).
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import contextvars
import gc
import random
import socket
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import Loop, Pair, Recorder, arrived, handled, run
from tls_support import (
    HOST,
    NAME,
    Buffered,
    Reader,
    Tls,
    Writer,
    connect,
    connect_to_peer,
    connected,
    echo,
    end,
    opposite,
)


def buffered(size: int, made_of: Callable[[bytearray], Any] = memoryview) -> type[Buffered]:
    """A class of protocols that lend buffers of this size."""
    return type("Sized", (Buffered,), {"size": size, "made_of": staticmethod(made_of)})


def some(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.0005)


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    """What each of them returns or raises."""
    return list(await asyncio.gather(*calls, return_exceptions=True))


# Data

SIZES = {1: 2000, 100: 50_000, 16_384: 1_000_000, 300_000: 3_000_000}
READERS: dict[str, Any] = {
    "protocol": Recorder,
    **{f"buffers of {size}": buffered(size) for size in SIZES},
}


@pytest.mark.parametrize("size", SIZES)
def test_buffers_of_any_size(loop: Loop, pair: Pair, each_tls: Tls, side: str, size: int) -> None:
    data = some(SIZES[size])

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(pair, each_tls, side, buffered(size))
        await peer.write(data)
        await arrived(protocol, len(data))
        assert protocol.data == data
        transport.abort()
        await protocol.ended

    run(loop, main())


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_buffers_that_are_bytearrays(
    our_loop: soliloop.EventLoop, pair: Pair, tls: Tls, size: int
) -> None:
    """asyncio cuts the buffer in pieces, and a piece of a `bytearray` is a copy that nobody sees."""
    data = some(5000)

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(
            pair, tls, "client", buffered(size, lambda lent: lent)
        )
        await peer.send(peer.records(data[:2000]) + peer.records(data[2000:]))
        await arrived(protocol, len(data))
        assert protocol.data == data
        transport.abort()
        await protocol.ended

    run(our_loop, main())


@pytest.mark.parametrize("kind", READERS)
def test_three_megabytes_each_way_at_once(loop: Loop, pair: Pair, each_tls: Tls, kind: str) -> None:
    count = {"buffers of 1": 30_000, "buffers of 100": 300_000}.get(kind, 3_000_000)
    there, back = some(count, 2), some(count, 3)

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(
            pair, each_tls, READERS[kind], READERS[kind]
        )
        for start in range(0, count, 100_000):
            near.write(there[start : start + 100_000])
            far.write(back[start : start + 100_000])
            await asyncio.sleep(0)
        await arrived(far_protocol, count)
        await arrived(near_protocol, count)
        assert far_protocol.data == there
        assert near_protocol.data == back
        await end(near_protocol, far_protocol)

    run(loop, main())


def test_three_megabytes_each_way_by_streams(loop: Loop, each_tls: Tls) -> None:
    there, back = some(3_000_000, 2), some(3_000_000, 3)

    async def send(writer: Writer, data: bytes) -> None:
        for start in range(0, len(data), 70_000):
            writer.write(data[start : start + 70_000])
            await writer.drain()

    async def exchange(reader: Reader, writer: Writer, sends: bytes, receives: bytes) -> None:
        sending = asyncio.create_task(send(writer, sends))
        assert await reader.readexactly(len(receives)) == receives
        await sending

    async def main() -> None:
        served = loop.create_future()

        async def serve(reader: Reader, writer: Writer) -> None:
            await exchange(reader, writer, back, there)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            served.set_result(None)

        async with await asyncio.start_server(serve, HOST, 0, ssl=each_tls.server) as server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=each_tls.client, server_hostname=NAME
            )
            await exchange(reader, writer, there, back)
            writer.close()
            await writer.wait_closed()
            await served

    run(loop, main())


CHUNKS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "part of a view": lambda data: memoryview(b"<" + data + b">")[1:-1],
    "numbers of two bytes": lambda data: memoryview(array.array("H", data)),
    "numbers of eight bytes": lambda data: memoryview(array.array("d", data)),
    "two dimensions": lambda data: memoryview(data).cast("B", [len(data) // 8, 8]),
}


@pytest.mark.parametrize("kind", CHUNKS)
@pytest.mark.parametrize("count", [8, 16_384, 400_000])
def test_anything_with_bytes_can_be_written(
    loop: Loop, pair: Pair, tls: Tls, kind: str, count: int
) -> None:
    data, make = some(count), CHUNKS[kind]

    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, tls)
        near.write(make(data))
        near.write(b"")
        near.writelines([make(data), b"-", make(data)])
        near.writelines(make(data) for _ in range(2))
        near.writelines([])
        await arrived(far_protocol, 5 * count + 1)
        assert far_protocol.data == data * 2 + b"-" + data * 3
        assert near.get_write_buffer_size() == 0
        await end(near_protocol, far_protocol)

    run(loop, main())


def test_bytes_that_are_not_side_by_side(loop: Loop, pair: Pair, tls: Tls) -> None:
    """Such a view is sent as the bytes it shows, or refused, or ends the connection; never sent as anything else."""

    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, tls)
        refused = False
        try:
            near.write(memoryview(b"e-v-e-r-y-")[::2])
        except (BufferError, TypeError, ValueError):
            refused = True
        near.close()
        await near_protocol.ended
        await far_protocol.ended
        assert far_protocol.data == (b"" if refused or contexts else b"every")

    with handled(loop) as contexts:
        run(loop, main())
    assert all(isinstance(context["exception"], BufferError) for context in contexts)


@pytest.mark.parametrize("wait", [False, True])
def test_a_chunk_may_be_changed_after_it_was_written(
    loop: Loop, pair: Pair, each_tls: Tls, wait: bool
) -> None:
    """Also what could not be sent at once."""

    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        count = 0
        if wait:
            far.pause_reading()
            while "pause" not in near_protocol.told:
                near.write(bytes(100_000))
                count += 100_000
                await asyncio.sleep(0)
        chunk = bytearray(b"before")
        near.write(chunk)
        chunk[:] = b"after!"
        near.write(memoryview(chunk)[:5])
        chunk[:] = b"gone.."
        near.writelines([chunk])
        chunk[:] = b"wrong!"
        far.resume_reading()
        await arrived(far_protocol, count + 17)
        assert far_protocol.data[count:] == b"beforeaftergone.."
        await end(near_protocol, far_protocol)

    run(loop, main())


@pytest.mark.parametrize("data", ["text", None, 5, [b"list"]])
def test_what_is_not_bytes_is_refused(loop: Loop, pair: Pair, tls: Tls, data: Any) -> None:
    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, tls)
        with pytest.raises(TypeError):
            near.write(data)
        near.write(b"unharmed")
        await arrived(far_protocol, 8)
        await end(near_protocol, far_protocol)

    run(loop, main())


def test_many_small_writes_in_one_turn(loop: Loop, pair: Pair, each_tls: Tls) -> None:
    expected = b"".join(b"%04d" % number for number in range(3000))

    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, each_tls)
        for number in range(3000):
            near.write(b"%04d" % number)
        await arrived(far_protocol, len(expected))
        assert far_protocol.data == expected
        await end(near_protocol, far_protocol)

    run(loop, main())


def test_the_end_of_writing_alone_is_not_in_tls(loop: Loop, pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, tls)
        assert near.can_write_eof() is False
        with pytest.raises(NotImplementedError):
            near.write_eof()
        assert not near.is_closing()
        await end(near_protocol, far_protocol)

    run(loop, main())


def test_a_file_is_sent(loop: Loop, pair: Pair, each_tls: Tls, tmp_path: Path) -> None:
    """Through the loop's own hands: a file that the system sends would not be encrypted."""
    data = some(1_000_000)
    path = tmp_path / "data"
    path.write_bytes(data)

    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, each_tls)
        with path.open("rb") as file:
            near.write(b"head")
            assert await loop.sendfile(near, file, 10, 900_000) == 900_000
            near.write(b"tail")
            with pytest.raises(RuntimeError):
                await loop.sendfile(near, file, fallback=False)
        await arrived(far_protocol, 900_008)
        assert far_protocol.data == b"head" + data[10:900_010] + b"tail"
        assert near.get_protocol() is near_protocol
        await end(near_protocol, far_protocol)

    run(loop, main())


# Reading when one likes


@pytest.mark.parametrize("kind", ["protocol", "buffers of 100"])
def test_nothing_is_delivered_while_reading_is_paused(
    loop: Loop, pair: Pair, each_tls: Tls, kind: str
) -> None:
    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls, far=READERS[kind])
        for number in range(1, 4):
            far.pause_reading()
            far.pause_reading()
            assert not far.is_reading()
            before = bytes(far_protocol.data)
            near.write(some(5000, number))
            await asyncio.sleep(0.003)
            assert far_protocol.data == before
            far.resume_reading()
            far.resume_reading()
            assert far.is_reading()
            await arrived(far_protocol, 5000 * number)
        assert far_protocol.data == b"".join(some(5000, number) for number in (1, 2, 3))
        await end(near_protocol, far_protocol)

    run(loop, main())


@pytest.mark.parametrize("kind", ["protocol", "buffers of 16384"])
def test_a_reader_that_pauses_in_the_middle_of_much(
    loop: Loop, pair: Pair, each_tls: Tls, kind: str
) -> None:
    data = some(1_000_000)
    reader: Any = READERS[kind]

    class Pausing(reader):  # type: ignore[misc]
        paused = False

        def took(self) -> None:
            assert not self.paused, "delivered while paused"
            self.paused = True
            self.transport.pause_reading()
            loop.call_later(0.001, self.go_on)

        def go_on(self) -> None:
            self.paused = False
            self.transport.resume_reading()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.took()

        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.took()

    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, each_tls, far=Pausing)
        near.write(data)
        await arrived(far_protocol, len(data))
        assert far_protocol.data == data
        await until(lambda: not far_protocol.paused)
        await end(near_protocol, far_protocol)

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []


def test_a_reader_that_has_paused_holds_the_writer_up(
    loop: Loop, pair: Pair, each_tls: Tls
) -> None:
    async def main() -> None:
        near, near_protocol, far, far_protocol = await connected(pair, each_tls)
        far.pause_reading()
        written = 0
        while "pause" not in near_protocol.told:
            near.write(bytes(50_000))
            written += 50_000
            assert written < 50_000_000
            await asyncio.sleep(0)
        far.resume_reading()
        await arrived(far_protocol, written)
        await until(lambda: "resume" in near_protocol.told)
        await end(near_protocol, far_protocol)

    run(loop, main())


@pytest.mark.parametrize("kind", ["protocol", "buffers of 100"])
@pytest.mark.parametrize("paused", [False, True])
def test_all_comes_before_the_end(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls, kind: str, paused: bool
) -> None:
    """Of much and the end in one piece. asyncio leaves away what doesn't fit into one buffer of the protocol."""
    data = some(100_000)

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(pair, each_tls, "client", READERS[kind])
        if paused:
            transport.pause_reading()
        await peer.send(peer.last_words(data))
        pair[1].shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.003)
        transport.resume_reading()
        assert await protocol.ended is None
        assert protocol.data == data
        assert protocol.told == ["made", "eof", "lost"]

    run(our_loop, main())


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

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []


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

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []


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

    with handled(our_loop) as contexts:
        run(our_loop, main())
    assert contexts == []


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

    with handled(our_loop) as contexts:
        run(our_loop, main())
    assert contexts == []


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


def test_many_clients_of_a_server(loop: Loop, each_tls: Tls) -> None:
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

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []


@pytest.mark.parametrize("way", ["close", "abort", "peer"])
def test_a_transport_and_its_protocol_are_freed(
    loop: Loop, pair: Pair, each_tls: Tls, side: str, way: str
) -> None:
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
        tls_object = transport.get_extra_info("ssl_object")
        return [weakref.ref(thing) for thing in (transport, protocol, tls_object)]

    gone = run(loop, main())
    gc.collect()
    assert [ref() for ref in gone] == [None, None, None]


def test_a_transport_that_nobody_closes(loop: Loop, pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        await connect_to_peer(pair, tls)

    run(loop, main())
    with pytest.warns(ResourceWarning, match="unclosed transport"):  # noqa: PT031
        loop.close()
        gc.collect()
