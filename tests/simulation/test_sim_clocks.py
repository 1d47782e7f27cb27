"""Every clock of Python agrees with the simulation, on its thread, as long as it lasts; whatever name it was taken by before."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import clock_support as clocks
import pytest
import soliloop
from clock_support import MONOTONIC, TEXTS, WALL, assert_untouched, is_true
from soliloop._soliloop import Outside, _intercepted, _not_intercepted

START = "2024-01-02T09:30:00.123457-05:00"
SECONDS = datetime.fromisoformat(START).timestamp()


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    assert_untouched()
    yield
    assert_untouched()


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def local_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_every_function_is_found() -> None:
    assert _not_intercepted() == []


def test_every_function_is_found_behind_what_stands_in_for_it() -> None:
    """A test's decorator may last while the first name of soliloop's is used."""
    code = """\
from unittest import mock
with mock.patch("time.time"), mock.patch("time.sleep"), mock.patch("datetime.datetime"), mock.patch("posix.urandom"):
    from soliloop._soliloop import _not_intercepted
print(_not_intercepted())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# ------------------------------------------------------------------ which clocks


@pytest.mark.parametrize("clock", WALL.values(), ids=WALL)
def test_wall_clocks(clock: Callable[[], float]) -> None:
    with soliloop.simulation(start=START) as sim:
        assert clock() == pytest.approx(SECONDS, abs=1e-6)
        sim.run(asyncio.sleep(86_400.25))
        assert clock() == pytest.approx(SECONDS + 86_400.25, abs=1e-6)


@pytest.mark.parametrize("clock", MONOTONIC.values(), ids=MONOTONIC)
def test_monotonic_clocks(clock: Callable[[], float]) -> None:
    with soliloop.simulation(start=START) as sim:
        assert clock() == 0
        sim.run(asyncio.sleep(0.25))
        assert clock() == 0.25 == sim.loop.time()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_present_is_the_simulated_one(text: Callable[[], str]) -> None:
    with soliloop.simulation(start="1987-07-01T12:00Z") as sim:
        assert text() == "1987"
        sim.run(asyncio.sleep(366 * 86_400))
        assert text() == "1988"


def test_utcnow() -> None:
    with soliloop.simulation(start=START):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.filters", [("ignore", None, DeprecationWarning, None, 0)])
            moment = clocks.utcnow()
        assert moment == datetime(2024, 1, 2, 14, 30, 0, 123_457)


def test_utcnow_is_deprecated_where_it_is() -> None:
    def warnings_of_utcnow() -> list[tuple[type[Warning], str, str]]:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clocks.utcnow()
        return [(item.category, str(item.message), item.filename) for item in caught]

    with soliloop.simulation():
        inside = warnings_of_utcnow()
    assert inside == warnings_of_utcnow()


def test_clocks_of_the_processor_stay_real() -> None:
    with soliloop.simulation() as sim:
        before = (
            time.process_time(),
            time.thread_time(),
            time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID),
        )
        sim.run(asyncio.sleep(1e6))
        after = (
            time.process_time(),
            time.thread_time(),
            time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID),
        )
    assert all(0 <= late - early < 100 for early, late in zip(before, after, strict=True))


def test_times_that_are_given_are_taken() -> None:
    with soliloop.simulation():
        assert time.gmtime(0).tm_year == 1970
        assert time.localtime(86_400 * 400).tm_year == 1971
        assert time.ctime(86_400 * 400)[-4:] == "1971"
        assert time.asctime(time.gmtime(0))[-4:] == "1970"
        assert time.strftime("%Y", time.gmtime(0)) == "1970"
        assert datetime.fromtimestamp(0, UTC).year == 1970
        assert date.fromtimestamp(86_400 * 400).year == 1971


