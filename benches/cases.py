"""The cases, the loops they run on, and one measurement in this process.

`python cases.py CASE LOOP [DIVISOR]` does the work once and prints one number: CPU nanoseconds per operation
(user and system time of all threads), or bytes per timer. `micro.py` calls it that way, so that every
figure comes from a fresh process; this file knows nothing about rounds, medians or tables.

A case does the same work on every loop, through the public asyncio interface only.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import importlib.util
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

Loop: TypeAlias = asyncio.AbstractEventLoop
MakeLoop: TypeAlias = Callable[[], Loop]
Work: TypeAlias = Callable[[Loop, int], Coroutine[Any, Any, None]]
Measure: TypeAlias = Callable[[MakeLoop, int], float]


@dataclass(frozen=True)
class Case:
    """`operations` is what the time is divided by; `setting` says which loops can be asked."""

    setting: str
    operations: int
    measure: Measure


# ---- ways to measure


def cpu_of(runner: asyncio.Runner, work: Work, n: int) -> float:
    loop = runner.get_loop()
    gc.collect()
    start = time.process_time_ns()
    runner.run(work(loop, n))
    return (time.process_time_ns() - start) / n


def warm(work: Work, repeats: int = 4) -> Measure:
    """Best of some repeats on one loop, after a twentieth of the work: what a loop costs in the long run."""

    def measure(make: MakeLoop, n: int) -> float:
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(work(runner.get_loop(), max(n // 20, 100)))
            return min(cpu_of(runner, work, n) for _ in range(repeats))

    return measure


def cold(work: Work, prepare: Callable[[int], object] = id) -> Measure:
    """Once, on a new loop. `prepare` runs before the clock does."""

    def measure(make: MakeLoop, n: int) -> float:
        prepare(n)
        with asyncio.Runner(loop_factory=make) as runner:
            return cpu_of(runner, work, n)

    return measure


def creation(make: MakeLoop, n: int) -> float:
    def cycle() -> float:
        start = time.process_time_ns()
        for _ in range(n):
            make().close()
        return (time.process_time_ns() - start) / n

    return min(cycle() for _ in range(4))


def resident() -> int:
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(cancelled: bool) -> Measure:
    """Resident bytes per timer: while all are pending, or after all were cancelled and the loop has turned."""

    async def work(loop: Loop, n: int) -> float:
        handles: list[asyncio.Handle | None] = [
            None
        ] * n  # room for the references is not the loop's
        before = resident()
        later = loop.call_later
        for i in range(n):
            handles[i] = later(1000 + (i * 7919 % 100003) * 1e-3, print)
        await asyncio.sleep(0.05)
        if cancelled:
            for i, handle in enumerate(handles):
                assert handle is not None
                handle.cancel()
                handles[i] = None
            del handle
            await asyncio.sleep(0.05)
        held = resident() - before
        for pending in handles:
            if pending is not None:
                pending.cancel()
        return held / n

    def measure(make: MakeLoop, n: int) -> float:
        with asyncio.Runner(loop_factory=make) as runner:
            return runner.run(work(runner.get_loop(), n))

    return measure


# ---- real time


async def call_soon_chain(loop: Loop, n: int) -> None:
    """One callback is ready at a time."""
    done, left, soon = loop.create_future(), n, loop.call_soon

    def callback() -> None:
        nonlocal left
        left -= 1
        if left:
            soon(callback)
        else:
            done.set_result(None)

    soon(callback)
    await done


async def call_soon_batch(loop: Loop, n: int) -> None:
    """A thousand callbacks are ready at a time."""

    def callback() -> None:
        pass

    soon = loop.call_soon
    for _ in range(n // 1000):
        for _ in range(1000):
            soon(callback)
        await asyncio.sleep(0)


async def sleep_0(loop: Loop, n: int) -> None:
    sleep = asyncio.sleep
    for _ in range(n):
        await sleep(0)


async def future_await(loop: Loop, n: int) -> None:
    """Per operation: a future, a callback that sets it, a wake-up of the task that waits for it."""
    soon, create_future = loop.call_soon, loop.create_future
    for _ in range(n):
        future = create_future()
        soon(future.set_result, None)
        await future


async def ready() -> None:
    pass


async def one_turn() -> None:
    await asyncio.sleep(0)


async def create_task_await(loop: Loop, n: int) -> None:
    for _ in range(n):
        await loop.create_task(ready())


async def gather_100(loop: Loop, n: int) -> None:
    for _ in range(n // 100):
        await asyncio.gather(*[one_turn() for _ in range(100)])


async def task_group_100(loop: Loop, n: int) -> None:
    for _ in range(n // 100):
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(one_turn())


async def queue_ring_100(loop: Loop, n: int) -> None:
    """One token goes round 100 tasks; an operation is a hop."""
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(100)]

    async def member(i: int) -> None:
        mine, following = queues[i], queues[(i + 1) % 100]
        for _ in range(n // 100):
            following.put_nowait(await mine.get())

    tasks = [loop.create_task(member(i)) for i in range(100)]
    queues[0].put_nowait(1)
    await asyncio.gather(*tasks)


async def event_ping_pong(loop: Loop, n: int) -> None:
    a, b = asyncio.Event(), asyncio.Event()

    async def side(mine: asyncio.Event, other: asyncio.Event) -> None:
        for _ in range(n // 2):
            await mine.wait()
            mine.clear()
            other.set()

    tasks = [loop.create_task(side(a, b)), loop.create_task(side(b, a))]
    a.set()
    await asyncio.gather(*tasks)


async def timers_100k(loop: Loop, n: int) -> None:
    """Deadlines over the next 10 ms, in mixed order; most are past when the last is made."""
    done, left = loop.create_future(), n

    def callback() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    later = loop.call_later
    for i in range(n):
        later((i * 7919 % 1000) * 1e-5, callback)
    await done


async def timer_cancel(loop: Loop, n: int) -> None:
    later = loop.call_later
    for i in range(n):
        later(60 + (i * 7919 % 1000) * 1e-3, print).cancel()
        if not i % 1000:
            await asyncio.sleep(0)


async def wait_for(loop: Loop, n: int) -> None:
    for _ in range(n):
        await asyncio.wait_for(one_turn(), 10)


async def timeout(loop: Loop, n: int) -> None:
    for _ in range(n):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)


async def threadsafe_call(loop: Loop, n: int) -> None:
    """Another thread calls as fast as it can; both threads are charged."""
    done, left = loop.create_future(), n

    def callback() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    def other() -> None:
        call = loop.call_soon_threadsafe
        for _ in range(n):
            call(callback)

    thread = threading.Thread(target=other)
    thread.start()
    await done
    thread.join()


async def executor_round_trip(loop: Loop, n: int) -> None:
    for _ in range(n):
        await loop.run_in_executor(None, int)


# ---- nested, in real and in simulated time


async def nested_ready(loop: Loop, n: int) -> None:
    """From inside a running task: run a coroutine that ends without waiting."""
    run = loop.run_until_complete
    for _ in range(n):
        run(ready())


async def nested_one_turn(loop: Loop, n: int) -> None:
    """The same with a coroutine that gives way once."""
    run = loop.run_until_complete
    for _ in range(n):
        run(one_turn())


async def nested_sleep_1ms(loop: Loop, n: int) -> None:
    """The same with a coroutine that waits for the (simulated) clock."""
    run = loop.run_until_complete
    for _ in range(n):
        run(asyncio.sleep(0.001))


# ---- simulated time


@functools.cache
def delays(n: int) -> list[float]:
    """Whole microseconds, 10 us to 10 ms."""
    rng = random.Random(1)
    return [rng.randrange(10, 10_000) * 1e-6 for _ in range(n)]


@functools.cache
def deadlines(n: int) -> list[float]:
    """Whole microseconds over one second."""
    rng = random.Random(2)
    return [rng.randrange(1, 1_000_000) * 1e-6 for _ in range(n)]


async def sim_timers(loop: Loop, n: int) -> None:
    done, left = loop.create_future(), n

    def callback() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    later = loop.call_later
    for delay in deadlines(n):
        later(delay, callback)
    await done


async def sim_sleeps(loop: Loop, n: int) -> None:
    """A thousand tasks; each sleeps, a hundred times in the full size."""
    each, plan = n // 1000, delays(n)

    async def walker(mine: list[float]) -> None:
        for delay in mine:
            await asyncio.sleep(delay)

    await asyncio.gather(*[walker(plan[i * each : (i + 1) * each]) for i in range(1000)])


async def sim_gather_100(loop: Loop, n: int) -> None:
    sleep = asyncio.sleep
    for _ in range(n // 100):
        await asyncio.gather(*[sleep(0) for _ in range(100)])


async def sim_queue_ring_100(loop: Loop, n: int) -> None:
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(100)]

    async def member(i: int) -> None:
        mine, following = queues[i], queues[(i + 1) % 100]
        while (token := await mine.get()) > 0:
            await following.put(token - 1)
        await following.put(0)

    queues[0].put_nowait(n)
    await asyncio.gather(*[member(i) for i in range(100)])


# ---- the tables: cases, and loops by setting

CASES: dict[str, Case] = {
    "call_soon_chain": Case("real", 200_000, warm(call_soon_chain)),
    "call_soon_batch": Case("real", 200_000, warm(call_soon_batch)),
    "sleep_0": Case("real", 200_000, warm(sleep_0)),
    "future_await": Case("real", 100_000, warm(future_await)),
    "create_task_await": Case("real", 50_000, warm(create_task_await)),
    "gather_100": Case("real", 50_000, warm(gather_100)),
    "task_group_100": Case("real", 30_000, warm(task_group_100)),
    "queue_ring_100": Case("real", 100_000, warm(queue_ring_100)),
    "event_ping_pong": Case("real", 100_000, warm(event_ping_pong)),
    "timers_100k": Case("real", 100_000, warm(timers_100k)),
    "timer_cancel": Case("real", 100_000, warm(timer_cancel)),
    "wait_for": Case("real", 20_000, warm(wait_for)),
    "timeout": Case("real", 30_000, warm(timeout)),
    "threadsafe_call": Case("real", 30_000, warm(threadsafe_call)),
    "executor_round_trip": Case("real", 3_000, warm(executor_round_trip)),
    "loop_creation": Case("real", 200, creation),
    "nested_ready": Case("nested", 20_000, warm(nested_ready)),
    "nested_one_turn": Case("nested", 20_000, warm(nested_one_turn)),
    "sim_timers": Case("simulated", 1_000_000, cold(sim_timers, deadlines)),
    "sim_sleeps": Case("simulated", 100_000, cold(sim_sleeps, delays)),
    "sim_gather_100": Case("simulated", 100_000, cold(sim_gather_100)),
    "sim_queue_ring_100": Case("simulated", 100_000, cold(sim_queue_ring_100)),
    "sim_nested_ready": Case("simulated nested", 20_000, warm(nested_ready)),
    "sim_nested_one_turn": Case("simulated nested", 20_000, warm(nested_one_turn)),
    "sim_nested_sleep_1ms": Case("simulated nested", 20_000, warm(nested_sleep_1ms)),
    "memory_pending": Case("memory", 1_000_000, memory(cancelled=False)),
    "memory_cancelled": Case("memory", 1_000_000, memory(cancelled=True)),
}


def made_by(module: str, name: str = "new_event_loop", **options: bool) -> MakeLoop:
    def make() -> Loop:
        loop: Loop = getattr(importlib.import_module(module), name)(**options)
        return loop

    return make


def nest_asyncio_over(make: MakeLoop) -> MakeLoop:
    """`nest_asyncio` rewrites the class of the loop, and asyncio's globals, for the rest of the process."""

    def patched() -> Loop:
        loop = make()
        importlib.import_module("nest_asyncio").apply(loop)
        return loop

    return patched


