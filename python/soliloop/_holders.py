"""Who could complete a future that nobody has completed: what the error of a deadlock says of it.

It asks the garbage collector who refers to the future. It knows no loop, and changes nothing.
"""

from __future__ import annotations

import collections
import gc
from collections.abc import Callable, Iterable, Iterator
from types import AsyncGeneratorType, CellType, CoroutineType, FrameType, GeneratorType, ModuleType
from typing import Any

_SUSPENDED: dict[type, str] = {
    CoroutineType: "cr_frame",
    GeneratorType: "gi_frame",
    AsyncGeneratorType: "ag_frame",
}
_CONTAINERS = (dict, list, tuple, set, frozenset, collections.deque)
# How many containers may be around it, and how many holders are told.
_DEEPEST = 3
_MOST = 3


def holders(thing: object, waiting: Iterable[object], show: Callable[[object], str]) -> list[str]:
    """Name those who refer to an object, but for the frames (and their coroutines) that wait for it; *show* is a ``repr()``."""
    found: list[str] = []
    for text in _holders(thing, {id(frame) for frame in waiting}, show, _DEEPEST):
        if text not in found:
            found.append(text)
        if len(found) == _MOST:
            break
    return found


def _holders(
    thing: object, waiting: set[int], show: Callable[[object], str], depth: int
) -> Iterator[str]:
    for holder in gc.get_referrers(thing):
        if type(holder) in _SUSPENDED:
            frame = getattr(holder, _SUSPENDED[type(holder)])
            if frame is None or id(frame) in waiting or frame.f_globals is globals():
                continue
            for name in _names(frame.f_locals, thing):
                yield f"variable {name!r} of {holder.__qualname__}()"
        elif isinstance(holder, CellType | FrameType):
            # A variable that functions share is a cell; a frame is of a call under way, this one's for instance.
            continue
        elif isinstance(holder, _CONTAINERS):
            owner = _owner(holder)
            if owner is not None:
                for name in _names(holder, thing):
                    yield _attribute(owner, name, show)
            elif depth > 0:
                yield from _holders(holder, waiting, show, depth - 1)
        else:
            for name in _names(getattr(holder, "__dict__", {}), thing):
                yield _attribute(holder, name, show)


def _owner(namespace: object) -> object | None:
    """The object whose attributes (or the module whose variables) a dictionary has, if it is such a one."""
    holders: list[object] = gc.get_referrers(namespace) if type(namespace) is dict else []
    return next((one for one in holders if getattr(one, "__dict__", None) is namespace), None)


def _attribute(owner: object, name: str, show: Callable[[object], str]) -> str:
    if isinstance(owner, ModuleType):
        return f"variable {name!r} of module {owner.__name__}"
    return f"attribute {name!r} of {show(owner)}"


def _names(namespace: Any, thing: object) -> list[str]:
    """Under which names a namespace has an object, be it in a container."""
    return [name for name, value in list(namespace.items()) if value is thing]
