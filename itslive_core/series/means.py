"""Means of series over windows, as the variables of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.observations.windows import seen_share, window_weights
from itslive_core.series.dataset import speed_and_std
from itslive_core.series.quality import quality_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import TimeGrid
    from itslive_core.observations.windows import Windows

__all__ = ["means_of_pixels"]

_LEAST_SEEN = 0.5
"""A mean is given where at least this share of its window lies in cells that are known."""


def means_of_pixels(
    grid: TimeGrid,
    windows: Windows,
    vectors: NDArray[np.float64],
    std: NDArray[np.float64],
    *,
    seen: NDArray[np.bool_],
    coverage: NDArray[np.float64],
    flags: NDArray[np.int16],
    counts: NDArray[np.integer],
    v_std: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[Any]]:
    """Name means of the series of P pixels; those that rest on too little of their window are left out.

    Parameters
    ----------
    grid : TimeGrid
        M cells.
    windows : Windows
        g of them.
    vectors, std : ndarray, shape (P, 2, g)
        Means of vx and vy, and their standard deviations [m/yr].
    seen : ndarray of bool, shape (P, M)
        Cells that count as known.
    coverage : ndarray, shape (P, M)
        Of the cells.
    flags : ndarray of int16, shape (P, M)
        Of the cells, from `itslive_core.series.quality.flags_of_pairs`; a window has those of all its cells.
    counts : ndarray of int, shape (P, g)
        Used pairs that touch each window.
    v_std : ndarray, shape (P, g), optional
        Of the speed, where it does not follow from `std` alone.

    Returns
    -------
    dict of ndarray, shape (P, g)
        What `itslive_core.estimator.PixelEstimates.series` holds.
    """
    begin, edges = grid.first * grid.interval, windows.edges
    enough = seen_share(begin, grid.interval, seen.astype(np.float64), edges) >= _LEAST_SEEN
    (vx, vy), (vx_std, vy_std) = (
        np.where(enough[:, None], of, np.nan).swapaxes(0, 1) for of in (vectors, std)
    )
    v, linear = speed_and_std(vx, vy, vx_std, vy_std)
    assert linear is not None
    series: Mapping[str, NDArray[Any]] = {
        "vx": vx,
        "vy": vy,
        "v": v,
        "vx_std": vx_std,
        "vy_std": vy_std,
        "v_std": linear if v_std is None else np.where(enough, v_std, np.nan),
    }
    covered = seen_share(begin, grid.interval, coverage, edges)
    shares = window_weights(begin, grid.interval, grid.size, edges) > 0.0
    common = np.zeros(enough.shape, dtype=np.int16)
    for window, own in enumerate(shares):
        if own.any():
            common[:, window] = np.bitwise_and.reduce(flags[:, own], axis=1)
    return {
        **series,
        "n_pairs": counts.astype(np.int32),
        "coverage": covered,
        "quality": quality_of(common, series, covered),
    }
