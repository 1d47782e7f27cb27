"""A made-up stock exchange: a price that wanders, answers that take time, and fills in parts.

All it draws follows from a seed, and it tells the time by the clock that it is given; so where the
clock is simulated, the same seed makes the same day to the microsecond. It knows nothing of
soliloop: it is plain asyncio.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Fill:
    """A part of an order that was traded; the price is in cents."""

    time: datetime
    slice_number: int
    quantity: int
    price: int


class Exchange:
    """Trades one stock.

    Args:
        seed: What prices, latencies and counterparties are drawn from.
        now: Tells the time.
        price: The first price, in cents.
    """

    def __init__(self, seed: int, now: Callable[[], datetime], price: int = 18_500) -> None:
        self._now = now
        self._price = price
        self.ticks = [price]
        # One source for each kind, so that one order more does not change the day's prices.
        self._prices, self._latencies, self._counterparties = (
            random.Random(f"{seed}/{kind}") for kind in ("prices", "latencies", "counterparties")
        )

    async def open(self) -> None:
        """Let the price wander, a step a second, until this is cancelled."""
        while True:
            await asyncio.sleep(1)
            self._price += self._prices.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2))
            self.ticks.append(self._price)

    async def quote(self) -> int:
        """Return the price in cents."""
        await self._latency()
        return self._price

    async def buy(self, slice_number: int, quantity: int, report: Callable[[Fill], None]) -> None:
        """Buy at the market, in parts, as counterparties turn up; a cancelled call stops buying.

        Args:
            slice_number: Is put on the fills.
            quantity: Shares to buy.
            report: Is called with each fill.
        """
        await self._latency()
        while quantity > 0:
            await asyncio.sleep(self._counterparties.expovariate(1 / 25))
            part = min(quantity, 100 * self._counterparties.randint(1, 6))
            quantity -= part
            report(Fill(self._now(), slice_number, part, self._price + 1))

    async def _latency(self) -> None:
        await asyncio.sleep(self._latencies.uniform(0.005, 0.060))