def test_whole_nanoseconds() -> None:
    with soliloop.simulation(start="2024-01-02T14:30Z") as sim:
        sim.run(asyncio.sleep(1e-9))
        assert time.time_ns() == 1_704_205_800_000_000_001
        assert time.clock_gettime_ns(time.CLOCK_REALTIME) == time.time_ns()
        assert (time.monotonic_ns(), time.perf_counter_ns()) == (1, 1)
        assert datetime.now(UTC).microsecond == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: time.time(1),  # type: ignore[call-arg]
        lambda: time.clock_gettime("x"),  # type: ignore[arg-type]
        lambda: time.clock_gettime(12_345),
        lambda: time.localtime("x"),  # type: ignore[arg-type]
        lambda: time.gmtime(1, 2),  # type: ignore[call-arg]
        lambda: time.localtime(1e300),
        lambda: time.strftime(),  # type: ignore[call-arg]
        lambda: time.strftime(5),  # type: ignore[arg-type]
        lambda: time.asctime(None),  # type: ignore[arg-type]
        lambda: datetime.now(5),  # type: ignore[arg-type]
        lambda: datetime.now(UTC, UTC),  # type: ignore[call-arg]
        lambda: datetime.now(zone=UTC),  # type: ignore[call-arg]
        lambda: date.today(1),  # type: ignore[call-arg]
    ],
)
def test_mistakes_are_refused_as_ever(call: Callable[[], object]) -> None:
    with pytest.raises(Exception) as outside:
        call()
    with soliloop.simulation(), pytest.raises(Exception) as inside:
        call()
    assert (inside.type, str(inside.value)) == (outside.type, str(outside.value))


# ------------------------------------------------------------------ dates


@pytest.mark.parametrize(
    "start",
    [
        START,
        "2024-01-02T09:30:00.999999+05:45",
        "1969-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.000001Z",
        "1950-06-01T00:00:00.000001+14:00",
        "1582-10-15T00:00Z",
        "0001-01-02T00:00:00.000001Z",
        "2262-04-12T00:00:00.000001Z",
        "2400-02-29T12:00:00.123456Z",
        "9999-12-30T23:59:59.999999Z",
    ],
)
def test_starts_to_the_microsecond(start: str) -> None:
    instant = datetime.fromisoformat(start)
    since_epoch = instant - datetime(1970, 1, 1, tzinfo=UTC)
    with soliloop.simulation(start=start) as sim:
        assert datetime.now(UTC) == instant == sim.now()
        assert time.time_ns() == since_epoch // timedelta(microseconds=1) * 1000
        assert time.time() == since_epoch.total_seconds()
        assert time.gmtime()[:6] == instant.astimezone(UTC).timetuple()[:6]


def test_now_is_the_simulations_own(local_zone: str) -> None:
    with soliloop.simulation(
        start=datetime(2024, 3, 10, 1, 59, 59, 999_999, ZoneInfo("America/New_York"))
    ) as sim:
        for _ in range(100):
            zone = sim.now().tzinfo
            assert datetime.now(zone) == sim.now()
            assert datetime.now().astimezone(UTC) == sim.now()
            assert datetime.now() == datetime.today()
            assert date.today() == datetime.now().date()
            assert time.strftime("%F %T") == f"{datetime.now():%F %T}"
            sim.run(asyncio.sleep(3600.000_000_7))


def test_the_hour_that_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with soliloop.simulation(start="2024-11-03T05:30:00.5Z") as sim:
            first = datetime.now(), Sub.now()
            sim.run(asyncio.sleep(3600))
            second = datetime.now(), Sub.now()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [moment.fold for moment in first] == [0, 0]
    assert [moment.fold for moment in second] == [1, 1]
    assert {moment.replace(fold=0) for moment in first + second} == {
        datetime(2024, 11, 3, 1, 30, 0, 500_000)
    }
    assert type(second[1]) is Sub


class Sub(datetime):
    made: ClassVar[list[tuple[Any, ...]]] = []

    def __new__(cls, *args: Any, **options: Any) -> Sub:
        cls.made.append(args)
        return super().__new__(cls, *args, **options)


class SubDate(date):
    pass


