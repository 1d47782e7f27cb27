"""The sockets, streams and servers of ``soliloop.compat.async_solipsism``."""

from __future__ import annotations

import array
import asyncio
import errno
import gc
import socket
import ssl
import warnings
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
import soliloop
from soliloop.compat import async_solipsism

pytestmark = pytest.mark.usefixtures("no_leaks")

_T = TypeVar("_T")


@pytest.fixture
def event_loop() -> Iterator[async_solipsism.EventLoop]:
    loop = async_solipsism.EventLoop()
    yield loop
    loop.close()


def run(main: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(main)


# Pairs, without a loop.


def test_pair_without_a_loop() -> None:
    one, other = async_solipsism.socketpair()
    assert one.send(b"hello") == 5
    assert other.recv(3) == b"hel"
    assert other.recv(100) == b"lo"
    assert other.sendmsg([b"good", b"bye"]) == 7
    assert one.recv(-1) == b"goodbye"
    with pytest.raises(BlockingIOError):
        one.recv(1)


def test_pair_takes_what_has_memory() -> None:
    one, other = async_solipsism.socketpair()
    one.send(array.array("H", [1, 2, 3]))
    target = array.array("H", [0, 0])
    assert other.recv_into(target) == 4
    assert target.tolist() == [1, 2]
    assert other.recv_into(target, 1) == 1
    for count in (-1, 5):
        with pytest.raises(ValueError, match="buffer"):
            other.recv_into(bytearray(4), count)


@pytest.mark.parametrize("capacity", [1, 5, 100])
def test_capacity_is_exact(capacity: int) -> None:
    one, other = async_solipsism.socketpair(capacity)
    for sender, receiver in ((one, other), (other, one)):
        assert sender.send(bytes(1000)) == capacity
        with pytest.raises(BlockingIOError):
            sender.send(b"x")
        assert receiver.recv(1) == b"\0"
        assert sender.send(b"xx") == 1
        assert receiver.recv(1000) == bytes(capacity - 1) + b"x"


def test_capacity_by_default_has_a_limit() -> None:
    one, _other = async_solipsism.socketpair()
    assert 1 <= one.send(bytes(10_000_000)) < 10_000_000
    with pytest.raises(BlockingIOError):
        one.send(b"x")


def test_ends_of_a_pair() -> None:
    one, other = async_solipsism.socketpair()
    one.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        one.send(b"x")
    assert other.recv(1) == b""
    assert other.send(b"still open") == 10
    assert one.recv(100) == b"still open"
    other.close()
    assert one.recv(1) == b""
    with pytest.raises(OSError) as caught:
        other.recv(1)
    assert caught.value.errno == errno.EBADF


def test_peer_of_a_closed_socket_cannot_write() -> None:
    one, other = async_solipsism.socketpair()
    other.close()
    with pytest.raises(BrokenPipeError):
        one.send(b"x")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, ("::", 0, 0, 0)),
        (("a", 1), ("a", 1, 0, 0)),
        (("::1", 1, 2, 3), ("::1", 1, 2, 3)),
    ],
)
def test_names_of_a_pair(given: Any, name: Any) -> None:
    one, other = async_solipsism.socketpair(None, given, ("b", 2))
    assert one.getsockname() == other.getpeername() == name
    assert other.getsockname() == one.getpeername() == ("b", 2, 0, 0)
    assert (one.family, one.type) == (socket.AF_INET6, socket.SOCK_STREAM)


def test_names_that_are_none() -> None:
    for name in ("text", ("host",), (1, 2, 3, 4, 5)):
        with pytest.raises(TypeError, match="AF_INET6 address must be a tuple"):
            async_solipsism.socketpair(None, name)  # type: ignore[arg-type]


def test_sockets_never_block() -> None:
    one, _other = async_solipsism.socketpair()
    one.setblocking(False)
    assert one.gettimeout() == 0.0
    for limit in (None, 1.0):
        with pytest.raises(async_solipsism.SolipsismError, match="nonblocking"):
            one.settimeout(limit)
    with pytest.raises(async_solipsism.SolipsismError, match="nonblocking"):
        one.setblocking(True)


def test_options_of_sockets() -> None:
    one, _other = async_solipsism.socketpair()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with pytest.warns(async_solipsism.SolipsismWarning, match=r"Ignoring socket option 1:8"):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100)


