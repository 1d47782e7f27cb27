"""The loop of the simulated arms, and threads to go with it: `suites.py` gives the workers its name.

Many tests have a client or a server with blocking calls in a `threading.Thread`. Such a thread would be of the real world, and
could not reach simulated sockets. So where it is started inside a simulation it becomes a simulated one, as the functions are that
`run_in_executor` is given; the test's text stays as it is.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit
from in_simulation import InSimulation
from soliloop import _soliloop


class Loop(InSimulation):
    """Takes a handler of SIGCHLD and forgets it.

    Tests up to Python 3.13 attach a watcher of child processes to each loop that they set up, most of them for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        _open.append(self)

    def close(self) -> None:
        super().close()
        if self in _open:
            _open.remove(self)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        if sig != signal.SIGCHLD:
            super().add_signal_handler(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        return sig == signal.SIGCHLD or super().remove_signal_handler(sig)


def _current() -> Loop | None:
    """The loop that owns the thread: the one that runs, or else the last one that was made."""
    running = asyncio._get_running_loop()
    if isinstance(running, Loop):
        return running
    return _open[-1] if _open and running is None else None


def _start(self: Any) -> None:
    loop = _current()
    if loop is None or threading.get_native_id() != _home:
        _real_start(self)
        return
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    self._started.set()
    self._simulated_end = threading.Event()
    _soliloop._start_thread(loop, lambda: _run(self), lambda: None, self.name)


def _run(thread: Any) -> None:
    try:
        thread.run()
    except (SystemExit, GreenletExit):
        pass
    except BaseException:
        thread._invoke_excepthook(thread)
    finally:
        thread._simulated_end.set()


def _join(self: Any, timeout: float | None = None) -> None:
    end = self.__dict__.get("_simulated_end")
    if end is None:
        _real_join(self, timeout)
    else:
        end.wait(timeout)


def _is_alive(self: Any) -> bool:
    end = self.__dict__.get("_simulated_end")
    return _real_is_alive(self) if end is None else not end.is_set()


_open: list[Loop] = []
# Simulated threads have numbers of their own, but are of the same thread of the system.
_home = threading.get_native_id()
_real_start = threading.Thread.start
_real_join = threading.Thread.join
_real_is_alive = threading.Thread.is_alive
threading.Thread.start = _start  # type: ignore[method-assign]
threading.Thread.join = _join  # type: ignore[method-assign]
threading.Thread.is_alive = _is_alive  # type: ignore[method-assign]
