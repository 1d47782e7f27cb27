"""A simulated loop for tests that know nothing of simulations: they make it, run it and close it, as any other loop.

It is the third arm of our own tests of the asyncio surface, and the loop of other projects' suites in simulated time.
"""

from __future__ import annotations

import soliloop


class InSimulation(soliloop.SimulatedLoop):
    """A simulated loop that owns the thread from its making to its end, as in ``with soliloop.simulation()``."""

    _is_inside = True

    def __init__(self) -> None:
        super().__init__()
        self._enter_world()

    def close(self) -> None:
        super().close()
        if self._is_inside:
            self._is_inside = False
            self._leave_world()
