"""Where the hyperparameters of a pixel may start: a grid of levels, of which the evidence picks one.

Rock whose pairs show a season of the shadows, and ice that hurries in summer, are two explanations of nearly the
same data; between them lies a barrier. Two things tell them apart. The ice changes along its flow, so the size
of what satellites add is measured across it; and the levels of both explanations are tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.evidence import Evidence, Prior
    from itslive_core.inversion.learning.hyperparameters import Hyperparameters

__all__ = ["Start", "cross_season", "grid_of_starts"]

_TRIED = (
    (-5.0, -4.0),
    (-5.0, 2.0),
    (-5.0, 8.0),
    (-1.0, -4.0),
    (-1.0, 2.0),
    (3.0, -4.0),
    (3.0, 2.0),
    (7.0, 0.0),
)
"""Levels and yearly levels that are tried, relative to those expected, in logarithms of a precision: a smooth
series does not depend on the second."""
_STILL = 7.0, 8.0
"""Level and stiffness of ice that hardly changes, along and across the flow."""
_TURNS = 4
_SAME_AXIS = 0.97
"""Cosine of the angle below which axes are the same."""
_SMALLEST = 1 / 8


class Start(NamedTuple):
    """Hyperparameters to start from: theta, and the prior variance of seasonal displacements [m^2]."""

    theta: NDArray[np.float64]
    season_variance: float


class Learner(Protocol):
    """What is asked of a pixel: see `itslive_core.inversion.learning.pixel.PixelLearner`."""

    hyper: Hyperparameters
    evidence: Evidence
    most_season: float
    expected_season: float

    def prior(self, theta: NDArray[np.float64], season_variance: float) -> Prior:
        """Give the prior of some hyperparameters."""
        ...


def grid_of_starts(learner: Learner, season_variance: float, *, first: bool) -> Iterator[Start]:
    """Give what may be tried: the grid, and what was found so far unless this is the ``first`` time."""
    hyper = learner.hyper
    if not first:
        yield Start(hyper.theta.copy(), season_variance)
    tried = _TRIED if learner.evidence.rows.reach else {(level, 0.0): None for level, _ in _TRIED}
    for level, yearly in tried:
        yield Start(hyper.moved(level=level, yearly=yearly), season_variance)


def cross_season(learner: Learner) -> tuple[float, NDArray[np.float64] | None]:
    """Measure seasonal displacements as if the ice did not change.

    Parameters
    ----------
    learner : Learner
        Its data are entered.

    Returns
    -------
    variance : float
        Prior variance of the displacements, from those across the axis along which they are largest [m^2].
    axes : ndarray, shape (2, 2), or None
        How to turn the axes so that the first is that one; None if it is already.
    """
    hyper, season = learner.hyper, learner.evidence.border.is_season
    theta = hyper.moved(level=_STILL[0], yearly=0.0)
    theta[-1] = max(theta[-1], _STILL[1])
    variance, axes = learner.most_season, None
    found = learner.evidence.solve(learner.prior(theta, variance)).border[:, season]
    _, vectors = np.linalg.eigh(found @ found.T)
    across = vectors[:, 0]
    if abs(across[1]) < _SAME_AXIS:
        axes = vectors[:, ::-1].T
    for _ in range(_TURNS):
        posterior = learner.evidence.solve(learner.prior(theta, variance))
        # Both axes are as stiff in the data's frame; what is across the season's axis is read off by turning.
        square = (across @ posterior.border[:, season]) ** 2
        told = np.diagonal(posterior.covariance, axis1=1, axis2=2)[:, season]
        mean_variance = (across**2) @ told
        known = float(np.maximum(1.0 - mean_variance / variance, 1e-3).sum())
        new = (learner.expected_season + float(square.sum())) / (1.0 + known)
        variance = min(max(new, _SMALLEST * variance), learner.most_season)
    return variance, axes
