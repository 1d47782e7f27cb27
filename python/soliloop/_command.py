"""The command ``soliloop`` but for its word ``check``: runs programs with soliloop in the place of asyncio's own loop.

It uses soliloop's public names only. It ignores what a program returns: one that wants an exit
status raises ``SystemExit``, as in Python. What is wrong with the command line itself gives exit
status 2 and a line that says so.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import os
import runpy
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import soliloop

_DESCRIPTION = """\
Run a program with soliloop in the place of asyncio's own loop.

  FILE.py       runs as a script
  MODULE        runs as by `python -m MODULE`
  MODULE:main   is imported, and its coroutine function `main` runs, without arguments

Each loop that the program gets from asyncio.run(), asyncio.Runner() or asyncio.new_event_loop(),
or from soliloop, allows nested runs and is soliloop's; with --simulated it lives in simulated time.

Options may stand after the target too. The first word there that is none of them begins the
program's own arguments.
"""


_OF_SIMULATIONS = ("start", "factor", "seed", "entropy", "outside")


class _UsageError(Exception):
    """The command line asks for something that cannot be run."""


class _Version(argparse.Action):
    """Looks the version up only where it is asked for: that takes longer than all else here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"soliloop {version('soliloop')}")
        parser.exit()


def main(words: list[str]) -> None:
    """Run the command.

    Args:
        words: Those after the command's name.
    """
    parser, run_parser = _parsers()
    program_args: list[str] = []
    if words[:1] == ["run"]:
        words, program_args = _split(words)
    options = parser.parse_args(words)
    try:
        _install(options)
        sys.argv = [options.target, *program_args]
        program = _program(options.target)
    except _UsageError as error:
        run_parser.error(str(error))
    program()


def _install(options: argparse.Namespace) -> None:
    """Give every loop of the program the settings of the command line."""
    given = {name: getattr(options, name) for name in _OF_SIMULATIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if not options.simulated:
        for name in given:
            raise _UsageError(f"--{name} is for simulated time: add --simulated")
    try:
        soliloop.install(simulated=options.simulated, nesting=True, **given)
    except ValueError as error:
        raise _UsageError(str(error)) from None


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="soliloop", description="An asyncio event loop for live and simulated time."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a program with soliloop in the place of asyncio's own loop",
        usage="%(prog)s [--simulated [--start ISO] [--factor N] [--seed N [--entropy]] [--outside WHAT]] "
        "FILE.py|MODULE[:main] [ARGS...]",
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
    run.add_argument(
        "--seed",
        metavar="N",
        type=int,
        help="what the module random draws from: the same seed, the same run",
    )
    run.add_argument(
        "--entropy",
        action="store_const",
        const=True,
        help="make uuid4(), os.urandom() and secrets draw from the seed as well",
    )
    run.add_argument(
        "--outside",
        choices=("forbid", "threads", "allow"),
        help="what the program may use of the real world: nothing, threads, or all of it",
    )
    commands.add_parser(
        "check", help="find nested runs, blocking calls and their kin in a program's source"
    )
    return parser, run


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Part the words of the command from the program's own arguments.

    argparse can't: it takes options of ours from among the program's, or none behind the target.
    """
    valued = [f"--{name}" for name in _OF_SIMULATIONS if name != "entropy"]
    has_target = False
    index = 1
    while index < len(words):
        word = words[index]
        if word in ("--simulated", "--entropy") or word.startswith(
            tuple(f"{option}=" for option in valued)
        ):
            index += 1
        elif word in valued:
            index += 2
        elif has_target:
            break
        elif word == "--" and words[index + 1 :]:
            return [*words[:index], words[index + 1]], words[index + 2 :]
        elif word.startswith("-"):
            return words, []  # asks for help, or is a mistake: argparse knows
        else:
            has_target = True
            index += 1
    rest = words[index:]
    return words[:index], rest[1:] if rest[:1] == ["--"] else rest


def _program(target: str) -> Callable[[], object]:
    """Return the function that runs the target.

    Raises:
        _UsageError: There is no such file, module or coroutine function.
    """
    if os.path.isfile(target):
        _put_first(os.path.dirname(os.path.realpath(target)))
        return lambda: runpy.run_path(target, run_name="__main__")
    if target.endswith(".py"):
        raise _UsageError(f"no such file: {target}")
    module, colon, name = target.partition(":")
    if module.endswith(".py"):
        raise _UsageError(f"{module} is a file, and runs whole: leave :{name} out")
    _put_first(os.getcwd())
    if not _exists(module):
        raise _UsageError(f"no such module: {module}")
    if colon:
        function = _coroutine_function(module, name)
        return lambda: soliloop.run(function())
    if _is_package(module) and not _exists(f"{module}.__main__"):
        raise _UsageError(f"{module} is a package without a module __main__")
    return lambda: runpy.run_module(module, run_name="__main__", alter_sys=True)


def _coroutine_function(module: str, name: str) -> Callable[[], Coroutine[Any, Any, object]]:
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(function, part):
            raise _UsageError(f"module {module} has no {name!r}")
        function = getattr(function, part)
    if not inspect.iscoroutinefunction(function):
        raise _UsageError(f"{module}:{name} is not a coroutine function (async def): {function!r}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise _UsageError(f"{module}:{name} is called without arguments: {error}") from None
    coroutine_function: Callable[[], Coroutine[Any, Any, object]] = function
    return coroutine_function


def _exists(module: str) -> bool:
    if not all(module.split(".")):
        return False  # no name at all, or a relative one
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # a parent package is there, and fails at an import of its own
        return False


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _put_first(folder: str) -> None:
    """Put a folder where Python puts that of a script."""
    if not sys.flags.safe_path:
        sys.path[0] = folder
