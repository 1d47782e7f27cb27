"""Debug mode: slow callbacks, calls from the wrong thread, where things were created."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from typing import Any

import pytest
import soliloop
from surface_support import Factory, Loop, Script, handled, run, turn


def callback() -> None:
    pass


def test_it_is_off_at_first_and_can_be_switched(loop: Loop) -> None:
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    assert "debug=True" in repr(loop)
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_a_slow_callback_is_named(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    loop.call_soon(callback)
    turn(loop)
    messages = [record.message for record in caplog.records if "callback()" in record.message]
    assert len(messages) == 1
    assert messages[0].startswith("Executing <Handle ")
    assert " took " in messages[0]
    assert __file__.rpartition("/")[2] in messages[0]


def test_a_slow_step_of_a_task_names_the_task(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    async def slow() -> None:
        pass

    loop.set_debug(True)
    loop.slow_callback_duration = 0
    run(loop, slow())
    assert any("<Task " in record.message for record in caplog.records)


def test_callbacks_that_are_not_slow_are_not_named(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 3600
    for _ in range(10):
        loop.call_soon(callback)
    with caplog.at_level(logging.WARNING):
        turn(loop)
    assert caplog.records == []


def test_calls_from_the_wrong_thread_are_refused(loop: Loop) -> None:
    loop.set_debug(True)

    async def main() -> None:
        for call in (loop.call_soon, lambda f: loop.call_later(0, f), lambda f: loop.call_at(0, f)):
            with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
                await asyncio.to_thread(call, callback)
        await asyncio.to_thread(loop.call_soon_threadsafe, callback)

    run(loop, main())


def test_a_loop_that_does_not_run_may_be_called_from_any_thread(loop: Loop) -> None:
    loop.set_debug(True)
    thread = threading.Thread(target=loop.call_soon, args=(loop.stop,))
    thread.start()
    thread.join()
    loop.run_forever()


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
@pytest.mark.parametrize("thing", [None, 5, "text"])
def test_what_cannot_be_called_is_refused(loop: Loop, method: str, thing: Any) -> None:
    loop.set_debug(True)
    time = () if method.startswith("call_soon") else (0,)
    with pytest.raises(TypeError):
        getattr(loop, method)(*time, thing)


def test_coroutine_functions_are_no_callbacks(loop: Loop) -> None:
    async def coroutine() -> None:
        pass

    loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutine"):
        loop.call_soon(coroutine)


def test_an_error_tells_where_its_callback_was_created(loop: Loop) -> None:
    loop.set_debug(True)
    with handled(loop) as contexts:
        loop.call_soon(lambda: 1 / 0)
        turn(loop)
    frames = contexts[0]["source_traceback"]
    assert any(frame.filename == __file__ for frame in frames)


def test_the_origin_of_coroutines_is_tracked_during_a_run_only(loop: Loop) -> None:
    async def depth() -> int:
        return sys.get_coroutine_origin_tracking_depth()

    assert run(loop, depth()) == 0
    loop.set_debug(True)
    assert run(loop, depth()) > 0
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_the_origin_is_tracked_as_soon_as_debug_mode_is_switched_on(loop: Loop) -> None:
    async def main() -> list[int]:
        depths = []
        for on in (True, False):
            loop.set_debug(on)
            await asyncio.sleep(0.001)
            depths.append(sys.get_coroutine_origin_tracking_depth())
        return depths

    on, off = loop.run_until_complete(main())
    assert on > 0
    assert off == 0


def test_tasks_and_futures_know_their_source(loop: Loop) -> None:
    loop.set_debug(True)

    async def main() -> None:
        future = loop.create_future()
        assert any(frame.filename == __file__ for frame in future._source_traceback)  # type: ignore[attr-defined]
        assert "created at" in repr(future)
        task = asyncio.create_task(asyncio.sleep(0))
        assert "created at" in repr(task)
        await task

    loop.run_until_complete(main())


def test_the_environment_and_the_dev_mode_switch_it_on(script: Script) -> None:
    source = (
        "import soliloop; loop = soliloop.new_event_loop(); print(loop.get_debug()); loop.close()"
    )
    assert script(source) == "False\n"
    assert script(source, "-X", "dev") == "True\n"
    assert script(source, env={"PYTHONASYNCIODEBUG": "1"}) == "True\n"


def test_everything_works_in_debug_mode(our_loop: soliloop.EventLoop) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.sockets[0].getsockname()[1]
            )
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
        await asyncio.to_thread(int)
        async with asyncio.timeout(10):
            await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(10)))

    our_loop.set_debug(True)
    our_loop.run_until_complete(main())


def test_reports_say_where_the_running_handle_was_created(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    def reports() -> None:
        loop.call_exception_handler({"message": "something is wrong"})

    loop.set_debug(True)
    loop.call_soon(reports)
    line = sys._getframe().f_lineno - 1
    turn(loop)
    report = next(text for text in caplog.messages if text.startswith("something is wrong"))
    assert "Handle created at" in report
    assert f'{__file__}", line {line}' in report


@pytest.mark.parametrize("nests", [True, False])
def test_a_callback_in_a_nested_run_holds_nobody_up(
    caplog: pytest.LogCaptureFixture, nests: bool
) -> None:
    loop = soliloop.new_event_loop(nesting=True)
    loop.set_debug(True)
    loop.slow_callback_duration = 0.2
    handles: list[object] = []

    def callback() -> None:
        handles.append(loop._current_handle)
        if nests:
            loop.run_until_complete(asyncio.sleep(0.3))
        else:
            time.sleep(0.3)
        handles.append(loop._current_handle)

    handle = loop.call_soon(callback)
    loop.run_until_complete(asyncio.sleep(0.4))
    loop.close()
    reported = [text for text in caplog.messages if "callback()" in text and " took " in text]
    assert len(reported) == (0 if nests else 1)
    assert handles == [handle, handle]


def test_the_loop_knows_the_handle_of_the_running_callback(factory: Factory) -> None:
    seen: list[object] = []
    loop = factory()
    loop.set_debug(True)

    def callback() -> None:
        seen.append(loop._current_handle)  # type: ignore[attr-defined]

    loop.call_later(0, callback)
    handles = [loop.call_soon(callback), loop.call_soon_threadsafe(callback)]
    turn(loop)
    assert seen[:2] == handles
    assert loop._current_handle is None  # type: ignore[attr-defined]
    loop.close()


def test_reports_of_a_done_callback_say_where_the_result_was_set(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.set_debug(True)
    future = loop.create_future()
    future.add_done_callback(lambda _: loop.call_exception_handler({"message": "wrong"}))
    future.set_result(None)
    line = sys._getframe().f_lineno - 1
    turn(loop)
    report = next(text for text in caplog.messages if text.startswith("wrong"))
    assert "Handle created at" in report
    assert f'{__file__}", line {line}' in report


def test_the_time_in_a_nested_run_is_that_of_the_callbacks_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is charged with what it did itself, before, during or after a nested run of its own or of another."""
    loop = soliloop.new_event_loop(nesting=True)
    loop.set_debug(True)
    loop.slow_callback_duration = 0.2
    ended: list[str] = []

    def waits() -> None:
        loop.run_until_complete(asyncio.sleep(0.25))
        ended.append("waits")

    def blocks() -> None:
        time.sleep(0.3)
        ended.append("blocks")

    def waits_and_blocks() -> None:
        loop.run_until_complete(asyncio.sleep(0.25))
        time.sleep(0.3)
        ended.append("waits and blocks")

    async def main() -> None:
        while len(ended) < 4:
            await asyncio.sleep(0.01)

    for callback in (waits, blocks, waits_and_blocks, waits):
        loop.call_soon(callback)
    loop.run_until_complete(main())
    loop.close()
    reported = [text for text in caplog.messages if " took " in text]
    names = ["waits()", "blocks()", "waits_and_blocks()"]
    assert [sum(f".{name}" in text for text in reported) for name in names] == [0, 1, 1]
