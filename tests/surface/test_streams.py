"""asyncio's streams over a connection: what readers and writers do, and that ours have taken asyncio's place."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import pytest
from soliloop import _streams
from surface_support import Loop, handled, run

SIMULATED = True

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LIMIT = 1000


@contextlib.asynccontextmanager
async def connected(limit: int = LIMIT, **options: Any) -> AsyncIterator[tuple[Ends, Ends]]:
    """The two ends of a connection: the server's, and the client's."""
    server_end: asyncio.Future[Ends] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_end.set_result((reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=limit, **options)
    client_end = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=limit)
    ends = await server_end, client_end
    try:
        yield ends
    finally:
        for _, writer in ends:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        server.close()
        await server.wait_closed()


def test_ours_take_the_place_of_asyncios(our_loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, writer), (client_reader, client_writer)):
            assert type(reader) is type(client_reader) is _streams.StreamReader
            assert type(writer) is _streams.StreamWriter
            assert isinstance(reader, asyncio.StreamReader)
            assert isinstance(writer, asyncio.StreamWriter)
            client_writer.write(b"some")
            assert await reader.read(2) == b"so"
            # What looks at asyncio's own attributes sees what is there.
            assert (bytes(reader._buffer), reader._eof) == (b"me", False)  # type: ignore[attr-defined]

    run(our_loop, main())


def test_classes_that_derive_from_asyncios_are_left_alone(loop: Loop) -> None:
    class Reader(asyncio.StreamReader):
        fed = 0

        def feed_data(self, data: Any) -> None:
            self.fed += len(data)
            super().feed_data(data)

    class Protocol(asyncio.StreamReaderProtocol):
        pass

    async def main(protocol_class: type, reader_class: type) -> None:
        near, far = socket.socketpair()
        reader = reader_class(loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol_class(reader, loop=loop), sock=near
        )
        far.send(b"12345")
        assert await reader.readexactly(5) == b"12345"
        assert type(reader) is reader_class
        assert getattr(reader, "fed", 5) == 5
        transport.close()
        far.close()
        await asyncio.sleep(0)

    run(loop, main(asyncio.StreamReaderProtocol, Reader))
    run(loop, main(Protocol, asyncio.StreamReader))
    run(loop, main(Protocol, Reader))


CALLS: dict[str, tuple[Callable[[asyncio.StreamReader], Any], bytes, Any, bytes]] = {
    # call, what comes, result, what is left
    "some": (lambda reader: reader.read(4), b"12345", b"1234", b"5"),
    "no more than there is": (lambda reader: reader.read(40), b"12345", b"12345", b""),
    "by name": (lambda reader: reader.read(n=2), b"12345", b"12", b"345"),
    "none": (lambda reader: reader.read(0), b"12345", b"", b"12345"),
    "exactly": (lambda reader: reader.readexactly(5), b"12345", b"12345", b""),
    "exactly nothing": (lambda reader: reader.readexactly(0), b"12345", b"", b"12345"),
    "a line": (lambda reader: reader.readline(), b"one\ntwo\n", b"one\n", b"two\n"),
    "a newline": (lambda reader: reader.readline(), b"\ntwo\n", b"\n", b"two\n"),
    "until": (lambda reader: reader.readuntil(b"--"), b"a-b--c", b"a-b--", b"c"),
    "until by name": (lambda reader: reader.readuntil(separator=b"b"), b"abc", b"ab", b"c"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_call_takes_its_part(loop: Loop, name: str, size: int) -> None:
    """However the bytes come: one at a time, or all at once."""
    call, data, result, left = CALLS[name]

    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            if size >= len(data) or name in ("some", "by name", "no more than there is"):
                writer.write(data)
                while len(reader._buffer) < len(data):  # type: ignore[attr-defined]
                    await asyncio.sleep(0.001)
                assert await call(reader) == result
            else:
                task = asyncio.create_task(call(reader))
                for start in range(0, len(data), size):
                    await asyncio.sleep(0.001)
                    writer.write(data[start : start + size])
                assert await task == result
            writer.write_eof()
            assert await reader.read() == left
            assert reader.at_eof()

    run(loop, main())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda reader: reader.readexactly(4), asyncio.IncompleteReadError(b"123", 4)),
        (lambda reader: reader.readuntil(b"x"), asyncio.IncompleteReadError(b"123", None)),
    ],
)
def test_a_stream_that_ends_too_early(loop: Loop, call: Any, error: Exception) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            writer.write(b"123")
            writer.write_eof()
            with pytest.raises(asyncio.IncompleteReadError) as caught:
                await call(reader)
            assert vars(caught.value) == vars(error)
            assert str(caught.value) == str(error)
            assert await reader.read() == b""
            assert await reader.readline() == b""

    run(loop, main())


def test_lines_by_async_for(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            writer.write(b"one\n\nthree")
            writer.write_eof()
            assert [line async for line in reader] == [b"one\n", b"\n", b"three"]

    run(loop, main())


def test_a_line_that_is_too_long(loop: Loop) -> None:
    async def main() -> None:
        async with connected(limit=10) as ((reader, _), (_, writer)):
            writer.write(b"x" * 12 + b"\nshort\n")
            while len(reader._buffer) < 19:  # type: ignore[attr-defined]
                await asyncio.sleep(0.001)
            with pytest.raises(ValueError, match="Separator is found, but chunk is longer"):
                await reader.readline()
            assert await reader.readline() == b"short\n"
            writer.write(b"y" * 12)
            with pytest.raises(ValueError, match="Separator is not found, and chunk exceed"):
                await reader.readline()
            writer.write(b"z" * 12 + b"--")
            with pytest.raises(asyncio.LimitOverrunError) as caught:
                await reader.readuntil(b"--")
            assert caught.value.consumed in (11, 12)
            assert await reader.readexactly(caught.value.consumed) == b"z" * caught.value.consumed

    run(loop, main())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda reader: reader.readexactly(-1), ValueError),
        (lambda reader: reader.readuntil(b""), ValueError),
        (lambda reader: reader.read("many"), TypeError),
        (lambda reader: reader.read(1, 2), TypeError),
        (lambda reader: reader.read(m=1), TypeError),
    ],
)
def test_bad_arguments(loop: Loop, call: Any, error: type[Exception]) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), _):
            with pytest.raises(error):
                await call(reader)

    run(loop, main())


def test_two_may_not_wait_at_once(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            first = asyncio.create_task(reader.read(10))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match=r"readuntil\(\) called while another coroutine"):
                await reader.readline()
            writer.write(b"data")
            assert await first == b"data"

    run(loop, main())


def test_a_cancelled_call_has_taken_nothing(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            for call in (reader.read(3), reader.readexactly(8), reader.readline()):
                task = asyncio.create_task(call)
                await asyncio.sleep(0.001)
                task.cancel("enough")
                with pytest.raises(asyncio.CancelledError, match="enough"):
                    await task
                writer.write(b"1234")
            assert await reader.readexactly(12) == b"123412341234"

    run(loop, main())


def test_a_call_that_is_cancelled_when_its_data_has_come(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            task = asyncio.create_task(reader.read(100))
            await asyncio.sleep(0)
            reader.feed_data(b"first ")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            writer.write(b"second")
            assert await reader.readexactly(12) == b"first second"

    run(loop, main())


def test_a_timeout(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.readline(), 0.005)
            writer.write(b"late\n")
            assert await asyncio.wait_for(reader.readline(), 5) == b"late\n"
            assert await asyncio.gather(reader.read(0), reader.read(0)) == [b"", b""]

    run(loop, main())


def test_a_call_is_a_coroutine(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            call = reader.read(1)
            assert asyncio.iscoroutine(call)
            assert not asyncio.isfuture(call)
            writer.write(b"ab")
            assert await call == b"a"
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                await call
            assert await asyncio.create_task(reader.read(1)) == b"b"
            call = reader.read(1)
            call.close()

    run(loop, main())


def test_an_exception_reaches_who_waits(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), _):
            task = asyncio.create_task(reader.readline())
            await asyncio.sleep(0)
            reader.set_exception(ValueError("broken"))
            with pytest.raises(ValueError, match="broken"):
                await task
            assert isinstance(reader.exception(), ValueError)
            with pytest.raises(ValueError, match="broken"):
                await reader.read(1)

    run(loop, main())


def test_a_reset_reaches_who_waits(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, writer), (_, client_writer)):
            task = asyncio.create_task(reader.read(1))
            await asyncio.sleep(0)
            sock = client_writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client_writer.transport.abort()
            with pytest.raises(ConnectionResetError):
                await task
            with pytest.raises(ConnectionResetError):
                await writer.drain()

    run(loop, main())


def test_a_reader_that_is_behind_holds_the_peer_up(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):
            data = bytes(range(256)) * 40_000
            writer.write(data)
            await asyncio.sleep(0.01)
            # One read may bring more than the limit; the next one waits for room.
            assert len(reader._buffer) <= 2 * LIMIT + 256 * 1024  # type: ignore[attr-defined]
            assert writer.transport.get_write_buffer_size() > 0  # type: ignore[attr-defined]
            pieces = []
            while sum(map(len, pieces)) < len(data):
                pieces.append(await reader.read(100_000))
            assert b"".join(pieces) == data
            await writer.drain()

    run(loop, main())


def test_drain_waits_for_the_peer(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((_, writer), (client_reader, _)):
            await writer.drain()
            writer.write(b"x" * 10_000_000)
            draining = asyncio.create_task(writer.drain())  # type: ignore[arg-type, unused-ignore]
            await asyncio.sleep(0.01)
            assert not draining.done()
            await client_reader.readexactly(10_000_000)
            await draining

    run(loop, main())


def test_a_writer_that_is_closing(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((_, writer), (client_reader, _)):
            writer.writelines([b"a", b"b"])
            writer.close()
            assert writer.is_closing()
            await writer.wait_closed()
            with pytest.raises(ConnectionResetError):
                await writer.drain()
            assert await client_reader.read() == b"ab"

    run(loop, main())


def test_a_reader_that_is_gone_does_not_hold_the_peer_up(loop: Loop) -> None:
    async def main() -> None:
        async with connected() as ((reader, writer), (_, client_writer)):
            gone = weakref.ref(reader)
            del reader
            writer._reader = None  # type: ignore[attr-defined]
            gc.collect()
            if gone() is None:
                client_writer.write(b"x" * 5_000_000)
                await client_writer.drain()

    async def unpacked() -> None:
        await main()

    run(loop, unpacked())


def test_the_variables_of_the_task_are_its_own(loop: Loop) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def main() -> None:
        async with connected() as ((reader, _), (_, writer)):

            async def read(name: str) -> str:
                variable.set(name)
                await reader.readexactly(1)
                return variable.get()

            for name in ("one", "two"):
                task = asyncio.create_task(read(name))
                await asyncio.sleep(0)
                writer.write(b"x")
                assert await task == name
                assert variable.get() == "none"

    run(loop, main())


def test_an_error_of_the_servers_callback_is_reported(loop: Loop) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            raise ZeroDivisionError

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"line\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    with handled(loop) as contexts:
        run(loop, main())
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
