"""The interval of a speed: which true speeds an estimate is compatible with.

The length r of a vector of two components with normal errors of one standard deviation sigma is no normal
number: it is never negative, and noise makes it longer. Of a true speed nu, (r / sigma)^2 follows the
noncentral chi-square distribution with 2 degrees of freedom and noncentrality (nu / sigma)^2, so that r
follows that of Rice (1945, Bell System Technical Journal 24, 46-156,
doi:10.1002/j.1538-7305.1945.tb00453.x). Its quantiles, turned round, are the interval (Neyman, 1937,
doi:10.1098/rsta.1937.0005).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.band_level import BAND_LEVEL, BAND_REACH

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CLEAR_OF_NOISE", "speed_interval"]

_TAIL = (1.0 - BAND_LEVEL) / 2

CLEAR_OF_NOISE = float(np.sqrt(-2.0 * np.log(_TAIL)))
"""Speeds above so many standard deviations are not explained by a true speed of 0: there the lower limit
begins to be above 0. A true speed of 0 exceeds it with a probability of exp(-r^2 / 2) = 2.5 %."""

_TYPICAL_NOISE = float(np.sqrt(2.0 * np.log(2.0)))
"""Median of the estimates of a true speed of 0 [standard deviations]."""
_STEP, _LARGE = 0.01, 20.0
"""Distance of the nodes of the tables, and the ratio from which on the expansion for large ratios is taken:
both are right to 3e-4 standard deviations."""
_AT_ONCE = 16_384
"""Values at a time: what stays in a processor's cache is done several times as fast."""


class _Table(NamedTuple):
    """Squares of a limit at ``begin + i * _STEP``, and their differences; in standard deviations."""

    begin: float
    squares: NDArray[np.float64]
    steps: NDArray[np.float64]

    @classmethod
    def of(cls, begin: float, probability: float) -> _Table:
        """Find the true speeds for which lower estimates than each ratio have this probability."""
        from scipy.special import chndtrinc  # takes a while to load, and a light command needs no interval

        nodes = begin + _STEP * np.arange(int((_LARGE - begin) / _STEP) + 3)
        squares = np.round(chndtrinc(nodes**2, 2.0, probability), 12)  # 0 where it is rounding away from 0
        return cls(begin, squares, np.diff(squares))

    def at(self, ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate between squares, which unlike the limit itself have no vertical tangent at 0."""
        place = np.maximum(ratio - self.begin, 0.0)
        place *= 1.0 / _STEP
        node = place.astype(np.int32)
        place -= node
        place *= self.steps.take(node)
        place += self.squares.take(node)
        return np.sqrt(place, out=place)


@cache
def _tables() -> tuple[_Table, _Table]:
    return _Table.of(CLEAR_OF_NOISE, 1.0 - _TAIL), _Table.of(_TYPICAL_NOISE, _TAIL)


def speed_interval(v: NDArray, v_std: NDArray) -> tuple[NDArray, NDArray]:
    """Give the 95 % interval of the true speed.

    The lower limit is the least true speed of which so high an estimate is not among the highest 2.5 %: 0
    where even a true speed of 0 gives it (`CLEAR_OF_NOISE`). The upper limit is the largest true speed of
    which so low an estimate is not among the lowest 2.5 %.

    An estimate below 0.225 standard deviations is among the lowest 2.5 % of every true speed, and of an
    estimate a little above that hardly any true speed remains: luck would pass for precision. So the upper
    limit is never below that of an estimate of 1.18 standard deviations, the median of what a true speed of
    0 gives (a power-constrained limit: Cowan et al., 2011, arXiv:1105.3166), which is 2.86 standard
    deviations. The interval holds a true speed above 0 in at least 95 % of all cases, 0 in 97.5 %, and
    always the estimate.

    Parameters
    ----------
    v : ndarray
        Estimated speed [m/yr].
    v_std : ndarray
        Standard deviation of the velocity along the flow [m/yr].

    Returns
    -------
    v_lower, v_upper : ndarray
        [m/yr]; NaN where either is unknown.
    """
    v, v_std = np.broadcast_arrays(np.asarray(v, dtype=np.float64), np.asarray(v_std, dtype=np.float64))
    limits = np.empty((2, v.size))
    speed, std = v.reshape(-1), v_std.reshape(-1)
    for begin in range(0, v.size, _AT_ONCE):
        here = slice(begin, begin + _AT_ONCE)
        _limits(speed[here], std[here], limits[:, here])
    lower, upper = limits.reshape(2, *v.shape)
    return lower, upper


def _limits(v: NDArray[np.float64], v_std: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Write both limits, shape (2, n)."""
    near = v < _LARGE * v_std
    ratio = np.divide(v, v_std, out=np.zeros(v.shape), where=near)
    part = np.divide(v_std, v, out=np.zeros(v.shape), where=~near & (v > 0.0))  # 1 / ratio
    # With z the normal quantile, nu / sigma = r -+ z - 1 / (2 r) -+ z / (4 r^2) + O(1 / r^3).
    middle, reach = v - 0.5 * part * v_std, BAND_REACH * v_std * (1.0 + 0.25 * part**2)
    for limit, table, sign in zip(out, _tables(), (-1.0, 1.0), strict=True):
        limit[:] = np.where(near, table.at(ratio) * v_std, middle + sign * reach)
