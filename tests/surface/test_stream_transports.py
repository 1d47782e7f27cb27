"""Stream transports to asyncio's contract: what a protocol may do in each of its methods, and what faults end in.

One text for asyncio's transports and ours, over connected sockets, loopback and pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from surface_support import Loop, Pair, Recorder, Script, arrived, handled, run

SIMULATED = True


async def connect(pair: Pair, protocol: Any = None) -> tuple[Any, Any]:
    """A transport over one socket of the pair."""
    near, _ = pair
    loop = asyncio.get_running_loop()
    return await loop.create_connection(protocol or Recorder, sock=near)


def test_what_is_written_in_one_turn_arrives_in_order(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        for number in range(200):
            transport.write(b"%03d" % number)
        transport.writelines([b"-", bytearray(b"-"), memoryview(b"end")])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        expected = b"".join(b"%03d" % number for number in range(200)) + b"--end"
        assert pair[1].recv(10_000, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == expected
        transport.close()
        await protocol.ended

    run(loop, main())


def test_a_chunk_may_be_changed_after_it_was_written(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        chunk = bytearray(b"before")
        transport.write(chunk)
        chunk[:] = b"after!"
        transport.write(memoryview(chunk)[:5])
        chunk[:] = b"gone.."
        transport.close()
        await protocol.ended
        assert pair[1].recv(100) == b"beforeafter"

    run(loop, main())


@pytest.mark.parametrize("data", ["text", None, 5, [b"list"]])
def test_what_is_not_bytes_is_refused(loop: Loop, pair: Pair, data: Any) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        with pytest.raises(TypeError):
            transport.write(data)
        transport.close()
        await protocol.ended

    run(loop, main())


def test_what_was_written_is_sent_though_the_loop_stops(loop: Loop, pair: Pair) -> None:
    async def main() -> tuple[Any, Any]:
        transport, protocol = await connect(pair)
        transport.write(b"last words")
        return transport, protocol

    transport, protocol = run(loop, main())
    assert pair[1].recv(100) == b"last words"
    # The loop doesn't run: nothing waits for the end of a turn that may never come.
    transport.write(b"one more")
    assert pair[1].recv(100) == b"one more"
    transport.close()
    run(loop, asyncio.wait_for(protocol.ended, 5))


def test_an_interrupt_does_not_keep_what_was_written(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        kept.append((transport, protocol))
        loop.call_soon(transport.write, b"before")
        loop.call_soon(interrupt)
        await asyncio.sleep(1000)

    def interrupt() -> None:
        raise KeyboardInterrupt

    kept: list[tuple[Any, Any]] = []
    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert pair[1].recv(100) == b"before"
    task.cancel()
    for transport, protocol in kept:
        transport.close()
        run(loop, asyncio.wait_for(protocol.ended, 5))


def test_half_closed_the_writing_way(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        assert transport.can_write_eof()
        transport.write(b"all")
        transport.write_eof()
        with pytest.raises(RuntimeError, match=r"write\(\) after write_eof"):
            transport.write(b"more")
        await asyncio.sleep(0.001)
        assert pair[1].recv(100) == b"all"
        assert pair[1].recv(100) == b""
        pair[1].send(b"answer")
        await arrived(protocol, 6)
        transport.close()
        assert await protocol.ended is None

    run(loop, main())


@pytest.mark.parametrize("keeps_open", [False, True])
def test_the_peer_closes_its_half(loop: Loop, pair: Pair, keeps_open: bool) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        protocol.keeps_open = keeps_open
        pair[1].shutdown(socket.SHUT_WR)
        while "eof" not in protocol.told:
            await asyncio.sleep(0.0005)
        assert transport.is_closing() is not keeps_open
        if keeps_open:
            transport.write(b"still here")
            await asyncio.sleep(0.001)
            assert pair[1].recv(100) == b"still here"
            transport.close()
        assert await protocol.ended is None
        assert protocol.told == ["made", "eof", "lost"]

    run(loop, main())


def test_a_peer_that_never_reads(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        transport.set_write_buffer_limits(high=1000, low=100)
        assert transport.get_write_buffer_limits() == (100, 1000)
        written = 0
        while "pause" not in protocol.told:
            transport.write(b"x" * 500)
            written += 500
            await asyncio.sleep(0)
        # A writer that obeys has what the marks allow waiting, and the write that went over.
        assert 1000 < transport.get_write_buffer_size() <= 1500
        received = 0
        while received < written:
            with contextlib.suppress(BlockingIOError):
                received += len(pair[1].recv(100_000))
            await asyncio.sleep(0)
        assert protocol.told == ["made", "pause", "resume"]
        assert transport.get_write_buffer_size() == 0
        transport.close()
        await protocol.ended

    run(loop, main())


def test_abort_drops_what_waits(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        transport.write(b"x" * 5_000_000)
        assert transport.get_write_buffer_size() > 0
        transport.abort()
        assert transport.is_closing()
        assert transport.get_write_buffer_size() == 0
        assert await protocol.ended is None
        transport.abort()
        transport.close()

    run(loop, main())


def test_close_sends_what_waits(loop: Loop, pair: Pair) -> None:
    async def main() -> int:
        transport, protocol = await connect(pair)
        transport.write(b"x" * 3_000_000)
        transport.close()
        count = 0
        while True:
            try:
                data = pair[1].recv(1_000_000)
            except BlockingIOError:
                await asyncio.sleep(0.0005)
                continue
            if not data:
                assert await protocol.ended is None
                return count
            count += len(data)

    assert run(loop, main()) == 3_000_000


def test_writing_to_a_peer_that_is_gone(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        transport.pause_reading()
        pair[1].close()
        transport.write(b"into the void")
        assert isinstance(await protocol.ended, BrokenPipeError)
        for _ in range(10):
            transport.write(b"more")  # dropped, with a warning in the log

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []


def test_pausing_and_resuming_often(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        for _ in range(3):
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            pair[1].send(b"12345")
            before = protocol.data
            await asyncio.sleep(0.001)
            assert protocol.data == before
            transport.resume_reading()
            transport.resume_reading()
            assert transport.is_reading()
            await arrived(protocol, len(before) + 5)
        transport.close()
        assert not transport.is_reading()
        transport.resume_reading()
        await protocol.ended

    run(loop, main())


ACTIONS = ["close", "abort", "pause_reading", "write_eof"]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("method", ["connection_made", "data_received", "pause_writing"])
def test_what_a_protocol_does_inside_its_methods(
    loop: Loop, pair: Pair, method: str, action: str
) -> None:
    class Acting(Recorder):
        def act(self, name: str) -> None:
            if name == method:
                getattr(self.transport, action)()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.act("connection_made")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.act("data_received")

        def pause_writing(self) -> None:
            super().pause_writing()
            self.act("pause_writing")

    async def main() -> None:
        transport, protocol = await connect(pair, Acting)
        with contextlib.suppress(BrokenPipeError):
            pair[1].send(b"data")
        await asyncio.sleep(0.001)
        if method == "pause_writing":
            with contextlib.suppress(RuntimeError):
                transport.write(b"x" * 5_000_000)
        await asyncio.sleep(0.001)
        transport.abort()
        await protocol.ended
        assert protocol.told.count("lost") == 1
        assert protocol.told[-1] == "lost"

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []


METHODS = {
    "connection_made": "Exception in callback",
    "data_received": "Fatal error: protocol.data_received() call failed.",
    "eof_received": "Fatal error: protocol.eof_received() call failed.",
    "connection_lost": "Exception in callback",
    "pause_writing": "protocol.pause_writing() failed",
    "resume_writing": "protocol.resume_writing() failed",
}


@pytest.mark.parametrize("method", METHODS)
def test_an_error_in_each_method_goes_to_the_handler(loop: Loop, pair: Pair, method: str) -> None:
    class Failing(Recorder):
        pass

    def fail(self: Recorder, *args: Any) -> None:
        getattr(Recorder, method)(self, *args)
        raise ZeroDivisionError(method)

    setattr(Failing, method, fail)

    async def main() -> None:
        transport, protocol = await connect(pair, Failing)
        if method in ("pause_writing", "resume_writing"):
            transport.write(b"x" * 3_000_000)
            while transport.get_write_buffer_size():
                with contextlib.suppress(BlockingIOError):
                    pair[1].recv(1_000_000)
                await asyncio.sleep(0.0005)
        pair[1].send(b"data")
        await asyncio.sleep(0.001)
        with contextlib.suppress(OSError):
            pair[1].shutdown(socket.SHUT_WR)
        error = await protocol.ended
        fatal = method in ("data_received", "eof_received")
        assert isinstance(error, ZeroDivisionError) is fatal
        await asyncio.sleep(0)

    with handled(loop) as contexts:
        run(loop, main())
    assert [str(context["exception"]) for context in contexts] == [method]
    assert contexts[0]["message"].startswith(METHODS[method])


@pytest.mark.parametrize("method", ["data_received", "eof_received", "connection_lost"])
def test_an_interrupt_in_a_method_ends_the_run_and_the_loop_goes_on(
    loop: Loop, pair: Pair, method: str
) -> None:
    class Interrupting(Recorder):
        pass

    def interrupt(self: Recorder, *args: Any) -> None:
        getattr(Recorder, method)(self, *args)
        raise KeyboardInterrupt

    setattr(Interrupting, method, interrupt)

    async def begin() -> tuple[Any, Any]:
        return await connect(pair, Interrupting)

    transport, protocol = run(loop, begin())
    pair[1].send(b"data")
    pair[1].shutdown(socket.SHUT_WR)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    transport.abort()
    with contextlib.suppress(KeyboardInterrupt):
        run(loop, asyncio.wait_for(protocol.ended, 5))
    assert protocol.told.count("lost") == 1


def test_the_protocol_is_exchanged(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, first = await connect(pair)
        second = Recorder()
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        pair[1].send(b"for the second")
        await arrived(second, 14)
        transport.close()
        await second.ended
        assert (first.data, second.told) == (b"", ["lost"])

    run(loop, main())


@pytest.mark.parametrize("buffer", [bytes(10), bytearray(), "text", None])
def test_a_buffered_protocol_with_a_bad_buffer(loop: Loop, pair: Pair, buffer: Any) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> Any:
            return buffer

        def connection_lost(self, exc: BaseException | None) -> None:
            self.ended.set_result(exc)

    async def main() -> BaseException | None:
        _, protocol = await connect(pair, Buffered)
        pair[1].send(b"data")
        error: BaseException | None = await protocol.ended
        return error

    with handled(loop) as contexts:
        assert run(loop, main()) is not None
    assert len(contexts) == 1


def test_a_transport_and_its_protocol_are_freed(loop: Loop, pair: Pair) -> None:
    async def main() -> list[weakref.ref[Any]]:
        transport, protocol = await connect(pair)
        transport.protocol = protocol  # a ring, through the attributes that a transport may have
        transport.close()
        await protocol.ended
        return [weakref.ref(transport), weakref.ref(protocol)]

    gone = run(loop, main())
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


COLLECTIONS = """
    import asyncio, gc, soliloop
    gc.set_threshold(THRESHOLD, 2, 2)

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    async def client(address):
        reader, writer = await asyncio.open_connection(*address)
        for number in range(5):
            writer.write(b"%d\\n" % number)
            assert await reader.readline() == b"%d\\n" % number
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            for _ in range(5):
                await asyncio.gather(*(client(address) for _ in range(20)))

    with asyncio.Runner(loop_factory=soliloop.new_event_loop) as runner:
        runner.run(main())
    print("done")
