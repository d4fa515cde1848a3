"""A profile while it is made: a first look at all points, then each as it is asked for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import ItsliveError, SelectionError
from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.plan import available_workers
from itslive_core.jobs.points import at_stations, work_at_a_point
from itslive_core.jobs.profiles import ProfileTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.series.stations import StationResult
    from itslive_core.settings import Settings

__all__ = ["ProfileStep", "profile_steps"]

_EVERY = 0.4
"""Shortest time between two steps [s]."""


@dataclass(frozen=True, eq=False)
class ProfileStep:
    """How far a profile is.

    Parameters
    ----------
    dataset : xarray.Dataset
        As `itslive_core.profile` returns it; points that are not there yet are NaN.
    refined : ndarray of bool, shape (distance,)
        False where there is a first look, or nothing yet.
    looked, done, total : int
        Points that were looked at, that are as they were asked for, and all.
    """

    dataset: xr.Dataset
    refined: NDArray[np.bool_]
    looked: int
    done: int
    total: int

    @property
    def complete(self) -> bool:
        """Nothing is to come."""
        return self.done == self.total


def profile_steps(
    cubes: Datacube | Sequence[Datacube],
    line: Any,
    settings: Settings | None = None,
    *,
    spacing: float | None = None,
    selection: PairSelection | None = None,
    rgi_id: str | None = None,
    workers: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    every: float = _EVERY,
) -> Iterator[ProfileStep]:
    """Estimate the series along a line, and give them as they come.

    Where the smoothing is chosen from the data, which takes ten times as long as the rest, there is a first
    look at all points: the formal errors, and everywhere the lambda that the first of them chooses. After it,
    each point is estimated as it was asked for. The pairs of all points are in memory for that.

    Parameters
    ----------
    cubes, line, settings, spacing, selection, rgi_id, workers
        As for `itslive_core.profile`.
    should_stop : callable, optional
        Asked between pixels; once true, the iteration ends with what is there.
    every : float
        Shortest time between two steps [s].

    Yields
    ------
    ProfileStep
        The last one holds what `itslive_core.profile` returns, unless it was stopped.

    Raises
    ------
    SelectionError
        If no point has a series.
    ItsliveError
        If the line cannot be read.
    """
    task = ProfileTask.of(cubes, line, settings, spacing, selection, rgi_id)
    total = len(task.stations)
    stop = should_stop or (lambda: False)
    look = _Look(task.settings, selection) if _takes_long(task.settings) else None
    found: dict[int, StationResult] = {}
    refined = np.zeros(total, dtype=bool)
    kept: dict[int, tuple[ImagePairs, list[int]]] = {}
    told = time.monotonic()

    def step(*, last: bool = False) -> Iterator[ProfileStep]:
        nonlocal told
        if not last and time.monotonic() - told < every:
            return
        results = [found[number] for number in sorted(found)]
        if any(one.error is None for one in results):
            yield ProfileStep(task.dataset(results), refined.copy(), len(found), int(refined.sum()), total)
        elif last and results:
            task.dataset(results)  # says why there is none
        told = time.monotonic()

    def given() -> Iterator[StationResult]:
        work = task.work if look is None else look
        return at_stations(task.cubes, task.stations, work, workers=workers, should_stop=stop)

    for result in given():
        if look is not None and result.error is None:
            pairs, series = result.value
            kept.setdefault(id(pairs), (pairs, []))[1].append(result.number)
            result = replace(result, value=series)  # the same, without its pairs
        else:
            refined[result.number] = True
        found[result.number] = result
        yield from step()
    if kept and not stop():
        yield from step(last=True)
        with ThreadPoolExecutor(max(1, workers or available_workers(task.cubes))) as pool:
            futures = {pool.submit(_unless(stop, task.work), pairs): rows for pairs, rows in kept.values()}
            kept.clear()
            try:
                for future in as_completed(futures):
                    if stop():
                        break
                    for number in futures[future]:
                        found[number] = _outcome(found[number], future)
                        refined[number] = True
                    yield from step()
            finally:
                for future in futures:
                    future.cancel()
    yield from step(last=True)


class _Look:
    """Looks at the pairs of a point; the first one tells the others which lambda to take."""

    def __init__(self, settings: Settings, selection: PairSelection | None) -> None:
        assert isinstance(settings, InversionSettings)
        self._settings, self._selection = settings, selection
        self._lock = threading.Lock()
        self._smoothing: float | None = None

    def __call__(self, pairs: ImagePairs) -> tuple[ImagePairs, xr.Dataset]:
        """Give the pairs, and a series of them."""
        return pairs, work_at_a_point("series", self._quick(pairs), self._selection)(pairs)

    def _quick(self, pairs: ImagePairs) -> InversionSettings:
        with self._lock:
            if self._smoothing is None:
                first = work_at_a_point("series", self._settings, self._selection)(pairs)
                self._smoothing = float(first.attrs["smoothing_used"])
            return replace(
                self._settings,
                smoothing=self._smoothing,
                noise="auto",
                offsets="auto",
                smoothing_in_time="auto",
            )


def _takes_long(settings: Settings) -> bool:
    """Whether a first look is worth it."""
    return isinstance(settings, InversionSettings) and isinstance(settings.smoothing, str)


def _unless(stop: Callable[[], bool], work: Callable[[ImagePairs], Any]) -> Callable[[ImagePairs], Any]:
    def act(pairs: ImagePairs) -> Any:
        return None if stop() else work(pairs)

    return act


def _outcome(before: StationResult, future: Any) -> StationResult:
    """Give the result of a point after its second estimate."""
    error = future.exception()
    if error is None:
        return before if future.result() is None else replace(before, value=future.result())
    if not isinstance(error, ItsliveError):
        raise error
    words = f"{before.station}: {error}"
    return replace(before, value=None, error=words, empty=isinstance(error, SelectionError))
