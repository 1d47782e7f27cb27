"""The surface of kaizenflow's hasyncio over soliloop: what its own tests and its users rely on.

Time is simulated, except where real time itself is the subject.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import logging
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import soliloop
from soliloop.compat import async_solipsism, hasyncio
from soliloop.compat import hasyncio as hasynci

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


@pytest.fixture
def event_loop(no_leaks: None) -> Iterator[Any]:
    with hasynci.solipsism_context() as loop:
        yield loop
    loop.close()


@pytest.fixture(params=["pandas", "no pandas"])
def pandas(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """pandas, or None where it can't be imported: the module then makes do with datetimes."""
    if request.param == "pandas":
        module = pytest.importorskip("pandas")
    else:
        module = None
        monkeypatch.setitem(sys.modules, "pandas", None)
    hasyncio._timestamp_class.cache_clear()
    yield module
    hasyncio._timestamp_class.cache_clear()


def clock_at(text: str, zone: datetime.tzinfo | None = None) -> hasynci.GetWallClockTime:
    """A wall clock that stands still."""
    return lambda: datetime.datetime.fromisoformat(text).replace(tzinfo=zone)


def clock_of(loop: Any) -> hasynci.GetWallClockTime:
    return lambda: loop.get_current_time()


def succeeds_at_call(number: int) -> Callable[[], tuple[bool, str]]:
    calls = 0

    def polled() -> tuple[bool, str]:
        nonlocal calls
        calls += 1
        return calls == number, f"value {calls}"

    return polled