def test_sockets_of_queues() -> None:
    there, back = async_solipsism.Queue(3), async_solipsism.Queue()
    one = async_solipsism.Socket(back, there, ("one", 1), ("other", 2))
    assert one.send(b"hello") == 3
    other = async_solipsism.Socket(there, back)
    assert other.recv(10) == b"hel"
    assert other.send(b"hello") == 5
    assert one.recv(10) == b"hello"
    assert one.getpeername() == ("other", 2, 0, 0)
    assert other.getpeername() == ("::", 0, 0, 0)


def test_queue_whose_other_end_is_never_made_leaves_nothing_open() -> None:
    async_solipsism.Socket(async_solipsism.Queue(), async_solipsism.Queue()).send(b"x")
    gc.collect()  # and the fixture looks for open descriptors


def test_sockets_need_not_be_closed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair = async_solipsism.socketpair()
        one = pair[0]
        del pair
        assert one.recv(1) == b"", "the other one is gone"


# Pairs, with a loop.


def test_what_was_sent_before_the_loop_ran_is_received_in_it(
    event_loop: async_solipsism.EventLoop,
) -> None:
    one, other = async_solipsism.socketpair(8)
    one.send(b"early")

    async def main() -> bytes:
        data = await event_loop.sock_recv(other, 100)
        await event_loop.sock_sendall(other, b"answer")
        return data

    assert event_loop.run_until_complete(main()) == b"early"
    assert one.recv(100) == b"answer"
    assert one.send(bytes(100)) == 8, "the capacity has come along"


def test_sock_calls_wait(event_loop: async_solipsism.EventLoop) -> None:
    one, other = async_solipsism.socketpair(10)

    async def main() -> tuple[bytes, float]:
        event_loop.call_later(3, one.send, b"late")
        buffer = bytearray(10)
        count = await event_loop.sock_recv_into(other, buffer)
        return bytes(buffer[:count]), event_loop.time()

    assert event_loop.run_until_complete(main()) == (b"late", 3.0)


def test_sendall_waits_for_room() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        one, other = async_solipsism.socketpair(10)
        sending = loop.create_task(loop.sock_sendall(one, bytes(1000)))
        await asyncio.sleep(1)
        assert not sending.done()
        count = 0
        while count < 1000:
            part = await loop.sock_recv(other, 100)
            assert len(part) <= 10
            count += len(part)
        await sending
        return count

    assert run(main()) == 1000


def test_nobody_sends(event_loop: async_solipsism.EventLoop) -> None:
    one, _other = async_solipsism.socketpair()
    task = event_loop.create_task(event_loop.sock_recv(one, 1))
    with pytest.raises(async_solipsism.SleepForeverError):
        event_loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        event_loop.run_until_complete(task)


def test_socket_is_watched(event_loop: async_solipsism.EventLoop) -> None:
    one, other = async_solipsism.socketpair()

    async def main() -> list[bytes]:
        found: list[bytes] = []
        event_loop.add_reader(other, lambda: found.append(other.recv(10)))
        event_loop.call_later(1, one.send, b"a")
        await asyncio.sleep(2)
        assert event_loop.remove_reader(other)
        assert not event_loop.remove_reader(other)
        return found

    assert event_loop.run_until_complete(main()) == [b"a"]


def test_connection_over_a_pair() -> None:
    async def main() -> None:
        one, other = async_solipsism.socketpair(None, ("one", 1), ("other", 2))
        reader, writer = await asyncio.open_connection(sock=one)
        loop = asyncio.get_running_loop()
        transport, _protocol = await loop.connect_accepted_socket(asyncio.Protocol, other)
        assert transport.get_extra_info("sockname") == ("other", 2, 0, 0)
        assert writer.get_extra_info("peername") == ("other", 2, 0, 0)
        transport.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        transport.close()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    run(main())


def test_sockets_of_a_closed_loop_are_gone(event_loop: async_solipsism.EventLoop) -> None:
    one, other = async_solipsism.socketpair()
    one.send(b"x")
    event_loop.run_until_complete(event_loop.sock_recv(other, 1))
    event_loop.close()
    one.close()
    another = async_solipsism.EventLoop()
    with pytest.raises(RuntimeError, match="closed"):
        another.run_until_complete(another.sock_recv(other, 1))
    another.close()
    with pytest.raises(RuntimeError, match="closed"):
        other.send(b"x")
    other.close()


def test_pair_goes_to_another_loop(event_loop: async_solipsism.EventLoop) -> None:
    one, other = async_solipsism.socketpair()
    event_loop.run_until_complete(event_loop.sock_sendall(one, b"from the first"))
    another = async_solipsism.EventLoop()
    received = another.run_until_complete(another.sock_recv(other, 100))
    assert received == b"from the first"
    another.close()


# Streams.


