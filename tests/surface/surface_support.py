"""Helpers of the surface tests that are no fixtures: turning a loop, listening to its handler, scripts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import textwrap
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import soliloop
from in_simulation import InSimulation

Loop: TypeAlias = asyncio.AbstractEventLoop
Factory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
Script: TypeAlias = Callable[..., str]
Pair: TypeAlias = tuple[socket.socket, socket.socket]
_T = TypeVar("_T")

FACTORIES: dict[str, Factory] = {
    "soliloop": soliloop.new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


# What goes over sockets goes over simulated ones just the same.
ARMS: dict[str, Factory] = {**FACTORIES, "simulated": InSimulation}


def turn(loop: Loop) -> None:
    """One batch of callbacks, and one more for what it makes ready."""
    for _ in range(2):
        loop.call_soon(loop.stop)
        loop.run_forever()


def run(loop: Loop, main: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end; a test that waits for what never comes fails instead of hanging."""
    return loop.run_until_complete(asyncio.wait_for(main, PATIENCE))


@contextlib.contextmanager
def handled(loop: Loop) -> Iterator[list[dict[str, Any]]]:
    """The contexts that reach the loop's exception handler meanwhile."""
    contexts: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    try:
        yield contexts
    finally:
        loop.set_exception_handler(before)


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.data = b""
        self.keeps_open = False
        loop = asyncio.get_running_loop()
        self.made: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[BaseException | None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.told.append("made")
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.keeps_open

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.append("lost")
        self.ended.set_result(exc)


async def arrived(protocol: Recorder, count: int) -> None:
    while len(protocol.data) < count:
        await asyncio.sleep(0.0005)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def command(directory: Path, source: str, *options: str, **names: str) -> list[str]:
    """The command line of a program whose text is *source*, with each name in capitals replaced.

    It is a file, so that it can be the main module of further processes. Warnings are errors in it.
    """
    text = textwrap.dedent(source)
    for name, value in names.items():
        text = text.replace(name.upper(), value)
    path = directory / "program.py"
    path.write_text(text)
    return [sys.executable, "-X", "faulthandler", *(options or ("-W", "error")), str(path)]


LOOPS_IN_SCRIPTS = {
    "soliloop": "__import__('soliloop').new_event_loop",
    "asyncio": "__import__('asyncio').SelectorEventLoop",
}
PATIENCE = 30
