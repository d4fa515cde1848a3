"""Offsets between missions beside background and season, integrated out.

Pair j of mission m reads its mean of the model plus o_m. The reference mission has o = 0: the level of what
is estimated is its level, and which mission is right no pair can tell. The others have normal priors around
0 whose standard deviation tau follows what is found. With C = (A, H)'W 1_m, B the weights of the missions and
M what `itslive_core.season.algebra.eliminate` eliminates, the equations of all unknowns are

    [ M    C           ]
    [ C'   B + kappa I ] ,     kappa = s^2 / tau^2,

with 1_m'W d - kappa o on the right for data d that are already less offsets o. C is carried along as the last
passive columns, which leaves S = B + kappa I - C'M^-1 C in the corner; S is small and eliminated last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.observations.missions import MISSIONS, missions_with_offset, usual_offset
from itslive_core.season.algebra import BORDER, OVERTONES
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.season.algebra import Joint, Normal, SeasonDesign

__all__ = ["MissionSums", "OffsetPrior", "correct_offsets", "eliminate_offsets", "load_offsets"]

_USUAL = 2.0
"""Offsets' worth of trust in their usual size."""


class MissionSums(NamedTuple):
    """What a constant of each of a missions adds to the normal equations.

    Parameters
    ----------
    mission : ndarray of int64, shape (a,)
        Positions in `MISSIONS`.
    band : ndarray, shape (size, a)
        A'W 1_m.
    overtone : ndarray, shape (OVERTONES, a)
        H'W 1_m.
    weight : ndarray, shape (a,)
        B.
    data : ndarray, shape (2, a)
        1_m'W vx and 1_m'W vy.
    """

    mission: NDArray[np.int64]
    band: NDArray[np.float64]
    overtone: NDArray[np.float64]
    weight: NDArray[np.float64]
    data: NDArray[np.float64]

    @classmethod
    def blank(cls, mission: NDArray[np.int64], size: int) -> MissionSums:
        """Make room beside so many unknowns of years."""
        a = len(mission)
        return cls(mission, np.empty((size, a)), np.empty((OVERTONES, a)), np.empty(a), np.empty((2, a)))

    def fill(
        self,
        design: SeasonDesign,
        pair: NDArray[np.int32],
        low: int,
        of_mission: NDArray[np.int64],
        w: NDArray[np.float64],
        velocity: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Sum over the pairs of each mission; parameters as for `itslive_core.season.algebra`.

        ``of_mission`` is the mission of each observation, shape (n,).
        """
        column = np.full(len(MISSIONS), -1, dtype=np.int64)
        column[self.mission] = np.arange(len(self.mission))
        for sums in self[1:]:
            sums[:] = 0.0
        _sum_by_mission(design, pair, low, column, of_mission, w, *velocity, *self[1:])

    def take_off(self, normal: Normal, offset: NDArray[np.float64]) -> None:
        """Turn the equations into those of data less offsets of these missions, shape (2, a)."""
        x, y = offset
        normal.rhs[:] -= offset @ self.band.T
        normal.corner[:, OVERTONES:] -= self.overtone @ offset.T
        normal.square[0] += x @ (self.weight * x - 2.0 * self.data[0])
        normal.square[1] += x @ (self.weight * y - self.data[1]) - y @ self.data[0]
        normal.square[2] += y @ (self.weight * y - 2.0 * self.data[1])
        self.data[:] -= self.weight * offset


class OffsetPrior:
    """Offsets of a pixel's missions, and how large they are expected to be.

    Parameters
    ----------
    mission : ndarray of int64, shape (n,)
        Of each observation.
    speed : float
        [m/yr]
    """

    def __init__(self, mission: NDArray[np.int64], speed: float) -> None:
        self.value = np.zeros((2, len(MISSIONS)))
        """Offsets of vx and vy by mission [m/yr], shape (2, missions)."""
        counts = np.bincount(mission, minlength=len(MISSIONS))
        self.active = np.array(missions_with_offset(counts), dtype=np.int64)
        """The missions that have an offset, shape (a,)."""
        self._of_pair = mission
        self._usual2 = self._variance = usual_offset(speed) ** 2

    def precision(self, scatter: float) -> float:
        """Give kappa, for the variance of a pair of weight 1."""
        return scatter / self._variance

    def less(self, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the offsets from velocities, shape (2, n)."""
        if len(self.active) == 0:
            return velocity
        return velocity - self.value[:, self._of_pair]

    def follow(
        self,
        correction: NDArray[np.float64],
        covariance: NDArray[np.float64],
        along: NDArray[np.float64],
        scatter: float,
    ) -> None:
        """Take corrections in, and expect offsets of the size that was found along the flow.

        The variance is the mean of what was found, squares and variances, and of what is usual (a step of
        the EM algorithm: Dempster, Laird and Rubin, 1977, doi:10.1111/j.2517-6161.1977.tb01600.x).

        Parameters
        ----------
        correction : ndarray, shape (2, a)
            Of the offsets [m/yr].
        covariance : ndarray, shape (a, a)
            S^-1.
        along : ndarray, shape (2,)
            Direction of the flow.
        scatter : float
            Variance of a pair of weight 1 [m^2/yr^2].
        """
        self.value[:, self.active] += correction
        found = (along @ self.value[:, self.active]) ** 2 + scatter * np.diag(covariance)
        self._variance = (_USUAL * self._usual2 + float(found.sum())) / (_USUAL + found.size)


@kernel(error_model="numpy")
def load_offsets(
    sums: MissionSums, kappa: float, before: NDArray, joint: Joint
) -> None:  # pragma: no cover - compiled
    """Write C into the last passive columns, and what belongs to it into the corner.

    Parameters
    ----------
    sums : MissionSums
    kappa : float
        Precision of the prior in units of the weights.
    before : ndarray, shape (2, a)
        Offsets that were taken from the data, which are the first two passive columns.
    joint : Joint
    """
    rows, corner, size, width, passive = joint
    a = len(sums.weight)
    stride, first = width + 1 + BORDER + passive, BORDER + passive - a
    for i in range(size):
        at = i * stride + width + 1 + first
        for m in range(a):
            rows[at + m] = sums.band[i, m]
    for m in range(a):
        for h in range(OVERTONES):
            corner[3 + h, first + m] = sums.overtone[h, m]
        for c in range(2):
            corner[BORDER + c, first + m] = sums.data[c, m] - kappa * before[c, m]
            for d in range(c, 2):
                corner[BORDER + c, BORDER + d] += kappa * before[c, m] * before[d, m]
        corner[first + m, first + m] = sums.weight[m] + kappa


@kernel(error_model="numpy")
def eliminate_offsets(joint: Joint, a: int) -> float:  # pragma: no cover - compiled
    """Eliminate S after `itslive_core.season.algebra.eliminate`; gives its log determinant, or NaN."""
    corner, first = joint.corner, BORDER + joint.passive - a
    total = 0.0
    for r in range(first + a - 1, first - 1, -1):
        if not corner[r, r] > 0.0:
            return np.nan
        total += np.log(corner[r, r])
        for k in range(BORDER, r):
            c = corner[k, r] / corner[r, r]
            for m in range(k, r):
                corner[k, m] -= c * corner[m, r]
    return total


@kernel(error_model="numpy")
def correct_offsets(
    joint: Joint, correction: NDArray, covariance: NDArray
) -> None:  # pragma: no cover - compiled
    """Solve for corrections of the offsets, and take them off the data columns.

    After that `itslive_core.season.algebra.back_substitute` gives what goes with them.

    Parameters
    ----------
    joint : Joint
        After `eliminate_offsets`.
    correction : ndarray, shape (2, a)
        Receives them [m/yr].
    covariance : ndarray, shape (a, a)
        Receives S^-1.
    """
    rows, corner, size, width, passive = joint
    a = len(covariance)
    stride, first = width + 1 + BORDER + passive, BORDER + passive - a
    # Of what was eliminated last the value is known first.
    for c in range(2):
        for r in range(a):
            value = corner[BORDER + c, first + r]
            for s in range(r):
                value -= corner[first + s, first + r] * correction[c, s]
            correction[c, r] = value / corner[first + r, first + r]
    half = np.empty(a)
    for k in range(a):
        for r in range(a - 1, -1, -1):
            value = 1.0 if r == k else 0.0
            for s in range(r + 1, a):
                value -= corner[first + r, first + s] / corner[first + s, first + s] * half[s]
            half[r] = value
        for r in range(a):
            value = half[r]
            for s in range(r):
                value -= corner[first + s, first + r] * covariance[k, s]
            covariance[k, r] = value / corner[first + r, first + r]
    for c in range(2):
        for i in range(size):
            at = i * stride + width + 1
            for m in range(a):
                rows[at + BORDER + c] -= rows[at + first + m] * correction[c, m]
        for r in range(BORDER):
            for m in range(a):
                corner[r, BORDER + c] -= corner[r, first + m] * correction[c, m]


@kernel(error_model="numpy")
def _sum_by_mission(
    design: SeasonDesign,
    pair: NDArray,
    low: int,
    column: NDArray,
    mission: NDArray,
    w: NDArray,
    vx: NDArray,
    vy: NDArray,
    band: NDArray,
    overtone: NDArray,
    weight: NDArray,
    data: NDArray,
) -> None:  # pragma: no cover - compiled
    """Add up the pairs of each mission; ``column`` is -1 for those without an offset."""
    for i in range(len(pair)):
        m = column[mission[i]]
        if m < 0 or w[i] == 0.0:
            continue
        j = pair[i]
        at, row = design.begin[j], design.first[j] - low
        for r in range(design.begin[j + 1] - at):
            band[row + r, m] += w[i] * design.coefficient[at + r]
        for h in range(OVERTONES):
            overtone[h, m] += w[i] * design.overtone[j, h]
        weight[m] += w[i]
        data[0, m] += w[i] * vx[i]
        data[1, m] += w[i] * vy[i]