"""


@pytest.mark.parametrize("threshold", [1, 2, 3, 5, 7, 11])
def test_garbage_may_be_collected_at_any_time(script: Script, threshold: int) -> None:
    """Between the making of any two objects: each threshold strikes at other ones."""
    assert script(COLLECTIONS, threshold=str(threshold)) == "done\n"


def test_a_transport_that_nobody_closes(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        await connect(pair)

    run(loop, main())
    with pytest.warns(ResourceWarning, match="unclosed transport"):  # noqa: PT031
        loop.close()
        gc.collect()


def test_addresses_and_sockets_of_both_ends(loop: Loop) -> None:
    async def main() -> None:
        accepted: asyncio.Future[Recorder] = loop.create_future()

        class Serving(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                accepted.set_result(self)

        server = await loop.create_server(Serving, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        near, near_protocol = await loop.create_connection(Recorder, *address)
        far_protocol = await accepted
        far = far_protocol.transport
        assert near.get_extra_info("peername") == far.get_extra_info("sockname") == address
        assert near.get_extra_info("sockname") == far.get_extra_info("peername")
        assert far.get_extra_info("socket").fileno() == far.get_extra_info("socket").fileno() >= 0
        assert far.get_extra_info("socket").getpeername() == near.get_extra_info("sockname")
        assert isinstance(near, asyncio.Transport)
        assert isinstance(far, asyncio.Transport)
        assert far.get_extra_info("nothing", "default") == "default"
        near.close()
        await near_protocol.ended
        await far_protocol.ended
        assert far.get_extra_info("sockname") == address
        server.close()
        await server.wait_closed()

    run(loop, main())


def test_a_descriptor_of_a_transport_is_refused(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, protocol = await connect(pair)
        for paused in (False, True):
            if paused:
                transport.pause_reading()
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(pair[0], print)
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_recv(pair[0], 1)
        transport.close()
        await protocol.ended

    run(loop, main())


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """As many descriptors as there are now, and not one more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open("/dev/null", os.O_RDONLY)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.real_time(reason="simulated sockets need none")
def test_accepting_without_descriptors(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler is told, the connection waits, and is accepted when there is one again."""
    monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.01)

    async def main() -> None:
        made: list[Recorder] = []

        def factory() -> Recorder:
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        await asyncio.sleep(0.001)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            with no_descriptors_left():
                while not contexts:
                    await asyncio.sleep(0.001)
                assert made == []
            while not made:
                await asyncio.sleep(0.01)
            client.send(b"patient")
            await arrived(made[0], 7)
        await made[0].ended
        server.close()
        await server.wait_closed()

    with handled(loop) as contexts:
        run(loop, main())
    assert {context["exception"].errno for context in contexts} == {errno.EMFILE}
    assert contexts[0]["message"] == "socket.accept() out of system resource"


def test_a_factory_that_fails_does_not_stop_the_server(our_loop: Loop) -> None:
    async def main() -> None:
        made: list[Recorder] = []

        def factory() -> Recorder:
            if not made:
                made.append(Recorder())
                raise ZeroDivisionError
            made.append(Recorder())
            return made[-1]

        server = await our_loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address), socket.create_connection(address) as second:
            while len(made) < 2:
                await asyncio.sleep(0.001)
            second.send(b"x")
            await arrived(made[1], 1)
        await made[1].ended
        server.close()
        await server.wait_closed()

    with handled(our_loop) as contexts:
        run(our_loop, main())
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]


def test_a_reset_while_much_waits(loop: Loop) -> None:
    async def main() -> None:
        made: list[Recorder] = []

        def factory() -> Recorder:
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        while not made or not made[0].made.done():
            await asyncio.sleep(0.001)
        made[0].transport.write(b"x" * 10_000_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        assert isinstance(await made[0].ended, ConnectionError)
        assert made[0].transport.get_write_buffer_size() == 0
        server.close()
        await server.wait_closed()

    with handled(loop) as contexts:
        run(loop, main())
    assert contexts == []
