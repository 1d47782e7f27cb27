"""The examples run, and print what they are there to show."""

from __future__ import annotations

import pathlib
import re
import runpy
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

STORY = """\
0.0 s  A sleeps for 2 s
2.0 s  A calls B, a plain function
2.0 s  B runs C on the loop that is running already
2.0 s  C sleeps for 2 s
4.0 s  C ends
4.0 s  B has come back from C
4.0 s  A ends
""".splitlines()

COMES_BACK = ["0.2 s  A1 comes back", "0.4 s  A3 comes back", "0.6 s  A2 comes back"]


def run(script: str, *args: str) -> list[str]:
    """The lines that a script prints, without the spaces around them."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / script), *args],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.strip() for line in done.stdout.splitlines()]


def value(lines: list[str], label: str) -> str:
    [line] = [line for line in lines if line.startswith(label)]
    return line.removeprefix(label).strip()


@pytest.mark.usefixtures("no_leaks")
def test_nested_in_simulated_time(capsys: pytest.CaptureFixture[str]) -> None:
    nested = runpy.run_path(str(EXAMPLES / "nested.py"))
    with nested["solipsism_context"]() as loop:
        nested["play"]("Simulated", nested["A"], loop)
    with nested["solipsism_context"]() as loop:
        nested["play"]("Three at once", nested["three_at_once"], loop)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:8] == STORY
    assert lines[8].startswith("4.0 s on the loop's clock")
    assert lines[11:14] == COMES_BACK


@pytest.mark.slow
def test_nested_in_both_times() -> None:
    lines = run("nested.py")
    simulated, real, three = "\n".join(lines).strip().split("\n\n")
    assert simulated.splitlines()[1:-1] == STORY
    # The real clock may be late, but not early, and tells the same story.
    told = [re.sub(r"^\d+\.\d s  ", "", line) for line in real.splitlines()[1:-1]]
    assert told == [re.sub(r"^\d+\.\d s  ", "", line) for line in STORY]
    assert three.splitlines()[1:-1] == COMES_BACK


def test_twap_live_is_the_same_day() -> None:
    lines = run("twap/main.py", "--live", "--factor", "1000000")
    fills = [line for line in lines if re.match(r"\d\d:\d\d:\d\d\.\d\d\d  ", line)]
    filled = sum(int(line.split()[2]) for line in fills)
    assert filled == 100_000
    assert value(lines, "filled") == f"100,000 of 100,000 shares in {len(fills)} fills"
    assert value(lines, "simulated hours") == "6.50"
    assert "09:30" <= fills[0] < fills[-1] < "16:00"
    assert fills == sorted(fills)
    assert lines[-1].endswith(f"the same day, digest {value(lines, 'digest')}")


def test_twap_follows_from_its_seed() -> None:
    def digest(seed: str) -> str:
        args = ["--live", "--factor", "1000000", "--hours", "0.5", "--seed", seed]
        return value(run("twap/main.py", *args), "digest")

    assert digest("1") == digest("1") != digest("2")


@pytest.mark.slow
def test_twap_without_arguments_shows_the_day_and_plays_it_again() -> None:
    lines = run("twap/main.py")
    assert lines[0].split() == ["time", "slice", "quantity", "price"]
    assert any(re.fullmatch(r"\.\.\. \d+ more \.\.\.", line) for line in lines)
    for label in ("VWAP", "slippage", "wall seconds"):
        assert value(lines, label)
    assert lines[-1].endswith(f"the same day, digest {value(lines, 'digest')}")
