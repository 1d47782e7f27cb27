"""What errors say: chains of calls, and what each pending task waits for."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType
from typing import Any

from soliloop._errors import DeadlockError, PitfallWarning
from soliloop._holders import holders
from soliloop._soliloop import _simulated_threads

_ASYNCIO = asyncio.__name__
_HERE = __name__.partition(".")[0]


def already_running(loop: Any, call: str, frame: FrameType | None) -> RuntimeError:
    """The error of a run that the running loop refuses: who asked for it, and both ways out."""
    head = "This event loop is already running"
    owner = loop._thread_id
    if owner != threading.get_ident():
        return RuntimeError(
            f"{head}, in thread {owner}, and {call}() was called in thread {threading.get_ident()}: "
            "give it the coroutine with asyncio.run_coroutine_threadsafe()"
        )
    if asyncio._get_running_loop() is not loop:
        return RuntimeError(
            f"{head}, below another loop that runs on top of it: end that run first"
        )
    task = asyncio.current_task(loop)
    who = "a callback" if task is None else f"task {task.get_name()!r}"
    chain, guilty = _chain(frame)
    if call == "run_forever":
        return RuntimeError(
            f"{head}: {who}: {chain} called run_forever(), which cannot be nested; await something instead"
        )
    return RuntimeError(
        f"{head}: {who}: {chain} called {call}(). Either make {guilty} a coroutine function, await the coroutine in it, "
        "and await its callers too (async all the way up); or let the loop nest: make it by "
        "soliloop.new_event_loop(nesting=True), start the program with soliloop.run(), or call soliloop.nest.apply()"
    )


def deadlock(loop: Any) -> DeadlockError:
    """The error of a simulation in which nothing can happen any more."""
    nested = {
        task: (future, frame) for task, future, frame in loop._nested_runs() if task is not None
    }
    lines = [
        "nothing can ever happen again: no callback is ready and no timer is set, "
        f"at {loop.time():.9f} s of simulated time"
    ]
    tasks = sorted(
        asyncio.all_tasks(loop), key=lambda task: (len(task.get_name()), task.get_name())
    )
    for task in tasks:
        future, frame = nested.get(task, (None, None))
        waits = _waits(task) if future is None else f"a nested run of {_name(future)}{place(frame)}"
        lines.append(f"  task {task.get_name()!r} ({_coroutine_name(task)}) waits for {waits}")
    for task, future, frame in loop._nested_runs():
        if task is None:
            lines.append(f"  a callback waits for a nested run of {_name(future)}{place(frame)}")
    for name, waits_for, frame in _simulated_threads(loop) if loop._simulated else ():
        if waits_for is not None:
            lines.append(f"  simulated thread {name!r} waits for {waits_for}{program_place(frame)}")
    if not tasks:
        lines.append(
            "  no task is pending: the future that the run waits for is completed by nobody"
        )
    return DeadlockError("\n".join(lines))


def endless(loop: Any, what: str, frame: FrameType | None) -> DeadlockError:
    """The error of a blocking call in a simulation that nothing can end any more."""
    return DeadlockError(
        f"{what} waits{program_place(frame)}, and nothing can ever end that: whoever could is on the loop that it blocks, "
        f"at {loop.time():.9f} s of simulated time; await the loop's own methods instead"
    )


def blocked(loop: Any, call: str, seconds: float, frame: FrameType | None) -> None:
    """Warn of a call that has held the loop up, at the line that made it.

    Raises:
        PitfallWarning: If warnings are errors.
    """
    chain, guilty = _chain(frame)
    task = asyncio.current_task(loop)
    who = "a callback" if task is None else f"task {task.get_name()!r}"
    while frame is not None and _is_internal(frame):
        frame = frame.f_back
    warnings.warn_explicit(
        f"{call}() has held the loop up for {seconds:.9g} s of simulated time: {who}: {chain}. Nothing else could run meanwhile: "
        f"await asyncio.sleep() in a coroutine instead, or have {guilty} run in a thread, by asyncio.to_thread()",
        PitfallWarning,
        "<sys>" if frame is None else frame.f_code.co_filename,
        0 if frame is None else frame.f_lineno,
        module="sys" if frame is None else frame.f_globals.get("__name__"),
        registry=None if frame is None else frame.f_globals.setdefault("__warningregistry__", {}),
    )


def nested_runs(runs: list[Any]) -> list[str]:
    """One line for each nested run that has not ended."""
    return [
        f"{'a callback' if task is None else f'task {task.get_name()!r}'}: nested run of {_name(future)}{place(frame)}"
        for task, future, frame in runs
    ]


def _chain(frame: FrameType | None) -> tuple[str, str]:
    """The chain of calls that leads to a frame, in words, and the name of the last function."""
    frames = _callers(frame)
    chain = " -> ".join(f"{code.co_qualname} ({where})" for code, where in frames)
    return chain or "C code", frames[-1][0].co_qualname if frames else "the caller"


def _callers(frame: FrameType | None) -> list[tuple[CodeType, str]]:
    """The frames of the callback that is running, outermost first; soliloop's own and asyncio's are left out."""
    frames = []
    while frame is not None:
        if not _is_internal(frame):
            frames.append((frame.f_code, f"{frame.f_code.co_filename}:{frame.f_lineno}"))
        frame = frame.f_back
    return frames[::-1]


def _is_internal(frame: FrameType) -> bool:
    return _package(frame) in (_ASYNCIO, _HERE)


def place(frame: FrameType | None) -> str:
    """ " in FUNCTION at FILE:LINE", of the innermost line of the program's own code."""
    frames = _callers(frame)
    return f" in {frames[-1][0].co_qualname} at {frames[-1][1]}" if frames else ""


