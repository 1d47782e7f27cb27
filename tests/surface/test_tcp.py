"""TCP: servers and clients as streams and as protocols, over loopback."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, TypeAlias

import pytest
from surface_support import Loop, run

SIMULATED = True

HOST = "127.0.0.1"
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


async def echo(reader: Reader, writer: Writer) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
    await writer.wait_closed()


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


class Recorder(asyncio.Protocol):
    """Notes what happens to a connection."""

    def __init__(self, loop: Loop) -> None:
        self.events: list[Any] = []
        self.data = bytearray()
        self.lost = loop.create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.events.append(("lost", type(error)))
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


def test_a_megabyte_there_and_back(loop: Loop) -> None:
    data = bytes(range(256)) * 4096

    async def main() -> bytes:
        async with await asyncio.start_server(echo, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            writer.write(data)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    assert run(loop, main()) == data


def test_lines_and_messages(loop: Loop) -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            for number in range(200):
                writer.write(b"%d\n" % number)
                assert await reader.readline() == b"%d\n" % number
            writer.writelines([b"ab", b"cd", b"|rest"])
            assert await reader.readuntil(b"|") == b"abcd|"
            assert await reader.readexactly(4) == b"rest"
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_a_hundred_clients(loop: Loop) -> None:
    async def client(port: int, number: int) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(str(number).encode())
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def main() -> list[bytes]:
        async with await asyncio.start_server(echo, HOST, 0, backlog=200) as server:
            port = port_of(server)
            return await asyncio.gather(*(client(port, number) for number in range(100)))

    assert run(loop, main()) == [str(number).encode() for number in range(100)]


def test_protocols_are_told_what_happens(loop: Loop) -> None:
    async def main() -> None:
        serving: list[Recorder] = []

        def accept() -> Recorder:
            serving.append(Recorder(loop))
            return serving[-1]

        server = await loop.create_server(accept, HOST, 0)
        transport, client = await loop.create_connection(
            lambda: Recorder(loop), HOST, port_of(server)
        )
        assert transport.get_extra_info("peername") == server.sockets[0].getsockname()
        assert transport.get_extra_info("socket").getsockname()
        transport.write(b"hello")
        assert transport.can_write_eof()
        transport.write_eof()
        await client.lost
        await serving[0].lost
        assert serving[0].data == b"hello"
        assert serving[0].events == ["made", "eof", ("lost", type(None))]
        assert client.events == ["made", "eof", ("lost", type(None))]
        assert transport.is_closing()
        server.close()
        await server.wait_closed()

    run(loop, main())


def test_writing_pauses_at_the_high_water_mark(loop: Loop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        transport, protocol = await loop.create_connection(lambda: Recorder(loop), sock=near)
        transport.set_write_buffer_limits(high=1000, low=100)
        assert transport.get_write_buffer_limits() == (100, 1000)
        transport.write(bytes(10_000_000))
        assert transport.get_write_buffer_size() > 1000
        assert protocol.events == ["made", "pause"]
        far.setblocking(False)
        received = 0
        while received < 10_000_000:
            received += len(await loop.sock_recv(far, 1_000_000))
        await asyncio.sleep(0.001)
        assert protocol.events == ["made", "pause", "resume"]
        transport.abort()
        await protocol.lost
        far.close()

    run(loop, main())


def test_reading_can_be_paused(loop: Loop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        transport, protocol = await loop.create_connection(lambda: Recorder(loop), sock=near)
        transport.pause_reading()
        assert not transport.is_reading()
        far.send(b"x")
        await asyncio.sleep(0.001)
        assert protocol.data == b""
        transport.resume_reading()
        await asyncio.sleep(0.001)
        assert protocol.data == b"x"
        transport.close()
        await protocol.lost
        far.close()

    run(loop, main())


def test_a_buffered_protocol(loop: Loop) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(3)
            self.parts: list[bytes] = []
            self.lost = loop.create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.parts.append(bytes(self.buffer[:nbytes]))

        def connection_lost(self, error: Exception | None) -> None:
            self.lost.set_result(None)

    async def main() -> list[bytes]:
        near, far = socket.socketpair()
        _, protocol = await loop.create_connection(Buffered, sock=near)
        far.send(b"abcde")
        far.close()
        await protocol.lost
        return protocol.parts

    assert run(loop, main()) == [b"abc", b"de"]


def test_a_reset_is_an_error_of_the_connection(loop: Loop) -> None:
    async def main() -> None:
        async def reset(reader: Reader, writer: Writer) -> None:
            await reader.readexactly(1)
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

        async with await asyncio.start_server(reset, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            with pytest.raises(ConnectionResetError):
                await writer.wait_closed()

    run(loop, main())


def test_a_refused_connection(loop: Loop) -> None:
    async def main() -> None:
        with socket.create_server((HOST, 0)) as gone:
            port = gone.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)

    run(loop, main())


def test_a_server_stops_serving(loop: Loop) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, HOST, 0, start_serving=False)
        port = port_of(server)
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        server.close()
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        writer.close()
        await writer.wait_closed()
        await server.wait_closed()

    run(loop, main())


def test_serve_forever_ends_when_it_is_cancelled(loop: Loop) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, HOST, 0)
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()

    run(loop, main())


def test_a_socket_that_was_accepted_elsewhere(loop: Loop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        transport, protocol = await loop.connect_accepted_socket(lambda: Recorder(loop), near)
        far.sendall(b"hello")
        far.close()
        await protocol.lost
        assert protocol.data == b"hello"
        assert transport.is_closing()

    run(loop, main())


def test_happy_eyeballs_over_localhost(loop: Loop) -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(
                "localhost", port_of(server), happy_eyeballs_delay=0.01
            )
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_small_writes_are_sent_at_once(loop: Loop) -> None:
    async def main() -> None:
        accepted: asyncio.Queue[Writer] = asyncio.Queue()

        async def serve(_: Reader, writer: Writer) -> None:
            accepted.put_nowait(writer)

        async with await asyncio.start_server(serve, HOST, 0) as server:
            _, near = await asyncio.open_connection(HOST, port_of(server))
            far = await accepted.get()
            for writer in (near, far):
                sock = writer.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                writer.close()
                await writer.wait_closed()

    run(loop, main())
