"""The program that soliloop was made for, in simulated and in real time: python examples/nested.py

The coroutine A calls B, a plain function, which needs the result of C, another coroutine. Plain
asyncio refuses that: "This event loop is already running". Here it is a nested run: B stands still,
the loop goes on, and B comes back when C is done.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import soliloop
import soliloop.compat.hasyncio as hasynci
from soliloop.compat.hasyncio import solipsism_context


async def A() -> None:
    say("A sleeps for 2 s")
    await asyncio.sleep(2)
    say("A calls B, a plain function")
    B()
    say("A ends")


def B() -> None:
    say("B runs C on the loop that is running already")
    loop = asyncio.get_running_loop()
    loop.run_until_complete(C())
    say("B has come back from C")


async def C() -> None:
    say("C sleeps for 2 s")
    await asyncio.sleep(2)
    say("C ends")


# Nested runs come back as each is done, whatever was called after them: A1 at 0.2 s. (nest_asyncio
# holds A1 back until A2 and A3, which stand above it on the stack, have ended: 0.6 s.)
async def three_at_once() -> None:
    async def call(name: str, seconds: float) -> None:
        nested_sleep(seconds)
        say(f"{name} comes back")

    await asyncio.gather(call("A1", 0.2), call("A2", 0.6), call("A3", 0.4))


def nested_sleep(seconds: float) -> None:
    asyncio.get_running_loop().run_until_complete(asyncio.sleep(seconds))


def main() -> None:
    with solipsism_context() as loop:
        play("Simulated time: the clock jumps to whatever comes next", A, loop)

    live_loop = soliloop.new_event_loop(nesting=True)
    play("Real time: the same program on the loop for live use", A, live_loop)

    with solipsism_context() as loop:
        play("Three at once, nested for 0.2, 0.6 and 0.4 s, in simulated time", three_at_once, loop)


def play(
    title: str, program: Callable[[], Coroutine[Any, Any, None]], loop: asyncio.AbstractEventLoop
) -> None:
    """Run a program on a loop, and say how long that took on both clocks."""
    global _beginning
    print(title)
    _beginning, began = loop.time(), time.perf_counter()
    hasynci.run(program(), loop, close_event_loop=False)
    took, really_took = loop.time() - _beginning, time.perf_counter() - began
    print(f"  {took:.1f} s on the loop's clock, {really_took:.3f} s on yours\n")
    loop.close()


def say(what: str) -> None:
    """Print what happens, and when on the clock of the loop."""
    print(f"  {asyncio.get_running_loop().time() - _beginning:3.1f} s  {what}", flush=True)


_beginning = 0.0


if __name__ == "__main__":
    main()
