"""What soliloop's transports and socket calls promise beyond asyncio's: contexts, buffers, closing."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
from surface_support import run

SIMULATED = True

HOST = "127.0.0.1"
place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


class Recorder(asyncio.Protocol):
    """Notes where each of its methods ran."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.lost = asyncio.get_running_loop().create_future()

    def _note(self, method: str) -> None:
        self.places[method] = place.get()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._note("connection_made")

    def data_received(self, data: bytes) -> None:
        self._note("data_received")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note("connection_lost")
        self.lost.set_result(exc)


async def elsewhere(call: Callable[..., object], *args: object) -> None:
    """Call in a context in which the place is another."""

    def there() -> None:
        place.set("elsewhere")
        call(*args)

    asyncio.get_running_loop().call_soon(there)
    await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_protocol_stays_in_the_context_of_its_connection(our_loop: soliloop.EventLoop) -> None:
    async def main() -> dict[str, str]:
        near, far = socket.socketpair()
        far.setblocking(False)
        place.set("home")
        transport, protocol = await our_loop.create_connection(Recorder, sock=near)
        transport.pause_reading()
        far.send(b"x")
        await elsewhere(transport.resume_reading)
        await until(lambda: "data_received" in protocol.places)
        transport.set_write_buffer_limits(high=0)
        await elsewhere(transport.write, bytes(1 << 22))
        while "resume_writing" not in protocol.places:
            await our_loop.sock_recv(far, 1 << 20)
        await elsewhere(transport.close)
        await protocol.lost
        far.close()
        return protocol.places

    places = run(our_loop, main())
    assert set(places) == {
        *("connection_made", "data_received", "pause_writing", "resume_writing"),
        "connection_lost",
    }
    assert set(places.values()) == {"home"}


def test_pausing_within_a_protocol_method(our_loop: soliloop.EventLoop) -> None:
    class Talker(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.set_write_buffer_limits(high=0)
            transport.write(bytes(1 << 22))
            transport.abort()

    async def main() -> dict[str, str]:
        near, far = socket.socketpair()
        with far:
            _, protocol = await our_loop.create_connection(Talker, sock=near)
            await protocol.lost
        return protocol.places

    assert run(our_loop, main()) == {"pause_writing": "nowhere", "connection_lost": "nowhere"}


def test_pipes_keep_their_context(our_loop: soliloop.EventLoop) -> None:
    async def main() -> str:
        near, far = socket.socketpair()
        place.set("home")
        transport, protocol = await our_loop.connect_read_pipe(Recorder, near.makefile("rb", 0))
        near.close()
        await elsewhere(transport.close)
        await protocol.lost
        far.close()
        return protocol.places["connection_lost"]

    assert run(our_loop, main()) == "home"


def test_no_delay_of_a_socket_that_names_no_protocol(our_loop: soliloop.EventLoop) -> None:
    async def main() -> int:
        with socket.create_server((HOST, 0)) as listener:
            sock = socket.socket()
            sock.connect(listener.getsockname())
            _, writer = await asyncio.open_connection(sock=sock)
            no_delay: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            await writer.wait_closed()
        return no_delay

    assert run(our_loop, main())


def test_a_buffered_protocol_by_its_methods(our_loop: soliloop.EventLoop) -> None:
    class Buffered(asyncio.BaseProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(10)
            self.updated = our_loop.create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.updated.set_result(bytes(self.buffer[:nbytes]))

        def eof_received(self) -> None: ...

    async def main() -> Any:
        near, far = socket.socketpair()
        with far:
            transport, protocol = await our_loop.create_connection(Buffered, sock=near)
            far.send(b"data")
            data = await protocol.updated
            transport.close()
            await asyncio.sleep(0)
        return data

    assert run(our_loop, main()) == b"data"


# Datagrams


def test_sendto_after_close_does_nothing(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind((HOST, 0))
            receiver.setblocking(False)
            transport, _ = await our_loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, family=socket.AF_INET
            )
            transport.close()
            transport.sendto(b"early", receiver.getsockname())
            await asyncio.sleep(0.01)
            transport.sendto(b"late", receiver.getsockname())
            with pytest.raises(BlockingIOError):
                receiver.recv(10)

    run(our_loop, main())


def test_sendto_after_close_does_not_keep_what_waits(our_loop: soliloop.EventLoop) -> None:
    """What was sent before goes out, and the connection ends then."""

    class Ends(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.lost = our_loop.create_future()

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async def main() -> tuple[object, int]:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        far.setblocking(False)
        with far:
            transport, protocol = await our_loop.create_datagram_endpoint(Ends, sock=near)
            sent = 0
            while not transport.get_write_buffer_size():
                transport.sendto(b"early")
                sent += 1
            transport.close()
            transport.sendto(b"late")
            received = []
            while not protocol.lost.done() or len(received) < sent:
                try:
                    received.append(far.recv(10))
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            assert received == [b"early"] * sent
            return await protocol.lost, len(received) - sent

    assert run(our_loop, main()) == (None, 0)


def test_sendto_the_nameless_peer(our_loop: soliloop.EventLoop) -> None:
    async def main() -> bytes:
        near, far = socket.socketpair(type=socket.SOCK_DGRAM)
        with far:
            transport, _ = await our_loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, sock=near
            )
            far.setblocking(False)
            transport.sendto(b"hello")
            data = await our_loop.sock_recv(far, 10)
            transport.close()
            await asyncio.sleep(0)
        return data

    assert run(our_loop, main()) == b"hello"


def test_datagrams_that_wait_go_out_in_order_and_are_counted(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        near, far = socket.socketpair(type=socket.SOCK_DGRAM)
        with far:
            transport, _ = await our_loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, sock=near
            )
            far.setblocking(False)
            count = 0
            while not transport.get_write_buffer_size():
                transport.sendto(count.to_bytes(4, "big"))
                count += 1
            transport.sendto(count.to_bytes(4, "big"))
            transport.close()
            for number in range(count + 1):
                assert int.from_bytes(await our_loop.sock_recv(far, 10), "big") == number
            assert transport.get_write_buffer_size() == 0
            await asyncio.sleep(0.01)
            assert near.fileno() == -1

    run(our_loop, main())


def test_reuse_address_says_what_is_wrong(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="reuse_address"):
            await our_loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, (HOST, 0), reuse_address=True
            )
        with pytest.warns(DeprecationWarning, match="reuse_address"):
            transport, _ = await our_loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, (HOST, 0), reuse_address=False
            )
        transport.close()
        await asyncio.sleep(0)

    run(our_loop, main())