def test_stream_pairs() -> None:
    async def main() -> None:
        (reader1, writer1), (reader2, writer2) = await async_solipsism.stream_pairs()
        writer1.write(b"there\n")
        writer2.write(b"back\n")
        assert await reader2.readline() == b"there\n"
        assert await reader1.readline() == b"back\n"
        writer1.write_eof()
        assert await reader2.read() == b""
        for writer in (writer1, writer2):
            writer.close()
            await writer.wait_closed()

    run(main())


def test_stream_pairs_of_a_capacity() -> None:
    async def main() -> None:
        (_, writer1), (reader2, writer2) = await async_solipsism.stream_pairs(capacity=100)
        writer1.transport.set_write_buffer_limits(0)
        writer2.transport.pause_reading()
        writer1.write(bytes(101))
        draining = asyncio.create_task(writer1.drain())
        await asyncio.sleep(1)
        assert not draining.done()
        assert writer1.transport.get_write_buffer_size() == 1
        writer2.transport.resume_reading()
        await draining
        assert await reader2.readexactly(101) == bytes(101)
        writer1.close()
        writer2.close()

    run(main())


# Servers. Some tests wait for the end of the handlers: Python 3.11 does not close the connections of those that are cancelled.


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    writer.close()


async def ask(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_server_of_any_name() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            assert await ask("test.invalid", 1234) == b"hello\n"
            assert await ask("test.invalid", 1234) == b"hello\n"
            for host, port in (("test.invalid", 1235), ("other.invalid", 1234)):
                with pytest.raises(ConnectionRefusedError):
                    await ask(host, port)
        with pytest.raises(ConnectionRefusedError):
            await ask("test.invalid", 1234)
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            assert await ask("test.invalid", 1234) == b"hello\n"

    run(main())


def test_servers_of_two_loops_know_nothing_of_each_other() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            assert await ask("test.invalid", 1234) == b"hello\n"

    run(main())
    run(main())
    with pytest.raises(ConnectionRefusedError):
        run(ask("test.invalid", 1234))


def test_address_in_use() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            with pytest.raises(OSError, match="in use") as caught:
                await asyncio.start_server(echo, "test.invalid", 1234)
            assert caught.value.errno == errno.EADDRINUSE
            async with await asyncio.start_server(echo, "other.invalid", 1234):
                assert await ask("other.invalid", 1234) == b"hello\n"

    run(main())


def test_port_zero_is_the_first_free_one() -> None:
    async def main() -> list[int]:
        servers = [
            await asyncio.start_server(echo, "test.invalid", 60_001),
            await asyncio.start_server(echo, "test.invalid", 0),
            await asyncio.start_server(echo, "test.invalid", 0),
            await asyncio.start_server(echo, "test.invalid"),
            await asyncio.start_server(
                echo, sock=async_solipsism.ListenSocket(("test.invalid", 0))
            ),
        ]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        for port in ports:
            assert await ask("test.invalid", port) == b"hello\n"
        for server in servers:
            server.close()
        return ports

    assert run(main()) == [60_001, 60_000, 60_002, 60_003, 60_004]


def test_server_needs_a_place() -> None:
    with pytest.raises(ValueError, match="host/port"):
        run(asyncio.start_server(echo))


@pytest.mark.parametrize("host", ["test.invalid", "127.0.0.1", "::1"])
def test_listen_socket_made_before_the_loop_runs(host: str) -> None:
    listening = async_solipsism.ListenSocket((host, 0))
    assert listening.getsockname() == (host, 0, 0, 0)
    with pytest.raises(OSError) as caught:
        listening.getpeername()
    assert caught.value.errno == errno.ENOTCONN

    async def main() -> None:
        async with await asyncio.start_server(echo, sock=listening) as server:
            assert listening.getsockname() == (host, 60_000, 0, 0)
            assert server.sockets[0].getsockname() == (host, 60_000, 0, 0)
            assert await ask(host, 60_000) == b"hello\n"

    run(main())


def test_listen_socket_accepts() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        listening = async_solipsism.ListenSocket(("test.invalid", 1234))
        listening.listen()
        client = socket.socket(socket.AF_INET6)
        client.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(listening))
        await loop.sock_connect(client, ("test.invalid", 1234))
        accepted, _ = await accepting
        await loop.sock_sendall(client, b"hello")
        assert await loop.sock_recv(accepted, 10) == b"hello"
        for one in (client, accepted, listening):
            one.close()

    run(main())


def test_listen_socket_of_an_address_in_use() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            with pytest.raises(OSError, match="in use"):
                async_solipsism.ListenSocket(("test.invalid", 1234))

    run(main())


