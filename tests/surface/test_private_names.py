"""CPython's private names: every one that soliloop uses exists on this Python, or fails here by its name."""

from __future__ import annotations

import ast
import asyncio
import importlib
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from soliloop._soliloop import CPYTHON_PRIVATE_NAMES

MINOR = sys.version_info.minor


ROOT = Path(__file__).parents[2]
ROWS = {part for name, *_ in CPYTHON_PRIVATE_NAMES for part in name.split(".")}
PRIVATE_NAME = r"_[a-zA-Z]\w*"
# Names of our own that asyncio happens to have as well.
OURS = {"_incoming", "_name", "_outgoing", "_poll", "_start", "_thread", "_watcher"}


def exists(dotted: str) -> bool:
    """Whether a dotted name stands for something: modules first, attributes then; of an instance, at the end."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:-1]:
            thing = getattr(thing, part)
        return hasattr(thing, parts[-1]) or is_attribute_of_instances(thing, parts[-1])
    raise ModuleNotFoundError(dotted)


def is_attribute_of_instances(kind: type, name: str) -> bool:
    functions = (thing for cls in kind.__mro__ for thing in vars(cls).values())
    return any(name in code.co_names for thing in functions if (code := code_of(thing)))


def code_of(thing: object) -> CodeType | None:
    return getattr(thing, "__code__", None)


def names_in_use() -> Iterator[str]:
    """The private names in the sources: attributes, methods, strings."""
    for file in (ROOT / "python/soliloop").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Attribute(attr=name) | ast.FunctionDef(name=name):
                    yield name
                case ast.AsyncFunctionDef(name=name) | ast.Constant(value=str(name)):
                    yield name
    for file in (ROOT / "crates/python/src").rglob("*.rs"):
        if file.name != "names.rs":
            yield from re.findall(rf'(?:"|fn )({PRIVATE_NAME})', file.read_text())


@pytest.mark.parametrize(
    "name", [name for name, first, last in CPYTHON_PRIVATE_NAMES if first <= MINOR <= last]
)
def test_it_exists(name: str) -> None:
    assert exists(name)


def test_a_name_that_is_gone_is_noticed() -> None:
    assert not exists("asyncio.sslproto.SSLProtocol._does_not_exist")
    with pytest.raises(ModuleNotFoundError):
        exists("no_such_module._name")


def test_every_name_in_use_has_a_row() -> None:
    """A name in our sources that asyncio's or socket's have too is theirs, and so in the table."""
    assert asyncio.__file__
    theirs = {
        name
        for file in [*Path(asyncio.__file__).parent.glob("*.py"), Path(socket.__file__)]
        for name in re.findall(rf"\b{PRIVATE_NAME}", file.read_text())
    }
    in_use = {name for name in names_in_use() if re.fullmatch(PRIVATE_NAME, name)}
    assert sorted((in_use & theirs) - ROWS - OURS) == []


@pytest.mark.parametrize(("name", "first", "last"), CPYTHON_PRIVATE_NAMES)
def test_its_row_makes_sense(name: str, first: int, last: int) -> None:
    assert 11 <= first <= last <= 14


def test_no_row_stands_twice() -> None:
    names = [name for name, *_ in CPYTHON_PRIVATE_NAMES]
    assert sorted(set(names)) == sorted(names)
