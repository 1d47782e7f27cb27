"""The sock_* operations: both ends in one loop, over loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from surface_support import Loop, Pair, run

SIMULATED = True


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock


def test_connecting_and_accepting(loop: Loop, listener: socket.socket) -> None:
    async def serve() -> None:
        connection, address = await loop.sock_accept(listener)
        with connection:
            assert address[0] == "127.0.0.1"
            assert connection.gettimeout() == 0
            while data := await loop.sock_recv(connection, 100):
                await loop.sock_sendall(connection, data.upper())

    async def main() -> bytes:
        server = asyncio.create_task(serve())
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, listener.getsockname())
            await loop.sock_sendall(client, b"hello")
            answer = await loop.sock_recv(client, 100)
        await server
        return answer

    assert run(loop, main()) == b"HELLO"


def test_more_than_the_buffers_hold(loop: Loop, pair: Pair) -> None:
    near, far = pair
    data = bytes(range(256)) * 20_000

    async def send() -> None:
        await loop.sock_sendall(near, data)
        near.shutdown(socket.SHUT_WR)

    async def main() -> bytes:
        sender = asyncio.create_task(send())
        received = bytearray()
        while part := await loop.sock_recv(far, 65536):
            received += part
        await sender
        return bytes(received)

    assert run(loop, main()) == data


def test_receiving_into_a_buffer(loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        buffer = bytearray(10)
        receiver = asyncio.create_task(loop.sock_recv_into(far, buffer))
        await asyncio.sleep(0)
        await loop.sock_sendall(near, memoryview(b"abc"))
        assert await receiver == 3
        assert bytes(buffer[:3]) == b"abc"

    run(loop, main())


def test_datagrams(loop: Loop) -> None:
    async def main() -> None:
        with udp() as one, udp() as two:
            receiver = asyncio.create_task(loop.sock_recvfrom(two, 100))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(one, b"ping", two.getsockname()) == 4
            assert await receiver == (b"ping", one.getsockname())
            buffer = bytearray(10)
            await loop.sock_sendto(two, b"pong", one.getsockname())
            assert await loop.sock_recvfrom_into(one, buffer) == (4, two.getsockname())
            assert buffer.startswith(b"pong")

    run(loop, main())


def test_a_refused_connection(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()

    async def main() -> None:
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, address)

    run(loop, main())


def test_a_cancelled_operation_leaves_no_registration(loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        for _ in range(3):
            receiver = asyncio.create_task(loop.sock_recv(far, 10))
            await asyncio.sleep(0)
            receiver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await receiver
        await asyncio.sleep(0)
        assert not loop.remove_reader(far)
        await loop.sock_sendall(near, b"x")
        assert await loop.sock_recv(far, 10) == b"x"

    run(loop, main())


def test_blocking_sockets_are_refused_in_debug_mode(loop: Loop) -> None:
    loop.set_debug(True)

    async def main() -> None:
        with socket.socket() as blocking, pytest.raises(ValueError, match="non-blocking"):
            await loop.sock_recv(blocking, 10)

    run(loop, main())


def test_a_ring_of_sockets(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(20)]
    for sock in (sock for pair in pairs for sock in pair):
        sock.setblocking(False)

    async def pass_on(place: int) -> None:
        for _ in range(50):
            data = await loop.sock_recv(pairs[place][1], 1)
            await loop.sock_sendall(pairs[(place + 1) % len(pairs)][0], data)

    async def main() -> None:
        await loop.sock_sendall(pairs[0][0], b"x")
        await asyncio.gather(*(pass_on(place) for place in range(len(pairs))))

    run(loop, main())
    for sock in (sock for pair in pairs for sock in pair):
        sock.close()


def test_a_socket_that_nothing_was_done_with_can_be_watched(loop: Loop) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        loop.add_reader(sock, print)
        assert loop.remove_reader(sock)
        assert not loop.remove_reader(sock)
