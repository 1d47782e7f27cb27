"""Nobody is starved: not events by callbacks, not timers by events, not threads and signals by either.

Bounds are numbers of callbacks, never times: an endless chain that goes round too often has starved what it waits for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

import pytest
from surface_support import Loop, Pair

ROUNDS = 3_000_000


class Chain:
    """A callback that calls itself for ever, by whatever way it is given."""

    def __init__(self, loop: Loop, again: Callable[[Callable[[], None]], object]) -> None:
        self.loop = loop
        self.again = again
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == ROUNDS:
            self.loop.stop()
        else:
            self.again(self)


AGAIN: dict[str, Callable[[Loop], Callable[[Callable[[], None]], object]]] = {
    "call_soon": lambda loop: loop.call_soon,
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe,
    "call_later": lambda loop: lambda callback: loop.call_later(0, callback),
    "call_at": lambda loop: lambda callback: loop.call_at(0, callback),
}


@pytest.fixture(params=list(AGAIN))
def chain(request: pytest.FixtureRequest, loop: Loop) -> Chain:
    chain = Chain(loop, AGAIN[request.param](loop))
    loop.call_soon(chain)
    return chain


def test_a_chain_does_not_starve_a_descriptor(loop: Loop, chain: Chain, pair: Pair) -> None:
    near, far = pair
    answers = 0

    def answer() -> None:
        nonlocal answers
        near.recv(10)
        answers += 1
        if answers == 20:
            loop.stop()
        else:
            far.send(b"x")

    loop.add_reader(near, answer)
    far.send(b"x")
    loop.run_forever()
    assert answers == 20
    loop.remove_reader(near)


def test_a_chain_does_not_starve_a_timer(loop: Loop, chain: Chain) -> None:
    seen: list[int] = []
    for number in range(20):
        loop.call_later(number * 0.0001, seen.append, number)
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    assert seen == list(range(20))
    assert chain.count < ROUNDS


def test_a_chain_does_not_starve_other_threads(loop: Loop, chain: Chain) -> None:
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
    thread.start()
    loop.run_forever()
    thread.join()
    assert chain.count < ROUNDS


def test_a_chain_does_not_starve_a_conversation_with_another_thread(
    loop: Loop, chain: Chain
) -> None:
    def converse() -> None:
        answered = threading.Event()
        for _ in range(400):
            answered.clear()
            loop.call_soon_threadsafe(answered.set)
            answered.wait()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=converse, daemon=True)
    thread.start()
    loop.run_forever()
    assert chain.count < ROUNDS
    thread.join()


def test_a_chain_does_not_starve_signals(loop: Loop, chain: Chain) -> None:
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert chain.count < ROUNDS
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_chain_does_not_starve_another_chain(loop: Loop, chain: Chain) -> None:
    other = Chain(loop, loop.call_soon)
    loop.call_soon(other)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    # A timer may wait for the next reading of the clock, which short turns share.
    assert min(other.count, chain.count) * 20 >= max(other.count, chain.count)


def test_a_task_that_only_yields_starves_nothing(loop: Loop, pair: Pair) -> None:
    near, far = pair

    async def spin() -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    async def main() -> None:
        spinning = asyncio.create_task(spin())
        for _ in range(10):
            await loop.sock_sendall(far, b"x")
            assert await loop.sock_recv(near, 10) == b"x"
            await asyncio.sleep(0.0001)
            await asyncio.to_thread(int)
        assert not spinning.done()
        spinning.cancel()

    loop.run_until_complete(main())


def test_a_descriptor_that_is_always_ready_starves_nothing(loop: Loop, pair: Pair) -> None:
    near, far = pair
    far.send(b"never read")
    events = 0

    def read() -> None:
        nonlocal events
        events += 1
        if events == ROUNDS:
            loop.stop()

    seen: list[str] = []
    loop.add_reader(near, read)
    loop.add_writer(near, int)
    loop.call_later(0.001, seen.append, "timer")
    loop.call_later(0.002, loop.call_soon, loop.stop)
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen.append, "thread"))
    thread.start()
    loop.run_forever()
    thread.join()
    assert sorted(seen) == ["thread", "timer"]
    assert 0 < events < ROUNDS
    loop.remove_reader(near)
    loop.remove_writer(near)
