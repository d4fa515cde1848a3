"""The resolution of an estimate: what each cell of it sees of a true series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import (
    PAD,
    Band,
    Inverse,
    blank_band,
    blank_inverse,
    factorise,
    selected_inverse,
)
from itslive_core.bands.assembly import assemble
from itslive_core.bands.penalty import Penalty, add_penalty
from itslive_core.bands.spans import Spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["effective_resolution", "own_shares"]


def own_shares(normal: Band, inverse: Inverse) -> NDArray[np.float64]:
    """Give the diagonal of N^-1 A'WA, shape (M,), from A'WA and the inverse in bands of one width."""
    size, width = normal.size, normal.width
    stride, full = width + 1 + PAD, 2 * width + 1
    data = normal.entries[: size * stride].reshape(size, stride)
    z = inverse.entries[: size * full].reshape(size, full)[:, width:]
    own: NDArray[np.float64] = z[:, 0] * data[:, 0]
    # Both matrices are symmetric and A'WA ends with the band: each product counts for two rows.
    for offset in range(1, min(width, size - 1) + 1):
        product = z[: size - offset, offset] * data[: size - offset, offset]
        own[: size - offset] += product
        own[offset:] += product
    return own


def effective_resolution(
    operator: SpanOperator,
    weights: NDArray[np.float64],
    derivative: int,
    smoothing: float,
) -> NDArray[np.float64]:
    """Give the time over which the estimate of each cell averages, h / R_ii with R = N^-1 A'WA.

    Parameters
    ----------
    operator : SpanOperator
        n pairs on M cells.
    weights : ndarray, shape (n,)
        Weights of the pairs, robust ones included.
    derivative : {1, 2}
        k.
    smoothing : float
        lambda > 0.

    Returns
    -------
    ndarray, shape (M,)
        [d]; at least h. NaN in cells that no pair overlaps, or if N cannot be factorised.
    """
    size, interval = operator.grid.size, operator.grid.interval
    width = max(derivative, operator.bandwidth)
    normal = blank_band(size, width)
    nothing = np.zeros(len(operator))
    assemble(Spans(*operator.columns), weights, nothing, nothing, normal, np.empty((2, size)))
    data = Band(normal.entries.copy(), size, width)
    add_penalty(normal, Penalty(derivative, (smoothing / interval**derivative) ** 2, np.ones(size)))
    if not factorise(normal):
        return np.full(size, np.nan)
    inverse = blank_inverse(size, width)
    selected_inverse(normal, inverse)
    own = own_shares(data, inverse)
    seen = operator.overlaps() > 0
    share = np.where(seen & (own > 0), np.minimum(own, 1.0), np.nan)
    return interval / share
