"""A trading day in which a broker buys 100,000 shares in even slices: python examples/twap/main.py

By default the day of 6.5 hours runs in simulated time, at once. Then it is played again, at a pace:
10,000 simulated seconds per real second; and both days must be the same, fill for fill.

    --live --factor 60    play the day at a minute per second, and print each fill as it comes
    --live                play it as slowly as life

The broker and the exchange are the same code each time, and know nothing of it.
"""

import argparse
import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import schedule
import soliloop
from broker import Broker
from exchange import Exchange, Fill

OPENING = datetime.fromisoformat("2024-01-02T09:30-05:00")  # New York
SLICE = timedelta(minutes=5)
PLAYBACK_FACTOR = 10_000
ROWS = 6  # of the table, at either end


@dataclass(frozen=True)
class Order:
    """What the broker is asked for, and the seed of the day on which it is."""

    quantity: int
    hours: float
    seed: int


@dataclass(frozen=True)
class Day:
    """What came of a day: fills, and the stock's price at each second, in cents."""

    fills: list[Fill]
    ticks: list[int]
    simulated: timedelta
    wall_seconds: float

    @property
    def digest(self) -> str:
        """A short text that is different if anything in the fills or the prices is."""
        return hashlib.sha256(repr((self.fills, self.ticks)).encode()).hexdigest()[:16]


def main() -> None:
    options = _options()
    order = Order(options.quantity, options.hours, options.seed)
    if options.live:
        print(_HEADER, flush=True)
        played = trade(order, factor=options.factor, on_fill=_print_fill)
        simulated = trade(order)
    else:
        simulated = trade(order)
        print(table(simulated.fills))
    print(summary(order, simulated))
    if not options.live:
        played = trade(order, factor=PLAYBACK_FACTOR)
    if played.digest != simulated.digest:
        raise SystemExit(f"played, the day was another: {played.digest}, not {simulated.digest}")
    print(f"played in {played.wall_seconds:.1f} wall seconds: the same day, digest {played.digest}")


def trade(
    order: Order,
    *,
    factor: float | None = None,
    on_fill: Callable[[Fill], None] = lambda fill: None,
) -> Day:
    """Run a day, at *factor* simulated seconds per real second; without it, at once."""
    began = time.monotonic()
    with soliloop.simulation(OPENING, factor=factor) as sim:
        exchange = Exchange(order.seed, sim.now)
        broker = Broker(exchange, sim.now, on_fill)
        sim.run(_day(order, exchange, broker))
        simulated = sim.now() - OPENING
    return Day(broker.fills, exchange.ticks, simulated, time.monotonic() - began)


async def _day(order: Order, exchange: Exchange, broker: Broker) -> None:
    market = asyncio.create_task(exchange.open())
    await broker.buy(order.quantity, schedule.slices(OPENING, order.hours, SLICE))
    market.cancel()


def table(fills: list[Fill]) -> str:
    """The first and the last fills."""
    rows = [_row(fill) for fill in fills]
    if len(rows) > 2 * ROWS:
        rows[ROWS:-ROWS] = [f"{'':8}  ... {len(rows) - 2 * ROWS} more ..."]
    return "\n".join([_HEADER, *rows])


def summary(order: Order, day: Day) -> str:
    """What was bought, at what price, and how long the day took. The prices are dollars."""
    filled = sum(fill.quantity for fill in day.fills)
    paid = sum(fill.quantity * fill.price for fill in day.fills) / filled / 100 if filled else 0.0
    arrival = day.ticks[0] / 100
    mean = sum(day.ticks) / len(day.ticks) / 100
    hours = day.simulated.total_seconds() / 3600
    return f"""
filled            {filled:,} of {order.quantity:,} shares in {len(day.fills)} fills
VWAP              {paid:.4f}
slippage          {_basis_points(paid, mean):+.2f} bp against the day's mean price, {mean:.4f}
                  {_basis_points(paid, arrival):+.2f} bp against the first price, {arrival:.4f}
simulated hours   {hours:.2f}
wall seconds      {day.wall_seconds:.3f}
digest            {day.digest}
"""


def _basis_points(paid: float, benchmark: float) -> float:
    return (paid / benchmark - 1) * 10_000 if paid else 0.0


def _print_fill(fill: Fill) -> None:
    print(_row(fill), flush=True)


def _row(fill: Fill) -> str:
    moment = fill.time.time().isoformat(timespec="milliseconds")
    return f"{moment}  {fill.slice_number:5}  {fill.quantity:8}  {fill.price / 100:8.2f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A trading day, simulated or at a pace.")
    parser.add_argument("--live", action="store_true", help="play the day at a pace")
    parser.add_argument("--factor", type=float, default=1.0, help="simulated seconds per second")
    parser.add_argument("--quantity", type=int, default=100_000, help="shares to buy")
    parser.add_argument("--hours", type=float, default=6.5, help="length of the day")
    parser.add_argument("--seed", type=int, default=7, help="of all that is drawn")
    return parser.parse_args()


_HEADER = f"{'time':12}  {'slice':>5}  {'quantity':>8}  {'price':>8}"


if __name__ == "__main__":
    main()
