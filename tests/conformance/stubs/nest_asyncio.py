"""Stands in for the package `nest_asyncio` in its own tests: nested runs are soliloop's."""

from soliloop.nest import apply

__all__ = ["apply"]
