"""What residuals say of the noise: its size in each mission, and how pairs that share an image correlate.

The noise of pair j of mission m is a Student t in both components at once, of the scale

    sigma_j^2 = scale_m^2 (formal_j^2 + floor_m^2 + (jitter_m / span_j)^2):

what the formal error says, what it does not know, and an error of the displacement. By the EM algorithm for
the t distribution (Lange, Little and Taylor, 1989, doi:10.1080/01621459.1989.10478852) a pair has the weight

    u_j = (nu + 2) / (nu + |r_j|^2 / sigma_j^2),

r_j its residual, studentised by the pull that it has on its own fit. No pair is ever thrown away: three that
agree with each other are heard however far they are from the others. Residuals are shorter than the noise
because the series follows it; the variance of the fitted mean over each span makes up for that. Scales are
shrunk towards the common one by a few pairs' worth, and a floor or a jitter is taken only if it improves the
likelihood.

Pairs that share an image share its shadows, snow and geolocation. An image is counted once as the earlier
and once as the later of its pairs, as geolocation errors enter both with opposite signs. With correlation rho
between two such pairs, m pairs of an image hold the information of m / (1 + (m - 1) rho) independent ones
(the design effect of cluster sampling: Kish, 1965), and each gets that much less credit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.student import FREEDOM, student_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.algebra import Inverse
    from itslive_core.bands.spans import Spans

__all__ = [
    "INFORMATION",
    "Images",
    "give_credit",
    "image_correlation",
    "mission_noise",
    "scale_noise",
    "trust",
]

INFORMATION = (FREEDOM + 2.0) / (FREEDOM + 4.0)
"""What a pair of the scale sigma tells of the mean, over 1 / sigma^2: Fisher's information of a t of two
components. A pair of normal noise of the variance sigma^2 / INFORMATION tells as much."""

_U = np.uint64
_IN_PRODUCT = 16
"""Variances over formal ones whose product has one logarithm: it stays a number up to 10^19 each."""
_PSEUDO_PAIRS = 10.0
"""Pairs' worth of trust in the scale that all missions share."""
_WORTH = 2.0
"""A floor or a jitter must improve -2 log likelihood by this, the price of a number after Akaike (1974)."""
_MOST_CORRELATION = 0.5


class _Sample(NamedTuple):
    """The n pairs of one mission that say something of its noise; see `mission_noise`.

    Parameters
    ----------
    by_floor, by_jitter : ndarray, shape (>= n,)
        By how much the variance over the formal one grows with floor^2 and with jitter^2.
    square : ndarray, shape (>= n,)
        Energy over the formal variance, times the weight.
    n : int
    """

    by_floor: NDArray
    by_jitter: NDArray
    square: NDArray
    n: int


@kernel(error_model="numpy")
def trust(variance: NDArray, pull: NDArray, r: NDArray, u: NDArray) -> None:  # pragma: no cover - compiled
    """Write the weights u of Student's t.

    Parameters
    ----------
    variance : ndarray, shape (n,)
        sigma^2 [m^2/yr^2].
    pull : ndarray, shape (2, n)
        Share of each residual's variance that the fit takes away, below 1.
    r : ndarray, shape (2, n)
        Residuals [m/yr].
    u : ndarray, shape (n,)
    """
    for j in range(len(u)):
        square = r[0, j] * r[0, j] / (1.0 - pull[0, j]) + r[1, j] * r[1, j] / (1.0 - pull[1, j])
        u[j] = student_weight(square / variance[j])


