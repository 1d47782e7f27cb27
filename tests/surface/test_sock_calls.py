"""What the sock_* calls promise beyond moving bytes: they are coroutines, withdraw without loss, and follow a descriptor's life."""

from __future__ import annotations

import array
import asyncio
import collections.abc
import contextlib
import gc
import inspect
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import Loop, Pair, run, turn

SIMULATED = True


def stream() -> Pair:
    """A pair of sockets whose calls are plain."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


@pytest.fixture
def tcp() -> Iterator[Pair]:
    """Both ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with near, far:
        yield near, far


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@contextlib.contextmanager
def cancelled_when_ready(
    loop: Loop, task: asyncio.Task[Any], near: socket.socket
) -> Iterator[None]:
    """Send a byte to a task, and have it cancelled in the turn in which its descriptor is ready, just before it would go on.

    A descriptor that stays ready is reported before one that becomes so.
    """
    steps = iter([lambda: near.send(b"x"), task.cancel])
    other_near, other_far = stream()
    with other_near, other_far:
        other_near.send(b"x")
        loop.add_reader(other_far, lambda: next(steps, int)())
        yield
        loop.remove_reader(other_far)


# Coroutines.


def test_a_call_is_a_coroutine(loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        call = loop.sock_recv(far, 10)
        assert asyncio.iscoroutine(call)
        assert inspect.isawaitable(call)
        assert isinstance(call, collections.abc.Coroutine)
        assert not asyncio.isfuture(call)
        near.send(b"one")
        assert await loop.create_task(call) == b"one"
        near.send(b"two")
        assert await asyncio.wait_for(loop.sock_recv(far, 10), 5) == b"two"
        near.send(b"three")
        got, nothing = await asyncio.gather(loop.sock_recv(far, 10), loop.sock_sendall(far, b"x"))
        assert (got, nothing) == (b"three", None)
        assert await asyncio.ensure_future(loop.sock_recv(near, 10)) == b"x"
        with pytest.raises(TypeError):
            await asyncio.wait([loop.sock_recv(far, 10)])  # type: ignore[type-var]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        run(loop, main())
        gc.collect()


def test_a_call_can_be_run_to_its_end(loop: Loop, pair: Pair) -> None:
    near, far = pair
    loop.run_until_complete(loop.sock_sendall(near, b"x"))
    assert loop.run_until_complete(loop.sock_recv(far, 10)) == b"x"
    loop.call_later(0.001, near.send, b"y")
    assert loop.run_until_complete(loop.sock_recv(far, 10)) == b"y"


def test_nothing_happens_before_it_is_awaited(loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        call = loop.sock_sendall(near, b"x")
        await turns()
        with pytest.raises(BlockingIOError):
            far.recv(1)
        await call
        assert far.recv(1) == b"x"
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await call

    run(loop, main())


def test_a_call_that_nobody_awaits_is_reported(loop: Loop, pair: Pair) -> None:
    with pytest.warns(RuntimeWarning, match="sock_recv' was never awaited"):
        loop.sock_recv(pair[0], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop.sock_recv(pair[0], 1).close()


def test_stepping_by_hand(loop: Loop, pair: Pair) -> None:
    near, far = pair
    near.send(b"x")
    with pytest.raises(StopIteration) as ended:
        loop.sock_recv(far, 10).send(None)
    assert ended.value.value == b"x"
    call = loop.sock_recv(far, 10)
    with pytest.raises(TypeError, match="just-started"):
        call.send(1)
    assert asyncio.isfuture(call.send(None))
    with pytest.raises(KeyError):
        call.throw(KeyError("k"))
    with pytest.raises(RuntimeError):
        call.send(None)


def test_arguments_are_judged_when_awaited(loop: Loop, pair: Pair) -> None:
    near, far = pair
    near.send(b"x")

    async def main() -> None:
        refused: list[tuple[Any, type[Exception]]] = [
            (loop.sock_recv(far, "x"), TypeError),  # type: ignore[arg-type]
            (loop.sock_recv(far, -1), ValueError),
            (loop.sock_recv_into(far, b"read-only"), (TypeError, BufferError)),  # type: ignore[arg-type]
            (loop.sock_sendall(far, "text"), TypeError),  # type: ignore[arg-type]
            (loop.sock_sendto(far, b"x", 5), TypeError),  # type: ignore[arg-type]
            (loop.sock_accept(far), OSError),
        ]
        for call, kind in refused:
            with pytest.raises(kind):
                await call
        assert await loop.sock_recv(far, 0) == b""
        assert await loop.sock_recv(far, 1 << 20) == b"x"

    run(loop, main())


def test_sockets_of_tls_are_refused(loop: Loop) -> None:
    ssl = pytest.importorskip("ssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False

    async def main() -> None:
        with (
            socket.socket() as sock,
            context.wrap_socket(sock, do_handshake_on_connect=False) as wrapped,
        ):
            for call in (
                loop.sock_recv(wrapped, 1),
                loop.sock_sendall(wrapped, b""),
                loop.sock_connect(wrapped, ("127.0.0.1", 1)),
                loop.sock_accept(wrapped),
            ):
                with pytest.raises(TypeError, match="SSLSocket"):
                    await call

    run(loop, main())


# Waiting in turn.


def test_calls_of_one_side_go_on_in_their_order(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        readers = [asyncio.create_task(our_loop.sock_recv(far, 1)) for _ in range(5)]
        await turns()
        for letter in (b"ab", b"cde"):
            near.send(letter)
            await turns()
        assert b"".join(await asyncio.gather(*readers)) == b"abcde"

    run(our_loop, main())


def test_a_late_call_does_not_pass_those_that_wait(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        first = asyncio.create_task(our_loop.sock_recv(far, 1))
        await turns()
        near.send(b"ab")
        second = asyncio.create_task(our_loop.sock_recv(far, 1))
        assert [await first, await second] == [b"a", b"b"]

    run(our_loop, main())


def test_both_sides_at_once(loop: Loop, tcp: Pair) -> None:
    near, far = tcp
    payload = os.urandom(4 << 20)

    async def drain() -> bytes:
        await asyncio.sleep(0.01)
        chunks = []
        left = len(payload)
        while left:
            chunks.append(await loop.sock_recv(far, 50_000))
            left -= len(chunks[-1])
        return b"".join(chunks)

    async def main() -> None:
        answer = asyncio.create_task(loop.sock_recv(near, 10))
        sender = asyncio.create_task(loop.sock_sendall(near, payload))
        await turns()
        assert not sender.done()
        await loop.sock_sendall(far, b"other way")
        assert await answer == b"other way"
        assert await drain() == payload
        await sender

    run(loop, main())


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_reads_smaller_and_larger_than_what_comes(loop: Loop, tcp: Pair, size: int) -> None:
    near, far = tcp
    pieces = [bytes([number]) * (number % 7 + 1) for number in range(200)]

    async def send() -> None:
        for piece in pieces:
            await loop.sock_sendall(near, piece)
            if piece[0] % 3 == 0:
                await asyncio.sleep(0)
        near.shutdown(socket.SHUT_WR)

    async def main() -> None:
        sender = asyncio.create_task(send())
        got = []
        while data := await loop.sock_recv(far, size):
            got.append(data)
        assert b"".join(got) == b"".join(pieces)
        assert await loop.sock_recv(far, size) == b""
        await sender

    run(loop, main())


def test_an_end_that_came_with_the_last_bytes(loop: Loop, tcp: Pair) -> None:
    near, far = tcp

    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv(far, 100))
        await turns()
        near.send(b"bye")
        near.close()
        assert await waiting == b"bye"
        assert await loop.sock_recv(far, 100) == b""

    run(loop, main())


def test_urgent_data_does_not_hide_what_follows(our_loop: Loop, tcp: Pair) -> None:
    near, far = tcp

    async def main() -> None:
        waiting = asyncio.create_task(our_loop.sock_recv(far, 100))
        await turns()
        near.send(b"before")
        near.send(b"!", socket.MSG_OOB)
        near.send(b"after")
        got = await waiting
        while not got.endswith(b"after"):
            got += await our_loop.sock_recv(far, 100)
        assert got == b"beforeafter"

    run(our_loop, main())


def test_messages_with_descriptors_end_a_read_early(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        waiting = asyncio.create_task(our_loop.sock_recv(far, 100))
        await turns()
        socket.send_fds(near, [b"one"], [near.fileno()])
        near.send(b"two")
        got = await waiting
        if got == b"one":
            got += await our_loop.sock_recv(far, 100)
        assert got == b"onetwo"

    run(our_loop, main())


def test_a_reset_while_waiting(loop: Loop, tcp: Pair) -> None:
    near, far = tcp

    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv(far, 100))
        await turns()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        near.close()
        with pytest.raises(ConnectionResetError):
            await waiting
        with pytest.raises(BrokenPipeError):
            await loop.sock_sendall(far, b"x")

    run(loop, main())


# Cancellation.


def test_a_cancellation_after_the_data_came_loses_none(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        waiting = asyncio.create_task(our_loop.sock_recv(far, 10))
        await turns()
        with cancelled_when_ready(our_loop, waiting, near), pytest.raises(asyncio.CancelledError):
            await waiting
        assert await our_loop.sock_recv(far, 10) == b"x"

    run(our_loop, main())


@pytest.mark.parametrize("delay", range(6))
def test_a_cancellation_at_any_stage_loses_no_byte(our_loop: Loop, tcp: Pair, delay: int) -> None:
    near, far = tcp

    async def main() -> None:
        got = b""
        for number in range(20):
            waiting = asyncio.create_task(our_loop.sock_recv(far, 10))
            await turns(number % 3)
            near.send(bytes([number]))
            await turns(delay)
            waiting.cancel("why")
            with contextlib.suppress(asyncio.CancelledError):
                got += await waiting
        while len(got) < 20:
            got += await our_loop.sock_recv(far, 10)
        assert got == bytes(range(20))

    run(our_loop, main())


def test_a_cancelled_call_lets_the_next_one_go_on(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        first, second = (asyncio.create_task(our_loop.sock_recv(far, 10)) for _ in range(2))
        await turns()
        with cancelled_when_ready(our_loop, first, near):
            assert await second == b"x"
        assert first.cancelled()

    run(our_loop, main())


def test_the_message_of_a_cancellation(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv(pair[0], 10))
        await turns()
        waiting.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await waiting

    run(loop, main())


def test_a_timeout_during_a_large_send(loop: Loop, tcp: Pair) -> None:
    near, far = tcp

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.sock_sendall(near, bytes(64 << 20)), 0.02)
        near.close()
        while await loop.sock_recv(far, 1 << 18):
            pass

    run(loop, main())


# The life of a descriptor.


def test_a_number_that_comes_up_again(loop: Loop) -> None:
    async def main() -> None:
        numbers = set()
        for _ in range(10):
            near, far = stream()
            with near, far:
                numbers.add(far.fileno())
                waiting = asyncio.create_task(loop.sock_recv(far, 10))
                await turns()
                near.send(b"x")
                assert await waiting == b"x"
        assert len(numbers) == 1

    run(loop, main())


def test_a_number_that_comes_up_again_while_a_copy_is_open(loop: Loop) -> None:
    async def main() -> None:
        old_near, old_far = stream()
        waiting = asyncio.create_task(loop.sock_recv(old_far, 10))
        await turns()
        old_near.send(b"x")
        assert await waiting == b"x"
        number = old_far.fileno()
        copy = old_far.dup()
        old_far.close()
        near, far = stream()
        with old_near, copy, near, far:
            same, peer = (far, near) if far.fileno() == number else (near, far)
            assert same.fileno() == number
            waiting = asyncio.create_task(loop.sock_recv(same, 10))
            await turns()
            old_near.send(b"for the copy")
            await turns()
            assert not waiting.done()
            peer.send(b"new")
            assert await waiting == b"new"
            assert await loop.sock_recv(copy, 100) == b"for the copy"

    run(loop, main())


def test_two_objects_of_one_descriptor(our_loop: Loop, pair: Pair) -> None:
    near, far = pair
    other = socket.socket(fileno=far.fileno())

    async def main() -> None:
        for _ in range(5):
            readers = [asyncio.create_task(our_loop.sock_recv(sock, 1)) for sock in (far, other)]
            await turns()
            near.send(b"ab")
            assert sorted(await asyncio.gather(*readers)) == [b"a", b"b"]

    try:
        run(our_loop, main())
    finally:
        other.detach()


def test_a_detached_socket_goes_on_as_another_object(loop: Loop) -> None:
    async def main() -> None:
        near, far = stream()
        waiting = asyncio.create_task(loop.sock_recv(far, 10))
        await turns()
        near.send(b"x")
        assert await waiting == b"x"
        with near, socket.socket(fileno=far.detach()) as again:
            waiting = asyncio.create_task(loop.sock_recv(again, 10))
            await turns()
            near.send(b"y")
            assert await waiting == b"y"
            with pytest.raises(OSError, match="Bad file descriptor"):
                await loop.sock_recv(far, 10)

    run(loop, main())


def test_a_stream_that_is_closed_during_a_call(our_loop: Loop) -> None:
    async def main() -> None:
        near, far = stream()
        waiting = asyncio.create_task(our_loop.sock_recv(far, 10))
        await turns()
        far.close()
        assert far.fileno() >= 0
        near.send(b"x")
        assert await waiting == b"x"
        assert far.fileno() == -1
        near.close()

    run(our_loop, main())


def test_a_cancelled_call_closes_what_was_closed(our_loop: Loop) -> None:
    async def main() -> None:
        near, far = stream()
        waiting = asyncio.create_task(our_loop.sock_recv(far, 10))
        await turns()
        far.close()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert far.fileno() == -1
        near.close()

    run(our_loop, main())


def test_closing_the_loop_closes_what_was_closed() -> None:
    loop = soliloop.new_event_loop()
    near, far = stream()
    task = loop.create_task(loop.sock_recv(far, 10))
    turn(loop)
    far.close()
    assert far.fileno() >= 0
    loop.close()
    assert far.fileno() == -1
    near.close()
    task.get_coro().close()  # type: ignore[union-attr]
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_call_of_a_closed_loop(pair: Pair) -> None:
    loop = soliloop.new_event_loop()
    call = loop.sock_recv(pair[0], 10)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        call.send(None)


def test_a_loop_that_is_dropped_with_a_call_is_freed() -> None:
    near, far = stream()

    def leave() -> None:
        loop = soliloop.new_event_loop()
        task = loop.create_task(loop.sock_recv(far, 10))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        turn(loop)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        leave()
        gc.collect()
    far.close()
    assert far.fileno() == -1
    near.close()


def test_an_accept_whose_socket_is_closed_ends_when_the_number_is_used(our_loop: Loop) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            number = listener.fileno()
            waiting = asyncio.create_task(our_loop.sock_accept(listener))
            await turns()
        near, far = stream()
        same, peer = (near, far) if near.fileno() == number else (far, near)
        assert same.fileno() == number
        with near, far:
            reader = asyncio.create_task(our_loop.sock_recv(same, 10))
            await turns()
            peer.send(b"x")
            assert await reader == b"x"
            with pytest.raises(OSError, match="Bad file descriptor"):
                await waiting

    run(our_loop, main())


def test_a_reader_beside_a_call(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        seen: list[str] = []
        waiting = asyncio.create_task(our_loop.sock_recv(far, 1))
        await turns()
        our_loop.add_reader(far, seen.append, "ready")
        near.send(b"ab")
        assert await waiting == b"a"
        await turns(20)
        assert await our_loop.sock_recv(far, 1) == b"b"
        assert our_loop.remove_reader(far)
        assert seen
        waiting = asyncio.create_task(our_loop.sock_recv(far, 1))
        await turns()
        seen.clear()
        near.send(b"c")
        assert await waiting == b"c"
        assert not seen

    run(our_loop, main())


def test_a_reader_that_is_removed_while_a_call_waits(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        our_loop.add_reader(far, lambda: None)
        waiting = asyncio.create_task(our_loop.sock_recv(far, 1))
        await turns()
        assert our_loop.remove_reader(far)
        near.send(b"a")
        assert await waiting == b"a"

    run(our_loop, main())


def test_a_writer_beside_a_call_does_not_hide_data(our_loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def main() -> None:
        waiting = asyncio.create_task(our_loop.sock_recv(far, 1))
        await turns()
        near.send(b"a")
        our_loop.add_writer(far, lambda: None)
        assert await waiting == b"a"
        assert our_loop.remove_writer(far)
        waiting = asyncio.create_task(our_loop.sock_recv(far, 1))
        await turns()
        near.send(b"b")
        assert await waiting == b"b"

    run(our_loop, main())


def test_a_transport_on_a_socket_that_had_calls(loop: Loop) -> None:
    async def main() -> None:
        near, far = stream()
        waiting = asyncio.create_task(loop.sock_recv(far, 10))
        await turns()
        near.send(b"x")
        assert await waiting == b"x"
        reader, writer = await asyncio.open_connection(sock=far)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.sock_recv(far, 10)
        await loop.sock_sendall(near, b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        near.close()

    run(loop, main())


# Sending, receiving into.


@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, lambda data: array.array("i", data)], ids=str
)
def test_sending_every_kind_of_buffer(our_loop: Loop, tcp: Pair, make: Any) -> None:
    near, far = tcp
    payload = os.urandom(3 << 20)

    async def main() -> None:
        sender = asyncio.create_task(our_loop.sock_sendall(near, make(payload)))
        got = bytearray()
        while len(got) < len(payload):
            got += await our_loop.sock_recv(far, 1 << 16)
        assert got == payload
        await sender

    run(our_loop, main())


@pytest.mark.parametrize(
    "buffer",
    [
        bytearray(8),
        memoryview(bytearray(8)),
        memoryview(bytearray(16))[4:12],
        array.array("i", [0, 0]),
    ],
    ids=["bytearray", "memoryview", "slice", "array"],
)
def test_receiving_into_every_kind_of_buffer(loop: Loop, pair: Pair, buffer: Any) -> None:
    near, far = pair

    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv_into(far, buffer))
        await turns()
        near.send(b"abcd")
        assert await waiting == 4
        assert memoryview(buffer).cast("B")[:4] == b"abcd"
        near.send(b"ef")
        assert await loop.sock_recv_into(far, buffer) == 2
        near.close()
        assert await loop.sock_recv_into(far, buffer) == 0

    run(loop, main())


def test_a_buffer_may_change_its_size_while_the_call_waits(loop: Loop, pair: Pair) -> None:
    near, far = pair
    buffer = bytearray(2)

    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv_into(far, buffer))
        await turns()
        buffer.extend(bytes(10))
        near.send(b"abcdef")
        assert await waiting == 6

    run(loop, main())


def test_a_subclass_is_asked_by_its_methods(loop: Loop) -> None:
    class Loud(socket.socket):
        def recv(self, *args: Any) -> bytes:
            return super().recv(*args).upper()

        def send(self, data: Any, *args: Any) -> int:
            return super().send(bytes(data[:2]), *args)

    near, far = stream()

    async def main() -> None:
        with near, Loud(fileno=far.detach()) as loud:
            waiting = asyncio.create_task(loop.sock_recv(loud, 10))
            await turns()
            near.send(b"abc")
            assert await waiting == b"ABC"
            await loop.sock_sendall(loud, b"abcde")
            got = b""
            while len(got) < 5:
                got += await loop.sock_recv(near, 10)
            assert got == b"abcde"

    run(loop, main())


def test_a_blocking_socket_does_not_block_the_loop(our_loop: Loop, pair: Pair) -> None:
    near, far = pair
    far.setblocking(True)

    async def main() -> None:
        waiting = asyncio.create_task(our_loop.sock_recv(far, 10))
        await turns()
        near.send(b"x")
        assert await waiting == b"x"

    run(our_loop, main())


# Connecting.


@pytest.mark.real_time(reason="names are looked up in no time")
def test_connecting_by_name_and_its_cancellation(loop: Loop) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.setblocking(False)
            connecting = asyncio.create_task(
                loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            )
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            assert client.getpeername() == server.getsockname()

    run(loop, main())


def test_a_refused_connection_names_its_address(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()

    async def main() -> None:
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
                await loop.sock_connect(client, address)

    run(loop, main())


def test_a_unix_socket_whose_queue_is_full(our_loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "full")

    async def main() -> None:
        with contextlib.ExitStack() as opened, socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(0)
            for _ in range(10):
                client = opened.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                try:
                    await our_loop.sock_connect(client, path)
                except BlockingIOError:
                    return
        pytest.fail("the queue was never full")

    run(our_loop, main())


def test_an_accept_that_waits(loop: Loop) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            server.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(server))
            await turns()
            client.setblocking(False)
            await loop.sock_connect(client, server.getsockname())
            connection, address = await accepting
            with connection:
                assert address == client.getsockname()
                assert connection.gettimeout() == 0

    run(loop, main())


# In other surroundings.


def test_a_debugging_loop(loop: Loop, pair: Pair) -> None:
    near, far = pair
    loop.set_debug(True)

    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv(far, 10))
        await turns()
        assert "sock_recv" in repr(waiting)
        waiting.get_stack()
        near.send(b"x")
        assert await waiting == b"x"

    run(loop, main())


def test_a_nested_run_waits_for_a_call(pair: Pair) -> None:
    near, far = pair
    loop = soliloop.new_event_loop(nesting=True)

    async def main() -> bytes:
        loop.call_soon(near.send, b"x")
        return loop.run_until_complete(loop.sock_recv(far, 10))

    assert run(loop, main()) == b"x"
    loop.close()


def test_the_context_of_a_task_is_kept(our_loop: Loop, pair: Pair) -> None:
    import contextvars

    near, far = pair
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def work(number: int) -> int:
        variable.set(number)
        await our_loop.sock_recv(far, 1)
        return variable.get()

    async def main() -> None:
        tasks = [asyncio.create_task(work(number)) for number in range(3)]
        await turns()
        near.send(b"abc")
        assert await asyncio.gather(*tasks) == [0, 1, 2]

    run(our_loop, main())


def test_a_file_is_sent_after_calls(loop: Loop, tcp: Pair, tmp_path: Path) -> None:
    near, far = tcp
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2 << 20))

    async def main() -> None:
        waiting = asyncio.create_task(loop.sock_recv(near, 10))
        await turns()
        far.send(b"go")
        assert await waiting == b"go"
        with path.open("rb") as file:
            sender = asyncio.create_task(loop.sock_sendfile(near, file))
            got = bytearray()
            while len(got) < 2 << 20:
                got += await loop.sock_recv(far, 1 << 18)
            assert await sender == 2 << 20
        assert got == path.read_bytes()
        await loop.sock_sendall(near, b"after")
        assert await loop.sock_recv(far, 10) == b"after"

    run(loop, main())