class Odd(datetime):
    """A subclass with other ideas of what the methods beside `now` do."""

    @classmethod
    def fromtimestamp(cls, *_: Any) -> Any:
        return "odd"

    def replace(self, *_: Any, **__: Any) -> Any:
        return "odd"


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=2)), ZoneInfo("Asia/Tokyo")])
def test_subclasses_of_datetime(zone: tzinfo | None) -> None:
    with soliloop.simulation(start=START) as sim:
        moment = Sub.now(zone)
        assert type(moment) is Sub
        assert moment == datetime.now(zone)
        assert moment.tzinfo is zone
        assert moment.astimezone(UTC) == sim.now()
        assert type(Odd.now(zone)) is Odd
        assert Odd.now(zone) == moment
        assert type(Sub.today()) is Sub
        assert type(SubDate.today()) is SubDate
        assert Odd.today() == "odd"  # as in real life: it is made of that
    assert Odd.today() == "odd"


def test_a_subclass_is_made_as_ever() -> None:
    Sub.made = []
    Sub.now()
    outside = Sub.made
    Sub.made = []
    with soliloop.simulation():
        Sub.now()
    assert [len(args) for args in Sub.made] == [len(args) for args in outside]
    assert [type(arg) for arg in Sub.made[0]] == [type(arg) for arg in outside[0]]


def test_a_date_that_no_datetime_can_hold() -> None:
    with soliloop.simulation(start="9999-12-31T00:00Z") as sim:
        sim.run(asyncio.sleep(3 * 86_400))
        for clock in (datetime.now, lambda: datetime.now(UTC), datetime.today, date.today):
            with pytest.raises(ValueError, match="year"):
                clock()
        assert time.gmtime().tm_year == 10_000


# ------------------------------------------------------------------ where


def test_inside_coroutines_and_callbacks() -> None:
    seen: list[float] = []

    async def main() -> None:
        asyncio.get_running_loop().call_later(2, lambda: seen.append(clocks.monotonic()))
        async with asyncio.timeout(10):
            await asyncio.sleep(1)
            seen.append(clocks.monotonic())
        await asyncio.sleep(4)
        seen.append(clocks.monotonic())

    with soliloop.simulation() as sim:
        sim.run(main())
    assert seen == [1, 2, 5]


def test_timeouts() -> None:
    async def main() -> float:
        before = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 12)
        return time.monotonic() - before

    with soliloop.simulation() as sim:
        assert sim.run(main()) == 42


