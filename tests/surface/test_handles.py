"""Handles: what they print, what they tell, and that they hold nothing once they have run or were cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable

import pytest
import soliloop
from surface_support import Loop, handled, turn


class Thing:
    """Something that can be referred to weakly."""

    def method(self, *_: object) -> None:
        pass


def callback(*_: object) -> None:
    pass


Schedule = Callable[[Loop, Callable[..., object], object], asyncio.Handle]
SCHEDULES: dict[str, Schedule] = {
    "call_soon": lambda loop, function, arg: loop.call_soon(function, arg),
    "call_later": lambda loop, function, arg: loop.call_later(0, function, arg),
    "call_at": lambda loop, function, arg: loop.call_at(0, function, arg),
    "call_soon_threadsafe": lambda loop, function, arg: loop.call_soon_threadsafe(function, arg),
}


@pytest.fixture(params=list(SCHEDULES))
def schedule(request: pytest.FixtureRequest) -> Schedule:
    return SCHEDULES[request.param]


def test_a_pending_handle_names_its_callback_and_where_it_is_defined(loop: Loop) -> None:
    text = repr(loop.call_soon(callback, 1, "two"))
    assert text.startswith("<Handle callback(")
    assert __file__.rpartition("/")[2] in text


def test_a_pending_timer_tells_its_time(loop: Loop) -> None:
    handle = loop.call_at(12.5, callback)
    assert handle.when() == 12.5
    assert repr(handle).startswith("<TimerHandle when=12.5 callback(")


@pytest.mark.parametrize("delay", [0, 1, 1.5, 1000])
def test_the_time_of_a_timer_is_its_delay_from_now(loop: Loop, delay: float) -> None:
    before = loop.time()
    handle = loop.call_later(delay, callback)
    assert before + delay <= handle.when() <= loop.time() + delay


def test_a_cancelled_handle_says_so(loop: Loop) -> None:
    handle = loop.call_soon(callback)
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"
    timer = loop.call_at(12.5, callback)
    timer.cancel()
    assert repr(timer) == "<TimerHandle cancelled when=12.5>"


def test_a_handle_in_debug_mode_tells_where_it_was_created(loop: Loop) -> None:
    loop.set_debug(True)
    for handle in (loop.call_soon(callback), loop.call_later(0, callback)):
        assert " created at " in repr(handle)
        assert __file__.rpartition("/")[2] in repr(handle).rpartition(" created at ")[2]


def test_handles_are_instances_of_the_classes_that_soliloop_shows(
    our_loop: soliloop.EventLoop,
) -> None:
    assert type(our_loop.call_soon(callback)) is soliloop.Handle
    timer = our_loop.call_later(0, callback)
    assert type(timer) is soliloop.TimerHandle
    assert isinstance(timer, soliloop.Handle)


def test_a_handle_gives_its_context(our_loop: soliloop.EventLoop) -> None:
    context = contextvars.Context()
    assert our_loop.call_soon(callback, context=context).get_context() is context
    variable = contextvars.ContextVar[int]("variable")

    def create() -> None:
        variable.set(1)
        handle = our_loop.call_soon(callback)
        variable.set(2)
        own = handle.get_context()
        assert own is not None
        assert own[variable] == 1
        assert handle.get_context() is own

    contextvars.copy_context().run(create)


def test_what_is_set_in_the_context_of_a_handle_its_callback_sees(
    our_loop: soliloop.EventLoop,
) -> None:
    variable = contextvars.ContextVar[str]("variable", default="unset")
    seen: list[str] = []
    context = our_loop.call_soon(lambda: seen.append(variable.get())).get_context()
    assert context is not None
    context.run(variable.set, "set from outside")
    turn(our_loop)
    assert seen == ["set from outside"]


def test_a_handle_that_has_run_holds_nothing(
    our_loop: soliloop.EventLoop, schedule: Schedule
) -> None:
    thing, argument = Thing(), Thing()
    things = [weakref.ref(thing), weakref.ref(argument)]
    handle = schedule(our_loop, thing.method, argument)
    del thing, argument
    assert all(reference() is not None for reference in things)
    turn(our_loop)
    assert [reference() for reference in things] == [None, None]
    assert repr(handle)


def test_a_handle_that_was_cancelled_holds_nothing(loop: Loop, schedule: Schedule) -> None:
    thing, argument = Thing(), Thing()
    things = [weakref.ref(thing), weakref.ref(argument)]
    handle = schedule(loop, thing.method, argument)
    del thing, argument
    handle.cancel()
    assert [reference() for reference in things] == [None, None]


def test_a_handle_that_has_failed_holds_nothing_once_it_is_reported(
    our_loop: soliloop.EventLoop, schedule: Schedule
) -> None:
    class Failing(Thing):
        def method(self, *_: object) -> None:
            raise ValueError

    thing = Failing()
    reference = weakref.ref(thing)
    with handled(our_loop) as contexts:
        schedule(our_loop, thing.method, None)
        del thing
        turn(our_loop)
        assert len(contexts) == 1
        contexts.clear()
    gc.collect()  # the error's traceback
    assert reference() is None


def test_a_callback_whose_end_gives_it_back_to_the_loop_is_no_trouble(loop: Loop) -> None:
    """Letting go of a callback may run code that uses the loop."""
    seen: list[str] = []

    class Returning(Thing):
        def __del__(self) -> None:
            loop.call_soon(seen.append, "from the end")

    loop.call_soon(Returning().method)
    loop.call_later(0, Returning().method)
    loop.call_soon(Returning().method).cancel()
    loop.call_later(9, Returning().method).cancel()
    turn(loop)
    turn(loop)
    assert seen == ["from the end"] * 4


def test_cancelling_from_inside_the_callback_is_no_trouble(loop: Loop) -> None:
    seen: list[str] = []

    def run() -> None:
        handle.cancel()
        seen.append("ran")

    handle = loop.call_soon(run)
    turn(loop)
    assert seen == ["ran"]
    assert handle.cancelled()


def test_a_handle_can_be_referred_to_weakly_hashed_and_compared(loop: Loop) -> None:
    first, second = loop.call_later(1, callback), loop.call_later(2, callback)
    assert len({first, second, first}) == 2
    assert first == first
    assert first != second
    assert weakref.ref(first)() is first


@pytest.mark.parametrize("count", [1, 200])
def test_a_weak_reference_whose_callback_uses_the_loop(loop: Loop, count: int) -> None:
    """The loop drops the last reference to a cancelled timer, one by one or in a sweep."""
    ran: list[int] = []

    def dropped(_: object) -> None:
        loop.call_soon(ran.append, 1)

    handles = [loop.call_later(0.001, callback) for _ in range(count)]
    references = [weakref.ref(handle, dropped) for handle in handles]
    for handle in handles:
        handle.cancel()
    del handle, handles
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    turn(loop)
    assert ran == [1] * count
    assert not any(reference() for reference in references)


def test_a_weak_reference_whose_callback_gives_the_lock_away(
    our_loop: soliloop.EventLoop,
) -> None:
    """Other threads may use the loop meanwhile."""
    inside = threading.Event()
    errors: list[BaseException] = []

    def dropped(_: object) -> None:
        inside.set()
        helper.join(30)

    def work() -> None:
        inside.wait(30)
        try:
            our_loop.call_soon_threadsafe(our_loop.stop)
        except BaseException as error:
            errors.append(error)

    handle = our_loop.call_later(0.001, callback)
    reference = weakref.ref(handle, dropped)
    handle.cancel()
    del handle
    helper = threading.Thread(target=work)
    helper.start()
    our_loop.call_later(30, our_loop.stop)
    our_loop.run_forever()
    assert reference() is None
    assert inside.is_set() and errors == []


def test_weak_references_to_timers_that_another_thread_cancels(
    our_loop: soliloop.EventLoop,
) -> None:
    """The handles are dropped in a sweep there or by the loop here; both threads use the loop meanwhile."""
    ran: list[int] = []

    def dropped(_: object) -> None:
        our_loop.call_soon_threadsafe(ran.append, 1)
        time.sleep(0)

    def tick() -> None:
        our_loop.call_later(0.0001, tick)

    def cancel_all() -> None:
        while handles:
            handles.pop().cancel()
        our_loop.call_soon_threadsafe(our_loop.stop)

    handles = [our_loop.call_later(3600, callback) for _ in range(500)]
    references = [weakref.ref(handle, dropped) for handle in handles]
    helper = threading.Thread(target=cancel_all)
    our_loop.call_soon(helper.start)
    tick()
    our_loop.run_forever()
    helper.join()
    turn(our_loop)
    dead = sum(reference() is None for reference in references)
    assert len(ran) == dead >= 250


def test_a_weak_reference_to_the_last_timer_whose_callback_stops_the_loop(
    our_loop: soliloop.EventLoop,
) -> None:
    handle = our_loop.call_later(0.001, callback)
    reference = weakref.ref(handle, lambda _: our_loop.call_soon_threadsafe(our_loop.stop))
    handle.cancel()
    del handle
    our_loop.run_forever()
    assert reference() is None


def test_a_used_handle_with_a_weak_reference_is_not_used_again(
    our_loop: soliloop.EventLoop,
) -> None:
    handles = [our_loop.call_soon(callback) for _ in range(10)]
    died: list[object] = []
    references = [weakref.ref(handle, died.append) for handle in handles]
    del handles
    turn(our_loop)
    our_loop.call_soon(callback)
    turn(our_loop)
    assert len(died) == 10
    assert not any(reference() for reference in references)


@pytest.mark.parametrize("args", [(), (1,), ((1, 2),), ((),), (None,), (1, 2), (1, 2, 3)], ids=repr)
def test_a_callback_gets_the_arguments_as_they_were(loop: Loop, args: tuple[object, ...]) -> None:
    seen: list[tuple[object, ...]] = []

    def note(*args: object) -> None:
        seen.append(args)

    context = contextvars.copy_context()
    handles = [
        loop.call_soon(note, *args),
        loop.call_soon(note, *args, context=context),
        loop.call_later(0, note, *args),
        loop.call_at(0, note, *args),
        loop.call_soon_threadsafe(note, *args),
    ]
    assert [handle._args for handle in handles] == [args] * 5
    turn(loop)
    turn(loop)
    assert seen == [args] * 5


def test_the_handle_of_a_sleep_tells_its_arguments(loop: Loop) -> None:
    function = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]
    for result in (None, 5, (1, 2)):
        future, cancelled = loop.create_future(), loop.create_future()
        handle = loop.call_later(0, function, future, result)
        loop.call_later(0, function, cancelled, result)
        assert handle._args == (future, result)
        assert "_set_result_unless_cancelled(" in repr(handle)
        cancelled.cancel()
        assert loop.run_until_complete(future) == result
        assert cancelled.cancelled()


def test_parameters_can_be_given_by_name(loop: Loop) -> None:
    schedule: Callable[..., asyncio.Handle]
    for schedule, when in (
        (loop.call_soon, {}),
        (loop.call_soon_threadsafe, {}),
        (loop.call_later, {"delay": 5}),
        (loop.call_at, {"when": 5}),
    ):
        name = schedule.__name__
        handle = schedule(**when, callback=callback, context=None)
        assert (handle._callback, handle._args) == (callback, ())  # type: ignore[attr-defined]
        handle.cancel()
        with pytest.raises(TypeError, match=rf"{name}\(\) missing .*'callback'"):
            schedule(**when)
        with pytest.raises(
            TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'nme'"
        ):
            schedule(**when, callback=callback, nme=1)
        with pytest.raises(TypeError, match=rf"{name}\(\) got multiple values for argument"):
            schedule(*when.values(), callback, callback=callback)
