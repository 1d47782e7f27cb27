"""The public surface: every public name has one home, and static tools see it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest
import soliloop

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
    public = {name for name in vars(soliloop) if not name.startswith("_")}
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


def test_the_package_only_re_exports() -> None:
    """So that static tools see each name, and there is no code to look for."""
    tree = ast.parse(Path(soliloop.__file__).read_text())
    kinds = {type(node) for node in tree.body}
    assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign}
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(soliloop.__all__)


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
    core = soliloop._soliloop.LoopCore
    for name in vars(core):
        if name.startswith("__") or name == "_task_class":
            continue
        owner = next(cls for cls in soliloop.EventLoop.__mro__ if name in vars(cls))
        assert owner in (core, soliloop.EventLoop), name
