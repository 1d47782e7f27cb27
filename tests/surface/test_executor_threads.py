"""The threads of the default executor: how many, in what order, what they leave behind, and their end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import soliloop
from surface_support import PATIENCE, Loop, Script, handled, run

QUIET = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")


def name() -> str:
    return threading.current_thread().name


async def fill(loop: Loop, go_on: threading.Event) -> list[asyncio.Future[Any]]:
    """Keep every thread that the executor may have busy."""
    started = threading.Semaphore(0)

    def work() -> None:
        started.release()
        go_on.wait(PATIENCE)

    await loop.run_in_executor(None, name)  # makes the executor
    limit = loop._default_executor._max_workers  # type: ignore[attr-defined]
    busy = [loop.run_in_executor(None, work) for _ in range(limit)]
    for _ in busy:
        while not started.acquire(blocking=False):
            await asyncio.sleep(0.001)
    return busy


def test_one_thread_serves_calls_that_come_one_at_a_time(our_loop: Loop) -> None:
    """It counts as idle before the loop hears of its answer. (A pool of threads may start another one.)"""

    async def main() -> set[str]:
        return {await our_loop.run_in_executor(None, name) for _ in range(200)}

    assert run(our_loop, main()) == {"asyncio_0"}


def test_there_are_no_more_threads_than_a_pool_would_have(loop: Loop) -> None:
    async def main() -> set[str]:
        go_on = threading.Event()
        busy = await fill(loop, go_on)
        waiting = [loop.run_in_executor(None, name) for _ in range(100)]
        go_on.set()
        await asyncio.gather(*busy)
        return set(await asyncio.gather(*waiting))

    names = run(loop, main())
    limit = loop._default_executor._max_workers  # type: ignore[attr-defined]
    assert names <= {f"asyncio_{number}" for number in range(limit)}


def test_threads_are_pythons(loop: Loop) -> None:
    def work() -> threading.Thread:
        thread = threading.current_thread()
        assert thread in threading.enumerate()
        assert type(thread) is threading.Thread
        return thread

    async def main() -> threading.Thread:
        return await loop.run_in_executor(None, work)

    thread = run(loop, main())
    assert thread.is_alive()
    assert not thread.daemon
    loop.run_until_complete(loop.shutdown_default_executor())
    assert not thread.is_alive()


def test_a_call_that_waits_for_a_thread_can_be_cancelled(loop: Loop) -> None:
    async def main() -> None:
        go_on = threading.Event()
        made: list[int] = []
        busy = await fill(loop, go_on)
        waiting = [loop.run_in_executor(None, made.append, number) for number in range(4)]
        waiting[1].cancel()
        waiting[2].cancel()
        await asyncio.sleep(0.001)
        go_on.set()
        await asyncio.gather(*busy, waiting[0], waiting[3])
        assert sorted(made) == [0, 3]
        assert waiting[1].cancelled()

    run(loop, main())


def test_a_call_that_has_begun_goes_on_and_nobody_is_told(loop: Loop) -> None:
    async def main() -> None:
        began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            go_on.wait(PATIENCE)
            ended.set()
            raise LookupError("nobody asks")

        call = loop.run_in_executor(None, work)
        while not began.is_set():
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()
        await loop.run_in_executor(None, ended.wait, PATIENCE)
        assert ended.is_set()

    with handled(loop) as contexts:
        run(loop, main())
        run(loop, loop.shutdown_default_executor())
        run(loop, asyncio.sleep(0))
    assert not contexts


@pytest.mark.parametrize("idle", [0, 1, 3])
def test_calls_begin_even_if_the_loop_is_blocked(loop: Loop, idle: int) -> None:
    """The loop is about to tell the threads, and does not come to it."""

    async def main() -> None:
        go_on = threading.Event()
        busy = [loop.run_in_executor(None, go_on.wait, PATIENCE) for _ in range(idle)]
        go_on.set()
        await asyncio.gather(*busy)
        together = threading.Barrier(4)
        calls = [loop.run_in_executor(None, together.wait, PATIENCE) for _ in range(3)]
        together.wait(PATIENCE)
        await asyncio.gather(*calls)

    for _ in range(20):
        run(loop, main())


def test_calls_of_a_loop_that_does_not_run_begin(loop: Loop) -> None:
    for _ in range(3):
        ended = threading.Event()
        call = loop.run_in_executor(None, ended.set)
        assert ended.wait(PATIENCE)
        loop.run_until_complete(call)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, ZeroDivisionError])
def test_every_error_arrives_with_its_traceback(loop: Loop, kind: type[BaseException]) -> None:
    def work() -> None:
        raise kind("reason")

    async def main() -> None:
        await loop.run_in_executor(None, name)
        call = loop.run_in_executor(None, work)
        await asyncio.wait([call])
        error = call.exception()
        assert type(error) is kind
        names = []
        trace = error.__traceback__
        while trace is not None:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        assert "work" in names

    run(loop, main())


def test_stop_iteration_does_not_leave_the_caller_waiting(loop: Loop) -> None:
    if sys.version_info < (3, 13) and not isinstance(loop, soliloop.EventLoop):
        pytest.skip("asyncio before Python 3.13 may leave it waiting")

    async def main() -> None:
        with pytest.raises((RuntimeError, TypeError), match="StopIteration"):
            await loop.run_in_executor(None, next, iter(()))

    run(loop, main())


def test_errors_of_concurrent_futures_become_those_of_asyncio(loop: Loop) -> None:
    def work(kind: type[BaseException]) -> None:
        raise kind("reason")

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await loop.run_in_executor(None, work, concurrent.futures.CancelledError)
        with pytest.raises(asyncio.InvalidStateError, match="reason"):
            await loop.run_in_executor(None, work, concurrent.futures.InvalidStateError)

    run(loop, main())


def test_debug_mode_refuses_what_cannot_be_called_in_a_thread(loop: Loop) -> None:
    async def coroutine() -> None: ...

    async def main() -> None:
        for wrong in (coroutine, 5):
            with pytest.raises(TypeError):
                loop.run_in_executor(None, wrong)  # type: ignore[arg-type]
        assert await loop.run_in_executor(None, abs, -1) == 1

    loop.set_debug(True)
    run(loop, main())


def test_an_idle_thread_keeps_nothing_alive(loop: Loop) -> None:
    class Thing:
        def give(self, _argument: object) -> Thing:
            return self

    async def main() -> None:
        thing, argument = Thing(), Thing()
        seen = [weakref.ref(thing), weakref.ref(argument)]
        assert await loop.run_in_executor(None, thing.give, argument) is thing
        del thing, argument
        await asyncio.sleep(0.01)
        gc.collect()
        assert [reference() for reference in seen] == [None, None]

    run(loop, main())


def test_results_that_are_not_collected_do_not_keep_the_loop(factory: Callable[[], Loop]) -> None:
    class Thing: ...

    loop = factory()
    thing, ended = Thing(), threading.Event()
    reference = weakref.ref(thing)
    loop.run_until_complete(loop.run_in_executor(None, name))
    loop.run_in_executor(None, lambda thing: (thing, ended.set())[0], thing)
    assert ended.wait(PATIENCE)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    del thing, loop
    gc.collect()
    assert reference() is None


def test_after_the_end(loop: Loop) -> None:
    async def main() -> None:
        executor: Any = loop._default_executor  # type: ignore[attr-defined]
        await loop.shutdown_default_executor()
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, name)
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            executor.submit(name)

    loop.run_until_complete(loop.run_in_executor(None, name))
    run(loop, main())
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_in_executor(None, name)


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="asyncio before has no limit, or no good one"
)
def test_a_limit_of_the_wait_for_the_end(loop: Loop) -> None:
    go_on = threading.Event()

    async def main() -> None:
        call = loop.run_in_executor(None, go_on.wait, PATIENCE)
        with pytest.warns(RuntimeWarning, match="did not finish"):
            await loop.shutdown_default_executor(0.01)  # type: ignore[call-arg]
        go_on.set()
        await call

    run(loop, main())


def test_the_default_executor_is_made_when_it_is_needed(loop: Loop) -> None:
    inside: Any = loop
    assert inside._default_executor is None
    loop.run_until_complete(loop.run_in_executor(None, name))
    assert isinstance(inside._default_executor, concurrent.futures.Executor)
    loop.close()
    assert inside._default_executor is None


def test_the_default_executor_serves_others(loop: Loop) -> None:
    async def main() -> None:
        go_on = threading.Event()
        busy = await fill(loop, go_on)
        executor: Any = loop._default_executor  # type: ignore[attr-defined]
        call = loop.run_in_executor(executor, int, "7")
        given_up = [executor.submit(name) for _ in range(2)]
        given_up[0].cancel()
        go_on.set()
        await asyncio.gather(*busy)
        assert await call == 7
        assert given_up[1].result(PATIENCE).startswith("asyncio")
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result(PATIENCE)
        assert executor.submit(int, "11", base=2).result(PATIENCE) == 3

    run(loop, main())


def test_calls_that_wait_can_be_given_up_at_the_end(loop: Loop) -> None:
    async def main() -> None:
        go_on = threading.Event()
        busy = await fill(loop, go_on)
        executor: Any = loop._default_executor  # type: ignore[attr-defined]
        waiting, submitted = loop.run_in_executor(None, name), executor.submit(name)
        executor.shutdown(wait=False, cancel_futures=True)
        assert submitted.cancelled()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        await asyncio.gather(*busy)

    run(loop, main())


def test_threads_of_a_loop_that_is_forgotten_end(factory: Callable[[], Loop]) -> None:
    loop = factory()
    thread = loop.run_until_complete(loop.run_in_executor(None, threading.current_thread))
    executor: Any = loop._default_executor  # type: ignore[attr-defined]
    loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
    del executor
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    loop.close()


def test_the_end_of_the_program_waits_for_calls(script: Script, factory_text: str) -> None:
    text = script(
        """
        import threading, time
        loop = FACTORY()
        began = threading.Event()

        def work():
            began.set()
            time.sleep(0.05)
            print("ended")

        async def main():
            loop.run_in_executor(None, work)
            began.wait()

        loop.run_until_complete(main())
        loop.close()
        print("main")
        """,
        factory=factory_text,
    )
    assert text == "main\nended\n"


def test_a_daemon_loop_with_busy_threads_does_not_spoil_the_end(script: Script) -> None:
    text = script(
        """
        import asyncio, soliloop, threading
        loop = soliloop.new_event_loop()
        going = threading.Event()

        async def main():
            while True:
                await asyncio.gather(*(asyncio.to_thread(going.set) for _ in range(20)))

        threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True).start()
        going.wait()
        print("end")
        """,
        "-W",
        "ignore",
    )
    assert text == "end\n"


def test_the_child_of_a_fork_has_threads_of_its_own(script: Script) -> None:
    text = script(
        """
        import asyncio, os, soliloop, threading
        loop = soliloop.new_event_loop()
        assert loop.run_until_complete(loop.run_in_executor(None, abs, -1)) == 1
        executor = loop._default_executor
        child = os.fork()
        if not child:
            assert executor.submit(abs, -2).result(30) == 2
            assert soliloop.run(asyncio.to_thread(abs, -3)) == 3
            executor.shutdown()
            loop.close()
            raise SystemExit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        loop.close()
        """,
        *QUIET,
    )
    assert text == "7\n"
