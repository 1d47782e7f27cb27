"""websockets, unmodified, at both ends of a simulated network: an hour of messages, kept alive by pings."""

from __future__ import annotations

import asyncio

import pytest
from hour_support import OUTAGE, PARTITION, Log, an_hour, assert_plausible
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.usefixtures("no_leaks")


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:  # no pong has come
        pass


async def serving(stop: asyncio.Event) -> None:
    async with serve(echo, "0.0.0.0", 8765):
        await stop.wait()


async def converse(log: Log) -> None:
    """Reconnect whenever it is necessary, as the library's own loop does: with a delay that doubles."""
    number, delay = 0, 1.0
    while not log.is_over:
        try:
            async with connect("ws://server:8765") as connection:
                delay = 1.0
                while not log.is_over:
                    number += 1
                    await connection.send(f"message {number}")
                    assert await connection.recv() == f"message {number}"
                    log.success()
                    await asyncio.sleep(10)
        except (OSError, ConnectionClosed) as error:
            log.failure(error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 30)


async def converse_through_its_own_loop(log: Log) -> None:
    """`async for connection in connect()` comes back by itself."""
    async for connection in connect("ws://server:8765"):
        try:
            while not log.is_over:
                await connection.send("message")
                assert await connection.recv() == "message"
                log.success()
                await asyncio.sleep(10)
            await connection.close()
            return
        except ConnectionClosed as error:
            log.failure(error)


def test_messages() -> None:
    outcome = an_hour(serving, converse)
    errors = {"ConnectionClosedError", "TimeoutError"}
    assert_plausible(outcome, errors)
    assert an_hour(serving, converse) == outcome


def test_the_pings_notice_first() -> None:
    """Every 20 seconds there is one, and its answer may take 20 seconds: then the connection is closed for 10 more at most."""
    outcome = an_hour(serving, converse)
    for begin, _ in (PARTITION, OUTAGE):
        first = min(time for time, _ in outcome.errors if time >= begin)
        assert begin + 20 < first < begin + 55


def test_reconnecting_by_itself() -> None:
    outcome = an_hour(serving, converse_through_its_own_loop)
    assert_plausible(outcome, {"ConnectionClosedError"})
    assert an_hour(serving, converse_through_its_own_loop) == outcome
