"""The ends of child processes: told without threads and signals, at the latest moment and the earliest."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import soliloop
from surface_support import Factory, Loop, Script, open_descriptors, run

SHELL = "/bin/sh"
needs_policy = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="policies have no watchers of children any more"
)


async def shell(source: str, **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(SHELL, "-c", source, **options)


def let_end(pid: int) -> None:
    """Wait until a child has ended, and leave it to others to ask how."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def skip_where_a_thread_waits(loop: Loop) -> None:
    if sys.version_info < (3, 12) and not isinstance(loop, soliloop.EventLoop):
        pytest.skip("a thread of asyncio is told first, and knows no variables")


class Ended(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def process_exited(self) -> None:
        self.calls.append("exited")

    def connection_lost(self, error: Exception | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(error)


def test_neither_threads_nor_signals(our_loop: Loop) -> None:
    async def main() -> None:
        child = await shell("read x", stdin=asyncio.subprocess.PIPE)
        assert threading.active_count() == before
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        assert child.stdin is not None
        child.stdin.close()
        await child.wait()

    before = threading.active_count()
    run(our_loop, main())


def test_a_loop_of_another_thread(factory: Factory) -> None:
    async def main() -> int:
        return await (await shell("exit 3")).wait()

    def work() -> None:
        loop = factory()
        codes.append(run(loop, main()))
        loop.close()

    codes: list[int] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == [3]


def test_a_child_that_ended_before_it_was_watched(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            let_end(self.pid)

    async def main() -> None:
        monkeypatch.setattr(subprocess, "Popen", Slow)
        child = await shell("exit 3")
        assert await child.wait() == 3

    run(loop, main())


def test_somebody_else_was_told(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    skip_where_a_thread_waits(loop)

    async def main() -> None:
        child = await asyncio.create_subprocess_exec("sleep", "3600")
        child.kill()
        os.waitpid(child.pid, 0)
        assert await child.wait() == 255

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(loop, main())
    assert "exit status already read" in caplog.text


def test_a_program_that_ignores_its_children(script: Script) -> None:
    text = script(
        """
        import asyncio, logging, signal, soliloop
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        logging.getLogger("asyncio").setLevel(logging.ERROR)

        async def main():
            for _ in range(20):
                child = await asyncio.create_subprocess_exec("/bin/true")
                print(await child.wait(), end=" ")

        soliloop.run(main())
        """
    )
    assert text == "255 " * 20


@pytest.mark.parametrize("reason", [errno.ENOSYS, errno.EMFILE, errno.EPERM])
def test_where_there_is_no_descriptor_of_a_process(
    our_loop: Any, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refuse(pid: int, transport: object) -> None:
        raise OSError(reason, os.strerror(reason))

    async def main() -> None:
        monkeypatch.setattr(our_loop, "_watch_child", refuse)
        child = await shell("exit 3")
        assert await child.wait() == 3

    run(our_loop, main())


def test_closing_the_transport_of_a_child_that_has_ended(our_loop: Loop) -> None:
    """``close()`` itself asks for the status then."""

    async def main() -> None:
        transport, protocol = await our_loop.subprocess_exec(
            Ended, "sleep", "3600", stdin=None, stdout=None, stderr=None
        )
        transport.kill()
        let_end(transport.get_pid())
        transport.close()
        await protocol.lost
        assert protocol.calls == ["made", "exited", "lost"]
        assert transport.get_returncode() == -signal.SIGKILL

    run(our_loop, main())


def test_the_protocol_is_called_with_the_variables_of_the_maker(loop: Loop) -> None:
    skip_where_a_thread_waits(loop)
    variable = contextvars.ContextVar("variable", default="unset")

    class Protocol(Ended):
        def process_exited(self) -> None:
            self.calls.append(variable.get())

    async def main() -> None:
        variable.set("set")
        transport, protocol = await loop.subprocess_exec(
            Protocol, SHELL, "-c", ":", stdin=None, stdout=None, stderr=None
        )
        await protocol.lost
        assert protocol.calls == ["made", "set", "lost"]
        transport.close()

    run(loop, main())


def test_a_loop_that_is_closed_first_leaves_no_descriptor(our_loop: Loop) -> None:
    async def main() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec("sleep", "3600")

    loop = soliloop.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    before = open_descriptors()
    child = loop.run_until_complete(main())
    assert open_descriptors() == before + 1
    transport: Any = child._transport  # type: ignore[attr-defined]
    loop.close()
    assert open_descriptors() < before
    process = transport.get_extra_info("subprocess")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    transport.close()


def test_no_descriptor_is_left_behind(our_loop: Loop) -> None:
    async def main() -> None:
        before = open_descriptors()
        children = await asyncio.gather(*(shell("exit 3") for _ in range(20)))
        assert await asyncio.gather(*(child.wait() for child in children)) == [3] * 20
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nonexistent")
        assert open_descriptors() == before

    run(our_loop, main())


def test_giving_up_the_making(our_loop: Loop) -> None:
    async def main() -> None:
        making = asyncio.ensure_future(asyncio.create_subprocess_exec("sleep", "3600"))
        await asyncio.sleep(0)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    run(our_loop, main())


@pytest.fixture
def policy() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        policy: Any = asyncio.get_event_loop_policy()
        yield policy
        policy.set_child_watcher(None)


@needs_policy
def test_a_watcher_that_the_program_has_set(our_loop: Loop, policy: Any) -> None:
    watched: list[int] = []

    class Watcher(asyncio.SafeChildWatcher):  # type: ignore[name-defined, misc, unused-ignore]
        def add_child_handler(self, pid: int, *args: Any) -> None:
            watched.append(pid)
            super().add_child_handler(pid, *args)

    async def main() -> int:
        child = await shell("exit 3")
        code = await child.wait()
        assert watched == [child.pid]
        return code

    watcher = Watcher()
    watcher.attach_loop(our_loop)
    policy.set_child_watcher(watcher)
    assert run(our_loop, main()) == 3
    watcher.close()


@needs_policy
def test_a_watcher_that_is_not_active(our_loop: Loop, policy: Any) -> None:
    class Watcher(asyncio.SafeChildWatcher):  # type: ignore[name-defined, misc, unused-ignore]
        def is_active(self) -> bool:
            return False

    policy.set_child_watcher(Watcher())
    with pytest.raises(RuntimeError, match="not activated"):
        run(our_loop, shell("exit 3"))


@needs_policy
def test_a_policy_of_the_programs_own(our_loop: Loop, policy: Any) -> None:
    class Own(asyncio.AbstractEventLoopPolicy): ...

    async def main() -> int:
        return await (await shell("exit 3")).wait()

    asyncio.set_event_loop_policy(Own())
    try:
        assert run(our_loop, main()) == 3
    finally:
        asyncio.set_event_loop_policy(policy)
