"""The classes that asyncio's stream readers and writers get when their transport is ours: the methods are the core's."""

from __future__ import annotations

import asyncio
from typing import Any


class StreamReader(asyncio.StreamReader):
    """An ``asyncio.StreamReader`` whose data is in the core."""

    __slots__ = ()

    _native: Any

    # asyncio's own attributes, for whoever looks at them.

    @property
    def _buffer(self) -> bytearray:
        return bytearray(self._native.buffered())

    @property
    def _eof(self) -> bool:
        return bool(self._native.is_at_end())

    @property
    def _exception(self) -> BaseException | None:
        return self.exception()


class StreamWriter(asyncio.StreamWriter):
    """An ``asyncio.StreamWriter`` without a Python frame per call."""

    __slots__ = ()
