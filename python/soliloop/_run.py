"""Entry points: making loops, running coroutines, putting soliloop in the place of asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import signal
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from soliloop import _reports
from soliloop._loop import EventLoop
from soliloop._simulated_loop import Outreach, SimulatedLoop
from soliloop._soliloop import OuterRun

_T = TypeVar("_T")
if sys.version_info >= (3, 14):
    _Main: TypeAlias = Awaitable[_T]
    _is_main = inspect.isawaitable
else:
    _Main: TypeAlias = Coroutine[Any, Any, _T]
    _is_main = asyncio.iscoroutine


@dataclass
class _Settings:
    """What a new loop is where its maker does not say."""

    simulated: bool = False
    nesting: bool = False
    # Those of simulated loops that were given.
    options: dict[str, Any] = field(default_factory=dict)


_settings = _Settings()
_always_nests = False


def nest_always() -> None:
    """Let every loop that is made from now on allow nesting, whatever is installed."""
    global _always_nests
    _always_nests = True


def new_event_loop(
    *,
    simulated: bool | None = None,
    nesting: bool | None = None,
    start: datetime | str | None = None,
    factor: float | None = None,
    seed: int | None = None,
    entropy: bool = False,
    outside: Outreach | None = None,
) -> EventLoop:
    """Make an event loop; also a ``loop_factory`` of ``asyncio.run`` and ``asyncio.Runner``.

    Args:
        simulated: The clock starts at zero and jumps from timer to timer. By default the time is real, unless
            ``soliloop.install()`` or the command ``soliloop run`` has said otherwise.
        nesting: A callback may call ``run_until_complete`` on the running loop. By default it may not, unless
            ``soliloop.nest.apply()``, ``soliloop.install()`` or the command has said otherwise.
        start: The date and time at which a simulated clock starts; see ``soliloop.simulation``, for what follows as well.
        factor: Simulated seconds per real second; without it a simulation does not wait.
        seed: Where the module ``random`` starts while a simulated loop runs. Without one it is left alone.
        entropy: ``uuid4()``, ``os.urandom()`` and ``secrets`` are made of the seed as well.
        outside: Whether a simulated program may use the real world; by default it may not.

    Raises:
        ValueError: An option of simulations for a loop in real time, or out of range.
    """
    options = _given(start=start, factor=factor, seed=seed, entropy=entropy, outside=outside)
    if nesting is None:
        nesting = _always_nests or _settings.nesting
    if simulated is None:
        simulated = _settings.simulated
        options = _settings.options | options
    if simulated:
        return SimulatedLoop(nesting=nesting, **options)
    for name in options:
        raise ValueError(f"{name}= is for simulated time: pass simulated=True")
    return EventLoop(nesting=nesting)


def _given(**options: Any) -> dict[str, Any]:
    """Leave out what is as if it was not there."""
    return {
        name: value for name, value in options.items() if value is not None and value is not False
    }


def _nesting_loop() -> EventLoop:
    return new_event_loop(nesting=True)


class Runner(asyncio.Runner):  # type: ignore[misc]
    """An ``asyncio.Runner`` on a soliloop loop that allows nesting.

    It may be used while another loop runs on this thread: that loop stands still meanwhile, and its tasks are kept intact.

    Args:
        debug: Debug mode of the loop; by default as asyncio decides.
        loop_factory: Makes the loop; by default ``soliloop.new_event_loop(nesting=True)`` does.
    """

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        super().__init__(debug=debug, loop_factory=loop_factory or _nesting_loop)

    def run(self, coro: _Main[_T], *, context: contextvars.Context | None = None) -> _T:
        """Run a coroutine to its end on the runner's loop; return its result."""
        with OuterRun():
            return super().run(coro, context=context)

    def close(self) -> None:
        """Cancel what is pending, and close the loop."""
        with OuterRun():
            super().close()