def test_log_records(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await asyncio.sleep(60)
        logging.getLogger("test").warning("hello")

    with caplog.at_level(logging.WARNING), soliloop.simulation(start="1999-12-31T23:59Z") as sim:
        sim.run(main())
        text = logging.Formatter("%(asctime)s").format(caplog.records[-1])
    assert caplog.records[-1].created == datetime(2000, 1, 1, tzinfo=UTC).timestamp()
    assert text.endswith(",000")


@pytest.mark.parametrize(
    "make", [soliloop.SimulatedLoop, lambda: soliloop.new_event_loop(simulated=True)]
)
def test_a_bare_loop_has_its_clocks_while_it_runs(
    make: Callable[[], soliloop.SimulatedLoop],
) -> None:
    async def main() -> tuple[float, int]:
        await asyncio.sleep(1)
        return time.time(), datetime.now(UTC).year

    loop = make()
    for number in (1, 2):
        assert is_true()
        assert loop.run_until_complete(main()) == (946_684_800.0 + number, 2000)
    assert is_true()
    loop.close()


def test_runners() -> None:
    async def main() -> float:
        await asyncio.sleep(1)
        return time.monotonic()

    def make() -> soliloop.EventLoop:
        return soliloop.new_event_loop(simulated=True)

    with asyncio.Runner(loop_factory=make) as runner:
        assert [runner.run(main()), runner.run(main())] == [1, 2]
    with soliloop.Runner(loop_factory=make) as runner:
        assert [runner.run(main()), runner.run(main())] == [1, 2]


def test_a_loop_that_leaves_the_clocks_alone() -> None:
    async def main() -> bool:
        await asyncio.sleep(1)
        return is_true()

    loop = soliloop.SimulatedLoop(clocks=False)
    assert loop.run_until_complete(main())
    assert loop.time() == 1
    loop.close()


def test_hot_code_follows() -> None:
    """The interpreter specialises calls that it makes often."""

    def many() -> float:
        for _ in range(2_000):
            latest = clocks.time_s()
            clocks.localtime()
            clocks.now()
        return latest

    for _ in range(3):
        assert many() > 1e9
        with soliloop.simulation():
            assert many() == 946_684_800.0


def test_many_simulations() -> None:
    for _ in range(1_000):
        with soliloop.simulation() as sim:
            sim.run(asyncio.sleep(1))
            assert time.monotonic() == 1
        assert _intercepted() == 0


# ------------------------------------------------------------------ simulations in simulations


def test_the_innermost_counts() -> None:
    with soliloop.simulation(start="2001-01-01T00:00Z") as outer:
        outer.run(asyncio.sleep(1))
        with soliloop.simulation(start="2002-01-01T00:00Z") as inner:
            assert datetime.now(UTC).year == 2002
            outer.run(_year_is(2001))
            assert datetime.now(UTC).year == 2002
            inner.run(_year_is(2002))
        assert datetime.now(UTC) == datetime(2001, 1, 1, 0, 0, 1, tzinfo=UTC)
        outer.run(_year_is(2001))


async def _year_is(year: int) -> None:
    await asyncio.sleep(0)
    assert datetime.now(UTC).year == year
    await asyncio.sleep(0)
    assert time.gmtime().tm_year == year


def test_a_simulation_in_a_callback_of_another() -> None:
    with soliloop.simulation(start="2001-01-01T00:00Z") as outer:

        async def main() -> None:
            await _year_is(2001)
            with soliloop.simulation(start="2002-01-01T00:00Z") as inner:
                inner.run(_year_is(2002))
                assert datetime.now(UTC).year == 2002
            await _year_is(2001)

        outer.run(main())


def test_ended_out_of_order() -> None:
    one = soliloop.simulation(start="2001-01-01T00:00Z")
    two = soliloop.simulation(start="2002-01-01T00:00Z")
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert datetime.now(UTC).year == 2002
    two.__exit__(None, None, None)


def test_nested_runs_take_their_simulation_with_them() -> None:
    """A stack that is parked inside another simulation leaves the clocks to the loop that goes on."""
    order: list[str] = []
    with soliloop.simulation(start="2001-01-01T00:00Z") as outer:

        async def parks(year: int, delay: float) -> None:
            with soliloop.simulation(start=f"{year}-01-01T00:00Z") as inner:
                outer.loop.run_until_complete(asyncio.sleep(delay))
                order.append(f"{year} at {outer.loop.time()}")
                assert datetime.now(UTC).year == year
                inner.run(_year_is(year))

        async def watches() -> None:
            for _ in range(10):
                await asyncio.sleep(0.1)
                await _year_is(2001)

        async def main() -> None:
            await asyncio.gather(parks(2002, 0.25), parks(2003, 0.65), parks(2004, 0.45), watches())

        outer.run(main())
        assert datetime.now(UTC).year == 2001
    assert order == ["2002 at 0.25", "2004 at 0.45", "2003 at 0.65"]


def test_nested_runs_of_a_real_loop() -> None:
    real = soliloop.new_event_loop(nesting=True)

    async def parks() -> None:
        with soliloop.simulation():
            real.run_until_complete(asyncio.sleep(0.01))
            assert not is_true()

    async def watches() -> None:
        for _ in range(5):
            await asyncio.sleep(0.001)
            assert is_true()

    async def main() -> None:
        await asyncio.gather(parks(), watches())

    real.run_until_complete(main())
    real.close()


# ------------------------------------------------------------------ loops in real time


async def _true_and_moving() -> None:
    assert is_true()
    before = time.monotonic()
    await asyncio.sleep(0.002)
    assert time.monotonic() > before
    assert is_true()


@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, soliloop.new_event_loop])
def test_a_real_loop_inside_a_simulation(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with soliloop.simulation():
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(_true_and_moving())
        assert not is_true()


@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, soliloop.new_event_loop])
def test_a_real_loop_inside_a_callback_of_a_simulation(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    def work() -> None:
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(_true_and_moving())

    with soliloop.simulation() as sim:
        sim.run(asyncio.to_thread(work))
        assert not is_true()


@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, soliloop.new_event_loop])
def test_a_simulation_inside_a_real_loop(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        await _true_and_moving()
        with soliloop.simulation() as sim:
            assert not is_true()
            sim.run(_year_is(2000))
            await asyncio.sleep(0.002)  # the real loop's own clock goes on
            assert not is_true()
        await _true_and_moving()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


# ------------------------------------------------------------------ threads


def test_other_threads_see_the_true_time() -> None:
    seen: list[bool] = []
    with soliloop.simulation(outside="allow") as sim:

        async def main() -> None:
            await asyncio.sleep(1)
            helper = threading.Thread(target=lambda: seen.append(is_true()))
            helper.start()
            helper.join()
            assert not is_true()

        sim.run(main())
    assert seen == [True]


def test_two_threads_with_a_simulation_each() -> None:
    """They take turns, so that each works while the other one's simulation is on."""
    barrier = threading.Barrier(2, timeout=20)
    failures: list[BaseException] = []

    def work(year: int, laps: int) -> None:
        try:
            assert is_true()
            barrier.wait()
            with soliloop.simulation(start=f"{year}-01-01T00:00Z") as sim:
                for lap in range(laps):
                    with Outside():
                        barrier.wait()
                    sim.run(_year_is(year))
                    time.sleep(1)
                    assert time.monotonic() == lap + 1
            assert is_true()
            for _ in range(30 - laps):  # the other one goes on
                barrier.wait()
                assert is_true()
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=args) for args in [(2001, 10), (2002, 30)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_ended_by_another_thread() -> None:
    """As a generator is that another thread collects."""
    context = soliloop.simulation()
    entered = threading.Event()
    reading, writing = os.pipe()  # a wait for a lock would be one in simulated time
    seen: list[bool] = []

    def work() -> None:
        context.__enter__()
        seen.append(is_true())
        entered.set()
        os.read(reading, 1)
        seen.append(is_true())

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(20)
    context.__exit__(None, None, None)
    os.write(writing, b".")
    thread.join()
    os.close(reading)
    os.close(writing)
    assert seen == [False, True]


def test_executors() -> None:
    """The function stands for a thread of the simulation."""
    with soliloop.simulation() as sim:
        assert not sim.run(asyncio.to_thread(is_true))


# ------------------------------------------------------------------ undone after errors


def test_an_exception_in_the_body() -> None:
    with pytest.raises(LookupError), soliloop.simulation():
        assert not is_true()
        raise LookupError
    assert_untouched()


def test_an_exception_in_a_coroutine() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise LookupError

    with pytest.raises(LookupError), soliloop.simulation() as sim:
        sim.run(fails())
    assert_untouched()
    loop = soliloop.SimulatedLoop()
    with pytest.raises(LookupError):
        loop.run_until_complete(fails())
    assert_untouched()
    loop.close()


def test_a_deadlock() -> None:
    loop = soliloop.SimulatedLoop()
    with pytest.raises(soliloop.DeadlockError):
        loop.run_until_complete(loop.create_future())
    assert_untouched()
    loop.close()
    with pytest.raises(soliloop.DeadlockError), soliloop.simulation() as sim:
        sim.run(asyncio.Event().wait())
    assert_untouched()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt(kind: type[BaseException]) -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise kind

    loop = soliloop.SimulatedLoop()
    with pytest.raises(kind):
        loop.run_until_complete(main())
    assert_untouched()
    loop.close()
    with pytest.raises(kind), soliloop.simulation() as sim:
        sim.run(main())
    assert_untouched()


def test_a_task_that_cannot_end() -> None:
    async def cannot_end() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.Event().wait()

    with pytest.raises(soliloop.DeadlockError), soliloop.simulation() as sim:
        task = sim.loop.create_task(cannot_end())
        sim.run(asyncio.sleep(1))
    assert task is not None
    assert_untouched()


@pytest.mark.parametrize(
    "options",
    [{"start": "nonsense"}, {"factor": -1}, {"seed": "x"}, {"seed": None, "entropy": True}],
)
def test_a_simulation_that_cannot_begin(options: Any) -> None:
    with pytest.raises((ValueError, TypeError)), soliloop.simulation(**options):
        pass
    assert_untouched()


def test_closing_a_loop_with_parked_stacks() -> None:
    loop = soliloop.SimulatedLoop(nesting=True)
    loop.set_exception_handler(lambda *_: None)
    years: list[int] = []

    async def parks() -> None:
        try:
            loop.run_until_complete(loop.create_future())
        finally:
            years.append(datetime.now(UTC).year)

    task = loop.create_task(parks())
    loop.run_until_complete(asyncio.sleep(1))
    assert_untouched()
    loop.close()
    assert years == [2000]
    assert task.cancelled()


@pytest.mark.parametrize("attempt", range(3))
def test_collected_without_an_end(attempt: int) -> None:
    context = soliloop.simulation()
    context.__enter__()
    assert not is_true()
    del context  # the generator is closed
    assert_untouched()


# ------------------------------------------------------------------ beside others


def test_many_threads() -> None:
    """Simulations begin and end on some threads while others read the clocks."""
    failures: list[BaseException] = []
    over = threading.Event()

    def simulates(year: int) -> None:
        for _ in range(100):
            assert is_true()
            with soliloop.simulation(start=f"{year}-01-01T00:00Z") as sim:
                sim.run(_year_is(year))
                assert TEXTS["localtime"]() in (str(year), str(year - 1))
            loop = soliloop.SimulatedLoop(start=f"{year}-01-01T00:00Z")
            loop.run_until_complete(_year_is(year))
            loop.close()

    def reads() -> None:
        while not over.is_set():
            assert is_true()

    def guarded(work: Callable[..., None], *args: int) -> None:
        try:
            work(*args)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=guarded, args=(reads,)) for _ in range(2)]
    writers = [
        threading.Thread(target=guarded, args=(simulates, 2000 + number)) for number in range(1, 5)
    ]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in readers:
        thread.join()
    assert failures == []