@kernel(fastmath=FAST, error_model="numpy")
def _scale_for(
    sample: _Sample, common: float, floor: float, jitter: float
) -> tuple[float, float]:  # pragma: no cover - compiled
    """Give -2 log likelihood and scale^2 of one mission for a floor^2 and a jitter^2."""
    by_floor, by_jitter, square, n = sample
    logs, z, expected = 0.0, 0.0, 0.0
    for first in range(0, n, _IN_PRODUCT):
        product = 1.0
        for j in range(_U(first), _U(min(first + _IN_PRODUCT, n))):
            ratio = 1.0 + floor * by_floor[j] + jitter * by_jitter[j]
            share = 1.0 / ratio
            product *= ratio
            z += square[j] * share
            expected += share
        # One logarithm for many numbers: they take most of the time.
        logs += np.log(product)
    s = (_PSEUDO_PAIRS * common * expected / n + z) / (_PSEUDO_PAIRS + n)
    return 2.0 * (logs + n * np.log(s)), s


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
        Weights from `trust`.
    scale, floor, jitter : ndarray, shape (missions,)
        Receive scale^2, floor^2 and jitter^2 [m^2/yr^2 days^2]; NaN where a mission has no pairs.
    variance : ndarray, shape (n,)
        Receives scale^2 (formal^2 + floor^2 + (jitter / span)^2).
    """
    n = len(formal)
    square = 0.0
    for j in range(n):
        square += u[j] * energy[j] / formal[j]
    common, typical = square / n, median(formal)
    sample = np.empty((3, n))
    for m in range(len(scale)):
        scale[m] = floor[m] = jitter[m] = np.nan
        k = 0
        for j in range(n):
            if mission[j] == m:
                share = 1.0 / formal[j]
                sample[0, k], sample[1, k] = share, share / (span[j] * span[j])
                sample[2, k] = u[j] * energy[j] * share
                k += 1
        if k > 0:
            scale[m], floor[m], jitter[m] = _noise_of(
                _Sample(sample[0], sample[1], sample[2], k), common, typical
            )
    for j in range(n):
        m = mission[j]
        if not np.isnan(scale[m]):
            variance[j] = scale[m] * (formal[j] + floor[m] + jitter[m] * (1.0 / (span[j] * span[j])))


def scale_noise(
    expected: NDArray[np.float64],
    worth: NDArray[np.float64],
    mission: NDArray[np.int64],
    energy: NDArray[np.float64],
    u: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Give the factor of each mission by which its noise is larger than expected, shape (missions,).

    The mean of u energy / variance is 1 where the variance is right; it is shrunk to 1 by ``worth`` pairs.

    Parameters
    ----------
    expected : ndarray, shape (n,)
        Variance of the noise [m^2/yr^2].
    worth : ndarray, shape (missions,)
        Pairs' worth of trust in it.
    mission : ndarray of int64, shape (n,)
    energy, u : ndarray, shape (n,)
        As for `mission_noise`.
    """
    count = np.bincount(mission, minlength=len(worth))
    square = np.bincount(mission, weights=u * energy / expected, minlength=len(worth))
    trusted = np.maximum(worth, _PSEUDO_PAIRS)
    out: NDArray[np.float64] = (trusted + square) / (trusted + count)
    return out


class Images(NamedTuple):
    """The pairs of a pixel by the images that they share.

    Parameters
    ----------
    first, second : ndarray of int64, shape (n,)
        Numbers of the earlier and of the later image of each pair, below `number`.
    order : ndarray of int64, shape (2, n)
        Pairs in the order of their earlier, and of their later images.
    number : int
    """

    first: NDArray
    second: NDArray
    order: NDArray
    number: int

    @classmethod
    def of(cls, first: NDArray[np.int64], second: NDArray[np.int64], count: int) -> Images:
        """Sort the pairs by their images."""
        order = np.stack([np.argsort(image, kind="stable") for image in (first, second)])
        return cls(first, second, order, count)


@kernel(fastmath=FAST, error_model="numpy")
def _quadratic(inverse: Inverse, row: NDArray, low: int, high: int) -> float:  # pragma: no cover - compiled
    """Give a'Z a for a row that is 0 outside the cells low .. high, which the band holds."""
    z, width, total = inverse.entries, inverse.width, 0.0
    full = 2 * width + 1
    for a in range(low, high + 1):
        own = row[a]
        if own == 0.0:
            continue
        end = min(high, a + width)
        base, part = a * full + width - a, 0.0
        for b in range(a + 1, end + 1):
            part += row[b] * z[base + b]
        total += own * (own * z[base + a] + 2.0 * part)
    return total


