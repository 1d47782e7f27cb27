"""Input and output at its edges: wake-ups that must not get lost, numbers that come up again, ends at odd times."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import PATIENCE, Loop, Pair, Recorder, run

SIMULATED = True

HOST = "127.0.0.1"


async def writer_of_a_server(loop: Loop) -> tuple[asyncio.StreamWriter, socket.socket]:
    accepted: asyncio.Future[asyncio.StreamWriter] = loop.create_future()
    server = await asyncio.start_server(lambda _, writer: accepted.set_result(writer), HOST, 0)
    client = socket.create_connection(server.sockets[0].getsockname())
    writer = await accepted
    server.close()
    return writer, client


def test_drain_is_a_coroutine_in_all_its_methods(loop: Loop) -> None:
    async def main() -> None:
        writer, client = await writer_of_a_server(loop)
        with client:
            for error in (ValueError("told"), ValueError):
                with pytest.raises(ValueError):
                    writer.drain().throw(error)  # type: ignore[arg-type]
            task = asyncio.ensure_future(writer.drain())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Each is an awaitable of its own.
            done = [await one for one in asyncio.as_completed([writer.drain(), writer.drain()])]
            assert done == [None, None]
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_a_handler_of_a_signal_that_raises_loses_no_event(
    our_loop: soliloop.EventLoop, pair: Pair
) -> None:
    """The byte and the signal come in one wait of the loop: the thread keeps the interpreter lock meanwhile."""
    library = ctypes.PyDLL(None)

    def disturb() -> None:
        time.sleep(0.1)
        library.write(pair[1].fileno(), b"x", 1)
        library.usleep(30_000)
        library.kill(os.getpid(), signal.SIGINT)
        library.usleep(30_000)

    thread = threading.Thread(target=disturb)
    task = our_loop.create_task(our_loop.sock_recv(pair[0], 10))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        our_loop.run_until_complete(asyncio.sleep(PATIENCE))
    thread.join()

    async def main() -> bytes:
        return await task

    assert run(our_loop, main()) == b"x"


@pytest.mark.real_time(reason="a thread of the executor that waits for the loop")
def test_destructors_of_arguments_may_ask_the_loop(loop: Loop) -> None:
    answers: list[str] = []

    class Asks:
        def __del__(self) -> None:
            answer = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "answered"), loop)
            answers.append(answer.result(PATIENCE / 2))

    async def main() -> None:
        await loop.run_in_executor(None, int)
        assert await loop.run_in_executor(None, lambda _: 42, Asks()) == 42
        while not answers:
            await asyncio.sleep(0.001)

    run(loop, main())
    assert answers == ["answered"]


def test_names_of_unix_connections(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> list[Any]:
        names: asyncio.Future[list[Any]] = loop.create_future()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            names.set_result(
                [writer.get_extra_info(name) for name in ("peername", "sockname", "peername")]
            )
            writer.close()

        server = await asyncio.start_unix_server(serve, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.bind(b"\0" + os.urandom(8))
            client.connect(path)
            told = await names
            assert told == [client.getsockname(), path, client.getsockname()]
        server.close()
        await server.wait_closed()
        return told

    run(loop, main())


@pytest.mark.parametrize("debug", [False, True])
def test_a_file_to_an_accepted_connection(loop: Loop, tmp_path: Path, debug: bool) -> None:
    loop.set_debug(debug)
    content = os.urandom(300_000)
    (tmp_path / "file").write_bytes(content)

    async def main() -> None:
        writer, client = await writer_of_a_server(loop)
        with client, (tmp_path / "file").open("rb") as file:
            client.setblocking(False)
            sending = asyncio.create_task(loop.sendfile(writer.transport, file))
            received = b""
            while len(received) < len(content):
                received += await loop.sock_recv(client, 65536)
            assert received == content
            await sending
            writer.close()
            await writer.wait_closed()

    run(loop, main())


# asyncio reports an error of its own.
def test_a_server_whose_connection_is_aborted_while_it_sends_a_file(
    our_loop: soliloop.EventLoop, tmp_path: Path
) -> None:
    path = tmp_path / "big"
    path.touch()
    os.truncate(path, 200 << 20)

    async def main() -> None:
        server = await our_loop.create_server(Recorder, HOST, 0)
        with socket.create_connection(server.sockets[0].getsockname()), path.open("rb") as file:
            while not (transports := accepted_transports()):
                await asyncio.sleep(0.001)
            sending = asyncio.create_task(our_loop.sendfile(transports[0], file))
            await asyncio.sleep(0.02)
            transports[0].abort()
            await transports[0].get_protocol().ended
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            server.close()
            await server.wait_closed()

    run(our_loop, main())


def accepted_transports() -> list[Any]:
    return [
        thing.transport
        for thing in gc.get_objects()
        if isinstance(thing, Recorder) and thing.made.done() and not thing.ended.done()
    ]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_number_of_a_transport_that_was_forgotten_is_free(loop: Loop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        number = near.fileno()
        transport, protocol = await loop.create_connection(asyncio.Protocol, sock=near)
        transport.pause_reading()
        del transport, protocol, near
        gc.collect()
        await asyncio.sleep(0)
        gc.collect()
        again = socket.socketpair()
        with far, again[0], again[1]:
            assert number in (again[0].fileno(), again[1].fileno())
            loop.add_reader(number, print)
            loop.remove_reader(number)

    run(loop, main())


# asyncio's does from 3.13 on.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_server_whose_connection_was_forgotten_ends(our_loop: soliloop.EventLoop) -> None:
    class Ring(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            transport.pause_reading()
            made.set_result(None)

    made: asyncio.Future[None] = our_loop.create_future()

    async def main() -> None:
        server = await our_loop.create_server(Ring, HOST, 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await made
            server.close()
            await asyncio.sleep(0)
            gc.collect()
            await server.wait_closed()

    run(our_loop, main())


def test_closing_a_datagram_transport_twice_is_no_harm_to_others(loop: Loop) -> None:
    async def main() -> None:
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=(HOST, 0)
        )
        number = transport.get_extra_info("socket").fileno()
        transport.close()
        while transport.get_extra_info("socket").fileno() != -1:
            await asyncio.sleep(0)
        near, far = socket.socketpair()
        with far:
            assert near.fileno() == number
            other, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            transport.close()
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(number, print)
            other.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    run(loop, main())


class OwnSocket(socket.socket):
    """What somebody derived from a socket."""


def test_sending_waits_beside_receiving_on_a_socket_of_ones_own_class(
    loop: Loop, pair: Pair
) -> None:
    size = 5_000_000

    async def main() -> None:
        with OwnSocket(fileno=os.dup(pair[0].fileno())) as own:
            own.setblocking(False)
            sending = asyncio.create_task(loop.sock_sendall(own, bytes(size)))
            await asyncio.sleep(0.01)
            receiving = asyncio.create_task(loop.sock_recv(own, 10))
            await asyncio.sleep(0.01)
            count = 0
            while count < size:
                count += len(await loop.sock_recv(pair[1], 1 << 20))
            await sending
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await receiving

    run(loop, main())


def test_the_end_is_told_once_though_the_protocol_nests() -> None:
    loop = soliloop.new_event_loop(nesting=True)
    near, far = socket.socketpair()

    class Nests(Recorder):
        def eof_received(self) -> bool:
            loop.run_until_complete(asyncio.sleep(0.01))
            return super().eof_received()

    async def main() -> None:
        _, protocol = await loop.create_connection(Nests, sock=near)
        far.close()
        assert await protocol.ended is None
        assert protocol.told == ["made", "eof", "lost"]

    try:
        loop.run_until_complete(asyncio.wait_for(main(), PATIENCE))
    finally:
        loop.close()


def test_what_was_written_before_an_abort_has_been_sent(loop: Loop, pair: Pair) -> None:
    async def main() -> bytes:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=pair[0])
        transport.write(b"400 Bad Request")
        transport.abort()
        return await loop.sock_recv(pair[1], 100)

    assert run(loop, main()) == b"400 Bad Request"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="several separators came with 3.13")
def test_no_separators(loop: Loop) -> None:
    async def main() -> None:
        writer, client = await writer_of_a_server(loop)
        with client:
            reader, near = await asyncio.open_connection(sock=client.dup())
            with pytest.raises(ValueError, match="at least one"):
                await reader.readuntil(())  # type: ignore[arg-type]
            for one in (near, writer):
                one.close()
                await one.wait_closed()

    run(loop, main())


class Lends(Recorder, asyncio.BufferedProtocol):
    def __init__(self) -> None:
        super().__init__()
        self.memory = ctypes.create_string_buffer(100)

    def get_buffer(self, sizehint: int) -> Any:
        return self.memory

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.memory.raw[:nbytes]


def test_a_buffer_of_any_type(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await loop.create_connection(Lends, sock=pair[0])
        await loop.sock_sendall(pair[1], b"x" * 250)
        while len(protocol.data) < 250:
            await asyncio.sleep(0)
        transport.abort()
        await protocol.ended

    run(loop, main())
