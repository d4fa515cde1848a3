"""What residuals say of the noise: its size in each mission, and how pairs that share an image correlate.

The noise of pair j of mission m has the variance scale_m^2 (formal_j^2 + floor_m^2 + (jitter_m / span_j)^2)
in each component: what the formal error says, what it does not know, and an error of the displacement.
Residuals are shorter than the noise because the series follows it; the variance of the fitted mean over each
span, the leverage, makes up for that. Scales are shrunk towards the common one by a few pairs' worth, and a
floor or a jitter is taken only if it improves the likelihood.

Pairs that share an image share its shadows, snow and geolocation. An image is counted once as the earlier
and once as the later of its pairs, as geolocation errors enter both with opposite signs. With correlation rho
between two such pairs, m pairs of an image hold the information of m / (1 + (m - 1) rho) independent ones
(the design effect of cluster sampling: Kish, 1965), and each gets that much less credit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CORE_VARIANCE", "give_credit", "image_correlation", "mission_noise"]

CORE_VARIANCE = 0.8897
"""Variance of a normal vector of two components as the bisquare sees it: E[u |r|^2 / 2] / E[u], with
u = (1 - x / 18)^2, x = |r|^2 / 2 exponential: (1 - 4/18 + 6/324) / (1 - 2/18 + 2/324)."""

_PSEUDO_PAIRS = 10.0
"""Pairs' worth of trust in the scale that all missions share."""
_WORTH = 2.0
"""A floor or a jitter must improve -2 log likelihood by this."""


class _Sample(NamedTuple):
    """The pairs of one mission that say something of its noise; see `mission_noise`."""

    formal: NDArray
    per_span: NDArray
    energy: NDArray
    u: NDArray
    n: int


@kernel(error_model="numpy")
def _scale_for(
    sample: _Sample, common: float, floor: float, jitter: float
) -> tuple[float, float]:  # pragma: no cover - compiled
    """Give -2 log likelihood and scale^2 of one mission for a floor^2 and a jitter^2."""
    formal, per_span, energy, u, n = sample
    logs, z, nu, expected = 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        v = formal[j] + floor + jitter * per_span[j]
        logs += u[j] * np.log(v)
        z += u[j] * energy[j] / v
        expected += u[j] * formal[j] / v
        nu += u[j]
    s = (_PSEUDO_PAIRS * common * expected / nu + z) / (_PSEUDO_PAIRS + nu)
    return 2.0 * (logs + nu * np.log(s)), s


@kernel(error_model="numpy")
def _noise_of(
    sample: _Sample, common: float, typical: float
) -> tuple[float, float, float]:  # pragma: no cover - compiled
    """Give scale^2, floor^2 and jitter^2 of one mission, for the scale and the formal error of all."""
    best, scale = _scale_for(sample, common, 0.0, 0.0)
    floor, jitter = 0.0, 0.0
    # One after the other, and the floor once more beside the jitter. Floors go from half to 128 times the
    # typical formal error in factors of two, jitters from 4 to 512 days of it.
    for part in range(3):
        for step in range(9 if part != 1 else 8):
            extra = floor if part == 1 else typical * 4.0 ** (step - 1)
            moving = typical * 4.0 ** (step + 2) if part == 1 else jitter
            if part == 2 and step == 0:
                extra = 0.0
            value, s = _scale_for(sample, common, extra, moving)
            if value < best - _WORTH:
                best, scale, floor, jitter = value, s, extra, moving
        if part == 1 and jitter == 0.0:
            break
    return scale, floor, jitter


