"""Unix sockets: streams over a path and over a pair."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TypeAlias

import pytest
from surface_support import Loop, run

SIMULATED = True

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


async def upper(reader: Reader, writer: Writer) -> None:
    try:
        while line := await reader.readline():
            writer.write(line.upper())
    finally:
        writer.close()
    await writer.wait_closed()


def test_a_server_at_a_path(loop: Loop, tmp_path: Path) -> None:
    async def main() -> bytes:
        path = str(tmp_path / "socket")
        async with await asyncio.start_unix_server(upper, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return answer

    assert run(loop, main()) == b"HELLO\n"


def test_a_path_that_nobody_serves(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection(str(tmp_path / "nothing"))

    run(loop, main())


@pytest.mark.real_time(reason="paths of sockets are no files")
def test_a_path_that_is_served_twice(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "file"
        path.write_text("in the way")
        with pytest.raises(OSError, match="in use"):
            await asyncio.start_unix_server(upper, str(path))

    run(loop, main())


def test_a_pair_of_sockets(loop: Loop) -> None:
    async def main() -> bytes:
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=near)
        server = asyncio.create_task(upper(*await asyncio.open_connection(sock=far)))
        writer.write(b"hello\n")
        writer.write_eof()
        answer = await reader.read()
        await server
        writer.close()
        await writer.wait_closed()
        return answer

    assert run(loop, main()) == b"HELLO\n"
