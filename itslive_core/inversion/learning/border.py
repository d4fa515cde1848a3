"""What missions add to the motion of the ice: offsets, and positions that change with the season; compiled.

Pair j of mission m reads A_j v + o_m + s_m . g_j. The offset o_m is 0 for the reference mission. s_m are four
displacements [m]: shadows, snow and the state of the surface move what a satellite sees by

    s_1 cos t + s_2 sin t + s_3 cos 2t + s_4 sin 2t,      t the time of the year in radians,

so that a pair reads the difference of its two dates over its span: g_j is that of the four waves, in 1/yr.
What pairs of a year show of it is next to nothing, what those of weeks show is much. Both have normal priors
of mean 0, and are unknowns beside the series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.observations.missions import MISSIONS, missions_with_offset
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = [
    "WAVES",
    "BorderRows",
    "add_border_variances",
    "border_moments",
    "border_rows",
    "project_border",
    "season_waves",
    "take_border",
]

WAVES = 4
"""Displacements of a mission: cosine and sine of the year and of half of it."""


class BorderRows(NamedTuple):
    """Which unknowns beside the series a pair depends on, and how.

    Parameters
    ----------
    mission : ndarray of int64, shape (n,)
    offset_at, season_at : ndarray of int64, shape (missions,)
        Number of the unknown offset, and of the first displacement, of each mission; -1 if it has none.
    waves : ndarray, shape (n, 4)
        g of each pair [1/yr].
    is_season : ndarray of bool, shape (K,)
        Which unknowns are displacements.
    size : int
        Number of unknowns, K.
    """

    mission: NDArray
    offset_at: NDArray
    season_at: NDArray
    waves: NDArray
    is_season: NDArray
    size: int


def border_rows(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    mission: NDArray[np.int64],
    *,
    offsets: bool,
    season: bool,
) -> BorderRows:
    """Choose the unknowns beside the series of a pixel.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Dates [days since 1970-01-01].
    mission : ndarray of int64, shape (n,)
        Positions in `itslive_core.observations.missions.MISSIONS`.
    offsets, season : bool
        Which kinds there are.
    """
    counts = np.bincount(mission, minlength=len(MISSIONS))
    offset_at, season_at = np.full((2, len(MISSIONS)), -1, dtype=np.int64)
    n = 0
    for m in missions_with_offset(counts.astype(np.float64)) if offsets else ():
        offset_at[m] = n
        n += 1
    is_season = np.arange(n + WAVES * int((counts > 0).sum()) * season) >= n
    for m in np.flatnonzero(counts).tolist() if season else ():
        season_at[m] = n
        n += WAVES
    return BorderRows(mission, offset_at, season_at, season_waves(start, end), is_season, n)


def season_waves(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give g of each pair, shape (n, 4): what its velocity reads of displacements with the season [1/yr]."""
    per_year = DAYS_PER_YEAR / (end - start)
    ends = []
    for dates in (start, end):
        phase = 2.0 * np.pi / DAYS_PER_YEAR * dates
        cosine, sine = np.cos(phase), np.sin(phase)
        # Twice the angle: cos^2 - sin^2 and 2 sin cos cost less than two waves more.
        ends.append((cosine, sine, cosine * cosine - sine * sine, 2.0 * sine * cosine))
    waves = np.empty((len(start), WAVES))
    for k, (first, last) in enumerate(zip(*ends, strict=True)):
        waves[:, k] = (last - first) * per_year
    return waves


