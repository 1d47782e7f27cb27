"""Every example of the README runs as it stands, and prints what the README says it prints.

A python block is one process. What it must print is the text block that follows it or, line by line,
the comments behind its calls of ``print``; ``...`` stands for anything. A block that begins with
``# NAME.py`` is also a file of that name for the console blocks, whose ``$`` lines are run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
HOOKS = README.with_name(".pre-commit-hooks.yaml")
LANGUAGES = {"python", "text", "console", "toml", "yaml"}


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    language: str
    text: str
    line: int

    @property
    def file_name(self) -> str | None:
        named = re.match(r"# (\w+\.py)\n", self.text)
        return named[1] if named else None


def _blocks() -> list[Block]:
    text = README.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(fence[1], fence[2], text.count("\n", 0, fence.start()) + 1) for fence in fences]


def _expected(index: int) -> str | None:
    """What a python block must print; ``None`` if the README does not say."""
    follower = BLOCKS[index + 1] if index + 1 < len(BLOCKS) else None
    if follower is not None and follower.language == "text":
        return follower.text
    outputs = re.findall(r"^ *print\(.*\)  # (.*)$", BLOCKS[index].text, re.MULTILINE)
    return "".join(f"{output}\n" for output in outputs) if outputs else None


def _matches(expected: str, printed: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, printed) is not None


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


BLOCKS = _blocks()
EXAMPLES = [
    pytest.param(index, id=f"line{block.line}")
    for index, block in enumerate(BLOCKS)
    if block.language == "python" and block.file_name is None
]
SESSIONS = [
    pytest.param(block, id=f"line{block.line}") for block in BLOCKS if block.language == "console"
]


@pytest.mark.parametrize("index", EXAMPLES)
def test_an_example_prints_what_the_readme_says(index: int, tmp_path: Path) -> None:
    source = BLOCKS[index].text
    if sys.version_info < (3, 12) and "asyncio.run(" in source and "loop_factory=" in source:
        pytest.skip("asyncio.run has loop_factory since Python 3.12")
    expected = _expected(index)
    assert expected is not None, "the README does not say what this prints"
    (tmp_path / "example.py").write_text(source, encoding="utf-8")
    printed = _run([sys.executable, "-W", "error", "example.py"], tmp_path)
    assert _matches(expected, printed), printed


@pytest.mark.parametrize("session", SESSIONS)
def test_a_command_prints_what_the_readme_says(session: Block, tmp_path: Path) -> None:
    for block in BLOCKS:
        if block.file_name is not None:
            (tmp_path / block.file_name).write_text(block.text, encoding="utf-8")
    for step in re.split(r"^\$ ", session.text, flags=re.MULTILINE)[1:]:
        command, _, expected = step.partition("\n")
        program, *words = shlex.split(command)
        assert program == "soliloop"
        printed = _run([sys.executable, "-m", program, *words], tmp_path)
        assert _matches(expected, printed), printed


def test_the_examples_are_found() -> None:
    assert len(EXAMPLES) >= 8
    assert len(SESSIONS) >= 2
    assert {block.language for block in BLOCKS} <= LANGUAGES


def test_the_hooks_are_there() -> None:
    (settings,) = [block for block in BLOCKS if block.language == "yaml"]
    wanted, given = (
        set(re.findall(r"^[ -]*id: (\S+)$", text, re.MULTILINE))
        for text in (settings.text, HOOKS.read_text(encoding="utf-8"))
    )
    assert wanted
    assert wanted <= given


def test_the_settings_make_sense(tmp_path: Path) -> None:
    (settings,) = [block for block in BLOCKS if block.language == "toml"]
    (tmp_path / "shared.toml").write_text("[tool.soliloop.check]\n", encoding="utf-8")
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(settings.text, encoding="utf-8")
    printed = _run([sys.executable, "-m", "soliloop", "check"], folder)
    assert printed == "All checks passed!\n"
