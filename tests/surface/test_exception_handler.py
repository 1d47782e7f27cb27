"""The exception handler: the default one, an own one, and one that fails itself."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from typing import Any

import pytest
from surface_support import Loop, turn


def fail() -> None:
    raise LookupError("reason")


def test_the_default_handler_logs(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    assert loop.get_exception_handler() is None
    loop.call_soon(fail)
    turn(loop)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "Exception in callback fail()" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


def test_an_own_handler_gets_loop_and_context(loop: Loop) -> None:
    calls: list[tuple[Loop, dict[str, Any]]] = []

    def handler(loop: Loop, context: dict[str, Any]) -> None:
        calls.append((loop, context))

    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    handle = loop.call_soon(fail)
    turn(loop)
    ((given, context),) = calls
    assert given is loop
    assert context["message"].startswith("Exception in callback fail")
    assert str(context["exception"]) == "reason"
    assert context["handle"] is handle
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize("handler", [5, "text", object()])
def test_what_cannot_be_called_is_no_handler(loop: Loop, handler: Any) -> None:
    with pytest.raises(TypeError):
        loop.set_exception_handler(handler)


def test_a_handler_that_fails_is_logged_and_the_loop_goes_on(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(loop: Loop, context: dict[str, Any]) -> None:
        raise ArithmeticError("of the handler")

    seen: list[str] = []
    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    loop.call_soon(seen.append, "after")
    turn(loop)
    assert seen == ["after"]
    assert any("Unhandled error in exception handler" in r.message for r in caplog.records)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_handler_that_ends_the_program_ends_the_run(
    loop: Loop, error: type[BaseException]
) -> None:
    def handler(loop: Loop, context: dict[str, Any]) -> None:
        raise error

    seen: list[str] = []
    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    loop.call_soon(seen.append, "after")
    with pytest.raises(error):
        loop.run_forever()
    loop.set_exception_handler(None)
    turn(loop)
    assert seen == ["after"]


def test_the_handler_sees_the_variables_of_the_callback(loop: Loop) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def change_and_fail() -> None:
        variable.set("changed")
        fail()

    loop.set_exception_handler(lambda _loop, context: seen.append(variable.get()))
    loop.call_soon(change_and_fail)
    turn(loop)
    # asyncio's own does so since Python 3.12.
    assert seen == ["changed"] or sys.version_info < (3, 12)


def test_a_handler_may_stop_the_loop(loop: Loop) -> None:
    loop.set_exception_handler(lambda loop, _context: loop.stop())
    loop.call_soon(fail)
    loop.run_forever()


def test_a_handler_may_be_called_by_hand(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    loop.call_exception_handler({"message": "by hand", "colour": "red"})
    assert "by hand" in caplog.text
    assert "colour: 'red'" in caplog.text


def test_base_exceptions_are_reported_too(loop: Loop) -> None:
    class Odd(BaseException):
        pass

    def odd() -> None:
        raise Odd

    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    loop.call_soon(odd)
    loop.call_soon(lambda: _raise(asyncio.CancelledError()))
    turn(loop)
    assert [type(context["exception"]) for context in contexts] == [Odd, asyncio.CancelledError]


def _raise(error: BaseException) -> None:
    raise error
