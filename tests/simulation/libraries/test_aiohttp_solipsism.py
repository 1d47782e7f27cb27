"""aiohttp over ``soliloop.compat.async_solipsism``, as the documentation of that package sets it up; and without its stand-in."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientSession, test_utils, web
from soliloop.compat import async_solipsism

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(params=["stand-in", "aiohappyeyeballs"])
def calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Any] | None:
    if request.param == "aiohappyeyeballs":
        return None
    found: list[Any] = []

    async def start_connection(addr_infos: Any, **options: Any) -> socket.socket:
        found.append(addr_infos)
        return await async_solipsism.aiohappyeyeballs_start_connection(addr_infos, **options)

    monkeypatch.setattr("aiohappyeyeballs.start_connection", start_connection)
    return found


def listening(host: str, port: int, _family: Any) -> async_solipsism.ListenSocket:
    return async_solipsism.ListenSocket((host, port))


async def double(request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.json_response({"double": 2 * (await request.json())["number"]})


def test_client_and_server(calls: list[Any] | None) -> None:
    async def main() -> None:
        app = web.Application()
        app.router.add_post("/double", double)
        async with (
            test_utils.TestServer(app, socket_factory=listening) as server,
            test_utils.TestClient(server) as client,
        ):
            assert server.port == 60_000
            response = await client.post("/double", json={"number": 21}, timeout=None)
            assert await response.json() == {"double": 42}
            assert (await client.post("/elsewhere", json={})).status == 404
        async with ClientSession() as session:
            with pytest.raises(ClientConnectorError):
                await session.get("http://127.0.0.1:60000/")
        assert asyncio.get_running_loop().time() >= 3600
        await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        runner.run(main())
    assert calls is None or calls, "the stand-in was used"
