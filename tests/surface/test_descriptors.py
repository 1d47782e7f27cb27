"""add_reader and add_writer: registering, replacing, removing, and descriptors that can't or don't any more exist."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import soliloop
from surface_support import Loop, Pair, Script, handled, run, turn


def settle(loop: Loop) -> None:
    """Let the loop see every event that is there."""
    loop.run_until_complete(asyncio.sleep(0.001))


def test_a_reader_is_called_while_there_is_something_to_read(loop: Loop, pair: Pair) -> None:
    near, far = pair
    seen: list[bytes] = []
    loop.add_reader(near, lambda size: seen.append(near.recv(size)), 2)
    settle(loop)
    assert seen == []
    far.send(b"abc")
    settle(loop)
    assert seen == [b"ab", b"c"]
    assert loop.remove_reader(near)


def test_a_reader_is_called_at_the_end_of_the_stream(loop: Loop, pair: Pair) -> None:
    near, far = pair
    seen: list[bytes] = []

    def read() -> None:
        seen.append(near.recv(10))
        loop.remove_reader(near)

    loop.add_reader(near, read)
    far.close()
    settle(loop)
    assert seen == [b""]


def test_a_writer_is_called_while_there_is_room(loop: Loop, pair: Pair) -> None:
    near, _far = pair
    calls: list[str] = []
    loop.add_writer(near, calls.append, "room")
    settle(loop)
    assert calls
    assert loop.remove_writer(near)
    before = len(calls)
    settle(loop)
    assert len(calls) == before


def test_a_new_callback_replaces_the_old_one(loop: Loop, pair: Pair) -> None:
    near, far = pair
    seen: list[str] = []

    def read(name: str) -> None:
        seen.append(name)
        near.recv(1)

    loop.add_reader(near, read, "old")
    loop.add_reader(near, read, "new")
    far.send(b"x")
    settle(loop)
    assert seen == ["new"]
    assert loop.remove_reader(near)
    assert not loop.remove_reader(near)


def test_reader_and_writer_of_a_descriptor_are_two(loop: Loop, pair: Pair) -> None:
    near, far = pair
    read: list[bytes] = []
    written: list[str] = []
    loop.add_reader(near, lambda: read.append(near.recv(10)))
    loop.add_writer(near, written.append, "room")
    far.send(b"x")
    settle(loop)
    assert read == [b"x"]
    assert written
    assert loop.remove_writer(near)
    written.clear()
    far.send(b"y")
    settle(loop)
    assert read == [b"x", b"y"]
    assert written == []
    loop.add_writer(near, written.append, "room")
    assert loop.remove_reader(near)
    far.send(b"z")
    settle(loop)
    assert read == [b"x", b"y"]
    assert written
    assert loop.remove_writer(near)


def test_removing_what_was_never_added_says_so(loop: Loop, pair: Pair) -> None:
    near, _far = pair
    assert loop.remove_reader(near) is False
    assert loop.remove_writer(near) is False
    loop.add_reader(near, print)
    assert loop.remove_writer(near) is False
    assert loop.remove_reader(near) is True
    assert loop.remove_reader(5000) is False


def test_descriptors_come_as_numbers_and_as_objects(loop: Loop, pair: Pair) -> None:
    class File:
        def fileno(self) -> int:
            return near.fileno()

    near, far = pair
    seen: list[bytes] = []
    loop.add_reader(near.fileno(), lambda: seen.append(near.recv(10)))
    far.send(b"1")
    settle(loop)
    assert loop.remove_reader(File())
    loop.add_reader(File(), lambda: seen.append(near.recv(10)))
    far.send(b"2")
    settle(loop)
    assert loop.remove_reader(near)
    assert seen == [b"1", b"2"]


def test_removing_in_the_callback(loop: Loop, pair: Pair) -> None:
    near, far = pair
    calls: list[bool] = []
    loop.add_reader(near, lambda: calls.append(loop.remove_reader(near)))
    far.send(b"never read")
    settle(loop)
    assert calls == [True]


def test_an_event_of_a_removed_reader_does_not_call_it(loop: Loop) -> None:
    """Two descriptors are ready in one wait; the first callback removes the other."""
    pairs = [socket.socketpair() for _ in range(2)]
    calls: list[int] = []

    def read(number: int) -> None:
        calls.append(number)
        for near, _ in pairs:
            loop.remove_reader(near)

    for number, (near, far) in enumerate(pairs):
        loop.add_reader(near, read, number)
        far.send(b"x")
    settle(loop)
    assert len(calls) == 1
    for near, far in pairs:
        near.close()
        far.close()


def test_a_reader_that_fails_is_reported_and_stays(loop: Loop, pair: Pair) -> None:
    near, far = pair
    calls = 0

    def read() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            near.recv(10)
        raise ValueError(calls)

    with handled(loop) as contexts:
        loop.add_reader(near, read)
        far.send(b"x")
        settle(loop)
    assert [str(context["exception"]) for context in contexts] == ["1", "2"]
    assert loop.remove_reader(near)


def test_a_number_that_was_closed_and_comes_again_is_a_new_descriptor(
    our_loop: soliloop.EventLoop,
) -> None:
    """Closing without removing is a mistake, but not one that may hit the next owner of the number."""
    seen: list[str] = []
    near, far = socket.socketpair()
    number = near.fileno()
    our_loop.add_reader(number, seen.append, "old")
    our_loop.add_writer(number, seen.append, "old")
    near.close()
    far.close()
    near, far = socket.socketpair()
    if near.fileno() != number:
        os.dup2(near.fileno(), number)
        near.close()
        near = socket.socket(fileno=number)

    def read() -> None:
        seen.append("new")
        near.recv(10)

    our_loop.add_reader(number, read)
    assert our_loop.remove_writer(number)
    far.send(b"x")
    settle(our_loop)
    assert seen == ["new"]
    assert our_loop.remove_reader(number)
    near.close()
    far.close()


def test_closed_numbers_come_again_many_times(our_loop: soliloop.EventLoop) -> None:
    seen: list[int] = []

    def read(number: int, sock: socket.socket) -> None:
        sock.recv(10)
        seen.append(number)

    for number in range(200):
        near, far = socket.socketpair()
        our_loop.add_reader(near, read, number, near)
        far.send(b"x")
        settle(our_loop)
        near.close()
        far.close()
    assert seen == list(range(200))


def test_a_descriptor_that_was_closed_can_be_removed(our_loop: soliloop.EventLoop) -> None:
    near, far = socket.socketpair()
    number = near.fileno()
    our_loop.add_reader(number, print)
    near.close()
    far.close()
    turn(our_loop)
    assert our_loop.remove_reader(number)
    assert not our_loop.remove_reader(number)


@pytest.mark.parametrize("number", [-1, -5, -(2**31)])
def test_a_negative_number_is_refused(loop: Loop, number: int) -> None:
    with pytest.raises((ValueError, OSError)):
        loop.add_reader(number, print)
    with pytest.raises((ValueError, OSError)):
        loop.add_writer(number, print)


@pytest.mark.parametrize("number", [900, 900_000])
def test_a_number_that_is_not_open_is_an_error_of_the_system(loop: Loop, number: int) -> None:
    for add in (loop.add_reader, loop.add_writer):
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            add(number, print)
        assert caught.value.errno == errno.EBADF
    assert not loop.remove_reader(number)


def test_the_greatest_number_is_no_reason_to_die(script: Script, factory_text: str) -> None:
    """In a process of its own: a table with a place for every number would take 32 GiB."""
    text = script(
        """
        import sys
        loop = (FACTORY)()
        for add in (loop.add_reader, loop.add_writer):
            for number in (2**31 - 1, 2**30, 2**27):
                try:
                    add(number, print)
                except OSError as error:
                    print(type(error).__name__)
        loop.close()
        """,
        factory=factory_text,
    )
    assert text.split() == ["OSError"] * 6


@pytest.mark.parametrize("thing", [None, "1", 1.5, object(), b"", 2**40])
def test_what_is_no_descriptor_is_refused(loop: Loop, thing: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError, OSError)):
        loop.add_reader(thing, print)


def test_a_closed_socket_is_refused(loop: Loop) -> None:
    closed = socket.socket()
    closed.close()
    with pytest.raises(ValueError):
        loop.add_reader(closed, print)


def test_a_regular_file_is_refused(loop: Loop, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(PermissionError):
            loop.add_writer(file, print)
        with pytest.raises(PermissionError) as caught:
            loop.add_reader(file.fileno(), print)
        assert caught.value.errno == errno.EPERM
        assert not loop.remove_reader(file)


def test_a_refused_registration_leaves_nothing(our_loop: soliloop.EventLoop) -> None:
    with pytest.raises(OSError):
        our_loop.add_reader(900, print)
    assert our_loop._watched(900) == (False, False)
    # The number may become a descriptor later.
    near, far = socket.socketpair()
    os.dup2(near.fileno(), 900)
    near.close()
    seen: list[str] = []
    our_loop.add_reader(900, lambda: seen.append(os.read(900, 10).decode()))
    far.send(b"x")
    settle(our_loop)
    assert our_loop.remove_reader(900)
    os.close(900)
    far.close()
    assert seen == ["x"]


def test_the_descriptor_of_a_transport_is_the_transports_own(loop: Loop, pair: Pair) -> None:
    near, _far = pair

    async def main() -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.add_reader(near.fileno(), print)
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.remove_writer(near.fileno())
        transport.close()
        await asyncio.sleep(0)

    run(loop, main())


def test_variables_of_a_reader_are_those_of_its_registration(loop: Loop, pair: Pair) -> None:
    near, far = pair
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def read() -> None:
        near.recv(1)
        seen.append(variable.get())

    def register() -> None:
        variable.set("registered")
        loop.add_reader(near, read)

    contextvars.copy_context().run(register)
    far.send(b"xy")
    settle(loop)
    assert seen == ["registered"] * 2
    loop.remove_reader(near)


def test_more_descriptors_than_one_wait_brings(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(400)]
    seen: set[int] = set()

    def read(number: int) -> None:
        seen.add(number)
        pairs[number][0].recv(10)

    for number, (near, far) in enumerate(pairs):
        loop.add_reader(near, read, number)
        far.send(b"x")
    settle(loop)
    assert seen == set(range(400))
    for near, far in pairs:
        loop.remove_reader(near)
        near.close()
        far.close()
