"""Starts workers, watches them, and collects what became of each test.

A test that takes too long, or its worker down with it, costs that test alone: the worker is ended, with all that it started,
and another one goes on behind the test. A worker is in a session and a temporary folder of its own. Nothing here knows
suites or expectations.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Result:
    """What became of one test. `loops`: how many loops under test were made in it."""

    status: str
    summary: str = ""
    detail: str = ""
    loops: int = 0
    seconds: float = 0.0


Results = dict[str, Result]


@dataclass
class Supervisor:
    """Runs pieces of one suite, a worker for each, a few at a time."""

    python: Path
    order: dict[str, Any]
    environment: dict[str, str]
    timeout: float
    logs: Path
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, pieces: Iterable[str], only: dict[str, list[str]] | None = None) -> Results:
        """Runs the pieces, or `only` some tests of each."""
        if only is None:
            shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        results: Results = {}
        with ThreadPoolExecutor(WORKERS) as pool:
            futures = [
                pool.submit(self._run_piece, piece, only[piece] if only else None)
                for piece in pieces
            ]
            try:
                for future in futures:
                    results.update(future.result())
            except BaseException:
                self.stopping.set()
                for future in futures:
                    future.cancel()
                raise
        return results

    def _run_piece(self, piece: str, only: list[str] | None) -> Results:
        results: Results = {}
        for _ in range(RESTARTS):
            run = _WorkerRun(self, piece, only, results)
            if run.finished or self.stopping.is_set():
                return results
            if run.current is None:
                results[f"{piece} (worker)"] = Result(
                    "failed", f"the worker ended outside a test, {run.end}"
                )
                return results
            seconds = time.monotonic() - run.since
            results[run.current] = Result("failed", run.end, seconds=seconds)
        results[f"{piece} (worker)"] = Result("failed", f"gave up after {RESTARTS} workers")
        return results


class _WorkerRun:
    """The life of one worker. It adds to `results`; afterwards `current` is the test that it died in, if it did."""

    def __init__(
        self, supervisor: Supervisor, piece: str, only: list[str] | None, results: Results
    ) -> None:
        self._supervisor = supervisor
        self._results = results
        self.finished = False
        self.current: str | None = None
        self.since = time.monotonic()
        self.end = ""
        place = Path(tempfile.mkdtemp(prefix="conformance-"))
        reading, writing = os.pipe()
        try:
            order = place / "order.json"
            own = {"tests": [piece], "only": only, "done": list(results), "pipe": writing}
            order.write_text(json.dumps({**supervisor.order, **own, "timeout": supervisor.timeout}))
            (place / "tmp").mkdir()
            with (supervisor.logs / f"{Path(piece).name}.log").open("ab") as log:
                process = subprocess.Popen(
                    [supervisor.python, WORKER, order],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=place / "tmp",
                    env={
                        **_clean_environment(),
                        **supervisor.environment,
                        "TMPDIR": str(place / "tmp"),
                    },
                    pass_fds=[writing],
                    start_new_session=True,
                )
            os.close(writing)
            self._watch(process, reading)
        finally:
            os.close(reading)
            shutil.rmtree(place, ignore_errors=True)

    def _watch(self, process: subprocess.Popen[bytes], reading: int) -> None:
        try:
            for report in _reports(reading, process):
                if report is not None:
                    self._take(report)
                if self.finished or self._supervisor.stopping.is_set():
                    break
                limit = self._supervisor.timeout if self.current else BETWEEN_TESTS
                if time.monotonic() - self.since > limit:
                    self.end = f"timed out after {limit:g} s"
                    break
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        self.end = self.end or f"the worker ended with status {status}"

    def _take(self, report: dict[str, Any]) -> None:
        seconds, self.since = time.monotonic() - self.since, time.monotonic()
        match report.pop("event"):
            case "start":
                self.current = report["test"]
            case "end":
                test = report.pop("test")
                self._results[test] = Result(**report, seconds=round(seconds, 3))
                self.current = None
            case "done":
                self.finished = True


def _reports(reading: int, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """The worker's reports until it has ended, and None every now and then."""
    buffer = b""
    while True:
        ended = process.poll() is not None
        ready, _, _ = select.select([reading], [], [], 0 if ended else 0.25)
        if ready and (chunk := os.read(reading, 1 << 16)):
            *lines, buffer = (buffer + chunk).split(b"\n")
            yield from map(json.loads, lines)
        elif ended or ready:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)  # its own status says more than that of being killed
            return
        else:
            yield None


def _clean_environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST"))
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


WORKER = Path(__file__).resolve().parent / "worker.py"
WORKERS = 2
RESTARTS = 20
BETWEEN_TESTS = 120.0
