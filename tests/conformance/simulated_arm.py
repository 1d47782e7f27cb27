"""The loop of the simulated arms: it is to be had by the name that `suites.py` gives the workers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from in_simulation import InSimulation


class Loop(InSimulation):
    """Takes a handler of SIGCHLD and forgets it.

    Tests up to Python 3.13 attach a watcher of child processes to each loop that they set up, most of them for nothing.
    """

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        if sig != signal.SIGCHLD:
            super().add_signal_handler(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        return sig == signal.SIGCHLD or super().remove_signal_handler(sig)
