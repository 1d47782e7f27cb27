"""`select.select` and `select.poll` of simulated sockets: answered from the simulation, in simulated time."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest
import soliloop
from soliloop._soliloop import Outside

Pair = tuple[socket.socket, socket.socket]
Wait = Callable[
    [list[socket.socket], list[socket.socket], float | None], tuple[list[int], list[int]]
]


@pytest.fixture
def sim(no_leaks: None) -> Iterator[soliloop.Simulation]:
    with soliloop.simulation() as sim:
        yield sim


def by_select(
    readers: list[socket.socket], writers: list[socket.socket], timeout: float | None
) -> tuple[list[int], list[int]]:
    readable, writable, other = select.select(readers, writers, readers, timeout)
    assert other == []
    return [sock.fileno() for sock in readable], [sock.fileno() for sock in writable]


def by_poll(
    readers: list[socket.socket], writers: list[socket.socket], timeout: float | None
) -> tuple[list[int], list[int]]:
    poll = select.poll()
    for sock in {*readers, *writers}:
        poll.register(sock, select.POLLIN * (sock in readers) | select.POLLOUT * (sock in writers))
    found = poll.poll(None if timeout is None else timeout * 1000)
    return (
        [fd for fd, events in found if events & select.POLLIN],
        [fd for fd, events in found if events & select.POLLOUT],
    )


def by_selector(
    readers: list[socket.socket], writers: list[socket.socket], timeout: float | None
) -> tuple[list[int], list[int]]:
    with selectors.PollSelector() as selector:
        for sock in {*readers, *writers}:
            selector.register(
                sock,
                selectors.EVENT_READ * (sock in readers)
                | selectors.EVENT_WRITE * (sock in writers),
            )
        found = selector.select(timeout)
    return (
        [key.fd for key, events in found if events & selectors.EVENT_READ],
        [key.fd for key, events in found if events & selectors.EVENT_WRITE],
    )


WAITS = pytest.mark.parametrize(
    "wait", [by_select, by_poll, by_selector], ids=["select", "poll", "selector"]
)


@WAITS
def test_at_once(sim: soliloop.Simulation, wait: Wait) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        with one, other:
            assert wait([one, other], [], 0) == ([], [])
            assert wait([one], [other], 0) == ([], [other.fileno()])
            one.sendall(b"x")
            await asyncio.sleep(0)
            assert wait([one, other], [], 0) == ([other.fileno()], [])
            assert wait([other], [other], 0) == ([other.fileno()], [other.fileno()])
            other.recv(1)
            assert wait([other], [], 0) == ([], [])
            one.close()
            await asyncio.sleep(0)
            assert wait([other], [], 0) == ([other.fileno()], [])

    sim.run(main())
    assert sim.loop.time() == 0


@WAITS
def test_a_thread_waits_in_simulated_time(sim: soliloop.Simulation, wait: Wait) -> None:
    def work(pairs: list[Pair]) -> None:
        readers = [pair[0] for pair in pairs]
        assert wait(readers, [], 7) == ([], [])
        assert sim.loop.time() == 7
        assert wait(readers, [], None) == ([readers[1].fileno()], [])
        assert sim.loop.time() == 10
        assert wait(readers, [], 60) == ([readers[1].fileno()], [])
        assert readers[1].recv(10) == b"x"
        assert wait(readers, [], 60) == ([readers[0].fileno()], [])
        assert sim.loop.time() == 15

    async def main() -> None:
        pairs = [socket.socketpair(), socket.socketpair()]
        thread = asyncio.create_task(asyncio.to_thread(work, pairs))
        await asyncio.sleep(10)
        pairs[1][1].sendall(b"x")
        await asyncio.sleep(5)
        pairs[0][1].sendall(b"y")
        await thread
        for sock in sum(pairs, ()):
            sock.close()

    sim.run(main())


@WAITS
def test_in_a_coroutine_it_blocks_the_loop(sim: soliloop.Simulation, wait: Wait) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        ticks: list[float] = []
        sim.loop.call_later(1, lambda: ticks.append(sim.loop.time()))
        assert wait([one], [], 3) == ([], [])
        assert sim.loop.time() == 3
        assert ticks == []
        with pytest.raises(soliloop.DeadlockError, match=rf"{__name__}\.py:\d+"):
            wait([one], [], None)
        one.close()
        other.close()
        await asyncio.sleep(1)
        assert ticks == [3]

    sim.run(main())


def test_a_connection_that_is_being_made(sim: soliloop.Simulation) -> None:
    client, server = sim.host("client"), sim.host("server")
    sim.link(latency=0.5)

    def connect() -> None:
        with socket.socket() as sock:
            sock.setblocking(False)
            assert sock.connect_ex(("server", 80)) == errno.EINPROGRESS
            assert by_poll([], [sock], None) == ([], [sock.fileno()])
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            assert sim.loop.time() == 1
            sock.setblocking(True)
            assert by_select([sock], [], None)[0]
            assert sock.recv(10) == b"hello"

    def serve() -> None:
        with socket.create_server(("0.0.0.0", 80)) as listener:
            assert by_select([listener], [], None)[0]
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"hello")

    async def main() -> None:
        serving = server.run(asyncio.to_thread(serve))
        await asyncio.sleep(0)
        await asyncio.gather(serving, client.run(asyncio.to_thread(connect)))

    sim.run(main())


def test_the_registrations_of_a_poll(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        poll = select.poll()
        poll.register(one)
        assert poll.poll(0) == [(one.fileno(), select.POLLOUT)]
        poll.modify(one.fileno(), select.POLLIN | select.POLLRDHUP)
        assert poll.poll(-0.0) == []
        other.close()
        await asyncio.sleep(0)
        assert poll.poll() == [(one.fileno(), select.POLLIN | select.POLLRDHUP)]
        with pytest.raises(FileNotFoundError):
            poll.modify(one.fileno() + 1, select.POLLIN)
        number = one.fileno()
        one.close()
        assert poll.poll() == [(number, select.POLLNVAL)]
        poll.unregister(number)
        with pytest.raises(KeyError):
            poll.unregister(number)

    sim.run(main())


def test_arguments(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        number = other.fileno()
        other.close()
        with one:
            with pytest.raises(TypeError):
                select.select([object()], [], [])  # type: ignore[list-item]
            with pytest.raises(ValueError, match="negative"):
                select.select([other], [], [], 0)
            with pytest.raises(ValueError, match="non-negative"):
                select.select([one], [], [], -1)
            with pytest.raises(OSError, match="Bad file descriptor"):
                select.select([number], [], [], 0)
            with pytest.raises(ValueError, match="negative"):
                select.poll().register(-1)
            assert select.select([], [], [], 5) == ([], [], [])
            assert sim.loop.time() == 5

    sim.run(main())


def test_real_descriptors_are_refused(sim: soliloop.Simulation) -> None:
    with Outside():
        reader, writer = os.pipe()
    try:

        async def main() -> None:
            place = rf"select\.select.*{reader}.*{__name__}\.py:\d+"
            with pytest.raises(soliloop.OutsideWorldError, match=place):
                select.select([reader], [], [], 0)
            poll = select.poll()
            poll.register(reader)
            with pytest.raises(soliloop.OutsideWorldError, match=r"select\.poll"):
                poll.poll(0)
            with socket.create_server(("0.0.0.0", 80)) as listener, select.epoll() as epoll:
                epoll.register(reader)
                with pytest.raises(soliloop.OutsideWorldError, match="PollSelector"):
                    epoll.register(listener)

        sim.run(main())
    finally:
        os.close(reader)
        os.close(writer)


def test_outside_it_is_the_system_s() -> None:
    before = type(select.poll())
    with soliloop.simulation():
        assert type(select.poll()) is not before
    assert type(select.poll()) is before
