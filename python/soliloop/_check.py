"""The checker: finds nested runs, blocking calls and their kin in the source of a program.

It is written in Rust, reads source text, and imports nothing of what it reads. Its core is a module of its own in the
extension's library, so that a check starts without the loop's core and asyncio.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


def check(arguments: Sequence[str] = ()) -> int:
    """Run the command ``soliloop check``: it prints what it finds to ``sys.stdout``, and complaints to ``sys.stderr``.

    Args:
        arguments: The words of the command line: files, folders and options, as ``soliloop check --help`` lists them.

    Returns:
        The exit status: 0 if nothing was found, 1 if something was, 2 if the check could not be done.
    """
    status: int
    status, output, complaint = _checker.run(list(arguments), sys.stdout.isatty())
    sys.stderr.write(complaint)
    sys.stdout.write(output)
    return status


def _load(name: str, library: str) -> ModuleType:
    """Load a module from another one's library, where no import looks for it (PEP 489: multiple modules in one library)."""
    found = find_spec(library)
    spec = found and spec_from_file_location(name, found.origin)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_checker = _load("soliloop._checker", library="soliloop._soliloop")
