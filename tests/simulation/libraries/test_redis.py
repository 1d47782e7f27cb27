"""redis-py, unmodified, against a small server of ours that speaks redis' protocol: an hour of commands and messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio
from hour_support import Log, an_hour, assert_plausible
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

pytestmark = pytest.mark.usefixtures("no_leaks")
TROUBLE = redis.ConnectionError, redis.TimeoutError


class Database:
    """A server that knows a few commands. What it knows is gone when its host crashes."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.subscribers: dict[bytes, set[asyncio.StreamWriter]] = {}

    async def serve(self, stop: asyncio.Event) -> None:
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                while True:
                    writer.write(self.answer(await read_command(reader), writer))
                    await writer.drain()
            except (asyncio.IncompleteReadError, OSError):
                pass
            finally:
                connections.discard(task)
                for subscribers in self.subscribers.values():
                    subscribers.discard(writer)
                writer.close()

        server = await asyncio.start_server(connected, "0.0.0.0", 6379)
        async with server:
            await stop.wait()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    def answer(self, command: list[bytes], writer: asyncio.StreamWriter) -> bytes:
        match command:
            case [b"PING", *_]:
                return b"+PONG\r\n"
            case [b"HELLO", version, *_]:
                return encoded({b"proto": int(version), b"version": b"7.0.0"})
            case [b"SET", key, value, *_]:
                self.values[key] = value
                return b"+OK\r\n"
            case [b"GET", key]:
                return encoded(self.values.get(key))
            case [b"INCRBY", key, more]:
                self.values[key] = b"%d" % (int(self.values.get(key, b"0")) + int(more))
                return encoded(int(self.values[key]))
            case [b"SUBSCRIBE", channel]:
                self.subscribers.setdefault(channel, set()).add(writer)
                return b">" + encoded([b"subscribe", channel, 1])[1:]
            case [b"PUBLISH", channel, message]:
                subscribers = self.subscribers.get(channel, set())
                for subscriber in subscribers:
                    subscriber.write(b">" + encoded([b"message", channel, message])[1:])
                return encoded(len(subscribers))
            case [b"UNSUBSCRIBE", *_]:
                return b">" + encoded([b"unsubscribe", None, 0])[1:]
            case [b"CLIENT", *_]:
                return b"+OK\r\n"
        return b"-ERR unknown command\r\n"


def encoded(value: Any) -> bytes:
    """A value in the third version of the protocol."""
    match value:
        case None:
            return b"_\r\n"
        case int():
            return b":%d\r\n" % value
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case list():
            return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
        case dict():
            items = sum(value.items(), ())
            return b"%%%d\r\n" % len(value) + b"".join(map(encoded, items))
    raise TypeError(value)


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    async def number() -> int:
        return int((await reader.readuntil(b"\r\n"))[1:])

    return [(await reader.readexactly(await number() + 2))[:-2] for _ in range(await number())]


async def serving(stop: asyncio.Event) -> None:
    await Database().serve(stop)


def client_of(**options: Any) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(
        host="server", protocol=3, socket_timeout=5, socket_connect_timeout=5, **options
    )


async def count(log: Log) -> None:
    """Without retries: each command succeeds, or fails within its time."""
    async with client_of(retry=Retry(ExponentialBackoff(), 0)) as client:
        while not log.is_over:
            try:
                async with asyncio.timeout(12):
                    key = f"at {log.clock():.0f}"
                    assert await client.set(key, "value")
                    assert await client.get(key) == b"value"
                    assert await client.incr("number") > 0
                log.success()
            except TROUBLE as error:
                log.failure(error)
            await asyncio.sleep(10)


async def count_with_retries(log: Log) -> None:
    """The library tries again by itself, for long enough to survive the partition and the crash."""
    patience = Retry(ExponentialBackoff(cap=10, base=1), 20)
    async with client_of(retry=patience, retry_on_error=[redis.ConnectionError]) as client:
        while not log.is_over:
            await client.incr("number")
            log.success()
            await asyncio.sleep(10)


async def subscribe(log: Log) -> None:
    """A subscriber, with a publisher beside it; both find the way back by themselves."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        while True:
            try:
                async with (
                    client_of(health_check_interval=10) as client,
                    client.pubsub() as channel,
                ):
                    await channel.subscribe("news")
                    while True:
                        message = await channel.get_message(timeout=2)
                        if message is not None and message["type"] == "message":
                            heard.put_nowait(message["data"].decode())
            except TROUBLE:
                await asyncio.sleep(1)

    listening = asyncio.create_task(listen())
    async with client_of(retry=Retry(ExponentialBackoff(), 0)) as client:
        await asyncio.sleep(1)
        while not log.is_over:
            try:
                news = f"news at {log.clock()}"
                await client.publish("news", news)
                async with asyncio.timeout(5):
                    while await heard.get() != news:
                        pass
                log.success()
            except (*TROUBLE, TimeoutError) as error:
                log.failure(error)
            await asyncio.sleep(9)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


def test_commands() -> None:
    outcome = an_hour(serving, count)
    assert_plausible(outcome, {"TimeoutError"})
    assert an_hour(serving, count) == outcome


def test_retries() -> None:
    outcome = an_hour(serving, count_with_retries)
    assert_plausible(outcome, set())
    assert an_hour(serving, count_with_retries) == outcome


def test_messages() -> None:
    outcome = an_hour(serving, subscribe)
    assert_plausible(outcome, {"TimeoutError"})
    assert an_hour(serving, subscribe) == outcome
