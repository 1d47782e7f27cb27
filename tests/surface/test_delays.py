"""Delays that nobody should give: huge, negative, not a number, no number at all."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal

import pytest
import soliloop
from surface_support import Loop, run, turn

HUGE = [1e10, 1e18, 1e300, math.inf, 2**63, 2.0**64]


@pytest.mark.parametrize("delay", HUGE)
def test_a_huge_delay_is_pending_for_good(loop: Loop, delay: float) -> None:
    seen: list[str] = []
    later = loop.call_later(delay, seen.append, "later")
    at = loop.call_at(delay, seen.append, "at")
    turn(loop)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert seen == []
    assert later.when() >= delay
    assert at.when() == delay


@pytest.mark.parametrize("delay", HUGE)
def test_a_huge_delay_can_be_cancelled(our_loop: soliloop.EventLoop, delay: float) -> None:
    our_loop.call_later(delay, print).cancel()
    our_loop.call_at(delay, print).cancel()
    turn(our_loop)
    assert our_loop._counts() == (0, 0, 0)


@pytest.mark.parametrize("delay", [-0.0, -1e-9, -1, -1e10, -1e300, -math.inf])
def test_a_negative_delay_runs_in_the_next_iteration(loop: Loop, delay: float) -> None:
    seen: list[str] = []
    loop.call_later(delay, seen.append, "later")
    loop.call_at(delay, seen.append, "at")
    turn(loop)
    assert sorted(seen) == ["at", "later"]


def test_a_sleep_that_is_not_positive_gives_up_one_iteration(loop: Loop) -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop.call_soon(seen.append, "other")
        await asyncio.sleep(-1)
        return seen

    assert run(loop, main()) == ["other"]


def test_a_time_that_is_not_a_number_is_refused(our_loop: soliloop.EventLoop) -> None:
    for call in (our_loop.call_later, our_loop.call_at):
        with pytest.raises(ValueError, match="NaN"):
            call(math.nan, print)
    assert our_loop._counts() == (0, 0, 0)


@pytest.mark.parametrize("time", [None, "1", object(), [1]])
def test_what_is_no_time_is_a_type_error(loop: Loop, time: object) -> None:
    with pytest.raises(TypeError):
        loop.call_later(time, print)  # type: ignore[arg-type]
    if time is None:
        with pytest.raises(TypeError):
            loop.call_at(time, print)  # type: ignore[arg-type]


def test_a_time_may_be_any_real_number(our_loop: soliloop.EventLoop) -> None:
    class Float:
        def __float__(self) -> float:
            return 2.5

    times = [True, 2, 2.5, Decimal("2.5"), Float()]
    handles = [our_loop.call_at(time, print) for time in times]  # type: ignore[arg-type]
    assert [handle.when() for handle in handles] == [1, 2, 2.5, 2.5, 2.5]


def test_a_number_too_large_for_a_float_is_an_overflow(our_loop: soliloop.EventLoop) -> None:
    for call in (our_loop.call_later, our_loop.call_at):
        with pytest.raises(OverflowError):
            call(10**400, print)


def test_an_error_of_the_number_itself_gets_through(our_loop: soliloop.EventLoop) -> None:
    class Broken:
        def __float__(self) -> float:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        our_loop.call_later(Broken(), print)  # type: ignore[arg-type]
