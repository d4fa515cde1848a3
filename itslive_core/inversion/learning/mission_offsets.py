"""Offsets between missions as unknowns beside the series, with a shrinking prior, compiled.

Pair j of mission m reads A_j v + b_m. The reference mission has b = 0; the others have normal priors of
standard deviation tau. Given offsets found before, d stands for what they leave of the data, and b for the
correction to them. With C the columns A'W 1_m and B their weights,

    [ N   C          ] [v]   [A'Wd]
    [ C'  B + kappa I] [b] = [1_m'Wd - kappa b_before],        kappa = s^2 / tau^2,

is solved by the Schur complement S = B + kappa I - C'N^-1 C: b = S^-1 (1_m'Wd - kappa b_before - C'v_0),
v = v_0 - H b with H = N^-1 C, v_0 = N^-1 A'Wd. The variance of v is diag(N^-1) + diag(H S^-1 H').
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import Band, solve
from itslive_core.observations.missions import MISSIONS
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["TRUSTED", "active_missions", "solve_offsets"]

TRUSTED = np.array([MISSIONS.index(m) for m in ("S2", "L8_9", "L7", "L4_5", "S1", "other")])
"""Order in which a mission is preferred as the reference."""

_LEAST_SHARE = 0.1
_LEAST_PAIRS = 5.0


@kernel()
def active_missions(mission: NDArray, u: NDArray, column: NDArray) -> int:  # pragma: no cover - compiled
    """Give a number to each mission that gets an offset.

    The reference is the first trusted mission with a tenth of the pairs.

    Parameters
    ----------
    mission : ndarray of int, shape (n,)
    u : ndarray, shape (n,)
        Robust weights.
    column : ndarray of int64, shape (missions,)
        Receives the column of each mission; -1 without an offset.

    Returns
    -------
    int
        Number of columns.
    """
    counts = np.zeros(len(column))
    for j in range(len(mission)):
        counts[mission[j]] += u[j]
    reference = -1
    for m in TRUSTED:
        if reference < 0 and counts[m] >= _LEAST_SHARE * counts.sum():
            reference = m
    n = 0
    for m in range(len(column)):
        column[m] = -1
        if m != reference and counts[m] >= _LEAST_PAIRS:
            column[m] = n
            n += 1
    return n


@kernel(error_model="numpy")
def solve_offsets(
    spans: Spans, w: NDArray, vx: NDArray, vy: NDArray, mission: NDArray, column: NDArray, n: int,
    kappa: float, factor: Band, before: NDArray, now: NDArray, offset: NDArray, inverse: NDArray,
    extra: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Solve for the offsets and correct the series.

    Parameters
    ----------
    spans : Spans
        n pairs.
    w, vx, vy : ndarray, shape (n pairs,)
        Weights and observations.
    mission : ndarray of int, shape (n pairs,)
    column : ndarray of int64, shape (missions,)
        From `active_missions`.
    n : int
        Number of columns, at least 1.
    kappa : float
        Precision of the prior in units of the weights.
    factor : Band
        That of N.
    before : ndarray, shape (2, missions)
        Offsets that were taken from vx and vy.
    now : ndarray, shape (2, M)
        v_0 of both components; becomes v.
    offset : ndarray, shape (2, >= n)
        Receives b.
    inverse : ndarray, shape (>= n, >= n)
        Receives S^-1.
    extra : ndarray, shape (M,)
        Receives diag(H S^-1 H').
    """
    first, last, head, tail, rate = spans
    size = now.shape[1]
    c = np.zeros((n, size))
    schur = np.zeros((n, n))
    right = np.zeros((n, 2))
    for j in range(len(first)):
        m = column[mission[j]]
        if m < 0 or w[j] == 0.0:
            continue
        schur[m, m] += w[j]
        right[m, 0] += w[j] * vx[j]
        right[m, 1] += w[j] * vy[j]
        p, q = first[j], last[j]
        if p == q:
            c[m, p] += w[j]
            continue
        a = w[j] * rate[j]
        c[m, p] += a * head[j]
        for i in range(p + 1, q):
            c[m, i] += a
        c[m, q] += a * tail[j]
    h = c.copy()
    solve(factor, h)
    for m in range(len(column)):
        if column[m] >= 0:
            for k in range(2):
                right[column[m], k] -= kappa * before[k, m]
    for a in range(n):
        schur[a, a] += kappa
        for b in range(n):
            schur[a, b] -= np.dot(c[a], h[b])
        for k in range(2):
            right[a, k] -= np.dot(c[a], now[k])
    s = np.linalg.inv(schur)
    found = s @ right
    inverse[:n, :n] = s
    for k in range(2):
        for a in range(n):
            offset[k, a] = found[a, k]
            now[k] -= found[a, k] * h[a]
    extra[:] = 0.0
    for a in range(n):
        for d in range(n):
            for i in range(size):
                extra[i] += s[a, d] * h[a, i] * h[d, i]
