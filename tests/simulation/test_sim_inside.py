"""Simulations from without: used where the loop does not run, sockets that change worlds, windows, real threads."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import soliloop

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def here() -> Iterator[soliloop.SimulatedLoop]:
    loop = soliloop.SimulatedLoop()
    yield loop
    loop.close()


@pytest.fixture
def there() -> Iterator[soliloop.SimulatedLoop]:
    loop = soliloop.SimulatedLoop()
    yield loop
    loop.close()


def pair(loop: soliloop.SimulatedLoop) -> tuple[socket.socket, socket.socket]:
    with loop.inside():
        one, other = socket.socketpair()
        one.setblocking(False)
        other.setblocking(False)
    return one, other


# Inside, without a run.


def test_inside_is_inside_and_ends(here: soliloop.SimulatedLoop) -> None:
    with here.inside():
        assert socket.gethostname() == "main"
        with here.inside():
            assert socket.gethostname() == "main"
        assert socket.gethostname() == "main"
        with here.outside():
            assert socket.gethostname() != "main"
    assert socket.gethostname() != "main"
    assert not here.is_running()


def test_inside_ends_with_an_error(here: soliloop.SimulatedLoop) -> None:
    with pytest.raises(ZeroDivisionError), here.inside():
        _ = 1 // 0
    assert socket.gethostname() != "main"


def test_socket_made_inside_is_used_in_a_run(here: soliloop.SimulatedLoop) -> None:
    one, other = pair(here)
    with here.inside():
        one.send(b"early")
    with one, other:
        assert here.run_until_complete(here.sock_recv(other, 10)) == b"early"


def test_another_loop_that_runs_is_left_for_a_while(
    here: soliloop.SimulatedLoop, there: soliloop.SimulatedLoop
) -> None:
    async def main() -> None:
        one, other = pair(there)
        with one, other:
            with there.inside():
                one.send(b"x")
                assert other.recv(1) == b"x"
            assert asyncio.get_running_loop() is here
            with pytest.raises(soliloop.OutsideWorldError):
                one.send(b"x")

    here.run_until_complete(main())


def test_a_closed_loop_has_no_inside(here: soliloop.SimulatedLoop) -> None:
    here.close()
    with pytest.raises(RuntimeError, match="closed"), here.inside():
        pass


# From one world to another.


def test_pair_is_handed_over(here: soliloop.SimulatedLoop, there: soliloop.SimulatedLoop) -> None:
    one, other = pair(here)
    with here.inside():
        one.send(b"before")
    here.hand_over(one, there)
    with one, other:
        assert there.run_until_complete(there.sock_recv(other, 10)) == b"before"
        there.run_until_complete(there.sock_sendall(other, b"after"))
        with there.inside():
            assert one.recv(10) == b"after"
        with pytest.raises(ValueError, match="no socket of this simulation"):
            here.hand_over(one, there)
        there.hand_over(one, there)
        with there.inside():
            other.close()
            assert one.recv(10) == b""


def test_handed_over_socket_is_closed_when_it_dies(
    here: soliloop.SimulatedLoop, there: soliloop.SimulatedLoop
) -> None:
    one, other = pair(here)
    here.hand_over(one, there)
    with other:
        with pytest.warns(ResourceWarning, match="unclosed"):
            del one
        with there.inside():
            assert other.recv(1) == b""


def test_copies_of_a_descriptor_go_along(
    here: soliloop.SimulatedLoop, there: soliloop.SimulatedLoop
) -> None:
    one, other = pair(here)
    with here.inside():
        copy = one.dup()
    here.hand_over(other, there)
    with one, other, copy, there.inside():
        copy.send(b"x")
        assert other.recv(1) == b"x"


def test_socket_that_is_in_use_stays(
    here: soliloop.SimulatedLoop, there: soliloop.SimulatedLoop
) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        transport, _ = await here.create_connection(asyncio.Protocol, sock=one)
        with pytest.raises(RuntimeError, match="used by transport"):
            here.hand_over(one, there)
        with pytest.raises(ValueError, match="handed over"):
            here.hand_over(other, there)
        transport.close()
        other.close()
        await asyncio.sleep(0)
        listening = socket.create_server(("127.0.0.1", 80))
        with listening, pytest.raises(ValueError, match="handed over"):
            here.hand_over(listening, there)

    here.run_until_complete(main())


def test_real_socket_is_not_handed_over(
    here: soliloop.SimulatedLoop, there: soliloop.SimulatedLoop
) -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(ValueError, match="no socket of this simulation"):
        here.hand_over(one, there)


def test_descriptors_of_objects_that_die_at_once_stay(here: soliloop.SimulatedLoop) -> None:
    with here.inside():
        descriptors = [end.detach() for end in socket.socketpair()]
        one, other = (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd) for fd in descriptors
        )
        with one, other:
            one.send(b"x")
            assert other.recv(1) == b"x"


# Windows.


@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_send_buffer_is_what_may_be_unread(here: soliloop.SimulatedLoop, size: int) -> None:
    one, other = pair(here)
    with one, other, here.inside():
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        assert one.send(bytes(2_000_000)) == size
        with pytest.raises(BlockingIOError):
            one.send(b"x")
        assert len(other.recv(1)) == 1
        assert one.send(b"xx") == 1


def test_send_buffer_of_a_connection_holds_a_writer_up() -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(10)
            assert await reader.readexactly(300_000) == bytes(300_000)
            writer.close()

        async with await asyncio.start_server(serve, "server", 80):
            reader, writer = await asyncio.open_connection("server", 80)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1000)
            writer.transport.set_write_buffer_limits(0)
            writer.write(bytes(300_000))
            await writer.drain()
            assert asyncio.get_running_loop().time() == 10.0
            assert await reader.read() == b""
            writer.close()

    with soliloop.simulation() as sim:
        sim.run(main())


def test_reading_into_too_little_memory(here: soliloop.SimulatedLoop) -> None:
    one, other = pair(here)
    with one, other, here.inside():
        one.send(b"hello")
        with pytest.raises(ValueError, match="buffer too small"):
            other.recv_into(bytearray(4), 5)
        with pytest.raises(ValueError, match="greater than the length"):
            other.recvfrom_into(bytearray(4), 5)
        assert other.recv_into(bytearray(4), 4) == 4


# Real threads, and nothing else.


def test_threads_are_allowed_alone() -> None:
    async def main() -> str:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(threading.current_thread().name))
        thread.start()
        thread.join()
        loop = asyncio.get_running_loop()
        with pytest.raises(soliloop.OutsideWorldError):
            await loop.subprocess_exec(asyncio.SubprocessProtocol, "true")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", 1)
        assert loop.time() == 0.0
        return found[0]

    with soliloop.simulation(outside="threads") as sim:
        assert sim.run(main()).startswith("Thread-")


def test_a_slow_thread_is_waited_for() -> None:
    async def main() -> None:
        done = threading.Event()
        timer = threading.Timer(0.2, done.set)
        timer.start()
        assert done.wait()
        timer.join()

    with soliloop.simulation(outside="threads") as sim:
        sim.run(main())


def test_a_thread_that_holds_the_lock_of_all_threads_is_waited_for() -> None:
    """Whether there are other threads is asked by whoever waits for a lock: also if it is the one that `threading` has for that."""

    async def main() -> None:
        is_held = threading.Event()

        def hold() -> None:
            with threading._active_limbo_lock:  # type: ignore[attr-defined]
                is_held.set()
                time.sleep(0.1)

        thread = threading.Thread(target=hold)
        thread.start()
        assert is_held.wait()
        assert len(threading.enumerate()) >= 2
        thread.join()

    with soliloop.simulation(outside="threads") as sim:
        sim.run(main())


def test_outside_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="'forbid', 'threads' or 'allow'"):
        soliloop.SimulatedLoop(outside="thread")  # type: ignore[arg-type]
