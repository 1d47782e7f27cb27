"""Stands in for the package `uvloop` in its own tests and in the processes that they start: its names, the loop under test."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_module, _, _name = os.environ["CONFORMANCE_LOOP"].partition(":")
# `uvloop._testbase` is a part of the suite and lies beside its tests.
__path__.append(os.environ["CONFORMANCE_UVLOOP"])
__version__ = "0"


def new_event_loop() -> asyncio.AbstractEventLoop:
    # In a worker through what counts the loops; a process that a test started has no such thing.
    in_place = sys.modules.get("in_place")
    make = in_place.installed if in_place else getattr(importlib.import_module(_module), _name)
    return make()  # type: ignore[no-any-return]


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    def _loop_factory(self) -> asyncio.AbstractEventLoop:
        return new_event_loop()


def install() -> None:
    asyncio.set_event_loop_policy(EventLoopPolicy())


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    with asyncio.Runner(loop_factory=new_event_loop, debug=debug) as runner:
        return runner.run(main)


_loop = new_event_loop()
Loop = type(_loop)
_loop.close()
