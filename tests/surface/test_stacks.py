"""The cycle runs on a stack of its own: nobody who runs a loop may notice."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

import greenlet
import pytest
import soliloop
from surface_support import Factory, Loop, handled, open_descriptors, turn


async def value(result: int = 0) -> int:
    await asyncio.sleep(0)
    return result


def in_thread(function: Any, *args: Any) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    thread.join()
    (result,) = results
    return result


def test_a_loop_may_run_in_one_thread_after_the_other(loop: Loop) -> None:
    for number in range(5):
        assert loop.run_until_complete(value(number)) == number
        assert in_thread(loop.run_until_complete, value(number)) == number


def test_a_loop_outlives_the_thread_that_ran_it(factory: Factory) -> None:
    def run() -> Loop:
        loop = factory()
        loop.run_until_complete(value())
        return loop

    gc.collect()
    descriptors = open_descriptors()
    loops = [in_thread(run) for _ in range(10)]
    references = [weakref.ref(loop) for loop in loops]
    for loop in loops:
        assert loop.run_until_complete(value(1)) == 1
        loop.close()
    del loop
    loops.clear()
    gc.collect()
    assert not any(reference() for reference in references)
    assert open_descriptors() == descriptors


def test_a_loop_may_run_in_a_greenlet(loop: Loop) -> None:
    stack = greenlet.greenlet(lambda: loop.run_until_complete(value(1)))
    assert stack.switch() == 1
    assert loop.run_until_complete(value(2)) == 2


def test_a_loop_may_run_in_a_generator(loop: Loop) -> None:
    def numbers() -> Iterator[int]:
        for number in range(3):
            yield loop.run_until_complete(value(number))

    assert list(numbers()) == [0, 1, 2]


@pytest.mark.parametrize("function", ["settrace", "setprofile"])
def test_tracers_and_profilers_see_what_runs(loop: Loop, function: str) -> None:
    calls: list[str] = []

    def trace(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    before = getattr(sys, function.replace("set", "get"))()
    getattr(sys, function)(trace)
    try:
        loop.run_until_complete(value())
    finally:
        getattr(sys, function)(before)
    assert calls.count("value") == 2


def test_an_error_knows_the_one_that_was_being_handled(loop: Loop) -> None:
    async def fail() -> None:
        raise LookupError

    outer = ValueError()
    with pytest.raises(LookupError) as caught:
        try:
            raise outer
        except ValueError:
            loop.run_until_complete(fail())
    assert caught.value.__context__ is outer


def test_odd_errors_are_callbacks_errors(loop: Loop) -> None:
    def fail(error: BaseException) -> None:
        raise error

    with handled(loop) as contexts:
        for error in (StopIteration(1), greenlet.GreenletExit(), GeneratorExit()):
            loop.call_soon(fail, error)
        turn(loop)
    kinds = [type(context["exception"]) for context in contexts]
    assert kinds == [StopIteration, greenlet.GreenletExit, GeneratorExit]


def test_no_stack_is_left_behind(our_loop: soliloop.EventLoop) -> None:
    def stacks() -> int:
        gc.collect()
        return sum(isinstance(thing, greenlet.greenlet) for thing in gc.get_objects())

    our_loop.run_until_complete(value())
    before = stacks()
    for _ in range(100):
        our_loop.run_until_complete(value())
    assert stacks() <= before
