"""Interleaved rounds of measurements, and the file that keeps every figure. Knows no case; `micro.py` and `traffic.py` do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from table import Figure, Figures

Failures = dict[tuple[str, str], str]  # case, loop -> why


class Failed(Exception):
    """A measurement ended without a figure."""


def schedule(pairs: dict[str, list[str]], rounds: int) -> Iterator[tuple[int, str, str]]:
    """Round, case, loop; every other round has the loops in reverse."""
    for turn in range(rounds):
        for case, loops in pairs.items():
            for loop in loops[:: -1 if turn % 2 else 1]:
                yield turn, case, loop


def run(
    pairs: dict[str, list[str]], rounds: int, measure: Callable[[str, str], float]
) -> tuple[Figures, Failures]:
    """The figures that `measure` gave for each case and loop, and why some are missing. What failed once is not tried again."""
    taken: dict[str, dict[str, list[float]]] = {case: {} for case in pairs}
    failed: Failures = {}
    for turn, case, loop in schedule(pairs, rounds):
        if (case, loop) in failed:
            continue
        progress(f"round {turn + 1}/{rounds}  {case}  {loop}")
        try:
            taken[case].setdefault(loop, []).append(measure(case, loop))
        except Failed as error:
            failed[case, loop] = str(error)
            taken[case].pop(loop, None)
    progress("")
    figures = {
        case: {loop: Figure(tuple(row[loop])) for loop in pairs[case] if loop in row}
        for case, row in taken.items()
    }
    return figures, failed


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """For the processes that are measured: without what slows Python down to help with errors."""
    slow = {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONMALLOC", "PYTHONTRACEMALLOC"}
    return {name: value for name, value in os.environ.items() if name not in slow}


def explain(left_out: list[str], failed: Failures) -> None:
    """Below the tables: a line for each figure, or column of figures, that is missing."""
    for line in left_out:
        print(line)
    for (case, loop), why in failed.items():
        print(f"failed: {case} on {loop}: {why}")


def version(loop: str) -> str:
    try:
        return importlib.metadata.version(loop)
    except importlib.metadata.PackageNotFoundError:
        return platform.python_version() if loop == "asyncio" else "of no known version"


def save(
    file: str,
    figures: Figures,
    failed: Failures,
    settings: dict[str, object],
    about: Callable[[str, dict[str, Figure]], dict[str, object]],
) -> None:
    """Every round's figure, with what the program was asked (`settings`) and what it says of each case (`about`)."""
    loops = dict.fromkeys(loop for row in figures.values() for loop in row)
    document = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {loop: version(loop) for loop in loops},
        **settings,
        "cases": {
            case: {
                **about(case, row),
                "loops": {
                    loop: {"least": f.least, "median": f.median, "rounds": f.rounds}
                    for loop, f in row.items()
                },
            }
            for case, row in figures.items()
        },
        "failed": [
            {"case": case, "loop": loop, "why": why} for (case, loop), why in failed.items()
        ],
    }
    Path(file).write_text(json.dumps(document, indent=1) + "\n")


def names(text: str) -> list[str]:
    """The names in an option's value."""
    return [name for name in text.split(",") if name]
