"""The network of a simulation as Python sees it: names, links, faults, sockets of every kind, wrong arguments."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import soliloop

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
PLACE = rf"{__name__}\.py:\d+"


@pytest.fixture
def sim(no_leaks: None) -> Iterator[soliloop.Simulation]:
    with soliloop.simulation() as sim:
        yield sim


class Two:
    """Two hosts, and a server on the second one that sends everything back."""

    def __init__(self, sim: soliloop.Simulation, **link: Any) -> None:
        self.sim = sim
        self.a = sim.host("a")
        self.b = sim.host("b", boot=self.serve)
        sim.link(**link)

    async def serve(self) -> None:
        server = await asyncio.start_server(echo, "0.0.0.0", 80)
        async with server:
            await server.serve_forever()

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run it on the first host, when the second one listens; and until the server has seen the end of its connections.

        Python 3.11 does not close those of handlers that are cancelled.
        """

        async def begin() -> Any:
            await asyncio.sleep(0)
            result = await self.a.run(main())
            await asyncio.sleep(60)
            return result

        return self.sim.run(begin())


async def echo(reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


async def close(writer: Writer) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Datagrams(asyncio.DatagramProtocol):
    """Notes what comes, and when."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.times: list[float] = []
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.received.append(data)
        self.times.append(asyncio.get_running_loop().time())

    def error_received(self, error: Exception) -> None:
        self.errors.append(error)


# ---------------------------------------------------------------------- without set-up


@pytest.mark.parametrize(
    ("bound", "name"),
    [
        ("0.0.0.0", "example.org"),
        ("example.org", "example.org"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("::", "localhost"),
        ("::", "::1"),
        ("::1", "::1"),
        (None, "localhost"),
        ("", "localhost"),
        ("10.9.8.7", "10.9.8.7"),
    ],
)
def test_any_name_and_port(sim: soliloop.Simulation, bound: str | None, name: str) -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, bound, 443):
            reader, writer = await asyncio.open_connection(name, 443)
            assert writer.get_extra_info("peername")[1] == 443
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hello"
            await close(writer)

    sim.run(main())
    assert sim.loop.time() == 0


def test_port_zero(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        servers = [await asyncio.start_server(echo, "0.0.0.0", 0) for _ in range(3)]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        assert len(set(ports)) == 3
        assert min(ports) > 1023
        for port, server in zip(ports, servers, strict=True):
            _, writer = await asyncio.open_connection("localhost", port)
            await close(writer)
            server.close()
            await server.wait_closed()

    sim.run(main())


def test_a_port_is_taken_once(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "0.0.0.0", 80):
            with pytest.raises(OSError, match=r"(?i)address already in use") as caught:
                await asyncio.start_server(echo, "0.0.0.0", 80)
            assert caught.value.errno == errno.EADDRINUSE
        async with await asyncio.start_server(echo, "0.0.0.0", 80):
            pass

    sim.run(main())


# ---------------------------------------------------------------------- names


def test_names_of_hosts(sim: soliloop.Simulation) -> None:
    web = sim.host("web")
    db = sim.host("db", address=["192.0.2.7", "2001:db8::7"])
    old = sim.host("old", address="192.0.2.8")
    assert [host.name for host in sim.hosts] == ["web", "db", "old"]
    assert len(web.addresses) == 2
    assert db.addresses == ("192.0.2.7", "2001:db8::7")
    assert old.addresses == ("192.0.2.8",)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("db", 5432, type=socket.SOCK_STREAM)
        assert found == [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 5432)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::7", 5432, 0, 0)),
        ]
        assert socket.getaddrinfo("db", 5432, type=socket.SOCK_STREAM) == found
        assert len(socket.getaddrinfo("db", 5432)) == 4
        assert await loop.getnameinfo(("192.0.2.7", 80)) == ("db", "http")
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert socket.getnameinfo(("192.0.2.7", 80), numeric) == ("192.0.2.7", "80")
        assert socket.gethostbyname("old") == "192.0.2.8"
        assert socket.gethostbyname_ex("db") == ("db", [], ["192.0.2.7"])
        assert socket.gethostbyaddr("192.0.2.7") == ("db", [], ["192.0.2.7"])
        assert socket.getaddrinfo("192.0.2.99", "https", type=socket.SOCK_STREAM)[0][4] == (
            "192.0.2.99",
            443,
        )
        for name, port in (("nowhere", 80), ("nowhere.example.org", None)):
            with pytest.raises(socket.gaierror, match=r"no host 'nowhere.*web, db, old"):
                socket.getaddrinfo(name, port)
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("db", 80, family=socket.AF_INET, flags=socket.AI_NUMERICHOST)
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("old", 80, family=socket.AF_INET6)

    sim.run(main())


def test_addresses_are_told_by_name_where_that_is_wanted() -> None:
    with soliloop.simulation(names=True) as sim:
        server, client = sim.host("exchange"), sim.host("trader")
        seen: list[object] = []

        def heard(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.extend(writer.get_extra_info(name) for name in ("sockname", "peername"))
            seen.append(writer.get_extra_info("socket").getpeername())
            writer.close()

        async def serve() -> None:
            local = await asyncio.start_server(heard, "127.0.0.1", 81)
            assert local.sockets[0].getsockname() == ("127.0.0.1", 81)
            local.close()
            async with await asyncio.start_server(heard, "exchange", 80):
                await asyncio.sleep(60)

        async def ask() -> object:
            await asyncio.sleep(1)
            reader, writer = await asyncio.open_connection("exchange", 80)
            await reader.read()
            writer.close()
            await writer.wait_closed()
            return writer.get_extra_info("peername")

        async def datagrams() -> object:
            with (
                socket.socket(type=socket.SOCK_DGRAM) as one,
                socket.socket(type=socket.SOCK_DGRAM) as other,
            ):
                one.bind(("trader", 53))
                other.setblocking(False)
                one.setblocking(False)
                other.sendto(b"x", one.getsockname())
                return (await asyncio.get_running_loop().sock_recvfrom(one, 9))[1][0]

        serving = server.run(serve())
        assert sim.run(client.run(ask())) == ("exchange", 80)
        assert sim.run(client.run(datagrams())) == "trader"
        sim.run(serving)
        assert seen == [("exchange", 80), ("trader", 32768), ("trader", 32768)]


def test_any_name_has_an_address_of_either_version(sim: soliloop.Simulation) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        v6: dict[str, Any] = {"family": socket.AF_INET6}
        server = await loop.create_server(asyncio.Protocol, "exchange", 80, **v6)
        transport, _ = await loop.create_connection(asyncio.Protocol, "exchange", 80, **v6)
        transport.close()
        with socket.socket(socket.AF_INET) as client, pytest.raises(ConnectionRefusedError):
            client.connect(("exchange", 80))
        server.close()
        await asyncio.sleep(1)
        return [info[4][0] for info in socket.getaddrinfo("exchange", 80, type=socket.SOCK_STREAM)]

    addresses = sim.run(main())
    assert sorted(":" in address for address in addresses) == [False, True]


def test_each_host_has_its_name(sim: soliloop.Simulation) -> None:
    async def name() -> list[str]:
        return [socket.gethostname(), await asyncio.to_thread(socket.gethostname)]

    async def main() -> list[list[str]]:
        return [await host.run(name()) for host in (sim.host("one"), sim.host("other"))]

    assert sim.run(main()) == [["one", "one"], ["other", "other"]]


def test_localhost_is_each_host_s_own(sim: soliloop.Simulation) -> None:
    async def serve() -> None:
        await (await asyncio.start_server(echo, "127.0.0.1", 80)).serve_forever()

    sim.host("server", boot=serve)
    client = sim.host("client")

    async def connect() -> None:
        for name in ("localhost", "server"):
            with pytest.raises(OSError, match="Errno 111"):  # one per address
                await asyncio.open_connection(name, 80)

    async def main() -> None:
        await asyncio.sleep(1)
        await client.run(connect())

    sim.run(main())


# ---------------------------------------------------------------------- links


def test_latency_is_exact(sim: soliloop.Simulation) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        times = [loop.time_ns()]
        reader, writer = await asyncio.open_connection("b", 80)
        times.append(loop.time_ns())
        writer.write(b"hello")
        await reader.readexactly(5)
        times.append(loop.time_ns())
        await close(writer)
        return times

    assert Two(sim, latency=0.25).run(main) == [0, 500_000_000, 1_000_000_000]


def test_both_directions_apart(sim: soliloop.Simulation) -> None:
    two = Two(sim)
    sim.link("a", "b", latency=0.1, both_ways=False)
    sim.link("b", "a", latency=0.03, both_ways=False)

    async def main() -> float:
        reader, writer = await asyncio.open_connection("b", 80)
        assert sim.loop.time() == pytest.approx(0.13)
        writer.write(b"hello")
        await reader.readexactly(5)
        await close(writer)
        return sim.loop.time()

    # What is written goes on its way; the closing does not wait.
    assert two.run(main) == pytest.approx(0.26)


def test_bandwidth_is_exact(sim: soliloop.Simulation) -> None:
    """Datagrams of 1000 bytes at 10,000 bytes a second: one a tenth of a second, with their headers."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        taking, receiver = await sim.hosts[1].run(
            loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", 53))
        )
        sender, _ = await loop.create_datagram_endpoint(Datagrams, remote_addr=("b", 53))
        for _ in range(4):
            sender.sendto(bytes(1000))
        await asyncio.sleep(10)
        sender.close()
        taking.close()
        times: list[float] = receiver.times
        return times

    times = Two(sim, latency=1, bandwidth=10_000).run(main)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps == pytest.approx([gaps[0]] * 3)
    assert gaps[0] == pytest.approx(0.1, rel=0.05)
    assert times[0] == pytest.approx(1 + gaps[0])


