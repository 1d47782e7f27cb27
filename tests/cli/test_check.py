"""The command ``soliloop check``: what it reads, what it says, and its exit status. What rules find is tested in Rust."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soliloop

Check = Callable[..., tuple[int, str, str]]

PROGRAM = """\
import asyncio
import time


def pause():
    time.sleep(1)


def twice():
    pause()
    pause()


async def main():
    await asyncio.sleep(0)
    twice()


async def other():
    await asyncio.sleep(0)
    pause()
"""
CHAIN = ["main.main", "main.twice", "main.pause", "time.sleep"]


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    """Check a folder with a program, with these words."""
    (tmp_path / "main.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)

    def check(*words: str) -> tuple[int, str, str]:
        status = soliloop.check(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return check


def findings(check: Check, *words: str) -> list[dict[str, Any]]:
    _, output, _ = check("--format", "json", *words)
    found: list[dict[str, Any]] = json.loads(output)["findings"]
    return found


def test_as_a_command(check: Check) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "soliloop", "check"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "main.py:21:5: SL002 [blocking-sleep]" in done.stdout
    assert done.stderr == ""


def test_text(check: Check) -> None:
    status, output, complaint = check()
    assert (status, complaint) == (1, "")
    assert output == (
        "main.py:21:5: SL002 [blocking-sleep] coroutine `other` gets to `time.sleep`, "
        "which sleeps: the loop stands still meanwhile\n"
        "   |\n"
        "21 |     pause()\n"
        "   |     ^^^^^^^\n"
        "   = main.py:21 main.other (async) -> main.py:6 main.pause -> time.sleep\n"
        "   = help: make the functions on the way `async def`, and `await asyncio.sleep(...)` at the end (--fix does)\n"
        "   = also from 1 other place:\n"
        "       main.py:16 main.main (async) -> main.py:10 main.twice -> main.py:6 main.pause -> time.sleep\n"
        "\n"
        "Found 2 problems.\n"
    )


def test_nothing_is_found(check: Check) -> None:
    assert check("--select", "SL001") == (0, "All checks passed!\n", "")


def test_concise(check: Check) -> None:
    _, output, _ = check("--format", "concise")
    assert output.splitlines()[0].startswith(
        "main.py:16:5: SL002 coroutine `main` gets to `time.sleep`"
    )


def test_json(check: Check) -> None:
    first, second = findings(check)
    assert first["path"] == "main.py"
    assert (first["line"], first["column"], first["end_column"]) == (16, 5, 12)
    assert (first["code"], first["name"], first["severity"]) == ("SL002", "blocking-sleep", "error")
    assert first["chain"] == CHAIN
    assert [(site["path"], site["line"]) for site in first["sites"]] == [
        ("main.py", 16),
        ("main.py", 10),
        ("main.py", 6),
    ]
    assert second["chain"] == ["main.other", "main.pause", "time.sleep"]


def test_sarif(check: Check) -> None:
    _, output, _ = check("--format", "sarif")
    log = json.loads(output)
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        f"SL{number:03}" for number in range(1, 16)
    ]
    result = run["results"][0]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("SL002", 1, "error")
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["location"]["physicalLocation"]["region"]["startLine"] for step in steps] == [
        16,
        10,
        6,
    ]
    assert [step["location"]["message"]["text"] for step in steps] == CHAIN[:-1]


def test_github(check: Check) -> None:
    _, output, _ = check("--format", "github")
    assert output.startswith(
        "::error file=main.py,line=16,col=5,endLine=16,endColumn=12,title=SL002 blocking-sleep::coroutine"
    )


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("mermaid", 'n1["main.other"]:::coroutine'),
        ("dot", 'label="main.pause", fillcolor="#fff2cc"'),
    ],
)
def test_graph(check: Check, language: str, line: str) -> None:
    _, output, _ = check("--graph", language)
    assert line in output


def test_statistics(check: Check) -> None:
    assert check("--statistics")[1] == "     2  SL002  blocking-sleep\n"


def test_explain(check: Check) -> None:
    for name in ("SL001", "sl001", "nested-run"):
        status, output, _ = check("--explain", name)
        assert status == 0
        assert output.startswith("# nested-run (SL001)\n\n## What it does")
    status, _, complaint = check("--explain", "SL999")
    assert (status, complaint) == (
        2,
        "soliloop check: unknown rule `SL999`: rules are SL001 to SL015\n",
    )


def test_exit_zero(check: Check) -> None:
    assert check("--exit-zero")[0] == 0


# ---------------------------------------------------------------------- settings


def settings(path: Path, text: str) -> None:
    (path / "pyproject.toml").write_text(text)


def test_settings_of_the_project(check: Check, tmp_path: Path) -> None:
    settings(tmp_path, '[tool.soliloop.check]\nignore = ["SL002"]\n')
    assert findings(check) == []
    assert len(findings(check, "--isolated")) == 2


def test_the_command_line_selects_last(check: Check, tmp_path: Path) -> None:
    settings(tmp_path, '[tool.soliloop.check]\nselect = ["SL001"]\n')
    assert findings(check) == []
    assert len(findings(check, "--select", "SL002")) == 2


def test_files_that_are_spared(check: Check, tmp_path: Path) -> None:
    settings(tmp_path, '[tool.soliloop.check.per-file-ignores]\n"main.py" = ["SL00"]\n')
    assert findings(check) == []
    settings(tmp_path, '[tool.soliloop.check]\nexclude = ["main.py"]\n')
    assert findings(check) == []


def test_blocking_calls_of_ones_own(check: Check, tmp_path: Path) -> None:
    settings(
        tmp_path, '[tool.soliloop.check.blocking-calls]\nnetwork = ["ourlib.Client().fetch"]\n'
    )
    (tmp_path / "main.py").write_text(
        "import ourlib\n\nasync def main():\n    await ourlib.ready()\n    ourlib.Client('x').fetch()\n"
    )
    (finding,) = findings(check)
    assert (finding["code"], finding["chain"]) == ("SL003", ["main.main", "ourlib.Client.fetch"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tool.soliloop.check]\nselct = []\n", "unknown field `selct`"),
        (
            '[tool.soliloop.check]\nselect = ["XY001"]\n',
            "unknown rule `XY001`: rules are SL001 to SL015",
        ),
        ('[tool.soliloop.check]\nselect = "SL001"\n', "invalid type: string"),
        (
            "[tool.soliloop.check.blocking-calls]\nnet = []\n",
            "unknown category `net`: one of nested, sleep, network",
        ),
        ("[tool", "pyproject.toml"),
        ('[tool.soliloop.check]\nexclude = ["a{"]\n', "exclude: "),
    ],
)
def test_settings_that_make_no_sense(
    check: Check, tmp_path: Path, text: str, complaint: str
) -> None:
    settings(tmp_path, text)
    status, output, said = check()
    assert (status, output) == (2, "")
    assert complaint in said


@pytest.mark.parametrize(
    "words", [["nowhere"], ["--nonsense"], ["--select", "SL999"], ["--format", "poem"]]
)
def test_words_that_make_no_sense(check: Check, words: list[str]) -> None:
    status, output, complaint = check(*words)
    assert (status, output) == (2, "")
    assert words[-1].removeprefix("--") in complaint


def test_help(check: Check) -> None:
    status, output, complaint = check("--help")
    assert (status, complaint) == (0, "")
    assert "Usage: soliloop check [OPTIONS] [PATH]..." in output


# ------------------------------------------------------------------------- files


def problems(check: Check) -> dict[str, str]:
    _, output, _ = check("--format", "json")
    return {problem["path"]: problem["message"] for problem in json.loads(output)["problems"]}


def test_files_that_cannot_be_read_whole(check: Check, tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"x = '\xe4'\n")
    (tmp_path / "broken.py").write_text(
        "import time\nasync def f():\n    time.sleep(1)\n    x = = 1\n"
    )
    (tmp_path / "brackets.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "operators.py").write_text("x = 1" + " + 1" * 50_000)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "zeros.py").write_bytes(b"\0" * 100)
    found = problems(check)
    assert found.keys() >= {"latin.py", "broken.py", "brackets.py", "operators.py"}
    assert found["latin.py"] == "is not UTF-8 from byte 5 on"
    assert found["brackets.py"] == found["operators.py"] == "nested too deeply: not checked"
    # The rest is checked, and what could be read of the broken one.
    assert {finding["path"] for finding in findings(check)} == {"main.py", "broken.py"}


def test_a_big_file(check: Check, tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("DATA = [\n" + "    (1, 'a', [2, 3]),\n" * 500_000 + "]\n")
    assert len(findings(check)) == 2


def test_rings_of_links(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path)
    (tmp_path / "nowhere.py").symlink_to(tmp_path / "missing.py")
    assert len(findings(check)) == 2


def test_folders_that_are_left_out(check: Check, tmp_path: Path) -> None:
    for folder in ("node_modules", ".venv", "env", "ignored"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "main.py").write_text(PROGRAM)
    (tmp_path / "env/pyvenv.cfg").write_text("")
    (tmp_path / ".gitignore").write_text("ignored/\n")
    assert len(findings(check)) == 2


def test_the_same_file_by_several_ways(check: Check, tmp_path: Path) -> None:
    assert (
        len(findings(check, ".", "main.py", str(tmp_path / "main.py"), "../" + tmp_path.name)) == 2
    )


def test_another_folder(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert {finding["path"] for finding in findings(check, str(tmp_path))} == {"main.py"}


def test_columns_are_counted_in_characters(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import time\nasync def f(x):\n    x['äöü🐍'], time.sleep(1)\n"
    )
    finding = findings(check, "--select", "SL002")[0]
    assert (finding["column"], finding["end_column"]) == (16, 29)


# ----------------------------------------------------------------------- repairs


def test_a_repair(check: Check, tmp_path: Path) -> None:
    status, output, complaint = check("--fix")
    assert (status, output, complaint) == (0, "All checks passed!\n", "Repaired 1 file.\n")
    text = (tmp_path / "main.py").read_text()
    assert "time" not in text
    assert text.count("await pause()") == 3
    assert check("--fix") == (0, "All checks passed!\n", "")


def test_a_repair_as_a_diff(check: Check, tmp_path: Path) -> None:
    status, output, complaint = check("--diff")
    assert (status, complaint) == (1, "")
    assert output.startswith("--- a/main.py\n+++ b/main.py\n@@ ")
    assert (
        "\n-def pause():\n-    time.sleep(1)\n+async def pause():\n+    await asyncio.sleep(1)\n"
        in output
    )
    assert (tmp_path / "main.py").read_text() == PROGRAM


def test_what_is_not_repaired_is_told_and_left(check: Check, tmp_path: Path) -> None:
    program = PROGRAM.replace("def pause():", "class Pause:\n  def __init__(self):").replace(
        "pause()", "Pause()"
    )
    (tmp_path / "main.py").write_text(program)
    status, output, complaint = check("--fix", "--format", "concise")
    assert status == 1
    assert (
        "main.py:6:7: not repaired: `__init__` cannot be a coroutine function: Python calls it\n"
        in complaint
    )
    assert "Other ways: allow nested runs" in complaint
    assert output.endswith("Found 2 problems.\n")
    assert (tmp_path / "main.py").read_text() == program


def test_a_repaired_program_runs(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        PROGRAM.replace("sleep(1)", "sleep(0.01)") + '\n\nasyncio.run(main())\nprint("done")\n'
    )
    check("--fix")
    done = subprocess.run(
        [sys.executable, "-W", "error", "main.py"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
