"""Puts the loop under test in the place of asyncio's own loop, in this process and for good.

Afterwards `asyncio.new_event_loop`, `asyncio.Runner`, `asyncio.run`, `IsolatedAsyncioTestCase` and the classes
`asyncio.SelectorEventLoop` and `asyncio.EventLoop` all make the loop under test. It must be done before tests are imported,
because they take these names then. Nothing here knows which tests will run.
"""

from __future__ import annotations

import asyncio
import asyncio.unix_events
import importlib
from collections.abc import Callable
from typing import Any


class LoopUnderTest:
    """The factory of loops that a specification names, and how many it has made."""

    def __init__(self, specification: str) -> None:
        self._make: Callable[[], asyncio.AbstractEventLoop] = named(specification)
        if self._make is asyncio.new_event_loop:
            self._make = asyncio.SelectorEventLoop  # what it makes now: it will lead back to here
        loop = self._make()
        self.type: type[Any] = type(loop)
        self.made = 0
        loop.close()

    def __call__(self) -> asyncio.AbstractEventLoop:
        self.made += 1
        return self._make()


def named(specification: str) -> Any:
    """The object that `MODULE:NAME` stands for."""
    module, _, path = specification.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def put_in_place(loop_under_test: LoopUnderTest) -> None:
    """Makes every public way to a new loop lead to `loop_under_test`."""
    global installed
    installed = loop_under_test
    stand_in = _class_that_makes(loop_under_test)
    for module in (asyncio, asyncio.unix_events):
        for name in ("SelectorEventLoop", "EventLoop"):
            if hasattr(module, name):
                setattr(module, name, stand_in)
    policies = [getattr(asyncio.unix_events, name, None) for name in POLICIES]
    for policy in filter(None, policies):
        policy._loop_factory = loop_under_test


def _class_that_makes(loop_under_test: LoopUnderTest) -> type[Any]:
    """A class whose call is the factory's and whose instances are the factory's loops. A subclass of it is a usual one."""
    base = loop_under_test.type

    class Meta(type(base)):  # type: ignore[misc]
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            # A selector may be among the arguments: the loop under test has its own.
            return loop_under_test() if cls is stand_in else super().__call__(*args, **kwargs)

        def __instancecheck__(cls, instance: object) -> bool:
            return (
                isinstance(instance, base)
                if cls is stand_in
                else super().__instancecheck__(instance)
            )

    stand_in: type[Any] = Meta("SelectorEventLoop", (base,), {"__module__": base.__module__})
    return stand_in


installed: LoopUnderTest | None = None
# By version: up to 3.13; from 3.14 on.
POLICIES = ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy")
