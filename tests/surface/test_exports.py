"""The public surface: every public name has one home, and static tools see it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import soliloop
from soliloop._soliloop import LoopCore

PUBLIC_MODULES = {"compat", "nest"}
"""Beside the package itself."""


def private_modules() -> list[ModuleType]:
    names = [info.name for info in pkgutil.iter_modules(soliloop.__path__)]
    return [
        importlib.import_module(f"soliloop.{name}")
        for name in names
        if name.startswith("_") and name != "__main__"
    ]


def test_all_is_sorted_and_holds_every_public_name() -> None:
    assert sorted(soliloop.__all__) == soliloop.__all__
    public = {name for name in dir(soliloop) if not name.startswith("_")}
    assert public - PUBLIC_MODULES == set(soliloop.__all__) - PUBLIC_MODULES


@pytest.mark.parametrize("name", soliloop.__all__)
def test_a_public_name_has_one_home(name: str) -> None:
    thing = getattr(soliloop, name)
    if isinstance(thing, ModuleType):
        assert thing.__name__ == f"soliloop.{name}"
        return
    homes = [
        module.__name__
        for module in private_modules()
        if vars(module).get(name) is thing and thing.__module__ == module.__name__
    ]
    assert homes == [thing.__module__]
    assert thing.__module__.startswith("soliloop._")
    assert thing.__qualname__ == name
    assert thing.__doc__


def test_static_tools_see_each_name() -> None:
    """What a type checker reads and what is imported at a name's first use are the same."""
    tree = ast.parse(Path(soliloop.__file__).read_text())
    (static,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {}
    for node in static.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, "so that it is exported"
            homes[alias.name] = node.module
    assert homes.pop("nest") == "soliloop"
    assert homes | {"nest": "soliloop.nest"} == soliloop._HOMES


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("name", soliloop.__all__)
def test_any_name_may_be_the_first_that_is_used(name: str) -> None:
    code = f"import soliloop; assert {name!r} in dir(soliloop); print({name!r} in vars(soliloop), end=' '); "
    assert run_python(code + f"print(soliloop.{name} is soliloop.{name})") == "False True"
    run_python(f"from soliloop import {name}")


def test_the_first_use_may_be_at_the_end_of_the_interpreter() -> None:
    code = """\
import asyncio, atexit, soliloop, threading
async def main():
    print(await asyncio.sleep(0, "ran"))
atexit.register(lambda: soliloop.run(main()))
"""
    assert run_python(code) == "ran"


def test_a_star_imports_every_name() -> None:
    code = "from soliloop import *; import soliloop; assert set(soliloop.__all__) <= set(dir())"
    assert run_python(code) == ""


def test_a_module_by_its_name() -> None:
    assert run_python("import soliloop.nest; print(soliloop.nest.__name__)") == "soliloop.nest"


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="module 'soliloop' has no attribute 'runn'"):
        _ = soliloop.runn  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'runn' from 'soliloop'"):
        exec("from soliloop import runn")


def test_the_package_is_typed() -> None:
    assert (Path(soliloop.__file__).parent / "py.typed").exists()
    assert (Path(soliloop.__file__).parent / "_soliloop.pyi").exists()


def test_every_method_of_a_loop_is_there() -> None:
    import asyncio

    abstract = {name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_")}
    missing = [
        name
        for name in abstract
        if getattr(soliloop.EventLoop, name) is getattr(asyncio.AbstractEventLoop, name)
    ]
    assert missing == []


def test_methods_of_the_core_come_first() -> None:
    """What runs per event is the core's: asyncio's twin of the same name would see none of its state."""
    for name in vars(LoopCore):
        if name.startswith("__") or name == "_task_class":
            continue
        owner = next(cls for cls in soliloop.EventLoop.__mro__ if name in vars(cls))
        assert owner in (LoopCore, soliloop.EventLoop), name
