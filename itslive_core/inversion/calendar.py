"""Calendar means of a series: months, seasons and years, with errors that know that cells err together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.inversion.judged_pairs import pair_flags
from itslive_core.inversion.point import attributes_of, solve_point
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.solver import NO_FREEDOM
from itslive_core.inversion.windows import seen_share, window_weights
from itslive_core.observations.batches import Observations
from itslive_core.series import point_dataset, speed_and_std
from itslive_core.series.quality import quality_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["PERIODS", "calendar_edges", "calendar_means"]

PERIODS = {"month": 1, "season": 3, "year": 12}
"""Calendar periods, and how many months each has; seasons are DJF, MAM, JJA and SON."""

_LEAST_SEEN = 0.5
"""A mean is given where at least this share of its window lies in cells that pairs overlap."""


@dataclass(frozen=True)
class _Windows:
    """Windows in place of a regular grid of cells."""

    edges: NDArray[np.float64]

    @property
    def centres(self) -> NDArray[np.float64]:
        """Their middles [days since 1970-01-01]."""
        middle: NDArray[np.float64] = 0.5 * (self.edges[:-1] + self.edges[1:])
        return middle

    @property
    def size(self) -> int:
        """Their number."""
        return len(self.edges) - 1


def calendar_edges(first: float, last: float, period: str) -> NDArray[np.float64]:
    """Give the edges of the calendar periods that hold a span of time, UTC.

    Parameters
    ----------
    first, last : float
        [days since 1970-01-01]
    period : {"month", "season", "year"}

    Returns
    -------
    ndarray, shape (g + 1,)
        [days since 1970-01-01]

    Raises
    ------
    SettingsError
        If the period is not known.
    """
    if period not in PERIODS:
        raise SettingsError(f"means {period!r} are not known: choose from {', '.join(PERIODS)}")
    step = PERIODS[period]
    shift = 1 if period == "season" else 0  # December opens the winter
    days = np.floor([first, last]).astype("M8[D]")
    begin, end = days.astype("M8[M]").astype(np.int64)
    months = np.arange((begin + shift) // step, (end + shift) // step + 2) * step - shift
    return months.astype("M8[M]").astype("M8[D]").astype(np.float64)


def calendar_means(
    pairs: ImagePairs,
    settings: InversionSettings | None = None,
    *,
    period: str = "month",
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Invert the image pairs of one pixel, and average the series over calendar periods.

    Parameters
    ----------
    pairs, settings, selection
        As for `itslive_core.invert`.
    period : {"month", "season", "year"}
        Seasons begin on 1 December, March, June and September.

    Returns
    -------
    xarray.Dataset
        Like that of `itslive_core.invert`, with calendar periods for cells. Standard deviations are those of
        the means: cells of a smooth series err together. ``n_pairs`` counts the used pairs that overlap the
        period. Periods of which less than half lies in cells that pairs overlap are NaN; so are ``coverage``
        and flags what they are in the cells of the series.

    Raises
    ------
    SettingsError
        If the period is not known, or the device cannot do it.
    """
    settings = InversionSettings() if settings is None else settings
    first_day, last_day = (float(pairs.start.min()), float(pairs.end.max())) if len(pairs) else (0.0, 0.0)
    edges = calendar_edges(first_day, last_day, period)
    solution = solve_point(pairs, settings, selection, windows=edges)
    used, grid, result = solution.pairs, solution.shared.grid, solution.result
    if len(used):
        first, last = (np.searchsorted(edges, day) for day in (used.start.min(), used.end.max()))
        keep = slice(max(int(first) - 1, 0), int(last))
    else:
        keep = slice(0, 0)
    own = _Windows(edges[keep.start : keep.stop + 1])
    begin = grid.first * grid.interval
    share = seen_share(begin, grid.interval, (result.count[0] > 0).astype(np.float64), own.edges)
    enough = share >= _LEAST_SEEN
    assert result.means is not None
    (vx, vy), (vx_std, vy_std) = (
        np.where(enough, values[0][:, keep], np.nan) for values in (result.means.values, result.means.std)
    )
    if result.status[0] == NO_FREEDOM or not settings.uncertainty:
        vx_std, vy_std = np.full((2, own.size), np.nan)
    v, v_std = speed_and_std(vx, vy, vx_std, vy_std)
    assert v_std is not None
    series = {"vx": vx, "vy": vy, "v": v, "vx_std": vx_std, "vy_std": vy_std, "v_std": v_std}
    flags = pair_flags(result, solution.shared, Observations.at_point(used.vx, used.vy))[0]
    coverage = seen_share(begin, grid.interval, result.covered[0], own.edges)
    overlap = (used.start < own.edges[1:, None]) & (used.end > own.edges[:-1, None])
    columns: dict[str, Any] = {
        **series,
        "n_pairs": overlap.sum(axis=1),
        "coverage": coverage,
        "quality": quality_of(_common_flags(grid, flags, own.edges), series, coverage),
    }
    attributes = {"means": period, **attributes_of(solution, selection)}
    return point_dataset(own, columns, used, attributes)


def _common_flags(grid: TimeGrid, flags: NDArray[np.int16], edges: NDArray[np.float64]) -> NDArray[np.int16]:
    """Give the flags that all cells of each window have."""
    weights = window_weights(grid.first * grid.interval, grid.interval, grid.size, edges)
    common = [np.bitwise_and.reduce(flags[row > 0.0]) if (row > 0.0).any() else 0 for row in weights]
    return np.array(common, dtype=np.int16)
