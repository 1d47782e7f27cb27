"""`soliloop.run` works wherever it is called, and leaves the loop around it as it was."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
import uvloop

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="unset")


@pytest.fixture(scope="module", autouse=True)
def uvloop_is_set_up() -> None:
    """The first loop of uvloop opens descriptors that the process keeps."""
    loop = uvloop.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


FOREIGN: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}
foreign = pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())

pytestmark = pytest.mark.usefixtures("no_leaks")


async def _answer(seconds: float = 0.001) -> int:
    await asyncio.sleep(seconds)
    return 42


async def _fails() -> None:
    await asyncio.sleep(0)
    raise LookupError("inner")


def test_where_no_loop_runs() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        return isinstance(loop, soliloop.EventLoop) and loop.nesting

    assert soliloop.run(main())
    assert asyncio._get_running_loop() is None


def test_where_a_nesting_loop_runs(loop: soliloop.EventLoop, second: float) -> None:
    async def inner() -> bool:
        await asyncio.sleep(second)
        return asyncio.get_running_loop() is loop

    async def main() -> bool:
        return soliloop.run(inner())

    assert loop.run_until_complete(main())


@pytest.mark.parametrize("thread", [False, True])
def test_what_is_no_coroutine(thread: bool) -> None:
    with pytest.raises((TypeError, ValueError), match="coroutine"):
        soliloop.run(5, thread=thread)  # type: ignore[arg-type]


def test_what_is_no_coroutine_on_a_nesting_loop(loop: soliloop.EventLoop) -> None:
    async def main() -> None:
        with pytest.raises((TypeError, ValueError), match="coroutine"):
            soliloop.run(loop.create_future())  # type: ignore[arg-type]

    loop.run_until_complete(main())


@foreign
def test_stacked_on_a_foreign_loop(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    events: list[str] = []

    async def other() -> None:
        for _ in range(3):
            await asyncio.sleep(0.001)
            events.append("other")

    async def main() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        others = asyncio.create_task(other())
        await asyncio.sleep(0)
        result = soliloop.run(_answer(0.003))
        assert events == [], "the outer loop stands still meanwhile"
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        await others
        await asyncio.sleep(0)
        return result

    assert _run_on(make, main()) == 42
    assert events == ["other"] * 3


@foreign
def test_its_marks_are_restored_after_an_error(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for _ in range(3):
            with pytest.raises(LookupError):
                soliloop.run(_fails())
            assert asyncio.get_running_loop() is loop
            assert asyncio.current_task() is task
        async with asyncio.timeout(10):
            await asyncio.sleep(0.001)

    _run_on(make, main())


@foreign
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_its_marks_are_restored_after_an_interrupt(
    make: Callable[[], asyncio.AbstractEventLoop], kind: type[BaseException]
) -> None:
    async def interrupts() -> None:
        await asyncio.sleep(0)
        raise kind

    async def main() -> None:
        task = asyncio.current_task()
        with pytest.raises(kind):
            soliloop.run(interrupts())
        assert asyncio.current_task() is task
        await asyncio.sleep(0.001)

    _run_on(make, main())


@foreign
def test_from_a_plain_callback_of_a_foreign_loop(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> Any:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: future.set_result(soliloop.run(_answer())))
        return await future

    assert _run_on(make, main()) == 42


@foreign
def test_nested_runs_inside_the_stacked_loop(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def middle(depth: int) -> int:
        await asyncio.sleep(0)
        return soliloop.run(middle(depth - 1) if depth else _answer())

    async def main() -> int:
        return soliloop.run(middle(10))

    assert _run_on(make, main()) == 42


@foreign
def test_what_is_left_pending_is_cancelled_before_the_outer_loop_goes_on(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    ended: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(isinstance(asyncio.get_running_loop(), soliloop.EventLoop))

    async def inner() -> None:
        asyncio.create_task(forever())
        await asyncio.sleep(0)

    async def main() -> None:
        soliloop.run(inner())
        assert ended == [True]
        await asyncio.sleep(0)

    _run_on(make, main())


@foreign
def test_signals_of_the_outer_loop_work_afterwards(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    got: list[str] = []

    async def inner(uses_signals: bool) -> None:
        if uses_signals:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR2, got.append, "inner")
            signal.raise_signal(signal.SIGUSR2)
            while "inner" not in got:
                await asyncio.sleep(0.001)
            loop.remove_signal_handler(signal.SIGUSR2)
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, got.append, "outer")
        for uses_signals in (False, True):
            soliloop.run(inner(uses_signals))
            got.clear()
            signal.raise_signal(signal.SIGUSR1)
            async with asyncio.timeout(1):
                while "outer" not in got:
                    await asyncio.sleep(0.001)
        loop.remove_signal_handler(signal.SIGUSR1)

    _run_on(make, main())


@pytest.mark.parametrize("when", ["before the run", "during the run"])
def test_its_marks_are_restored_when_the_wakeup_descriptor_was_closed(when: str) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)

    async def inner() -> int:
        near.close()
        return await _answer()

    async def main() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        signal.set_wakeup_fd(near.fileno(), warn_on_full_buffer=False)
        if when == "before the run":
            near.close()
        result = soliloop.run(inner())
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        await asyncio.sleep(0.001)
        return result

    with near, far:
        assert _run_on(asyncio.SelectorEventLoop, main()) == 42
    assert signal.set_wakeup_fd(-1) == -1


def test_the_context_is_seen_inside() -> None:
    async def inner() -> str:
        return VAR.get()

    async def main() -> str:
        VAR.set("outer")
        return soliloop.run(inner())

    assert asyncio.run(main()) == "outer"


def test_asyncgen_hooks_of_the_outer_loop_stay() -> None:
    async def main() -> None:
        hooks = sys.get_asyncgen_hooks()
        soliloop.run(_answer())
        assert sys.get_asyncgen_hooks() == hooks

    asyncio.run(main())


def test_the_loop_of_the_policy_stays() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        soliloop.run(_answer())
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


# ------------------------------------------------------------------ thread=True


def _from_nowhere(work: Callable[[], Any]) -> Any:
    return work()


def _from_foreign(work: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return work()

    return asyncio.run(main())


def _from_soliloop(work: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return work()

    return soliloop.run(main())


CALLERS = [_from_nowhere, _from_foreign, _from_soliloop]
callers = pytest.mark.parametrize("call", CALLERS, ids=[caller.__name__ for caller in CALLERS])


@callers
def test_a_helper_thread(call: Callable[[Callable[[], Any]], Any]) -> None:
    async def inner() -> int:
        await asyncio.sleep(0.001)
        return threading.get_ident()

    assert call(lambda: soliloop.run(inner(), thread=True)) != threading.get_ident()


@callers
def test_a_helper_thread_has_a_copy_of_the_context(
    call: Callable[[Callable[[], Any]], Any],
) -> None:
    async def inner() -> str:
        seen = VAR.get()
        VAR.set("inner")
        await asyncio.sleep(0)
        return seen

    def work() -> tuple[str, str]:
        token = VAR.set("caller")
        try:
            return soliloop.run(inner(), thread=True), VAR.get()
        finally:
            VAR.reset(token)

    assert call(work) == ("caller", "caller")


@callers
def test_an_exception_of_a_helper_thread(call: Callable[[Callable[[], Any]], Any]) -> None:
    def work() -> None:
        task = asyncio.current_task() if asyncio._get_running_loop() else None
        with pytest.raises(LookupError, match="inner"):
            soliloop.run(_fails(), thread=True)
        if task is not None:
            assert asyncio.current_task() is task

    call(work)


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    for _ in range(5):
        assert soliloop.run(_answer(), thread=True) == 42
    assert threading.active_count() == before


def _run_on(make: Callable[[], asyncio.AbstractEventLoop], coroutine: Any) -> Any:
    loop = make()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()
