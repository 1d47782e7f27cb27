"""Misuse: each mistake is asyncio's own error, and the loop is as good as before."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import soliloop
from surface_support import FACTORIES, Factory, Loop, handled, run, turn


async def value(result: Any = None) -> Any:
    await asyncio.sleep(0)
    return result


@pytest.mark.parametrize("thing", [None, 5, "text", value, [value], asyncio.sleep])
def test_what_is_not_awaitable_is_refused(loop: Loop, thing: Any) -> None:
    with pytest.raises(TypeError):
        loop.run_until_complete(thing)
    with pytest.raises(TypeError):
        loop.create_task(thing)
    assert run(loop, value(1)) == 1


def test_any_awaitable_can_be_run(loop: Loop) -> None:
    class Awaitable:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "awaited"

    assert loop.run_until_complete(Awaitable()) == "awaited"


def test_a_coroutine_that_was_awaited_already(loop: Loop) -> None:
    coroutine = value(1)
    assert loop.run_until_complete(coroutine) == 1
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        loop.run_until_complete(coroutine)
    assert run(loop, value(2)) == 2


def test_a_future_of_another_loop(loop: Loop, factory: Factory) -> None:
    other = factory()
    future = other.create_future()
    with pytest.raises(ValueError, match="different loop|loop argument"):
        loop.run_until_complete(future)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await asyncio.ensure_future(_await(future))

    run(loop, main())
    other.close()


async def _await(future: asyncio.Future[Any]) -> Any:
    return await future


def test_running_a_running_loop(loop: Loop) -> None:
    async def main() -> None:
        coroutine = value()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_until_complete(coroutine)
        coroutine.close()
        assert loop.is_running()
        await asyncio.sleep(0)

    run(loop, main())


def test_running_a_running_loop_for_ever(our_loop: soliloop.EventLoop) -> None:
    """asyncio's own loop forgets that it runs, before Python 3.13.1."""

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="already running"):
                our_loop.run_forever()
        assert our_loop.is_running()
        assert asyncio.get_running_loop() is our_loop
        await asyncio.sleep(0)

    run(our_loop, main())


def test_running_a_loop_that_runs_in_another_thread(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="already running"):
            await asyncio.to_thread(loop.run_forever)

    run(loop, main())


def test_running_inside_another_loop(loop: Loop) -> None:
    for factory in FACTORIES.values():
        inner = factory()

        async def main(inner: Loop = inner) -> None:
            coroutine = value()
            with pytest.raises(RuntimeError, match="another loop is running"):
                inner.run_until_complete(coroutine)
            coroutine.close()
            assert asyncio.get_running_loop() is loop
            assert asyncio.current_task() is not None
            assert not inner.is_running()

        run(loop, main())
        turn(inner)
        inner.close()


def test_closing_while_it_runs(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        assert not loop.is_closed()
        await asyncio.sleep(0)

    run(loop, main())
    assert run(loop, value(1)) == 1


def test_closing_twice(loop: Loop) -> None:
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_stopping_before_the_run_lets_one_iteration_happen(loop: Loop) -> None:
    seen: list[str] = []
    loop.stop()
    loop.call_soon(seen.append, "ran")
    loop.run_forever()
    assert seen == ["ran"]
    loop.call_soon(seen.append, "ran again")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["ran", "ran again"]


def test_stopping_before_the_future_is_done(loop: Loop) -> None:
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(future)
    loop.call_soon(future.set_result, 1)
    assert loop.run_until_complete(future) == 1


def test_two_loops_take_turns(loop: Loop, factory: Factory) -> None:
    other = factory()
    for number in range(5):
        assert loop.run_until_complete(value(number)) == number
        assert other.run_until_complete(value(-number)) == -number
    other.close()


def test_loops_of_two_threads_do_not_meet(factory: Factory) -> None:
    results: dict[int, list[int]] = {}

    def work(name: int) -> None:
        loop = factory()
        results[name] = [loop.run_until_complete(value(n)) for n in range(100)]
        loop.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: list(range(100)) for name in range(4)}


def test_a_result_that_is_set_twice_is_reported(loop: Loop) -> None:
    future = loop.create_future()
    with handled(loop) as contexts:
        loop.call_soon(future.set_result, 1)
        loop.call_soon(future.set_result, 2)
        turn(loop)
    assert [type(context["exception"]) for context in contexts] == [asyncio.InvalidStateError]


def test_the_class_is_initialised_by_its_own_options_only() -> None:
    with pytest.raises(TypeError):
        soliloop.EventLoop("selector")  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError):
        soliloop.Handle()
    with pytest.raises(TypeError):
        soliloop.TimerHandle()


def test_a_class_of_ones_own() -> None:
    class Loop(soliloop.EventLoop):
        calls = 0

        def call_soon(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
            self.calls += 1
            return super().call_soon(*args, **options)

    loop = Loop()
    assert loop.run_until_complete(value(1)) == 1
    assert loop.calls
    loop.close()


def test_recursion_in_callbacks_is_an_error_and_no_crash(loop: Loop) -> None:
    def deep() -> None:
        deep()

    with handled(loop) as contexts:
        loop.call_soon(deep)
        turn(loop)
    assert [type(context["exception"]) for context in contexts] == [RecursionError]
