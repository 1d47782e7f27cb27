"""`soliloop check` beside `ruff check --select ASYNC`: CPU time and memory on a tree of Python, as Markdown.

    python benches/checker.py TREE [--rounds N]

The tree is copied, and each round runs every case once, one after the other, so that all of them see the same machine.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from rounds import environment, progress
from table import Figure

BIN = Path(sys.executable).parent
RUFF = [str(BIN / "ruff"), "check", "--isolated", "--select", "ASYNC", "."]
SOLILOOP = [str(BIN / "soliloop"), "check", "--isolated", "--format", "json", "."]

COLD = "nothing kept"
WRITING = "nothing kept, and written"
WARM = "nothing changed"
EDITS = {
    "after a comment": "\n# A comment.\n",
    "after a line that says nothing": "\nPROBE_LIMIT = 3\n",
    "after a call that blocks": "\ninput()\n",
    "after a function that nobody calls": "\nasync def soliloop_probe():\n    return 3\n",
    "after a line that may matter to all": "\nclass Probe(dict):\n    pass\n",
}
# Edits of a line of some function, that is an expression by itself: a call, mostly.
LINES: dict[str, Callable[[bytes], list[bytes]]] = {
    "a line is doubled": lambda line: [line, line],
    "a line becomes `pass`": lambda line: [line[: len(line) - len(line.lstrip())] + b"pass"],
}
CACHES = (".soliloop_cache", ".ruff_cache")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path, help="a folder with Python files")
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="how often everything is measured (default: %(default)s)",
    )
    parser.add_argument(
        "--lines",
        type=int,
        default=20,
        help="how many lines are edited at random, each in two ways (default: %(default)s)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "tree"
        shutil.copytree(options.tree, copy, ignore=shutil.ignore_patterns(".*"))
        edited, lines = largest(copy)
        taken: dict[tuple[str, str], list[float]] = {}
        for turn in range(options.rounds):
            for case, tool, seconds in measured(copy, edited):
                progress(f"round {turn + 1}/{options.rounds}  {case}  {tool}")
                taken.setdefault((case, tool), []).append(seconds)
        edits: dict[str, list[float]] = {case: [] for case in LINES}
        for turn, (case, seconds) in enumerate(at_random(copy, options.lines)):
            progress(f"line {turn // len(LINES) + 1}/{options.lines}  {case}")
            edits[case].append(seconds)
        progress("")
        figures = {key: Figure(tuple(seconds)) for key, seconds in taken.items()}
        print_table(figures, edits, lines, memory(copy))


def product(tree: Path) -> list[Path]:
    """The files that are no tests; all, if there are no others."""
    files = sorted(path for path in tree.rglob("*.py") if path.is_file())
    if not files:
        sys.exit(f"no Python in {tree}")
    return [path for path in files if "test" not in str(path.relative_to(tree))] or files


def largest(tree: Path) -> tuple[Path, int]:
    """The largest file that is no test, to be edited; and the lines of all."""
    lines = sum(path.read_bytes().count(b"\n") for path in tree.rglob("*.py") if path.is_file())
    return max(product(tree), key=lambda path: path.stat().st_size), lines


def measured(tree: Path, edited: Path) -> Iterator[tuple[str, str, float]]:
    """One round: case, tool, seconds of CPU."""
    for tool, command in (("ruff", RUFF), ("soliloop", SOLILOOP)):
        for cache in CACHES:
            shutil.rmtree(tree / cache, ignore_errors=True)
        yield COLD, tool, cpu(tree, [*command, "--no-cache"])
        yield WRITING, tool, cpu(tree, command)
        yield WARM, tool, cpu(tree, command)
    text = edited.read_bytes()
    for case, more in EDITS.items():
        edited.write_bytes(text + more.encode())
        yield case, "soliloop", cpu(tree, SOLILOOP)
        edited.write_bytes(text)
        run(tree, SOLILOOP)


def at_random(tree: Path, count: int) -> Iterator[tuple[str, float]]:
    """Edits of a line in each of some files, always the same ones: case, seconds of CPU."""
    chance = random.Random(1)
    files = product(tree)
    places = ((path, calls_of(path.read_bytes())) for path in chance.sample(files, len(files)))
    for path, known in islice(filter(lambda one: one[1], places), count):
        text, place = path.read_bytes(), chance.choice(known)
        lines = text.split(b"\n")
        for case, edit in LINES.items():
            path.write_bytes(b"\n".join([*lines[:place], *edit(lines[place]), *lines[place + 1 :]]))
            yield case, cpu(tree, SOLILOOP)
            path.write_bytes(text)
            run(tree, SOLILOOP)


def calls_of(text: bytes) -> list[int]:
    """The lines of functions that are an expression by itself, from 0."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    places = set[int]()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ast.walk(function):
                is_one = isinstance(part, ast.Expr) and not isinstance(part.value, ast.Constant)
                if is_one and part.lineno == part.end_lineno:
                    places.add(part.lineno - 1)
    return sorted(places)


def cpu(tree: Path, command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(tree, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def run(tree: Path, command: list[str]) -> None:
    done = subprocess.run(command, cwd=tree, env=environment(), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr.decode()}")


def memory(tree: Path) -> int:
    """The greatest resident size of a check that keeps nothing, in bytes."""
    process = subprocess.Popen(
        [*SOLILOOP, "--no-cache"],
        cwd=tree,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss * 1024


def print_table(
    figures: dict[tuple[str, str], Figure],
    edits: dict[str, list[float]],
    lines: int,
    resident: int,
) -> None:
    cold = figures[WRITING, "soliloop"].least

    def seconds(case: str, tool: str) -> str:
        return f"{figures[case, tool].least:.3f}"

    print(f"| {lines:,} lines, CPU seconds | ruff | soliloop | soliloop / ruff |")
    print("|---|--:|--:|--:|")
    for case in (COLD, WRITING, WARM):
        ratio = figures[case, "soliloop"].least / figures[case, "ruff"].least
        print(f"| {case} | {seconds(case, 'ruff')} | {seconds(case, 'soliloop')} | {ratio:.2f} |")
    for case in EDITS:
        part = figures[case, "soliloop"].least / cold
        print(f"| {case} | | {seconds(case, 'soliloop')} | ({part:.2f} of nothing kept) |")
    for case, taken in edits.items():
        if not taken:
            continue
        below = sum(seconds < cold / 5 for seconds in taken)
        part = median(taken) / cold
        what = f"of {len(taken)} at random {below} below a fifth of nothing kept, median {part:.2f}"
        print(f"| {case} | | {median(taken):.3f} | ({what}) |")
    print(f"\nMost memory of soliloop: {resident / 1e6:.0f} MB.")


if __name__ == "__main__":
    main()
