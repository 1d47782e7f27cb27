"""TLS: a server with the certificate of CPython's own tests, verified by its authority."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import soliloop
from surface_support import Loop, run
from tls_support import HOST, Reader, Writer, echo

SIMULATED = True


def test_there_and_back(
    loop: Loop, server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    data = bytes(range(256)) * 2000

    async def main() -> None:
        async with await asyncio.start_server(echo, HOST, 0, ssl=server_side) as server:
            reader, writer = await asyncio.open_connection(
                HOST,
                server.sockets[0].getsockname()[1],
                ssl=client_side,
                server_hostname="localhost",
            )
            assert writer.get_extra_info("cipher")
            assert writer.get_extra_info("peercert")["subject"]
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_a_name_that_is_not_the_certificates(
    loop: Loop, server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, HOST, 0, ssl=server_side) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection(
                    HOST,
                    server.sockets[0].getsockname()[1],
                    ssl=client_side,
                    server_hostname="example.org",
                )

    run(loop, main())


def test_a_connection_is_upgraded(
    loop: Loop, server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.drain()
        await writer.start_tls(server_side)
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def main() -> bytes:
        async with await asyncio.start_server(serve, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, server.sockets[0].getsockname()[1])
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go on\n"
            await writer.start_tls(client_side, server_hostname="localhost")
            writer.write(b"secret\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return answer

    assert run(loop, main()) == b"SECRET\n"


class Quiet(asyncio.Protocol):
    """Notes what it receives and how it ends; reads nothing at first."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def test_no_data_after_close(
    our_loop: soliloop.EventLoop, server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        writer.write(b"ignored" * 1000)
        assert await reader.read() == b"", "the end of the client's stream"
        writer.write(b"trailing")
        writer.close()

    async def main() -> tuple[bytes, object]:
        async with await asyncio.start_server(serve, HOST, 0, ssl=server_side) as server:
            transport, protocol = await our_loop.create_connection(
                Quiet,
                *server.sockets[0].getsockname(),
                ssl=client_side,
                server_hostname="localhost",
            )
            await asyncio.sleep(0.05)
            our_loop.call_soon(transport.close)
            transport.resume_reading()
            return protocol.received, await protocol.lost

    assert run(our_loop, main()) == (b"", None)


def test_close_after_the_peer_has_gone_while_reading_is_paused(
    our_loop: soliloop.EventLoop, server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        writer.write(b"last words")
        await writer.drain()
        # The stream of the socket ends, not that of TLS.
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        assert await reader.read() == b""
        writer.close()

    async def main() -> tuple[bytes, object]:
        async with await asyncio.start_server(serve, HOST, 0, ssl=server_side) as server:
            transport, protocol = await our_loop.create_connection(
                Quiet,
                *server.sockets[0].getsockname(),
                ssl=client_side,
                server_hostname="localhost",
            )
            await asyncio.sleep(0.05)
            transport.close()
            return protocol.received, await protocol.lost

    assert run(our_loop, main()) == (b"", None)


def test_what_was_written_goes_out_before_the_close(
    our_loop: soliloop.EventLoop, server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    size = 1 << 24

    async def main() -> int:
        counted = our_loop.create_future()

        async def count(reader: Reader, writer: Writer) -> None:
            await asyncio.sleep(0.05)
            counted.set_result(len(await reader.read()))
            writer.close()

        async with await asyncio.start_server(count, HOST, 0, ssl=server_side) as server:
            _, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_side, server_hostname="localhost"
            )
            for _ in range(16):
                writer.write(bytes(size // 16))
            writer.close()
            await writer.wait_closed()
            received: int = await counted
            return received

    assert run(our_loop, main()) == size
