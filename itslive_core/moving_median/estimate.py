"""The moving median of the pairs of a pixel, and of every pixel of an area.

In the window around a cell lie the pairs whose whole span is inside it, so that nothing from outside is
mixed in; long pairs, which say nothing about a season, are left out. The median is taken of each component,
and the speed last: speeds of noise do not average to zero. Pairs count as `weights` say. What the median
does not do: it does not know that a pair is a mean over its span, so it lags behind fast changes by up to
half a window, and it is blind where no short pairs are; the band is that of independent pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from itslive_core.estimator import PixelEstimates
from itslive_core.inversion.point import use_pairs
from itslive_core.inversion.prepare import filter_block
from itslive_core.moving_median.means import Median, averages
from itslive_core.moving_median.settings import MovingMedianSettings
from itslive_core.moving_median.windows import Windows as Movement
from itslive_core.moving_median.windows import medians, windows_of
from itslive_core.observations.batches import Observations
from itslive_core.observations.missions import mission_numbers
from itslive_core.observations.selection import FilterStep
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.observations.weights import observation_variance, observation_weights
from itslive_core.observations.windows import Windows, window_edges
from itslive_core.series import common_attributes, filter_attributes, point_dataset, speed_and_std
from itslive_core.series.means import means_of_pixels
from itslive_core.series.quality import PairEvidence, flags_of_pairs, normalised_squares, quality_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection

__all__ = ["fit_moving_median", "median_of_block", "moving_median_means"]

_BAND = "standard error of the median, from order statistics under independent noise"


def fit_moving_median(
    pairs: ImagePairs,
    settings: MovingMedianSettings | None = None,
    *,
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Take the weighted median of the image pairs of one pixel in a moving window.

    Parameters
    ----------
    pairs : ImagePairs
        n observations.
    settings : MovingMedianSettings, optional
        Default: a window of 90 days.
    selection : PairSelection, optional
        Filters on metadata to apply first.

    Returns
    -------
    xarray.Dataset
        Like that of `itslive_core.invert`. Cells in whose window fewer pairs lie than ``least_pairs`` are
        NaN. Attributes hold every setting, what each filter left, and the ``reason`` where there is no
        estimate.

    Raises
    ------
    SettingsError
        If a filter on metadata is impossible.
    """
    return _estimate(pairs, settings, selection, None)


def moving_median_means(
    pairs: ImagePairs,
    settings: MovingMedianSettings | None = None,
    *,
    period: str = "month",
    selection: PairSelection | None = None,
) -> xr.Dataset:
    """Take the medians of one pixel, and average the series; see `itslive_core.calendar_means`."""
    window_edges(period, 0.0, 0.0)  # known before the work is done
    return _estimate(pairs, settings, selection, period)


def _estimate(
    pairs: ImagePairs,
    settings: MovingMedianSettings | None,
    selection: PairSelection | None,
    period: str | None,
) -> xr.Dataset:
    settings = MovingMedianSettings() if settings is None else settings
    used = use_pairs(pairs, settings, selection).in_order()
    keep = used.end - used.start <= settings.window
    kept = int(keep.sum())
    note = f"spans up to the window of {settings.window:g} days"
    used = used.take(keep, FilterStep("window", kept, len(used) - kept, note))
    grid = TimeGrid.covering(used.start, used.end, settings.interval)
    weights = observation_weights(
        settings.weights,
        np.array([0, kept]),
        np.arange(kept, dtype=np.int32),
        used.end - used.start,
        used.vx_error,
        used.vy_error,
        mission_numbers(used.mission),
    )
    series, parts = _series(grid, used.start, used.end, used.vx, used.vy, weights, settings)
    reason = ""
    if kept == 0:
        reason = used.describe_empty()
    elif not np.isfinite(series["v"]).any():
        reason = (
            f"no window of {settings.window:g} days holds {settings.least_pairs} pairs: choose a longer one"
        )
    attributes: dict[str, Any] = {
        **({} if period is None else {"means": period}),
        **common_attributes(
            {**settings.to_dict(), "method": "moving_median"},
            {} if selection is None else selection.to_dict(),
            [pairs.cube_url or ""],
            [pairs.date_updated or ""],
        ),
        "settings": settings.to_json(),
        "reason": reason,
        **filter_attributes(used.history, kept),
    }
    coverage = grid.coverage(used.start, used.end)
    observed = Observations.at_point(used.vx, used.vy)
    shared = SharedPairs.make(used, np.ones(kept, dtype=bool), grid)
    flags = _pair_flags(observed, shared, np.stack([series["vx"], series["vy"]])[None])[0]
    cells: TimeGrid | Windows = grid
    columns: dict[str, NDArray[Any]] = {
        **series,
        "n_pairs": shared.operator.overlaps().astype(np.int32),
        "coverage": coverage,
        "quality": quality_of(flags, series, coverage),
    }
    if period is not None:
        cells = (
            Windows(window_edges(period, used.start.min(), used.end.max())) if kept else Windows(np.empty(0))
        )
        mean, std = parts.over(grid, cells)
        means = means_of_pixels(
            grid,
            cells,
            mean[None],
            std[None],
            seen=np.isfinite(series["v"])[None],
            coverage=coverage[None],
            flags=flags[None],
            counts=cells.overlaps(used.start, used.end)[None],
        )
        columns = {name: of[0] for name, of in means.items()}
    ds = point_dataset(cells, columns, used, attributes)
    for name in ("vx_std", "vy_std", "v_std"):
        ds[name].attrs["long_name"] = f"uncertainty of {name.removesuffix('_std')}: {_BAND}"
    return ds