@kernel(error_model="numpy")
def mission_noise(
    formal: NDArray,
    span: NDArray,
    mission: NDArray,
    energy: NDArray,
    u: NDArray,
    scale: NDArray,
    floor: NDArray,
    jitter: NDArray,
    variance: NDArray,
) -> None:  # pragma: no cover - compiled
    """Learn scale, floor and jitter of each mission.

    Parameters
    ----------
    formal : ndarray, shape (n,)
        Formal variance of each pair [m^2/yr^2].
    span : ndarray, shape (n,)
        [days]
    mission : ndarray of int64, shape (n,)
    energy : ndarray, shape (n,)
        Mean square of both residual components, plus the leverage's share [m^2/yr^2].
    u : ndarray, shape (n,)
        Robust weights.
    scale, floor, jitter : ndarray, shape (missions,)
        Receive scale^2, floor^2 and jitter^2 [m^2/yr^2 days^2]; NaN where a mission has no pairs.
    variance : ndarray, shape (n,)
        Receives scale^2 (formal^2 + floor^2 + (jitter / span)^2).
    """
    n = len(formal)
    square, weight = 0.0, 0.0
    for j in range(n):
        square += u[j] * energy[j] / formal[j]
        weight += u[j]
    common, typical = square / max(weight, 1e-300), median(formal)
    f, d, e, t = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for m in range(len(scale)):
        scale[m] = floor[m] = jitter[m] = np.nan
        k = 0
        for j in range(n):
            if mission[j] == m and u[j] > 0.0:
                f[k], d[k], e[k], t[k] = formal[j], 1.0 / (span[j] * span[j]), energy[j], u[j]
                k += 1
        if k > 0:
            scale[m], floor[m], jitter[m] = _noise_of(_Sample(f, d, e, t, k), common, typical)
    for j in range(n):
        m = mission[j]
        if not np.isnan(scale[m]):
            variance[j] = scale[m] * (formal[j] + floor[m] + jitter[m] * (1.0 / (span[j] * span[j])))


@kernel(error_model="numpy")
def image_correlation(
    first_image: NDArray,
    second_image: NDArray,
    images: int,
    rx: NDArray,
    ry: NDArray,
    variance: NDArray,
    u: NDArray,
) -> float:  # pragma: no cover - compiled
    """Estimate the correlation of the noise of two pairs that share an image, less one standard error.

    The mean product of normalised residuals over all such couples, over their mean square; both components.

    Parameters
    ----------
    first_image, second_image : ndarray of int64, shape (n,)
        Numbers of the images of each pair, below ``images``.
    images : int
    rx, ry : ndarray, shape (n,)
        Residuals [m/yr].
    variance : ndarray, shape (n,)
        Their variance [m^2/yr^2].
    u : ndarray, shape (n,)
        Robust weights.

    Returns
    -------
    float
        Between 0 and 0.5.
    """
    sums = np.zeros((3, images))
    squares, weight, alone, alone_weight = 0.0, 0.0, 0.0, 0.0
    for j in range(len(u)):
        s = np.sqrt(variance[j])
        x, y = u[j] * rx[j] / s, u[j] * ry[j] / s
        for image in (first_image[j], second_image[j]):
            sums[0, image] += x
            sums[1, image] += y
            sums[2, image] += u[j]
        squares += u[j] * (rx[j] * rx[j] + ry[j] * ry[j]) / variance[j]
        weight += u[j]
        alone += 2.0 * (x * x + y * y)
        alone_weight += 2.0 * u[j] * u[j]
    products, couples = -alone, -alone_weight
    for i in range(images):
        products += sums[0, i] ** 2 + sums[1, i] ** 2
        couples += sums[2, i] ** 2
    if not (couples > 1.0 and squares > 0.0):
        return 0.0
    rho = products / couples / (squares / weight)
    return min(max(rho - 1.0 / np.sqrt(couples), 0.0), 0.5)


@kernel(error_model="numpy")
def give_credit(
    first_image: NDArray, second_image: NDArray, images: int, u: NDArray, rho: float, credit: NDArray
) -> None:  # pragma: no cover - compiled
    """Write each pair's credit: the share of an independent pair that it is worth.

    Parameters
    ----------
    first_image, second_image : ndarray of int64, shape (n,)
    images : int
    u : ndarray, shape (n,)
        Robust weights.
    rho : float
        Correlation of two pairs that share an image.
    credit : ndarray, shape (n,)
        Receives 1 / (1 + rho (pairs with which the first image is shared + the same of the second)).
    """
    members = np.zeros(images)
    for j in range(len(u)):
        members[first_image[j]] += u[j]
        members[second_image[j]] += u[j]
    for j in range(len(u)):
        others = members[first_image[j]] + members[second_image[j]] - 2.0 * u[j]
        credit[j] = 1.0 / (1.0 + rho * others)
