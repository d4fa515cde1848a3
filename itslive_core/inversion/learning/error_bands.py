"""Error bands of a pixel: of the series, and of what was learnt beside it.

The variance of the posterior knows the noise of the pairs, their credit, and offsets and seasonal
displacements; how much pairs tell is in `itslive_core.inversion.learning.pixel.PixelLearner.information`.
Three things are added.

- **Hyperparameters are not known exactly.** Along each of the three that decide most (the level, the yearly
  level, the size of seasonal displacements) the solution is found once more at one standard deviation to both
  sides, where -2 log of the posterior probability has risen by 1. By the law of total variance half the
  squares of both moves are added.
- **Changes have heavy tails.** The factor of each change is a gamma variable given the changes, and the
  variance of the series goes with the mean of its inverse, which is (q + 2) / q times the inverse of its
  mean. In a gap the band is that much wider.
- **What satellites add need not repeat every year.** Two images of one year see displacements that differ by
  their seasons, with the variance 2 (2 tau^2) for two waves of a variance tau^2 each. Two images a year apart
  are taken to differ by as much: (2 tau)^2, in m^2/yr^2. Where nothing moves this is most of the band.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.inversion.learning.means import group_means, n_means
from itslive_core.inversion.learning.neighbour import NeighbourLearner
from itslive_core.inversion.learning.starts import Start

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.learning.evidence import Posterior
    from itslive_core.inversion.learning.pixel import PixelLearner

__all__ = ["axis_variances", "component_variances"]

_TRIES = 2
_NEAR = 0.3, 3.0
_LEAST_RISE = 0.16
"""What is flat counts as 2.5 standard deviations wide."""
_NEAREST, _FARTHEST = 0.1, 2.5
"""Limits of a standard deviation of a hyperparameter, in logarithms."""


def axis_variances(learner: PixelLearner, centre: Posterior, groups: NDArray[Any]) -> NDArray[np.float64]:
    """Give the variance of means of cells along both axes.

    Parameters
    ----------
    learner : PixelLearner
        At the end of its passes.
    centre : Posterior
        Its series.
    groups : ndarray of int64, shape (M,)
        As for `itslive_core.inversion.learning.evidence.Evidence.variances`.

    Returns
    -------
    ndarray, shape (2, g)
        [m^2/yr^2]
    """
    satellites = 4.0 * learner.season_variance if learner.evidence.border.is_season.any() else 0.0
    if isinstance(learner, NeighbourLearner):
        # What is expected of them keeps hyperparameters near enough for first order to do.
        known = learner.variances(groups)
        away = group_means(learner.moves, groups) * learner.known_within()[:, None]
        wider: NDArray[np.float64] = known + (away**2).sum(axis=1) + satellites
        return wider
    here = Start(learner.hyper.theta, learner.season_variance)
    series = group_means(centre.series, groups)
    variance = _variance_at(learner, here, groups)
    total = variance.copy()
    floor = centre.value + learner.hyper.cost(here.theta)
    for which in _free(learner):
        for side in (-1.0, 1.0):
            moved, risen = _one_sd(learner, which, side, floor)
            if np.isfinite(risen):
                total += 0.5 * (group_means(moved.series, groups) - series) ** 2 / max(risen, _LEAST_RISE)
    return np.maximum(total, variance) + satellites


def component_variances(axes: NDArray[np.float64], variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn variances along two axes into those of vx and vy.

    Users combine the standard deviations of components as if these were independent. Along the first axis
    that would understate the variance where the axes lie across x and y; so what both components need for it
    to be right there is added to both.

    Parameters
    ----------
    axes : ndarray, shape (2, 2)
        Rows: the axes.
    variances : ndarray, shape (2, g)
        Along them.

    Returns
    -------
    ndarray, shape (2, g)
    """
    square = axes**2
    own = square.T @ variances
    missing = 2.0 * square[0, 0] * square[0, 1] * np.maximum(variances[0] - variances[1], 0.0)
    out: NDArray[np.float64] = own + missing
    return out


def _free(learner: PixelLearner) -> list[str]:
    """Name the hyperparameters whose uncertainty is counted."""
    free = ["level"] if learner.hyper.level_free else []
    if learner.evidence.rows.reach:
        free.append("yearly")
    if learner.evidence.border.is_season.any():
        free.append("season")
    return free


def _shifted(learner: PixelLearner, which: str, by: float) -> Start:
    theta, season = learner.hyper.theta.copy(), learner.season_variance
    if which == "season":
        season = min(season * float(np.exp(by)), learner.most_season)
    else:
        theta[0 if which == "level" else learner.hyper.yearly_at] += by
    return Start(theta, season)


def _one_sd(learner: PixelLearner, which: str, side: float, floor: float) -> tuple[Posterior, float]:
    """Solve near where -2 log of the posterior probability has risen by 1; give also by what it has risen."""
    distance, risen = 1.0, np.inf
    for _ in range(_TRIES):
        there = _shifted(learner, which, side * distance)
        posterior = learner.evidence.solve(learner.prior(*there))
        risen = posterior.value + learner.hyper.cost(there.theta) - floor
        if _NEAR[0] < risen < _NEAR[1]:
            break
        factor = 2.0 if not risen > 0.0 else 1.0 / np.sqrt(risen)
        distance = float(min(max(distance * factor, _NEAREST), _FARTHEST))
    return posterior, risen


def _variance_at(learner: PixelLearner, start: Start, groups: NDArray[Any]) -> NDArray[np.float64]:
    """Give the posterior variance for some hyperparameters, with the tails of a gap."""
    posterior = learner.solve_for_variances(learner.prior(*start, learner.gap_tails()))
    if not np.isfinite(posterior.value):
        return np.full((2, n_means(groups)), np.nan)
    return learner.evidence.variances(posterior, groups)