def run(main: _Main[_T], *, debug: bool | None = None, thread: bool = False) -> _T:
    """Run a coroutine to its end, wherever this is called; return its result.

    Where no loop runs it makes one, as ``asyncio.run`` does. Where a soliloop loop that allows nesting runs, it is a nested run on
    that loop, and the other tasks go on. Where a foreign loop runs (asyncio's own, uvloop's, that of a Jupyter kernel) a fresh
    loop is stacked on this thread, and the foreign loop stands still meanwhile.

    Args:
        main: The coroutine.
        debug: Debug mode of the loop that is made, if one is; by default as asyncio decides.
        thread: Run on a loop of a helper thread, with a copy of the context, and wait for it here. Ctrl-C cancels the coroutine,
            and is raised when it has ended, as by ``asyncio.Runner``.

    Raises:
        TypeError: It is no coroutine.
        RuntimeError: A soliloop loop that does not allow nesting runs on this thread; the message names both ways out.
    """
    if not _is_main(main):
        raise TypeError(f"a coroutine was expected, got {main!r}")
    if thread:
        return _run_in_thread(main, debug)
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if isinstance(running, EventLoop):
        if not running.nesting:
            raise _reports.already_running(running, "soliloop.run", _reports.caller())
        result: _T = running.run_until_complete(main)
        return result
    with Runner(debug=debug) as runner:
        return runner.run(main)


def _run_in_thread(main: _Main[_T], debug: bool | None) -> _T:
    """Run on a helper thread. Its result is handed over in a list, so that no exception is raised but the coroutine's."""
    context = contextvars.copy_context()
    results: list[_T] = []
    errors: list[BaseException] = []
    ended = threading.Event()
    runner = Runner(debug=debug)
    loop = runner.get_loop()

    def work() -> None:
        try:
            with runner:
                results.append(runner.run(main, context=context))
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    def cancel() -> None:
        for task in asyncio.all_tasks(loop):
            if task.get_coro() is main:
                task.cancel()

    def cancel_soon() -> None:
        with contextlib.suppress(RuntimeError):  # closed: the run is over
            loop.call_soon_threadsafe(cancel)

    with _on_interrupt(cancel_soon) as interrupts:
        threading.Thread(target=work, name="soliloop.run").start()
        try:
            ended.wait()
        except BaseException:  # of somebody's handler of a signal
            cancel_soon()
            ended.wait()
            raise
    if interrupts and errors and isinstance(errors[0], asyncio.CancelledError):
        raise KeyboardInterrupt
    if errors:
        raise errors[0]
    return results[0]


@contextlib.contextmanager
def _on_interrupt(act: Callable[[], None]) -> Iterator[list[int]]:
    """Have Ctrl-C do something else than raise ``KeyboardInterrupt``, where Python would raise it; gives the list of them."""
    interrupts: list[int] = []

    def handler(number: int, _frame: object) -> None:
        interrupts.append(number)
        act()

    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield interrupts
    finally:
        if is_ours and signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _policy_class() -> type[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # policies go in Python 3.16; until then they work
        if sys.version_info >= (3, 14):
            return asyncio.unix_events._DefaultEventLoopPolicy
        else:
            return asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(_policy_class()):  # type: ignore[misc]
    """An event loop policy whose new loops are soliloop's (asyncio docs, "Policies")."""

    def _loop_factory(self) -> EventLoop:
        return new_event_loop()


def install(
    *,
    simulated: bool = False,
    nesting: bool = False,
    start: datetime | str | None = None,
    factor: float | None = None,
    seed: int | None = None,
    entropy: bool = False,
    outside: Outreach | None = None,
) -> None:
    """Make soliloop's the loop of ``asyncio.run`` and of everything else that asks asyncio for a new loop.

    Args:
        simulated: Every new loop lives in simulated time, those of ``soliloop.run`` and ``soliloop.new_event_loop`` included,
            unless its maker asks for real time.
        nesting: Every new loop allows nested runs.
        start: Where the clocks of simulated loops start; see ``soliloop.simulation``, for what follows as well.
        factor: Simulated seconds per real second; without it a simulation does not wait.
        seed: Where the module ``random`` starts in each of them. Without one it is left alone.
        entropy: ``uuid4()``, ``os.urandom()`` and ``secrets`` are made of the seed as well.
        outside: Whether simulated programs may use the real world; by default they may not.

    Raises:
        ValueError: An option of simulations without ``simulated``, or out of range. Nothing is changed then.
    """
    global _settings
    options = _given(start=start, factor=factor, seed=seed, entropy=entropy, outside=outside)
    new_event_loop(simulated=simulated, nesting=nesting, **options).close()
    _settings = _Settings(simulated, nesting, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(EventLoopPolicy())
