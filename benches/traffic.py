"""Input and output of event loops in one interleaved run: CPU time of a server per operation.

    python benches/traffic.py                                    # everything, 5 rounds
    python benches/traffic.py --quick --cases 'udp|sendfile'     # a pattern that is looked for in the names
    python benches/traffic.py --loops uvloop,soliloop --rounds 9 --seconds 1 --json out.json

Every figure is the median of the rounds. In a round each case runs on each loop, with a server in a fresh process
(`servers.py`) and this process as its client, in the order A B C, and C B A in the next. See README.md for what is
measured and how noisy it is.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from cases import LOOPS, absent
from rounds import Failed, environment, explain, names, run, save, version
from servers import BACKLOG, MIB
from table import SUBJECT, Figure, ratios, render_medians

DEFAULT_LOOPS = ["asyncio", "uvloop", "rloop", "soliloop"]
LIMIT_SECONDS = 20  # for one figure, besides the time that it is measured for
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[-1:]


class Pipes:
    """A pipe for each direction, with the methods of a socket."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.sink, data) :]

    def recv_into(self, buffer: memoryview) -> int:
        return os.readv(self.source, [buffer])

    def close(self) -> None:
        os.close(self.source)
        os.close(self.sink)


Connection: TypeAlias = socket.socket | Pipes
Way: TypeAlias = tuple[list[int], Callable[[], Connection]]
Step: TypeAlias = Callable[[], int]


# ---- ways to a server: the descriptors that it inherits, and how to connect


def tcp(connections: int) -> Way:
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    address = listener.getsockname()

    def connect() -> socket.socket:
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return [listener.detach()], connect


def tls(connections: int) -> Way:
    fds, connect = tcp(connections)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only the server's side is measured
    return fds, lambda: context.wrap_socket(cast(socket.socket, connect()))


def unix(connections: int) -> Way:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # the system finds a name that is in no folder
    listener.listen(BACKLOG)
    address = listener.getsockname()

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        return connection

    return [listener.detach()], connect


def udp(connections: int) -> Way:
    server = socket.socket(type=socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    address = server.getsockname()

    def connect() -> socket.socket:
        connection = socket.socket(type=socket.SOCK_DGRAM)
        connection.settimeout(LIMIT_SECONDS)  # a datagram may be lost; a server's end is not told
        connection.connect(address)
        return connection

    return [server.detach()], connect


def pipes(connections: int) -> Way:
    theirs: list[int] = []
    ours: list[Pipes] = []
    for _ in range(connections):
        (source, away), (back, sink) = os.pipe(), os.pipe()
        theirs += [source, sink]
        ours.append(Pipes(back, away))
    return theirs, ours.pop


# ---- a server in its own process


class Server:
    """A running server, as its client sees it."""

    def __init__(self, process: subprocess.Popen[bytes], connect: Callable[[], Connection]) -> None:
        assert process.stdin
        assert process.stdout
        self.questions, self.answers = process.stdin, process.stdout
        self.connect = connect
        self.opened = ExitStack()

    def open(self, connections: int) -> list[Connection]:
        """These stay open as long as the server runs."""
        return [self.opened.enter_context(closing(self.connect())) for _ in range(connections)]

    def used(self, what: str) -> int:
        self.questions.write(f"{what}\n".encode())
        return int(self.answers.readline())


@contextmanager
def serving(case: Case, loop: str, limit: float) -> Iterator[Server]:
    """A server in a fresh process, which ends with the block; or after the limit, so that nothing waits for it for ever."""
    fds, connect = case.way(case.connections)
    program = str(Path(__file__).with_name("servers.py"))
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, program, case.server, loop, *map(str, fds)],
            env=environment(),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=fds,
        )
        for fd in fds:
            os.close(fd)
        timer = threading.Timer(limit, process.kill)
        timer.start()
        try:
            os.sched_setaffinity(process.pid, SERVER_CORE)
            server = Server(process, connect)
            with server.opened:
                yield server
        except (OSError, EOFError, ValueError) as error:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
            if process.returncode == -signal.SIGKILL:
                raise Failed(f"no end within {limit:.0f} s") from None
            errors.seek(0)
            raise Failed((errors.read().strip() or repr(error)).splitlines()[-1]) from None
        finally:
            timer.cancel()
            process.kill()
            process.communicate()


