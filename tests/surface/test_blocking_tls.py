"""TLS over sockets with blocking calls, in a thread beside the loop: ``ssl.SSLContext.wrap_socket``."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

import pytest
from surface_support import Loop, run
from tls_support import HOST, NAME, Tls

SIMULATED = True
_T = TypeVar("_T")


async def with_server(tls: Tls, client: Callable[[int], _T]) -> _T:
    """Run the client in a thread; the server says what it hears back, in capitals, until there is no more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, HOST, 0, ssl=tls.server) as server:
        return await asyncio.to_thread(client, server.sockets[0].getsockname()[1])


def connected(tls: Tls, port: int, name: str = NAME) -> ssl.SSLSocket:
    return tls.client.wrap_socket(
        socket.create_connection((HOST, port), timeout=5), server_hostname=name
    )


def test_there_and_back(loop: Loop, each_tls: Tls) -> None:
    def client(port: int) -> bytes:
        with connected(each_tls, port) as sock:
            assert sock.version() in ("TLSv1.2", "TLSv1.3")
            assert sock.getpeercert()
            answer = b""
            for _ in range(3):
                sock.sendall(b"data" * 10_000)
                while len(answer) % 40_000 or not answer:
                    answer += sock.recv(65536)
            return answer

    assert run(loop, with_server(each_tls, client)) == b"DATA" * 10_000


def test_as_a_file(loop: Loop, tls: Tls) -> None:
    def client(port: int) -> list[bytes]:
        with connected(tls, port) as sock, sock.makefile("rwb") as file:
            file.write(b"one\ntwo\n")
            file.flush()
            return [file.readline(), file.readline()]

    assert run(loop, with_server(tls, client)) == [b"ONE\n", b"TWO\n"]


def test_a_time_limit(loop: Loop, tls: Tls) -> None:
    def client(port: int) -> None:
        with connected(tls, port) as sock:
            sock.settimeout(0.05)
            with pytest.raises(TimeoutError, match="The read operation timed out"):
                sock.recv(1)
            sock.settimeout(5)
            sock.sendall(b"later")
            assert sock.recv(5) == b"LATER"

    run(loop, with_server(tls, client))


def test_without_waiting(loop: Loop, tls: Tls) -> None:
    def client(port: int) -> None:
        with connected(tls, port) as sock:
            sock.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                sock.recv(1)

    run(loop, with_server(tls, client))


def test_a_certificate_for_another_name(loop: Loop, tls: Tls) -> None:
    def client(port: int) -> None:
        with (
            socket.create_connection((HOST, port), timeout=5) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            tls.client.wrap_socket(plain, server_hostname="elsewhere")

    loop.set_exception_handler(lambda *_: None)
    run(loop, with_server(tls, client))


def test_both_sides_in_threads_and_back_to_plain(loop: Loop, tls: Tls) -> None:
    def far(sock: socket.socket) -> bytes:
        with tls.server.wrap_socket(sock, server_side=True) as secure:
            assert secure.recv(4) == b"data"
            with secure.unwrap() as plain:
                return plain.recv(5)

    def near(sock: socket.socket) -> None:
        with tls.client.wrap_socket(sock, server_hostname=NAME) as secure:
            secure.sendall(b"data")
            with secure.unwrap() as plain:
                plain.sendall(b"plain")

    async def main() -> bytes:
        sockets = socket.socketpair()
        for sock in sockets:
            sock.settimeout(5)
        answer, _ = await asyncio.gather(
            asyncio.to_thread(far, sockets[0]), asyncio.to_thread(near, sockets[1])
        )
        return answer

    assert run(loop, main()) == b"plain"