def test_sockets_tell_names_and_ports_from_one_on() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234) as server:
            assert [sock.getsockname() for sock in server.sockets] == [("test.invalid", 1234, 0, 0)]
            for own in (1, 2):
                _, writer = await asyncio.open_connection("test.invalid", 1234)
                assert writer.get_extra_info("peername") == ("test.invalid", 1234, 0, 0)
                assert writer.get_extra_info("socket").getsockname() == ("::1", own, 0, 0)
                writer.close()
            await asyncio.sleep(1)

    run(main())


def test_a_port_in_use_is_left_out() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "::1", 1):
            _, writer = await asyncio.open_connection("::1", 1)
            assert writer.get_extra_info("sockname") == ("::1", 2, 0, 0)
            writer.close()
            await asyncio.sleep(1)

    run(main())


def test_addresses_of_version_4_work_as_well() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 1234):
            _, writer = await asyncio.open_connection("127.0.0.1", 1234)
            assert writer.get_extra_info("peername") == ("127.0.0.1", 1234)
            writer.close()
            await asyncio.sleep(1)

    run(main())


def test_names_and_addresses(event_loop: async_solipsism.EventLoop) -> None:
    async def main() -> tuple[str, str]:
        found = await event_loop.getaddrinfo("test.invalid", 80, type=socket.SOCK_STREAM)
        return await event_loop.getnameinfo(found[0][4])

    assert event_loop.run_until_complete(main())[0] == "test.invalid"


def test_datagrams_and_unix_sockets_work() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard = loop.create_future()

        class Hearing(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                heard.set_result(data)

        to = ("test.invalid", 53)
        server, _ = await loop.create_datagram_endpoint(Hearing, local_addr=to)
        client, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=to)
        client.sendto(b"datagram")
        assert await heard == b"datagram"
        client.close()
        server.close()
        async with await asyncio.start_unix_server(echo, "\0somewhere"):
            reader, writer = await asyncio.open_unix_connection("\0somewhere")
            writer.write(b"hello\n")
            assert await reader.read() == b"hello\n"
            writer.close()

    run(main())


def test_tls_over_a_pair_begins() -> None:
    async def main() -> None:
        one, other = async_solipsism.socketpair()
        context = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        connecting = asyncio.create_task(
            loop.create_connection(
                asyncio.Protocol, sock=one, ssl=context, server_hostname="test.invalid"
            )
        )
        hello = await loop.sock_recv(other, 1000)
        assert hello[0] == 22, "a handshake"
        other.close()
        with pytest.raises(OSError):
            await connecting

    run(main())


# The stand-in for aiohappyeyeballs.start_connection.

INFO = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
start_connection = async_solipsism.aiohappyeyeballs_start_connection


def test_start_connection_takes_the_first_that_answers() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            infos = [(*INFO, ("nowhere.invalid", 1)), (*INFO, ("test.invalid", 1234))]
            made: list[Any] = []

            def factory(info: Any) -> socket.socket:
                made.append(info)
                return socket.socket(socket.AF_INET6, *info[1:3])

            for options in ({}, {"socket_factory": factory, "interleave": 1}):
                sock = await start_connection(infos, **options)  # type: ignore[arg-type]
                assert sock.getpeername()[1] == 1234
                reader, writer = await asyncio.open_connection(sock=sock)
                writer.write(b"hello\n")
                assert await reader.read() == b"hello\n"
                writer.close()
            assert made == infos

    run(main())


def test_start_connection_binds() -> None:
    async def main() -> None:
        async with await asyncio.start_server(echo, "test.invalid", 1234):
            sock = await start_connection(
                [(*INFO, ("test.invalid", 1234))],
                local_addr_infos=[
                    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 5)),
                    (*INFO, ("127.0.0.1", 4321)),
                ],
            )
            assert sock.getsockname() == ("::1", 5, 0, 0)
            sock.close()

    run(main())


def test_start_connection_where_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        run(start_connection([(*INFO, ("nowhere.invalid", 1))]))
    with pytest.raises(OSError, match=r"nowhere.*elsewhere"):
        run(
            start_connection([(*INFO, (f"{name}.invalid", 1)) for name in ("nowhere", "elsewhere")])
        )
    with pytest.raises(ValueError, match="no address"):
        run(start_connection([]))


def test_error_of_the_real_world_and_refused_connections_are_told_apart() -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError) as caught:
            await ask("test.invalid", 1234)
        assert isinstance(caught.value, soliloop.UnservedError)
        assert not isinstance(caught.value, async_solipsism.SolipsismError)

    run(main())
