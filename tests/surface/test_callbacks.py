"""Callbacks: the order in which they run, their arguments, their context, and taking them back."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
from surface_support import Loop, handled, turn

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")

Schedule = Callable[..., asyncio.Handle]
SCHEDULES: dict[str, Callable[[Loop], Schedule]] = {
    "call_soon": lambda loop: loop.call_soon,
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe,
    "call_later": lambda loop: lambda *args, **options: loop.call_later(0, *args, **options),
    "call_at": lambda loop: lambda *args, **options: loop.call_at(loop.time(), *args, **options),
}


@pytest.fixture(params=list(SCHEDULES))
def schedule(request: pytest.FixtureRequest, loop: Loop) -> Schedule:
    """Each of the ways to give a callback to the loop, so that it runs soon."""
    return SCHEDULES[request.param](loop)


def finish(loop: Loop) -> None:
    """Run until every timer that was due when this was called has run."""
    loop.call_later(0.001, loop.stop)
    loop.run_forever()


def test_callbacks_run_in_the_order_of_the_calls(loop: Loop, schedule: Schedule) -> None:
    seen: list[int] = []
    for number in range(100):
        schedule(seen.append, number)
    finish(loop)
    assert seen == list(range(100))


def test_what_is_called_soon_by_a_callback_runs_in_the_next_iteration(loop: Loop) -> None:
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        loop.call_soon(seen.append, "later")
        loop.call_soon(loop.stop)

    loop.call_soon(first)
    loop.call_soon(seen.append, "second")
    loop.run_forever()
    assert seen == ["first", "second", "later"]


def test_stop_lets_the_iteration_finish_and_nothing_more(loop: Loop) -> None:
    seen: list[str] = []
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: loop.call_soon(seen.append, "next"))
    loop.call_soon(seen.append, "same")
    loop.run_forever()
    assert seen == ["same"]
    turn(loop)
    assert seen == ["same", "next"]


def test_timers_run_in_the_order_of_their_times(loop: Loop) -> None:
    seen: list[float] = []
    for delay in (0.003, 0.001, 0.004, 0.002):
        loop.call_later(delay, seen.append, delay)
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert seen == [0.001, 0.002, 0.003, 0.004]


def test_timers_of_equal_time_run_in_the_order_of_their_creation(
    our_loop: soliloop.EventLoop,
) -> None:
    seen: list[int] = []
    when = our_loop.time() + 0.002
    for number in range(50):
        our_loop.call_at(when, seen.append, number)
    our_loop.call_at(when, our_loop.stop)
    our_loop.run_forever()
    assert seen == list(range(50))


def test_a_timer_never_runs_before_its_time(loop: Loop) -> None:
    early: list[float] = []

    def check(when: float) -> None:
        # asyncio's loop, too, runs what is due within its clock's resolution.
        if loop.time() < when - 1e-6:
            early.append(when)

    start = loop.time()
    for number in range(40):
        loop.call_at(start + number * 0.0001, check, start + number * 0.0001)
    loop.call_at(start + 0.005, loop.stop)
    loop.run_forever()
    assert early == []


def test_a_time_in_the_past_runs_in_the_next_iteration(loop: Loop) -> None:
    seen: list[str] = []
    loop.call_at(loop.time() - 100, seen.append, "past")
    loop.call_at(0, seen.append, "origin")
    turn(loop)
    assert sorted(seen) == ["origin", "past"]


def test_arguments_are_passed_by_position(loop: Loop, schedule: Schedule) -> None:
    seen: list[tuple[Any, ...]] = []
    schedule(lambda *args: seen.append(args))
    schedule(lambda *args: seen.append(args), 1, None, "three")
    finish(loop)
    assert seen == [(), (1, None, "three")]


def test_keyword_arguments_are_refused(schedule: Schedule) -> None:
    with pytest.raises(TypeError):
        schedule(print, flush=True)


def test_a_cancelled_callback_does_not_run(loop: Loop, schedule: Schedule) -> None:
    seen: list[str] = []
    handle = schedule(seen.append, "cancelled")
    schedule(seen.append, "kept")
    assert not handle.cancelled()
    handle.cancel()
    assert handle.cancelled()
    handle.cancel()
    finish(loop)
    assert seen == ["kept"]


def test_a_callback_can_cancel_another_one_of_its_batch(loop: Loop) -> None:
    seen: list[str] = []

    def cancel() -> None:
        handle.cancel()

    loop.call_soon(cancel)
    handle = loop.call_soon(seen.append, "cancelled")
    timer = loop.call_later(0, seen.append, "cancelled as well")
    loop.call_soon(timer.cancel)
    finish(loop)
    assert seen == []


def test_cancelling_after_the_run_changes_nothing(loop: Loop, schedule: Schedule) -> None:
    seen: list[str] = []
    handle = schedule(seen.append, "ran")
    finish(loop)
    handle.cancel()
    finish(loop)
    assert seen == ["ran"]


def test_a_handle_that_is_used_again_is_not_the_one_that_was_held(loop: Loop) -> None:
    seen: list[int] = []
    held = loop.call_soon(seen.append, 0)
    turn(loop)
    for number in range(1, 10):
        loop.call_soon(seen.append, number)
    held.cancel()
    turn(loop)
    assert seen == list(range(10))


def test_a_callback_sees_the_variables_of_its_creation(loop: Loop, schedule: Schedule) -> None:
    seen: list[str] = []

    def create() -> None:
        VARIABLE.set("at creation")
        schedule(lambda: seen.append(VARIABLE.get()))
        VARIABLE.set("afterwards")

    contextvars.Context().run(create)
    finish(loop)
    assert seen == ["at creation"]


def test_what_a_callback_changes_no_other_one_sees(loop: Loop, schedule: Schedule) -> None:
    seen: list[str] = []

    def change(value: str) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set(value)

    schedule(change, "first")
    schedule(change, "second")
    schedule(change, "third")
    finish(loop)
    assert seen == ["unset"] * 3
    assert VARIABLE.get() == "unset"


def test_a_context_that_is_given_is_used_itself(loop: Loop, schedule: Schedule) -> None:
    context = contextvars.Context()
    context.run(VARIABLE.set, "given")
    seen: list[str] = []

    def change() -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("changed")

    schedule(change, context=context)
    schedule(change, context=context)
    finish(loop)
    assert seen == ["given", "changed"]
    assert context[VARIABLE] == "changed"


def test_a_callback_created_by_a_callback_inherits_its_variables(loop: Loop) -> None:
    seen: list[str] = []

    def outer() -> None:
        VARIABLE.set("outer")
        loop.call_soon(lambda: seen.append(VARIABLE.get()))
        VARIABLE.reset(VARIABLE.set("short"))
        loop.call_soon(lambda: seen.append(VARIABLE.get()))

    loop.call_soon(outer)
    loop.call_soon(lambda: seen.append(VARIABLE.get()))
    finish(loop)
    assert seen == ["unset", "outer", "outer"]


def test_what_is_no_context_is_reported_or_refused(loop: Loop) -> None:
    with handled(loop) as contexts:
        try:
            loop.call_soon(print, context="no context")  # type: ignore[arg-type]
        except TypeError:
            return
        turn_errors: list[BaseException] = []
        try:
            turn(loop)
        except BaseException as error:
            turn_errors.append(error)
    assert contexts or turn_errors


def test_a_callback_that_fails_does_not_keep_the_others_from_running(
    loop: Loop, schedule: Schedule
) -> None:
    seen: list[str] = []
    with handled(loop) as contexts:
        schedule(seen.append, "before")
        schedule(lambda: 1 / 0)
        schedule(seen.append, "after")
        finish(loop)
    assert seen == ["before", "after"]
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
    assert "Exception in callback" in contexts[0]["message"]


def test_what_cannot_be_called_is_reported_when_its_turn_comes(loop: Loop) -> None:
    with handled(loop) as contexts:
        loop.call_soon(None)  # type: ignore[arg-type]
        turn(loop)
    assert [type(context["exception"]) for context in contexts] == [TypeError]


def test_time_never_goes_back(loop: Loop) -> None:
    times = [loop.time() for _ in range(1000)]
    assert times == sorted(times)
    assert all(isinstance(time, float) for time in times)