# ---- clients: each returns a step, which goes over all connections once and says how many operations that was


def exchange(connections: list[Connection], request: bytes, reply: bytes) -> Step:
    """The request goes out on every connection, then the reply is read from every connection and compared."""
    room = memoryview(bytearray(len(reply)))

    def send() -> None:
        for connection in connections:
            connection.sendall(request)

    def receive() -> None:
        for connection in connections:
            got = 0
            while got < len(room):
                if not (n := connection.recv_into(room[got:])):
                    raise EOFError(f"{got} of {len(room)} bytes")
                got += n
            if room != reply:
                raise Failed("the answer is wrong")

    def step() -> int:
        send()
        receive()
        return len(connections)

    def step_of_two() -> int:
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send)
            receive()
            sent.result()
        return len(connections)

    # The system keeps small requests until they are read. Big ones go on only while somebody reads the replies.
    return step if len(request) < 8192 else step_of_two


def message(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16))[:-1] + b"\n"


def echo(server: Server, case: Case) -> Step:
    return exchange(server.open(case.connections), message(case.size), message(case.size))


def download(server: Server, case: Case) -> Step:
    return exchange(server.open(case.connections), b"?", bytes(case.size))


def visit(server: Server, case: Case) -> Step:
    """An operation: a connection comes, has a byte echoed, and goes."""

    def step() -> int:
        with ExitStack() as opened:
            connect = server.connect
            connections = [
                opened.enter_context(closing(connect())) for _ in range(case.connections)
            ]
            return exchange(connections, b"?", b"?")()

    return step


def handshake(server: Server, case: Case) -> Step:
    """An operation: a TLS connection comes, and is closed from both sides as TLS asks for."""

    def step() -> int:
        cast(ssl.SSLSocket, server.connect()).unwrap().close()
        return 1

    return step


# ---- figures


def cpu(server: Server, case: Case, seconds: float) -> float:
    """CPU nanoseconds of the server per operation, warm."""
    step = case.client(server, case)
    repeat(step, seconds / 4)
    before = server.used("cpu")
    operations = repeat(step, seconds)
    return (server.used("cpu") - before) / operations


def repeat(step: Step, seconds: float) -> int:
    operations = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        operations += step()
    return operations


def idle(server: Server, case: Case, seconds: float) -> float:
    """Resident bytes per connection that has been used once. The first hundred make what is made once for all."""
    exchange(server.open(100), message(case.size), message(case.size))()
    before = server.used("memory")
    case.client(server, case)()
    return (server.used("memory") - before) / case.connections


@dataclass(frozen=True)
class Case:
    server: str
    way: Callable[[int], Way]
    client: Callable[[Server, Case], Step] = echo
    connections: int = 50
    size: int = 1024
    measure: Callable[[Server, Case, float], float] = cpu

    @property
    def setting(self) -> str:
        return "idle" if self.measure is idle else "traffic"


CASES: dict[str, Case] = {
    "tcp_protocol": Case("protocol", tcp),
    "tcp_buffered": Case("buffered", tcp),
    "tcp_streams": Case("streams", tcp),
    "tcp_readline": Case("lines", tcp),
    "tcp_sockets": Case("sockets", tcp),
    "unix_protocol": Case("protocol", unix),
    "pipe_protocol": Case("pipes", pipes),
    "udp_protocol": Case("datagrams", udp),
    "tls_protocol": Case("tls_protocol", tls),
    "tls_streams": Case("tls_streams", tls),
    "tcp_protocol_64k": Case("protocol", tcp, connections=10, size=65536),
    "tcp_protocol_1m": Case("protocol", tcp, connections=4, size=MIB),
    "sendfile_1m": Case("files", tcp, download, connections=1, size=MIB),
    "accept_protocol": Case("protocol", tcp, visit),
    "accept_streams": Case("streams", tcp, visit),
    "tls_handshake": Case("tls_protocol", tls, handshake),
    "idle_protocol": Case("protocol", tcp, connections=10_000, measure=idle),
    "idle_streams": Case("streams", tcp, connections=10_000, measure=idle),
    "idle_tls": Case("tls_protocol", tls, connections=1000, measure=idle),
}