def test_a_python_function_in_the_place_of_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As other packages exchange them: what is in the module is theirs, and the function itself is ours all the same."""
    monkeypatch.setattr(time, "time", lambda: 5.0)
    with soliloop.simulation():
        assert (time.time(), clocks.time_s()) == (5.0, 946_684_800.0)
    monkeypatch.undo()
    with soliloop.simulation():
        assert time.time() == 946_684_800.0


def test_loops_are_let_go() -> None:
    import gc
    import weakref

    with soliloop.simulation() as sim:
        sim.run(_year_is(2000))
        loop = weakref.ref(sim.loop)
    del sim
    gc.collect()
    assert loop() is None


def test_the_process_ends_inside_simulations() -> None:
    program = (
        "import soliloop, threading, time\n"
        "def work():\n"
        "    with soliloop.simulation():\n"
        "        ready.set()\n"
        "        while True:\n"
        "            time.sleep(1); time.time()\n"
        "ready = threading.Event()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "ready.wait()\n"
        "held = soliloop.simulation()\n"
        "held.__enter__()\n"
        "print(time.time())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.returncode, done.stderr) == ("946684800.0\n", 0, "")


@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # that it has threads (Python 3.12)
def test_a_fork_inside_a_simulation() -> None:
    with soliloop.simulation(start=START, outside="allow") as sim:
        sim.run(asyncio.sleep(1))
        child = os.fork()
        if child == 0:
            os._exit(
                not (
                    time.time() == pytest.approx(SECONDS + 1)
                    and sim.run(asyncio.sleep(1, True))
                    and time.monotonic() == 2
                )
            )
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert time.monotonic() == 1
