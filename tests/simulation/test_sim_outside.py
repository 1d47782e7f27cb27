"""What reaches the outside world is refused by name and with its place. The network is inside, and is not refused."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import soliloop

Call = Callable[[soliloop.EventLoop], Any]
CALLS: dict[str, tuple[Call, str]] = {
    "subprocess": (
        lambda _: asyncio.create_subprocess_exec(sys.executable, "-V"),
        "subprocess_exec",
    ),
    "shell": (lambda _: asyncio.create_subprocess_shell("true"), "subprocess_shell"),
    "signals": (lambda loop: loop.add_signal_handler(signal.SIGUSR1, print), "add_signal_handler"),
    "no signals": (
        lambda loop: loop.remove_signal_handler(signal.SIGUSR1),
        "remove_signal_handler",
    ),
    "readers": (lambda loop: loop.add_reader(0, print), "descriptor 0"),
    "writers": (lambda loop: loop.add_writer(1, print), "descriptor 1"),
    "read pipes": (
        lambda loop: loop.connect_read_pipe(asyncio.Protocol, sys.__stdin__),
        "connect_read_pipe",
    ),
    "write pipes": (
        lambda loop: loop.connect_write_pipe(asyncio.Protocol, sys.__stdout__),
        "connect_write_pipe",
    ),
    "processes": (lambda _: subprocess.run(["true"]), "child process"),
    "fork": (lambda _: os.fork(), "child process"),
    "system": (lambda _: os.system("true"), "child process"),
    "spawn": (lambda _: os.posix_spawn("/bin/true", ["true"], {}), "child process"),
    "pools of processes": (
        lambda loop: loop.run_in_executor(concurrent.futures.ProcessPoolExecutor(1), print),
        "ProcessPoolExecutor",
    ),
    "netlink": (lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).bind((0, 0)), "bind"),
}
REAL_SOCKETS: dict[str, tuple[Callable[[socket.socket], Any], str]] = {
    "recv": (lambda sock: sock.recv(1), r"socket\.recv\(\)"),
    "recv_into": (lambda sock: sock.recv_into(bytearray(1)), r"socket\.recv_into\(\)"),
    "recvfrom": (lambda sock: sock.recvfrom(1), r"socket\.recvfrom\(\)"),
    "send": (lambda sock: sock.send(b"x"), r"socket\.send\(\)"),
    "sendall": (lambda sock: sock.sendall(b"x"), r"socket\.sendall\(\)"),
    "sendto": (lambda sock: sock.sendto(b"x", "/nowhere"), r"socket\.sendto\(\)"),
    "sendmsg": (lambda sock: sock.sendmsg([b"x"]), r"socket\.sendmsg\(\)"),
    "accept": (lambda sock: sock.accept(), r"socket\.accept\(\)"),
    "connect": (lambda sock: sock.connect("/nowhere"), r"socket\.connect\(\)"),
    "bind": (lambda sock: sock.bind("/nowhere/at all"), r"socket\.bind\(\)"),
    "shutdown": (lambda sock: sock.shutdown(socket.SHUT_WR), r"socket\.shutdown\(\)"),
}
PLACE = rf"{__name__}\.py:\d+"


@pytest.fixture
def real(no_leaks: None) -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other
        with pytest.raises(BlockingIOError):  # nothing has reached it
            other.recv(1)


@pytest.mark.parametrize("factor", [None, 1000.0], ids=["jumping", "paced"])
@pytest.mark.parametrize(("call", "name"), CALLS.values(), ids=CALLS.keys())
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_refused_by_name(call: Call, name: str, factor: float | None) -> None:
    with soliloop.simulation(factor=factor) as sim:

        async def main() -> str:
            with pytest.raises(soliloop.OutsideWorldError, match=f"{name}.*{PLACE}"):
                result = call(sim.loop)
                if asyncio.iscoroutine(result):
                    await result
            await asyncio.sleep(1)
            return "goes on"

        assert sim.run(main()) == "goes on"


@pytest.mark.parametrize(("call", "name"), REAL_SOCKETS.values(), ids=REAL_SOCKETS.keys())
def test_real_sockets(
    real: tuple[socket.socket, socket.socket], call: Callable[[socket.socket], Any], name: str
) -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            place = rf"{name} of a real socket \(descriptor {real[0].fileno()}\).*{PLACE}"
            with pytest.raises(soliloop.OutsideWorldError, match=place):
                call(real[0])

        sim.run(main())


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("sock_recv", (1,)),
        ("sock_recv_into", (bytearray(1),)),
        ("sock_recvfrom", (1,)),
        ("sock_recvfrom_into", (bytearray(1),)),
        ("sock_sendall", (b"x",)),
        ("sock_sendto", (b"x", "/nowhere")),
        ("sock_connect", ("/nowhere",)),
        ("sock_accept", ()),
    ],
)
def test_calls_of_real_sockets(
    real: tuple[socket.socket, socket.socket], name: str, args: tuple[Any, ...]
) -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            with pytest.raises(soliloop.OutsideWorldError, match=rf"real socket.*{PLACE}"):
                await getattr(sim.loop, name)(real[0], *args)

        sim.run(main())


def test_transports_of_real_sockets(no_leaks: None) -> None:
    one, other = socket.socketpair()
    with one, other, soliloop.simulation() as sim:
        reports: list[dict[str, Any]] = []
        sim.loop.set_exception_handler(lambda _, context: reports.append(context))

        async def main() -> None:
            reader, _ = await asyncio.open_connection(sock=one)
            with pytest.raises(soliloop.OutsideWorldError, match="descriptor"):
                await reader.read()

        sim.run(main())
        assert [type(report["exception"]) for report in reports] == [soliloop.OutsideWorldError]


def test_looking_at_a_real_socket_is_harmless(real: tuple[socket.socket, socket.socket]) -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            assert real[0].getsockname() == real[0].getpeername() == ""
            assert real[0].getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM

        sim.run(main())


def test_the_network_is_inside() -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            for call in (
                asyncio.open_connection("127.0.0.1", 9),
                asyncio.open_unix_connection("/nowhere"),
            ):
                with pytest.raises(OSError, match=r"\[Errno") as caught:
                    await call
                assert not isinstance(caught.value, soliloop.OutsideWorldError)
            async with await asyncio.start_server(print, "example.org", 80) as server:
                assert server.sockets[0].getsockname()[1] == 80

        sim.run(main())


def test_a_server_that_nobody_has_started() -> None:
    """To the program it is refused; to people it says that this is a simulation."""
    with soliloop.simulation() as sim:

        async def main() -> None:
            name = re.escape("example.org:443 in this simulation")
            with pytest.raises(ConnectionRefusedError, match=name) as caught:
                await asyncio.open_connection("example.org", 443)
            assert isinstance(caught.value, soliloop.OutsideWorldError)

        sim.run(main())


def test_outside_of_it_nothing_is_refused(real: tuple[socket.socket, socket.socket]) -> None:
    with soliloop.simulation() as sim:
        sim.run(asyncio.sleep(1))
    real[0].send(b"x")
    assert real[1].recv(1) == b"x"


def test_other_threads_are_outside(real: tuple[socket.socket, socket.socket]) -> None:
    begin, ended = threading.Event(), threading.Event()
    seen: list[bytes] = []

    def work() -> None:
        begin.wait()
        real[0].send(b"x")
        seen.append(real[1].recv(1))
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    with soliloop.simulation():
        begin.set()
        while not seen:
            pass
    thread.join()
    assert seen == [b"x"]


def test_no_coroutine_is_left_unawaited(recwarn: pytest.WarningsRecorder) -> None:
    with soliloop.simulation() as sim:

        async def main() -> None:
            with pytest.raises(soliloop.OutsideWorldError):
                await asyncio.gather(asyncio.create_subprocess_exec("true"), asyncio.sleep(1))

        sim.run(main())
    assert [warning for warning in recwarn if warning.category is RuntimeWarning] == []


def test_it_is_a_runtime_error() -> None:
    assert issubclass(soliloop.OutsideWorldError, RuntimeError)
    assert issubclass(soliloop.DeadlockError, RuntimeError)
