"""`time.sleep` in a simulation moves its clock; where it holds the loop up, that is reported."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import soliloop

pytestmark = pytest.mark.timeout(30)
HERE = Path(__file__).name


def blocked(sim: soliloop.Simulation, main: Any) -> list[warnings.WarningMessage]:
    """Runs *main*; gives the reports."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sim.run(main)
    assert {item.category for item in caught} <= {soliloop.PitfallWarning}
    return caught


# ------------------------------------------------------------------ outside of a run


@pytest.mark.parametrize(
    ("length", "nanoseconds"),
    [
        (0, 0),
        (0.0, 0),
        (-0.0, 0),
        (1, 10**9),
        (True, 10**9),
        (0.25, 250_000_000),
        (0.1, 100_000_000),
        (1.1, 1_100_000_000),
        (1e-9, 1),
        (1e-300, 1),
        (1e9, 10**18),
        (86_400 * 365, 86_400 * 365 * 10**9),
    ],
)
def test_it_moves_the_clock(length: float, nanoseconds: int) -> None:
    with soliloop.simulation() as sim:
        assert sleep(length) is None
        assert sim.loop.time_ns() == nanoseconds
        time.sleep(length)
        assert time.monotonic_ns() == 2 * nanoseconds


def test_what_can_be_an_index() -> None:
    class Index:
        def __index__(self) -> int:
            return 7

    with soliloop.simulation() as sim:
        sleep(Index())  # type: ignore[arg-type]
        assert sim.loop.time() == 7


def test_subclasses_of_float() -> None:
    class Seconds(float):
        def __float__(self) -> float:
            raise AssertionError

    with soliloop.simulation() as sim:
        sleep(Seconds(7))
        assert sim.loop.time() == 7


class _Fails:
    def __index__(self) -> int:
        raise LookupError("of __index__")


@pytest.mark.parametrize(
    "args",
    [
        (-1,), (-1e-12,), (-1e300,), (float("nan"),), (float("inf"),), (1e300,), (2**63,), (2**200,), (9.3e9,), (9_300_000_000,),
        ("1",), (None,), (b"1",), (Fraction(1),), (object(),), (_Fails(),), (), (1, 2),
    ],
    ids=repr,
)  # fmt: skip
def test_mistakes_are_refused_as_ever(args: tuple[Any, ...]) -> None:
    with pytest.raises(Exception) as outside:
        sleep(*args)
    with soliloop.simulation() as sim:
        with pytest.raises(Exception) as inside:
            sleep(*args)
        assert sim.loop.time_ns() == 0
    assert (inside.type, str(inside.value)) == (outside.type, str(outside.value))


def test_timers_come_when_the_loop_runs_again() -> None:
    ran: list[str] = []
    with soliloop.simulation() as sim:
        sim.loop.call_later(3, ran.append, "three")
        sim.loop.call_later(8, ran.append, "eight")
        sleep(5)
        assert ran == []
        sim.run(asyncio.sleep(0))
        assert (ran, sim.loop.time()) == (["three"], 5)
        sim.run(asyncio.sleep(5))
        assert (ran, sim.loop.time()) == (["three", "eight"], 10)


def test_it_takes_no_real_time() -> None:
    before = time.monotonic()
    with soliloop.simulation():
        for _ in range(1000):
            sleep(3600)
    assert time.monotonic() - before < 20


# ------------------------------------------------------------------ reports


def test_in_a_coroutine() -> None:
    def helper() -> None:
        time.sleep(2.5)  # the line that is named

    async def step() -> None:
        helper()

    async def main() -> None:
        asyncio.current_task().set_name("the main one")  # type: ignore[union-attr]
        await step()

    with soliloop.simulation() as sim:
        (report,) = blocked(sim, main())
        assert sim.loop.time() == 2.5
    text = str(report.message)
    line = helper.__code__.co_firstlineno + 1
    assert (Path(report.filename).name, report.lineno) == (HERE, line)
    assert "time.sleep()" in text and "2.5 s of simulated time" in text
    assert "task 'the main one'" in text
    assert "await asyncio.sleep()" in text and "asyncio.to_thread()" in text
    places = [text.index(name) for name in ("main (", "step (", "helper (")]
    assert places == sorted(places)
    assert f"{HERE}:{line})" in text
    assert "asyncio/" not in text and "soliloop/_" not in text


def test_in_a_callback() -> None:
    def callback() -> None:
        sleep(1)

    with soliloop.simulation() as sim:
        sim.loop.call_soon(callback)
        (report,) = blocked(sim, asyncio.sleep(0.5))
        assert "a callback: " in str(report.message) and "callback (" in str(report.message)
        assert sim.loop.time() == 1.5