# Calls of sockets


@pytest.mark.parametrize("into", [False, True])
def test_a_socket_that_is_closed_while_it_receives(
    our_loop: soliloop.EventLoop, into: bool
) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        with far:
            buffer = bytearray(10)
            call = our_loop.sock_recv_into(near, buffer) if into else our_loop.sock_recv(near, 10)
            receiving = our_loop.create_task(call)
            await asyncio.sleep(0)
            near.close()
            assert near.fileno() != -1
            far.send(b"data")
            received = await receiving
            assert (bytes(buffer[:4]) if into else received) == b"data"
            assert near.fileno() == -1

    run(our_loop, main())


def test_a_cancelled_call_lets_go_of_its_socket(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        with far:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(our_loop.sock_recv(near, 10), 0.01)
            near.close()
            assert near.fileno() == -1

    run(our_loop, main())


def test_closing_the_loop_lets_go_of_sockets() -> None:
    loop = soliloop.new_event_loop()
    near, far = socket.socketpair()
    near.setblocking(False)
    with far:
        receiving = loop.create_task(loop.sock_recv(near, 10))
        loop.run_until_complete(asyncio.sleep(0))
        near.close()
        assert near.fileno() != -1
        loop.close()
        assert near.fileno() == -1
    receiving._log_destroy_pending = False  # type: ignore[attr-defined]


def test_an_error_of_a_call_names_no_other(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        with near, far:
            receiving = our_loop.create_task(our_loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            receiving.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await receiving
        assert caught.value.__context__ is None

    run(our_loop, main())


# Contexts


def test_a_variable_that_a_protocol_sets_stays_set(our_loop: soliloop.EventLoop) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[tuple[str, str]] = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            seen.append((data.decode(), variable.get()))
            variable.set(data.decode())
            self.transport.pause_reading()
            our_loop.call_later(0.001, self.transport.resume_reading)
            self.transport.write(data)

        def eof_received(self) -> None:
            seen.append(("eof", variable.get()))

        def connection_lost(self, exc: Exception | None) -> None:
            seen.append(("lost", variable.get()))
            ended.set_result(None)

    async def main() -> None:
        server = await our_loop.create_server(Server, HOST, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for word in (b"a", b"b"):
            writer.write(word)
            assert await reader.read(1) == word
        writer.close()
        await ended
        server.close()

    ended = our_loop.create_future()
    run(our_loop, main())
    assert seen == [("a", "unset"), ("b", "a"), ("eof", "b"), ("lost", "b")]
    assert variable.get() == "unset"


def test_a_nested_run_in_a_protocol_does_not_hold_its_transport_up() -> None:
    """Its context is entered by the parked stack: the next data comes in a copy of it."""
    loop = soliloop.new_event_loop(nesting=True)
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[tuple[bytes, str]] = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            seen.append((data, variable.get()))
            self.transport.write(data)  # type: ignore[attr-defined]
            if data == b"a":
                variable.set("first")
                loop.run_until_complete(second)
                self.transport.close()
            else:
                second.set_result(None)

    async def main() -> bytes:
        server = await loop.create_server(Server, HOST, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for word in (b"a", b"b"):
            writer.write(word)
            assert await reader.read(1) == word
        rest = await reader.read()
        writer.close()
        server.close()
        return rest

    second = loop.create_future()
    try:
        assert run(loop, main()) == b""
    finally:
        loop.close()
    assert seen == [(b"a", "unset"), (b"b", "first")]
