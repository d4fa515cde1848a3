"""Coroutines in tests: a test in a browser leaves an event loop running in the thread of all tests."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["run_apart"]

_Result = TypeVar("_Result")


def run_apart(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine on a loop and in a thread of its own, and give what it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