def test_in_a_callback_without_a_frame() -> None:
    with soliloop.simulation() as sim:
        sim.loop.call_soon(sleep, 1)
        (report,) = blocked(sim, asyncio.sleep(0.5))
        assert "time.sleep()" in str(report.message) and "C code" in str(report.message)
        assert sim.loop.time() == 1.5


def test_it_is_a_runtime_warning_once_a_place() -> None:
    async def main() -> None:
        for _ in range(10):
            sleep(1)

    with soliloop.simulation() as sim, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        sim.run(main())
    assert [item.category for item in caught] == [soliloop.PitfallWarning]
    assert issubclass(soliloop.PitfallWarning, RuntimeWarning)


def test_as_an_error() -> None:
    async def main() -> str:
        with pytest.raises(soliloop.PitfallWarning, match=r"time\.sleep"):
            sleep(1)
        return "goes on"

    with soliloop.simulation() as sim, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sim.run(main()) == "goes on"


def test_others_are_late() -> None:
    late: list[float] = []

    async def ticks() -> None:
        for _ in range(4):
            await asyncio.sleep(1)
            late.append(time.monotonic())

    async def blocks() -> None:
        await asyncio.sleep(1.5)
        sleep(3)

    async def main() -> None:
        await asyncio.gather(ticks(), blocks())

    with soliloop.simulation() as sim:
        assert len(blocked(sim, main())) == 1
    assert late == [1, 4.5, 5.5, 6.5]


def test_no_sleep_no_report() -> None:
    async def main() -> None:
        sleep(0)
        sleep(0.0)

    with soliloop.simulation() as sim:
        assert blocked(sim, main()) == []


def test_functions_for_threads_are_not_reported() -> None:
    async def main() -> None:
        await asyncio.to_thread(sleep, 5)

    with soliloop.simulation() as sim:
        assert blocked(sim, main()) == []
        assert sim.loop.time() == 5


def test_in_a_bare_loop() -> None:
    async def main() -> None:
        sleep(5)

    loop = soliloop.SimulatedLoop()
    with pytest.warns(soliloop.PitfallWarning):
        loop.run_until_complete(main())
    assert loop.time() == 5
    loop.close()


def test_in_a_simulation_inside_a_callback() -> None:
    """It holds nobody up but the inner simulation, which does not run."""
    with soliloop.simulation() as outer:

        async def main() -> None:
            with soliloop.simulation() as inner:
                sleep(5)
                assert inner.loop.time() == 5

        assert blocked(outer, main()) == []
        assert outer.loop.time() == 0


def test_in_a_nested_run() -> None:
    async def sleeps() -> None:
        sleep(1)

    with soliloop.simulation() as sim:

        async def main() -> None:
            sim.loop.run_until_complete(sleeps())

        (report,) = blocked(sim, main())
        assert "sleeps (" in str(report.message)
        assert sim.loop.time() == 1


# ------------------------------------------------------------------ real time


def test_other_threads_really_sleep() -> None:
    took: list[float] = []

    def work() -> None:
        before = time.monotonic()
        sleep(0.02)
        took.append(time.monotonic() - before)

    with soliloop.simulation(outside="allow") as sim:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert sim.loop.time() == 0
    assert 0.02 <= took[0] < 10


def test_a_paced_simulation_waits_its_share() -> None:
    before = time.monotonic()
    with soliloop.simulation(factor=1000) as sim:
        sleep(20)
        assert sim.loop.time() == 20
    assert 0.02 <= time.monotonic() - before < 10


def test_a_paced_simulation_in_a_run() -> None:
    async def main() -> None:
        sleep(20)
        await asyncio.sleep(20)

    before = time.monotonic()
    with soliloop.simulation(factor=1000) as sim:
        assert len(blocked(sim, main())) == 1
        assert sim.loop.time() == 40
    assert 0.04 <= time.monotonic() - before < 10


def _raise(error: type[BaseException]) -> Callable[..., None]:
    def handler(*_: object) -> None:
        raise error

    return handler


def test_an_interrupt_ends_a_paced_sleep() -> None:
    previous = signal.signal(signal.SIGALRM, _raise(KeyboardInterrupt))
    try:
        with soliloop.simulation(factor=1) as sim:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(KeyboardInterrupt):
                sleep(3600)
            assert sim.loop.time() == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_after_a_simulation_it_really_sleeps() -> None:
    with soliloop.simulation():
        sleep(1)
    before = time.monotonic()
    sleep(0.02)
    assert time.monotonic() - before >= 0.02
