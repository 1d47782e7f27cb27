"""`simulation(outside="allow")`: the real world is at hand, and the simulated clock stands still while it is at work."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soliloop

DELAY = 0.03  # real seconds that a real peer takes: long enough for a clock that runs to be noticed
HOST = "127.0.0.1"


class _Slow(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            time.sleep(DELAY)
            self.wfile.write(line.upper())


@pytest.fixture
def peer() -> Iterator[int]:
    """The port of a real server, which answers each line, and takes its time for that."""
    with socketserver.ThreadingTCPServer((HOST, 0), _Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def sim(no_leaks: None, peer: int) -> Iterator[soliloop.Simulation]:
    with soliloop.simulation(outside="allow") as sim:
        yield sim


@contextlib.asynccontextmanager
async def still() -> AsyncIterator[list[float]]:
    """In the block no simulated time passes, though there are timers; afterwards a day passes at once."""
    loop = asyncio.get_running_loop()
    before, fired = loop.time(), []
    timer = loop.call_later(0.5, lambda: fired.append(loop.time()))
    yield fired
    assert (loop.time(), fired) == (before, [])
    await asyncio.sleep(86_400)
    assert fired == [before + 0.5]
    timer.cancel()


# ------------------------------------------------------------------- the network


def test_streams_of_a_real_server(sim: soliloop.Simulation, peer: int) -> None:
    async def main() -> None:
        for _ in range(2):
            async with still():
                reader, writer = await asyncio.open_connection(HOST, peer)
                for word in (b"one", b"two"):
                    writer.write(word + b"\n")
                    assert await reader.readline() == word.upper() + b"\n"
                writer.close()
                await writer.wait_closed()

    sim.run(main())


def test_a_protocol_of_a_real_server(sim: soliloop.Simulation, peer: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        answer, lost = loop.create_future(), loop.create_future()

        class Asking(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                answer.set_result(data)

            def connection_lost(self, error: Exception | None) -> None:
                lost.set_result(error)

        async with still():
            transport, _ = await loop.create_connection(Asking, HOST, peer)
            assert transport.get_extra_info("peername") == (HOST, peer)
            transport.write(b"hello\n")
            assert await answer == b"HELLO\n"
            transport.close()
            assert await lost is None

    sim.run(main())


def test_calls_of_real_sockets(sim: soliloop.Simulation, peer: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with still():
            with socket.socket() as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, (HOST, peer))
                await loop.sock_sendall(sock, b"hello\n")
                assert await loop.sock_recv(sock, 100) == b"HELLO\n"

    sim.run(main())


def test_a_blocking_real_socket(sim: soliloop.Simulation, peer: int) -> None:
    async def main() -> None:
        async with still():
            with socket.create_connection((HOST, peer)) as sock:
                sock.sendall(b"hello\n")
                assert sock.recv(100) == b"HELLO\n"

    sim.run(main())


def test_both_worlds_in_one_program(sim: soliloop.Simulation, peer: int) -> None:
    async def main() -> list[bytes]:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far = await asyncio.open_connection(HOST, peer)
            while line := await reader.readline():
                far.write(line)
                writer.write(await far_reader.readline())
            far.close()
            writer.close()

        async with await asyncio.start_server(relay, "relay", 80):
            reader, writer = await asyncio.open_connection("relay", 80)
            answers = []
            for word in (b"one\n", b"two\n"):
                await asyncio.sleep(3600)
                writer.write(word)
                answers.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(1)
        assert asyncio.get_running_loop().time() == 7201
        return answers

    assert sim.run(main()) == [b"ONE\n", b"TWO\n"]


def test_hosts_of_the_simulation_stay_in_it(sim: soliloop.Simulation, peer: int) -> None:
    exchange = sim.host("exchange")

    async def serve() -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"simulated")
            writer.close()

        async with await asyncio.start_server(answer, "exchange", peer):
            await asyncio.sleep(60)

    async def main() -> bytes:
        serving = exchange.run(serve())
        await asyncio.sleep(1)
        reader, writer = await asyncio.open_connection("exchange", peer)
        answer = await reader.read()
        writer.close()
        await serving
        # A name that the simulation has not.
        assert (HOST, peer) in [info[4] for info in socket.getaddrinfo("localhost", peer)]
        return answer

    assert sim.run(main()) == b"simulated"


def test_datagrams_of_a_real_peer(sim: soliloop.Simulation) -> None:
    async def main(port: int) -> None:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()

        class Asking(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                answer.set_result((data, addr))

        async with still():
            transport, _ = await loop.create_datagram_endpoint(Asking, remote_addr=(HOST, port))
            transport.sendto(b"hello")
            assert await answer == (b"HELLO", (HOST, port))
            transport.close()

    with sim.loop.outside():
        real = socket.socket(type=socket.SOCK_DGRAM)
        real.bind((HOST, 0))

        def serve() -> None:
            data, address = real.recvfrom(100)
            time.sleep(DELAY)
            real.sendto(data.upper(), address)

        thread = threading.Thread(target=serve)
        thread.start()
        port = real.getsockname()[1]
    try:
        sim.run(main(port))
    finally:
        thread.join()
        real.close()


def test_nobody_listens_there(sim: soliloop.Simulation) -> None:
    with sim.loop.outside(), socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]

    async def main() -> None:
        async with still():
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(HOST, port)

    sim.run(main())


def test_an_answer_that_is_given_up(sim: soliloop.Simulation, peer: int) -> None:
    async def main() -> None:
        async with still():
            reader, writer = await asyncio.open_connection(HOST, peer)
            writer.write(b"hello\n")
            asking = asyncio.create_task(reader.readline())
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            writer.transport.abort()
            await asyncio.sleep(0)

    sim.run(main())


ALONE = """
import asyncio, socket, soliloop

