"""A loop that is stopped while stacks are parked: the outermost run returns, and the stacks go on in the next one."""

from __future__ import annotations

import asyncio

import pytest
import soliloop


def test_parked_stacks_go_on_in_the_next_run(loop: soliloop.EventLoop) -> None:
    events: list[str] = []

    async def A(name: str, wanted: asyncio.Future[None]) -> None:
        loop.run_until_complete(wanted)
        events.append(name)

    async def main() -> str:
        await asyncio.sleep(0)
        return "main"

    async def go_on() -> None:
        for future in reversed(wanted):
            future.set_result(None)
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    wanted = [loop.create_future(), loop.create_future()]
    tasks = [
        loop.create_task(A(name, future)) for name, future in zip(("A1", "A2"), wanted, strict=True)
    ]
    assert loop.run_until_complete(main()) == "main"
    assert (events, loop._counts()[2], loop.is_running()) == ([], 2, False)
    loop.run_until_complete(go_on())
    assert events == ["A2", "A1"]


def test_stop_before_the_nested_run_in_the_same_callback(
    loop: soliloop.EventLoop, second: float
) -> None:
    events: list[str] = []

    def callback() -> None:
        loop.stop()
        loop.run_until_complete(asyncio.sleep(second))
        events.append("back")

    loop.call_soon(callback)
    loop.run_forever()
    assert (events, loop._counts()[2]) == ([], 1)
    loop.run_until_complete(asyncio.sleep(2 * second))
    assert events == ["back"]


def test_stop_during_the_nested_run(loop: soliloop.EventLoop, second: float) -> None:
    async def A() -> str:
        loop.call_later(second, loop.stop)
        loop.run_until_complete(asyncio.sleep(2 * second))
        return "done"

    task = loop.create_task(A())
    loop.run_forever()
    assert not task.done()
    assert loop.run_until_complete(task) == "done"


def test_stop_by_the_nested_coroutine(loop: soliloop.EventLoop) -> None:
    async def stops() -> str:
        loop.stop()
        return "stopped"

    async def A() -> str:
        return loop.run_until_complete(stops())

    task = loop.create_task(A())
    loop.run_forever()
    assert loop.run_until_complete(task) == "stopped"


def test_the_outer_run_of_a_stopped_loop_says_so(loop: soliloop.EventLoop) -> None:
    gate = loop.create_future()

    async def main() -> None:
        loop.call_soon(loop.stop)
        loop.run_until_complete(gate)

    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(task)
    gate.set_result(None)
    loop.run_until_complete(task)


def test_many_stops_with_many_parked(loop: soliloop.EventLoop) -> None:
    gates = [loop.create_future() for _ in range(50)]
    events: list[int] = []

    def callback(number: int) -> None:
        loop.run_until_complete(gates[number])
        events.append(number)

    for number in range(50):
        loop.call_soon(callback, number)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert loop._counts()[2] == 50
    for gate in gates[::-1]:
        gate.set_result(None)
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0))
    assert events == list(range(50))[::-1]


def test_a_stack_parked_in_one_run_and_woken_between_two(loop: soliloop.EventLoop) -> None:
    gate = loop.create_future()
    events: list[str] = []

    def callback() -> None:
        loop.run_until_complete(gate)
        events.append("back")

    loop.call_soon(callback)
    loop.run_until_complete(asyncio.sleep(0))
    gate.set_result(None)
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    assert events == ["back"]