# ---- the command


def measure(seconds: float, name: str, loop: str) -> float:
    case = CASES[name]
    with serving(case, loop, LIMIT_SECONDS + seconds) as server:
        return case.measure(server, case, seconds)


def about(name: str, row: dict[str, Figure]) -> dict[str, object]:
    """What the JSON file says of a case besides its figures."""
    case = CASES[name]
    return {
        "setting": case.setting,
        "unit": "ns" if case.setting == "traffic" else "B",
        "connections": case.connections,
        "size": case.size,
        "ratios_to_uvloop": ratios(row),
    }


def take_place(apart: bool) -> str:
    """Puts this process, the client, where it belongs, and says where that is."""
    if apart:
        os.sched_setaffinity(0, CORES[:1])
        return f"server on core {CORES[-1]}, client on core {CORES[0]}"
    # Neither interrupts the other: the server finds all that was sent to it, the client all the answers.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.sched_setaffinity(0, SERVER_CORE)
    return f"server and client on core {CORES[-1]}"


def pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{error}: {text}") from None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    able = [loop for loop, settings in LOOPS.items() if "real" in settings]
    parser.add_argument("--rounds", type=int, help="default 5, or 1 with --quick")
    parser.add_argument(
        "--seconds", type=float, help="that a figure is measured for; default 0.3, or 0.05"
    )
    parser.add_argument(
        "--loops",
        type=names,
        default=DEFAULT_LOOPS,
        help=f"of {','.join(able)}; default {','.join(DEFAULT_LOOPS)}",
    )
    parser.add_argument("--cases", type=pattern, default="", metavar="PATTERN", help="default all")
    parser.add_argument("--quick", action="store_true", help="shows that it runs, proves little")
    parser.add_argument("--apart", action="store_true", help="server and client on two cores")
    parser.add_argument("--json", metavar="FILE", help="also write every round's figure there")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    args = parser.parse_args()
    if args.list:
        print("\n".join(CASES))
        return 0
    if unknown := [loop for loop in args.loops if loop not in able]:
        parser.error(f"no such loop: {', '.join(unknown)}")
    if args.apart and len(CORES) == 1:
        parser.error("there is one core only: server and client can't be apart")
    cases = [name for name in CASES if args.cases.search(name)]
    if not cases:
        parser.error("no case has that in its name; see --list")
    rounds = args.rounds or (1 if args.quick else 5)
    seconds = args.seconds or (0.05 if args.quick else 0.3)

    missing = [loop for loop in args.loops if absent(loop, "real")]
    loops = [loop for loop in args.loops if loop not in missing]
    if not loops:
        parser.error("none of these loops is installed")
    place = take_place(args.apart)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for idle connections, in servers too
    figures, failed = run(dict.fromkeys(cases, loops), rounds, functools.partial(measure, seconds))
    for setting in dict.fromkeys(CASES[name].setting for name in cases):
        mine = {name: row for name, row in figures.items() if CASES[name].setting == setting}
        print(render_medians(setting, mine, loops) + "\n")
    versions = ", ".join(f"{loop} {version(loop)}" for loop in loops)
    print(f"Python {platform.python_version()}; {versions}")
    print(f"{place}; rounds: {rounds}, of {seconds} s for each figure")
    explain([f"left out: {loop} ({loop} is not installed)" for loop in missing], failed)
    if args.json:
        settings = {"rounds": rounds, "seconds": seconds, "place": place}
        save(args.json, figures, failed, settings, about)
    return 1 if any(loop == SUBJECT for _, loop in failed) else 0


if __name__ == "__main__":
    sys.exit(main())
