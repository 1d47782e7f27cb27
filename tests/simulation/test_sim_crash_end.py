"""The end of what ran on a host that has crashed: it goes without a word, whatever it does when it is told to end."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import soliloop

CERTIFICATE = Path(__file__).parents[2] / "benches" / "localhost.pem"
Boot = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def quiet(no_leaks: None, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is said: no warning, which would be an error, and no message."""
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


def crash(boot: Boot) -> None:
    with soliloop.simulation() as sim:
        host = sim.host("doomed", boot=boot)

        async def main() -> None:
            await asyncio.sleep(10)
            host.crash()
            await asyncio.sleep(10)

        sim.run(main())


def test_finally_that_awaits() -> None:
    async def farewell() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)

    async def boot() -> None:
        try:
            try:
                await asyncio.sleep(100)
            finally:
                await farewell()
        finally:
            await farewell()

    crash(boot)


def test_nested_runs() -> None:
    ended: list[str] = []

    async def boot() -> None:
        try:
            asyncio.get_running_loop().run_until_complete(asyncio.sleep(15))
            ended.append("the nested run")
        finally:
            await asyncio.sleep(1)
            ended.append("boot")

    crash(boot)
    assert ended == []


def test_finally_that_starts_tasks() -> None:
    async def more() -> None:
        await asyncio.sleep(1)

    async def boot() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            asyncio.get_running_loop().create_task(more())
            asyncio.create_task(more())

    crash(boot)


def test_finally_that_fails() -> None:
    async def inner() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            raise LookupError("nobody wants to know")

    async def boot() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(inner())
            tasks.create_task(inner())
            await inner()

    crash(boot)


def test_asynchronous_generators() -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)

    async def boot() -> None:
        idle = numbers()
        await anext(idle)
        async for _ in numbers():
            pass

    crash(boot)


def test_tls() -> None:
    """Neither the transport, nor the writer, nor the server is a resource that somebody forgot."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(CERTIFICATE)
    client_context = ssl.create_default_context(cafile=str(CERTIFICATE))

    with soliloop.simulation() as sim:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(5))
            await reader.read()

        async def boot() -> None:
            server = await asyncio.start_server(answer, "0.0.0.0", 443, ssl=server_context)
            await server.serve_forever()

        server = sim.host("server", boot=boot)
        client = sim.host("client")

        async def talk() -> None:
            reader, writer = await asyncio.open_connection(
                "server", 443, ssl=client_context, server_hostname="localhost"
            )
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await asyncio.sleep(20)
            writer.write(b"are you there?")  # the host is up again, and knows nothing of it
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

        async def main() -> None:
            await asyncio.sleep(1)
            talking = client.run(talk())
            await asyncio.sleep(5)
            server.crash()
            await asyncio.sleep(5)
            server.restart()
            await talking
            await asyncio.sleep(5)

        sim.run(main())


def test_nothing_is_kept() -> None:
    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    async def boot() -> None:
        thing = Thing()
        things.append(weakref.ref(thing))
        await asyncio.sleep(100)
        del thing

    crash(boot)
    gc.collect()
    assert [thing() for thing in things] == [None]
