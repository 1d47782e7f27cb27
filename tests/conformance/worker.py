"""Runs tests in a process of their own and reports each step: `worker.py ORDER`, a file with the order in JSON.

A report is a line of JSON into the pipe whose descriptor the order names: a test's start before it begins, its end with its
status after it. So whoever reads knows which test it was that hung or took the process down. This module doesn't judge: what
is expected to fail, and what to do about a hang, is the reader's.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fnmatch
import gc
import importlib
import json
import os
import re
import signal
import sys
import traceback
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from in_place import LoopUnderTest, put_in_place


class Reporter:
    """Writes the reports. Only one test runs at a time."""

    def __init__(self, descriptor: int, timeout: float, loop_under_test: LoopUnderTest) -> None:
        os.set_inheritable(descriptor, False)
        self._pipe = open(descriptor, "w", buffering=1, encoding="utf-8")
        self._timeout = timeout
        self._loop_under_test = loop_under_test
        self._made_before = 0

    def say(self, event: str, **fields: Any) -> None:
        self._pipe.write(json.dumps({"event": event, **fields}) + "\n")

    def start(self, test: str) -> None:
        # The stacks of a hung test go to the log just before the reader ends this process.
        faulthandler.dump_traceback_later(self._timeout * 0.95, file=2)
        print(f"\n=== {test}", file=sys.__stderr__, flush=True)
        self._made_before = self._loop_under_test.made
        self.say("start", test=test)

    def end(self, test: str, status: str, summary: str = "", detail: str = "") -> None:
        faulthandler.cancel_dump_traceback_later()
        made = self._loop_under_test.made - self._made_before
        self.say(
            "end", test=test, status=status, summary=summary, detail=detail[-DETAIL:], loops=made
        )


class Selection:
    """Which of the tests found are to run."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._done = set(order["done"])
        self._only = None if order["only"] is None else set(order["only"])
        self._pattern = re.compile(order["select"] or "")
        self._excluded: list[str] = order["excluded"]

    def __contains__(self, test: str) -> bool:
        return (
            test not in self._done
            and (self._only is None or test in self._only)
            and self._pattern.search(test) is not None
            and not any(fnmatch.fnmatchcase(test, pattern) for pattern in self._excluded)
        )


class Result(unittest.TestResult):
    """Reports the worst that happened in a test and its sub-tests."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter
        self._outcome: tuple[str, str, str] | None = None

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        asyncio.events._set_running_loop(None)  # an earlier failure may have left one
        self._outcome = ("passed", "", "")
        self._reporter.start(test.id())

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        if (
            self._outcome is not None
        ):  # Python 3.12.1 starts no test that its class skips, and stops it
            self._reporter.end(test.id(), *self._outcome)
            if self._outcome[0] == "failed":
                # What it has left open must not give its warnings to the next one.
                gc.collect()
            self._outcome = None

    def addError(self, test: Any, err: Any) -> None:
        self._failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self._failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._failed(test, err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._note(test, "failed", "passed, and its suite says that it can't")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._note(test, "skipped", "its suite expects it to fail")

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, "skipped", reason)

    def _failed(self, test: Any, err: Any) -> None:
        self._note(test, "failed", _summary(err[1]), "".join(traceback.format_exception(*err)))

    def _note(self, test: Any, status: str, summary: str, detail: str = "") -> None:
        if self._outcome is None:  # the fixture of a class or a module
            self._reporter.start(test.id())
            self._reporter.end(test.id(), status, summary, detail)
        elif STATUSES.index(status) > STATUSES.index(self._outcome[0]):
            self._outcome = (status, summary, detail)


class PytestPlugin:
    """The same reports from a run of pytest."""

    def __init__(self, reporter: Reporter, selection: Selection) -> None:
        self._reporter = reporter
        self._selection = selection
        self._outcomes: dict[str, tuple[str, str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self._selection]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._reporter.start(report.nodeid)
            self._reporter.end(
                report.nodeid, "failed", _last_line(report.longreprtext), report.longreprtext
            )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._outcomes[nodeid] = ("passed", "", "")
        self._reporter.start(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            summary = crash.message.splitlines()[0] if crash else _last_line(report.longreprtext)
            self._outcomes[report.nodeid] = ("failed", summary, report.longreprtext)
        elif report.skipped:
            self._outcomes[report.nodeid] = ("skipped", _last_line(str(report.longrepr)), "")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._reporter.end(nodeid, *self._outcomes.pop(nodeid))


def main() -> None:
    """Carries out the order and ends the process."""
    order: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    _reset_signals()
    # This folder goes last. It must stay: what multiprocessing spawns imports this module again. Above it is `in_simulation`.
    here = sys.path[0]
    sys.path[:] = [*order["paths"], *sys.path[1:], here, str(Path(here).parent)]
    loop_under_test = LoopUnderTest(order["loop"])
    put_in_place(loop_under_test)
    if order["stand_in"]:
        _stand_in(*order["stand_in"])
    reporter = Reporter(order["pipe"], order["timeout"], loop_under_test)
    if order["runner"] == "pytest":
        import pytest

        plugin = PytestPlugin(reporter, Selection(order))
        pytest.main(["-q", "-p", "no:cacheprovider", *order["tests"]], plugins=[plugin])
    else:
        _run_unittest(order, reporter)
    reporter.say("done")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads that a test left behind must not hold the process


def _run_unittest(order: dict[str, Any], reporter: Reporter) -> None:
    selection, suite = Selection(order), unittest.TestSuite()
    for module in order["tests"]:
        tests = list(_flat(unittest.defaultTestLoader.loadTestsFromName(module)))
        if order["leave_out"]:
            left_out = importlib.import_module(order["leave_out"][0])
            tests = [
                test
                for test in tests
                if not isinstance(test, getattr(left_out, order["leave_out"][1]))
            ]
        suite.addTests(test for test in tests if test.id() in selection)
    suite.run(Result(reporter))


def _flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test


def _stand_in(name: str, target: str, submodules: list[str]) -> None:
    """Makes `import NAME` and `import NAME.SUBMODULE` give the target, or its submodule where it has one."""
    module = importlib.import_module(target)
    sys.modules[name] = module
    for submodule in submodules:
        sys.modules[f"{name}.{submodule}"] = module
        with contextlib.suppress(ImportError):
            sys.modules[f"{name}.{submodule}"] = importlib.import_module(f"{target}.{submodule}")


def _reset_signals() -> None:
    """A shell's background job has SIGINT ignored. Python would take that over, and tests of Ctrl-C would hang."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _summary(error: BaseException) -> str:
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}".removesuffix(": ")[:SUMMARY]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


DETAIL, SUMMARY = 4000, 240
STATUSES = ("passed", "skipped", "failed")

if __name__ == "__main__":
    main()
