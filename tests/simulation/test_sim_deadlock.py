"""`DeadlockError`: nothing can ever happen again, said at once, with every pending task, what it awaits and where."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import soliloop


@pytest.fixture
def sim() -> Iterator[soliloop.Simulation]:
    with soliloop.simulation() as sim:
        sim.loop.set_exception_handler(lambda *_: None)
        yield sim


Wait = Callable[[], Coroutine[Any, Any, object]]


async def _future() -> None:
    await asyncio.get_running_loop().create_future()


async def _lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    async with lock:
        pass


async def _queue_get() -> None:
    await asyncio.Queue[int]().get()


async def _queue_put() -> None:
    queue = asyncio.Queue[int](1)
    await queue.put(1)
    await queue.put(2)


async def _queue_join() -> None:
    queue = asyncio.Queue[int]()
    await queue.put(1)
    await queue.join()


async def _event() -> None:
    await asyncio.Event().wait()


async def _condition() -> None:
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()


async def _semaphore() -> None:
    await asyncio.Semaphore(0).acquire()


async def _barrier() -> None:
    await asyncio.Barrier(2).wait()


async def _gather() -> None:
    await asyncio.gather(asyncio.Event().wait(), asyncio.Event().wait())


async def _wait() -> None:
    await asyncio.wait([asyncio.create_task(asyncio.Event().wait())])


async def _task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())


async def _shield() -> None:
    await asyncio.shield(asyncio.create_task(asyncio.Event().wait()))


async def _nested() -> None:
    asyncio.get_running_loop().run_until_complete(asyncio.get_running_loop().create_future())


WAITS: dict[str, tuple[Wait, str]] = {
    "future": (_future, "Future"),
    "lock": (_lock, "Lock"),
    "queue.get": (_queue_get, "Queue.get"),
    "queue.put": (_queue_put, "Queue.put"),
    "queue.join": (_queue_join, "Queue.join"),
    "event": (_event, "Event.wait"),
    "condition": (_condition, "Condition.wait"),
    "semaphore": (_semaphore, "Semaphore"),
    "barrier": (_barrier, "Barrier"),
    "gather": (_gather, "[Gg]ather"),
    "wait": (_wait, "wait"),
    "task group": (_task_group, "TaskGroup"),
    "shield": (_shield, "Future"),
    "nested run": (_nested, "nested run"),
}


@pytest.mark.parametrize(("wait", "words"), WAITS.values(), ids=WAITS.keys())
def test_what_a_task_awaits_and_where(sim: soliloop.Simulation, wait: Wait, words: str) -> None:
    async def main() -> None:
        await asyncio.create_task(wait(), name="stuck")

    with pytest.raises(soliloop.DeadlockError) as caught:
        sim.run(main())
    line = next(
        line for line in str(caught.value).splitlines() if line.startswith("  task 'stuck'")
    )
    assert re.search(words, line), line
    place = re.search(rf"in {wait.__name__} at {re.escape(__file__)}:(\d+)", line)
    assert place is not None, line
    first = wait.__code__.co_firstlineno
    last = max(number for _, _, number in wait.__code__.co_lines() if number is not None)
    assert first < int(place[1]) <= last


def test_another_task_is_named(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        await asyncio.create_task(_event(), name="other")

    with pytest.raises(soliloop.DeadlockError) as caught:
        sim.run(main())
    text = str(caught.value)
    assert re.search(r"main.* waits for the end of task 'other' \(_event\)", text), text


def test_every_task_is_listed_once(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name, (wait, _) in WAITS.items():
                group.create_task(wait(), name=f"stuck {name}")

    with pytest.raises(soliloop.DeadlockError) as caught:
        sim.run(main())
    lines = str(caught.value).splitlines()
    for name in WAITS:
        assert len([line for line in lines if line.startswith(f"  task 'stuck {name}' ")]) == 1
    assert lines[0].startswith("nothing can ever happen again")


def test_a_wait_below_several_calls_is_placed_in_the_innermost_own_line(
    sim: soliloop.Simulation,
) -> None:
    async def innermost() -> None:
        await asyncio.Event().wait()

    async def middle() -> None:
        await innermost()

    async def main() -> None:
        await middle()

    with pytest.raises(soliloop.DeadlockError) as caught:
        sim.run(main())
    assert f"innermost at {__file__}:{innermost.__code__.co_firstlineno + 1}" in str(caught.value)


def test_the_time_is_told(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        await asyncio.sleep(12.5)
        await _event()

    with pytest.raises(soliloop.DeadlockError, match=r"12\.5"):
        sim.run(main())
    assert sim.loop.time_ns() == 12_500_000_000


def test_nested_runs_of_callbacks_and_deep_ones(sim: soliloop.Simulation) -> None:
    def callback() -> None:
        sim.loop.run_until_complete(sim.loop.create_future())

    async def descend(depth: int) -> None:
        soliloop.run(descend(depth - 1) if depth else _event())

    async def main() -> None:
        sim.loop.call_soon(callback)
        await asyncio.create_task(descend(3), name="deep")

    with pytest.raises(soliloop.DeadlockError) as caught:
        sim.run(main())
    text = str(caught.value)
    assert "a callback waits for a nested run" in text and "callback at" in text
    assert "task 'deep'" in text and text.count("descend at") == 4


def test_a_future_that_no_task_awaits(sim: soliloop.Simulation) -> None:
    with pytest.raises(soliloop.DeadlockError, match="no task is pending"):
        sim.loop.run_until_complete(sim.loop.create_future())


def test_run_forever_of_an_idle_simulation(sim: soliloop.Simulation) -> None:
    with pytest.raises(soliloop.DeadlockError):
        sim.loop.run_forever()


def test_the_loop_is_usable_afterwards(sim: soliloop.Simulation) -> None:
    event = asyncio.Event()
    ended: list[str] = []

    async def stuck() -> None:
        await event.wait()
        ended.append("awaits")

    async def nests() -> None:
        soliloop.run(event.wait())
        ended.append("nests")

    async def main() -> None:
        await asyncio.gather(stuck(), nests())

    async def rescue() -> None:
        await asyncio.sleep(1)
        event.set()
        await asyncio.sleep(1)

    for _ in range(2):
        task = sim.loop.create_task(main())
        with pytest.raises(soliloop.DeadlockError):
            sim.loop.run_until_complete(task)
        sim.run(rescue())
        assert task.done()
        assert sorted(ended) == ["awaits", "nests"]
        ended.clear()
        event.clear()
    assert sim.loop.time_ns() == 4_000_000_000


def test_what_is_stuck_is_cancelled_at_the_end() -> None:
    ended: list[str] = []

    async def stuck(name: str, nested: bool) -> None:
        try:
            if nested:
                soliloop.run(_event())
            else:
                await _event()
        finally:
            ended.append(name)

    async def main() -> None:
        await asyncio.gather(stuck("awaits", False), stuck("nests", True))

    with pytest.raises(soliloop.DeadlockError), soliloop.simulation() as sim:
        sim.run(main())
    assert sorted(ended) == ["awaits", "nests"]


def test_odd_representations_do_not_hide_the_error(sim: soliloop.Simulation) -> None:
    class Odd(asyncio.Event):
        def __repr__(self) -> str:
            raise LookupError("of the representation")

    async def main() -> None:
        await Odd().wait()

    with pytest.raises(soliloop.DeadlockError):
        sim.run(main())


def test_an_asynchronous_generator(sim: soliloop.Simulation) -> None:
    async def numbers() -> Any:
        yield 1
        await _event()

    async def main() -> None:
        async for _ in numbers():
            pass

    with pytest.raises(soliloop.DeadlockError, match="_event at"):
        sim.run(main())


def test_an_eager_task_in_its_first_wait(sim: soliloop.Simulation) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("eager tasks came with Python 3.12")

    async def main() -> None:
        sim.loop.set_task_factory(factory)
        await asyncio.create_task(_event(), name="stuck")

    with pytest.raises(
        soliloop.DeadlockError, match=r"task 'stuck' \(_event\) waits for asyncio.Event.wait"
    ):
        sim.run(main())
