"""How the neighbours of a pixel with few pairs move: the mean that its own pairs are held against.

A pixel does not borrow speed, but it may expect to speed up when its neighbours do. Each of its companions,
pixels with many pairs, says how its velocity along its flow departs from its median, as a share of it. Their
mean g(t), weighted by how alike and how near they are and by how well they know it, is the expected course:

    v(t) = a L + a c g(t) + rest(t),      c ~ N(L, (L / 2)^2),

a the direction and L the level of the pixel's own pairs. L and c come from them by weighted least squares;
a c g(t) is taken from the pairs, the rest is estimated as any series is, and both are added. What does not
fit shrinks c, and the rest takes what is left. To the variance belong that of c and of the mean of the
companions:

    var(c) g^2 + c^2 V / n_eff,

V their weighted variance and n_eff their effective number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Companion", "ExpectedCourse", "Motion", "expect_course"]

_CLEAR = 3.0
"""A direction is known where the speed is this many standard deviations from zero."""
_LEAST = 0.02
"""No companion's course is taken to be known better than this, as a share of its speed."""
_SCATTER = 0.5
"""Standard deviation of c / L."""


class Companion(NamedTuple):
    """What a pixel with many pairs says of the course of its velocity.

    Parameters
    ----------
    relative : ndarray, shape (M,)
        Departure of the velocity along its flow from its median, as a share of that; NaN where no pair is.
    variance : ndarray, shape (M,)
        Its variance.
    """

    relative: NDArray[np.float64]
    variance: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], std: NDArray[np.float64]) -> Companion | None:
        """Read a series, shape (2, M), and its standard deviations; None where it has no clear direction."""
        seen = np.isfinite(values).all(axis=0) & np.isfinite(std).all(axis=0)
        if not seen.any():
            return None
        mean = np.median(values[:, seen], axis=1)
        speed = float(np.hypot(*mean))
        if not speed > 0.0:
            return None
        along = mean / speed
        v, variance = along @ values, along**2 @ std**2
        middle = float(np.median(v[seen]))
        if not middle > _CLEAR * float(np.sqrt(np.median(variance[seen]))):
            return None
        return cls(v / middle - 1.0, variance / middle**2)


@dataclass(frozen=True, eq=False)
class Motion:
    """The mean course of companions.

    Parameters
    ----------
    first : int
        Cell of the first value, counted from 1970-01-01.
    course : ndarray, shape (M,)
        g; 0 where no companion was seen.
    variance : ndarray, shape (M,)
        V / n_eff.
    """

    first: int
    course: NDArray[np.float64]
    variance: NDArray[np.float64]

    @classmethod
    def of(cls, first: int, companions: Sequence[Companion], nearness: Sequence[float]) -> Motion:
        """Average companions.

        Parameters
        ----------
        first : int
        companions : sequence of Companion
            One or more, on the same cells.
        nearness : sequence of float
            Weight of each: how alike and how near it is.
        """
        relative = np.array([one.relative for one in companions])
        variance = np.array([one.variance for one in companions])
        seen = np.isfinite(relative) & np.isfinite(variance)
        weight = np.where(seen, np.asarray(nearness)[:, None], 0.0)
        weight = np.divide(weight, variance + _LEAST**2, out=np.zeros_like(weight), where=seen)
        relative, variance = np.where(seen, relative, 0.0), np.where(seen, variance, 0.0)
        total = np.maximum(weight.sum(axis=0), 1e-300)
        share = weight / total
        course = (share * relative).sum(axis=0)
        apart = (share * (relative - course) ** 2).sum(axis=0)
        # What they are off themselves is a part of how they differ, and with one of them all that is known.
        apart = np.maximum(apart, (share * variance).sum(axis=0))
        return cls(first, course, apart * (share**2).sum(axis=0))

    def at(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give course and variance at cells counted from 1970-01-01; 0 beyond the companions."""
        number = cells - self.first
        inside = (number >= 0) & (number < len(self.course))
        number = np.clip(number, 0, len(self.course) - 1)
        return np.where(inside, self.course[number], 0.0), np.where(inside, self.variance[number], 0.0)


class ExpectedCourse(NamedTuple):
    """What a pixel expects of its neighbours' course.

    Parameters
    ----------
    along : ndarray, shape (2,)
        a.
    size : float
        c [m/yr].
    variance : float
        Of c [m^2/yr^2].
    """

    along: NDArray[np.float64]
    size: float
    variance: float


def expect_course(
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    course: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> ExpectedCourse | None:
    """Fit level and size to the pairs of a pixel; None where it has no clear direction.

    Parameters
    ----------
    vx, vy : ndarray, shape (n,)
        Velocities of pairs [m/yr].
    course : ndarray, shape (n,)
        Mean of g over the span of each.
    weights : ndarray, shape (n,)
        1 / variance, times trust and credit.
    """
    total = float(weights.sum())
    mean = np.array([weights @ vx, weights @ vy]) / total
    speed = float(np.hypot(*mean))
    if not speed > 0.0:
        return None
    along = mean / speed
    y = along[0] * vx + along[1] * vy
    # Level and size, of which the size has a prior; the level is that of the first look.
    rows = np.stack([np.ones(len(y)), course])
    normal = (rows * weights) @ rows.T
    normal[1, 1] += 1.0 / (_SCATTER * speed) ** 2
    right = (rows * weights) @ y
    right[1] += speed / (_SCATTER * speed) ** 2
    inverse = np.linalg.inv(normal)
    level, size = inverse @ right
    residual = y - level - size * course
    # The rest, which is not noise, scatters the pairs too.
    scatter = max(float(weights @ residual**2) / max(len(y) - 2.0, 1.0), 1.0)
    if not level > _CLEAR * np.sqrt(scatter * inverse[0, 0]):
        return None
    variance = min(scatter * float(inverse[1, 1]), (_SCATTER * speed) ** 2)
    return ExpectedCourse(along, float(size), variance)
