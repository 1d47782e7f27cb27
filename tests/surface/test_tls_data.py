"""Data through transports of TLS: anything that has bytes, into buffers of any size, when one likes to read.

Both sides are on the same loop, over two connected sockets, or one of them is made by hand (`tls_support.Peer`).
"""

from __future__ import annotations

import array
import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import Loop, Pair, arrived, handled, run
from tls_support import (
    HOST,
    NAME,
    READERS,
    SIZES,
    Buffered,
    Reader,
    Tls,
    Writer,
    buffered,
    connect_to_peer,
    connected,
    end,
    run_quietly,
    some,
    until,
)

SIMULATED = True


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


BAD_BUFFERS = {"read-only": bytes(10), "empty": bytearray(), "text": "text", "none": None}


class Spoiled(Buffered):
    """Has good buffers until it is told to lend another thing, or to fail."""

    lends: Any = "good ones"
    fails_in = ""

    def get_buffer(self, sizehint: int) -> Any:
        if self.fails_in == "get_buffer":
            raise ZeroDivisionError
        return super().get_buffer(sizehint) if self.lends == "good ones" else self.lends

    def buffer_updated(self, nbytes: int) -> None:
        if self.fails_in == "buffer_updated":
            raise ZeroDivisionError


@pytest.mark.parametrize("kind", BAD_BUFFERS)
def test_a_buffer_that_is_none(
    our_loop: soliloop.EventLoop, pair: Pair, tls: Tls, kind: str
) -> None:
    """It ends the connection, and the handler is told. asyncio takes an empty one for the end of the stream."""

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(
            pair, tls, "client", Spoiled, ssl_shutdown_timeout=1
        )
        protocol.lends = BAD_BUFFERS[kind]
        await peer.write(b"data")
        assert await protocol.ended is not None
        assert transport.is_closing()

    with handled(our_loop) as contexts:
        run(our_loop, main())
    assert len(contexts) == 1


@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
def test_an_error_in_the_methods_of_buffers(
    loop: Loop, pair: Pair, each_tls: Tls, method: str
) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(pair, each_tls, "client", Spoiled)
        protocol.fails_in = method
        await peer.write(b"data")
        assert isinstance(await protocol.ended, ZeroDivisionError)
        assert transport.is_closing()

    with handled(loop) as contexts:
        run(loop, main())
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]


def test_a_buffered_protocol_by_its_methods(
    our_loop: soliloop.EventLoop, pair: Pair, each_tls: Tls
) -> None:
    """asyncio asks for the class."""

    class Duck(asyncio.BaseProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(10)
            self.data = b""

        def get_buffer(self, sizehint: int) -> memoryview:
            return memoryview(self.buffer)

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

        def eof_received(self) -> None: ...

    async def main() -> None:
        transport, protocol, peer = await connect_to_peer(pair, each_tls, "client", Duck)
        await peer.write(b"more than one buffer of data")
        await until(lambda: protocol.data == b"more than one buffer of data")
        transport.close()
        await peer.unwrap()

    run_quietly(our_loop, main())


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


def test_marks_of_writing(loop: Loop, pair: Pair, tls: Tls) -> None:
    async def main() -> None:
        near, near_protocol, _, far_protocol = await connected(pair, tls)
        low, high = near.get_write_buffer_limits()
        assert 0 < low < high
        for given, expected in (
            ({"high": 4000}, (1000, 4000)),
            ({"low": 1000}, (1000, 4000)),
            ({"high": 0}, (0, 0)),
            ({"high": 5, "low": 5}, (5, 5)),
        ):
            near.set_write_buffer_limits(**given)
            assert near.get_write_buffer_limits() == expected
        for low, high in ((2, 1), (-1, 1)):
            with pytest.raises(ValueError):
                near.set_write_buffer_limits(high=high, low=low)
        await end(near_protocol, far_protocol)

    run_quietly(loop, main())


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

    run_quietly(loop, main())


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
