"""Micro benchmarks of event loops in one interleaved run.

    python benches/micro.py                                    # everything, 5 rounds
    python benches/micro.py --quick --cases call_soon,sim_     # names or beginnings of names
    python benches/micro.py --loops asyncio,uvloop,soliloop --rounds 9 --json out.json

Every figure is the least of the rounds. In a round each case runs on each loop in a fresh process, in the
order A B C, and C B A in the next. See README.md for what is measured and how noisy it is.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
from pathlib import Path

from cases import CASES, LOOPS, absent
from rounds import Failed, Failures, environment, explain, names, run, save
from table import Figure, Figures, ratio, render

LIMIT_SECONDS = 300


def measure(divisor: int, case: str, loop: str) -> float:
    """One figure from a fresh process."""
    command = [sys.executable, str(Path(__file__).with_name("cases.py")), case, loop, str(divisor)]
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {LIMIT_SECONDS} s") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Failed(f"exit status {done.returncode}: {last[0]}")
    return float(done.stdout)


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


def show(figures: Figures, failed: Failures, left_out: list[str]) -> None:
    for setting in dict.fromkeys(CASES[case].setting for case in figures):
        mine = {case: row for case, row in figures.items() if CASES[case].setting == setting}
        loops = [loop for loop in LOOPS if any(loop in row for row in mine.values())]
        print(render(setting, mine, loops) + "\n")
    explain(left_out, failed)


def about(case: str, row: dict[str, Figure]) -> dict[str, object]:
    """What the JSON file says of a case besides its figures."""
    setting = CASES[case].setting
    unit = "B" if setting == "memory" else "ns"
    return {"setting": setting, "unit": unit, "ratio_to_best_peer": ratio(row)}


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
    figures, failed = run(pairs, rounds, functools.partial(measure, divisor))
    show(figures, failed, left_out)
    if args.json:
        settings = {"rounds": rounds, "work_divided_by": divisor}
        save(args.json, figures, failed, settings, about)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