def test_a_stream_takes_as_long_as_the_bandwidth_says(sim: soliloop.Simulation) -> None:
    async def main() -> float:
        await asyncio.sleep(
            0.001
        )  # on a link without latency the server may be asked before it listens
        reader, writer = await asyncio.open_connection("b", 80)
        writer.write(bytes(1_000_000))
        writer.write_eof()
        assert len(await reader.read()) == 1_000_000
        await close(writer)
        return sim.loop.time()

    # There and back at once: both directions have their own bandwidth.
    assert 10 <= Two(sim, bandwidth=100_000).run(main) < 14


def test_jitter_keeps_the_order_of_a_stream(sim: soliloop.Simulation) -> None:
    async def main() -> bytes:
        reader, writer = await asyncio.open_connection("b", 80)
        for number in range(100):
            writer.write(b"%03d" % number)
            await asyncio.sleep(0.01)
        writer.write_eof()
        data = await reader.read()
        await close(writer)
        return data

    data = Two(sim, latency=0.01, jitter=0.5).run(main)
    assert data == b"".join(b"%03d" % number for number in range(100))


def test_loss_delays_a_stream_and_loses_nothing(sim: soliloop.Simulation) -> None:
    async def main() -> list[float]:
        reader, writer = await asyncio.open_connection("b", 80)
        times = []
        for number in range(200):
            begin = sim.loop.time()
            writer.write(b"%03d" % number)
            assert await reader.readexactly(3) == b"%03d" % number
            times.append(sim.loop.time() - begin)
        await close(writer)
        return times

    times = Two(sim, latency=0.01, loss=0.2).run(main)
    assert min(times) == pytest.approx(0.02)
    assert max(times) > 0.2


