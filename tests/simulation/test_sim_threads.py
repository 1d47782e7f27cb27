"""Simulated threads: what `run_in_executor` and `asyncio.to_thread` run, where it waits in simulated time, and how it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

import pytest
import soliloop
from soliloop._soliloop import _simulated_threads
from soliloop._threads import SimulatedPool

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="unset")


@pytest.fixture
def sim(no_leaks: None) -> Iterator[soliloop.Simulation]:
    with soliloop.simulation() as sim:
        yield sim


def now() -> float:
    return time.monotonic() - START.get()


START: contextvars.ContextVar[float] = contextvars.ContextVar("START", default=0.0)


def run(sim: soliloop.Simulation, *functions: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, all started at once."""

    async def main() -> list[Any]:
        START.set(time.monotonic())
        return await asyncio.gather(*map(asyncio.to_thread, functions))

    return sim.run(main())


def after(delay: float, function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    def call() -> Any:
        time.sleep(delay)
        return function(*args)

    return call


# ---------------------------------------------------------------------- calls


def test_results_and_exceptions(sim: soliloop.Simulation) -> None:
    error = LookupError("of the function")

    def fail() -> None:
        time.sleep(1)
        raise error

    async def main() -> None:
        assert await asyncio.to_thread(pow, 2, 5) == 32
        with pytest.raises(LookupError) as caught:
            await asyncio.to_thread(fail)
        assert caught.value is error
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.to_thread(next, iter(()))

    sim.run(main())


def test_threads_overlap(sim: soliloop.Simulation) -> None:
    assert run(sim, *(after(delay, now) for delay in (3, 1, 2))) == [3, 1, 2]
    assert sim.loop.time() == 3


def test_a_queued_call_can_be_cancelled_and_a_running_one_goes_on(sim: soliloop.Simulation) -> None:
    done: list[str] = []

    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(executor, after(5, done.append, "running"))
            queued = loop.run_in_executor(executor, done.append, "queued")
            last = loop.run_in_executor(executor, done.append, "last")
            await asyncio.sleep(1)
            queued.cancel()
            running.cancel()
            for future in (queued, running):
                with pytest.raises(asyncio.CancelledError):
                    await future
            await last
            assert done == ["running", "last"]
            assert loop.time() == 5

    sim.run(main())


def test_the_size_of_a_pool(sim: soliloop.Simulation) -> None:
    async def main() -> list[float]:
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            loop = asyncio.get_running_loop()
            calls = (loop.run_in_executor(executor, after(1, loop.time)) for _ in range(5))
            return await asyncio.gather(*calls)

    assert sim.run(main()) == [1, 1, 2, 2, 3]


def test_the_default_pool_is_the_same_on_each_machine(sim: soliloop.Simulation) -> None:
    times = run(sim, *[after(1, now)] * 33)
    assert times == [1] * 32 + [2]


def test_initializers(sim: soliloop.Simulation) -> None:
    started: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(
            2, initializer=started.append, initargs=("thread",)
        ) as executor:
            await asyncio.gather(*(loop.run_in_executor(executor, time.sleep, 1) for _ in range(4)))
        assert started == ["thread", "thread"]

    sim.run(main())


def test_an_initializer_that_fails_breaks_the_pool(sim: soliloop.Simulation) -> None:
    reports: list[dict[str, Any]] = []

    def fail() -> None:
        raise LookupError("of the initializer")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, report: reports.append(report))
        with concurrent.futures.ThreadPoolExecutor(1, initializer=fail) as pool:
            calls = [loop.run_in_executor(pool, int) for _ in range(3)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [BrokenThreadPool] * 3
            with pytest.raises(BrokenThreadPool):
                await loop.run_in_executor(pool, int)
        loop.set_exception_handler(None)

    sim.run(main())
    assert [str(report["exception"]) for report in reports] == ["of the initializer"]


def test_an_interrupt_before_a_thread_has_done_anything(
    no_leaks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, begun = SimulatedPool._work, []

    def interrupted(self: SimulatedPool, number: int) -> None:
        begun.append(number)
        if len(begun) == 1:
            raise KeyboardInterrupt
        work(self, number)

    monkeypatch.setattr(SimulatedPool, "_work", interrupted)
    with pytest.raises(KeyboardInterrupt), soliloop.simulation() as sim:
        sim.run(asyncio.to_thread(int))
    # The call that was left was made when the simulation was ended.
    assert begun == [0, 1]


def test_shutting_down(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(None, after(5, loop.time))
        await loop.shutdown_default_executor()
        assert loop.time() == 5
        assert await call == 5
        with pytest.raises(RuntimeError, match="shutdown"):
            loop.run_in_executor(None, print)
        executor = concurrent.futures.ThreadPoolExecutor(1)
        executor.shutdown()
        with pytest.raises(RuntimeError, match="shutdown"):
            loop.run_in_executor(executor, print)

    sim.run(main())


def test_shutting_down_with_a_time_limit(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, time.sleep, 50)
        with pytest.warns(RuntimeWarning, match="10 seconds"):
            await loop.shutdown_default_executor(10)
        assert loop.time() == 10
        await asyncio.sleep(100)

    sim.run(main())


# ---------------------------------------------------------------------- queues and locks

QUEUES: dict[str, Callable[[], Any]] = {
    "Queue": queue.Queue,
    "LifoQueue": queue.LifoQueue,
    "PriorityQueue": queue.PriorityQueue,
    "SimpleQueue": queue.SimpleQueue,
}


@pytest.mark.parametrize("make", QUEUES.values(), ids=QUEUES.keys())
def test_queues(sim: soliloop.Simulation, make: Callable[[], Any]) -> None:
    items = make()

    def take() -> list[Any]:
        taken = [items.get(), now()]
        with pytest.raises(queue.Empty):
            items.get(timeout=3)
        taken.append(now())
        with pytest.raises(queue.Empty):
            items.get_nowait()
        return [*taken, items.get(timeout=10), now()]

    assert run(sim, take, after(2, items.put, "one"), after(9, items.put, "other"))[0] == [
        "one",
        2,
        5,
        "other",
        9,
    ]


def test_a_full_queue(sim: soliloop.Simulation) -> None:
    items: queue.Queue[int] = queue.Queue(1)

    def put() -> list[float]:
        items.put(1)
        with pytest.raises(queue.Full):
            items.put(2, timeout=2)
        items.put(3)
        return [now()]

    def take() -> list[float]:
        time.sleep(5)
        taken = [items.get(), items.get()]
        items.task_done()
        items.task_done()
        return [*taken, now()]

    def join() -> float:
        time.sleep(1)
        items.join()
        return now()

    assert run(sim, put, take, join) == [[5], [1, 3, 5], 5]


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_locks(sim: soliloop.Simulation, make: Callable[[], Any]) -> None:
    lock = make()

    def hold(seconds: float) -> Callable[[], list[float]]:
        def work() -> list[float]:
            with lock:
                begin = now()
                time.sleep(seconds)
                return [begin, now()]

        return work

    def glance() -> list[bool]:
        time.sleep(0.5)
        seen = [lock.acquire(blocking=False), lock.acquire(timeout=1)]
        assert now() == 1.5
        return seen

    assert run(sim, hold(2), hold(1), hold(1), glance) == [[0, 2], [2, 3], [3, 4], [False, False]]


def test_a_lock_that_its_owner_takes_again(sim: soliloop.Simulation) -> None:
    lock = threading.RLock()

    def work() -> float:
        with lock, lock:
            time.sleep(1)
            with lock:
                time.sleep(1)
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()
        return now()

    assert run(sim, work, work) == [2, 4]


def test_a_lock_of_another_thread_can_not_be_released(sim: soliloop.Simulation) -> None:
    lock = threading.RLock()

    def hold() -> None:
        with lock:
            time.sleep(2)

    def meddle() -> None:
        time.sleep(1)
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()

    run(sim, hold, meddle)


def test_conditions(sim: soliloop.Simulation) -> None:
    condition = threading.Condition()
    ready: list[int] = []

    def wait() -> list[Any]:
        with condition:
            early = condition.wait(1)
            assert condition.wait_for(lambda: ready, 20)
            return [early, now()]

    def tell() -> None:
        time.sleep(5)
        with condition:
            condition.notify_all()
        time.sleep(5)
        with condition:
            ready.append(1)
            condition.notify_all()

    assert run(sim, wait, wait, tell) == [[False, 10], [False, 10], None]


def test_events_semaphores_and_barriers(sim: soliloop.Simulation) -> None:
    event, semaphore, barrier = (
        threading.Event(),
        threading.BoundedSemaphore(2),
        threading.Barrier(3),
    )

    def work() -> list[Any]:
        seen: list[Any] = [event.wait(1), event.wait(), now()]
        with semaphore:
            time.sleep(1)
            seen.append(now())
        barrier.wait()
        return [*seen, now()]

    results = run(sim, work, work, work, after(4, event.set))[:3]
    assert sorted(results) == [
        [False, True, 4, 5, 6],
        [False, True, 4, 5, 6],
        [False, True, 4, 6, 6],
    ]


def test_a_barrier_that_breaks(sim: soliloop.Simulation) -> None:
    barrier = threading.Barrier(2, timeout=3)

    def work() -> float:
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait()
        return now()

    assert run(sim, work) == [3]


# ---------------------------------------------------------------------- threads and the loop


def test_run_coroutine_threadsafe(sim: soliloop.Simulation) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(2)
        return 2 * number

    def work() -> list[Any]:
        future = asyncio.run_coroutine_threadsafe(double(4), sim.loop)
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(1)
        result = future.result()
        return [result, now()]

    assert run(sim, work) == [[8, 2]]


def test_call_soon_threadsafe(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        loop.run_in_executor(None, after(3, loop.call_soon_threadsafe, future.set_result, "told"))
        assert await future == "told"
        assert loop.time() == 3

    sim.run(main())


def test_contexts(sim: soliloop.Simulation) -> None:
    def work() -> str:
        time.sleep(1)
        seen = VAR.get()
        VAR.set("of the thread")
        time.sleep(1)
        return f"{seen}, {VAR.get()}"

    async def main() -> None:
        VAR.set("of the task")
        assert (
            await asyncio.gather(asyncio.to_thread(work), asyncio.to_thread(work))
            == ["of the task, of the thread"] * 2
        )
        assert await sim.loop.run_in_executor(None, work) == "unset, of the thread"
        assert VAR.get() == "of the task"

    sim.run(main())


def test_threads_end_with_their_host(sim: soliloop.Simulation) -> None:
    seen: list[str] = []

    def work(name: str) -> None:
        try:
            for _ in range(3):
                time.sleep(1)
                seen.append(name)
        finally:
            seen.append(f"the end of {name}")

    hosts = [sim.host(name) for name in ("one", "other")]

    async def main() -> None:
        outcomes = [host.run(asyncio.to_thread(work, host.name)) for host in hosts]
        await asyncio.sleep(1.5)
        hosts[0].crash()
        with pytest.raises(soliloop.HostCrashedError):
            await outcomes[0]
        await outcomes[1]
        assert seen == ["one", "other", "other", "other", "the end of other"]

    sim.run(main())


# ---------------------------------------------------------------------- ends


def test_a_deadlock_names_the_thread_and_the_place(sim: soliloop.Simulation) -> None:
    def work() -> None:
        queue.SimpleQueue().get()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1, "reader") as executor:
            await loop.run_in_executor(executor, work)

    with pytest.raises(soliloop.DeadlockError) as caught:
        sim.run(main())
    text = str(caught.value)
    assert "reader_0" in text
    assert "a queue" in text
    assert f"{__name__}.py:{work.__code__.co_firstlineno + 1}" in text


def test_threads_that_are_left_run_their_finally_blocks(no_leaks: None) -> None:
    ended: list[str] = []

    def work(name: str) -> None:
        try:
            time.sleep(1000)
        finally:
            ended.append(name)

    async def main() -> None:
        for name in ("one", "other"):
            loop.run_in_executor(None, work, name)
        await asyncio.sleep(1)

    loop = soliloop.new_event_loop(simulated=True)
    loop.run_until_complete(main())
    assert ended == []
    loop.close()
    assert ended == ["one", "other"]


def test_nothing_is_kept(no_leaks: None) -> None:
    class Thing:
        pass

    def work(thing: Thing) -> weakref.ref[Thing]:
        time.sleep(1)
        return weakref.ref(thing)

    with soliloop.simulation() as sim:

        async def main() -> None:
            reference = await asyncio.to_thread(work, Thing())
            gc.collect()
            assert reference() is None
            assert _simulated_threads(sim.loop) == []

        sim.run(main())


def test_a_run_is_the_same_each_time(no_leaks: None) -> None:
    def story() -> list[Any]:
        seen: list[Any] = []
        items: queue.Queue[int] = queue.Queue(3)
        lock = threading.Lock()

        def produce(name: int) -> None:
            for number in range(5):
                time.sleep(0.1 * name)
                items.put(10 * name + number)

        def consume(name: int) -> None:
            for _ in range(10):
                item = items.get()
                with lock:
                    time.sleep(0.05)
                    seen.append((name, item, now()))

        with soliloop.simulation() as sim:
            producers = [lambda name=name: produce(name) for name in range(4)]
            run(sim, *producers, lambda: consume(1), lambda: consume(2))
        return seen

    first = story()
    assert len(first) == 20
    assert story() == first
