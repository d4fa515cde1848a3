"""What the inversion did with its pairs, for the quality of its series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.observations.weights import observation_variance
from itslive_core.series.quality import PairEvidence, flags_of_pairs, normalised_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.batches import Observations
    from itslive_core.observations.shared_pairs import SharedPairs

__all__ = ["pair_flags"]


def pair_flags(result: BatchResult, shared: SharedPairs, used: Observations) -> NDArray[np.int16]:
    """Judge the pairs behind the estimates of P pixels, see `itslive_core.series.quality.flags_of_pairs`.

    Residuals are those left by series and mission offsets. The noise is the learnt one; where nothing was
    learnt, it is that of the formal errors, of the size of the residuals.

    Parameters
    ----------
    result : BatchResult
    shared : SharedPairs
    used : Observations
        That the result is made from.

    Returns
    -------
    ndarray of int16, shape (P, M)
    """
    offsets, pair, vx, vy = used
    learnt = result.learnt
    if learnt is not None:
        pixel, mission = np.repeat(np.arange(used.n_pixels), np.diff(offsets)), shared.mission[pair]
        vx, vy = vx - learnt.offset[pixel, 0, mission], vy - learnt.offset[pixel, 1, mission]
        variance, worth = learnt.sigma**2, learnt.credit
    else:
        span, worth = shared.end - shared.start, np.ones(len(pair))
        variance = observation_variance(
            "error", offsets, pair, span, shared.vx_error, shared.vy_error, shared.mission
        )
    square = normalised_squares(
        shared.operator, offsets, pair, vx, vy, variance, result.values, scaled=learnt is not None
    )
    weight = result.robust_weights
    return flags_of_pairs(PairEvidence(shared.operator, shared.mission, offsets, pair, weight, square, worth))
