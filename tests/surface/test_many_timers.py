"""A million pending timers, and the memory of those that are cancelled."""

from __future__ import annotations

import asyncio
import gc
import random
import sys

import pytest
import soliloop
from surface_support import turn

MANY = 1_000_000
UNSWEPT = 130


def callback() -> None:
    pass


def test_cancelled_timers_are_given_back_at_once(our_loop: soliloop.EventLoop) -> None:
    handles = [our_loop.call_later(3600 + number, callback) for number in range(20_000)]
    assert our_loop._counts()[1] == 20_000
    random.Random(1).shuffle(handles)
    while handles:
        handles.pop().cancel()
        assert our_loop._counts()[1] <= 2 * len(handles) + UNSWEPT


def test_cancelled_timers_are_given_back_when_the_others_have_run(
    our_loop: soliloop.EventLoop,
) -> None:
    for _ in range(5_000):
        our_loop.call_later(0, callback)
    our_loop.call_later(1800, callback)
    for handle in [our_loop.call_later(3600, callback) for _ in range(5_000)]:
        handle.cancel()
    turn(our_loop)
    assert our_loop._counts()[1] <= 1 + UNSWEPT


def test_a_timeout_that_is_never_reached_leaves_nothing(our_loop: soliloop.EventLoop) -> None:
    async def main() -> int:
        most = 0
        for _ in range(3000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
            most = max(most, our_loop._counts()[1])
        return most

    assert our_loop.run_until_complete(main()) <= UNSWEPT


@pytest.mark.slow
def test_a_million_pending_timers(our_loop: soliloop.EventLoop) -> None:
    blocks = sys.getallocatedblocks()
    handles = [our_loop.call_later(3600 + number, callback) for number in range(MANY)]
    assert our_loop._counts()[1] == MANY
    turn(our_loop)
    assert our_loop._counts()[1] == MANY
    for handle in handles:
        handle.cancel()
    assert our_loop._counts()[1] <= UNSWEPT
    del handles, handle
    gc.collect()
    assert sys.getallocatedblocks() - blocks < MANY // 100


@pytest.mark.slow
def test_a_million_timers_run_in_order(our_loop: soliloop.EventLoop) -> None:
    seen: list[int] = []
    order = list(range(MANY))
    random.Random(1).shuffle(order)
    start = our_loop.time()
    for number in order:
        our_loop.call_at(start + number * 1e-9, seen.append, number)
    our_loop.call_at(start + MANY * 1e-9, our_loop.stop)
    our_loop.run_forever()
    # Instants are whole nanoseconds, and floats of the size of the clock's are coarser: neighbours may be equal.
    assert sorted(seen) == list(range(MANY))
    assert all(abs(number - place) < 2000 for place, number in enumerate(seen))
    assert our_loop._counts() == (0, 0, 0)
