"""Stopping work that is under way: whoever starts it says who is asked, and long loops ask now and then.

What is asked travels with the context of a thread, not through the arguments of every function between the
job and its innermost loop. Threads that help with a piece of work get it by `map_in_threads`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["StoppedError", "check_stop", "map_in_threads", "stoppable"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_ASKED: ContextVar[Callable[[], bool] | None] = ContextVar("itslive-should-stop", default=None)


class StoppedError(BaseException):
    """The work was given up because it is to stop.

    No `Exception`: whoever turns what goes wrong into a sentence has nothing to tell here.
    """


@contextmanager
def stoppable(should_stop: Callable[[], bool] | None) -> Iterator[None]:
    """Let the work of this context be stopped.

    Parameters
    ----------
    should_stop : callable or None
        Asked often, by any thread at work: it must be cheap. None leaves it to whoever was asked before.
    """
    if should_stop is None:
        yield
        return
    token = _ASKED.set(should_stop)
    try:
        yield
    finally:
        _ASKED.reset(token)


def check_stop() -> None:
    """Give up what is being done if it is to stop; costs less than a microsecond.

    Raises
    ------
    StoppedError
        If `stoppable` was told so.
    """
    asked = _ASKED.get()
    if asked is not None and asked():
        raise StoppedError


def map_in_threads(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> list[_R]:
    """Map by several threads, which can be stopped as this one can.

    Raises
    ------
    StoppedError
        If the work is to stop.
    """
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(copy_context().run, work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
