"""Runs make targets one after the other and adds up what their test runners counted.

    steps.py fmt-check lint py-test py-test:3.11

`name:3.11` is `make name V=3.11`. A failed step does not stop the next ones. The last line is
`N passed, N failed`: a step whose output has no test runner's summary counts as one test.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass
class Tally:
    """Tests passed and failed, from the summaries in one step's output."""

    summed: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (0, 0)

    def read(self, line: str) -> None:
        """Takes a line of output; most are no summary.

        cargo prints a summary for each test binary, so these add up. Of pytest's and of plain ones
        the last of a step stands for all.
        """
        line = _COLOUR.sub("", line).strip()
        if match := _CARGO.match(line):
            self.summed = (self.summed[0] + int(match[1]), self.summed[1] + int(match[2]))
        elif match := _PLAIN.match(line):
            self.last = (int(match[1]), int(match[2]))
        elif _PYTEST.search(line):
            counts = {word.rstrip("s"): int(number) for number, word in _COUNT.findall(line)}
            self.last = (counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0))

    def total(self, exit_code: int) -> tuple[int, int]:
        """All passed and failed; a failure that no summary names is one more."""
        passed, failed = self.summed[0] + self.last[0], self.summed[1] + self.last[1]
        if exit_code and not failed:
            return passed, 1
        return (passed, failed) if passed or failed else (1, 0)


def main(steps: list[str]) -> int:
    """Runs the steps, prints their table and returns the exit status."""
    rows = [(step, *_run(step)) for step in steps]
    print(f"\n{'step':<20} {'seconds':>8} {'passed':>8} {'failed':>8}")
    for step, seconds, passed, failed in rows:
        print(f"{step:<20} {seconds:>8.1f} {passed:>8} {failed:>8}")
    failures = sum(row[3] for row in rows)
    print(f"\n{sum(row[2] for row in rows)} passed, {failures} failed")
    return 1 if failures else 0


def _run(step: str) -> tuple[float, int, int]:
    name, _, version = step.partition(":")
    command = [os.environ.get("MAKE", "make"), name, *([f"V={version}"] if version else [])]
    print(f"\n=== {' '.join(command)}", flush=True)
    began, tally = time.monotonic(), Tally()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            tally.read(line)
    return (time.monotonic() - began, *tally.total(process.returncode))


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CARGO = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed")
_PLAIN = re.compile(r"(?:\w+: )?(\d+) passed, (\d+) failed(?:, \d+ skipped)?$")
_PYTEST = re.compile(r"\d+ \w+.* in \d+(\.\d+)?s\b")
_COUNT = re.compile(r"(\d+) (passed|failed|errors?)\b")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
