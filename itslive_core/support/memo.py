"""Results that are made once and kept, however many ask at the same time."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Memo"]


class Memo:
    """Keeps the results of the last keys that were asked for; thread-safe.

    A copy, and what another process gets, begins empty.

    Parameters
    ----------
    limit : int
        Number of results to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()
        self._making: dict[Hashable, Lock] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without what is kept."""
        return type(self), (self._limit,)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Give the result of a key, made by whoever asks first; others wait for it.

        Parameters
        ----------
        key : hashable
        make : callable
            Makes it; what it raises is passed on and nothing is kept.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                made = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > self._limit:
                    self._kept.popitem(last=False)
            return made
