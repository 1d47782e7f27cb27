"""CPython's private names: every one that soliloop uses exists on this Python, or fails here by its name."""

from __future__ import annotations

import importlib
import sys

import pytest
from soliloop._soliloop import CPYTHON_PRIVATE_NAMES

MINOR = sys.version_info.minor


def resolve(dotted: str) -> object:
    """The object that a dotted name stands for: modules first, attributes then."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            thing = getattr(thing, part)
        return thing
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize(
    "name", [name for name, first, last in CPYTHON_PRIVATE_NAMES if first <= MINOR <= last]
)
def test_it_exists(name: str) -> None:
    resolve(name)


@pytest.mark.parametrize(("name", "first", "last"), CPYTHON_PRIVATE_NAMES)
def test_its_row_makes_sense(name: str, first: int, last: int) -> None:
    assert 11 <= first <= last <= 14


def test_no_row_stands_twice() -> None:
    names = [name for name, *_ in CPYTHON_PRIVATE_NAMES]
    assert sorted(set(names)) == sorted(names)