one, other = socket.socketpair()

async def main():
    reader, writer = await asyncio.open_connection(sock=one)
    other.sendall(b"hello\\n")
    assert await reader.readline() == b"hello\\n"
    writer.close()
    await writer.wait_closed()
    await asyncio.get_running_loop().create_future()

with soliloop.simulation(outside="allow") as sim:
    sim.run(main())
"""


def test_a_deadlock_without_the_real_world() -> None:
    # On its own: beside other threads, as a timer of the test runner's, the simulation waits for what those may bring.
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert "DeadlockError" in done.stderr
    assert "in main at" in done.stderr


# --------------------------------------------------------------------- processes


def child(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", f"import sys, time; {code}"


def test_a_child_process(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        async with still():
            process = await asyncio.create_subprocess_exec(
                *child(f"time.sleep({DELAY}); print(sys.stdin.read().upper()); sys.exit(3)"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert await process.communicate(b"hello") == (b"HELLO\n", None)
            assert process.returncode == 3

    sim.run(main())


def test_the_lines_of_a_child_process(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        async with still():
            code = f"[(time.sleep({DELAY}), print(number, flush=True)) for number in range(3)]"
            process = await asyncio.create_subprocess_exec(*child(code), stdout=subprocess.PIPE)
            assert process.stdout is not None
            assert [line async for line in process.stdout] == [b"0\n", b"1\n", b"2\n"]
            assert await process.wait() == 0

    sim.run(main())


def test_a_shell(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        async with still():
            process = await asyncio.create_subprocess_shell("exit 5")
            assert await process.wait() == 5

    sim.run(main())


def test_a_child_process_that_is_killed_in_its_time(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*child("time.sleep(100)"))
        async with still():
            process.kill()
            assert await process.wait() == -signal.SIGKILL

    sim.run(main())


def test_a_child_process_without_asyncio(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        async with still():
            done = subprocess.run(child("print(5)"), capture_output=True, check=True)
            assert done.stdout == b"5\n"

    sim.run(main())


def test_the_time_that_is_given_a_child_process(sim: soliloop.Simulation) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with subprocess.Popen(child("time.sleep(100)"), stdout=subprocess.PIPE) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.communicate(timeout=DELAY)
            process.kill()
        return loop.time()

    assert sim.run(main()) >= DELAY


def test_a_program_that_is_not_there(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            subprocess.run(["/nowhere"])
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nowhere")

    sim.run(main())


# ------------------------------------------------------------- threads and executors


def test_an_executor_of_processes(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with still():
            with concurrent.futures.ProcessPoolExecutor(1) as executor:
                assert await loop.run_in_executor(executor, pow, 2, 10) == 1024

    sim.run(main())


def test_an_executor_of_somebodys_own(sim: soliloop.Simulation) -> None:
    class Threads(concurrent.futures.Executor):
        def submit(
            self, function: Callable[..., Any], /, *args: Any, **options: Any
        ) -> concurrent.futures.Future[Any]:
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()

            def work() -> None:
                time.sleep(DELAY)
                try:
                    future.set_result(function(*args, **options))
                except Exception as error:
                    future.set_exception(error)

            threading.Thread(target=work).start()
            return future

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with still():
            assert await loop.run_in_executor(Threads(), pow, 2, 10) == 1024
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(Threads(), divmod, 1, 0)

    sim.run(main())


def test_a_real_thread_has_the_true_time_and_the_loop_the_simulated_one(
    sim: soliloop.Simulation,
) -> None:
    seen: list[float] = []
    with sim.loop.outside():
        true = time.time()

    async def main() -> float:
        await asyncio.sleep(3600)
        thread = threading.Thread(target=lambda: seen.append(time.time()))
        thread.start()
        thread.join()
        return time.time()

    start = sim.loop.now().timestamp()
    assert sim.run(main()) == start + 3600
    assert seen[0] >= true


def test_a_thread_of_the_program_is_waited_for_where_nothing_else_is(
    sim: soliloop.Simulation,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        before, answer = loop.time(), loop.create_future()

        def work() -> None:
            time.sleep(DELAY)
            loop.call_soon_threadsafe(answer.set_result, "answer")

        thread = threading.Thread(target=work)
        thread.start()
        assert await answer == "answer"
        thread.join()
        assert loop.time() == before

    sim.run(main())


def test_the_clock_does_not_wait_for_a_thread_of_the_program(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        before, is_over = loop.time(), threading.Event()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await asyncio.wrap_future(pool.submit(is_over.wait))
            assert loop.time() == before + 30
            is_over.set()

    sim.run(main())


# ----------------------------------------------------------------------- signals


def test_a_signal(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        came = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, came.set_result, None)
        os.kill(os.getpid(), signal.SIGUSR1)
        await came
        assert loop.remove_signal_handler(signal.SIGUSR1)

    sim.run(main())


def test_an_interrupt_ends_the_wait_for_an_answer(sim: soliloop.Simulation, peer: int) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        reader, writer = await asyncio.open_connection(HOST, peer)
        try:
            signal.setitimer(signal.ITIMER_REAL, DELAY)
            await reader.readline()
        finally:
            writer.close()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            sim.run(main())
    finally:
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------------- others


def test_at_a_multiple_of_real_time(no_leaks: None, peer: int) -> None:
    with soliloop.simulation(outside="allow", factor=1000) as sim:

        async def main() -> float:
            reader, writer = await asyncio.open_connection(HOST, peer)
            writer.write(b"hello\n")
            assert await reader.readline() == b"HELLO\n"
            writer.close()
            await asyncio.sleep(5)
            return asyncio.get_running_loop().time()

        assert sim.run(main()) >= 5


def test_a_loop_in_real_time_inside(sim: soliloop.Simulation, peer: int) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(HOST, peer)
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer

    def work() -> bytes:
        with sim.loop.outside(), asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(ask())

    async def main() -> None:
        async with still():
            thread_result: list[bytes] = []
            thread = threading.Thread(target=lambda: thread_result.append(work()))
            thread.start()
            thread.join()
            assert thread_result == [b"HELLO\n"]

    sim.run(main())


def test_pipes_of_the_program_stay_in_the_simulation(sim: soliloop.Simulation) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        reader_end, writer_end = os.pipe()
        loop.call_later(3600, os.write, writer_end, b"hello")
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reader_end, "rb")
        )
        data = await reader.readexactly(5)
        assert loop.time() == 3600
        transport.close()
        os.close(writer_end)
        await asyncio.sleep(0)
        return data

    assert sim.run(main()) == b"hello"


def test_a_program_that_uses_files_and_pipes(sim: soliloop.Simulation, tmp_path: Path) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        reader_end, writer_end = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reader_end, "rb")
        )
        (tmp_path / "file").write_bytes(b"hello")
        os.write(writer_end, (tmp_path / "file").read_bytes())
        os.close(writer_end)
        data = await reader.read()
        transport.close()
        await asyncio.sleep(0)
        return data

    assert sim.run(main()) == b"hello"
