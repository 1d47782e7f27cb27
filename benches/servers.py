"""The servers that `traffic.py` measures, and one of them in this process.

`python servers.py SERVER LOOP FD...` serves on the sockets or pipes that it inherits. A line on standard input asks
how much the process has used so far (see `USED`), the answer is a line on standard output, and the end of
standard input ends the process. This file knows nothing about clients, rounds or tables.

A server does the same work on every loop, through the public asyncio interface only. An error ends it: what answers
wrongly must not be measured.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeAlias, cast

from cases import LOOPS, Loop, resident

MIB = 1 << 20
CERTIFICATE = Path(__file__).with_name("localhost.pem")

Serve: TypeAlias = Callable[[Loop, list[int]], Coroutine[Any, Any, object]]
Streams: TypeAlias = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]
]


# ---- protocols


class Echo(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The loop reads into the protocol's own buffer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(65536))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self.buffer[:nbytes]))


class DatagramEcho(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.transport.sendto(data, addr)


class PipeEcho(asyncio.Protocol):
    """Reads from one pipe, writes to another."""

    def __init__(self, out: asyncio.WriteTransport) -> None:
        self.out = out

    def data_received(self, data: bytes) -> None:
        self.out.write(data)


class FileSender(asyncio.Protocol):
    """Answers each byte with a whole file."""

    def __init__(self, loop: Loop, file: BinaryIO) -> None:
        self.loop, self.file = loop, file
        self.asked: asyncio.Queue[int] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.task = start(self.loop, self.answer(cast(asyncio.Transport, transport)))

    def data_received(self, data: bytes) -> None:
        for byte in data:
            self.asked.put_nowait(byte)

    async def answer(self, transport: asyncio.Transport) -> None:
        while True:
            await self.asked.get()
            await self.loop.sendfile(transport, self.file)


# ---- streams and sockets


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def echo_socket(loop: Loop, connection: socket.socket) -> None:
    with connection:
        while data := await loop.sock_recv(connection, 65536):
            await loop.sock_sendall(connection, data)


# ---- what serves them


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def protocol(make: Callable[[], asyncio.BaseProtocol], secure: bool = False) -> Serve:
    async def serve(loop: Loop, fds: list[int]) -> object:
        listener = socket.socket(fileno=fds[0])
        create: Any = (
            loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
        )
        return await create(make, sock=listener, ssl=tls() if secure else None, backlog=BACKLOG)

    return serve


def streams(handler: Streams, secure: bool = False) -> Serve:
    async def serve(loop: Loop, fds: list[int]) -> object:
        listener = socket.socket(fileno=fds[0])
        return await asyncio.start_server(
            handler, sock=listener, ssl=tls() if secure else None, backlog=BACKLOG
        )

    return serve


async def sockets(loop: Loop, fds: list[int]) -> object:
    listener = socket.socket(fileno=fds[0])
    listener.setblocking(False)

    async def accept() -> None:
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(False)
            start(loop, echo_socket(loop, connection))

    return start(loop, accept())


async def datagrams(loop: Loop, fds: list[int]) -> object:
    return await loop.create_datagram_endpoint(DatagramEcho, sock=socket.socket(fileno=fds[0]))


async def pipes(loop: Loop, fds: list[int]) -> object:
    """The descriptors come in pairs: read from the first, write to the second."""
    transports: list[asyncio.BaseTransport] = []
    for source, sink in zip(fds[::2], fds[1::2], strict=True):
        out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(sink, "wb", 0))
        make = functools.partial(PipeEcho, out)
        back, _ = await loop.connect_read_pipe(make, os.fdopen(source, "rb", 0))
        transports += [out, back]
    return transports


async def files(loop: Loop, fds: list[int]) -> object:
    file = os.fdopen(os.memfd_create("file"), "w+b")
    file.write(bytes(MIB))
    file.flush()
    return await protocol(lambda: FileSender(loop, file))(loop, fds)


BACKLOG = 4096

SERVERS: dict[str, Serve] = {
    "protocol": protocol(Echo),
    "buffered": protocol(BufferedEcho),
    "streams": streams(echo),
    "lines": streams(echo_lines),
    "sockets": sockets,
    "datagrams": datagrams,
    "pipes": pipes,
    "files": files,
    "tls_protocol": protocol(Echo, secure=True),
    "tls_streams": streams(echo, secure=True),
}


# ---- this process

USED: dict[str, Callable[[], int]] = {"cpu": time.process_time_ns, "memory": resident}


running: set[asyncio.Task[None]] = set()


def start(loop: Loop, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    def ended(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            fail(loop, {"exception": error})

    task = loop.create_task(work)
    running.add(task)
    task.add_done_callback(ended)
    return task


def fail(loop: Loop, context: dict[str, Any]) -> NoReturn:
    error = context.get("exception")
    print(repr(error) if error else context["message"], file=sys.stderr, flush=True)
    os._exit(1)


def answer() -> None:
    asked = os.read(0, 64).decode().strip()
    if not asked:
        os._exit(0)
    os.write(1, b"%d\n" % USED[asked]())


async def main(serve: Serve, fds: list[int]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(fail)
    loop.add_reader(0, answer)
    server = await serve(loop, fds)
    await loop.create_future()
    del server


if __name__ == "__main__":
    name, loop_name, *numbers = sys.argv[1:]
    # The C library gives big blocks back to the system, and pays for fresh pages at the next one, until it has seen
    # one freed. Any larger program is past that.
    bytearray(MIB)
    with asyncio.Runner(loop_factory=LOOPS[loop_name]["real"]) as runner:
        runner.run(main(SERVERS[name], [int(number) for number in numbers]))
