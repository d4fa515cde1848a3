"""What a solution says of pairs, compiled: residuals, and the variance of the fit over each span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import Inverse
from itslive_core.bands.span_variance import span_variances
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["fit_of_pairs", "variance_of_pairs"]


@kernel(error_model="numpy")
def fit_of_pairs(
    spans: Spans,
    y: NDArray,
    columns: NDArray,
    t: NDArray,
    sensitivity: NDArray,
    beta: NDArray,
    residuals: NDArray,
    slopes: NDArray,
) -> None:  # pragma: no cover - compiled
    """Average a solution over spans.

    Parameters
    ----------
    spans : Spans
        N pairs.
    y : ndarray, shape (N,)
    columns : ndarray, shape (r, N)
        Border.
    t, sensitivity : ndarray, shape (M,), (r, M)
        The series, and what a unit of beta takes from it.
    beta : ndarray, shape (r,)
    residuals : ndarray, shape (N,)
        Receives y less the means and less the border's part.
    slopes : ndarray, shape (r, N)
        Receives what a unit of beta changes in all.
    """
    first, last, head, tail, rate = spans
    size, r = len(t), len(sensitivity)
    total = np.empty((size + 1, 1 + r))  # running sums, side by side as each pair needs all of them
    for c in range(1 + r):
        total[0, c] = 0.0
    for i in range(size):
        total[i + 1, 0] = total[i, 0] + t[i]
        for c in range(r):
            total[i + 1, 1 + c] = total[i, 1 + c] + sensitivity[c, i]
    for j in range(len(first)):
        p, q = first[j], last[j]
        if p == q:
            residuals[j] = y[j] - t[p]
            for c in range(r):
                slopes[c, j] = columns[c, j] - sensitivity[c, p]
        else:
            f, g, s = head[j], tail[j], rate[j]
            residuals[j] = y[j] - s * (f * t[p] + (total[q, 0] - total[p + 1, 0]) + g * t[q])
            for c in range(r):
                inside = total[q, 1 + c] - total[p + 1, 1 + c]
                mean = s * (f * sensitivity[c, p] + inside + g * sensitivity[c, q])
                slopes[c, j] = columns[c, j] - mean
        for c in range(r):
            residuals[j] -= beta[c] * columns[c, j]


@kernel(error_model="numpy")
def variance_of_pairs(
    spans: Spans, data: NDArray, size: int, slopes: NDArray, beta_cov: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Give the variance of what a solution says of pairs.

    Parameters
    ----------
    spans : Spans
        N pairs.
    data : ndarray, shape (>= M, 2 reach + 1)
        Of `Selected`.
    size : int
        M.
    slopes : ndarray, shape (r, N)
        From `fit_of_pairs`.
    beta_cov : ndarray, shape (r, r)
    out : ndarray, shape (N,)
        Receives the variances.
    """
    r = len(slopes)
    inverse = Inverse(data.reshape(-1), size, (data.shape[1] - 1) // 2)
    span_variances(inverse, np.arange(size), spans, out)
    for j in range(len(out)):
        total = 0.0
        for a in range(r):
            part = 0.5 * beta_cov[a, a] * slopes[a, j]
            for b in range(a + 1, r):
                part += beta_cov[a, b] * slopes[b, j]
            total += 2.0 * slopes[a, j] * part
        out[j] += total