def program_place(frame: FrameType | None) -> str:
    """As ``place``, but Python's own modules don't count as the program's code either."""
    while frame is not None and _package(frame) in _NOT_THE_PROGRAMS:
        frame = frame.f_back
    return place(frame)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _name(future: asyncio.Future[Any]) -> str:
    if isinstance(future, asyncio.Task):
        return f"task {future.get_name()!r} ({_coroutine_name(future)})"
    return _safe_repr(future)


def _safe_repr(thing: object) -> str:
    """What an object says of itself: a report must not fail because the object does."""
    try:
        return repr(thing)
    except Exception as error:
        return f"<{type(thing).__qualname__} whose repr() raised {type(error).__name__}>"


def _coroutine_name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", coroutine))


def _waits(task: asyncio.Task[Any]) -> str:
    """What a task waits for, and the innermost line of its own code that does."""
    frames = list(_frames(task.get_coro()))
    own = [frame for frame in frames if not _is_internal(frame)]
    primitive = next((frame for frame in frames if _is_internal(frame)), None)
    future = getattr(task, "_fut_waiter", None)
    if primitive is not None:
        what = f"{_ASYNCIO}.{primitive.f_code.co_qualname}"
        holder = primitive.f_locals.get("self")
        if holder is not None:
            what += f" of {_safe_repr(holder)}"
    elif future is None:
        what = "its next step"
    elif isinstance(future, asyncio.Task):
        what = f"the end of {_name(future)}"
    else:
        what = f"a future that nobody has completed, {_safe_repr(future)}"
        held = holders(future, frames, _safe_repr) if type(future) is asyncio.Future else []
        if held:
            what += f" (held by {', '.join(held)})"
    place = (
        f" in {own[-1].f_code.co_qualname} at {own[-1].f_code.co_filename}:{own[-1].f_lineno}"
        if own
        else ""
    )
    return what + place


def _frames(awaitable: Any) -> Any:
    """The frames of a chain of coroutines, generators and asynchronous generators, outermost first."""
    while awaitable is not None:
        for prefix, link in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame = getattr(awaitable, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                awaitable = getattr(awaitable, link)
                break
        else:
            # The wrapper of a step of an asynchronous generator (or of a coroutine) has no link to what it wraps.
            wrapped = (
                thing for thing in gc.get_referents(awaitable) if isinstance(thing, _WRAPPED)
            )
            awaitable = next(wrapped, None) if type(awaitable).__module__ == "builtins" else None


_NOT_THE_PROGRAMS = (sys.stdlib_module_names - {"__main__"}) | {_HERE}
_WRAPPED = (AsyncGeneratorType, CoroutineType)


def caller() -> FrameType | None:
    """The frame that called the function that calls this, if it has one: the loop itself may have."""
    return sys._getframe(1).f_back
