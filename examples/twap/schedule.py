"""How a parent order is spread over the day: when each slice trades, and how much of it.

Pure arithmetic: it knows no clock, no loop and no exchange.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LOT = 100


@dataclass(frozen=True)
class Slice:
    """A stretch of the day, from *start* to *end*, and how many there are from this one on."""

    number: int
    start: datetime
    end: datetime
    left: int


def slices(start: datetime, hours: float, every: timedelta) -> list[Slice]:
    """Cut the hours of a day into slices of equal length.

    Raises:
        ValueError: Not one slice fits in.
    """
    count = int(timedelta(hours=hours) / every)
    if count < 1:
        raise ValueError(f"{hours} hours are shorter than a slice of {every}")
    return [
        Slice(index + 1, start + index * every, start + (index + 1) * every, count - index)
        for index in range(count)
    ]


def quantity(remaining: int, left: int, price: int, arrival_price: int) -> int:
    """Say how many shares a slice buys: an equal part of what remains, in whole lots.

    It buys up to a quarter more where the price is below that of the beginning, and up to a
    quarter less where it is above. The last slice takes all that remains.

    Args:
        remaining: Shares still to buy.
        left: Slices left, this one among them.
        price: The price now, in cents.
        arrival_price: The price at the beginning, in cents.
    """
    if left == 1:
        return remaining
    tilt = 1 + max(-0.25, min(0.25, (arrival_price - price) / arrival_price * 50))
    return min(remaining, round(remaining / left * tilt / LOT) * LOT)