@kernel(error_model="numpy")
def project_border(
    spans: Spans, border: BorderRows, weights: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Form A'WB by running sums along the series.

    Parameters
    ----------
    spans : Spans
        n pairs.
    border : BorderRows
    weights : ndarray, shape (n,)
    out : ndarray, shape (M, K)
        Receives the columns side by side.
    """
    first, last, head, tail, rate = spans
    mission, offset_at, season_at, waves, _, _ = border
    cells, size = out.shape
    change = np.zeros((cells + 1, size))
    out[:] = 0.0
    for j in range(len(first)):
        m, p, q = mission[j], first[j], last[j]
        w = weights[j] if p == q else weights[j] * rate[j]
        f, g = (1.0, 0.0) if p == q else (head[j], tail[j])
        begin = season_at[m]
        if begin >= 0:
            for k in range(WAVES):
                a = w * waves[j, k]
                out[p, begin + k] += f * a
                out[q, begin + k] += g * a
                if q > p + 1:
                    change[p + 1, begin + k] += a
                    change[q, begin + k] -= a
        k = offset_at[m]
        if k >= 0:
            out[p, k] += f * w
            out[q, k] += g * w
            if q > p + 1:
                change[p + 1, k] += w
                change[q, k] -= w
    for c in range(cells):
        for k in range(size):
            if c > 0:
                change[c, k] += change[c - 1, k]
            out[c, k] += change[c, k]


@kernel(error_model="numpy")
def border_moments(
    border: BorderRows, weights: NDArray, vx: NDArray, vy: NDArray, square: NDArray, product: NDArray
) -> None:  # pragma: no cover - compiled
    """Form B'WB, shape (K, K), and B'W vx and B'W vy, shape (2, K)."""
    mission, offset_at, season_at, waves, _, _ = border
    square[:] = 0.0
    product[:] = 0.0
    for j in range(len(weights)):
        m, w = mission[j], weights[j]
        o, s = offset_at[m], season_at[m]
        if o >= 0:
            square[o, o] += w
            product[0, o] += w * vx[j]
            product[1, o] += w * vy[j]
        if s >= 0:
            for a in range(WAVES):
                wa = w * waves[j, a]
                product[0, s + a] += wa * vx[j]
                product[1, s + a] += wa * vy[j]
                if o >= 0:
                    square[o, s + a] += wa
                    square[s + a, o] += wa
                for b in range(WAVES):
                    square[s + a, s + b] += wa * waves[j, b]


@kernel(error_model="numpy")
def take_border(border: BorderRows, value: NDArray, residual: NDArray) -> None:  # pragma: no cover - compiled
    """Subtract B b from one component of residuals, in place; b has the shape (K,)."""
    mission, offset_at, season_at, waves, _, _ = border
    for j in range(len(residual)):
        o, s, total = offset_at[mission[j]], season_at[mission[j]], 0.0
        if o >= 0:
            total += value[o]
        if s >= 0:
            for k in range(WAVES):
                total += waves[j, k] * value[s + k]
        residual[j] -= total


@kernel(fastmath=FAST, error_model="numpy")
def add_border_variances(
    spans: Spans, border: BorderRows, root: NDArray, columns: NDArray, variance: NDArray
) -> None:  # pragma: no cover - compiled
    """Add |L' (B_j - H' A_j)|^2, what unknown b add to the variance of what each pair is expected to read.

    Parameters
    ----------
    spans : Spans
        n pairs.
    border : BorderRows
    root : ndarray, shape (K, K)
        L, with L L' the covariance of b.
    columns : ndarray, shape (M, K)
        H L, H = N^-1 A'WB.
    variance : ndarray, shape (n,)
        Is added to.
    """
    first, last, head, tail, rate = spans
    mission, offset_at, season_at, waves, _, _ = border
    cells, size = columns.shape
    total, mean = np.zeros((cells + 1, size)), np.empty(size)
    for c in range(cells):
        for k in range(size):
            total[c + 1, k] = total[c, k] + columns[c, k]
    for j in range(len(first)):
        p, q, s = first[j], last[j], rate[j]
        f, g, inner = s * head[j], s * tail[j], s
        if p == q:
            f, g, inner = 1.0, 0.0, 0.0
        after = min(p + 1, q)
        for k in range(size):
            mean[k] = f * columns[p, k] + g * columns[q, k] + inner * (total[q, k] - total[after, k])
        o, w = offset_at[mission[j]], season_at[mission[j]]
        if o >= 0:
            for k in range(size):
                mean[k] -= root[o, k]
        if w >= 0:
            a, b, c, d = waves[j, 0], waves[j, 1], waves[j, 2], waves[j, 3]
            for k in range(size):
                mean[k] -= a * root[w, k] + b * root[w + 1, k] + c * root[w + 2, k] + d * root[w + 3, k]
        added = 0.0
        for k in range(size):
            added += mean[k] * mean[k]
        variance[j] += added