class Sleeper:
    """Takes the place of ``time.sleep``, and notes what it is asked for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    sleeper = Sleeper()
    monkeypatch.setattr("soliloop.compat.hasyncio.time.sleep", sleeper)
    return sleeper


# The surface.


def test_signatures() -> None:
    signatures = {
        name: [
            (parameter.name, parameter.kind.name, parameter.default)
            for parameter in inspect.signature(getattr(hasynci, name)).parameters.values()
        ]
        for name in hasynci.__all__
        if inspect.isfunction(getattr(hasynci, name))
    }
    plain, keyword, rest = "POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY", "VAR_POSITIONAL"
    needed = inspect.Parameter.empty
    polling = [
        ("polling_func", plain, needed),
        ("sleep_in_secs", plain, needed),
        ("timeout_in_secs", plain, needed),
        ("get_wall_clock_time", plain, needed),
        ("tag", keyword, None),
    ]
    waiting = [
        ("wait_until_timestamp", plain, needed),
        ("get_wall_clock_time", plain, needed),
        ("tag", keyword, None),
    ]
    assert signatures == {
        "solipsism_context": [],
        "gather_coroutines_with_wall_clock": [
            ("event_loop", plain, needed),
            ("coroutines", rest, needed),
        ],
        "run": [
            ("coroutine", plain, needed),
            ("event_loop", plain, needed),
            ("close_event_loop", keyword, True),
        ],
        "poll": polling,
        "sync_poll": polling,
        "get_poll_kwargs": [
            ("get_wall_clock_time", plain, needed),
            ("sleep_in_secs", keyword, 1.0),
            ("timeout_in_secs", keyword, 10.0),
        ],
        "sleep": [
            ("delay_in_secs", plain, needed),
            ("get_wall_clock_time", plain, needed),
            ("tag", keyword, None),
            ("seed", keyword, 42),
        ],
        "get_seconds_to_align_to_grid": [
            ("bar_duration_in_secs", plain, needed),
            ("get_wall_clock_time", plain, needed),
            ("add_buffer_in_secs", keyword, 0),
        ],
        "sync_wait_until": [*waiting, ("log_verbosity", keyword, logging.DEBUG)],
        "async_wait_until": waiting,
    }


def test_names_of_types() -> None:
    for name in ("PollOutput", "PollingFunction", "WaitInSecs"):
        assert hasattr(hasynci, name)


# Nested runs.


@pytest.mark.usefixtures("no_leaks")
def test_program_of_nested_runs() -> None:
    times = []

    async def A() -> None:
        await asyncio.sleep(2)
        B()
        times.append(loop.time())

    def B() -> None:
        loop = asyncio.get_running_loop()
        loop.run_until_complete(C())
        times.append(loop.time())

    async def C() -> None:
        await asyncio.sleep(2)
        times.append(loop.time())

    with hasynci.solipsism_context() as loop:
        hasynci.run(A(), loop, close_event_loop=False)
    assert times == [4.0, 4.0, 4.0]
    loop.close()


def test_nested_runs_come_back_as_each_is_done(event_loop: Any) -> None:
    back = []

    async def call(name: str, seconds: float) -> None:
        hasynci.run(asyncio.sleep(seconds), event_loop, close_event_loop=False)
        back.append((name, event_loop.time()))

    coroutine = asyncio.gather(call("A1", 0.2), call("A2", 0.6), call("A3", 0.4))
    hasynci.run(coroutine, event_loop, close_event_loop=False)
    assert back == [("A1", 0.2), ("A3", 0.4), ("A2", 0.6)]


def test_nested_run_without_a_loop_is_on_the_running_one(event_loop: Any) -> None:
    async def outer() -> float:
        hasynci.run(asyncio.sleep(3600), None)
        return asyncio.get_running_loop().time()

    assert hasynci.run(outer(), event_loop) == 3600.0


def test_nested_run_cannot_close_the_running_loop(event_loop: Any) -> None:
    async def outer() -> None:
        hasynci.run(asyncio.sleep(1), event_loop)

    with pytest.raises(RuntimeError, match="running"):
        hasynci.run(outer(), event_loop, close_event_loop=False)
    assert event_loop.time() == 1.0


# solipsism_context() and run().


async def workload(get_wall_clock_time: hasynci.GetWallClockTime, seconds: float) -> Any:
    before = get_wall_clock_time()
    await asyncio.sleep(seconds)
    return get_wall_clock_time() - before


def test_workload_in_simulated_time(event_loop: Any) -> None:
    elapsed = hasynci.run(workload(clock_of(event_loop), 1.0), event_loop=event_loop)
    assert elapsed == datetime.timedelta(seconds=1)


def test_workload_in_real_time() -> None:
    def clock() -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    elapsed = hasynci.run(workload(clock, 0.001), event_loop=None)
    assert elapsed >= datetime.timedelta(seconds=0.001)


def test_context_sets_and_unsets_the_current_loop() -> None:
    with hasynci.solipsism_context() as loop:
        assert asyncio.get_event_loop() is loop
    with pytest.raises(RuntimeError):
        asyncio.get_event_loop()
    loop.close()


def test_context_unsets_the_current_loop_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), hasynci.solipsism_context() as loop:
        raise ZeroDivisionError
    with pytest.raises(RuntimeError):
        asyncio.get_event_loop()
    loop.close()


def test_context_leaves_the_loop_open() -> None:
    with hasynci.solipsism_context() as loop:
        pass
    assert hasynci.run(asyncio.sleep(1, "result"), loop) == "result"
    assert loop.is_closed()


def test_loop_is_one_of_async_solipsism(event_loop: Any) -> None:
    assert isinstance(event_loop, async_solipsism.EventLoop)
    assert isinstance(event_loop, asyncio.AbstractEventLoop)
    with pytest.raises(async_solipsism.SleepForeverError):
        hasynci.run(asyncio.Event().wait(), event_loop)


def test_run_returns_the_result_and_closes_the_loop(event_loop: Any) -> None:
    assert hasynci.run(asyncio.sleep(1, "result"), event_loop) == "result"
    assert event_loop.is_closed()


def test_run_can_leave_the_loop_open_and_its_clock_goes_on(event_loop: Any) -> None:
    for _ in range(3):
        hasynci.run(asyncio.sleep(1), event_loop, close_event_loop=False)
    assert not event_loop.is_closed()
    assert event_loop.time() == 3.0


@pytest.mark.parametrize("close", [True, False])
def test_run_raises_what_the_coroutine_raises(event_loop: Any, close: bool) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hasynci.run(fails(), event_loop, close_event_loop=close)
    assert event_loop.is_closed() is close


def test_run_takes_a_future_of_the_current_loop(event_loop: Any) -> None:
    both = asyncio.gather(*(asyncio.sleep(1, text) for text in "ab"))
    assert hasynci.run(both, event_loop=event_loop) == ["a", "b"]


def test_run_refuses_what_is_no_loop() -> None:
    coroutine = asyncio.sleep(0)
    with pytest.raises(AssertionError, match="not an event loop"):
        hasynci.run(coroutine, "loop")  # type: ignore[arg-type]
    coroutine.close()


def test_run_works_on_a_stock_loop() -> None:
    loop = asyncio.new_event_loop()
    assert hasynci.run(asyncio.sleep(0, "result"), loop) == "result"
    assert loop.is_closed()


def test_run_without_a_loop_leaves_the_current_loop_alone(event_loop: Any) -> None:
    assert hasynci.run(asyncio.sleep(0, "result"), None) == "result"
    assert asyncio.get_event_loop() is event_loop


# The clock.


def test_current_time_is_utc_without_a_zone_from_now_on(pandas: Any) -> None:
    before = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    with hasynci.solipsism_context() as loop:
        after = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        assert before <= loop.get_current_time() <= after
        assert loop.get_current_time().tzinfo is None
        assert type(loop.get_current_time()) is (pandas.Timestamp if pandas else datetime.datetime)
    loop.close()


def test_current_time_is_the_simulated_one_also_after_the_end(event_loop: Any) -> None:
    start = event_loop.get_current_time()
    hasynci.run(asyncio.sleep(90_000.000001), event_loop)
    assert event_loop.get_current_time() - start == datetime.timedelta(
        days=1, hours=1, microseconds=1
    )


def test_gather_gives_each_coroutine_a_clock_of_new_york(event_loop: Any, pandas: Any) -> None:
    async def tell(
        seconds: float, get_wall_clock_time: hasynci.GetWallClockTime
    ) -> datetime.datetime:
        await asyncio.sleep(seconds)
        return get_wall_clock_time()

    start = event_loop.get_current_time().replace(tzinfo=datetime.UTC)
    coroutine = hasynci.gather_coroutines_with_wall_clock(
        event_loop, lambda clock: tell(3, clock), lambda clock: tell(2, clock)
    )
    moments = hasynci.run(coroutine, event_loop)
    assert [(moment - start).total_seconds() for moment in moments] == [3.0, 2.0]
    for moment in moments:
        assert str(moment.tzinfo) == "America/New_York"
        assert type(moment) is (pandas.Timestamp if pandas else datetime.datetime)


def test_gather_without_a_loop_gives_the_real_time(event_loop: Any) -> None:
    async def tell(get_wall_clock_time: hasynci.GetWallClockTime) -> datetime.datetime:
        return get_wall_clock_time()

    before = datetime.datetime.now(datetime.UTC)
    coroutine = hasynci.gather_coroutines_with_wall_clock(None, tell)
    [moment] = hasynci.run(coroutine, event_loop)
    assert before <= moment <= datetime.datetime.now(datetime.UTC)


def test_current_time_goes_through_kaizenflows_own_conversion(event_loop: Any) -> None:
    pandas = pytest.importorskip("pandas")
    moment = pandas.Timestamp(event_loop.get_current_time(), tz="UTC")
    assert moment.tz_convert("America/New_York") == moment


# Polling.


def test_poll_returns_the_number_of_calls_and_the_value(event_loop: Any) -> None:
    coroutine = hasynci.poll(succeeds_at_call(3), 2.0, 10.0, clock_of(event_loop))
    assert hasynci.run(coroutine, event_loop) == (3, "value 3")
    assert event_loop.time() == 4.0


@pytest.mark.parametrize(
    ("every", "timeout", "calls"), [(1.0, 10.0, 10), (3, 10, 4), (0.1, 0.3, 3), (10, 1, 1)]
)
def test_poll_times_out(event_loop: Any, every: float, timeout: float, calls: int) -> None:
    made = []

    def never() -> tuple[bool, None]:
        made.append(event_loop.time())
        return False, None

    coroutine = hasynci.poll(never, every, timeout, clock_of(event_loop), tag="the tag")
    with pytest.raises(TimeoutError, match=r"Timeout for .*never.*the tag"):
        hasynci.run(coroutine, event_loop)
    assert made == pytest.approx([every * number for number in range(calls)])
    assert event_loop.time() == made[-1]


def test_poll_succeeds_at_the_last_call(event_loop: Any) -> None:
    coroutine = hasynci.poll(succeeds_at_call(10), 1.0, 10.0, clock_of(event_loop))
    assert hasynci.run(coroutine, event_loop) == (10, "value 10")


def test_poll_raises_what_the_function_raises(event_loop: Any) -> None:
    coroutine = hasynci.poll(lambda: 1 // 0, 1.0, 10.0, clock_of(event_loop))  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        hasynci.run(coroutine, event_loop)


@pytest.mark.parametrize(
    ("every", "timeout"), [(0, 1), (-1, 1), (1, 0), (1, -1), (float("nan"), 1)]
)
def test_poll_seconds_are_positive(
    event_loop: Any, sleeper: Sleeper, every: float, timeout: float
) -> None:
    clock, polled = clock_of(event_loop), succeeds_at_call(1)
    with pytest.raises(AssertionError):
        hasynci.sync_poll(polled, every, timeout, clock)
    with pytest.raises(AssertionError):
        hasynci.get_poll_kwargs(clock, sleep_in_secs=every, timeout_in_secs=timeout)
    with pytest.raises(AssertionError):
        hasynci.run(hasynci.poll(polled, every, timeout, clock), event_loop)
    assert not sleeper.seconds


def test_poll_needs_a_clock(event_loop: Any) -> None:
    with pytest.raises(TypeError):
        hasynci.run(hasynci.poll(succeeds_at_call(1), 1, 1, None), event_loop)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="wall clock"):
        hasynci.get_poll_kwargs(None)  # type: ignore[arg-type]


def test_sync_poll_returns_true_and_the_value(sleeper: Sleeper) -> None:
    polled = succeeds_at_call(3)
    assert hasynci.sync_poll(polled, 2.0, 10.0, clock_at("2024-01-02")) == (True, "value 3")
    assert sleeper.seconds == [2.0, 2.0]


def test_sync_poll_times_out(sleeper: Sleeper) -> None:
    with pytest.raises(TimeoutError, match="the tag"):
        hasynci.sync_poll(succeeds_at_call(4), 1.0, 3.0, clock_at("2024-01-02"), tag="the tag")
    assert sleeper.seconds == [1.0, 1.0]


def test_poll_kwargs_are_those_of_poll(event_loop: Any) -> None:
    clock = clock_of(event_loop)
    kwargs = hasynci.get_poll_kwargs(clock)
    assert kwargs == {"sleep_in_secs": 1.0, "timeout_in_secs": 10.0, "get_wall_clock_time": clock}
    coroutine = hasynci.poll(succeeds_at_call(2), tag="the tag", **kwargs)
    assert hasynci.run(coroutine, event_loop) == (2, "value 2")


# Sleeping.


@pytest.mark.parametrize("seconds", [0, 1, 2.5])
def test_sleep(event_loop: Any, seconds: float) -> None:
    hasynci.run(hasynci.sleep(seconds, clock_of(event_loop)), event_loop)
    assert event_loop.time() == seconds


def test_sleep_for_a_random_time_that_follows_from_the_seed(event_loop: Any) -> None:
    def drawn(**options: int) -> float:
        before = event_loop.time()
        coroutine = hasynci.sleep((1, 3.5), clock_of(event_loop), **options)  # type: ignore[arg-type]
        hasynci.run(coroutine, event_loop, close_event_loop=False)
        seconds: float = event_loop.time() - before
        return round(seconds, 6)

    assert drawn() == drawn() == drawn(seed=42)
    times = {drawn(seed=seed) for seed in range(20)}
    assert len(times) == 20
    assert all(1 <= seconds <= 3.5 for seconds in times)


@pytest.mark.parametrize("delay", [-1, -0.5, (1,), (1, 2, 3), (2, 1), (-1, 1)])
def test_sleep_refuses_a_delay_that_cannot_be(event_loop: Any, delay: Any) -> None:
    with pytest.raises(AssertionError):
        hasynci.run(hasynci.sleep(delay, clock_of(event_loop)), event_loop)


@pytest.mark.parametrize("delay", ["1", None, [1, 2]])
def test_sleep_refuses_what_is_no_delay(event_loop: Any, delay: Any) -> None:
    with pytest.raises(ValueError, match="Invalid delay_in_secs"):
        hasynci.run(hasynci.sleep(delay, clock_of(event_loop)), event_loop)


# The grid.


@pytest.mark.parametrize(
    ("now", "period", "buffer", "line", "seconds"),
    [
        ("2022-07-11 09:31:02", 120, 0, "2022-07-11 09:32:00", 58.0),
        ("2022-07-11 09:31:02", 120, 5, "2022-07-11 09:32:00", 63.0),
        ("2022-07-11 09:32:00", 120, 0, "2022-07-11 09:32:00", 0.0),
        ("2022-07-11 11:29:15.129365", 300, 1, "2022-07-11 11:30:00", 45.870635),
        ("2022-07-11 23:59:59.999999", 60, 0, "2022-07-12 00:00:00", 0.000001),
        ("2022-07-11 00:00:01", 86_400, 0, "2022-07-12 00:00:00", 86_399.0),
        ("2022-07-11 09:00:00.5", 1, 0, "2022-07-11 09:00:01", 0.5),
        ("1969-12-31 23:59:30", 60, 0, "1970-01-01 00:00:00", 30.0),
    ],
)
@pytest.mark.parametrize("zone", [None, datetime.UTC, NEW_YORK], ids=str)
def test_grid(
    pandas: Any,
    now: str,
    period: int,
    buffer: int,
    line: str,
    seconds: float,
    zone: datetime.tzinfo | None,
) -> None:
    moment = clock_at(now, zone)()
    if pandas:
        moment = pandas.Timestamp(moment)
    found = hasynci.get_seconds_to_align_to_grid(period, lambda: moment, add_buffer_in_secs=buffer)
    assert found == (clock_at(line, zone)(), seconds)
    assert type(found[0]) is type(moment)


def test_grid_counts_the_hour_that_the_clocks_skip() -> None:
    clock = clock_at("2024-03-10 01:00:00", NEW_YORK)
    line, seconds = hasynci.get_seconds_to_align_to_grid(4 * 3600, clock)
    assert line == datetime.datetime(2024, 3, 10, 4, tzinfo=NEW_YORK)
    assert seconds == 2 * 3600


@pytest.mark.parametrize(
    ("period", "options"), [(0, {}), (-60, {}), (60.0, {}), (60, {"add_buffer_in_secs": -1})]
)
def test_grid_refuses_what_is_no_period(period: Any, options: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        hasynci.get_seconds_to_align_to_grid(period, clock_at("2024-01-02"), **options)


# Waiting until a moment.


@pytest.mark.usefixtures("pandas")
def test_wait_until_a_moment(event_loop: Any) -> None:
    clock = clock_of(event_loop)
    moment = clock() + datetime.timedelta(hours=1, microseconds=1)
    hasynci.run(hasynci.async_wait_until(moment, clock), event_loop)
    assert clock() == moment
    assert event_loop.time() == 3600.000001


def test_wait_until_the_next_line_of_the_grid(event_loop: Any) -> None:
    async def bars() -> list[datetime.datetime]:
        moments = []
        for _ in range(3):
            line, _ = hasynci.get_seconds_to_align_to_grid(300, clock)
            await hasynci.async_wait_until(line, clock)
            moments.append(clock())
            assert moments[-1] == line
            await hasynci.sleep(10, clock)
        return moments

    clock = clock_of(event_loop)
    first, second, third = hasynci.run(bars(), event_loop)
    assert second - first == third - second == datetime.timedelta(minutes=5)


def test_wait_across_the_hour_that_the_clocks_repeat(event_loop: Any) -> None:
    clock = clock_at("2024-11-03 00:30:00", NEW_YORK)
    moment = datetime.datetime(2024, 11, 3, 2, 30, tzinfo=NEW_YORK)
    hasynci.run(hasynci.async_wait_until(moment, clock), event_loop)
    assert event_loop.time() == 3 * 3600.0


def test_no_wait_until_a_moment_that_has_passed(
    event_loop: Any, sleeper: Sleeper, caplog: pytest.LogCaptureFixture
) -> None:
    clock = clock_of(event_loop)
    moment = clock() - datetime.timedelta(seconds=1)
    hasynci.run(hasynci.async_wait_until(moment, clock), event_loop)
    assert event_loop.time() == 0.0
    hasynci.sync_wait_until(moment, clock)
    assert sleeper.seconds == [0.0]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "has passed" in caplog.text


def test_sync_wait_sleeps_and_asks_the_clock_three_times(sleeper: Sleeper) -> None:
    # Programs script their clocks by the number of times that they are asked.
    asked = 0

    def clock() -> datetime.datetime:
        nonlocal asked
        asked += 1
        return datetime.datetime(2024, 2, 20, 18, tzinfo=datetime.UTC)

    hasynci.sync_wait_until(datetime.datetime(2024, 2, 20, 18, 0, 1, tzinfo=datetime.UTC), clock)
    assert sleeper.seconds == [1.0]
    assert asked == 3


def test_sync_wait_logs_its_end_at_the_level_asked_for(
    sleeper: Sleeper, caplog: pytest.LogCaptureFixture
) -> None:
    clock = clock_at("2024-01-02")
    with caplog.at_level(logging.INFO):
        hasynci.sync_wait_until(clock(), clock, tag="the tag", log_verbosity=logging.INFO)
    assert sleeper.seconds == [0.0]
    [record] = caplog.records
    assert "the tag" in record.getMessage()


@pytest.mark.usefixtures("sleeper")
def test_moments_with_and_without_a_zone_do_not_compare() -> None:
    moment = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    with pytest.raises(TypeError):
        hasynci.sync_wait_until(moment, clock_at("2024-01-02"))


def test_everything_works_on_a_loop_of_soliloops_own() -> None:
    with soliloop.simulation("2024-01-02T09:30-05:00") as sim:
        moment = datetime.datetime.fromisoformat("2024-01-02T16:00-05:00")
        sim.run(hasynci.async_wait_until(moment, sim.now))
        assert sim.now() == moment
