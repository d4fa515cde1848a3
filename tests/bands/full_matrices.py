"""Bands as full matrices, and the prior of the changes of a series as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import PAD, Band, Inverse, blank_band, blank_inverse
from itslive_core.support.constants import DAYS_PER_YEAR as YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["band_of", "difference_from_last_year", "full_of", "inverse_of"]


def full_of(band: Band) -> NDArray[np.float64]:
    """Write a symmetric band matrix as a full one."""
    stride, size = band.width + 1 + PAD, band.size
    out = np.zeros((size, size))
    for i in range(size):
        for o in range(min(band.width, size - 1 - i) + 1):
            out[i, i + o] = out[i + o, i] = band.entries[i * stride + o]
    return out


def band_of(full: NDArray[np.float64], width: int) -> Band:
    """Hold a full symmetric matrix as a band."""
    band = blank_band(len(full), width)
    band.entries[:] = 0.0
    stride = width + 1 + PAD
    for i in range(len(full)):
        for o in range(min(width, len(full) - 1 - i) + 1):
            band.entries[i * stride + o] = full[i, i + o]
    return band


def inverse_of(full: NDArray[np.float64], width: int) -> Inverse:
    """Hold what a full matrix has inside a band, as a selected inverse; NaN where nothing may be read."""
    inverse = blank_inverse(len(full), width)
    inverse.entries[:] = np.nan
    for i in range(len(full)):
        for j in range(max(0, i - width), min(len(full), i + width + 1)):
            inverse.entries[i * (2 * width + 1) + width + j - i] = full[i, j]
    return inverse


def difference_from_last_year(interval: float, differences: int) -> NDArray[np.float64]:
    """Make C: each change less that of a year before, a cubic through the four changes about it; else 0."""
    out = np.zeros((differences, differences))
    for i in range(differences):
        at = i - YEAR / interval
        nodes = np.floor(at) + np.arange(-1, 3)
        if nodes[0] < 0:
            continue
        # Weights with which the cubic through the nodes is read at the place between.
        powers = np.arange(4)[:, None]
        weights = np.linalg.solve((nodes - at) ** powers, np.array([1.0, 0.0, 0.0, 0.0]))
        out[i, i] = 1.0
        out[i, nodes.astype(int)] -= weights
    return out
