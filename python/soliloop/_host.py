"""Which host of a simulation code runs on: a context variable, so that what a task starts runs where the task does."""

from __future__ import annotations

import contextvars


class Incarnation:
    """A host from its start to its crash. Code that runs on it has it in its context."""

    __slots__ = ("is_dead", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_dead = False


running_on: contextvars.ContextVar[Incarnation | None] = contextvars.ContextVar(
    "soliloop_host", default=None
)


def current_host() -> int:
    """The number of the host that the caller runs on; 0 for the one of code that runs on none."""
    incarnation = running_on.get()
    return 0 if incarnation is None else incarnation.number
