"""The command ``soliloop``: checks programs, and runs them with soliloop in the place of asyncio's own loop.

It uses soliloop's public names only. A check needs no more than what stands here; the rest is in ``_command``, whose
imports take longer than most checks.
"""

from __future__ import annotations

import os
import sys

import soliloop


def main(argv: list[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The words after the command's name; by default those of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["check"]:
        # Its words are the checker's own.
        sys.exit(_check(words[1:]))
    from soliloop import _command

    _command.main(words)


def _check(words: list[str]) -> int:
    try:
        status = soliloop.check(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever has closed the pipe wants no more; Python's own last flush must find none either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


if __name__ == "__main__":
    main()
