"""Calendar means of the inversion of a pixel, with errors that know that cells err together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.inversion.judged_pairs import pair_flags
from itslive_core.inversion.point import attributes_of, solve_point
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.solver import NO_FREEDOM
from itslive_core.observations.batches import Observations
from itslive_core.observations.windows import PERIODS, Windows, window_edges
from itslive_core.series import point_dataset
from itslive_core.series.means import means_of_pixels

if TYPE_CHECKING:
    import xarray as xr

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection

__all__ = ["inversion_means"]


def inversion_means(
    pairs: ImagePairs,
    settings: InversionSettings | None = None,
    *,
    period: str = "month",
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Invert the image pairs of one pixel, and average the series; see `itslive_core.calendar_means`."""
    settings = InversionSettings() if settings is None else settings
    first_day, last_day = (float(pairs.start.min()), float(pairs.end.max())) if len(pairs) else (0.0, 0.0)
    edges = window_edges(period, first_day, last_day)
    solution = solve_point(pairs, settings, selection, windows=edges)
    used, grid, result = solution.pairs, solution.shared.grid, solution.result
    own, keep = Windows(edges), slice(None)
    if period in PERIODS:  # of dates each is wanted
        keep = own.touched(used.start, used.end)
        own = Windows(edges[keep.start : keep.stop + 1])
    assert result.means is not None
    std = result.means.std[:, :, keep]
    if result.status[0] == NO_FREEDOM or not settings.uncertainty:
        std = np.full_like(std, np.nan)
    columns = means_of_pixels(
        grid,
        own,
        result.means.values[:, :, keep],
        std,
        seen=result.count > 0,
        coverage=result.covered,
        flags=pair_flags(result, solution.shared, Observations.at_point(used.vx, used.vy)),
        counts=own.overlaps(used.start, used.end)[None],
    )
    attributes = {"means": period, **attributes_of(solution, selection)}
    return point_dataset(own, {name: of[0] for name, of in columns.items()}, used, attributes)
