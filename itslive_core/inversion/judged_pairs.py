"""The used pairs as an inversion judged them: less what missions add, their noise, and their worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.inversion.learning.border import season_waves
from itslive_core.observations.weights import observation_variance
from itslive_core.series.quality import PairEvidence, flags_of_pairs, normalised_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.batches import Observations
    from itslive_core.observations.shared_pairs import SharedPairs

__all__ = ["JudgedPairs", "judged_pairs", "pair_flags"]


class JudgedPairs(NamedTuple):
    """The n used observations of P pixels.

    Parameters
    ----------
    vx, vy : ndarray, shape (n,)
        What they say of the ice: less the offsets and the seasonal displacements of their missions [m/yr].
    variance : ndarray, shape (n,)
        Of the noise of a component, the square of `itslive_core.inversion.solver.Learnt.sigma` [m^2/yr^2].
    worth : ndarray, shape (n,)
        Share of an independent pair that each is worth.
    scaled : bool
        False where the variance is known up to a factor of the pixel only: no noise was learnt.
    """

    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    variance: NDArray[np.float64]
    worth: NDArray[np.float64]
    scaled: bool


def judged_pairs(
    result: BatchResult, shared: SharedPairs, used: Observations, weights: str = "error"
) -> JudgedPairs:
    """Tell what was learnt of the pairs behind the estimates of P pixels.

    Parameters
    ----------
    result : BatchResult
    shared : SharedPairs
    used : Observations
        That the result is made from.
    weights : {"none", "span", "error"}
        What the noise is taken for where nothing was learnt, as in `observation_variance`.
    """
    offsets, pair, vx, vy = used
    learnt = result.learnt
    if learnt is None:
        span = shared.end - shared.start
        variance = observation_variance(
            weights, offsets, pair, span, shared.vx_error, shared.vy_error, shared.mission
        )
        return JudgedPairs(vx, vy, variance, np.ones(len(pair)), scaled=False)
    pixel, mission = np.repeat(np.arange(used.n_pixels), np.diff(offsets)), shared.mission[pair]
    added = learnt.offset[pixel, :, mission]
    if learnt.season.any():
        waves = season_waves(shared.start, shared.end)[pair]
        added = added + np.einsum("ncw,nw->nc", learnt.season[pixel, :, mission], waves)
    return JudgedPairs(vx - added[:, 0], vy - added[:, 1], learnt.sigma**2, learnt.credit, scaled=True)


def pair_flags(result: BatchResult, shared: SharedPairs, used: Observations) -> NDArray[np.int16]:
    """Judge the pairs behind the estimates of P pixels, see `itslive_core.series.quality.flags_of_pairs`.

    Residuals are those left by the series and by what missions add. The noise is the learnt one; where
    nothing was learnt, it is that of the formal errors, of the size of the residuals.

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
    offsets, pair, _, _ = used
    vx, vy, variance, worth, scaled = judged_pairs(result, shared, used)
    square = normalised_squares(
        shared.operator, offsets, pair, vx, vy, variance, result.values, scaled=scaled
    )
    weight = result.robust_weights
    return flags_of_pairs(PairEvidence(shared.operator, shared.mission, offsets, pair, weight, square, worth))
