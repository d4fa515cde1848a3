"""What is asked of a pixel: mean and slope of its background, and its mean season, beside the data.

They are passive columns of the elimination, after both components of the data and before the offsets of
missions. What is left of the corner once all is eliminated are the residual sums of squares, the estimates,
and the variances, in units of the noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.season.algebra import BORDER, OVERTONES, Joint, Normal, eliminate, load
from itslive_core.season.offsets import MissionSums, eliminate_offsets, load_offsets
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ASKED", "Question", "left_of", "season_share_of_offsets", "solve_for"]

ASKED = 6
"""Both components of the data, mean and slope of the background, mean sine and cosine."""


class Question(NamedTuple):
    """Equations of a pixel, and what is asked of them.

    Parameters
    ----------
    normal : Normal
        Of data less offsets.
    sums : MissionSums
        The same for the missions that have an offset.
    knots : ndarray, shape (2, size)
        Mean and slope of the background as weights of its knots.
    kappa : float
        Precision of the prior of the offsets, in units of the weights.
    offset : ndarray, shape (2, a)
        What was taken from the data [m/yr].
    """

    normal: Normal
    sums: MissionSums
    knots: NDArray
    kappa: float
    offset: NDArray

    def room(self) -> Joint:
        """Make room to solve."""
        return Joint.blank(self.normal, ASKED + len(self.sums.weight))


@kernel(error_model="numpy")
def solve_for(
    question: Question, log_precision: NDArray, axis: NDArray, joint: Joint
) -> float:  # pragma: no cover - compiled
    """Eliminate all unknowns.

    Parameters
    ----------
    question : Question
    log_precision, axis : ndarray
        See `itslive_core.season.algebra.load`.
    joint : Joint
        From `Question.room`. Its corner from `BORDER` on, upper triangle, receives for the two components:
        what is left of their squares; beside them the estimates, negative; for the others: variances in
        units of the noise, negative.

    Returns
    -------
    float
        log of the determinant; NaN if the equations cannot be solved.
    """
    normal, sums, knots, kappa, offset = question
    load(normal, log_precision, axis, joint)
    rows, corner, size, width, passive = joint
    stride, data = width + 1 + BORDER + passive, width + 1 + BORDER
    for i in range(size):
        at = i * stride + data
        for k in range(2):
            rows[at + k] = normal.rhs[k, i]
            rows[at + 2 + k] = knots[k, i]
    for h in range(OVERTONES):
        for c in range(2):
            corner[3 + h, BORDER + c] = normal.corner[h, OVERTONES + c]
    corner[0, BORDER + 4], corner[1, BORDER + 5] = 1.0, 1.0
    corner[BORDER, BORDER], corner[BORDER, BORDER + 1] = normal.square[0], normal.square[1]
    corner[BORDER + 1, BORDER + 1] = normal.square[2]
    load_offsets(sums, kappa, offset, joint)
    determinant = eliminate(joint)
    if np.isnan(determinant):
        return determinant
    return determinant + eliminate_offsets(joint, len(sums.weight))


def season_share_of_offsets(joint: Joint, a: int) -> NDArray[np.float64]:
    """Give what a offsets add to the variance of mean sine and cosine [noise], shape (2, 2)."""
    first = BORDER + joint.passive - a
    part = joint.corner[BORDER + 4 : BORDER + ASKED, first:]
    share: NDArray[np.float64] = (part / np.diag(joint.corner)[first:]) @ part.T
    return share


def left_of(joint: Joint) -> NDArray[np.float64]:
    """Give what `solve_for` leaves of the corner for what is asked, symmetric, shape (ASKED, ASKED)."""
    upper = joint.corner[BORDER : BORDER + ASKED, BORDER : BORDER + ASKED]
    whole: NDArray[np.float64] = np.triu(upper) + np.triu(upper, 1).T
    return whole
