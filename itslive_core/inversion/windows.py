"""Means of a series over windows that its cells do not fit into: months, seasons, years.

A mean is a weighted sum of cells, with the share of the window that each cell fills. Its variance is that of
the sum: neighbouring cells of a smooth series err together, so that it is larger than that of independent
ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WindowMeans", "seen_share", "window_weights"]


@dataclass(frozen=True, eq=False)
class WindowMeans:
    """Means of the series of P pixels over g windows.

    Parameters
    ----------
    values, std : ndarray, shape (P, 2, g)
        vx and vy, and their standard deviations [m/yr]; NaN where not given.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def blank(cls, pixels: int, edges: NDArray[np.float64] | None) -> WindowMeans | None:
        """Make room for the means that a solver writes; None where none are wanted."""
        if edges is None:
            return None
        return cls(*np.full((2, pixels, 2, len(edges) - 1), np.nan))


def _shares(first: float, interval: float, size: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how long each window is in each cell [days], shape (g, M)."""
    begins = first + interval * np.arange(size)
    low = np.maximum(begins[None, :], edges[:-1, None])
    high = np.minimum(begins[None, :] + interval, edges[1:, None])
    shares: NDArray[np.float64] = np.maximum(high - low, 0.0)
    return shares


def window_weights(
    first: float, interval: float, size: int, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the matrix that averages cells over windows.

    Parameters
    ----------
    first, interval : float
        Begin of the first cell [days since 1970-01-01], and length of a cell [days].
    size : int
        Number of cells, M.
    edges : ndarray, shape (g + 1,)
        Of the windows, in order [days since 1970-01-01].

    Returns
    -------
    ndarray, shape (g, M)
        Rows sum to 1; over the part of a window where cells are. NaN where there are none.
    """
    shares = _shares(first, interval, size, edges)
    total = shares.sum(axis=1, keepdims=True)
    return shares / np.where(total > 0.0, total, np.nan)


def seen_share(
    first: float, interval: float, seen: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give what share of each window, shape (g,), lies in cells that are seen, shape (M,) of 0 to 1."""
    share: NDArray[np.float64] = _shares(first, interval, len(seen), edges) @ seen / np.diff(edges)
    return share
