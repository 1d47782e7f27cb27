"""uvicorn as the server and httpx as the client, unmodified, on a simulated network: an hour of requests, without and with TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx
import pytest
import uvicorn
from hour_support import CERTIFICATE, Log, Serve, Work, an_hour, assert_plausible

pytestmark = pytest.mark.usefixtures("no_leaks")
PORT = 8000
TIMEOUTS = {"ConnectTimeout", "ReadTimeout"}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await asyncio.sleep(0.1)  # some work
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["query_string"]})


def serving(**options: Any) -> Serve:
    async def serve(stop: asyncio.Event) -> None:
        config = uvicorn.Config(app, host="0.0.0.0", port=PORT, log_level="error", **options)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        await stop.wait()
        server.should_exit = True
        await running

    return serve


def requesting(pause: float = 10, **options: Any) -> Work:
    scheme = "https" if options else "http"

    async def work(log: Log) -> None:
        number = 0
        async with httpx.AsyncClient(timeout=10, **options) as client:
            while not log.is_over:
                number += 1
                try:
                    url = f"{scheme}://server:{PORT}/"
                    response = await client.get(url, params={"number": number})
                    assert response.text == f"number={number}"
                    log.success()
                except httpx.HTTPError as error:
                    log.failure(error)
                await asyncio.sleep(pause)

    return work


# httpx keeps an idle connection for 5 seconds, and looks whether it is still good before it takes it.
@pytest.mark.parametrize("pause", [3.0, 10.0], ids=["kept connections", "new connections"])
def test_requests(pause: float) -> None:
    outcome = an_hour(serving(), requesting(pause))
    assert_plausible(outcome, TIMEOUTS)
    assert an_hour(serving(), requesting(pause)) == outcome


def test_requests_with_tls() -> None:
    trust = ssl.create_default_context(cafile=str(CERTIFICATE))
    trust.check_hostname = False  # it is localhost's
    server = serving(ssl_certfile=str(CERTIFICATE))
    outcome = an_hour(server, requesting(verify=trust))
    assert_plausible(outcome, TIMEOUTS)


def test_many_at_once() -> None:
    """Each has its own connection from the pool, and the server's work overlaps."""

    async def work(log: Log) -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            while not log.is_over:
                try:
                    requests = (client.get(f"http://server:{PORT}/") for _ in range(5))
                    begin = log.clock()
                    for response in await asyncio.gather(*requests):
                        assert response.status_code == 200
                    # Two round trips at least, for the first of them, and a lost packet now and then.
                    assert 0.14 <= log.clock() - begin < 2
                    log.success()
                except httpx.HTTPError as error:
                    log.failure(error)
                await asyncio.sleep(10)

    outcome = an_hour(serving(), work)
    assert_plausible(outcome, TIMEOUTS)
