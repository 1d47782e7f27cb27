"""Datagrams: endpoints with and without a remote address."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from surface_support import Loop, run

SIMULATED = True

HOST = "127.0.0.1"


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data.upper(), address)


class Client(asyncio.DatagramProtocol):
    def __init__(self, loop: Loop) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.lost = loop.create_future()

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.received.put_nowait(data)

    def error_received(self, error: Exception) -> None:
        self.errors.put_nowait(error)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


def test_there_and_back(loop: Loop) -> None:
    async def main() -> None:
        server, _ = await loop.create_datagram_endpoint(Echo, local_addr=(HOST, 0))
        address = server.get_extra_info("sockname")
        transport, client = await loop.create_datagram_endpoint(
            lambda: Client(loop), remote_addr=address
        )
        for number in range(50):
            transport.sendto(b"message %d" % number)
            assert await client.received.get() == b"MESSAGE %d" % number
        transport.sendto(b"")
        transport.close()
        server.close()
        assert await client.lost is None

    run(loop, main())


def test_an_unconnected_endpoint_names_the_address(loop: Loop) -> None:
    async def main() -> None:
        server, _ = await loop.create_datagram_endpoint(Echo, local_addr=(HOST, 0))
        transport, client = await loop.create_datagram_endpoint(
            lambda: Client(loop), local_addr=(HOST, 0)
        )
        transport.sendto(b"hello", server.get_extra_info("sockname"))
        assert await client.received.get() == b"HELLO"
        transport.abort()
        server.close()
        await client.lost

    run(loop, main())


def test_a_port_that_nobody_has_is_reported(loop: Loop) -> None:
    async def main() -> None:
        gone, protocol = await loop.create_datagram_endpoint(
            lambda: Client(loop), local_addr=(HOST, 0)
        )
        address = gone.get_extra_info("sockname")
        gone.close()
        await protocol.lost
        transport, client = await loop.create_datagram_endpoint(
            lambda: Client(loop), remote_addr=address
        )
        transport.sendto(b"hello")
        assert isinstance(await client.errors.get(), ConnectionRefusedError)
        transport.close()
        await client.lost

    run(loop, main())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_an_endpoint_that_was_given_no_address_stays_open(
    loop: Loop, family: socket.AddressFamily
) -> None:
    async def main() -> None:
        transport, client = await loop.create_datagram_endpoint(lambda: Client(loop), family=family)
        await asyncio.sleep(0.001)
        assert not transport.is_closing()
        transport.close()
        assert await client.lost is None

    run(loop, main())
