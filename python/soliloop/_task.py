"""The tasks of loops that allow nesting: a cancellation reaches a nested run of the task at once."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

_T = TypeVar("_T")


class Task(asyncio.Task[_T]):
    """An ``asyncio.Task`` that can be cancelled while its stack is parked in a nested run.

    A stock task takes itself for running then, and would raise ``CancelledError`` at its next ``await`` only. This one
    passes the cancellation on to the future that the nested run waits for, as ``asyncio.Task.cancel`` does with a future
    that the task awaits: the error rises out of the nested call.
    """

    _nested_cancels = 0  # requests that went to a nested run, and were not taken back

    def cancel(self, msg: Any | None = None) -> bool:
        """Request cancellation (asyncio docs, ``Task.cancel``)."""
        waited: asyncio.Future[Any] | None = self.get_loop()._nested_wait(self)  # type: ignore[attr-defined]
        if waited is None or not waited.cancel(msg):
            return super().cancel(msg)
        self._nested_cancels += 1
        return True

    def cancelling(self) -> int:
        """Return the number of pending cancellation requests."""
        return super().cancelling() + self._nested_cancels

    def uncancel(self) -> int:
        """Take one cancellation request back; return how many remain."""
        if self._nested_cancels:
            self._nested_cancels -= 1
        else:
            super().uncancel()
        return self.cancelling()
