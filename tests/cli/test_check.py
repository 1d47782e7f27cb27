"""The command ``soliloop check``: what it reads, what it says, and its exit status. What rules find is tested in Rust."""

from __future__ import annotations

import asyncio
import json
import os
import socket
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


def test_it_starts_without_what_it_does_not_need() -> None:
    """To import asyncio takes several times as long as a check; argparse, typing or re, as long as one."""
    code = """\
import sys
before = set(sys.modules)
from soliloop.__main__ import main
try:
    main(["check", "--explain", "SL001"])
finally:
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("# nested-run (SL001)")
    imported = done.stderr.split()
    ours = [name for name in imported if name.startswith("soliloop")]
    assert ours == ["soliloop", "soliloop.__main__", "soliloop._check"]
    assert not {"argparse", "asyncio", "inspect", "re", "ssl", "typing"} & set(imported)


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
        (
            "[tool.soliloop.check]\nselct = []\n",
            "pyproject.toml: [tool.soliloop.check]: unknown setting `selct`: did you mean `select`?",
        ),
        (
            "[tool.soliloop.check]\nzzz = 1\n",
            "unknown setting `zzz`: there are select, extend-select",
        ),
        ('[tool.soliloop.check]\nextend = "none.toml"\n', "none.toml: No such file"),
        (
            '[tool.soliloop.check]\nextend = "pyproject.toml"\n',
            "one file extends the other in a ring",
        ),
        ("[tool.soliloop]\ncheck = 1\n", "[tool.soliloop.check]: is no table"),
        (
            '[tool.soliloop.check]\nselect = ["XY001"]\n',
            "unknown rule `XY001`: rules are SL001 to SL015",
        ),
        ('[tool.soliloop.check]\nselect = "SL001"\n', "`select`: invalid type: string"),
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


def test_settings_that_extend_others(check: Check, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        '[tool.soliloop.check]\nselect = ["SL001"]\nexclude = ["main.py"]\n'
    )
    settings(tmp_path, '[tool.soliloop.check]\nextend = "base.toml"\nselect = ["SL002"]\n')
    (tmp_path / "more.py").write_text(PROGRAM)
    assert {finding["path"] for finding in findings(check)} == {"more.py"}


def test_more_is_selected(check: Check, tmp_path: Path) -> None:
    settings(tmp_path, '[tool.soliloop.check]\nselect = ["SL001"]\nextend-select = ["SL002"]\n')
    assert len(findings(check)) == 2
    settings(tmp_path, '[tool.soliloop.check]\nignore = ["SL002"]\n')
    assert len(findings(check, "--extend-select", "SL002")) == 2
    assert findings(check, "--extend-select", "SL002", "--extend-ignore", "SL002") == []


@pytest.mark.parametrize("inside", [True, False])
def test_patterns_are_told_from_the_project(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "tests/slow.py").write_text(PROGRAM)
    (project / "tests/left_out.py").write_text(PROGRAM)
    settings(
        project,
        '[tool.soliloop.check]\nexclude = ["tests/left_out.py"]\n'
        '[tool.soliloop.check.per-file-ignores]\n"tests/slow.py" = ["SL002"]\n',
    )
    if inside:
        monkeypatch.chdir(project / "tests")
        assert findings(check) == []
    else:
        assert findings(check, "project") == []


def test_settings_of_another_file(check: Check, tmp_path: Path) -> None:
    (tmp_path / "ci.toml").write_text('[tool.soliloop.check]\nignore = ["SL002"]\n')
    assert findings(check, "--config", "ci.toml") == []


# ------------------------------------------------------------------------- cache


def packs(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.glob("check-*/*")) if path.is_file()}


def test_the_cache(check: Check, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/other.py").write_text(PROGRAM)
    first = check()
    folder = tmp_path / ".soliloop_cache"
    assert (folder / ".gitignore").read_text().endswith("*\n")
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: ")
    assert any(b"other.py" in content for content in packs(folder).values())
    assert check() == first
    # An edit.
    (tmp_path / "main.py").write_text(PROGRAM.replace("pause()\n    pause()", "pass"))
    assert {finding["line"] for finding in findings(check) if finding["path"] == "main.py"} == {20}
    # Whatever is damaged is not there.
    for path, content in packs(folder).items():
        for damaged in (b"", content[:-7], content[:20], content[:-1] + bytes([content[-1] ^ 1])):
            path.write_bytes(damaged)
            (tmp_path / "main.py").write_text(PROGRAM)
            assert check() == first
    # What is gone is forgotten.
    (tmp_path / "more/other.py").unlink()
    (tmp_path / "more").rmdir()
    (tmp_path / "main.py").write_text(PROGRAM + "\n")
    check()
    assert not any(b"other.py" in content for content in packs(folder).values())
    assert not list(folder.glob("check-*/*.new"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import time", "import time  # to sleep\n\n"),
        ("def pause", "\n\ndef pause"),
        ("    pause()\n    pause()", "    pause( )\n\n    pause()"),
        ("time.sleep(1)", "time.sleep(2)"),
        ("time.sleep(1)", "time.sleep(1)  # noqa"),
        ("time.sleep(1)", "pass"),
        ("    twice()", "    twice(); pause()"),
        ("import time", "import time as time"),
    ],
)
def test_an_edit_has_the_answer_of_a_first_run(
    check: Check, tmp_path: Path, old: str, new: str
) -> None:
    check()
    (tmp_path / "main.py").write_text(PROGRAM.replace(old, new))
    assert check() == check("--no-cache")
    (tmp_path / "main.py").write_text("\n" + PROGRAM.replace(old, new))
    assert check() == check("--no-cache")


def test_no_cache(check: Check, tmp_path: Path) -> None:
    first = check("--no-cache")
    assert not (tmp_path / ".soliloop_cache").exists()
    assert check("--cache-dir", "elsewhere") == first
    assert packs(tmp_path / "elsewhere")
    settings(tmp_path, '[tool.soliloop.check]\ncache-dir = "kept"\n')
    assert check() == first
    assert packs(tmp_path / "kept")
    # A folder that cannot be made: a file is in its way.
    (tmp_path / "file").write_text("")
    assert check("--cache-dir", "file/cache") == first


def test_two_runs_at_a_time(check: Check, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"file{number}.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "soliloop", "check", "--format", "concise"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {run.communicate()[0] for run in runs}
    assert said == {check("--format", "concise", "--no-cache")[1]}
    assert check("--format", "concise")[1] in said


def test_settings_are_part_of_what_is_kept(check: Check, tmp_path: Path) -> None:
    assert len(findings(check)) == 2
    settings(tmp_path, '[tool.soliloop.check]\nignore = ["SL002"]\n')
    assert findings(check) == []
    assert len(findings(check, "--select", "SL", "--isolated")) == 2


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


def test_what_is_no_file(check: Check, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.py/inner.py").write_text(PROGRAM)
    os.mkfifo(tmp_path / "pipe.py")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.py")
        (tmp_path / "self.py").symlink_to("self.py")
        assert {finding["path"] for finding in findings(check)} == {"main.py", "folder.py/inner.py"}
        for path in ("pipe.py", "socket.py"):
            assert check(path)[::2] == (
                2,
                f"soliloop check: {path}: neither a file nor a folder\n",
            )


def test_other_encodings(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(b"\xef\xbb\xbf" + PROGRAM.encode())
    (tmp_path / "declared.py").write_bytes(b"#!python\n# -*- coding: latin-1 -*-\nx = '\xe4'\n")
    (tmp_path / "wide.py").write_text(PROGRAM, encoding="utf-16")
    assert problems(check) == {
        "declared.py": "is latin-1, not UTF-8: from byte 40 on",
        "wide.py": "is UTF-16, not UTF-8",
    }
    # The mark at the beginning is no part of the program.
    assert [finding["line"] for finding in findings(check)] == [16, 21]


@pytest.mark.parametrize(
    "code",
    [
        "".join(f"{' ' * depth}if x:\n" for depth in range(2000)) + " " * 2000 + "pass\n",
        "x = " + "lambda: " * 5000 + "1\n",
        "x = a" + ".b()" * 5000 + "\n",
        "x = a" + "()" * 1_000_000 + "\n",
        "x = 1" + " + 1" * 5000 + "\n",
        "x = 1" + "@1" * 1_000_000 + "\n",
        "if a:\n    pass\n" + "elif a:\n    pass\n" * 5000,
        "x = (" + "'a' +\n" * 100_000 + "'')\n",
        "def f(x: '" + "A[" * 10_000 + "'): pass\n",
        "class A0: pass\nclass B0: pass\n"
        + "".join(
            f"class A{n}(A{n - 1}, B{n - 1}): pass\nclass B{n}(A{n - 1}, B{n - 1}): pass\n"
            for n in range(1, 80)
        ),
        "class A(B): pass\nclass B(A): pass\nA = 'B | int'\nB = 'A | str'\ndef f(x: A): x.go()\n",
        "def f0(x): x()\n"
        + "".join(f"def f{n}(x): f{n - 1}(x), f{n - 1}(f{n - 1})\n" for n in range(1, 60)),
    ],
    ids=lambda code: code[:12],
)
def test_programs_that_go_deep(check: Check, tmp_path: Path, code: str) -> None:
    (tmp_path / "deep.py").write_text(code)
    assert [finding["path"] for finding in findings(check)] == ["main.py"] * 2
    # However much there is of it, it is not read again and again.
    assert [finding["path"] for finding in findings(check)] == ["main.py"] * 2


def test_a_program_on_standard_input(check: Check, tmp_path: Path) -> None:
    def piped(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "soliloop", "check", "-", *words]
        return subprocess.run(command, input=PROGRAM, capture_output=True, text=True)

    said = piped("--stdin-filename", "given.py", "--format", "concise")
    assert said.stdout.startswith("given.py:16:5: SL002 ")
    assert said.returncode == 1
    said = piped("--fix")
    assert said.stdout.count("await pause()") == 3
    assert "Repaired 1 file." in said.stderr


# ------------------------------------------------------------------------ output


def test_colours(check: Check) -> None:
    assert "\x1b[" not in check()[1]
    assert "\x1b[1;31mSL002\x1b[0m" in check("--color", "always")[1]


def test_a_pipe_that_is_closed(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import time\n" + "async def f():\n    time.sleep(1)\n" * 2000
    )
    command = f"'{sys.executable}' -m soliloop check --format json | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_calls_that_are_not_followed(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "class Base:\n    def go(self): pass\n"
        + "".join(f"class C{n}(Base):\n    def go(self): pass\nC{n}()\n" for n in range(20))
        + "def main(base: Base):\n    base.go()\n"
    )
    assert problems(check) == {}
    _, output, _ = check("--strict", "--format", "json")
    (problem,) = json.loads(output)["problems"]
    assert problem == {
        "path": "main.py",
        "line": 64,
        "message": "`go` may be any of 20 functions: this call is not followed",
    }


def test_names_of_files_in_sarif(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").rename(tmp_path / "ein weg.py")
    _, output, _ = check("--format", "sarif")
    (result, _) = json.loads(output)["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "ein%20weg.py"


def test_the_hook_for_pre_commit() -> None:
    text = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text()
    for line in ("- id: soliloop-check", "  entry: soliloop check", "  language: python"):
        assert line in text.splitlines()


# ----------------------------------------------------------------------- repairs


def test_json_says_what_can_be_repaired(check: Check, tmp_path: Path) -> None:
    _, output, _ = check("--diff", "--format", "json")
    fixes = [finding["fix"] for finding in json.loads(output)["findings"]]
    assert [fix["paths"] for fix in fixes] == [["main.py"], ["main.py"]]
    assert all("fix" not in finding for finding in findings(check))
    assert (tmp_path / "main.py").read_text() == PROGRAM


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
        "main.py:6:7: not repaired: `main.Pause.__init__`: `__init__` cannot be a coroutine function: Python calls it\n"
        in complaint
    )
    assert "Other ways: hand the first function on the way to a thread: " in complaint
    assert output.endswith("Found 2 problems.\n")
    assert (tmp_path / "main.py").read_text() == program
    for way in ("--fix", "--diff"):
        told = json.loads(check(way, "--format", "json")[1])
        [refusal] = told["refusals"]
        assert refusal["functions"] == ["main.Pause.__init__"]
        assert (refusal["line"], refusal["column"]) == (6, 7)
        assert refusal["reason"].startswith("`__init__` cannot be a coroutine function")
        assert f"Other ways: {told['other_ways']}.\n" in complaint


def test_callers_outside_any_loop_stay_as_they_are(check: Check, tmp_path: Path) -> None:
    program = PROGRAM + '\n\nif __name__ == "__main__":\n    pause()\n'
    plain = (
        "\n\ndef pause():\n    return asyncio.run(pause_async())\n\n\nasync def pause_async():\n"
    )
    settings = tmp_path / "pyproject.toml"
    for words, table in (((), 'sync-callers = "wrapper"'), (("--sync-callers", "wrapper"), "")):
        (tmp_path / "main.py").write_text(program)
        settings.write_text(f"[tool.soliloop.check]\n{table}\n")
        assert check("--fix", *words)[0] == 0
        text = (tmp_path / "main.py").read_text()
        assert plain in text
        assert text.endswith("\n    pause()\n")
        assert text.count("await pause_async()") == 3
    settings.write_text('[tool.soliloop.check]\nsync-callers = "none"\n')
    status, _, complaint = check()
    assert status == 2
    assert "`sync-callers`: unknown variant `none`, expected `run` or `wrapper`" in complaint


def test_a_repaired_program_runs(check: Check, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        PROGRAM.replace("sleep(1)", "sleep(0.01)") + '\n\nasyncio.run(main())\nprint("done")\n'
    )
    check("--fix")
    done = subprocess.run(
        [sys.executable, "-W", "error", "main.py"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


NESTED = """\
import asyncio


async def A():
    await asyncio.sleep(0)
    B()


def B():
    loop = asyncio.get_running_loop()
    loop.run_until_complete(loop.create_future())
"""


def test_the_loop_refuses_a_nested_run_in_the_words_of_the_checker(
    check: Check, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(NESTED)
    [found] = findings(check)
    program: dict[str, Any] = {"__name__": "main"}
    exec(compile(NESTED, "main.py", "exec"), program)
    with (
        asyncio.Runner(loop_factory=soliloop.new_event_loop) as runner,
        pytest.raises(RuntimeError) as refused,
    ):
        runner.run(program["A"]())
    story, _, ways_out = str(refused.value).partition(" Either ")
    assert story.startswith("This event loop is already running: ")
    assert found["message"].endswith(": this event loop is already running")
    assert ways_out == found["help"].replace("`", "").replace("; --fix does", "")
