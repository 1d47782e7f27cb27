"""Datagram transports at their edges: families, order, what waits, errors, and the end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import Loop, handled, run

SIMULATED = True

HOST = "127.0.0.1"


class Peer(asyncio.DatagramProtocol):
    """Notes all that it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.writing: list[str] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))
        self.news.set()

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)
        self.news.set()

    def pause_writing(self) -> None:
        self.writing.append("pause")
        self.news.set()

    def resume_writing(self) -> None:
        self.writing.append("resume")
        self.news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)

    async def until(self, count: int) -> list[bytes]:
        """Wait until so many datagrams have come."""
        while len(self.received) < count:
            self.news.clear()
            await self.news.wait()
        return [data for data, _ in self.received]


async def end(*transports: Any) -> None:
    """Close, and wait until the protocols were told."""
    for transport in transports:
        protocol = transport.get_protocol()
        transport.close()
        if protocol is not None:
            await protocol.lost


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, HOST), (socket.AF_INET6, "::1")], ids=["v4", "v6"]
)
@pytest.mark.parametrize("connected", [False, True])
def test_internet_families(loop: Loop, family: int, host: str, connected: bool) -> None:
    async def main() -> None:
        try:
            far, far_peer = await loop.create_datagram_endpoint(Peer, (host, 0))
        except OSError:
            pytest.skip("the family is not there")
        address = far.get_extra_info("sockname")
        if connected:
            near, near_peer = await loop.create_datagram_endpoint(Peer, remote_addr=address[:2])
            near.sendto(b"one")
            assert near.get_extra_info("peername") == address
        else:
            near, near_peer = await loop.create_datagram_endpoint(Peer, (host, 0))
            near.sendto(b"one", address)
        assert near.get_extra_info("socket").family == family
        assert await far_peer.until(1) == [b"one"]
        sender = far_peer.received[0][1]
        assert sender == near.get_extra_info("sockname")
        # The tuple that came, one that is equal, and its short form.
        for to in (sender, (*sender,), sender[:2]):
            far.sendto(b"back", to)
        assert await near_peer.until(3) == [b"back"] * 3
        assert {addr for _, addr in near_peer.received} == {address}
        await end(near, far)

    run(loop, main())


def test_many_peers_each_get_their_own(loop: Loop) -> None:
    """More of them than addresses are remembered for."""

    class Echo(Peer):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.sendto(data, addr)

    async def main() -> None:
        far, protocol = await loop.create_datagram_endpoint(Echo, (HOST, 0))
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(400)]
        try:
            for each in sockets:
                each.bind((HOST, 0))
                each.setblocking(False)
            for turn in range(2):
                # Not all at once: a socket holds a few hundred.
                for start in range(0, len(sockets), 50):
                    part = sockets[start : start + 50]
                    for number, each in enumerate(part):
                        each.sendto(b"%d %d" % (turn, number), far.get_extra_info("sockname"))
                    for number, each in enumerate(part):
                        assert await loop.sock_recv(each, 100) == b"%d %d" % (turn, number)
            names = [each.getsockname() for each in sockets]
            assert [addr for _, addr in protocol.received] == names * 2
        finally:
            for each in sockets:
                each.close()
        await end(far)

    run(loop, main())


@pytest.mark.real_time(reason="without hosts every name is known")
def test_a_host_by_name(loop: Loop) -> None:
    async def main() -> None:
        far, far_peer = await loop.create_datagram_endpoint(Peer, (HOST, 0))
        near, near_peer = await loop.create_datagram_endpoint(Peer, (HOST, 0))
        near.sendto(b"by name", ("localhost", far.get_extra_info("sockname")[1]))
        assert await far_peer.until(1) == [b"by name"]
        near.sendto(b"nobody", ("host.invalid", 9))
        assert [type(error) for error in near_peer.errors] == [socket.gaierror]
        await end(near, far)

    run(loop, main())


@pytest.mark.parametrize(
    "address", [(HOST,), (HOST, "port"), (HOST, 1 << 17), 5, ("::1", 1, 2, 3, 4)]
)
def test_what_is_no_address_ends_the_transport(loop: Loop, address: Any) -> None:
    async def main() -> None:
        near, peer = await loop.create_datagram_endpoint(Peer, (HOST, 0))
        with handled(loop) as contexts:
            near.sendto(b"data", address)
            error = await peer.lost
        assert isinstance(error, (TypeError, OverflowError))
        assert [context["message"] for context in contexts] == [
            "Fatal write error on datagram transport"
        ]

    run(loop, main())


