"""Who a simulated thread is to Python's own modules: its number, its name, its thread-local values."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import soliloop


@pytest.fixture
def sim(no_leaks: None) -> Iterator[soliloop.Simulation]:
    known = set(threading.enumerate())
    with soliloop.simulation() as sim:
        yield sim
    assert set(threading.enumerate()) <= known


def test_names_and_numbers(sim: soliloop.Simulation) -> None:
    def tell() -> tuple[str, int, bool]:
        thread = threading.current_thread()
        assert thread is not threading.main_thread()
        assert thread in threading.enumerate()
        time.sleep(1)
        assert threading.current_thread() is thread
        return thread.name, threading.get_ident(), thread.ident == threading.get_ident()

    async def main() -> list[tuple[str, int, bool]]:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(2, "worker") as pool:
            calls = [loop.run_in_executor(executor, tell) for executor in (pool, pool, None)]
            told = await asyncio.gather(*calls)
        assert threading.current_thread() is threading.main_thread()
        return told

    told = sim.run(main())
    assert [name for name, _, _ in told] == ["worker_0", "worker_1", "asyncio_0"]
    assert len({number for _, number, _ in told}) == 3
    assert threading.get_ident() not in {number for _, number, _ in told}
    assert all(is_own for _, _, is_own in told)
    # The numbers of threads that have ended are used again: a run that is repeated has the same ones.
    assert [number for _, number, _ in sim.run(main())] == [number for _, number, _ in told]


def test_loggers_tell_the_name(sim: soliloop.Simulation) -> None:
    def name_and_number() -> tuple[str | None, int | None]:
        record = logging.makeLogRecord({})
        return record.threadName, record.thread

    async def main() -> tuple[str | None, int | None]:
        return await asyncio.to_thread(name_and_number)

    name, number = sim.run(main())
    assert name == "asyncio_0"
    assert number != threading.get_ident()


MANY = 200


class Counted(threading.local):
    made = 0
    value = 0

    def __init__(self, start: int) -> None:
        Counted.made += 1
        self.value = start


@pytest.mark.parametrize("make", [threading.local, lambda: Counted(7)], ids=["plain", "subclass"])
def test_thread_local_values(sim: soliloop.Simulation, make: Any) -> None:
    local, Counted.made = make(), 0
    local.value = "of the loop"

    def use(number: int) -> None:
        assert getattr(local, "value", None) in (None, 7)
        local.value = number
        time.sleep(1 + number % 2)
        assert local.value == number

    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(use, number) for number in range(5)))
        assert local.value == "of the loop"

    sim.run(main())
    assert local.value == "of the loop"
    assert Counted.made == (5 if isinstance(local, Counted) else 0)


def test_one_thread_keeps_its_values_from_call_to_call(sim: soliloop.Simulation) -> None:
    local = threading.local()

    def count() -> int:
        local.count = getattr(local, "count", 0) + 1
        return int(local.count)

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, count) for _ in range(3)))

    assert sim.run(main()) == [1, 2, 3]


def test_values_end_with_their_thread(sim: soliloop.Simulation) -> None:
    class Value:
        pass

    local, ended = threading.local(), []

    def keep() -> None:
        local.value = Value()
        ended.append(weakref.ref(local.value))
        time.sleep(1)

    async def main() -> None:
        await asyncio.to_thread(keep)
        await asyncio.sleep(0)

    sim.run(main())
    gc.collect()
    assert [reference() for reference in ended] == [None]
    assert not hasattr(local, "value")


def test_values_of_a_thread_that_is_ended_with_the_simulation(no_leaks: None) -> None:
    local, seen = threading.local(), []
    local.value = "of the loop"
    known = set(threading.enumerate())

    def wait() -> None:
        local.value = "of the thread"
        try:
            threading.Event().wait()
        finally:
            seen.append((local.value, threading.current_thread().name))

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, wait)
        await asyncio.sleep(1)

    with pytest.raises(soliloop.DeadlockError), soliloop.simulation() as sim:
        sim.run(main())
    assert seen == [("of the thread", "asyncio_0")]
    assert local.value == "of the loop"
    assert set(threading.enumerate()) <= known


@pytest.mark.parametrize("run", [asyncio.run, soliloop.run], ids=["asyncio", "soliloop"])
def test_a_loop_in_real_time_in_a_thread(sim: soliloop.Simulation, run: Any) -> None:
    local = threading.local()
    local.value = "of the loop"

    async def inside() -> bool:
        await asyncio.sleep(0)
        return hasattr(local, "value")

    async def main() -> bool:
        return await asyncio.to_thread(run, inside(), debug=True)

    assert not sim.run(main())


def test_a_simulation_in_a_thread(sim: soliloop.Simulation) -> None:
    def name() -> str:
        time.sleep(1)
        return threading.current_thread().name

    def simulate() -> tuple[str, str]:
        async def main() -> str:
            return await asyncio.to_thread(name)

        with soliloop.simulation() as inner:
            return threading.current_thread().name, inner.run(main())

    async def main() -> list[tuple[str, str]]:
        return await asyncio.gather(asyncio.to_thread(simulate), asyncio.to_thread(simulate))

    assert sim.run(main()) == [("asyncio_0", "asyncio_0")] * 2


def test_no_loop_of_the_policy_is_made_there(sim: soliloop.Simulation) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="no current event loop in thread 'asyncio_0'"):
            await asyncio.to_thread(asyncio.get_event_loop)

    sim.run(main())


def test_values_of_an_object_that_ends_while_its_threads_wait(sim: soliloop.Simulation) -> None:
    """A later `threading.local` may have the address of one that has ended, and must not find its values."""

    def use(number: int, found: list[object]) -> None:
        mine = threading.local()
        mine.value = locals_of_loop[number].value = [number]
        time.sleep(2)
        found += [local.__dict__ for local in later]
        assert mine.value == [number]

    async def main() -> list[object]:
        found: list[object] = []
        calls = [asyncio.to_thread(use, number, found) for number in range(len(locals_of_loop))]
        waiting = asyncio.gather(*calls)
        await asyncio.sleep(1)
        locals_of_loop.clear()
        gc.collect()
        later.extend(threading.local() for _ in range(MANY))
        await waiting
        return found

    locals_of_loop = [threading.local() for _ in range(30)]
    later: list[threading.local] = []
    assert sim.run(main()) == [{}] * 30 * MANY


def test_values_of_the_loop_whose_object_ends_in_a_thread(sim: soliloop.Simulation) -> None:
    ended = [threading.local() for _ in range(30)]
    for local in ended:
        local.value = [1]
    later: list[threading.local] = []

    def use() -> None:
        ended.clear()
        gc.collect()
        later.extend(threading.local() for _ in range(MANY))

    async def main() -> None:
        await asyncio.to_thread(use)

    del local
    sim.run(main())
    assert [local.__dict__ for local in later] == [{}] * MANY


def test_threads_have_values_of_their_own_in_every_known_python() -> None:
    assert soliloop._soliloop._threads_have_values()


SHARED = """
import asyncio, gc, sys, threading, time

