"""Runs other projects' test suites against a loop: `python tests/conformance/run.py --suite cpython,uvloop`.

See README.md for what the suites are, and expected.toml for what is left out or known to fail. Prints a line for each
unexpected failure, one for each suite, and the sum; the exit status is 1 if there was an unexpected failure, and 2 if a suite
can't be had.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import expectations
from expectations import Expectations, Verdict
from suites import CACHE, SUITES, SetupError, Suite, modules, prepare, settings
from supervise import Results, Supervisor


def main() -> int:
    """Runs the suites that the command line names and returns the exit status."""
    options = _options()
    if options.list_exclusions:
        _list_exclusions(options.suite, options)
        return 0
    total, records = Verdict(), []
    for suite in options.suite:
        try:
            verdict, record = _run_suite(suite, options)
        except SetupError as error:
            print(f"{suite.name}: {error}")
            return 2
        records.append(record)
        total.passed += verdict.passed
        total.skipped += verdict.skipped
        total.failed.update(
            {f"{suite.name} {test}": summary for test, summary in verdict.failed.items()}
        )
    if options.json:
        options.json.write_text(json.dumps(records, indent=1) + "\n")
    print(f"{total.passed} passed, {len(total.failed)} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


def _run_suite(suite: Suite, options: argparse.Namespace) -> tuple[Verdict, dict[str, Any]]:
    started, loop = time.monotonic(), suite.loop or options.loop
    expected = expectations.read(suite.name, loop, suite.arm_of)
    folder, python = prepare(suite)
    order, environment = settings(suite, folder, loop)
    order |= {"loop": loop, "select": options.select, "excluded": list(expected.excluded)}
    supervisor = Supervisor(
        python, order, environment, options.timeout, CACHE / "logs" / suite.name
    )
    pieces = [piece for piece in modules(suite, folder) if not expected.excludes(piece)]
    results = supervisor.run(pieces)
    flaky = _try_again(supervisor, results, pieces, expected)
    complete = options.select is None
    verdict = expectations.judge(expected, results, flaky, complete=complete)
    if complete:
        verdict.failed.update(_shortfalls(suite, results, loop))
    seconds = time.monotonic() - started
    _print(suite, verdict, seconds)
    record = {
        "suite": suite.name,
        "version": suite.version,
        "loop": loop,
        "seconds": round(seconds, 1),
        **dataclasses.asdict(verdict),
        "tests": {test: dataclasses.asdict(result) for test, result in sorted(results.items())},
    }
    return verdict, record


def _try_again(
    supervisor: Supervisor, results: Results, pieces: list[str], expected: Expectations
) -> list[str]:
    """Runs what failed unexpectedly once more, in new workers, and returns what passed then."""
    failed = [
        test
        for test, result in results.items()
        if result.status == "failed" and not expected.may_fail(test, result)
    ]
    if not failed or len(failed) > TRY_AGAIN:
        return []
    if len(pieces) == 1:
        again = {pieces[0]: failed}
    else:
        again = {piece: [test for test in failed if f"{piece}." in test] for piece in pieces}
    second = supervisor.run([piece for piece, tests in again.items() if tests], again)
    flaky = [test for test in failed if test in second and second[test].status == "passed"]
    results.update({test: second[test] for test in flaky})
    return flaky


def _shortfalls(suite: Suite, results: Results, loop: str) -> dict[str, str]:
    """What a whole run must have shown, beyond single tests."""
    found = {}
    counted = suite.stand_in is None and not loop.startswith(f"{suite.stub}:")
    if counted and not any(result.loops for result in results.values()):
        found["(sum)"] = "no test made the loop under test"
    return found


def _print(suite: Suite, verdict: Verdict, seconds: float) -> None:
    for test, summary in sorted(verdict.failed.items()):
        print(f"FAILED {suite.name} {test}: {summary}")
    for test in verdict.flaky:
        print(f"flaky {suite.name} {test}: passed when it was tried again")
    print(
        f"{suite.name} {suite.version}: passed={verdict.passed} failed={len(verdict.failed)} "
        f"skipped={verdict.skipped} known={verdict.known} flaky={len(verdict.flaky)} ({seconds:.0f} s)",
        flush=True,
    )


def _list_exclusions(suites: list[Suite], options: argparse.Namespace) -> None:
    for suite in suites:
        expected = expectations.read(suite.name, suite.loop or options.loop, suite.arm_of)
        for pattern, reason in expected.excluded.items():
            print(f"{suite.name} left out  {pattern}: {reason}")
        for test, reason in expected.known.items():
            print(f"{suite.name} known     {test}: {reason}")
        for rule in expected.rules:
            print(
                f"{suite.name} may fail  {', '.join(rule.tests)} with {rule.error}: {rule.reason}"
            )
        for test in sorted(expected.beyond_asyncio):
            print(f"{suite.name} may fail  {test}: asyncio's own loop fails it as well")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Run other projects' asyncio test suites against a loop."
    )
    parser.add_argument(
        "--suite",
        type=_suites,
        default=_suites(DEFAULT),
        help=f"some of {','.join(SUITES)} (default: {DEFAULT})",
    )
    parser.add_argument(
        "--loop",
        metavar="MODULE:FACTORY",
        default="soliloop:new_event_loop",
        help="what makes the loop under test (default: %(default)s); the simulated arms have their own",
    )
    parser.add_argument(
        "--select", metavar="REGEX", help="run the tests whose full name it is found in"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=20.0,
        help="for each test (default: %(default)g)",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write what became of each test to this file"
    )
    parser.add_argument(
        "--list-exclusions",
        action="store_true",
        help="say what is left out or may fail, and why; run nothing",
    )
    return parser.parse_args()


def _suites(names: str) -> list[Suite]:
    unknown = [name for name in names.split(",") if name not in SUITES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}"
        )
    return [SUITES[name] for name in names.split(",")]


DEFAULT = "cpython,uvloop,nest_asyncio,async_solipsism,cpython-simulated,uvloop-simulated"
# More failures than this have a cause that a second try won't mend.
TRY_AGAIN = 5

if __name__ == "__main__":
    sys.exit(main())
