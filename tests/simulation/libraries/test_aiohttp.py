"""aiohttp, unmodified, at both ends of a simulated network: an hour of requests, a WebSocket, and both again under TLS."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest
from aiohttp import web
from hour_support import CERTIFICATE, Log, Serve, Work, an_hour, assert_plausible

pytestmark = pytest.mark.usefixtures("no_leaks")
PORT = 8080


def serving(context: ssl.SSLContext | None = None) -> Serve:
    async def double(request: web.Request) -> web.Response:
        return web.json_response({"double": 2 * int(request.query["number"])})

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:  # or its end
                await socket.send_str(message.data)
        return socket

    async def serve(stop: asyncio.Event) -> None:
        app = web.Application()
        app.router.add_get("/double", double)
        app.router.add_get("/echo", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", PORT, ssl_context=context).start()
        await stop.wait()
        await runner.cleanup()

    return serve


def requesting(context: ssl.SSLContext | None = None) -> Work:
    url = f"{'https' if context else 'http'}://server:{PORT}/double"

    async def work(log: Log) -> None:
        number = 0
        limit = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=limit) as session:
            while not log.is_over:
                number += 1
                try:
                    query = {"number": str(number)}
                    async with session.get(url, params=query, ssl=context or True) as response:
                        assert await response.json() == {"double": 2 * number}
                    log.success()
                except (aiohttp.ClientError, TimeoutError) as error:
                    log.failure(error)
                await asyncio.sleep(10)
        await asyncio.sleep(1)  # aiohttp's documentation: until the connections are closed

    return work


async def converse(log: Log) -> None:
    async with aiohttp.ClientSession() as session:
        while not log.is_over:
            try:
                async with session.ws_connect(
                    f"http://server:{PORT}/echo",
                    heartbeat=20,
                    timeout=aiohttp.ClientWSTimeout(ws_receive=15),
                ) as socket:
                    while not log.is_over:
                        await socket.send_str("hello")
                        assert await socket.receive_str() == "hello"
                        log.success()
                        await asyncio.sleep(10)
            except (aiohttp.ClientError, TimeoutError, aiohttp.WSMessageTypeError) as error:
                log.failure(error)
                await asyncio.sleep(5)
    await asyncio.sleep(1)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    client = ssl.create_default_context(cafile=str(CERTIFICATE))
    client.check_hostname = False  # it is localhost's
    return server, client


def test_requests() -> None:
    outcome = an_hour(serving(), requesting())
    assert_plausible(outcome, {"TimeoutError"})
    assert an_hour(serving(), requesting()) == outcome


def test_requests_with_tls() -> None:
    server, client = contexts()
    outcome = an_hour(serving(server), requesting(client))
    assert_plausible(outcome, {"TimeoutError"})


def test_a_web_socket() -> None:
    outcome = an_hour(serving(), converse)
    errors = {"TimeoutError", "ConnectionTimeoutError"}
    assert_plausible(outcome, errors)
    assert an_hour(serving(), converse) == outcome