gc.get_referents = lambda *things: []  # by which the place of the values is found
import soliloop

local = threading.local()

def use(number):
    local.value = number
    time.sleep(1)
    return local.value, threading.current_thread().name

async def main():
    return await asyncio.gather(asyncio.to_thread(use, 1), asyncio.to_thread(use, 2))

with soliloop.simulation() as sim:
    told = sim.run(main())
own = soliloop._soliloop._threads_have_values()
assert own == (sys.version_info < (3, 13)), own
assert told == ([(1, "asyncio_0"), (2, "asyncio_1")] if own else [(2, "MainThread")] * 2), told
assert len(threading.enumerate()) == 1
"""


def test_values_are_shared_where_their_place_is_not_found() -> None:
    done = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_numbers_are_the_smallest_free_ones(sim: soliloop.Simulation) -> None:
    def number(seconds: float) -> int:
        time.sleep(seconds)
        return threading.get_ident()

    async def main() -> list[int]:
        calls = [asyncio.to_thread(number, seconds) for seconds in (3, 1, 5)]
        first = asyncio.gather(*calls)
        await asyncio.sleep(2)
        return [await asyncio.to_thread(number, 0), *await first]

    base = min(sim.run(main()))
    assert sim.run(main()) == [base + 1, base, base + 1, base + 2]