# ---------------------------------------------------------------------- faults


def test_partition_and_heal(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.01)

    async def main() -> None:
        reader, writer = await asyncio.open_connection("b", 80)
        sim.partition(["a"], ["b"])
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), 20)
        sim.heal()
        assert await asyncio.wait_for(reader.readexactly(5), 120) == b"hello"
        await close(writer)

    two.run(main)


def test_who_is_in_no_group_is_in_one_of_its_own(sim: soliloop.Simulation) -> None:
    two = Two(sim)
    third = sim.host("third")

    async def connect() -> None:
        _, writer = await asyncio.wait_for(asyncio.open_connection("b", 80), 1)
        await close(writer)

    async def main() -> None:
        sim.partition("b")
        with pytest.raises(TimeoutError):
            await connect()
        with pytest.raises(TimeoutError):
            await third.run(connect())
        sim.heal()
        sim.partition([two.a, "b"])
        await connect()
        with pytest.raises(TimeoutError):
            await third.run(connect())

    two.run(main)


def test_a_cut_is_of_one_direction(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.01)
    heard: list[bytes] = []

    async def listen() -> None:
        async def note(reader: Reader, writer: Writer) -> None:
            heard.append(await reader.readexactly(5))
            writer.write(b"heard")
            await reader.read()
            await close(writer)

        await (await asyncio.start_server(note, "0.0.0.0", 81)).serve_forever()

    async def main() -> None:
        two.b.run(listen())
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("b", 81)
        sim.cut("b", "a")
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), 5)
        sim.heal()
        assert await reader.readexactly(5) == b"heard"
        assert heard == [b"hello"]
        await close(writer)

    two.run(main)


