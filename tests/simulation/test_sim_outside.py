"""What reaches the outside world is refused by name, and the simulation goes on."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
import soliloop

Call = Callable[[soliloop.EventLoop], Any]
CALLS: dict[str, tuple[Call, str]] = {
    "open_connection": (lambda _: asyncio.open_connection("127.0.0.1", 9), "create_connection"),
    "start_server": (lambda _: asyncio.start_server(print, "127.0.0.1", 0), "create_server"),
    "open_unix_connection": (
        lambda _: asyncio.open_unix_connection("/nowhere"),
        "create_unix_connection",
    ),
    "start_unix_server": (
        lambda _: asyncio.start_unix_server(print, "/nowhere"),
        "create_unix_server",
    ),
    "datagrams": (
        lambda loop: loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        ),
        "create_datagram_endpoint",
    ),
    "getaddrinfo": (lambda loop: loop.getaddrinfo("localhost", 80), "getaddrinfo"),
    "getnameinfo": (lambda loop: loop.getnameinfo(("127.0.0.1", 80)), "getnameinfo"),
    "subprocess": (
        lambda _: asyncio.create_subprocess_exec(sys.executable, "-V"),
        "subprocess_exec",
    ),
    "shell": (lambda _: asyncio.create_subprocess_shell("true"), "subprocess_shell"),
    "signals": (lambda loop: loop.add_signal_handler(signal.SIGUSR1, print), "add_signal_handler"),
    "readers": (lambda loop: loop.add_reader(0, print), "add_reader"),
    "writers": (lambda loop: loop.add_writer(1, print), "add_writer"),
    "pipes": (
        lambda loop: loop.connect_read_pipe(asyncio.Protocol, sys.__stdin__),
        "connect_read_pipe",
    ),
}


@pytest.mark.parametrize("factor", [None, 1000.0], ids=["jumping", "paced"])
@pytest.mark.parametrize(("call", "name"), CALLS.values(), ids=CALLS.keys())
def test_refused_by_name(call: Call, name: str, factor: float | None) -> None:
    with soliloop.simulation(factor=factor) as sim:

        async def main() -> str:
            with pytest.raises(soliloop.OutsideWorldError, match=name):
                result = call(sim.loop)
                if asyncio.iscoroutine(result):
                    await result
            await asyncio.sleep(1)
            return "goes on"

        assert sim.run(main()) == "goes on"


@pytest.mark.parametrize(
    "name", ["sock_recv", "sock_sendall", "sock_connect", "sock_accept", "sock_recv_into"]
)
def test_sockets(name: str) -> None:
    one, other = socket.socketpair()
    with one, other, soliloop.simulation() as sim:
        one.setblocking(False)

        async def main() -> None:
            with pytest.raises(soliloop.OutsideWorldError, match=name):
                await getattr(sim.loop, name)(one, *([b"x"] if name != "sock_accept" else []))

        sim.run(main())


def test_no_coroutine_is_left_unawaited(recwarn: pytest.WarningsRecorder) -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            with pytest.raises(soliloop.OutsideWorldError):
                await asyncio.gather(asyncio.open_connection("127.0.0.1", 9), asyncio.sleep(1))

        sim.run(main())
    assert [warning for warning in recwarn if warning.category is RuntimeWarning] == []


def test_it_is_a_runtime_error() -> None:
    assert issubclass(soliloop.OutsideWorldError, RuntimeError)
    assert issubclass(soliloop.DeadlockError, RuntimeError)
