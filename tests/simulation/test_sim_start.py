"""Where a simulation starts, and the date and time it shows."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import soliloop

UTC = UTC
NEW_YORK = ZoneInfo("America/New_York")


def test_the_default_start() -> None:
    with soliloop.simulation() as sim:
        assert sim.now() == datetime(2000, 1, 1, tzinfo=UTC)
        assert sim.now().utcoffset() == timedelta(0)


def test_iso_text() -> None:
    with soliloop.simulation(start="2024-01-02T09:30-05:00") as sim:
        assert sim.now() == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
        assert sim.now().isoformat() == "2024-01-02T09:30:00-05:00"
        sim.run(asyncio.sleep(6.5 * 3600))
        assert sim.now().isoformat() == "2024-01-02T16:00:00-05:00"


@pytest.mark.parametrize(
    "text", ["2024-01-02T14:30Z", "2024-01-02 14:30:00+00:00", "20240102T143000+0000"]
)
def test_other_spellings(text: str) -> None:
    with soliloop.simulation(start=text) as sim:
        assert sim.now() == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


def test_a_datetime() -> None:
    start = datetime(2024, 1, 2, 9, 30, 15, 123_456, tzinfo=NEW_YORK)
    with soliloop.simulation(start=start) as sim:
        assert sim.now() == start
        assert sim.now().tzinfo is NEW_YORK


def test_the_loop_shows_the_same() -> None:
    loop = soliloop.new_event_loop(simulated=True, start="2024-01-02T09:30-05:00")
    try:
        loop.run_until_complete(asyncio.sleep(60))
        assert loop.now().isoformat() == "2024-01-02T09:31:00-05:00"  # type: ignore[attr-defined]
    finally:
        loop.close()


def test_whole_microseconds() -> None:
    with soliloop.simulation() as sim:
        sim.run(asyncio.sleep(0.000_001_999))
        assert sim.now().microsecond == 1
        sim.run(asyncio.sleep(0.000_000_001))
        assert sim.now().microsecond == 2


def test_spring_forward() -> None:
    """10 March 2024: after 01:59:59 EST comes 03:00:00 EDT."""
    with soliloop.simulation(start=datetime(2024, 3, 10, 1, 59, 59, tzinfo=NEW_YORK)) as sim:
        assert sim.now().tzname() == "EST"
        sim.run(asyncio.sleep(1))
        assert (sim.now().isoformat(), sim.now().tzname()) == ("2024-03-10T03:00:00-04:00", "EDT")
        sim.run(asyncio.sleep(3600))
        assert sim.now().isoformat() == "2024-03-10T04:00:00-04:00"


def test_fall_back() -> None:
    """3 November 2024: after 01:59:59 EDT comes 01:00:00 EST."""
    with soliloop.simulation(start=datetime(2024, 11, 3, 1, 59, 59, tzinfo=NEW_YORK)) as sim:
        assert (sim.now().fold, sim.now().tzname()) == (0, "EDT")
        sim.run(asyncio.sleep(1))
        assert (sim.now().isoformat(), sim.now().fold) == ("2024-11-03T01:00:00-05:00", 1)


def test_a_start_in_the_second_of_two_equal_hours() -> None:
    with soliloop.simulation(start=datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK, fold=1)) as sim:
        assert sim.now().isoformat() == "2024-11-03T01:30:00-05:00"
        sim.run(asyncio.sleep(1800))
        assert sim.now().isoformat() == "2024-11-03T02:00:00-05:00"


def test_a_leap_day_and_a_turn_of_the_year() -> None:
    with soliloop.simulation(start="2024-02-28T23:59:59Z") as sim:
        sim.run(asyncio.sleep(1))
        assert sim.now().date() == date(2024, 2, 29)
        sim.run(asyncio.sleep(307 * 86_400))
        assert sim.now() == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "start", ["1900-01-01T00:00Z", "1969-12-31T23:59:59Z", "2300-01-01T00:00Z"]
)
def test_other_centuries(start: str) -> None:
    with soliloop.simulation(start=start) as sim:
        sim.run(asyncio.sleep(1))
        assert sim.now() == datetime.fromisoformat(start) + timedelta(seconds=1)


class _Unsure(tzinfo):
    """A zone that does not know its offset: a datetime with it is naive all the same (docs of datetime)."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> str:
        return "unsure"


@pytest.mark.parametrize(
    "start",
    [
        "2024-01-02T09:30",
        "2024-01-02",
        datetime(2024, 1, 2, 9, 30),
        datetime(2024, 1, 2, tzinfo=_Unsure()),
    ],
    ids=["text", "date", "datetime", "zone without an offset"],
)
def test_a_naive_start(start: Any) -> None:
    with pytest.raises(ValueError, match="time zone"), soliloop.simulation(start=start):
        pass
    with pytest.raises(ValueError, match="time zone"):
        soliloop.new_event_loop(simulated=True, start=start)


@pytest.mark.parametrize(
    "start", ["", "garbage", "2024-13-01T00:00Z", "2024-01-02T25:00Z", "09:30-05:00"]
)
def test_garbage(start: str) -> None:
    with pytest.raises(ValueError), soliloop.simulation(start=start):
        pass


@pytest.mark.parametrize("start", [5, 1.5, b"2024-01-02T09:30Z", date(2024, 1, 2), object()])
def test_what_is_neither_text_nor_datetime(start: Any) -> None:
    with pytest.raises((TypeError, ValueError)), soliloop.simulation(start=start):
        pass


def test_start_is_for_simulated_time() -> None:
    with pytest.raises(ValueError, match="simulated=True"):
        soliloop.new_event_loop(start="2024-01-02T09:30-05:00")


def test_simulations_do_not_share_a_clock() -> None:
    with (
        soliloop.simulation(start="2024-01-01T00:00Z") as one,
        soliloop.simulation(start="2025-01-01T00:00Z") as two,
    ):
        one.run(asyncio.sleep(10))
        two.run(asyncio.sleep(1))
        one.run(asyncio.sleep(10))
        assert one.now() == datetime(2024, 1, 1, 0, 0, 20, tzinfo=UTC)
        assert two.now() == datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC)
