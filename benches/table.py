"""Turns the figures of `micro.py` into Markdown that also reads well on a terminal. Measures nothing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

SUBJECT = "soliloop"
TITLES = {
    "real": "Real time, CPU ns per operation",
    "nested": "Nested runs in real time, CPU ns per run",
    "simulated": "Simulated time, CPU ns per operation",
    "simulated nested": "Nested runs in simulated time, CPU ns per run",
    "memory": "Memory, resident bytes per timer",
}


@dataclass(frozen=True)
class Figure:
    """What the rounds gave for one case on one loop."""

    rounds: tuple[float, ...]

    @property
    def least(self) -> float:
        """What disturbs a round makes it longer, never shorter: the least is nearest to the truth."""
        return min(self.rounds)

    @property
    def spread(self) -> str:
        """Median and greatest round over the least."""
        if self.least < 1:
            return "-"
        median = statistics.median(self.rounds)
        return f"{median / self.least:.2f}..{max(self.rounds) / self.least:.2f}"


Figures = dict[str, dict[str, Figure]]  # case -> loop -> figure


def best_peer(row: dict[str, Figure]) -> str | None:
    peers = [loop for loop in row if loop != SUBJECT]
    return min(peers, key=lambda loop: row[loop].least, default=None)


def ratio(row: dict[str, Figure]) -> float | None:
    """The subject's figure over the best peer's; nothing where one is missing or too small to divide by."""
    best = best_peer(row)
    if best is None or SUBJECT not in row or row[best].least < 1:
        return None
    return row[SUBJECT].least / row[best].least


def number(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 10 else f"{value:,.0f}"


def render(setting: str, figures: Figures, loops: list[str]) -> str:
    """One table: the cases of a setting, the loops that can run them."""
    head = ["case", *loops, "best peer", f"{SUBJECT} / best", f"spread {SUBJECT}", "spread best"]
    rows = [head]
    for case, row in figures.items():
        best, times = best_peer(row), ratio(row)
        rows.append(
            [
                case,
                *(number(row[loop].least) if loop in row else "-" for loop in loops),
                best or "-",
                "-" if times is None else f"{times:.2f}",
                row[SUBJECT].spread if SUBJECT in row else "-",
                row[best].spread if best else "-",
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "| " + " | ".join(align(cell, widths[i], i) for i, cell in enumerate(row)) + " |"
        for row in rows
    ]
    rule = (
        "|"
        + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths))
        + "|"
    )
    return "\n".join([f"{TITLES[setting]}\n", lines[0], rule, *lines[1:]])


def align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
