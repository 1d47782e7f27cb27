"""The command ``soliloop run``, as a user starts it: each test is one process.

Programs run in simulated time where they can, so that their sleeps cost nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Soliloop = Callable[..., "subprocess.CompletedProcess[str]"]

NESTED = """\
import asyncio

async def A():
    await asyncio.sleep(2)
    B()

def B():
    loop = asyncio.get_running_loop()
    loop.run_until_complete(C())
    print("at", loop.time())

async def C():
    await asyncio.sleep(2)

if __name__ == "__main__":
    asyncio.run(A())
"""

TELL = """\
import asyncio, sys

async def main():
    loop = asyncio.get_running_loop()
    print(__name__, sys.argv[1:], type(loop).__module__.partition(".")[0], loop.nesting)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def soliloop(tmp_path: Path) -> Soliloop:
    """Runs ``python -m soliloop`` in a folder of its own; a traceback must have status 1."""

    def run(
        *words: str, status: int = 0, python: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *python, "-m", "soliloop", *words],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        if status != 1:
            assert "Traceback" not in done.stderr
        return done

    return run


# ------------------------------------------------------------------ what runs


def test_an_unmodified_file_runs_nested_in_simulated_time(
    soliloop: Soliloop, tmp_path: Path
) -> None:
    (tmp_path / "nested.py").write_text(NESTED)
    done = soliloop("run", "nested.py", "--simulated")
    assert (done.stdout, done.stderr) == ("at 4.0\n", "")


def test_a_file_runs_in_real_time_on_a_nesting_loop(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "nested.py").write_text(NESTED.replace("sleep(2)", "sleep(0.01)"))
    before = time.monotonic()
    at = float(soliloop("run", "nested.py").stdout.split()[1])
    assert before < at < time.monotonic()


@pytest.mark.parametrize(
    "made",
    [
        "asyncio.run(main())",
        "asyncio.Runner().run(main())",
        "asyncio.new_event_loop().run_until_complete(main())",
        "asyncio.get_event_loop_policy().new_event_loop().run_until_complete(main())",
        "import soliloop; soliloop.run(main())",
        "import soliloop; soliloop.run(main(), thread=True)",
        "import soliloop; soliloop.Runner().run(main())",
        "import soliloop; asyncio.Runner(loop_factory=soliloop.new_event_loop).run(main())",
    ],
)
def test_whatever_makes_a_loop_makes_a_simulated_one(
    soliloop: Soliloop, tmp_path: Path, made: str
) -> None:
    source = (
        "import asyncio\n"
        "async def main():\n"
        "    await asyncio.sleep(100_000)\n"
        "    print(asyncio.get_running_loop().now().isoformat())\n"
        f"{made}\n"
    )
    (tmp_path / "prog.py").write_text(source)
    done = soliloop("run", "--simulated", "--start", "2024-01-02T09:30-05:00", "prog.py")
    assert done.stdout == "2024-01-03T13:16:40-05:00\n"


def test_the_same_seed_gives_the_same_run(soliloop: Soliloop, tmp_path: Path) -> None:
    source = (
        "import asyncio, random, uuid\n"
        "async def main():\n"
        "    print(random.random(), uuid.uuid4())\n"
        "asyncio.run(main())\n"
    )
    (tmp_path / "prog.py").write_text(source)

    def words(*options: str) -> list[str]:
        return soliloop("run", "prog.py", "--simulated", *options).stdout.split()

    one, again = words("--seed", "1", "--entropy"), words("--seed=1", "--entropy")
    other, without = words("--seed", "2", "--entropy"), words("--seed", "1")
    assert one == again
    assert one[0] == without[0] != other[0]
    assert len({one[1], other[1], without[1]}) == 3


