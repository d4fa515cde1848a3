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

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.algebra import Inverse
    from itslive_core.bands.spans import Spans

__all__ = ["CORE_VARIANCE", "give_credit", "image_correlation", "leverage", "mission_noise"]

CORE_VARIANCE = 0.8897
"""Variance of a normal vector of two components as the bisquare sees it: E[u |r|^2 / 2] / E[u], with
u = (1 - x / 18)^2, x = |r|^2 / 2 exponential: (1 - 4/18 + 6/324) / (1 - 2/18 + 2/324)."""

_PSEUDO_PAIRS = 10.0
"""Pairs' worth of trust in the scale that all missions share."""
_WORTH = 2.0
"""A floor or a jitter must improve -2 log likelihood by this."""


@kernel(error_model="numpy")
def leverage(spans: Spans, inverse: Inverse, out: NDArray) -> None:  # pragma: no cover - compiled
    """Form a_j' Z a_j for every pair in O(n + M b), from running sums over the selected inverse.

    Parameters
    ----------
    spans : Spans
        Rows a_j.
    inverse : Inverse
        Z, of M cells.
    out : ndarray, shape (n,)
    """
    first, last, head, tail, rate = spans
    z, size, width = inverse
    full = 2 * width + 1
    # square[a, d]: sum over rows and columns a .. a + d; right[a, d]: over row a, columns a .. a + d;
    # left[c, d]: over column c, rows c - d .. c.
    square = np.zeros((size, width + 1))
    right = np.zeros((size, width + 1))
    left = np.zeros((size, width + 1))
    for a in range(size - 1, -1, -1):
        at = a * full + width
        square[a, 0] = right[a, 0] = left[a, 0] = z[at]
        for d in range(1, min(width, size - 1 - a) + 1):
            right[a, d] = right[a, d - 1] + z[at + d]
            inner = square[a + 1, d - 2] if d >= 2 else 0.0
            square[a, d] = square[a, d - 1] + square[a + 1, d - 1] - inner + 2.0 * z[at + d]
        for d in range(1, min(width, a) + 1):
            left[a, d] = left[a, d - 1] + z[at - d]
    for j in range(len(first)):
        p, q = first[j], last[j]
        if p == q:
            out[j] = z[p * full + width]
            continue
        f, g, between = head[j], tail[j], q - p - 1
        zp, zq = right[p, 0], right[q, 0]
        total = f * f * zp + g * g * zq + 2.0 * f * g * z[p * full + width + q - p]
        if between > 0:
            total += square[p + 1, between - 1]
            total += 2.0 * f * (right[p, between] - zp) + 2.0 * g * (left[q, between] - zq)
        out[j] = max(rate[j] * rate[j] * total, 0.0)


@kernel(error_model="numpy")
def _scale_for(
    formal: NDArray,
    per_span: NDArray,
    energy: NDArray,
    u: NDArray,
    common: float,
    floor: float,
    jitter: float,
) -> tuple[float, float]:  # pragma: no cover - compiled
    """Give -2 log likelihood and scale^2 of one mission for a floor^2 and a jitter^2."""
    logs, z, nu, expected = 0.0, 0.0, 0.0, 0.0
    for j in range(len(formal)):
        v = formal[j] + floor + jitter * per_span[j]
        logs += u[j] * np.log(v)
        z += u[j] * energy[j] / v
        expected += u[j] * formal[j] / v
        nu += u[j]
    s = (_PSEUDO_PAIRS * common * expected / nu + z) / (_PSEUDO_PAIRS + nu)
    return 2.0 * (logs + nu * np.log(s)), s


@kernel(error_model="numpy")
def mission_noise(
    formal: NDArray, span: NDArray, mission: NDArray, energy: NDArray, u: NDArray, scale: NDArray,
    floor: NDArray, jitter: NDArray, variance: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Learn scale, floor and jitter of each mission.

    Parameters
    ----------
    formal : ndarray, shape (n,)
        Formal variance of each pair [m^2/yr^2].
    span : ndarray, shape (n,)
        [days]
    mission : ndarray of int, shape (n,)
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
    per_span = 1.0 / (span * span)
    common = (u * energy / formal).sum() / max(u.sum(), 1e-300)
    typical = np.median(formal)
    scale[:] = np.nan
    floor[:] = np.nan
    jitter[:] = np.nan
    for m in range(len(scale)):
        here = np.flatnonzero((mission == m) & (u > 0.0))
        if len(here) == 0:
            continue
        f, d, e, t = formal[here], per_span[here], energy[here], u[here]
        best, scale[m] = _scale_for(f, d, e, t, common, 0.0, 0.0)
        floor[m] = jitter[m] = 0.0
        # One after the other, and the floor once more beside the jitter. Floors go from half to 128 times the
        # typical formal error in factors of two, jitters from 4 to 512 days of it.
        for part in range(3):
            for step in range(9 if part != 1 else 8):
                extra = floor[m] if part == 1 else typical * 4.0 ** (step - 1)
                moving = typical * 4.0 ** (step + 2) if part == 1 else jitter[m]
                if part == 2 and step == 0:
                    extra = 0.0
                value, s = _scale_for(f, d, e, t, common, extra, moving)
                if value < best - _WORTH:
                    best, scale[m], floor[m], jitter[m] = value, s, extra, moving
            if part == 1 and jitter[m] == 0.0:
                break
    for j in range(n):
        m = mission[j]
        if not np.isnan(scale[m]):
            variance[j] = scale[m] * (formal[j] + floor[m] + jitter[m] * per_span[j])


@kernel(error_model="numpy")
def image_correlation(
    first_image: NDArray, second_image: NDArray, images: int, rx: NDArray, ry: NDArray, variance: NDArray,
    u: NDArray,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Estimate the correlation of the noise of two pairs that share an image, less one standard error.

    The mean product of normalised residuals over all such couples, over their mean square; both components.

    Parameters
    ----------
    first_image, second_image : ndarray of int, shape (n,)
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
    first_image, second_image : ndarray of int, shape (n,)
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
