"""Forking in a running loop: the child can't go on with its parent's loop, and can't harm it."""

from __future__ import annotations

import pytest
from surface_support import Script

QUIET = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")


def test_a_child_that_returns_to_the_loop_is_told_so(script: Script) -> None:
    text = script(
        """
        import asyncio, os, soliloop, sys
        loop = soliloop.new_event_loop()
        parent = os.getpid()

        async def main():
            child = os.fork()
            await asyncio.sleep(0.001)
            return child

        try:
            child = loop.run_until_complete(main())
        except RuntimeError as error:
            assert os.getpid() != parent
            assert "forked" in str(error), error
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        loop.close()
        """,
        *QUIET,
    )
    assert text == "7\n"


CHILDREN = {
    "exits": "pass",
    "removes its descriptors": "loop.remove_reader(near); loop.remove_writer(near)",
    "closes the loop": "run_again(); loop.close()",
    "drops the loop": "del loop; gc.collect()",
    "wakes the loop": "loop.call_soon_threadsafe(print)",
    "adds descriptors": "add()",
    "adds signal handlers": "signals()",
    "runs a loop of its own": "asyncio.events._set_running_loop(None); own()",
}


@pytest.mark.parametrize("child", list(CHILDREN))
def test_what_the_child_does_leaves_the_parents_registrations_alone(
    script: Script, factory_text: str, child: str
) -> None:
    if child == "removes its descriptors" and "soliloop" not in factory_text:
        pytest.skip("asyncio's own loop shares its epoll with the child")
    if child in ("closes the loop", "adds descriptors") and "soliloop" not in factory_text:
        pytest.skip("asyncio's own loop promises nothing here")
    text = script(
        """
        import asyncio, contextlib, gc, os, signal, socket, soliloop, sys
        loop = (FACTORY)()
        near, far = socket.socketpair()
        for sock in (near, far):
            sock.setblocking(False)
        received = []

        def run_again():
            asyncio.events._set_running_loop(None)

        def add():
            one, two = socket.socketpair()
            with contextlib.suppress(RuntimeError, OSError):
                loop.add_reader(one, print)
            two.send(b"x")

        def signals():
            with contextlib.suppress(RuntimeError):
                loop.add_signal_handler(signal.SIGUSR2, print)

        def own():
            async def main():
                await asyncio.sleep(0.001)
            with asyncio.Runner(loop_factory=FACTORY) as runner:
                runner.run(main())

        def in_child():
            global loop
            try:
                CHILD
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1 if "running event loop" not in str(error) else 0)
            os._exit(0)

        async def main():
            loop.add_reader(near, lambda: received.append(near.recv(10)))
            loop.add_signal_handler(signal.SIGUSR1, received.append, b"signal")
            child = os.fork()
            if child == 0:
                in_child()
            status = await asyncio.to_thread(os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status[1]) == 0, status
            far.send(b"event")
            await asyncio.sleep(0.005)
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0.005)
            loop.remove_reader(near)

        loop.run_until_complete(main())
        print(received)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        """,
        *QUIET,
        factory=factory_text,
        child=CHILDREN[child],
    )
    assert text == "[b'event', b'signal']\n"


def test_a_child_may_run_a_loop_of_its_own_at_once(script: Script, factory_text: str) -> None:
    """In the callback that forked: the child is inside a run that is not its own."""
    text = script(
        """
        import asyncio, os, soliloop

        async def child_main():
            await asyncio.sleep(0.001)
            return 5

        async def main():
            child = os.fork()
            if child == 0:
                try:
                    with asyncio.Runner(loop_factory=FACTORY) as runner:
                        code = runner.run(child_main())
                except BaseException as error:
                    os.write(2, repr(error).encode())
                    code = 1
                os._exit(code)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        with asyncio.Runner(loop_factory=FACTORY) as runner:
            print(runner.run(main()))
        """,
        *QUIET,
        factory=factory_text,
    )
    assert text == "5\n"


def test_a_loop_that_does_not_run_can_be_run_by_the_child_alone(script: Script) -> None:
    """Made before the fork, it shares epoll with its parent: the child is told or makes do, the parent is unharmed."""
    text = script(
        """
        import asyncio, os, soliloop
        loop = soliloop.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        child = os.fork()
        if child == 0:
            try:
                loop.run_until_complete(asyncio.sleep(0.001))
                loop.close()
            except RuntimeError:
                pass
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.run_until_complete(asyncio.to_thread(int))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        print("unharmed")
        """,
        *QUIET,
    )
    assert text == "unharmed\n"


@pytest.mark.parametrize(
    ("method", "start"),
    [
        ("fork", "process.start()"),
        ("spawn", "process.start()"),
        ("spawn", "await asyncio.to_thread(process.start)"),
        ("forkserver", "await asyncio.to_thread(process.start)"),
    ],
)
def test_multiprocessing_inside_a_running_loop(
    script: Script, factory_text: str, method: str, start: str
) -> None:
    text = script(
        """
        import asyncio, multiprocessing, soliloop

        def new_loop():
            return (FACTORY)()

        async def child_main(number):
            await asyncio.sleep(0.001)
            return await asyncio.to_thread(abs, -number)

        def work(connection, number):
            with asyncio.Runner(loop_factory=new_loop) as runner:
                connection.send(runner.run(child_main(number)))

        async def main():
            context = multiprocessing.get_context("METHOD")
            results = []
            for number in (1, 2):
                here, there = context.Pipe()
                process = context.Process(target=work, args=(there, number))
                START
                results.append(await asyncio.to_thread(here.recv))
                await asyncio.to_thread(process.join)
                assert process.exitcode == 0
                process.close()
                here.close()
                there.close()
            return results

        if __name__ == "__main__":
            with asyncio.Runner(loop_factory=new_loop) as runner:
                print(runner.run(main()))
        """,
        *QUIET,
        factory=factory_text,
        method=method,
        start=start,
    )
    assert text == "[1, 2]\n"
