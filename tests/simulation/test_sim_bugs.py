"""Programs with a real bug each: a simulation finds it, and says where it is."""

from __future__ import annotations

import asyncio
import queue
import random
import socket
import threading
import time
from collections.abc import Callable

import pytest
import soliloop

HERE = r"test_sim_bugs\.py:\d+"


def test_a_task_that_awaits_for_ever_is_named_with_what_it_awaits() -> None:
    async def answer(future: asyncio.Future[str]) -> None:
        if random.random() > 2:  # it never does
            future.set_result("answer")

    async def ask() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await asyncio.create_task(answer(future), name="who could have answered")
        return await future

    with pytest.raises(soliloop.DeadlockError) as caught, soliloop.simulation() as sim:
        sim.run(ask())
    text = str(caught.value)
    assert "waits for a future that nobody has completed" in text
    assert "ask at" in text and "test_sim_bugs.py:" in text


class Client:
    """Requests that wait for answers."""

    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[str]] = {}
        self.queue: list[tuple[int, asyncio.Future[str]]] = []
        self.last: asyncio.Future[str] | None = None

    def __repr__(self) -> str:
        return "<Client>"


@pytest.mark.parametrize(
    ("keep", "holder"),
    [
        (
            lambda client, future: client.pending.update({7: future}),
            "attribute 'pending' of <Client>",
        ),
        (lambda client, future: client.queue.append((7, future)), "attribute 'queue' of <Client>"),
        (lambda client, future: setattr(client, "last", future), "attribute 'last' of <Client>"),
        (lambda _, future: forgetful(future), "variable 'promised' of forgetful()"),
    ],
)
def test_who_could_have_completed_a_future_is_named(
    keep: Callable[[Client, asyncio.Future[str]], object], holder: str
) -> None:
    async def ask() -> str:
        client = Client()
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        kept = keep(client, future)
        tasks = [asyncio.create_task(kept)] if asyncio.iscoroutine(kept) else []
        answer = await future
        await asyncio.gather(*tasks)
        return answer

    with pytest.raises(soliloop.DeadlockError) as caught, soliloop.simulation() as sim:
        sim.run(ask())
    assert f"(held by {holder}) in " in str(caught.value)


async def forgetful(promised: asyncio.Future[str]) -> None:
    await asyncio.Event().wait()
    promised.set_result("answer")


def test_two_tasks_that_wait_for_each_other_name_each_other() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()

        async def first() -> None:
            async with one:
                await asyncio.sleep(1)
                async with other:
                    pass

        async def second() -> None:
            async with other:
                await asyncio.sleep(1)
                async with one:
                    pass

        async with asyncio.TaskGroup() as group:
            group.create_task(first(), name="first")
            group.create_task(second(), name="second")

    with pytest.raises(soliloop.DeadlockError) as caught, soliloop.simulation() as sim:
        sim.run(main())
    for name in ("first", "second"):
        assert f"task {name!r}" in str(caught.value)
    assert str(caught.value).count("Lock object") == 2


def test_sleep_in_a_coroutine_is_reported_with_its_chain() -> None:
    def deep() -> None:
        time.sleep(3)

    def helper() -> None:
        deep()

    async def main() -> float:
        helper()
        return asyncio.get_running_loop().time()

    with (
        soliloop.simulation() as sim,
        pytest.warns(soliloop.PitfallWarning, match=rf"main.*{HERE}.*helper.*{HERE}.*deep.*{HERE}"),
    ):
        assert sim.run(main()) == 3


def test_sleep_holds_up_the_other_tasks_but_not_the_threads() -> None:
    seen: list[tuple[str, float]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def ticks() -> None:
            while True:
                await asyncio.sleep(1)
                seen.append(("task", loop.time()))

        def work() -> None:
            time.sleep(2)
            seen.append(("thread", time.monotonic()))

        task = asyncio.create_task(ticks())
        thread = loop.run_in_executor(None, work)
        await asyncio.sleep(0)
        time.sleep(5)
        seen.append(("main", loop.time()))
        await thread
        await asyncio.sleep(1)
        task.cancel()

    with soliloop.simulation() as sim, pytest.warns(soliloop.PitfallWarning):
        sim.run(main())
    assert seen[:3] == [("thread", 2), ("main", 5), ("task", 5)]


def test_a_real_socket_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        real = socket.create_connection(server.getsockname())

        async def main() -> None:
            real.send(b"to the real world")

        with (
            real,
            soliloop.simulation() as sim,
            pytest.raises(soliloop.OutsideWorldError, match=rf"socket\.send\(\).*main.*{HERE}"),
        ):
            sim.run(main())


def test_a_server_that_is_not_in_the_simulation_is_named() -> None:
    async def main() -> None:
        await asyncio.open_connection("api.example.org", 443)

    with (
        soliloop.simulation() as sim,
        pytest.raises(soliloop.UnservedError, match=r"api\.example\.org:443"),
    ):
        sim.run(main())


def test_a_host_that_is_not_in_the_simulation_is_named() -> None:
    async def main() -> None:
        await asyncio.open_connection("exchnage", 443)

    with (
        soliloop.simulation() as sim,
        pytest.raises(socket.gaierror, match=r"'exchnage' \(it has exchange\)"),
    ):
        sim.host("exchange")
        sim.run(main())


def test_a_real_thread_is_refused_by_name() -> None:
    async def main() -> None:
        threading.Thread(target=print).start()

    with (
        soliloop.simulation() as sim,
        pytest.raises(soliloop.OutsideWorldError, match=rf"thread.*main.*{HERE}"),
    ):
        sim.run(main())


def test_a_thread_that_waits_for_ever_is_named() -> None:
    def take() -> None:
        queue.Queue[None]().get()

    with pytest.raises(soliloop.DeadlockError) as caught, soliloop.simulation() as sim:
        sim.run(asyncio.to_thread(take))
    assert "simulated thread 'asyncio_0' waits for" in str(caught.value)


def test_a_blocking_call_that_nothing_can_end_is_named() -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        with one, other:
            one.recv(1)

    with (
        soliloop.simulation() as sim,
        pytest.raises(
            soliloop.DeadlockError, match=rf"socket\.recv\(\) waits in .*main at .*{HERE}"
        ),
    ):
        sim.run(main())
