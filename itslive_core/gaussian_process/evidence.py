"""What the Gaussian process did with its pairs, for the quality of its series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.observations.missions import mission_numbers
from itslive_core.observations.weights import observation_variance
from itslive_core.series.quality import PairEvidence, flags_of_pairs, normalised_squares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.fit import Fit
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["point_flags", "squares_of"]


def squares_of(fit: Fit) -> NDArray[np.float64]:
    """Give residual^2 / noise of each pair, summed over both components, shape (n,).

    Parameters
    ----------
    fit : Fit
        Its residuals are those left by series and mission offsets.
    """
    every = zip(fit.components, fit.posteriors, strict=True)
    total: NDArray[np.float64] = np.sum(
        [posterior.residuals**2 / component.noise(fit.values) for component, posterior in every], axis=0
    )
    return total


def point_flags(
    grid: TimeGrid, used: ImagePairs, columns: Mapping[str, NDArray[np.float64]], fit: Fit | None
) -> NDArray[np.int16]:
    """Judge the pairs of one pixel, see `itslive_core.series.quality.flags_of_pairs`.

    Parameters
    ----------
    grid : TimeGrid
        M cells.
    used : ImagePairs
        n pairs.
    columns : mapping of ndarray, shape (M,)
        ``vx`` and ``vy``.
    fit : Fit or None
        None where pairs had no robust weights, and no noise beside their formal errors was learnt.

    Returns
    -------
    ndarray of int16, shape (M,)
    """
    n, mission = len(used), mission_numbers(used.mission)
    operator = grid.operator(used.start, used.end)
    offsets, pair = np.array([0, n]), np.arange(n, dtype=np.int32)
    weight, credit = np.ones(n), np.ones(n)
    if fit is not None:
        square, (weight, credit) = squares_of(fit), fit.trust
    else:
        errors = used.vx_error, used.vy_error, mission
        variance = observation_variance("error", offsets, pair, used.span, *errors)
        series = np.stack([columns["vx"], columns["vy"]])[None]
        square = normalised_squares(operator, offsets, pair, used.vx, used.vy, variance, series, scaled=False)
    return flags_of_pairs(PairEvidence(operator, mission, offsets, pair, weight, square, credit))[0]
