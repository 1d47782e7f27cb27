"""The tasks of loops that allow nesting: a cancellation reaches a nested run of the task at once."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from soliloop._soliloop import NumberedTask

_T = TypeVar("_T")


class Task(asyncio.Task[_T]):
    """An ``asyncio.Task`` that can be cancelled while its stack is parked in a nested run.

    A stock task takes itself for running then, and would raise ``CancelledError`` at its next ``await`` only. This one
    passes the cancellation on to the future that the nested run waits for, as ``asyncio.Task.cancel`` does with a future
    that the task awaits: the error rises out of the nested call.
    """

    _nested_cancels = 0  # requests that went to a nested run, and were not taken back
    # The message of a request that was made after the nested run's future was done: it rises when the stack goes on.
    _late_request: tuple[Any] | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        """Request cancellation (asyncio docs, ``Task.cancel``)."""
        # Down the chain of nested runs by a loop: a thousand of them are not a thousand calls deep.
        chain: list[Task[Any]] = []
        innermost: asyncio.Future[Any] = self
        while isinstance(innermost, Task) and (waited := innermost._nested_wait()) is not None:
            chain.append(innermost)
            innermost = waited
        if not chain:
            return super().cancel(msg)
        if not innermost.cancel(msg):
            chain[-1]._late_request = (msg,)
        for task in chain:
            task._nested_cancels += 1
        return True

    def _nested_wait(self) -> asyncio.Future[Any] | None:
        """The future that a nested run of this task waits for."""
        waited: asyncio.Future[Any] | None = self.get_loop()._nested_wait(self)  # type: ignore[attr-defined]
        return waited

    def cancelling(self) -> int:
        """Return the number of pending cancellation requests."""
        return super().cancelling() + self._nested_cancels

    def uncancel(self) -> int:
        """Take one cancellation request back; return how many remain."""
        if self._nested_cancels:
            self._nested_cancels -= 1
            if not self._nested_cancels:
                self._late_request = None
        else:
            super().uncancel()
        return self.cancelling()

    def _take_request(self) -> None:
        """Take over a request that the running task has not seen yet: it rises out of the nested run that begins now.

        Before Python 3.13 the request can't be taken from the stock task, and rises once more at its next ``await``.
        """
        for _ in range(super().cancelling()):
            super().uncancel()
            self._nested_cancels += 1


class SimulatedTask(NumberedTask[_T], Task[_T]):
    """A task of a simulated loop: sets of tasks have the same order in every run, whatever their addresses are."""

    __slots__ = ()


# What a program prints and logs of its tasks is the same in both times.
SimulatedTask.__name__ = SimulatedTask.__qualname__ = "Task"
