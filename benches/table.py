"""Turns the figures of `micro.py` and `traffic.py` into Markdown that also reads well on a terminal. Measures nothing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

SUBJECT = "soliloop"
REFERENCE = "uvloop"
TITLES = {
    "real": "Real time, CPU ns per operation",
    "nested": "Nested runs in real time, CPU ns per run",
    "simulated": "Simulated time, CPU ns per operation",
    "simulated nested": "Nested runs in simulated time, CPU ns per run",
    "memory": "Memory, resident bytes per timer",
    "traffic": "Input and output, CPU ns of the server per operation",
    "idle": "Memory, resident bytes of the server per idle connection",
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
    def median(self) -> float:
        """Where a round can also be shorter by chance, because more messages came at a time: the usual round."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> str:
        """Median and greatest round over the least."""
        if self.least < 1:
            return "-"
        return f"{self.median / self.least:.2f}..{max(self.rounds) / self.least:.2f}"

    @property
    def reach(self) -> str:
        """Least and greatest round over the median."""
        if self.median < 1:
            return "-"
        return f"{self.least / self.median:.2f}..{max(self.rounds) / self.median:.2f}"


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


def ratios(row: dict[str, Figure]) -> dict[str, float]:
    """Each loop's median over the reference's; nothing where that one is missing or too small to divide by."""
    if REFERENCE not in row or row[REFERENCE].median < 1:
        return {}
    return {loop: f.median / row[REFERENCE].median for loop, f in row.items() if loop != REFERENCE}


def number(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 10 else f"{value:,.0f}"


def render(setting: str, figures: Figures, loops: list[str]) -> str:
    """The least of the rounds, beside the best peer: the cases of a setting, the loops that can run them."""
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
    return lay_out(TITLES[setting], rows)


def render_medians(setting: str, figures: Figures, loops: list[str]) -> str:
    """The medians of the rounds, and each loop's over the reference's. Every case was tried on every loop."""
    others = [loop for loop in loops if loop != REFERENCE and REFERENCE in loops]
    watched = [loop for loop in (SUBJECT, REFERENCE) if loop in loops]
    head = [
        "case",
        *loops,
        *(f"{loop} / {REFERENCE}" for loop in others),
        *(f"spread {loop}" for loop in watched),
    ]
    rows = [head]
    for case, row in figures.items():
        times = ratios(row)
        rows.append(
            [
                case,
                *(number(row[loop].median) if loop in row else "fails" for loop in loops),
                *(f"{times[loop]:.2f}" if loop in times else "-" for loop in others),
                *(row[loop].reach if loop in row else "-" for loop in watched),
            ]
        )
    return lay_out(TITLES[setting], rows)


def lay_out(title: str, rows: list[list[str]]) -> str:
    """The first row is the head; all but the first column are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(align(cell, widths[i], i) for i, cell in enumerate(row)) + " |"
        for row in rows
    ]
    rule = (
        "|"
        + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths))
        + "|"
    )
    return "\n".join([f"{title}\n", lines[0], rule, *lines[1:]])


def align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
