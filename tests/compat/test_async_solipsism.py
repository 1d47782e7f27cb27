"""The surface of async_solipsism 0.10 over soliloop, but for sockets: those are in test_solipsism_sockets.py."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import soliloop
from soliloop.compat import async_solipsism

pytestmark = pytest.mark.usefixtures("no_leaks")

needs_policies = pytest.mark.skipif(sys.version_info >= (3, 16), reason="policies are gone")


@pytest.fixture
def event_loop() -> Iterator[async_solipsism.EventLoop]:
    loop = async_solipsism.EventLoop()
    yield loop
    loop.close()


# Names.


@needs_policies
def test_star_import_gives_every_name() -> None:
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        exec("from soliloop.compat.async_solipsism import *", names)
    assert sorted(name for name in names if not name.startswith("__")) == [
        "EventLoop",
        "EventLoopPolicy",
        "ListenSocket",
        "Queue",
        "ResolutionWarning",
        "SleepForeverError",
        "Socket",
        "SolipsismError",
        "SolipsismWarning",
        "aiohappyeyeballs_start_connection",
        "socketpair",
        "stream_pairs",
    ]
    assert async_solipsism.__version__ == "0.10"


def test_family_of_exceptions() -> None:
    assert issubclass(async_solipsism.SolipsismError, RuntimeError)
    assert issubclass(async_solipsism.SleepForeverError, async_solipsism.SolipsismError)
    assert issubclass(async_solipsism.SleepForeverError, soliloop.DeadlockError)
    assert issubclass(async_solipsism.SolipsismWarning, Warning)
    assert issubclass(async_solipsism.ResolutionWarning, async_solipsism.SolipsismWarning)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = async_solipsism.nothing


@needs_policies
def test_policy_warns_once_and_makes_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(async_solipsism), "EventLoopPolicy", raising=False)
    with pytest.warns(DeprecationWarning, match="EventLoopPolicy is deprecated") as caught:
        policy_class = async_solipsism.EventLoopPolicy
    assert async_solipsism.EventLoopPolicy is policy_class
    assert len(caught) == 1
    loop = policy_class().new_event_loop()
    assert type(loop) is async_solipsism.EventLoop
    loop.close()


# The clock.


def test_clock_starts_at_zero_and_jumps(event_loop: async_solipsism.EventLoop) -> None:
    assert event_loop.time() == 0.0
    event_loop.run_until_complete(asyncio.sleep(2))
    assert event_loop.time() == 2.0


def test_clock_can_be_read_when_the_loop_is_closed(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.run_until_complete(asyncio.sleep(2))
    event_loop.close()
    assert event_loop.time() == 2.0


def test_a_wait_of_years_is_no_wait_forever(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.run_until_complete(asyncio.sleep(1000 * 86_400))
    assert event_loop.time() == 1000 * 86_400


def test_the_shortest_wait_needs_no_warning(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.run_until_complete(asyncio.sleep(1e-9))
    assert event_loop.time() == 1e-9


# Waiting forever.


async def zzz() -> None:
    await asyncio.get_running_loop().create_future()


def test_sleep_forever_in_a_runner() -> None:
    runner = asyncio.Runner(loop_factory=async_solipsism.EventLoop)
    with pytest.raises(async_solipsism.SleepForeverError, match="zzz"):
        runner.run(zzz())
    runner.close()


def test_sleep_forever_in_run_until_complete(event_loop: async_solipsism.EventLoop) -> None:
    task = event_loop.create_task(zzz(), name="the task")
    with pytest.raises(async_solipsism.SleepForeverError, match="the task"):
        event_loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        event_loop.run_until_complete(task)


def test_sleep_forever_in_run_forever(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.call_later(3, lambda: None)
    with pytest.raises(async_solipsism.SleepForeverError):
        event_loop.run_forever()
    assert event_loop.time() == 3.0


def test_sleep_forever_in_a_nested_run() -> None:
    loop = async_solipsism.EventLoop(nesting=True)

    async def outer() -> None:
        loop.run_until_complete(zzz())

    task = loop.create_task(outer())
    with pytest.raises(async_solipsism.SleepForeverError, match="nested run"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


# Runs.


def test_run_forever_stops(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.call_later(3, event_loop.stop)
    event_loop.run_forever()
    assert event_loop.time() == 3.0


def test_runs_do_not_nest_unless_asked_for(event_loop: async_solipsism.EventLoop) -> None:
    async def outer() -> None:
        coroutine = asyncio.sleep(1)
        try:
            event_loop.run_until_complete(coroutine)
        finally:
            coroutine.close()

    with pytest.raises(RuntimeError, match="already running"):
        event_loop.run_until_complete(outer())


def test_runs_nest_where_asked_for() -> None:
    loop = async_solipsism.EventLoop(nesting=True)

    async def outer() -> None:
        loop.run_until_complete(asyncio.sleep(2))

    loop.run_until_complete(outer())
    assert loop.time() == 2.0
    loop.close()


def test_subclass_with_arguments_of_its_own() -> None:
    class EventLoop(async_solipsism.EventLoop):
        def __init__(self, start: int, *, unit: str) -> None:
            super().__init__()
            self.text = f"{start} {unit}"

    loop = EventLoop(5, unit="s")
    loop.run_until_complete(asyncio.sleep(1))
    assert (loop.text, loop.time()) == ("5 s", 1.0)
    loop.close()


# Threads.


def test_executor_is_a_thread_and_takes_no_time(event_loop: async_solipsism.EventLoop) -> None:
    async def main() -> int:
        return await event_loop.run_in_executor(None, threading.get_ident)

    assert event_loop.run_until_complete(main()) != threading.get_ident()
    assert event_loop.time() == 0.0


def test_executor_of_ones_own(event_loop: async_solipsism.EventLoop) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        thread = executor.submit(threading.get_ident).result()
        for each in (executor, None):
            event_loop.set_default_executor(executor)
            future = event_loop.run_in_executor(each, threading.get_ident)
            assert event_loop.run_until_complete(future) == thread


def test_executor_raises_what_the_function_raises(event_loop: async_solipsism.EventLoop) -> None:
    future = event_loop.run_in_executor(None, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        event_loop.run_until_complete(future)


def test_executor_of_a_closed_loop(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        event_loop.run_in_executor(None, threading.get_ident)


def test_executor_refuses_coroutine_functions_in_debug_mode(
    event_loop: async_solipsism.EventLoop,
) -> None:
    event_loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used"):
        event_loop.run_in_executor(None, zzz)


def test_to_thread_and_its_end_in_a_runner() -> None:
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        thread = runner.run(asyncio.to_thread(threading.current_thread))
        assert thread.is_alive()
    assert not thread.is_alive()


def test_shutdown_of_the_default_executor(event_loop: async_solipsism.EventLoop) -> None:
    event_loop.run_until_complete(event_loop.shutdown_default_executor())  # there is none
    event_loop.run_until_complete(event_loop.run_in_executor(None, threading.get_ident))
    event_loop.run_until_complete(event_loop.shutdown_default_executor(timeout=1))
    assert event_loop.time() == 0.0
    with pytest.raises(RuntimeError, match="shutdown"):
        event_loop.run_in_executor(None, threading.get_ident)


def test_call_soon_threadsafe_on_the_loops_thread(event_loop: async_solipsism.EventLoop) -> None:
    async def main() -> int:
        future: asyncio.Future[int] = event_loop.create_future()
        event_loop.call_soon_threadsafe(future.set_result, 3)
        return await future

    assert event_loop.run_until_complete(main()) == 3


def test_call_soon_threadsafe_on_another_thread(event_loop: async_solipsism.EventLoop) -> None:
    def call() -> None:
        with pytest.raises(async_solipsism.SolipsismError, match="call_soon_threadsafe"):
            event_loop.call_soon_threadsafe(print)

    async def main() -> None:
        await event_loop.run_in_executor(None, call)

    call()
    event_loop.run_until_complete(main())


def test_real_threads_can_be_started(event_loop: async_solipsism.EventLoop) -> None:
    async def main() -> list[int]:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(threading.get_ident()))
        thread.start()
        thread.join()
        return found

    [ident] = event_loop.run_until_complete(main())
    assert ident != threading.get_ident()
    assert event_loop.time() == 0.0


# What is outside.


def test_processes_and_signals_are_refused(event_loop: async_solipsism.EventLoop) -> None:
    for call, arguments in (
        ("subprocess_exec", (asyncio.SubprocessProtocol, "true")),
        ("subprocess_shell", (asyncio.SubprocessProtocol, "true")),
    ):
        with pytest.raises(async_solipsism.SolipsismError, match=call) as caught:
            event_loop.run_until_complete(getattr(event_loop, call)(*arguments))
        assert isinstance(caught.value, soliloop.OutsideWorldError)
    with pytest.raises(async_solipsism.SolipsismError, match="add_signal_handler"):
        event_loop.add_signal_handler(signal.SIGTERM, print)
    with pytest.raises(async_solipsism.SolipsismError, match="remove_signal_handler"):
        event_loop.remove_signal_handler(signal.SIGTERM)


def test_real_sockets_and_pipes_are_refused(event_loop: async_solipsism.EventLoop) -> None:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with ours, theirs, open(reading, "rb") as source, open(writing, "wb") as sink:
        ours.setblocking(False)
        protocol = asyncio.Protocol
        for coroutine in (
            event_loop.sock_recv(ours, 1),
            event_loop.sock_sendall(ours, b"x"),
            event_loop.create_connection(protocol, sock=ours),
            event_loop.connect_accepted_socket(protocol, ours),
            event_loop.connect_read_pipe(protocol, source),
            event_loop.connect_write_pipe(protocol, sink),
        ):
            with pytest.raises(async_solipsism.SolipsismError, match="real"):
                event_loop.run_until_complete(coroutine)
        for add in (event_loop.add_reader, event_loop.add_writer):
            with pytest.raises(async_solipsism.SolipsismError):
                add(ours, print)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
