"""Means of a moving median over windows, whose cells err together as they share pairs.

The error of a median is that of how many pairs lie on either side of it: with weights w_j and signs s_jk of
pair j seen from the median of cell k, proportional to sum_j w_j s_jk (the influence function of a median;
Hampel, 1974, doi:10.1080/01621459.1974.10482962). The standard error of the cell gives the factor. A mean of
cells with weights C_gk then errs by sum_j (sum_k C_gk f_k s_jk) w_j, one term for each independent pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from itslive_core.observations.windows import window_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.moving_median.windows import Windows as Movement
    from itslive_core.observations.time_grid import TimeGrid
    from itslive_core.observations.windows import Windows

__all__ = ["Median", "averages"]


class Median(NamedTuple):
    """The moving median of one component.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Of the pairs [m/yr].
    median, std : ndarray, shape (M,)
        Of the cells [m/yr]; NaN where there is none.
    """

    values: NDArray[np.float64]
    median: NDArray[np.float64]
    std: NDArray[np.float64]


def averages(
    grid: TimeGrid, windows: Windows, moved: Movement, weights: NDArray[np.float64], one: Median
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average a moving median over windows.

    Parameters
    ----------
    grid : TimeGrid
        M cells.
    windows : Windows
        g of them.
    moved : itslive_core.moving_median.windows.Windows
        In the window of which cells each of n pairs lies.
    weights : ndarray, shape (n,)
        What the pairs count.
    one : Median

    Returns
    -------
    mean, std : ndarray, shape (g,)
        Over those cells of each window that have a median [m/yr]; NaN where none has.
    """
    shares = np.nan_to_num(
        window_weights(grid.first * grid.interval, grid.interval, grid.size, windows.edges)
    )
    known = np.isfinite(one.median)
    shares = shares * known
    total = shares.sum(axis=1, keepdims=True)
    shares = shares / np.where(total > 0.0, total, np.nan)
    mean = shares @ np.where(known, one.median, 0.0)
    # Pair by pair the cells in whose window it lies.
    count = np.maximum(moved.last - moved.first + 1, 0)
    pair = np.repeat(np.arange(len(count)), count)
    cell = np.repeat(moved.first - np.cumsum(count) + count, count) + np.arange(len(pair))
    own = known[cell]
    pair, cell = pair[own], cell[own]
    influence = weights[pair] * np.sign(one.values[pair] - one.median[cell])
    size = np.bincount(cell, influence**2, grid.size)
    equal = size[cell] == 0.0  # all pairs have one value: only their rounding is left, the same for each
    influence[equal] = weights[pair[equal]]
    size = np.bincount(cell, influence**2, grid.size)
    factor = np.where(known, one.std, 0.0) / np.sqrt(np.where(size > 0.0, size, 1.0))
    of_pairs = csr_array((influence, (pair, cell)), shape=(len(count), grid.size))
    error = of_pairs @ (factor[:, None] * shares.T)
    return mean, np.sqrt(np.sum(error**2, axis=0))