@kernel(error_model="numpy")
def image_correlation(
    images: Images,
    spans: Spans,
    inverses: tuple[Inverse, Inverse],
    r: NDArray,
    leverage: NDArray,
    variance: NDArray,
    u: NDArray,
) -> float:  # pragma: no cover - compiled
    """Estimate the correlation of the noise of two pairs that share an image, less one standard error.

    The expected mean product of the normalised errors of all such couples, over their mean square; both
    components. An error is the residual and what the fit may be off, so that E[e_i e_j] = r_i r_j + a_i' Z
    a_j: without the second term what pairs share and the series follows would not be seen.

    Parameters
    ----------
    images : Images
    spans : Spans
        n rows a.
    inverses : tuple of Inverse
        Z of each component: the posterior covariance of the series.
    r, leverage : ndarray, shape (2, n)
        Residuals [m/yr], and a_j' Z a_j of each pair [m^2/yr^2].
    variance : ndarray, shape (n,)
        Variance of the noise [m^2/yr^2].
    u : ndarray, shape (n,)
        Weights from `trust`.

    Returns
    -------
    float
        Between 0 and 0.5.
    """
    first, last, head, tail, rate = spans
    n, cells = len(u), inverses[0].size
    row = np.zeros(cells)
    products, couples, squares, weight = 0.0, 0.0, 0.0, 0.0
    for side in range(2):
        image, order = images.first if side == 0 else images.second, images.order[side]
        begin = 0
        while begin < n:
            end = begin
            while end < n and image[order[end]] == image[order[begin]]:
                end += 1
            if end - begin > 1:
                low, high, sx, sy, members, own = cells, -1, 0.0, 0.0, 0.0, 0.0
                for at in range(begin, end):
                    j = order[at]
                    w, p, q = u[j] / np.sqrt(variance[j]), first[j], last[j]
                    low, high = min(low, p), max(high, q)
                    if p == q:
                        row[p] += w
                    else:
                        row[p] += w * rate[j] * head[j]
                        row[q] += w * rate[j] * tail[j]
                        for c in range(p + 1, q):
                            row[c] += w * rate[j]
                    sx += w * r[0, j]
                    sy += w * r[1, j]
                    members += u[j]
                    square = r[0, j] * r[0, j] + r[1, j] * r[1, j] + leverage[0, j] + leverage[1, j]
                    square *= w * w
                    own += square
                    squares += square / u[j]
                    weight += u[j]
                    couples -= u[j] * u[j]
                products += sx * sx + sy * sy - own
                for k in range(2):
                    products += _quadratic(inverses[k], row, low, high)
                for c in range(low, high + 1):
                    row[c] = 0.0
                couples += members * members
            begin = end
    if not (couples > 1.0 and squares > 0.0):
        return 0.0
    rho = products / couples / (squares / weight)
    return min(max(rho - 1.0 / np.sqrt(couples), 0.0), _MOST_CORRELATION)


@kernel(error_model="numpy")
def give_credit(
    images: Images, u: NDArray, rho: float, credit: NDArray
) -> None:  # pragma: no cover - compiled
    """Write each pair's credit: the share of an independent pair that it is worth.

    Parameters
    ----------
    images : Images
    u : ndarray, shape (n,)
        Weights from `trust`.
    rho : float
        Correlation of two pairs that share an image.
    credit : ndarray, shape (n,)
        Receives 1 / (1 + rho (pairs with which the first image is shared + the same of the second)).
    """
    members = np.zeros(images.number)
    for j in range(len(u)):
        members[images.first[j]] += u[j]
        members[images.second[j]] += u[j]
    for j in range(len(u)):
        others = members[images.first[j]] + members[images.second[j]] - 2.0 * u[j]
        credit[j] = 1.0 / (1.0 + rho * others)