def test_a_program_that_may_reaches_the_real_world(soliloop: Soliloop, tmp_path: Path) -> None:
    source = (
        "import asyncio, sys\n"
        "async def main():\n"
        "    await asyncio.sleep(3600)\n"
        "    process = await asyncio.create_subprocess_exec(sys.executable, '-c', 'print(5)', stdout=-1)\n"
        "    print((await process.communicate())[0], asyncio.get_running_loop().time())\n"
        "asyncio.run(main())\n"
    )
    (tmp_path / "prog.py").write_text(source)
    stderr = soliloop("run", "prog.py", "--simulated", status=1).stderr
    assert "OutsideWorldError: loop.subprocess_exec() reaches the real world" in stderr
    done = soliloop("run", "prog.py", "--simulated", "--outside", "allow")
    assert done.stdout == "b'5\\n' 3600.0\n"


def test_a_file_gets_its_own_arguments_folder_and_name(soliloop: Soliloop, tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "helper.py").write_text("WORD = 'found'\n")
    (folder / "prog.py").write_text(
        "import helper, sys\nprint(__name__, __file__, helper.WORD, sys.argv, sys.path[0])\n"
    )
    done = soliloop("run", "sub/prog.py", "a", "--start", "b", "--simulated")
    argv = ["sub/prog.py", "a", "--start", "b", "--simulated"]
    assert done.stdout == f"__main__ sub/prog.py found {argv} {folder.resolve()}\n"


