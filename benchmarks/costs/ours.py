"""Our estimators on the pairs of a pixel, as contestants."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive
from costs.clock import cpu_seconds
from costs.rows import INTERVAL, synthetic_pairs
from itslive_core.gaussian_process.data import PixelData
from itslive_core.gaussian_process.dataset import series_columns
from itslive_core.gaussian_process.fit import Fit, fit_steps, solve_with
from itslive_core.gaussian_process.point import harmonics_of
from itslive_core.inversion.point import use_pairs
from itslive_core.inversion.prepare import solve_pixels
from itslive_core.observations.batches import Observations
from itslive_core.observations.missions import mission_numbers
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OURS", "contestant", "load", "prepared"]

_GIVEN = itslive.InversionSettings(
    smoothing=10.0, interval=INTERVAL, weights="none", robust=False, outliers="none", uncertainty=False
)
"""The objective with lambda given, and nothing learnt."""
_WITH_STD = replace(_GIVEN, uncertainty=True)
_DEFAULTS = itslive.InversionSettings(interval=INTERVAL)
_PROCESS = itslive.GaussianProcessSettings(interval=INTERVAL)
_MEDIAN = itslive.MovingMedianSettings(interval=INTERVAL)
_FEW = 1000


def _data_of(pairs: itslive.ImagePairs) -> PixelData:
    return PixelData.make(
        pairs.start,
        pairs.end,
        pairs.vx,
        pairs.vy,
        pairs.vx_error,
        pairs.vy_error,
        mission_numbers(pairs.mission),
    )


@cache
def _learnt(pairs: itslive.ImagePairs) -> Fit:
    """Learn hyperparameters, which is not timed."""
    *_, fit = fit_steps(
        _data_of(pairs),
        INTERVAL,
        trend=True,
        harmonics=harmonics_of(_PROCESS),
        offsets=True,
        quick=False,
    )
    return fit


@cache
def _arranged(pairs: itslive.ImagePairs) -> tuple[SharedPairs, Observations]:
    """Put pairs in order on their time grid, which is not timed."""
    used = use_pairs(pairs, _WITH_STD).in_order()
    grid = TimeGrid.covering(used.start, used.end, INTERVAL)
    shared = SharedPairs.make(used, np.ones(len(used), dtype=bool), grid)
    return shared, Observations.at_point(used.vx, used.vy)


def _posterior(data: PixelData, pairs: itslive.ImagePairs) -> None:
    """Give mean and standard deviation of both components with what was learnt of these pairs before."""
    known = _learnt(pairs)
    fit = solve_with(data, known.grid, known.shape, known.values, known.offsets, trust=known.trust, turns=0)
    series_columns(fit, known.grid.size)


OURS: dict[str, Callable[[itslive.ImagePairs], object]] = {
    "inversion, λ given": lambda pairs: itslive.invert(pairs, _GIVEN),
    "inversion, λ given, with std": lambda pairs: itslive.invert(pairs, _WITH_STD),
    "inversion, λ given, with std, algebra alone": lambda pairs: solve_pixels(*_arranged(pairs), _WITH_STD),
    "inversion, every default": lambda pairs: itslive.invert(pairs, _DEFAULTS),
    "Gaussian process, given, with std": lambda pairs: _posterior(_data_of(pairs), pairs),
    "Gaussian process, given, with std, algebra alone": lambda pairs: _posterior(_learnt(pairs).data, pairs),
    "Gaussian process, learnt": lambda pairs: itslive.fit_gaussian_process(pairs, _PROCESS),
    "moving median": lambda pairs: itslive.fit_moving_median(pairs, _MEDIAN),
    "season": itslive.fit_season,
}
"""What is timed, by name: both components, from pairs to a dataset, but for the algebra alone."""

_WITH_GIVEN = tuple(
    name for name in OURS if "algebra alone" in name or name.startswith("Gaussian process, given")
)


def load() -> None:
    """Compile or load the kernels of all of `OURS`."""
    few = synthetic_pairs(_FEW)
    for run in OURS.values():
        run(few)


def contestant(name: str, pairs: itslive.ImagePairs) -> Callable[[], float]:
    """Make what runs one of `OURS` once and tells its CPU seconds."""
    if name in _WITH_GIVEN:
        OURS[name](pairs)  # what is given to it is made
    return lambda: cpu_seconds(lambda: OURS[name](pairs))


def prepared(name: str, n: int) -> Callable[[], None]:
    """Draw n pairs and load kernels; returns what runs one of `OURS` on them."""
    few, pairs = synthetic_pairs(_FEW), synthetic_pairs(n)
    OURS[name](few)

    def run() -> None:
        OURS[name](pairs)

    return run
