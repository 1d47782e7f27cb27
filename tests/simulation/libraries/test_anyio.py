"""anyio's asyncio backend, unmodified, inside a simulation: streams, datagrams, scopes of cancellation, task groups."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import pytest
import soliloop
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener, TLSStream
from hour_support import CERTIFICATE, Log, Serve, Work, an_hour, assert_plausible

pytestmark = pytest.mark.usefixtures("no_leaks")
PORT = 9000
TROUBLE = OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream


def serving(context: ssl.SSLContext | None = None) -> Serve:
    """Sends each line back."""

    async def echo(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            try:
                async for data in stream:
                    await stream.send(data)
            except anyio.BrokenResourceError:
                pass

    async def serve(stop: asyncio.Event) -> None:
        listener: Any = await anyio.create_tcp_listener(local_host="0.0.0.0", local_port=PORT)
        if context is not None:
            listener = TLSListener(listener, context, standard_compatible=False)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, echo)
            await stop.wait()
            tasks.cancel_scope.cancel()

    return serve


def conversing(context: ssl.SSLContext | None = None) -> Work:
    async def connect() -> anyio.abc.ByteStream:
        stream = await anyio.connect_tcp("server", PORT)
        if context is None:
            return stream
        return await TLSStream.wrap(
            stream, hostname="localhost", ssl_context=context, standard_compatible=False
        )

    async def work(log: Log) -> None:
        number = 0
        while not log.is_over:
            try:
                with anyio.fail_after(15):
                    stream = await connect()
                async with stream:
                    lines = BufferedByteReceiveStream(stream)
                    while not log.is_over:
                        number += 1
                        with anyio.fail_after(10):
                            await stream.send(b"line %d\n" % number)
                            assert await lines.receive_until(b"\n", 100) == b"line %d" % number
                        log.success()
                        await anyio.sleep(10)
            except (*TROUBLE, anyio.IncompleteRead) as error:
                log.failure(error)
                await anyio.sleep(5)

    return work


def test_streams() -> None:
    outcome = an_hour(serving(), conversing())
    assert_plausible(outcome, {"TimeoutError"})
    assert an_hour(serving(), conversing()) == outcome


def test_streams_with_tls() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    client = ssl.create_default_context(cafile=str(CERTIFICATE))
    outcome = an_hour(serving(server), conversing(client))
    assert_plausible(outcome, {"TimeoutError"})


def test_datagrams() -> None:
    """What is lost is asked for again."""

    async def serve(stop: asyncio.Event) -> None:
        async def answer() -> None:
            async with await anyio.create_udp_socket(
                local_host="0.0.0.0", local_port=PORT
            ) as socket:
                async for data, (host, port) in socket:
                    await socket.sendto(data, host, port)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            await stop.wait()
            tasks.cancel_scope.cancel()

    async def work(log: Log) -> None:
        number = 0
        async with await anyio.create_connected_udp_socket("server", PORT) as socket:
            while not log.is_over:
                number += 1
                question = b"%d" % number
                try:
                    with anyio.fail_after(5):
                        answer = None
                        while answer != question:
                            await socket.send(question)
                            with anyio.move_on_after(1):
                                answer = await socket.receive()
                    log.success()
                except TROUBLE as error:
                    log.failure(error)
                await anyio.sleep(10)

    outcome = an_hour(serve, work)
    # A host that is up and has no such port says so.
    assert_plausible(outcome, {"TimeoutError"})
    assert an_hour(serve, work) == outcome


def test_scopes_are_in_simulated_time() -> None:
    async def main() -> list[float]:
        times = []
        with anyio.move_on_after(3) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        times.append(anyio.current_time())
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(anyio.sleep, number)
        times.append(anyio.current_time())
        sender, receiver = anyio.create_memory_object_stream[int](1)
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                async with sender:
                    for number in range(5):
                        await sender.send(number)
                        await anyio.sleep(1)

            tasks.start_soon(send)
            async with receiver:
                assert [number async for number in receiver] == [0, 1, 2, 3, 4]
        times.append(anyio.current_time())
        return times

    with soliloop.simulation() as sim:
        assert sim.run(main()) == [3, 12, 17]


def test_worker_threads_are_real_ones_and_refused() -> None:
    async def main() -> None:
        await anyio.to_thread.run_sync(pow, 2, 5)

    with (
        soliloop.simulation() as sim,
        pytest.raises(soliloop.OutsideWorldError, match=r"asyncio\.to_thread run"),
    ):
        sim.run(main())
