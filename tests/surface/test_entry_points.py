"""Entry points: factories, runners, policies, and being installed in the place of asyncio's loop."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any

import pytest
import soliloop
from surface_support import Script


async def running() -> asyncio.AbstractEventLoop:
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def test_a_new_loop_is_real_and_does_not_nest() -> None:
    loop = soliloop.new_event_loop()
    assert type(loop) is soliloop.EventLoop
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert not loop.nesting
    assert repr(loop) == "<EventLoop running=False closed=False debug=False>"
    loop.close()
    assert repr(loop) == "<EventLoop running=False closed=True debug=False>"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="loop_factory= is new in 3.12")
def test_asyncio_run_takes_the_factory() -> None:
    loop = asyncio.run(running(), loop_factory=soliloop.new_event_loop)
    assert type(loop) is soliloop.EventLoop
    assert loop.is_closed()
    loop = asyncio.run(running(), loop_factory=soliloop.EventLoop)
    assert type(loop) is soliloop.EventLoop


def test_asyncio_runner_takes_the_factory() -> None:
    variable = contextvars.ContextVar("variable", default=0)

    async def count() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    with asyncio.Runner(loop_factory=soliloop.new_event_loop) as runner:
        assert type(runner.get_loop()) is soliloop.EventLoop
        assert [runner.run(count()) for _ in range(3)] == [1, 2, 3]
        assert runner.run(count(), context=contextvars.Context()) == 1
        loop = runner.get_loop()
    assert loop.is_closed()


def test_run_and_runner_of_soliloop() -> None:
    loop = soliloop.run(running())
    assert isinstance(loop, soliloop.EventLoop)
    assert loop.nesting
    assert loop.is_closed()
    with soliloop.Runner() as runner:
        assert isinstance(runner.get_loop(), soliloop.EventLoop)
        assert runner.run(running()) is runner.get_loop()


@pytest.mark.parametrize("debug", [True, False])
def test_debug_is_handed_to_the_loop(debug: bool) -> None:
    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert soliloop.run(main(), debug=debug) is debug
    with soliloop.Runner(debug=debug) as runner:
        assert runner.run(main()) is debug


def test_run_cancels_what_is_left() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> str:
        asyncio.create_task(wait())
        await asyncio.sleep(0)
        return "result"

    assert soliloop.run(main()) == "result"
    assert ended == ["cancelled"]


@pytest.mark.parametrize("main", [None, 5, running, asyncio.sleep])
def test_what_is_no_coroutine_is_refused(main: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        soliloop.run(main)
    with soliloop.Runner() as runner, pytest.raises((TypeError, ValueError)):
        runner.run(main)


def test_options_are_checked() -> None:
    with pytest.raises(TypeError):
        soliloop.new_event_loop(colour="red")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="simulated"):
        soliloop.new_event_loop(factor=2)
    with pytest.raises(ValueError, match="simulated"):
        soliloop.new_event_loop(start="2024-01-01T00:00Z")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_policy_makes_our_loops() -> None:
    policy = soliloop.EventLoopPolicy()
    loop = policy.new_event_loop()
    assert type(loop) is soliloop.EventLoop
    policy.set_event_loop(loop)
    assert policy.get_event_loop() is loop
    loop.close()


def test_installing_is_quiet_and_reaches_everything(script: Script) -> None:
    """In a process of its own, where every warning is an error."""
    text = script(
        """
        import asyncio, soliloop, warnings
        soliloop.install()

        async def main():
            await asyncio.sleep(0)
            return type(asyncio.get_running_loop()).__module__.split(".")[0]

        print(asyncio.run(main()))
        with asyncio.Runner() as runner:
            print(runner.run(main()))
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(main()))
        loop.close()
        """
    )
    assert text.split() == ["soliloop"] * 3


def test_settings_are_installed_for_loops_whose_maker_is_silent(script: Script) -> None:
    text = script(
        """
        import asyncio, soliloop
        soliloop.nest.apply()
        for options in ({"start": "2024-01-02T00:00Z"}, {"simulated": True, "start": "2024-01-02"}):
            try:
                soliloop.install(**options)
            except ValueError:
                pass
            else:
                raise AssertionError(options)
        asyncio.new_event_loop().close()
        soliloop.install(simulated=True, start="2024-01-02T00:00Z")

        async def main():
            await asyncio.sleep(36_000)
            return asyncio.get_running_loop()

        for loop in asyncio.run(main()), soliloop.run(main()):
            print(loop.now().hour, loop.nesting)
        loop = soliloop.new_event_loop(simulated=False)
        print(hasattr(loop, "now"), loop.nesting)
        loop.close()
        """
    )
    assert text.split() == ["10", "True", "10", "True", "False", "True"]


def test_importing_changes_nothing(script: Script) -> None:
    text = script(
        """
        import asyncio
        before = asyncio.run, asyncio.Runner.run, asyncio.new_event_loop, asyncio.Task
        import soliloop
        assert before == (asyncio.run, asyncio.Runner.run, asyncio.new_event_loop, asyncio.Task)
        async def main():
            return type(asyncio.get_running_loop()).__module__
        print(asyncio.run(main()))
        """
    )
    assert text == "asyncio.unix_events\n"
