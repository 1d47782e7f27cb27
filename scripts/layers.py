"""Checks what CONTRIBUTING asks of the layers, so that no reviewer has to.

Which crate depends on which, where unsafe code may stand, what the Python modules may import, that
every file opens with a header, and how long files are. A check returns its problems, each with its
file. It reads source text and `cargo tree`; it imports and builds nothing.
"""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

Problems = list[str]


def main() -> int:
    """Runs every check and returns the exit status."""
    failed = 0
    for rule, check in CHECKS.items():
        problems = check()
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok  '}  {rule}")
        for problem in problems:
            print(f"      {problem}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


# Crates


def engine_has_no_python() -> Problems:
    return _found_in_tree({"pyo3", "pyo3-ffi"}, "soliloop-engine", "--all-features")


def sys_has_no_python_and_no_engine() -> Problems:
    return _found_in_tree({"pyo3", "pyo3-ffi", "soliloop-engine"}, "soliloop-sys", "--all-features")


def pure_engine_has_no_system() -> Problems:
    banned = {"soliloop-sys", "rustix", "libc", "nix", "mio"}
    return _found_in_tree(banned, "soliloop-engine", "--no-default-features")


def sys_is_reached_through_the_real_world() -> Problems:
    return [
        f"{_name(path)}:{number}: names soliloop_sys; only {REAL_WORLD} may"
        for path in _files("crates/engine/src", ".rs")
        if _name(path) != REAL_WORLD
        for number, line in _code_lines(path)
        if "soliloop_sys" in line
    ]


def checker_has_no_python_and_no_engine() -> Problems:
    banned = {"pyo3", "pyo3-ffi", "soliloop-engine", "soliloop-sys", "rustix"}
    return [
        problem
        for package in ("soliloop-check", "soliloop-cli")
        for problem in _found_in_tree(banned, package)
    ]


def checker_opens_no_file() -> Problems:
    return [
        f"{_name(path)}:{number}: files, folders and streams are for crates/cli"
        for path in _files("crates/check/src", ".rs")
        for number, line in _code_lines(path)
        if re.search(r"\bstd::(fs|env|io|process|thread)\b|\be?print(ln)?!", line)
    ]


def syntax_is_behind_one_module() -> Problems:
    return [
        f"{_name(path)}:{number}: only {SYNTAX} names the parser's crates"
        for path in _files("crates/check/src", ".rs")
        if _name(path) != SYNTAX
        for number, line in _code_lines(path)
        if re.search(r"\bruff_\w+", line)
    ]


def pure_crates_forbid_unsafe() -> Problems:
    paths = [ROOT / f"crates/{crate}/src/lib.rs" for crate in ("engine", "check", "cli")]
    return [
        f"{_name(path)}: lacks #![forbid(unsafe_code)]"
        for path in paths
        if "#![forbid(unsafe_code)]" not in path.read_text()
    ]


def unsafe_has_an_address() -> Problems:
    return [
        f"{_name(path)}:{number}: `unsafe` outside {' and '.join(UNSAFE_HOMES)}"
        for path in _files("crates", ".rs")
        if not _name(path).startswith(UNSAFE_HOMES)
        for number, line in _code_lines(path)
        if re.search(r"\bunsafe\b", line)
    ]


def _found_in_tree(banned: set[str], package: str, *features: str) -> Problems:
    command = ["cargo", "tree", "-p", package, *features, "-e", "normal", "--prefix", "none"]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if tree.returncode:
        return [f"{' '.join(command)}: {tree.stderr.strip()}"]
    found = {line.split()[0] for line in tree.stdout.splitlines() if line}
    return [f"{package} {features}: depends on {name}" for name in sorted(banned & found)]


def _code_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without `//` comments and with string literals emptied."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        yield number, re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]


# The package


def outer_modules_use_public_names() -> Problems:
    public = _public_names()
    return [
        f"{_name(path)}:{line}: {name} is not a public name of soliloop"
        for path in _files("python/soliloop", ".py")
        if _is_outer(_module(path))
        for line, name in _names_used(path)
        if not _is_public(name, public, _module(path))
    ]


def core_never_imports_outer_modules() -> Problems:
    return [
        f"{_name(path)}:{line}: the core imports {name}"
        for path in _files("python/soliloop", ".py")
        if not _is_outer(_module(path))
        for line, name in _names_used(path)
        if _is_outer(name)
    ]


def _is_outer(module: str) -> bool:
    parts = module.split(".")
    return parts[0] == "soliloop" and len(parts) > 1 and parts[1] in OUTER


def _is_public(name: str, public: set[str], user: str) -> bool:
    parts = name.split(".")[1:]
    if parts[0] == PRIVATE_TO.get(user.split(".")[1]):
        return True
    return all(not part.startswith("_") or part.endswith("__") for part in parts) and (
        not parts or parts[0] in public
    )


def _public_names() -> set[str]:
    """The names that the package knows the homes of, and its modules without an underscore."""
    package = ROOT / "python/soliloop"
    names = {path.stem for path in package.iterdir() if not path.name.startswith(("_", "."))}
    for node in ast.parse((package / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_HOMES":
            names |= set(ast.literal_eval(node.value))
    return names | {"__version__", "__all__"}


def _names_used(path: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name below soliloop that a module imports or reads, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, path)
            found = [f"{origin}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            found = [ast.unparse(node)]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.startswith("soliloop."))


def _origin(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = _module(path).split(".")
    keep = len(package) - node.level + (path.name == "__init__.py")
    return ".".join(package[:keep] + ([node.module] if node.module else []))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT / "python").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Files


def every_file_has_a_header() -> Problems:
    rust = [
        f"{_name(path)}: does not open with a `//!` comment"
        for path in _files("crates", ".rs")
        if not path.read_text().lstrip().startswith("//!")
    ]
    python = [
        f"{_name(path)}: has no docstring at its top"
        for path in _files("python", ".py")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    return rust + python


def files_are_short() -> Problems:
    print(f"{'':>6}{'':<12} {'files':>6} {'median':>6} {'p90':>6} {'max':>6}")
    return [
        *_sizes("crates", [path for path in _files("crates", ".rs") if _is_source(path)]),
        *_sizes("python", list(_files("python", ".py"))),
    ]


def _sizes(group: str, paths: list[Path]) -> Problems:
    """Prints a group's row of the table."""
    sizes = sorted((_length(path), _name(path)) for path in paths)
    lengths = [length for length, _ in sizes]
    middle, p90 = median(lengths), lengths[math.ceil(0.9 * len(lengths)) - 1]
    print(
        f"{'':>6}{group:<12} {len(sizes):>6} {middle:>6.0f} {p90:>6} {lengths[-1]:>6}  {sizes[-1][1]}"
    )
    problems = [f"{name}: {n} lines, at most {LONGEST}" for n, name in sizes if n > LONGEST]
    if middle > MEDIAN:
        problems.append(f"{group}: median {middle:.0f} lines, at most {MEDIAN}")
    if p90 > P90:
        longest = ", ".join(name for n, name in sizes if n >= p90)
        problems.append(f"{group}: p90 {p90} lines, at most {P90}: {longest}")
    return problems


def _length(path: Path) -> int:
    """Lines of a file; an inline test module is not counted."""
    text = path.read_text()
    if path.suffix == ".rs":
        text = re.sub(r"(?ms)^#\[cfg\(test\)\]\nmod \w+ \{\n.*?^\}\n", "", text)
    return text.count("\n")


def _is_source(path: Path) -> bool:
    return "/src/" in _name(path) and not re.search(r"/tests?(\.rs|/)", _name(path))


def _files(folder: str, suffix: str) -> Iterator[Path]:
    paths = (ROOT / folder).rglob(f"*{suffix}")
    return (path for path in sorted(paths) if "target" not in path.parts)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


ROOT = Path(__file__).resolve().parent.parent
REAL_WORLD = "crates/engine/src/world/real.rs"
SYNTAX = "crates/check/src/syntax.rs"
UNSAFE_HOMES = ("crates/sys/", "crates/python/src/ffi/")
OUTER = ("compat", "pytest_plugin", "ipython", "__main__", "_command")
PRIVATE_TO = {"compat": "compat", "__main__": "_command"}  # what an outer module has for itself
MEDIAN, P90, LONGEST = 200, 500, 800
CHECKS: dict[str, Callable[[], Problems]] = {
    "the engine does not know Python": engine_has_no_python,
    "the system wrappers know neither Python nor the engine": sys_has_no_python_and_no_engine,
    "the engine without `real` does not know the system": pure_engine_has_no_system,
    "the engine reaches the system through its real world only": sys_is_reached_through_the_real_world,
    "the checker knows neither Python nor the engine": checker_has_no_python_and_no_engine,
    "the checker opens no file and prints nothing": checker_opens_no_file,
    "one module of the checker knows the parser": syntax_is_behind_one_module,
    "the engine and the checker forbid unsafe code": pure_crates_forbid_unsafe,
    "unsafe code has an address": unsafe_has_an_address,
    "outer modules use the package's public names": outer_modules_use_public_names,
    "the core does not import outer modules": core_never_imports_outer_modules,
    "every file opens with a header": every_file_has_a_header,
    f"files are short (median {MEDIAN}, p90 {P90}, longest {LONGEST})": files_are_short,
}

if __name__ == "__main__":
    sys.exit(main())
