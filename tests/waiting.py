"""How tests wait: for a condition, and in one place, so that one variable fits them to a slow machine.

No test asserts how long something takes. What has a time limit has it only so that a test which will never
succeed ends; ``ITSLIVE_TEST_PATIENCE`` multiplies every such limit.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["milliseconds", "seconds", "until"]

_PATIENCE = float(os.environ.get("ITSLIVE_TEST_PATIENCE", "4"))


def seconds(usual: float) -> float:
    """Seconds to wait for something that usually takes less than so many."""
    return usual * _PATIENCE


def milliseconds(usual: float) -> float:
    """The same in milliseconds, of seconds, as a browser wants it."""
    return 1000.0 * seconds(usual)


def until(
    condition: Callable[[], object],
    *,
    usual: float = 30.0,
    between: Callable[[], object] = lambda: time.sleep(0.01),
    what: Callable[[], object] | str = "",
) -> None:
    """Wait until something is true.

    Parameters
    ----------
    condition
        Asked again and again.
    usual
        It is true within so many seconds on a fast machine.
    between
        Called between two questions: what drives the thing waited for, or a pause.
    what
        What did not happen, for the message; or who tells.
    """
    end = time.monotonic() + seconds(usual)
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(
                f"did not happen within {seconds(usual):.0f} s: {what() if callable(what) else what}"
            )
        between()
