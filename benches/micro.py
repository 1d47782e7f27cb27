"""Micro benchmarks of event loops in one interleaved run.

    python benches/micro.py                                    # everything, 5 rounds
    python benches/micro.py --quick --cases call_soon,sim_     # names or beginnings of names
    python benches/micro.py --loops asyncio,uvloop,soliloop --rounds 9 --json out.json

Every figure is the least of the rounds. In a round each case runs on each loop in a fresh process, in the
order A B C, and C B A in the next. See README.md for what is measured and how noisy it is.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cases import CASES, LOOPS, absent
from table import Figure, Figures, ratio, render

LIMIT_SECONDS = 300


class Failed(Exception):
    """A measurement ended without a figure."""


def measure(case: str, loop: str, divisor: int) -> float:
    """One figure from a fresh process."""
    command = [sys.executable, str(Path(__file__).with_name("cases.py")), case, loop, str(divisor)]
    quiet = {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONMALLOC", "PYTHONTRACEMALLOC"}
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {LIMIT_SECONDS} s") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Failed(f"exit status {done.returncode}: {last[0]}")
    return float(done.stdout)


def schedule(pairs: dict[str, list[str]], rounds: int) -> Iterator[tuple[int, str, str]]:
    """Round, case, loop; every other round has the loops in reverse."""
    for turn in range(rounds):
        for case, loops in pairs.items():
            for loop in loops[:: -1 if turn % 2 else 1]:
                yield turn, case, loop


def run(
    pairs: dict[str, list[str]], rounds: int, divisor: int
) -> tuple[Figures, dict[tuple[str, str], str]]:
    """The figures, and why some are missing. What failed once is not tried again."""
    taken: dict[str, dict[str, list[float]]] = {case: {} for case in pairs}
    failed: dict[tuple[str, str], str] = {}
    for turn, case, loop in schedule(pairs, rounds):
        if (case, loop) in failed:
            continue
        progress(f"round {turn + 1}/{rounds}  {case}  {loop}")
        try:
            taken[case].setdefault(loop, []).append(measure(case, loop, divisor))
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


def choose(
    wanted_cases: list[str] | None, wanted_loops: list[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The loops to run each case on, and a line for each loop that is left out."""
    cases = [name for name in CASES if wanted_cases is None or name.startswith(tuple(wanted_cases))]
    pairs: dict[str, list[str]] = {}
    left_out: dict[str, None] = {}
    for name in cases:
        setting = CASES[name].setting
        able = [loop for loop in wanted_loops if setting in LOOPS[loop]]
        for loop in able:
            if missing := absent(loop, setting):
                left_out[f"left out: {loop} ({missing} is not installed)"] = None
        pairs[name] = [loop for loop in able if not absent(loop, setting)]
    return {name: loops for name, loops in pairs.items() if loops}, list(left_out)


def version(loop: str) -> str:
    try:
        return importlib.metadata.version(loop)
    except importlib.metadata.PackageNotFoundError:
        return platform.python_version()


def show(figures: Figures, failed: dict[tuple[str, str], str], left_out: list[str]) -> None:
    for setting in dict.fromkeys(CASES[case].setting for case in figures):
        mine = {case: row for case, row in figures.items() if CASES[case].setting == setting}
        loops = [loop for loop in LOOPS if any(loop in row for row in mine.values())]
        print(render(setting, mine, loops) + "\n")
    for line in left_out:
        print(line)
    for (case, loop), why in failed.items():
        print(f"failed: {case} on {loop}: {why}")


def save(
    file: str, figures: Figures, failed: dict[tuple[str, str], str], rounds: int, divisor: int
) -> None:
    loops = dict.fromkeys(loop for row in figures.values() for loop in row)
    document = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {loop: version(loop) for loop in loops},
        "rounds": rounds,
        "work_divided_by": divisor,
        "cases": {
            case: {
                "setting": CASES[case].setting,
                "unit": "B" if CASES[case].setting == "memory" else "ns",
                "ratio_to_best_peer": ratio(row),
                "loops": {loop: {"least": f.least, "rounds": f.rounds} for loop, f in row.items()},
            }
            for case, row in figures.items()
        },
        "failed": [
            {"case": case, "loop": loop, "why": why} for (case, loop), why in failed.items()
        ],
    }
    Path(file).write_text(json.dumps(document, indent=1) + "\n")


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="default 5, or 2 with --quick")
    parser.add_argument(
        "--loops", type=names, default=list(LOOPS), help=f"of {','.join(LOOPS)}; default all"
    )
    parser.add_argument("--cases", type=names, help="names or beginnings of names; default all")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the work: shows that it runs, proves little",
    )
    parser.add_argument("--json", metavar="FILE", help="also write every round's figure there")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{name:22} {case.setting}" for name, case in CASES.items()))
        return 0
    if unknown := [loop for loop in args.loops if loop not in LOOPS]:
        parser.error(f"no such loop: {', '.join(unknown)}")
    for wanted in args.cases or []:
        if not any(name.startswith(wanted) for name in CASES):
            parser.error(f"no case begins with {wanted!r}; see --list")
    rounds = args.rounds or (2 if args.quick else 5)
    divisor = 10 if args.quick else 1

    pairs, left_out = choose(args.cases, args.loops)
    figures, failed = run(pairs, rounds, divisor)
    show(figures, failed, left_out)
    if args.json:
        save(args.json, figures, failed, rounds, divisor)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
