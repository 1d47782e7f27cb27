"""`KeyboardInterrupt` and `SystemExit` while stacks are parked: they end the outermost run, and the loop can go on."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import soliloop

KINDS = [KeyboardInterrupt, SystemExit]


@pytest.mark.parametrize("kind", KINDS)
def test_raised_in_a_callback(
    loop: soliloop.EventLoop, second: float, kind: type[BaseException]
) -> None:
    events: list[str] = []

    async def A(name: str, seconds: float) -> None:
        loop.run_until_complete(asyncio.sleep(seconds * second))
        events.append(name)

    def interrupts() -> None:
        raise kind

    tasks = [loop.create_task(A("A1", 3)), loop.create_task(A("A2", 2))]
    loop.call_later(second, interrupts)
    loop.call_later(second, events.append, "no callback is lost")
    with pytest.raises(kind):
        loop.run_until_complete(asyncio.sleep(100 * second))
    assert loop._counts()[2] == 2
    assert not loop.is_running()
    loop.run_until_complete(asyncio.gather(*tasks))
    assert events == ["no callback is lost", "A2", "A1"]
    loop.run_until_complete(_cancel_the_rest(loop))


@pytest.mark.parametrize("kind", KINDS)
def test_raised_in_a_callback_that_nested_before(
    loop: soliloop.EventLoop, second: float, kind: type[BaseException]
) -> None:
    events: list[str] = []

    def interrupts() -> None:
        loop.run_until_complete(asyncio.sleep(second))
        raise kind

    def other() -> None:
        loop.run_until_complete(asyncio.sleep(2 * second))
        events.append("other")

    loop.call_soon(interrupts)
    loop.call_soon(other)
    with pytest.raises(kind):
        loop.run_until_complete(asyncio.sleep(100 * second))
    loop.run_until_complete(asyncio.sleep(3 * second))
    assert events == ["other"]
    loop.run_until_complete(_cancel_the_rest(loop))


@pytest.mark.parametrize("kind", KINDS)
def test_raised_in_the_nested_coroutine(
    loop: soliloop.EventLoop, second: float, kind: type[BaseException]
) -> None:
    ended: list[str] = []

    async def inner() -> None:
        await asyncio.sleep(second)
        raise kind

    async def main() -> None:
        try:
            loop.run_until_complete(inner())
        except kind:
            ended.append("main")  # as it would rise out of an await

    task = loop.create_task(main())
    with pytest.raises(kind):
        loop.run_until_complete(task)
    assert ended == []
    loop.run_until_complete(task)
    assert ended == ["main"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_runner_ends_in_good_order(kind: type[BaseException]) -> None:
    ended: list[str] = []

    async def inner() -> None:
        await asyncio.sleep(0)
        raise kind

    async def parked() -> None:
        try:
            asyncio.get_running_loop().run_until_complete(asyncio.sleep(3600))
        finally:
            ended.append("parked")

    async def main() -> None:
        asyncio.create_task(parked())
        await asyncio.sleep(0)
        try:
            soliloop.run(inner())
        finally:
            ended.append("main")

    with pytest.raises(kind):
        soliloop.run(main())
    assert sorted(ended) == ["main", "parked"]


@pytest.mark.parametrize("where", ["coroutine", "helper"])
def test_ctrl_c_during_a_nested_run(where: str) -> None:
    """The runner's handler cancels the main task, wherever that is parked."""
    events: list[str] = []

    async def inner() -> None:
        if where == "coroutine":
            signal.raise_signal(signal.SIGINT)
        else:
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(3600)

    async def main() -> None:
        try:
            soliloop.run(inner())
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        soliloop.run(main())
    assert events == ["cancelled"]


def test_ctrl_c_in_an_idle_loop_without_a_runner() -> None:
    loop = soliloop.new_event_loop(nesting=True)
    events: list[str] = []

    async def A() -> str:
        loop.run_until_complete(gate)
        return "done"

    gate = loop.create_future()
    task = loop.create_task(A())
    previous = signal.signal(signal.SIGALRM, _interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        gate.set_result(None)
        events.append(loop.run_until_complete(task))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        loop.close()
    assert events == ["done"]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


async def _cancel_the_rest(loop: soliloop.EventLoop) -> None:
    rest = asyncio.all_tasks(loop) - {asyncio.current_task()}
    cancel: Callable[[asyncio.Task[object]], object] = asyncio.Task.cancel
    for task in rest:
        cancel(task)
    await asyncio.gather(*rest, return_exceptions=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("simulated", [False, True])
def test_other_tasks_are_cleaned_up_after_an_interrupt_in_a_nested_run(
    kind: type[BaseException], simulated: bool, no_leaks: None
) -> None:
    """It rises once: when the runner cancels the task, its parked stack sees the cancellation."""
    events: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.001)
            events.append("cleaned up")

    async def C() -> None:
        await asyncio.sleep(0.001)
        raise kind

    def B() -> None:
        try:
            asyncio.get_running_loop().run_until_complete(C())
        except BaseException as error:
            events.append(type(error).__name__)
            raise

    async def A() -> None:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)
        B()

    tasks: list[asyncio.Task[None]] = []
    with (
        pytest.raises(kind),
        soliloop.Runner(
            loop_factory=lambda: soliloop.new_event_loop(simulated=simulated, nesting=True)
        ) as runner,
    ):
        runner.run(A())
    assert events == ["CancelledError", "cleaned up"]


def _run_simulated(main: Coroutine[Any, Any, None]) -> None:
    with soliloop.simulation() as sim:
        sim.run(main)


@pytest.mark.parametrize("run", [soliloop.run, _run_simulated], ids=["real", "simulated"])
def test_sys_exit_in_a_nested_run_ends_the_program_in_good_order(
    run: Callable[[Coroutine[Any, Any, None]], None],
    caplog: pytest.LogCaptureFixture,
    no_leaks: None,
) -> None:
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.001)
            ended.append("background")

    async def inner() -> None:
        await asyncio.sleep(0.001)
        sys.exit(3)

    async def main() -> None:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)
        asyncio.get_running_loop().run_until_complete(inner())

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(SystemExit) as caught:
        run(main())
    assert caught.value.code == 3
    assert ended == ["background"] and tasks[0].cancelled()
    tasks.clear()
    gc.collect()
    assert caplog.messages == []
