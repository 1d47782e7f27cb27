"""A soak: connections over TCP, Unix sockets and TLS; closed, aborted, paused, reset, half-closed and cancelled at random.

What arrives is always a beginning of what was sent, byte for byte, and all of it if nobody cut the connection short.
Afterwards there are no more descriptors and objects than before, and the memory has not grown. The seed is in the name
of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import PATIENCE, open_descriptors
from tls_support import NAME, Tls, new_contexts

ROUNDS = 200
CONNECTIONS = 100  # of a round, at once
# Ways to end a connection at either side. TLS has no end of one direction: there, `write_eof` only reads on to the end.
ENDS = ["close", "write_eof", "abort", "reset", "cancel"]


class Stream:
    """Bytes that both sides know: where a side has come to is all there is to remember."""

    def __init__(self, seed: int) -> None:
        self.block = random.Random(seed).randbytes(65_521)

    def piece(self, start: int, count: int) -> bytes:
        start %= len(self.block)
        piece = self.block[start : start + count]
        while len(piece) < count:
            piece += self.block[: count - len(piece)]
        return piece


class Side:
    """One end of a connection: it writes its stream, reads the other's, and ends in its own way."""

    def __init__(self, chance: random.Random, sends: Stream, receives: Stream, way: str) -> None:
        self.chance, self.sends, self.receives, self.way = chance, sends, receives, way
        self.sent = self.received = 0
        self.saw_end = False

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reading = asyncio.create_task(self.read(reader))
        try:
            await self.write(writer)
            if self.way == "write_eof":
                if writer.can_write_eof():
                    writer.write_eof()
                await reading
            elif self.way == "cancel":
                reading.cancel()
            elif self.way == "reset" and (sock := writer.get_extra_info("socket")):
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                writer.transport.abort()
            elif self.way == "abort":
                writer.transport.abort()
        except OSError:
            self.way = "cut"
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await writer.wait_closed()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await reading

    async def write(self, writer: asyncio.StreamWriter) -> None:
        for _ in range(self.chance.randrange(12)):
            count = self.chance.choice([1, 10, 1000, 20_000, 300_000])
            writer.write(self.sends.piece(self.sent, count))
            self.sent += count
            if self.chance.random() < 0.7:
                await writer.drain()
            if self.chance.random() < 0.2:
                await asyncio.sleep(0)
            if self.chance.random() < 0.1:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(0.001)
                writer.transport.resume_reading()  # type: ignore[attr-defined]

        # Two sides that close while much waits at both would wait for each other: neither reads any more.
        writer.transport.set_write_buffer_limits(0)
        await writer.drain()

    async def read(self, reader: asyncio.StreamReader) -> None:
        while True:
            data = await self.take(reader)
            if not data:
                self.saw_end = True
                return
            expected = self.receives.piece(self.received, len(data))
            assert data == expected, f"bytes differ from {self.received} on"
            self.received += len(data)

    async def take(self, reader: asyncio.StreamReader) -> bytes:
        if self.chance.random() < 0.2:
            count = self.chance.choice([1, 100, 50_000])
            try:
                return await reader.readexactly(count)
            except asyncio.IncompleteReadError as error:
                return error.partial
        if self.chance.random() < 0.05:
            with contextlib.suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(reader.read(1000), 0.0005)
        return await reader.read(self.chance.choice([1, 1000, 100_000]))


async def one_round(kind: str, chance: random.Random, directory: Path, tls: Tls) -> None:
    waiting: dict[int, asyncio.Future[tuple[Any, Any]]] = {}
    loop = asyncio.get_running_loop()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = int.from_bytes(await reader.readexactly(4), "big")
        waiting[number].set_result((reader, writer))

    if kind == "unix":
        path = str(directory / "socket")
        server = await asyncio.start_unix_server(welcome, path)
        connect: Any = lambda: asyncio.open_unix_connection(path)  # noqa: E731
    else:
        # An end that is not agreed on must not be helped by a timeout.
        shared: dict[str, Any] = {"ssl_shutdown_timeout": 10 * PATIENCE} if kind == "tls" else {}
        serving = {"ssl": tls.server, **shared} if shared else {}
        connecting = {"ssl": tls.client, "server_hostname": NAME, **shared} if shared else {}
        server = await asyncio.start_server(welcome, "127.0.0.1", 0, **serving)
        address = server.sockets[0].getsockname()
        connect = lambda: asyncio.open_connection(*address, **connecting)  # noqa: E731

    async def one(number: int) -> None:
        own = random.Random(f"{chance.random()}")
        waiting[number] = loop.create_future()
        reader, writer = await connect()
        writer.write(number.to_bytes(4, "big"))
        ends = await waiting[number]
        there, back = Stream(number), Stream(-number)
        near = Side(own, there, back, own.choice(ENDS))
        far = Side(own, back, there, own.choice(ENDS))
        if kind == "tls" and near.way == far.way == "write_eof":
            far.way = "close"  # or each would wait for the other
        await asyncio.gather(near.run(reader, writer), far.run(*ends))
        for sender, receiver in ((near, far), (far, near)):
            assert receiver.received <= sender.sent
            whole = sender.way in ("close", "write_eof") and receiver.way == "write_eof"
            if whole and receiver.saw_end:
                assert receiver.received == sender.sent

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    server.close()
    await server.wait_closed()


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def transports() -> int:
    gc.collect()
    names = ("Transport", "TlsProtocol", "SSLProtocol", "SSLObject")
    return sum(type(thing).__name__.endswith(names) for thing in gc.get_objects())


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
@pytest.mark.parametrize("seed", range(1, 7))
def test_a_soak(kind: str, seed: int, tmp_path: Path) -> None:
    digest = hashlib.sha256(f"{kind} {seed}".encode()).digest()
    chance = random.Random(int.from_bytes(digest, "big"))
    loop = soliloop.new_event_loop()
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    before = None
    tls = new_contexts()
    for number in range(ROUNDS):
        loop.run_until_complete(
            asyncio.wait_for(one_round(kind, chance, tmp_path, tls), 2 * PATIENCE)
        )
        (tmp_path / "socket").unlink(missing_ok=True)
        loop.run_until_complete(asyncio.sleep(0.01))
        gc.collect()
        if number == ROUNDS // 4:
            before = resident_bytes()
            descriptors = open_descriptors()
    assert before is not None
    assert open_descriptors() <= descriptors
    assert transports() == 0
    assert resident_bytes() < before * 1.2 + 8_000_000
    assert [
        context for context in contexts if not isinstance(context.get("exception"), OSError)
    ] == []
    loop.close()