def test_unix_sockets_with_names(loop: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        paths = [str(tmp_path / "near"), str(tmp_path / "far\udcff")]
        near, near_peer = await loop.create_datagram_endpoint(Peer, paths[0], family=socket.AF_UNIX)
        far, far_peer = await loop.create_datagram_endpoint(Peer, paths[1], family=socket.AF_UNIX)
        near.sendto(b"there", paths[1])
        await far_peer.until(1)
        far.sendto(b"back", far_peer.received[0][1])
        await near_peer.until(1)
        assert (far_peer.received, near_peer.received) == (
            [(b"there", paths[0])],
            [(b"back", paths[1])],
        )
        await end(near, far)

    run(loop, main())


def test_unix_sockets_of_the_other_name_space_and_without_names(loop: Loop) -> None:
    async def main() -> None:
        far, far_peer = await loop.create_datagram_endpoint(Peer, sock=unix(b""))
        with (
            unix(b"\0soliloop-test-\xff") as named,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless,
        ):
            named.sendto(b"named", far.get_extra_info("sockname"))
            nameless.sendto(b"nameless", far.get_extra_info("sockname"))
            await far_peer.until(2)
        assert far_peer.received == [(b"named", b"\0soliloop-test-\xff"), (b"nameless", None)]
        await end(far)

    run(loop, main())


def unix(name: bytes) -> socket.socket:
    """A bound socket; the system names it if the name is empty."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.bind(name)
    return bound


def test_empty_and_large_datagrams(loop: Loop) -> None:
    async def main() -> None:
        far, far_peer = await loop.create_datagram_endpoint(Peer, (HOST, 0))
        near, near_peer = await loop.create_datagram_endpoint(
            Peer, remote_addr=far.get_extra_info("sockname")
        )
        large = bytes(range(256)) * 255
        near.sendto(large)
        near.sendto(bytearray(b"bytearray"))
        near.sendto(memoryview(b"memoryview"))
        near.sendto(bytes(1 << 16))
        near.sendto(b"last")
        # What is empty is sent too, except by asyncio before Python 3.13.
        expected = [large, b"bytearray", b"memoryview", b"last"]
        assert await far_peer.until(4) == expected
        assert [error.errno for error in near_peer.errors if isinstance(error, OSError)] == [90]
        with pytest.raises(TypeError, match="bytes-like"):
            near.sendto("text")  # type: ignore[arg-type]
        await end(near, far)

    run(loop, main())


def test_an_empty_datagram_is_one(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        far, far_peer = await our_loop.create_datagram_endpoint(Peer, (HOST, 0))
        near, _ = await our_loop.create_datagram_endpoint(Peer, (HOST, 0))
        near.sendto(b"", far.get_extra_info("sockname"))
        near.sendto(b"after", far.get_extra_info("sockname"))
        assert await far_peer.until(2) == [b"", b"after"]
        await end(near, far)

    run(our_loop, main())


def test_what_waits_is_counted_and_the_writer_is_asked_to_pause(
    our_loop: soliloop.EventLoop,
) -> None:
    async def main() -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        far.setblocking(False)
        with far:
            transport, peer = await our_loop.create_datagram_endpoint(Peer, sock=near)
            transport.set_write_buffer_limits(high=40, low=10)
            assert transport.get_write_buffer_limits() == (10, 40)
            sent = 0
            while not peer.writing:
                transport.sendto(sent.to_bytes(4, "big"))
                sent += 1
            # Each one counts 12: the fourth is above the mark.
            assert transport.get_write_buffer_size() == 48
            for number in range(sent):
                assert int.from_bytes(await our_loop.sock_recv(far, 10), "big") == number
            assert peer.writing == ["pause", "resume"]
            assert transport.get_write_buffer_size() == 0
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(high=1, low=2)
            await end(transport)

    run(our_loop, main())


def test_an_error_of_what_waits_is_told_and_the_rest_is_sent(
    our_loop: soliloop.EventLoop, tmp_path: Path
) -> None:
    async def main() -> None:
        with unix(str(tmp_path / "far").encode()) as far:
            far.setblocking(False)
            near, peer = await our_loop.create_datagram_endpoint(
                Peer, str(tmp_path / "near"), family=socket.AF_UNIX
            )
            sent = 0
            while not near.get_write_buffer_size():
                near.sendto(b"data", str(tmp_path / "far"))
                sent += 1
            near.sendto(b"lost", str(tmp_path / "nobody"))
            near.sendto(b"last", str(tmp_path / "far"))
            received = [await our_loop.sock_recv(far, 10) for _ in range(sent + 1)]
            assert received == [b"data"] * sent + [b"last"]
            assert [type(error) for error in peer.errors] == [FileNotFoundError]
            await end(near)

    run(our_loop, main())


def test_abort_drops_what_waits(our_loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with far:
            transport, peer = await our_loop.create_datagram_endpoint(Peer, sock=near)
            near.setblocking(False)
            while not transport.get_write_buffer_size():
                try:
                    near.send(b"data")
                except BlockingIOError:
                    transport.sendto(b"waits", None)
            transport.abort()
            assert transport.is_closing()
            assert await peer.lost is None
            assert transport.get_write_buffer_size() == 0

    run(our_loop, main())


def test_pause_and_resume_reading(loop: Loop) -> None:
    async def main() -> None:
        far, peer = await loop.create_datagram_endpoint(Peer, (HOST, 0))
        near, _ = await loop.create_datagram_endpoint(
            Peer, remote_addr=far.get_extra_info("sockname")
        )
        far.pause_reading()  # type: ignore[attr-defined]
        assert not far.is_reading()  # type: ignore[attr-defined]
        near.sendto(b"data")
        await asyncio.sleep(0.01)
        assert peer.received == []
        far.resume_reading()  # type: ignore[attr-defined]
        assert await peer.until(1) == [b"data"]
        await end(near, far)

    run(loop, main())


def test_a_protocol_that_stops_reading_gets_no_more(our_loop: soliloop.EventLoop) -> None:
    """Several datagrams are read at a time; each may be the last."""

    class Once(Peer):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    async def main() -> None:
        far, peer = await our_loop.create_datagram_endpoint(Once, (HOST, 0))
        near, _ = await our_loop.create_datagram_endpoint(
            Peer, remote_addr=far.get_extra_info("sockname")
        )
        for number in range(20):
            near.sendto(b"%d" % number)
        for number in range(1, 21):
            assert await peer.until(number) == [b"%d" % each for each in range(number)]
            far.resume_reading()  # type: ignore[attr-defined]
        await end(near, far)

    run(our_loop, main())


def test_an_exception_of_the_protocol_is_reported_and_the_rest_comes(loop: Loop) -> None:
    class Fails(Peer):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if data == b"bad":
                raise RuntimeError("the protocol's own")

    async def main() -> None:
        far, peer = await loop.create_datagram_endpoint(Fails, (HOST, 0))
        near, _ = await loop.create_datagram_endpoint(
            Peer, remote_addr=far.get_extra_info("sockname")
        )
        with handled(loop) as contexts:
            for data in (b"1", b"2", b"bad", b"3"):
                near.sendto(data)
            assert await peer.until(4) == [b"1", b"2", b"bad", b"3"]
        assert [str(context["exception"]) for context in contexts] == ["the protocol's own"]
        await end(near, far)

    run(loop, main())


def test_only_one_address_is_valid_once_connected(loop: Loop) -> None:
    async def main() -> None:
        far, peer = await loop.create_datagram_endpoint(Peer, (HOST, 0))
        address = far.get_extra_info("sockname")
        near, _ = await loop.create_datagram_endpoint(Peer, remote_addr=address)
        near.sendto(b"data", address)
        assert await peer.until(1) == [b"data"]
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            near.sendto(b"data", (HOST, address[1] ^ 1))
        await end(near, far)

    run(loop, main())


def test_all_is_told_in_one_context(our_loop: soliloop.EventLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[str] = []

    class Sees(Peer):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            seen.append(variable.get())
            variable.set("set when made")

        def datagram_received(self, data: bytes, addr: Any) -> None:
            seen.append(variable.get())
            super().datagram_received(data, addr)

        def error_received(self, exc: Exception) -> None:
            seen.append(variable.get())

        def connection_lost(self, exc: Exception | None) -> None:
            seen.append(variable.get())
            super().connection_lost(exc)

    async def main() -> None:
        variable.set("of the maker")
        near, peer = await our_loop.create_datagram_endpoint(Sees, (HOST, 0))
        variable.set("of the caller")
        near.sendto(b"data", near.get_extra_info("sockname"))
        await peer.until(1)
        near.sendto(bytes(1 << 16), near.get_extra_info("sockname"))
        await end(near)

    run(our_loop, main())
    assert seen == ["of the maker"] + ["set when made"] * 3


def test_what_it_is_and_how_it_ends(our_loop: soliloop.EventLoop, caplog: Any) -> None:
    async def main() -> None:
        near, peer = await our_loop.create_datagram_endpoint(Peer, (HOST, 0))
        assert isinstance(near, asyncio.DatagramTransport)
        assert "read=polling write=<idle, bufsize=0>" in repr(near)
        sock = near.get_extra_info("socket")
        with pytest.raises(RuntimeError, match="is used by transport"):
            our_loop.add_reader(sock.fileno(), print)
        assert near.get_extra_info("nothing", "default") == "default"
        near.close()
        near.close()
        assert "closing" in repr(near)
        assert await peer.lost is None
        await asyncio.sleep(0)
        assert "closed" in repr(near)
        assert sock.fileno() == -1
        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(7):
                near.sendto(b"late", (HOST, 9))
        assert len(caplog.records) == 2
        assert near.get_protocol() is None

    run(our_loop, main())


def test_one_that_nobody_closes_warns(our_loop: soliloop.EventLoop) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def main() -> None:
        transport, _ = await our_loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        transport.pause_reading()  # type: ignore[attr-defined]

    with pytest.warns(ResourceWarning, match="unclosed transport"):
        run(our_loop, main())  # its last reference goes with the run
    assert sock.fileno() == -1
