"""Child processes: output, input, exit codes, signals, many at once."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import pytest
from surface_support import Loop, run


async def python(source: str, **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", source, **options)


def test_output_and_exit_code(loop: Loop) -> None:
    async def main() -> None:
        child = await python("print('hello'); raise SystemExit(3)", stdout=PIPE)
        output, errors = await child.communicate()
        assert output == b"hello\n"
        assert errors is None
        assert child.returncode == 3

    run(loop, main())


def test_input_and_errors(loop: Loop) -> None:
    async def main() -> None:
        source = "import sys; sys.stderr.write(sys.stdin.read().upper())"
        child = await python(source, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        assert await child.communicate(b"hello") == (b"", b"HELLO")
        assert child.returncode == 0

    run(loop, main())


def test_a_conversation(loop: Loop) -> None:
    async def main() -> None:
        source = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
        child = await python(source, stdin=PIPE, stdout=PIPE)
        assert child.stdin is not None
        assert child.stdout is not None
        for number in range(20):
            child.stdin.write(b"line %d\n" % number)
            assert await child.stdout.readline() == b"LINE %d\n" % number
        child.stdin.close()
        assert await child.wait() == 0

    run(loop, main())


def test_more_than_a_pipe_holds(loop: Loop) -> None:
    async def main() -> None:
        source = "import sys; sys.stdout.write(sys.stdin.read())"
        child = await python(source, stdin=PIPE, stdout=PIPE)
        output, _ = await child.communicate(b"x" * 1_000_000)
        assert len(output) == 1_000_000

    run(loop, main())


def test_a_shell(loop: Loop) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_shell(
            "echo out; echo err >&2; exit 7", stdout=PIPE, stderr=STDOUT
        )
        assert (await child.communicate())[0] == b"out\nerr\n"
        assert child.returncode == 7

    run(loop, main())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(loop: Loop, number: signal.Signals) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec("sleep", "3600", stdout=DEVNULL)
        child.send_signal(number)
        assert await child.wait() == -number
        assert child.returncode == -number

    run(loop, main())


def test_many_at_once(loop: Loop) -> None:
    async def main() -> list[int]:
        children = await asyncio.gather(
            *(asyncio.create_subprocess_shell(f"exit {n}") for n in range(20))
        )
        return await asyncio.gather(*(child.wait() for child in children))

    assert run(loop, main()) == list(range(20))


def test_a_program_that_does_not_exist(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nonexistent")

    run(loop, main())


def test_a_wait_that_is_given_up(loop: Loop) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec("sleep", "3600")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child.wait(), 0.001)
        child.kill()
        assert await child.wait() == -signal.SIGKILL

    run(loop, main())
