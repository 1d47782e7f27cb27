"""What is refused, and what the error says: who, by which chain, where, and both ways out."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import soliloop
from soliloop._soliloop import Outside


@pytest.fixture(params=[False, True], ids=["real", "simulated"])
def strict(request: pytest.FixtureRequest, no_leaks: None) -> Iterator[soliloop.EventLoop]:
    """A loop that does not allow nesting."""
    loop = soliloop.new_event_loop(simulated=request.param)
    yield loop
    loop.close()


def test_the_error_names_task_chain_place_and_both_ways_out(strict: soliloop.EventLoop) -> None:
    coroutine = asyncio.sleep(0)

    def B() -> None:
        asyncio.get_running_loop().run_until_complete(coroutine)

    async def A() -> None:
        B()

    text = _refused(strict, A(), name="culprit")
    coroutine.close()
    call = f"{__file__}:{A.__code__.co_firstlineno + 1}"
    line = f"{__file__}:{B.__code__.co_firstlineno + 1}"
    assert text.startswith("This event loop is already running")
    assert "task 'culprit'" in text
    assert (
        f"{A.__qualname__} ({call}) -> {B.__qualname__} ({line}) called run_until_complete()"
        in text
    )
    assert (
        "await" in text
        and "soliloop.new_event_loop(nesting=True)" in text
        and "soliloop.run()" in text
    )
    assert f"Either make {B.__qualname__} a coroutine" in text


def test_the_error_of_a_plain_callback(strict: soliloop.EventLoop) -> None:
    errors: list[str] = []
    future = strict.create_future()

    def callback() -> None:
        try:
            strict.run_until_complete(future)
        except RuntimeError as error:
            errors.append(str(error))

    strict.call_soon(callback)
    strict.run_until_complete(asyncio.sleep(0))
    assert "a callback" in errors[0] and callback.__qualname__ in errors[0]
    assert f"{__file__}:{callback.__code__.co_firstlineno + 2}" in errors[0]


def test_soliloop_run_on_such_a_loop(strict: soliloop.EventLoop) -> None:
    coroutine = asyncio.sleep(0)

    async def A() -> None:
        soliloop.run(coroutine)

    text = _refused(strict, A(), name="culprit")
    coroutine.close()
    assert "task 'culprit'" in text and f"{__file__}:{A.__code__.co_firstlineno + 1}" in text
    assert "called soliloop.run(). Either make" in text and "start the program with" in text


def test_the_loop_goes_on_after_a_refusal(strict: soliloop.EventLoop) -> None:
    async def A() -> str:
        with pytest.raises(RuntimeError):
            strict.run_until_complete(strict.create_future())
        await asyncio.sleep(0.001)
        return "done"

    assert strict.run_until_complete(A()) == "done"


def test_nothing_is_started_by_a_refused_call(strict: soliloop.EventLoop) -> None:
    started: list[str] = []

    async def inner() -> None:
        started.append("inner")

    coroutine = inner()

    async def A() -> None:
        with pytest.raises(RuntimeError):
            strict.run_until_complete(coroutine)
        await asyncio.sleep(0.001)

    strict.run_until_complete(A())
    coroutine.close()
    assert started == []


def test_nesting_can_be_allowed_while_the_loop_runs(strict: soliloop.EventLoop) -> None:
    async def A() -> str:
        strict.allow_nesting()
        return strict.run_until_complete(asyncio.sleep(0.001, "done"))

    assert strict.run_until_complete(A()) == "done"


def test_run_forever_is_never_nested(loop: soliloop.EventLoop) -> None:
    async def A() -> None:
        loop.run_forever()

    async def main() -> str:
        with pytest.raises(
            RuntimeError, match=r"run_forever\(\), which cannot be nested"
        ) as caught:
            await asyncio.create_task(A(), name="culprit")
        return str(caught.value)

    text = loop.run_until_complete(main())
    assert "'culprit'" in text and f"{__file__}:{A.__code__.co_firstlineno + 1}" in text


def test_another_thread_while_the_loop_runs(loop: soliloop.EventLoop) -> None:
    errors: list[BaseException] = []
    future = loop.create_future()

    def work() -> None:
        for call in (lambda: loop.run_until_complete(future), loop.run_forever):
            try:
                call()
            except BaseException as error:
                errors.append(error)

    async def main() -> None:
        with Outside():
            helper = threading.Thread(target=work)
            helper.start()
            helper.join()

    loop.run_until_complete(main())
    assert [type(error) for error in errors] == [RuntimeError, RuntimeError]
    for error in errors:
        assert "already running" in str(error) and "thread" in str(error)
        assert str(threading.get_ident()) in str(error)
        assert "run_coroutine_threadsafe" in str(error)


def test_a_loop_below_another(loop: soliloop.EventLoop) -> None:
    coroutine = asyncio.sleep(0)

    async def upper() -> None:
        with pytest.raises(RuntimeError, match="below another loop"):
            loop.run_until_complete(coroutine)

    async def main() -> None:
        with soliloop.simulation() as sim:
            sim.run(upper())
        assert loop.run_until_complete(coroutine) is None

    loop.run_until_complete(main())


def test_a_strict_loop_inside_a_running_one(
    loop: soliloop.EventLoop, strict: soliloop.EventLoop
) -> None:
    future = strict.create_future()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="another loop is running.*nesting=True"):
            strict.run_until_complete(future)
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is not None

    loop.run_until_complete(main())


def _refused(loop: soliloop.EventLoop, coroutine: Any, name: str) -> str:
    task = loop.create_task(coroutine, name=name)
    with pytest.raises(RuntimeError) as caught:
        loop.run_until_complete(task)
    assert sys.exc_info() == (None, None, None)
    return str(caught.value)


def test_refused_to_a_callback_that_has_no_frame() -> None:
    loop = soliloop.new_event_loop()
    errors: list[object] = []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    future = loop.create_future()
    loop.call_soon(loop.run_until_complete, future)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert [type(error) for error in errors] == [RuntimeError]
    assert "a callback: C code called run_until_complete()" in str(errors[0])
