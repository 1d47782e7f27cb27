"""Pipes: reading and writing ends as transports."""

from __future__ import annotations

import asyncio
import os

import pytest
from surface_support import Loop, run


async def open_pipe(
    loop: Loop,
) -> tuple[asyncio.StreamReader, asyncio.ReadTransport, asyncio.StreamWriter]:
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    source, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
    )
    target, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(writing, "wb", 0)
    )
    return reader, source, asyncio.StreamWriter(target, protocol, None, loop)


def test_bytes_go_through_and_the_end_arrives(loop: Loop) -> None:
    async def main() -> bytes:
        reader, _, writer = await open_pipe(loop)
        writer.write(b"hello")
        writer.close()
        return await reader.read()

    assert run(loop, main()) == b"hello"


def test_more_than_a_pipe_holds(loop: Loop) -> None:
    async def main() -> int:
        reader, _, writer = await open_pipe(loop)
        writer.write(bytes(1_000_000))
        drained = asyncio.create_task(writer.drain())
        data = await reader.readexactly(1_000_000)
        await drained
        writer.close()
        assert await reader.read() == b""
        return len(data)

    assert run(loop, main()) == 1_000_000


def test_a_reader_that_goes_away_is_noticed(loop: Loop) -> None:
    async def main() -> None:
        _, source, writer = await open_pipe(loop)
        source.close()
        while not writer.transport.is_closing():
            await asyncio.sleep(0)

    run(loop, main())


def test_a_regular_file_is_no_pipe(loop: Loop) -> None:
    async def main() -> None:
        with open(__file__, "rb") as file, pytest.raises(ValueError, match="pipes"):
            await loop.connect_read_pipe(asyncio.Protocol, file)

    run(loop, main())
