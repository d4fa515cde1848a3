"""Means over windows as a solver writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WindowMeans"]


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
