"""The checker: finds nested runs, blocking calls and their kin in the source of a program.

It is written in Rust, reads source text, and imports nothing of what it reads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from soliloop._soliloop import _check


def check(arguments: Sequence[str] = ()) -> int:
    """Run the command ``soliloop check``: it prints what it finds to ``sys.stdout``, and complaints to ``sys.stderr``.

    Args:
        arguments: The words of the command line: files, folders and options, as ``soliloop check --help`` lists them.

    Returns:
        The exit status: 0 if nothing was found, 1 if something was, 2 if the check could not be done.
    """
    status, output, complaint = _check(list(arguments), sys.stdout.isatty())
    sys.stderr.write(complaint)
    sys.stdout.write(output)
    return status
