"""The command ``soliloop``: runs programs with soliloop in the place of asyncio's own loop.

It uses soliloop's public names only, and never returns a result of the program: as in Python, a program that wants an exit
status raises ``SystemExit``. What is wrong with the command line itself gives exit status 2 and one line that says so.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import runpy
import sys
import warnings
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import soliloop

_DESCRIPTION = """\
Run a program with soliloop in the place of asyncio's own loop.

  FILE.py        is run as a script
  MODULE         is run as by `python -m MODULE`
  MODULE:main    is imported, and its coroutine function `main` is run without arguments

Every loop that a FILE or MODULE gets from asyncio.run(), asyncio.Runner() or asyncio.new_event_loop() is then
soliloop's and allows nested runs; with --simulated each of them lives in simulated time, from --start on.
Options may also stand after the target: the first word there that is none of them begins the program's own arguments.
"""


class _UsageError(Exception):
    """The command line asks for something that cannot be run."""


@dataclass(frozen=True)
class _Time:
    """Which clock the program's loops have."""

    simulated: bool
    start: str | None
    factor: float | None

    def check(self) -> None:
        if not self.simulated:
            for option, value in (("--start", self.start), ("--factor", self.factor)):
                if value is not None:
                    raise _UsageError(f"{option} is for simulated time: add --simulated")
        try:
            self.new_event_loop().close()
        except ValueError as error:
            raise _UsageError(str(error)) from None

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return soliloop.new_event_loop(
            nesting=True, simulated=self.simulated, start=self.start, factor=self.factor
        )

    def run(self, main: Coroutine[Any, Any, object]) -> None:
        if self.simulated:
            with soliloop.simulation(self.start, factor=self.factor) as simulation:
                simulation.run(main)
        else:
            soliloop.run(main)


class _Policy(soliloop.EventLoopPolicy):
    """Gives a program that knows nothing of soliloop the loops that the command line asks for."""

    def __init__(self, time: _Time) -> None:
        super().__init__()
        self._time = time

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return self._time.new_event_loop()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The words after the command's name; by default those of the process.
    """
    parser, run_parser = _parsers()
    words = list(sys.argv[1:] if argv is None else argv)
    program_args: list[str] = []
    if words[:1] == ["run"]:
        words, program_args = _split(words)
    options = parser.parse_args(words)
    time = _Time(options.simulated, options.start, options.factor)
    try:
        time.check()
        program = _program(options.target, time)
    except _UsageError as error:
        run_parser.error(str(error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # policies go in Python 3.16; until then they work
        asyncio.set_event_loop_policy(_Policy(time))
    program([options.target, *program_args])


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="soliloop", description="An asyncio event loop for live and simulated time."
    )
    version = importlib.metadata.version("soliloop")
    parser.add_argument("--version", action="version", version=f"soliloop {version}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a program with soliloop in the place of asyncio's own loop",
        usage="soliloop run [--simulated [--start ISO] [--factor N]] FILE.py|MODULE[:main] [ARGS...]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument("target", metavar="FILE.py|MODULE[:main]", help="what to run")
    run.add_argument("--simulated", action="store_true", help="run in simulated time")
    run.add_argument(
        "--start",
        metavar="ISO",
        help="date and time at which the simulation starts, as in 2024-01-02T09:30-05:00",
    )
    run.add_argument(
        "--factor",
        metavar="N",
        type=float,
        help="play N simulated seconds per real second, rather than without waiting",
    )
    return parser, run


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Part the words of the command from the program's own arguments.

    argparse can't do it: it takes options of ours from anywhere among the program's, or none behind the target.
    """
    has_target = False
    index = 1
    while index < len(words):
        word = words[index]
        if word == "--simulated" or word.startswith(("--start=", "--factor=")):
            index += 1
        elif word in ("--start", "--factor"):
            index += 2
        elif has_target:
            break
        elif word.startswith("-"):
            return words, []  # asks for help, or is a mistake: argparse knows
        else:
            has_target = True
            index += 1
    rest = words[index:]
    return words[:index], rest[1:] if rest[:1] == ["--"] else rest


def _program(target: str, time: _Time) -> Callable[[list[str]], None]:
    """Return the function that runs the target, given ``sys.argv``.

    Raises:
        _UsageError: There is no such file or module.
    """
    if os.path.isfile(target) or target.endswith(".py"):
        if not os.path.isfile(target):
            raise _UsageError(f"no such file: {target}")
        return lambda argv: _run_file(target, argv)
    module, colon, name = target.partition(":")
    if module.endswith(".py"):
        raise _UsageError(f"{module} is a file: leave :{name} out, or name it as a module")
    _put_first(os.getcwd())
    _find(module, target)
    if not colon:
        return lambda argv: _run_module(module, argv)
    return lambda argv: time.run(_coroutine_of(module, name, argv))


def _run_file(path: str, argv: list[str]) -> None:
    sys.argv = argv
    _put_first(os.path.dirname(os.path.realpath(path)))
    runpy.run_path(path, run_name="__main__")


def _run_module(module: str, argv: list[str]) -> None:
    sys.argv = argv
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _coroutine_of(module: str, name: str, argv: list[str]) -> Coroutine[Any, Any, object]:
    sys.argv = argv
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(function, part):
            _fail(f"{module} has no {name or 'name after the colon'}")
        function = getattr(function, part)
    if not inspect.iscoroutinefunction(function):
        _fail(f"{module}:{name} is not a coroutine function (async def): {function!r}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        _fail(f"{module}:{name} is called without arguments: {error}")
    coroutine: Coroutine[Any, Any, object] = function()
    return coroutine


def _find(module: str, target: str) -> None:
    """Refuse a module that is not there, and a package that cannot be run as a program."""
    try:
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None and module == target:
            if importlib.util.find_spec(f"{module}.__main__") is None:
                raise _UsageError(f"{module} is a package without a __main__ module")
    except (ModuleNotFoundError, ValueError) as error:
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
            raise  # a parent package is there, and fails at an import of its own
        spec = None
    if spec is None:
        raise _UsageError(f"no such module: {target}")


def _put_first(folder: str) -> None:
    """Put a folder where Python puts that of a script."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _fail(message: str) -> NoReturn:
    _parsers()[1].error(message)


if __name__ == "__main__":
    main()
