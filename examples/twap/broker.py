"""A broker that spreads a parent order over the day, slice by slice (TWAP).

Most of it is coroutines. But what sizes a slice is a plain function, and deep in it is one more,
``reference_price``, that has to ask the exchange: a nested run. In grown programs such a function
is called from many places that nobody can turn into coroutines at once.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import schedule
from exchange import Exchange, Fill


class Broker:
    """Buys on an exchange.

    Args:
        exchange: Where it buys.
        now: Tells the time.
        on_fill: Is called with each fill.
    """

    def __init__(
        self, exchange: Exchange, now: Callable[[], datetime], on_fill: Callable[[Fill], None]
    ) -> None:
        self._exchange = exchange
        self._now = now
        self._on_fill = on_fill
        self._arrival_price = 0
        self.fills: list[Fill] = []

    async def buy(self, quantity: int, slices: list[schedule.Slice]) -> None:
        """Buy a quantity over the slices. What one of them does not get goes to the later ones."""
        self._arrival_price = self.reference_price()
        for each in slices:
            await self._wait_until(each.start)
            child = self._size(each, quantity - sum(fill.quantity for fill in self.fills))
            try:
                async with asyncio.timeout(self._seconds_until(each.end)):
                    await self._exchange.buy(each.number, child, self._report)
            except TimeoutError:
                pass  # the rest of the child order has been taken back
        await self._wait_until(slices[-1].end)

    def reference_price(self) -> int:
        """Return the price now, in cents. A plain function: the loop goes on while it waits."""
        return asyncio.get_running_loop().run_until_complete(self._exchange.quote())

    def _size(self, each: schedule.Slice, remaining: int) -> int:
        price = self.reference_price()
        return schedule.quantity(remaining, each.left, price, self._arrival_price)

    def _report(self, fill: Fill) -> None:
        self.fills.append(fill)
        self._on_fill(fill)

    async def _wait_until(self, moment: datetime) -> None:
        await asyncio.sleep(self._seconds_until(moment))

    def _seconds_until(self, moment: datetime) -> float:
        return max(0.0, (moment - self._now()).total_seconds())
