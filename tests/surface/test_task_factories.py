"""Task factories: stock and own ones, and what they are handed."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any

import pytest
import soliloop
from surface_support import Loop, run


async def value(result: Any = None) -> Any:
    await asyncio.sleep(0)
    return result


def test_there_is_none_at_first_and_none_takes_it_away(loop: Loop) -> None:
    def factory(loop: Loop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=loop, **options)

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    assert run(loop, value(1)) == 1


@pytest.mark.parametrize("thing", [5, "factory", object()])
def test_what_cannot_be_called_is_refused(loop: Loop, thing: Any) -> None:
    with pytest.raises(TypeError):
        loop.set_task_factory(thing)
    assert loop.get_task_factory() is None


def test_every_task_comes_from_the_factory(loop: Loop) -> None:
    class Task(asyncio.Task[Any]):
        pass

    def factory(loop: Loop, coro: Any, **options: Any) -> Task:
        return Task(coro, loop=loop, **options)

    async def main() -> None:
        assert type(asyncio.current_task()) is Task
        task = asyncio.create_task(value(2), name="a name")
        assert type(task) is Task
        assert task.get_name() == "a name"
        assert await task == 2
        async with asyncio.TaskGroup() as group:
            assert type(group.create_task(value())) is Task

    loop.set_task_factory(factory)
    loop.run_until_complete(main())


def test_a_factory_gets_the_context(loop: Loop) -> None:
    given: list[object] = []

    def factory(loop: Loop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        given.append(options.get("context"))
        return asyncio.Task(coro, loop=loop, **options)

    context = contextvars.Context()
    loop.set_task_factory(factory)
    loop.run_until_complete(loop.create_task(value(), context=context))
    assert given == [context]


@pytest.mark.skipif(
    sys.version_info >= (3, 13, 3), reason="since 3.13.3 a factory must take all options"
)
def test_a_factory_need_not_take_options(loop: Loop) -> None:
    loop.set_task_factory(lambda loop, coro: asyncio.Task(coro, loop=loop))
    task = loop.create_task(value(3), name="a name")
    assert task.get_name() == "a name"
    assert loop.run_until_complete(task) == 3


def test_an_error_of_the_factory_gets_through(loop: Loop) -> None:
    def factory(loop: Loop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        raise LookupError

    loop.set_task_factory(factory)
    coroutine = value()
    with pytest.raises(LookupError):
        loop.create_task(coroutine)
    coroutine.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_eager_tasks(loop: Loop) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def work() -> None:
            seen.append("started")
            assert asyncio.current_task() is not me
            await asyncio.sleep(0)
            seen.append("ended")

        async def at_once() -> int:
            return 4

        me = asyncio.current_task()
        task = asyncio.create_task(work())
        assert seen == ["started"]
        assert asyncio.current_task() is me
        assert asyncio.create_task(at_once()).result() == 4
        await task
        assert seen == ["started", "ended"]
        assert await asyncio.gather(*(value(number) for number in range(10))) == list(range(10))

    loop.set_task_factory(asyncio.eager_task_factory)
    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_an_own_class_of_eager_tasks(loop: Loop) -> None:
    class Task(asyncio.Task[Any]):
        pass

    async def main() -> None:
        assert type(asyncio.create_task(value())) is Task
        await asyncio.sleep(0)

    loop.set_task_factory(asyncio.create_eager_task_factory(Task))
    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_eager_start_is_handed_to_the_factory(our_loop: soliloop.EventLoop) -> None:
    given: list[dict[str, Any]] = []

    def factory(loop: Loop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        given.append(options)
        return asyncio.Task(coro, loop=loop, **options)

    async def main() -> None:
        await our_loop.create_task(value(), eager_start=True, name="eager")

    our_loop.set_task_factory(factory)
    our_loop.run_until_complete(main())
    assert given[-1] == {"eager_start": True, "name": "eager"}