def test_safe_path_keeps_the_folder_out(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text("import sys; print(sys.path)\n")
    assert str(tmp_path) not in soliloop("run", "prog.py", python=("-P",)).stdout


def test_a_module_runs_as_by_python_m(soliloop: Soliloop, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tell.py").write_text(TELL + "    print(sys.argv[0], __package__)\n")
    (package / "__main__.py").write_text("from package import tell\nprint('whole', __name__)\n")
    done = soliloop("run", "package.tell", "a", "-b", "--", "c")
    name, place = done.stdout.splitlines()
    assert name == "__main__ ['a', '-b', '--', 'c'] soliloop True"
    assert place == f"{package / 'tell.py'} package"
    assert soliloop("run", "package").stdout == "whole __main__\n"


def test_a_coroutine_function_of_a_module_runs(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(TELL)
    assert soliloop("run", "tell:main", "a", "-b").stdout == "tell ['a', '-b'] soliloop True\n"
    done = soliloop("run", "--simulated", "tell:main", "--", "--simulated")
    assert done.stdout == "tell ['--simulated'] soliloop True\n"


def test_two_dashes_end_the_options(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(TELL)
    done = soliloop("run", "--simulated", "--", "tell.py", "--start", "a")
    assert done.stdout == "__main__ ['--start', 'a'] soliloop True\n"
    assert "required" in soliloop("run", "--", status=2).stderr


def test_a_coroutine_function_runs_in_simulated_time(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "nested.py").write_text(NESTED)
    assert soliloop("run", "nested:A", "--simulated", "--factor=1000").stdout == "at 4.0\n"


def test_factor_takes_real_time(soliloop: Soliloop, tmp_path: Path) -> None:
    source = (
        "import asyncio, time\n"
        "before = time.monotonic()\n"
        "asyncio.run(asyncio.sleep(2))\n"
        "print(time.monotonic() - before)\n"
    )
    (tmp_path / "prog.py").write_text(source)
    took = float(soliloop("run", "--simulated", "--factor", "20", "prog.py").stdout)
    assert 0.1 <= took < 2


def test_the_version(soliloop: Soliloop) -> None:
    name, version = soliloop("--version").stdout.split()
    assert name == "soliloop"
    assert version[0].isdigit()


# ------------------------------------------------------------------ exit status


@pytest.mark.parametrize("target", ["prog.py", "prog", "prog:main"])
def test_exit_status_is_that_of_system_exit(
    soliloop: Soliloop, tmp_path: Path, target: str
) -> None:
    source = (
        "import asyncio, sys\n"
        "async def main():\n"
        "    sys.exit(7)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    (tmp_path / "prog.py").write_text(source)
    soliloop("run", "--simulated", target, status=7)


def test_a_result_is_no_exit_status(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text("async def main():\n    return 3\n")
    assert soliloop("run", "prog:main").stderr == ""


def test_an_exception_is_shown_and_gives_1(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text("async def main():\n    1 / 0\n")
    assert "ZeroDivisionError" in soliloop("run", "prog:main", status=1).stderr


def test_a_deadlock_is_shown_and_gives_1(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(
        "import asyncio\nasync def main():\n    await asyncio.Event().wait()\nasyncio.run(main())\n"
    )
    stderr = soliloop("run", "--simulated", "prog.py", status=1).stderr
    assert "DeadlockError" in stderr
    assert "Event.wait" in stderr


def test_ctrl_c_ends_a_program_as_it_ends_python(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(
        "import asyncio\n"
        "async def main():\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-m", "soliloop", "run", "prog.py"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert stderr.endswith("KeyboardInterrupt\n")


def test_no_warning_is_shown(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "nested.py").write_text(NESTED)
    done = soliloop("run", "--simulated", "nested.py", python=("-W", "error"))
    assert (done.stdout, done.stderr) == ("at 4.0\n", "")


# ------------------------------------------------------------------ errors of the command line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run missing.py", "no such file: missing.py"),
        ("run folder.py", "no such file: folder.py"),
        ("run prog.py:main", "prog.py is a file, and runs whole: leave :main out"),
        ("run missing", "no such module: missing"),
        ("run prog.missing", "no such module: prog.missing"),
        ("run .prog:main", "no such module: .prog"),
        ("run :main", "no such module: "),
        ("run empty", "empty is a package without a module __main__"),
        ("run prog:missing", "module prog has no 'missing'"),
        ("run prog:", "module prog has no ''"),
        ("run prog:plain", "prog:plain is not a coroutine function (async def): <function plain"),
        ("run prog:generator", "prog:generator is not a coroutine function"),
        ("run prog:number", "prog:number is not a coroutine function (async def): 3"),
        ("run prog:demanding", "is called without arguments: missing a required argument: 'x'"),
        ("run prog.py --start 2024-01-02T09:30Z", "--start is for simulated time"),
        ("run --factor 2 prog.py", "--factor is for simulated time: add --simulated"),
        ("run prog.py --simulated --start 2024-01-02T09:30", "has no time zone"),
        ("run prog.py --simulated --start yesterday", "Invalid isoformat string: 'yesterday'"),
        ("run prog.py --simulated --factor 0", "factor must be a positive number, not 0"),
        ("run prog.py --simulated --factor nan", "factor must be a positive number, not NaN"),
        ("run prog.py --simulated --factor fast", "argument --factor: invalid float value: 'fast'"),
        ("run prog.py --start", "argument --start: expected one argument"),
        ("run prog.py --seed 1", "--seed is for simulated time: add --simulated"),
        ("run prog.py --entropy", "--entropy is for simulated time: add --simulated"),
        ("run prog.py --outside allow", "--outside is for simulated time: add --simulated"),
        ("run prog.py --simulated --entropy", "entropy=True needs a seed="),
        ("run prog.py --simulated --seed x", "argument --seed: invalid int value: 'x'"),
        ("run prog.py --simulated --outside no", "invalid choice: 'no'"),
        ("run --simulate prog.py", "unrecognized arguments: --simulate"),
        ("run", "the following arguments are required: FILE.py|MODULE[:main]"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_command_line_says_so_and_gives_2(
    soliloop: Soliloop, tmp_path: Path, words: str, message: str
) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "__init__.py").touch()
    (tmp_path / "prog.py").write_text(
        "number = 3\n"
        "def plain(): pass\n"
        "async def generator(): yield\n"
        "async def demanding(x): pass\n"
        "if __name__ == '__main__': print('ran')\n"
    )
    done = soliloop(*words.split(), status=2)
    assert message in done.stderr
    assert done.stdout == ""


def test_a_module_that_fails_at_its_import_shows_why(soliloop: Soliloop, tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / "__init__.py").write_text("import not_installed\n")
    (tmp_path / "parent" / "child.py").touch()
    stderr = soliloop("run", "parent.child:main", status=1).stderr
    assert "No module named 'not_installed'" in stderr


def test_the_installed_command_is_the_same(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("soliloop")
    if not command.exists():
        pytest.skip("soliloop is not installed beside this Python")
    (tmp_path / "nested.py").write_text(NESTED)
    done = subprocess.run(
        [os.fspath(command), "run", "--simulated", "nested.py"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "at 4.0\n", "")
