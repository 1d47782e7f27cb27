"""Reads expected.toml and expected_simulated.toml, and judges a suite's results by them.

A failure is expected if the test is on the suite's list of known failures, or on the list of what asyncio's own loop fails as
well and ours need not pass; in a simulated arm also if its error is one that a rule names. The first list is strict: a test on it
that passes, or that no longer exists, is an error; and so is a rule that nothing falls under.
"""

from __future__ import annotations

import fnmatch
import re
import socket
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervise import Result, Results


@dataclass(frozen=True)
class Rule:
    """Failures that are expected: of tests whose names fit a pattern, with an error in which an expression is found."""

    tests: tuple[str, ...]
    error: str
    reason: str
    is_strict: bool

    def covers(self, test: str, result: Result) -> bool:
        return (
            result.status == "failed"
            and _fits(test, self.tests)
            and re.search(self.error, result.summary) is not None
        )


@dataclass(frozen=True)
class Expectations:
    """What the files say of one suite, here and now."""

    excluded: dict[str, str]  # pattern of test names -> reason
    known: dict[str, str]  # test -> reason
    beyond_asyncio: frozenset[str]
    rules: tuple[Rule, ...] = ()

    def excludes(self, module: str) -> bool:
        """Whether no test of the module is left."""
        return _fits(f"{module}.", self.excluded)

    def may_fail(self, test: str, result: Result) -> bool:
        return (
            test in self.known
            or test in self.beyond_asyncio
            or any(rule.covers(test, result) for rule in self.rules)
        )


@dataclass
class Verdict:
    """The sums of one suite, and each unexpected failure with its last line."""

    passed: int = 0
    skipped: int = 0
    known: int = 0
    flaky: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def read(suite: str, loop: str, arm_of: str | None = None) -> Expectations:
    """What is said of the suite, without what holds for other Pythons, machines or loops.

    Of an arm holds what is said of its suite, and more is left out or may fail.
    """
    table = _table(suite)
    is_own = loop.partition(":")[0] in OWN
    beyond = frozenset(
        test
        for entry in table.get("beyond_asyncio", ())
        if _holds_here(entry) and not (is_own and entry.get("ours_passes", False))
        for test in entry["tests"]
    )
    excluded = {
        pattern: entry["reason"]
        for entry in table.get("excluded", ())
        for pattern in entry["tests"]
    }
    known = {
        entry["test"]: entry["reason"]
        for entry in table.get("known", ())
        if is_own and _holds_here(entry)
    }
    rules = tuple(
        Rule(tuple(entry["tests"]), entry["error"], entry["reason"], "python" not in entry)
        for entry in table.get("rule", ())
        if _holds_here(entry)
    )
    if arm_of is not None:
        whole = read(arm_of, loop)
        passes = table.get("passes", ())
        beyond |= whole.beyond_asyncio
        known |= {
            test: reason
            for test, reason in whole.known.items()
            if test not in passes and not _fits(test, excluded)
        }
        excluded |= whole.excluded
    return Expectations(excluded, known, beyond, rules)


def _table(suite: str) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for file in FILES:
        tables |= tomllib.loads(file.read_text())
    found: dict[str, Any] = tables.get(suite, {})
    return found


def _fits(test: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(test, pattern) for pattern in patterns)


def judge(expected: Expectations, results: Results, flaky: list[str], *, complete: bool) -> Verdict:
    """Judges the results. `complete`: no test was left unselected, so that what is missing does not exist."""
    verdict = Verdict(flaky=flaky)
    for test, result in results.items():
        if result.status == "skipped":
            verdict.skipped += 1
        elif result.status == "failed":
            if expected.may_fail(test, result):
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
        for rule in expected.rules:
            if rule.is_strict and not any(rule.covers(*item) for item in results.items()):
                verdict.failed[f"(rule) {', '.join(rule.tests)}"] = (
                    f"nothing fails with {rule.error!r} any more: remove the rule"
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


# The loops whose known failures are listed. Any other is run for comparison.
OWN = ("soliloop", "simulated_arm")
FILES = [
    Path(__file__).resolve().parent / name for name in ("expected.toml", "expected_simulated.toml")
]
CONDITIONS = {"localhost has no IPv6 address": _localhost_lacks_ipv6}