def median_of_block(
    pixels: PixelBlock,
    shared: SharedPairs,
    settings: MovingMedianSettings,
    windows: Windows | None = None,
) -> PixelEstimates:
    """Filter the pairs of a block on their values, and take the medians of every pixel.

    Parameters
    ----------
    pixels : PixelBlock
        P pixels, whose pairs passed the filters on metadata.
    shared : SharedPairs
        Holds the grid of M cells.
    settings : MovingMedianSettings
    windows : Windows, optional
        Give means over them, in place of cells.
    """
    left, grid = filter_block(pixels, shared, settings), shared.grid
    span = shared.end - shared.start
    left = left.keep(span[left.pair] <= settings.window)
    n = left.n_pixels
    names = ("vx", "vy", "v", "vx_std", "vy_std", "v_std", "coverage")
    series: dict[str, NDArray[Any]] = {name: np.full((n, grid.size), np.nan) for name in names}
    series["coverage"][:] = 0.0
    series["n_pairs"] = np.zeros((n, grid.size), dtype=np.int32)
    weights = observation_weights(
        settings.weights, left.offsets, left.pair, span, shared.vx_error, shared.vy_error, shared.mission
    )
    g = 0 if windows is None else windows.size
    mean, std, counts = np.full((n, 2, g), np.nan), np.full((n, 2, g), np.nan), np.zeros((n, g), np.int32)
    for p, here in enumerate(left.pixels()):
        rows = left.pair[here]
        if len(rows) == 0:
            continue
        start, end = shared.start[rows], shared.end[rows]
        columns, parts = _series(grid, start, end, left.vx[here], left.vy[here], weights[here], settings)
        if windows is not None:
            (mean[p], std[p]), counts[p] = parts.over(grid, windows), windows.overlaps(start, end)
        for name, values in columns.items():
            series[name][p] = values
        series["n_pairs"][p] = shared.operator.take(rows).overlaps()
        series["coverage"][p] = grid.coverage(start, end)
    flags = _pair_flags(left, shared, np.stack([series["vx"], series["vy"]], axis=1))
    solved = np.isfinite(series["v"])
    if windows is None:
        series["quality"] = quality_of(flags, series, series["coverage"])
    else:
        facts: dict[str, Any] = {"coverage": series["coverage"], "flags": flags, "counts": counts}
        series = means_of_pixels(grid, windows, mean, std, seen=solved, **facts)
    return PixelEstimates(series, np.diff(left.offsets), solved.any(axis=1))


def _pair_flags(used: Observations, shared: SharedPairs, series: NDArray[np.float64]) -> NDArray[np.int16]:
    """Judge the pairs of P pixels by their series, shape (P, 2, M); returns shape (P, M).

    A median gives no weights and learns no noise: all pairs count, and their noise is that of the formal
    errors, of the size of the residuals.
    """
    operator, mission, (offsets, pair, vx, vy) = shared.operator, shared.mission, used
    span = shared.end - shared.start
    variance = observation_variance("error", offsets, pair, span, shared.vx_error, shared.vy_error, mission)
    square = normalised_squares(operator, offsets, pair, vx, vy, variance, series, scaled=False)
    everything = np.ones(len(pair))
    return flags_of_pairs(PairEvidence(operator, mission, offsets, pair, everything, square, everything))


def _series(
    grid: TimeGrid,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    weights: NDArray[np.float64],
    settings: MovingMedianSettings,
) -> tuple[dict[str, NDArray[np.float64]], _Parts]:
    """Give the six columns of a pixel, shape (M,), and what they are made of."""
    windows = windows_of(grid, start, end, settings.window)
    x, x_std = medians(windows, vx, weights, settings.least_pairs)
    y, y_std = medians(windows, vy, weights, settings.least_pairs)
    speed, speed_std = speed_and_std(x, y, x_std, y_std)
    assert speed_std is not None
    columns = {"vx": x, "vy": y, "v": speed, "vx_std": x_std, "vy_std": y_std, "v_std": speed_std}
    return columns, _Parts(windows, weights, (Median(vx, x, x_std), Median(vy, y, y_std)))


class _Parts(NamedTuple):
    """What the series of a pixel is made of."""

    moved: Movement
    weights: NDArray[np.float64]
    components: tuple[Median, Median]

    def over(self, grid: TimeGrid, windows: Windows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average over windows; returns means and standard deviations, shape (2, g) each."""
        found = [averages(grid, windows, self.moved, self.weights, one) for one in self.components]
        mean, std = (np.stack(of) for of in zip(*found, strict=True))
        return mean, std
