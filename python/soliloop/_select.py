"""The module ``select`` inside a simulation (Python docs, "select"): simulated sockets, waited for in simulated time.

Descriptors of the real world are refused, unless the simulation reaches it; those of both worlds can't be waited for at once.
``epoll`` stays the system's, and takes no simulated socket: the objects of ``selectors.PollSelector`` and
``selectors.SelectSelector`` do.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Iterable
from typing import Any

from soliloop._loop import EventLoop
from soliloop._soliloop import Outside, _is_simulated, _wait_for_sockets

_READS = select.POLLIN | select.POLLRDNORM
_WRITES = select.POLLOUT | select.POLLWRNORM
_DEFAULT = select.POLLIN | select.POLLPRI | select.POLLOUT
# Seconds of the simulation that a look in vain at the real world takes at least: who looks until a time is past gets there.
_LOOK = 1e-6


class Selecting(EventLoop):
    """The part of a simulated loop that answers for ``select``. The intercepted functions call it, with their own arguments."""

    def _poll(self: Any) -> Poll:
        return Poll(self)

    def _select(
        self: Any,
        rlist: Iterable[Any],
        wlist: Iterable[Any],
        xlist: Iterable[Any],
        timeout: float | None = None,
        /,
    ) -> tuple[list[Any], list[Any], list[Any]]:
        readers, writers = (
            [(_descriptor(file), file) for file in files] for files in (rlist, wlist)
        )
        others = [_descriptor(file) for file in xlist]
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative")
        reads, writes = ({fd for fd, _ in files} for files in (readers, writers))
        wanted = [(fd, fd in reads, fd in writes) for fd in sorted({*reads, *writes, *others})]
        for fd, *_ in wanted:
            if not _is_open(fd):
                raise OSError(9, os.strerror(9))
        ready = _wait(self, wanted, timeout, "select.select()")
        readable = {fd for fd, is_readable, *_ in ready if is_readable}
        writable = {fd for fd, _, is_writable, _ in ready if is_writable}
        return (
            [file for fd, file in readers if fd in readable],
            [file for fd, file in writers if fd in writable],
            [],
        )


class Poll:
    """What ``select.poll()`` gives in a simulation."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._masks: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = _DEFAULT, /) -> None:
        """Have ``poll()`` look at a descriptor."""
        self._masks[_descriptor(fd)] = _mask(eventmask)

    def modify(self, fd: Any, eventmask: int, /) -> None:
        """Change what ``poll()`` looks for at a descriptor.

        Raises:
            FileNotFoundError: It is not registered.
        """
        number = _descriptor(fd)
        if number not in self._masks:
            raise FileNotFoundError(2, os.strerror(2))
        self._masks[number] = _mask(eventmask)

    def unregister(self, fd: Any, /) -> None:
        """Have ``poll()`` look at a descriptor no more.

        Raises:
            KeyError: It is not registered.
        """
        del self._masks[_descriptor(fd)]

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """Wait until something is ready, for at most so many milliseconds; return what is ready, and for what."""
        seconds = None if timeout is None or timeout < 0 else math.ceil(timeout) / 1000
        gone = [(fd, select.POLLNVAL) for fd in self._masks if not _is_open(fd)]
        wanted = [
            (fd, bool(mask & _READS), bool(mask & _WRITES))
            for fd, mask in self._masks.items()
            if (fd, select.POLLNVAL) not in gone
        ]
        ready = _wait(self._loop, wanted, 0.0 if gone else seconds, "select.poll()")
        return gone + [(fd, self._events(fd, *found)) for fd, *found in ready]

    def _events(self, fd: int, is_readable: bool, is_writable: bool, is_exceptional: bool) -> int:
        found = _READS * is_readable | _WRITES * is_writable | select.POLLRDHUP * is_exceptional
        return self._masks[fd] & found


def _wait(
    loop: Any, wanted: list[tuple[int, bool, bool]], timeout: float | None, what: str
) -> list[tuple[int, bool, bool, bool]]:
    """Wait for simulated sockets, or for descriptors of the real world: for those the clock stands still, unless it is in vain."""
    if not (loop._reaches_out and wanted and not any(_is_simulated(loop, fd) for fd, *_ in wanted)):
        return _wait_for_sockets(loop, wanted, timeout, what)
    with Outside():
        poll = select.poll()
        for fd, reads, writes in wanted:
            poll.register(fd, _READS * reads | _WRITES * writes)
        found = poll.poll(None if timeout is None else timeout * 1000)
    if not found and timeout is not None:
        _wait_for_sockets(loop, [], max(timeout, _LOOK), what)
    gone = select.POLLHUP | select.POLLERR
    wishes = {fd: (reads, writes) for fd, reads, writes in wanted}
    return [
        (
            fd,
            bool(mask & (_READS | gone) and wishes[fd][0]),
            bool(mask & (_WRITES | gone) and wishes[fd][1]),
            bool(mask & gone),
        )
        for fd, mask in found
    ]


def _descriptor(file: Any) -> int:
    number = file if isinstance(file, int) else getattr(file, "fileno", None)
    if callable(number):
        number = number()
        if not isinstance(number, int):
            raise TypeError("fileno() returned a non-integer")
    if number is None:
        raise TypeError("argument must be an int, or have a fileno() method.")
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    return int(number)


def _mask(eventmask: int) -> int:
    if eventmask < 0:
        raise ValueError("value must be positive")
    return eventmask


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