def test_connecting_times_out(sim: soliloop.Simulation) -> None:
    """As on Linux with its defaults: after two minutes and some."""
    two = Two(sim)

    async def main() -> None:
        sim.partition("b")
        sock = socket.socket()
        sock.setblocking(False)
        with sock, pytest.raises(TimeoutError) as caught:
            await asyncio.get_running_loop().sock_connect(sock, ("b", 80))
        assert caught.value.errno == errno.ETIMEDOUT
        assert 100 < sim.loop.time() < 200

    two.run(main)


def test_a_round_trip_longer_than_the_patience_of_connecting(sim: soliloop.Simulation) -> None:
    """It asks again after a second; the answer to the first question counts all the same."""

    async def main() -> float:
        _, writer = await asyncio.open_connection("b", 80)
        now = sim.loop.time()
        await close(writer)
        return now

    assert Two(sim, latency=2).run(main) == 4


# ---------------------------------------------------------------------- datagrams


async def send_numbers(sim: soliloop.Simulation, count: int) -> list[bytes]:
    loop = asyncio.get_running_loop()
    taking, receiver = await sim.hosts[1].run(
        loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", 53))
    )
    sender, _ = await loop.create_datagram_endpoint(Datagrams, remote_addr=("b", 53))
    for number in range(count):
        sender.sendto(b"%04d" % number)
        await asyncio.sleep(0.001)
    await asyncio.sleep(10)
    sender.close()
    taking.close()
    received: list[bytes] = receiver.received
    return received


def test_lost_datagrams(sim: soliloop.Simulation) -> None:
    received = Two(sim, loss=0.3).run(lambda: send_numbers(sim, 1000))
    assert 600 < len(received) < 800
    assert received == sorted(set(received))


def test_doubled_datagrams(sim: soliloop.Simulation) -> None:
    received = Two(sim, duplicate=0.3).run(lambda: send_numbers(sim, 1000))
    assert 1200 < len(received) < 1400
    assert len(set(received)) == 1000


def test_reordered_datagrams(sim: soliloop.Simulation) -> None:
    received = Two(sim, latency=0.05, reorder=0.1).run(lambda: send_numbers(sim, 1000))
    assert len(received) == 1000
    assert received != sorted(received)
    assert sorted(received) == sorted(set(received))


