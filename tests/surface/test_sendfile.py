"""Sending files: through a socket and through a transport, natively and not."""

from __future__ import annotations

import asyncio
import io
import socket
from pathlib import Path

import pytest
from surface_support import Loop, run

SIMULATED = True

DATA = bytes(range(256)) * 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(("offset", "count"), [(0, None), (100, None), (100, 5000), (0, 1)])
def test_through_a_socket(loop: Loop, path: Path, offset: int, count: int | None) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with near, far, path.open("rb") as file:
            near.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=far)
            received = asyncio.create_task(reader.read())
            sent = await loop.sock_sendfile(near, file, offset, count, fallback=True)
            near.shutdown(socket.SHUT_WR)
            expected = DATA[offset : None if count is None else offset + count]
            assert sent == len(expected)
            assert await received == expected
            writer.close()
            await writer.wait_closed()

    run(loop, main())


@pytest.mark.parametrize("fallback", [False, True])
def test_through_a_transport(loop: Loop, path: Path, fallback: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with path.open("rb") as file:
            writer.write(b"head ")
            await loop.sendfile(writer.transport, file, 10, 100_000, fallback=fallback)
            writer.write(b" tail")
        writer.close()

    async def main() -> bytes:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.sockets[0].getsockname()[1]
            )
            data = await reader.read()
            writer.close()
            await writer.wait_closed()
        return data

    assert run(loop, main()) == b"head " + DATA[10:100_010] + b" tail"


def test_an_empty_file(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        path = tmp_path / "empty"
        path.touch()
        with near, far, path.open("rb") as file:
            near.setblocking(False)
            assert await loop.sock_sendfile(near, file) == 0

    run(loop, main())


def test_a_text_file_is_refused(loop: Loop, path: Path) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with near, far, path.open(encoding="latin-1") as file:
            near.setblocking(False)
            with pytest.raises(ValueError, match="binary"):
                await loop.sock_sendfile(near, file)  # type: ignore[arg-type]

    run(loop, main())


def test_nothing_is_written_meanwhile(loop: Loop, path: Path) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=near)
        other_reader, other_writer = await asyncio.open_connection(sock=far)
        with path.open("rb") as file:
            sending = asyncio.create_task(loop.sendfile(writer.transport, file))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                writer.write(b"too early")
            assert await other_reader.readexactly(len(DATA)) == DATA
            assert await sending == len(DATA)
        for each in (writer, other_writer):
            each.close()
            await each.wait_closed()

    run(loop, main())


def test_what_is_no_regular_file_goes_the_other_way_or_not_at_all(loop: Loop) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
                await loop.sock_sendfile(near, io.BytesIO(b"data"), fallback=False)
            assert await loop.sock_sendfile(near, io.BytesIO(b"data")) == 4
            assert far.recv(10) == b"data"

    run(loop, main())
