"""TLS: a server with the certificate of CPython's own tests, verified by its authority."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TypeAlias

import pytest
import test  # type: ignore[import-not-found]
from surface_support import Loop, run

HOST = "127.0.0.1"
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


def certificate(name: str) -> str:
    """A file of the package `test`: in a folder of its own since Python 3.12."""
    for directory in test.__path__:
        for path in (Path(directory, "certdata", name), Path(directory, name)):
            if path.exists():
                return str(path)
    pytest.fail(f"Python's test package has no {name}")


@pytest.fixture(scope="module")
def server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate("keycert3.pem"))
    return context


@pytest.fixture(scope="module")
def client_side() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate("pycacert.pem"))


async def echo(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


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