STOCK = made_by("asyncio", "SelectorEventLoop")
SOLIPSISM = made_by("async_solipsism", "EventLoop")

# name -> setting -> how to make the loop. The name is also the module that must be installed.
LOOPS: dict[str, dict[str, MakeLoop]] = {
    "asyncio": {"real": STOCK, "memory": STOCK},
    "uvloop": {"real": made_by("uvloop"), "memory": made_by("uvloop")},
    "rloop": {"real": made_by("rloop"), "memory": made_by("rloop")},
    "blazio": {"real": made_by("blazio"), "memory": made_by("blazio")},
    "nest_asyncio": {
        "nested": nest_asyncio_over(STOCK),
        "simulated nested": nest_asyncio_over(SOLIPSISM),
    },
    "async_solipsism": {"simulated": SOLIPSISM},
    "soliloop": {
        "real": made_by("soliloop"),
        "memory": made_by("soliloop"),
        "nested": made_by("soliloop", nesting=True),
        "simulated": made_by("soliloop", simulated=True),
        "simulated nested": made_by("soliloop", simulated=True, nesting=True),
    },
}


def absent(loop: str, setting: str) -> str | None:
    """The module whose absence keeps this loop out, if any."""
    needed = [loop]
    if loop == "nest_asyncio" and setting == "simulated nested":
        needed.append("async_solipsism")
    return next((module for module in needed if importlib.util.find_spec(module) is None), None)


def main() -> None:
    name, loop, *rest = sys.argv[1:]
    case = CASES[name]
    divisor = int(rest[0]) if rest else 1
    print(case.measure(LOOPS[loop][case.setting], max(case.operations // divisor, 1)))


if __name__ == "__main__":
    main()
