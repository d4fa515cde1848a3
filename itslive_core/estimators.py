"""The estimators that there are."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from itslive_core.estimator import Estimator
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = ["ESTIMATORS", "all_estimators", "calendar_means", "estimator", "estimator_of"]

ESTIMATORS = {
    "inversion": "itslive_core.inversion.door.Inversion",
    "gaussian_process": "itslive_core.gaussian_process.door.GaussianProcess",
    "moving_median": "itslive_core.moving_median.door.MovingMedian",
}
"""Where the door of each is; the first is the default."""


@cache
def estimator(name: str) -> Estimator:
    """Return an estimator by its name; one of `ESTIMATORS`."""
    module, _, cls = ESTIMATORS[name].rpartition(".")
    found: Estimator = getattr(import_module(module), cls)()
    return found


def all_estimators() -> tuple[Estimator, ...]:
    """Return all of them, the default first."""
    return tuple(estimator(name) for name in ESTIMATORS)


def estimator_of(settings: Settings) -> Estimator:
    """Return the estimator that settings are meant for."""
    return next(one for one in all_estimators() if type(settings) is one.settings)


def calendar_means(
    pairs: ImagePairs,
    settings: Settings | None = None,
    *,
    period: str = "month",
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Estimate the series of one pixel, and average it over calendar periods.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : InversionSettings, GaussianProcessSettings or those of another estimator, optional
        By default an inversion with the recommended settings.
    period : {"month", "season", "year"} or str
        Seasons begin on 1 December, March, June and September. Or dates, UTC, with commas between them,
        ``"2015-01-01,2015-07-01,2016-01-01"``: from each to the next.
    selection : PairSelection, optional
        Filters on metadata.

    Returns
    -------
    xarray.Dataset
        Like that of `itslive_core.invert`, with the periods for cells. Standard deviations are those of the
        means: cells of a smooth series err together. ``n_pairs`` counts the used pairs that overlap the
        period. Periods of which less than half lies in cells that are known are NaN: in those that pairs
        overlap, or any between the first and the last pair for a Gaussian process, which fills gaps, or
        those that have a median. ``coverage`` is the mean of that of the cells, flags are those that all
        cells have.

    Raises
    ------
    SettingsError
        If the period is not known, or the device cannot do it.
    """
    chosen = estimator("inversion").settings() if settings is None else settings
    return estimator_of(chosen).means(pairs, chosen, period, selection=selection)
