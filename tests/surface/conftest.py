"""What the tests of the asyncio surface share: loops of both makes, and scripts that run in a process of their own.

`loop` is one text for two arms: a test that takes it says what asyncio does, and runs on asyncio's own loop as well
as on soliloop's; where the module says so (``SIMULATED``), in a simulation too. `our_loop` is for what only soliloop
promises, in real time. None of them nests.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import soliloop
from surface_support import (
    ARMS,
    FACTORIES,
    LOOPS_IN_SCRIPTS,
    Factory,
    Pair,
    Script,
    command,
    open_descriptors,
)
from tls_support import HOST, KINDS, SIDES, Tls, contexts_of, new_contexts

_Loop = TypeVar("_Loop", bound=asyncio.AbstractEventLoop)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says ``SIMULATED = True`` runs in simulated time as well, but for what is marked ``real_time``."""
    if "factory" in metafunc.fixturenames:
        is_simulated = getattr(metafunc.module, "SIMULATED", False)
        is_real = metafunc.definition.get_closest_marker("real_time") is not None
        names = ARMS if is_simulated and not is_real else FACTORIES
        metafunc.parametrize("factory", list(names), indirect=True)


@pytest.fixture
def factory(request: pytest.FixtureRequest) -> Factory:
    """What makes a loop of either make."""
    return ARMS[request.param]


@pytest.fixture(params=list(LOOPS_IN_SCRIPTS))
def factory_text(request: pytest.FixtureRequest) -> str:
    """The expression for `factory` in a script."""
    return LOOPS_IN_SCRIPTS[request.param]


@pytest.fixture
def loop(factory: Factory) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of either make; closed at the end of the test."""
    yield from _opened(factory())


@pytest.fixture
def our_loop() -> Iterator[soliloop.EventLoop]:
    """A loop of soliloop; closed at the end of the test."""
    yield from _opened(soliloop.new_event_loop())


def _opened(loop: _Loop) -> Iterator[_Loop]:
    """What a test opens besides the loop it must close: counted while the loop has its own descriptors still."""
    loop.run_until_complete(asyncio.sleep(0))
    descriptors = open_descriptors()
    try:
        yield loop
        if not loop.is_closed():
            loop.set_task_factory(None)
            if sys.version_info < (3, 12, 1):
                loop.run_until_complete(_end_handlers())
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    if open_descriptors() > descriptors:
        gc.collect()
    assert open_descriptors() <= descriptors, "descriptors were left open"


async def _end_handlers() -> None:
    """End the tasks of connections: `Server.wait_closed` doesn't wait for them before Python 3.12.1."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.001)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends of a stream, non-blocking."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


@pytest.fixture
def tcp_pair() -> Iterator[Pair]:
    """Both ends of a connection over loopback, non-blocking."""
    with socket.create_server((HOST, 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


@pytest.fixture
def tls() -> Tls:
    """The contexts of a server and its client."""
    return new_contexts()


@pytest.fixture(params=KINDS)
def each_tls(request: pytest.FixtureRequest) -> Tls:
    """Contexts for each version of TLS, and such that make objects of a class of their own."""
    return contexts_of(request.param)


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    """Which side of TLS the transport under test is."""
    return str(request.param)


@pytest.fixture
def server_side(tls: Tls) -> ssl.SSLContext:
    return tls.server


@pytest.fixture
def client_side(tls: Tls) -> ssl.SSLContext:
    return tls.client


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a program in an interpreter of its own; returns what it prints. See `surface_support.command`."""

    def run(source: str, *options: str, env: dict[str, str] | None = None, **names: str) -> str:
        done = subprocess.run(
            command(tmp_path, source, *options, **names),
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            timeout=SCRIPT_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


SCRIPT_TIMEOUT = 60
