"""What each suite is: where its tests come from, what they import, how a worker is told to run them.

Foreign tests are no part of this repository: they come with the running Python, or with a source distribution that is
downloaded once and checked against its hash. All of it goes into `.cache/conformance` of the clone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


class SetupError(Exception):
    """A suite can't be had here. The message says what to do."""


@dataclass(frozen=True)
class Source:
    """A source distribution, and what of it the tests need: path in it -> path it is given."""

    name: str
    version: str
    sha256: str
    keep: dict[str, str]

    @property
    def stem(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"


@dataclass(frozen=True)
class Suite:
    """One foreign suite; or the same text once more, as another arm: on a loop of its own."""

    name: str
    # The suite whose other arm it is, and the loop that it is run on.
    arm_of: str | None = None
    loop: str | None = None
    source: Source | None = None
    # pip's arguments for what the tests import, and the distributions that show that it is there.
    install: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    stub: str | None = None
    # What the order to a worker says beyond the usual.
    runner: str = "unittest"
    leave_out: tuple[str, str] | None = None
    stand_in: tuple[str, str, tuple[str, ...]] | None = None
    # Modules to start first: the long ones, so that none of them is alone at the end.
    long: tuple[str, ...] = field(default=())

    @property
    def version(self) -> str:
        return self.source.version if self.source else platform.python_version()


def modules(suite: Suite, folder: Path | None) -> list[str]:
    """The pieces of the suite that get a worker each: test modules, or for pytest the folder of all tests."""
    if suite.runner == "pytest":
        assert folder is not None
        return [str(folder / "test")]
    if folder is None:
        package, files = CPYTHON, _cpython_tests().glob("test_*.py")
    else:
        package, files = "tests", (folder / "tests").glob("*test*.py")
    found = sorted(f"{package}.{path.stem}" for path in files)
    return sorted(found, key=lambda module: module.rpartition(".")[2] not in suite.long)


def prepare(suite: Suite) -> tuple[Path | None, Path]:
    """Fetches what is missing. Returns the folder of the tests, if it isn't Python's own, and a Python that can run them."""
    return (_unpacked(suite.source) if suite.source else None), _python(suite)


def settings(suite: Suite, folder: Path | None, loop: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What a worker's order says of the suite, and the variables that its environment has in addition."""
    paths = [str(folder)] if folder else []
    # The package itself, where it is the one under test, needs nobody to stand in for it.
    if suite.stub and loop.split(":")[0].split(".")[0] != suite.stub:
        paths.insert(0, str(STUBS))
    order = {
        "paths": paths,
        "runner": suite.runner,
        "leave_out": suite.leave_out,
        "stand_in": suite.stand_in,
    }
    environment = {"PYTHONPATH": ":".join(paths), "CONFORMANCE_LOOP": loop}
    if folder:
        environment["CONFORMANCE_UVLOOP"] = str(folder / "testbase")
    return order, environment


def _cpython_tests() -> Path:
    spec = importlib.util.find_spec("test")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "test_asyncio").is_dir():
            return Path(place) / "test_asyncio"
    raise SetupError(
        f"{sys.executable} came without its tests (Debian has them in the package libpython3-testsuite)"
    )


def _unpacked(source: Source) -> Path:
    """The folder with what is kept of a source distribution."""
    folder = CACHE / source.stem
    if folder.is_dir():
        return folder
    archive = CACHE / f"{source.stem}.tar.gz"
    if not archive.exists():
        wanted = f"{source.name}=={source.version}"
        _run(
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-binary",
            source.name,
            "--dest",
            str(CACHE),
            wanted,
        )
    if hashlib.sha256(archive.read_bytes()).hexdigest() != source.sha256:
        raise SetupError(f"{archive} is not the file that was expected: remove it and try again")
    partial = CACHE / f"{source.stem}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(partial / "all", filter="data")
    for old, new in source.keep.items():
        (partial / "kept" / new).parent.mkdir(parents=True, exist_ok=True)
        (partial / "all" / source.stem / old).rename(partial / "kept" / new)
    (partial / "kept").rename(folder)
    shutil.rmtree(partial)
    return folder


def _python(suite: Suite) -> Path:
    """The running Python if it has what the tests import; else a virtual environment over it that has."""
    if all(map(_is_installed, suite.needs)):
        return Path(sys.executable)
    venv = CACHE / f"{suite.name}-venv-{sysconfig.get_python_version()}"
    stamp, python = venv / "installed", venv / "bin" / "python"
    requirements = "".join(
        Path(word).read_text() if word.endswith(".txt") else word + "\n" for word in suite.install
    )
    if not stamp.exists() or stamp.read_text() != requirements:
        shutil.rmtree(venv, ignore_errors=True)
        _run("-m", "venv", str(venv))
        _run("-m", "pip", "install", *suite.install, python=python)
        # The loop under test, and what it imports, come from the running Python.
        lent = sysconfig.get_path("platlib")
        inner = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
        (inner / "lent.pth").write_text(f"import site; site.addsitedir({lent!r})\n")
        stamp.write_text(requirements)
    return python


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _run(*words: str, python: Path | None = None) -> None:
    command = [str(python or sys.executable), *words]
    if "pip" in words:
        command[4:4] = ["--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = re.sub(r"\s+", " ", done.stderr.strip()[-500:])
        raise SetupError(f"`{' '.join(command[1:])}` failed: {last}")


ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "conformance"
STUBS = Path(__file__).resolve().parent / "stubs"
CPYTHON = "test.test_asyncio"
IN_SIMULATION = "simulated_arm:Loop"
_SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "cpython",
            long=("test_tasks", "test_ssl", "test_subprocess", "test_sslproto", "test_events"),
        ),
        Suite(
            "uvloop",
            source=Source(
                "uvloop",
                "0.23.0",
                "28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27",
                {"tests": "tests", "uvloop/_testbase.py": "testbase/_testbase.py"},
            ),
            install=("--require-hashes", "-r", str(ROOT / "requirements" / "conformance.txt")),
            needs=("aiohttp", "psutil", "pyOpenSSL"),
            stub="uvloop",
            # The twins that test asyncio's own loop, for comparison.
            leave_out=("uvloop._testbase", "AIOTestCase"),
            long=("test_tcp", "test_sockets", "test_process", "test_base"),
        ),
        Suite(
            "nest_asyncio",
            source=Source(
                "nest-asyncio",
                "1.6.0",
                "6f172d5449aca15afd6c646851f4e31e02c598d553a667e38cafa997cfec55fe",
                {"tests": "tests"},
            ),
            stub="nest_asyncio",
        ),
        Suite(
            "async_solipsism",
            source=Source(
                "async-solipsism",
                "0.10",
                "f9ce2b7f4ac650c543e87ec4d60947b4c7cd91e3f0b9c0570e98cd948bbcbc0c",
                {"test": "test", "pyproject.toml": "pyproject.toml"},
            ),
            install=("--require-hashes", "-r", str(ROOT / "requirements" / "solipsism.txt")),
            needs=("pytest", "pytest-asyncio", "pytest-mock"),
            runner="pytest",
            stand_in=(
                "async_solipsism",
                "soliloop.compat.async_solipsism",
                ("clock", "exceptions", "loop", "selector", "socket"),
            ),
        ),
    )
}
_ARMS = {
    suite.name: suite
    for suite in (
        replace(_SUITES[name], name=f"{name}-simulated", arm_of=name, loop=IN_SIMULATION)
        for name in ("cpython", "uvloop")
    )
}
SUITES = _SUITES | _ARMS
