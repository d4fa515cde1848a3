"""What one pixel's fit is made of: residuals, robust weights, refinement of stiff solutions; compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import Band, solve
from itslive_core.bands.assembly import predict, project
from itslive_core.bands.penalty import Penalty, penalty_gradient
from itslive_core.inversion.solver import RAYLEIGH_MEDIAN, TUKEY_WIDTH
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["enough", "refine", "residuals", "reweight"]


@kernel()
def enough(span_id: NDArray, pair: NDArray, needed: int) -> bool:  # pragma: no cover - compiled
    """Tell whether there are at least `needed` pairs with distinct (start, end)."""
    seen = np.empty(needed, dtype=np.int64)
    n = 0
    for j in range(len(pair)):
        new = True
        for i in range(n):
            if seen[i] == span_id[pair[j]]:
                new = False
                break
        if new:
            seen[n] = span_id[pair[j]]
            n += 1
            if n == needed:
                return True
    return False


@kernel()
def reweight(weights: NDArray, rx: NDArray, ry: NDArray, u: NDArray) -> None:  # pragma: no cover - compiled
    """Give Tukey's bisquare weights of vector residuals; all 1 if their scale is 0."""
    m = np.empty(len(u))
    for j in range(len(u)):
        m[j] = np.sqrt(weights[j] * (rx[j] * rx[j] + ry[j] * ry[j]))
    limit = TUKEY_WIDTH * np.median(m) / RAYLEIGH_MEDIAN
    for j in range(len(u)):
        if limit == 0.0:
            u[j] = 1.0
        elif m[j] < limit:
            t = m[j] / limit
            u[j] = (1.0 - t * t) ** 2
        else:
            u[j] = 0.0


@kernel()
def residuals(
    spans: Spans, vx: NDArray, vy: NDArray, now: NDArray, rx: NDArray, ry: NDArray
) -> None:  # pragma: no cover - compiled
    """Form what the series ``now``, shape (2, M), leaves of the observations: rx = vx - A now_x, and ry."""
    predict(spans, now[0], rx)
    predict(spans, now[1], ry)
    for j in range(len(rx)):
        rx[j] = vx[j] - rx[j]
        ry[j] = vy[j] - ry[j]


@kernel()
def refine(
    spans: Spans,
    w: NDArray,
    vx: NDArray,
    vy: NDArray,
    penalty: Penalty,
    factor: Band,
    now: NDArray,
    rx: NDArray,
    ry: NDArray,
) -> None:  # pragma: no cover - compiled
    """Improve a solution under a stiff penalty by iterative refinement.

    Adding a large penalty to A'WA rounds the data away. The gradient of the objective, taken from residuals
    and differences of the solution, does not suffer from that.
    """
    step = np.empty((2, now.shape[1]))
    for _ in range(5):
        project(spans, w, rx, ry, step)
        penalty_gradient(now[0], penalty, step[0])
        penalty_gradient(now[1], penalty, step[1])
        solve(factor, step)
        now += step
        residuals(spans, vx, vy, now, rx, ry)
        if np.abs(step).max() <= 1e-12 * np.abs(now).max():
            break
