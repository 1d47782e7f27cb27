"""Reads expected.toml, and judges a suite's results by it.

A failure is expected if the test is on the suite's list of known failures, or on the list of what asyncio's own loop fails as
well and ours need not pass. The first list is strict: a test on it that passes, or that no longer exists, is an error.
"""

from __future__ import annotations

import fnmatch
import socket
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervise import Results


@dataclass(frozen=True)
class Expectations:
    """What expected.toml says of one suite, here and now."""

    excluded: dict[str, str]  # pattern of test names -> reason
    known: dict[str, str]  # test -> reason
    beyond_asyncio: frozenset[str]

    def excludes(self, module: str) -> bool:
        """Whether no test of the module is left."""
        return any(fnmatch.fnmatchcase(f"{module}.", pattern) for pattern in self.excluded)

    def may_fail(self, test: str) -> bool:
        return test in self.known or test in self.beyond_asyncio


@dataclass
class Verdict:
    """The sums of one suite, and each unexpected failure with its last line."""

    passed: int = 0
    skipped: int = 0
    known: int = 0
    flaky: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def read(suite: str, loop: str) -> Expectations:
    """What expected.toml says of the suite, without what holds for other Pythons, machines or loops."""
    table: dict[str, Any] = tomllib.loads(FILE.read_text()).get(suite, {})
    excluded = {
        pattern: entry["reason"]
        for entry in table.get("excluded", ())
        for pattern in entry["tests"]
    }
    is_own = loop.partition(":")[0] == OWN
    beyond = frozenset(
        test
        for entry in table.get("beyond_asyncio", ())
        if _holds_here(entry) and not (is_own and entry.get("ours_passes", False))
        for test in entry["tests"]
    )
    known = {
        entry["test"]: entry["reason"]
        for entry in table.get("known", ())
        if is_own and _holds_here(entry)
    }
    return Expectations(excluded, known, beyond)


def judge(expected: Expectations, results: Results, flaky: list[str], *, complete: bool) -> Verdict:
    """Judges the results. `complete`: no test was left unselected, so that what is missing does not exist."""
    verdict = Verdict(flaky=flaky)
    for test, result in results.items():
        if result.status == "skipped":
            verdict.skipped += 1
        elif result.status == "failed":
            if expected.may_fail(test):
                verdict.known += 1
            else:
                verdict.failed[test] = result.summary
        elif test in expected.known:
            verdict.failed[test] = (
                "passes, and is listed as a known failure: remove it from the list"
            )
        else:
            verdict.passed += 1
    if complete:
        for test in expected.known.keys() - results.keys():
            verdict.failed[test] = (
                "is listed as a known failure, and does not exist: remove it from the list"
            )
    return verdict


def _holds_here(entry: dict[str, Any]) -> bool:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return python in entry.get("python", [python]) and (
        "where" not in entry or CONDITIONS[entry["where"]]()
    )


def _localhost_lacks_ipv6() -> bool:
    try:
        socket.getaddrinfo("localhost", 0, socket.AF_INET6)
    except OSError:
        return True
    return False


# The loop whose known failures are listed. Any other is run for comparison.
OWN = "soliloop"
FILE = Path(__file__).resolve().parent / "expected.toml"
CONDITIONS = {"localhost has no IPv6 address": _localhost_lacks_ipv6}
