"""Mean and trend of a pixel, integrated over what is not known of the change of its background."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.season.algebra import BORDER, FLAT, Joint
from itslive_core.season.functionals import Question, solve_for
from itslive_core.season.kernels import CHANGES
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Background", "integrate_background", "student_factor"]


class Background(NamedTuple):
    """Mean and trend over the covered months.

    Parameters
    ----------
    mean : ndarray, shape (2,)
        Of both components, less what was taken off the data [m/yr].
    mean_variance : float
        Along the flow [m^2/yr^2].
    trend, trend_variance : float
        Along the flow [m/yr^2], [m^2/yr^4].
    """

    mean: NDArray[np.float64]
    mean_variance: float
    trend: float
    trend_variance: float


def integrate_background(
    question: Question,
    along: NDArray[np.float64],
    worth: float,
    log_precision: NDArray[np.float64],
    axis: NDArray[np.float64],
    speed: float,
) -> Background | None:
    """Integrate over the standard deviation rho of the background's steps from year to year.

    Its prior is flat for small rho and like 1 / rho^2 beyond the speed itself (half a Cauchy distribution:
    Gelman, 2006, doi:10.1214/06-BA117A): few years tell little of rho, and where it is small by chance an
    error that trusts it is too small.

    Parameters
    ----------
    question : Question
    along : ndarray, shape (2,)
        Direction of the flow.
    worth : float
        Independent pairs that the data are worth.
    log_precision, axis : ndarray
        See `itslive_core.season.algebra.load`; the first precision is integrated over.
    speed : float
        [m/yr]

    Returns
    -------
    Background
        None if the equations cannot be solved.
    """
    nodes = np.full((len(CHANGES), 6), np.nan)
    _background_at(question, along, worth - FLAT, log_precision, axis, speed, question.room(), nodes)
    nodes = nodes[np.isfinite(nodes[:, 0])]
    if len(nodes) == 0:
        return None
    level, mean_x, mean_y, trend, mean_variance, trend_variance = nodes.T
    share = np.exp(level - level.max())
    share /= share.sum()
    mean = np.array([share @ mean_x, share @ mean_y])
    apart = along[0] * (mean_x - mean[0]) + along[1] * (mean_y - mean[1])
    slope, student = float(share @ trend), student_factor(worth)
    return Background(
        mean,
        float(student * (share @ mean_variance) + share @ apart**2),
        slope,
        float(student * (share @ trend_variance) + share @ (trend - slope) ** 2),
    )


def student_factor(worth: float) -> float:
    """Give the variance of a Student distribution over that of the normal one whose scale is learnt.

    Parameters
    ----------
    worth : float
        Independent pairs from which it is learnt.
    """
    free = worth - FLAT
    return free / max(free - 2.0, 1.0)


@kernel(error_model="numpy")
def _background_at(
    question: Question,
    along: NDArray,
    free: float,
    log_precision: NDArray,
    axis: NDArray,
    speed: float,
    joint: Joint,
    nodes: NDArray,
) -> None:  # pragma: no cover - compiled
    """Write log posterior, mean, trend and variances for each node of `CHANGES`; NaN where there are none."""
    ax, ay, corner, at = along[0], along[1], joint.corner, np.empty(4)
    for k in range(4):
        at[k] = log_precision[k]
    x, y, mean, slope = BORDER, BORDER + 1, BORDER + 2, BORDER + 3
    for g in range(len(CHANGES)):
        at[0] = -2.0 * CHANGES[g]
        determinant = solve_for(question, at, axis, joint)
        if np.isnan(determinant):
            continue
        squares = ax * ax * corner[x, x] + 2.0 * ax * ay * corner[x, y] + ay * ay * corner[y, y]
        scatter = max(squares / free, 1e-300)
        rho = np.sqrt(scatter) * 10.0 ** CHANGES[g]
        ratio = rho / max(speed, 1e-12 * np.sqrt(scatter))
        value = free * np.log(scatter) + determinant - np.log(10.0) * question.normal.years * at[0]
        nodes[g, 0] = -0.5 * value + np.log(10.0) * CHANGES[g] - np.log1p(ratio * ratio)
        nodes[g, 1], nodes[g, 2] = -corner[x, mean], -corner[y, mean]
        nodes[g, 3] = -(ax * corner[x, slope] + ay * corner[y, slope])
        nodes[g, 4], nodes[g, 5] = -scatter * corner[mean, mean], -scatter * corner[slope, slope]
