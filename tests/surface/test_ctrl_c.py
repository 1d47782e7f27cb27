"""Ctrl-C: it ends a wait, it ends a run, and no callback is lost by it.

Signals go to programs of their own; what a `KeyboardInterrupt` does to a loop is asked in this one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from surface_support import LOOPS_IN_SCRIPTS, PATIENCE, Loop, Script, command, turn

RUNS = {
    "asyncio.Runner": "runner().run(main())",
    "soliloop.run": "soliloop.run(main())",
    "soliloop.run in a thread": "soliloop.run(main(), thread=True)",
    "soliloop.Runner": "soliloop.Runner().run(main())",
}
if sys.version_info >= (3, 12):
    RUNS["asyncio.run"] = "asyncio.run(main(), loop_factory=soliloop.new_event_loop)"
WAITS = {
    "a future": "await asyncio.get_running_loop().create_future()",
    "a long sleep": "await asyncio.sleep(3600)",
    "busy callbacks": "while True: await asyncio.sleep(0)",
    "a thread": "await asyncio.to_thread(event.wait)",
}


def interrupt(directory: Path, source: str, **names: str) -> tuple[int, str, str]:
    """Runs a program, sends it a Ctrl-C each time that it says it is ready; gives exit code and what it printed."""
    line = command(directory, source, "-u", **names)
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        printed = ""
        for text in child.stdout:
            printed += text
            if text == "ready\n":
                child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=PATIENCE)[1]
    return child.returncode, printed, errors


@pytest.mark.parametrize("wait", list(WAITS))
@pytest.mark.parametrize("run", list(RUNS))
def test_it_cancels_the_main_task_and_is_raised(tmp_path: Path, run: str, wait: str) -> None:
    code, text, errors = interrupt(
        tmp_path,
        """
        import asyncio, soliloop, threading
        event = threading.Event()

        def runner():
            return asyncio.Runner(loop_factory=soliloop.new_event_loop)

        async def main():
            asyncio.get_running_loop().call_soon(print, "ready")
            try:
                WAIT
            except asyncio.CancelledError:
                print("cancelled")
                event.set()
                raise

        try:
            RUN
        except KeyboardInterrupt:
            print("interrupted")
        """,
        run=RUNS[run],
        wait=WAITS[wait],
    )
    assert errors == ""
    assert (code, text) == (0, "ready\ncancelled\ninterrupted\n")


def test_a_program_that_does_not_catch_it_dies_of_it(tmp_path: Path) -> None:
    code, text, errors = interrupt(
        tmp_path,
        """
        import asyncio, soliloop

        async def main():
            print("ready")
            await asyncio.sleep(3600)

        soliloop.run(main())
        """,
    )
    assert code == -signal.SIGINT
    assert text == "ready\n"
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_a_second_one_interrupts_a_main_task_that_ignores_the_first(tmp_path: Path) -> None:
    code, text, errors = interrupt(
        tmp_path,
        """
        import asyncio, soliloop

        async def main():
            try:
                print("ready")
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("ignored")
            asyncio.get_running_loop().call_soon(print, "ready")
            await asyncio.sleep(3600)

        try:
            soliloop.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
    )
    assert errors == ""
    assert (code, text) == (0, "ready\nignored\nready\ninterrupted\n")


RACES = """
    import asyncio, os, random, signal, sys, threading, time

    factory = FACTORY
    loop = factory()
    rounds = threading.Semaphore(0)
    stray = random.Random(1)

    def kill():
        while True:
            rounds.acquire()
            # From before the wait to well inside it.
            time.sleep(stray.choice([0, 0, 0.00001, 0.0001, 0.001]))
            os.kill(os.getpid(), signal.SIGINT)

    async def main():
        asyncio.get_running_loop().call_soon(rounds.release)
        await asyncio.get_running_loop().create_future()

    threading.Thread(target=kill, daemon=True).start()
    interrupted = 0
    for _ in range(30):
        try:
            RUN
        except KeyboardInterrupt:
            interrupted += 1
    print(interrupted)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
"""


@pytest.mark.parametrize(
    "run",
    [
        "loop.call_soon(rounds.release); loop.run_forever()",
        "loop.run_until_complete(main())",
        "asyncio.Runner(loop_factory=factory).run(main())",
    ],
)
def test_it_ends_a_wait_that_has_no_deadline_every_time(script: Script, run: str) -> None:
    # Not so under asyncio, where one that comes just before the wait is noticed when something else ends it.
    # Runners that are not closed, tasks that are left behind: beside the point here.
    ours = LOOPS_IN_SCRIPTS["soliloop"]
    assert script(RACES, "-W", "ignore", factory=ours, run=run) == "30\n"


def test_it_does_not_reach_a_loop_of_another_thread(tmp_path: Path) -> None:
    code, text, errors = interrupt(
        tmp_path,
        """
        import asyncio, soliloop, threading
        loop = soliloop.new_event_loop()
        began = threading.Event()
        loop.call_soon(began.set)
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        began.wait()
        try:
            print("ready")
            threading.Event().wait()
        except KeyboardInterrupt:
            print("interrupted", loop.is_running())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        """,
    )
    assert errors == ""
    assert (code, text) == (0, "ready\ninterrupted True\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_other_callbacks_of_the_batch_stay_queued(
    loop: Loop, error: type[BaseException]
) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise error

    loop.call_soon(seen.append, "before")
    loop.call_soon(fail)
    loop.call_soon(seen.append, "after")
    loop.call_later(0, seen.append, "timer")
    with pytest.raises(error):
        loop.run_forever()
    assert seen == ["before"]
    assert not loop.is_running()
    turn(loop)
    turn(loop)
    assert seen == ["before", "after", "timer"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_task_that_raises_it_ends_the_run_and_the_loop_can_go_on(
    loop: Loop, error: type[BaseException]
) -> None:
    async def fail() -> None:
        raise error

    async def other() -> str:
        return "result"

    task = loop.create_task(other())
    with pytest.raises(error):
        loop.run_until_complete(fail())
    assert loop.run_until_complete(task) == "result"
    assert loop.run_until_complete(other()) == "result"


def test_many_interrupts_in_a_row_lose_nothing(loop: Loop) -> None:
    seen: list[int] = []

    def fail(number: int) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    for number in range(50):
        loop.call_soon(fail, number)
    for _ in range(50):
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
    assert seen == list(range(50))
    turn(loop)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_run_has_the_context_of_its_caller(
    loop: Loop, kind: type[BaseException]
) -> None:
    def callback() -> None:
        try:
            raise LookupError("inner")
        except LookupError:
            raise kind from None

    loop.call_soon(callback)
    outer = ValueError("outer")
    try:
        raise outer
    except ValueError:
        with pytest.raises(kind) as caught:
            loop.run_forever()
    inner = caught.value.__context__
    assert isinstance(inner, LookupError)
    assert inner.__context__ is outer
    turn(loop)


def test_an_error_whose_contexts_form_a_ring(script: Script) -> None:
    text = script(
        """
        import soliloop

        ends, one, other = SystemExit("ends"), ValueError("one"), ValueError("other")
        ends.__context__, one.__context__, other.__context__ = one, other, one

        def callback():
            raise ends

        loop = soliloop.new_event_loop()
        loop.call_soon(callback)
        try:
            raise LookupError
        except LookupError:
            try:
                loop.run_forever()
            except SystemExit as error:
                print(error)
        loop.close()
        """
    )
    assert text == "ends\n"