def test_nobody_takes_a_datagram(sim: soliloop.Simulation) -> None:
    async def main() -> list[Exception]:
        loop = asyncio.get_running_loop()
        sender, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=("b", 53))
        sender.sendto(b"hello")
        await asyncio.sleep(1)
        sender.close()
        errors: list[Exception] = protocol.errors
        return errors

    errors = Two(sim, latency=0.01).run(main)
    assert [type(error) for error in errors] == [ConnectionRefusedError]


# ---------------------------------------------------------------------- streams


def test_half_close(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection("b", 80)
        writer.write(b"question")
        writer.write_eof()
        assert await reader.read() == b"question"
        await close(writer)

    Two(sim, latency=0.1).run(main)


def test_reset(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.1)

    async def main() -> None:
        async def abort(reader: Reader, writer: Writer) -> None:
            writer.transport.abort()

        serving = two.b.run(asyncio.start_server(abort, "0.0.0.0", 81))
        async with await serving:
            reader, writer = await asyncio.open_connection("b", 81)
            linger = socket.SOL_SOCKET, socket.SO_LINGER
            assert await reader.read() == b""
            await close(writer)
            # A connection whose end was told to send a reset.
            sock = socket.create_connection(("b", 80))
            sock.setsockopt(*linger, b"\1\0\0\0\0\0\0\0")
            sock.close()

    two.run(main)


def test_a_restarted_host_resets_old_connections(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.1)

    async def main() -> None:
        reader, writer = await asyncio.open_connection("b", 80)
        two.b.crash()
        two.b.restart()
        writer.write(b"hello")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await close(writer)

    two.run(main)


def test_drain_waits_for_a_slow_reader(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.01)

    async def slow(reader: Reader, writer: Writer) -> None:
        await asyncio.sleep(100)
        await reader.read()
        await close(writer)

    async def main() -> None:
        async with await two.b.run(asyncio.start_server(slow, "0.0.0.0", 81)):
            _, writer = await asyncio.open_connection("b", 81)
            writer.write(bytes(5_000_000))
            await writer.drain()
            assert sim.loop.time() > 100
            await close(writer)

    two.run(main)


# ---------------------------------------------------------------------- other sockets


def test_unix_sockets(sim: soliloop.Simulation, tmp_path: Any) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        async with await asyncio.start_unix_server(echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hello"
            await close(writer)
        with pytest.raises(OSError, match="Errno"):
            await asyncio.open_unix_connection(path)

    sim.run(main())
    assert list(tmp_path.iterdir()) == []


def test_socketpair(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=one)
        with other:
            other.sendall(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.write(b"and back")
            await writer.drain()
            assert await asyncio.to_thread(other.recv, 100) == b"and back"
        assert await reader.read() == b""
        await close(writer)

    sim.run(main())


def test_blocking_sockets_in_threads(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.5)

    def work() -> bytes:
        with socket.create_connection(("b", 80), timeout=10) as sock:
            sock.sendall(b"hello")
            data = sock.recv(100)
            sock.settimeout(3)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            return data

    async def main() -> None:
        assert await asyncio.to_thread(work) == b"hello"
        assert sim.loop.time() == pytest.approx(5)

    two.run(main)


def test_blocking_sockets_in_a_coroutine(sim: soliloop.Simulation) -> None:
    """What comes by itself is waited for; what only this loop could send never comes."""
    one, other = Two(sim, latency=0.5), sim.host("c")

    def serve(listener: socket.socket) -> None:
        with listener, listener.accept()[0] as sock:
            sock.sendall(b"by itself")

    async def begin() -> Awaitable[None]:
        listener = socket.create_server(("0.0.0.0", 90))
        return asyncio.ensure_future(asyncio.to_thread(serve, listener))

    async def main() -> None:
        serving = await other.run(begin())
        with socket.create_connection(("c", 90)) as sock:
            assert sock.recv(100) == b"by itself"
            assert sim.loop.time() == 2  # three ways to connect, and one for the answer
        await serving
        with socket.create_connection(("b", 80)) as sock:
            sock.sendall(b"hello")
            with pytest.raises(soliloop.DeadlockError, match=rf"socket\.recv.*{PLACE}"):
                sock.recv(100)

    one.run(main)


# ---------------------------------------------------------------------- looking, and wrong arguments


def test_the_snapshot(sim: soliloop.Simulation) -> None:
    two = Two(sim, latency=0.02)
    two.run(lambda: asyncio.sleep(1))
    text = sim.snapshot()
    assert "at 61.000000000 s" in text
    for host in sim.hosts:
        assert f"host {host.name}: {', '.join(host.addresses)}" in text
    assert "tcp4 0.0.0.0:80: listening, 0 of 100 waiting" in text


def test_the_digest_is_of_what_happens() -> None:
    def digest(words: list[bytes], latency: float = 0.01) -> str:
        with soliloop.simulation(seed=3) as sim:

            async def main() -> None:
                reader, writer = await asyncio.open_connection("b", 80)
                for word in words:
                    writer.write(word)
                    await reader.readexactly(len(word))
                await close(writer)

            Two(sim, latency=latency, loss=0.1).run(main)
            return sim.digest

    assert digest([b"one", b"other"]) == digest([b"one", b"other"])
    assert digest([b"one", b"other"]) != digest([b"one", b"another"])
    assert digest([b"one"]) != digest([b"one"], latency=0.02)


WRONG: dict[str, tuple[Callable[[soliloop.Simulation], Any], str]] = {
    "a host twice": (lambda sim: sim.host("a"), "'a'|\"a\""),
    "an address twice": (
        lambda sim: sim.host("c", address=sim.hosts[0].addresses[0]),
        "c.*10.0.0",
    ),
    "no address": (lambda sim: sim.host("c", address="not one"), "address"),
    "an unknown host": (lambda sim: sim.link("a", "z"), r"no host 'z' \(hosts: a, b\)"),
    "half a link": (lambda sim: sim.link("a"), "two ends"),
    "a negative latency": (lambda sim: sim.link(latency=-1), "latency is in seconds.*-1"),
    "a latency that is no number": (lambda sim: sim.link(latency=float("nan")), "nan"),
    "a range upside down": (lambda sim: sim.link(latency=(2, 1)), "above the highest"),
    "too much loss": (lambda sim: sim.link(loss=1.5), "loss is a probability.*1.5"),
    "no bandwidth": (lambda sim: sim.link(bandwidth=0), "bandwidth is in bytes per second.*0"),
    "a negative jitter": (lambda sim: sim.link(jitter=-0.1), "jitter"),
    "a tiny mtu": (lambda sim: sim.link(mtu=10), "mtu.*10"),
    "a cut of nobody": (lambda sim: sim.cut("a", "z"), "no host 'z'"),
    "a partition of nobody": (lambda sim: sim.partition(["z"]), "no host 'z'"),
}


@pytest.mark.parametrize(("call", "text"), WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments(
    sim: soliloop.Simulation, call: Callable[[soliloop.Simulation], Any], text: str
) -> None:
    sim.host("a")
    sim.host("b")
    with pytest.raises(ValueError, match=text):
        call(sim)
    assert [host.name for host in sim.hosts] == ["a", "b"]


def test_a_host_that_is_down(sim: soliloop.Simulation) -> None:
    host = sim.host("a")
    assert host.is_up
    assert "up" in repr(host)
    host.crash()
    assert not host.is_up
    with pytest.raises(RuntimeError, match="'a' is down"):
        host.run(asyncio.sleep(1))
    host.restart()
    with pytest.raises(RuntimeError, match="'a' is up"):
        host.restart()
    with pytest.raises(TypeError, match="coroutine"):
        host.run(print)  # type: ignore[arg-type]
