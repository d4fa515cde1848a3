"""Pixels coupled to their neighbours: operators, preconditioner and conjugate gradients, compiled.

Pixel p holds ``size[p]`` cells from ``cell0[p]`` on, none if it takes no part. Its vx and vy lie one after
the other in flat vectors, from ``2 * start[p]`` on; its band factor from ``place[p]`` on, with half-
bandwidth ``width[p]``. ``neighbours``, shape (P, 4), holds pixel numbers, -1 where there is none. ``red``
tells the pixels of one colour of a chequerboard: all neighbours of a red one are black.

Kernels that work on pixels low:high may run side by side on other pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import (
    FAST,
    PAD,
    Band,
    blank_band,
    blank_inverse,
    factorise,
    selected_inverse,
    solve,
)
from itslive_core.bands.assembly import assemble, project
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_gradient
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.pixel_fit import residuals
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Layout",
    "Observed",
    "correct_red",
    "eliminate",
    "factor_pixels",
    "find_ranges",
    "form_residual",
    "neighbour_products",
    "next_direction",
    "red_product",
    "score_pixels",
    "spread_ratio",
]


class Observed(NamedTuple):
    """Rows of the span operator, and the weighted observations of P pixels."""

    spans: Spans
    offsets: NDArray
    pair: NDArray
    vx: NDArray
    vy: NDArray
    weights: NDArray


class Layout(NamedTuple):
    """Where the cells of each pixel lie, how they are smoothed in time, and who its neighbours are."""

    cell0: NDArray
    size: NDArray
    width: NDArray
    start: NDArray
    place: NDArray
    order: int
    alpha: NDArray
    shape: NDArray
    neighbours: NDArray
    red: NDArray


@kernel()
def find_ranges(
    spans: Spans,
    offsets: NDArray,
    pair: NDArray,
    takes_part: NDArray,
    order: int,
    cell0: NDArray,
    size: NDArray,
    width: NDArray,
) -> None:  # pragma: no cover - compiled
    """Find the first cell, the number of cells and the half-bandwidth of every pixel; 0 where it has none."""
    for p in range(len(offsets) - 1):
        cell0[p] = size[p] = width[p] = 0
        if not takes_part[p] or offsets[p + 1] == offsets[p]:
            continue
        here = pair[offsets[p] : offsets[p + 1]]
        low, high, wide = spans.first[here[0]], spans.last[here[0]], order
        for j in here:
            low, high = min(low, spans.first[j]), max(high, spans.last[j])
            wide = max(wide, spans.last[j] - spans.first[j])
        cell0[p], size[p], width[p] = low, high - low + 1, wide


@kernel()
def _rows(seen: Observed, p: int) -> tuple[Spans, NDArray, NDArray, NDArray]:  # pragma: no cover - compiled
    """Give spans, with cells counted from the first of the pixel, values and weights of one pixel."""
    i0, i1 = seen.offsets[p], seen.offsets[p + 1]
    spans = spans_of(seen.spans, seen.pair[i0:i1])[0]
    return spans, seen.vx[i0:i1], seen.vy[i0:i1], seen.weights[i0:i1]


@kernel(error_model="numpy")
def _penalty(layout: Layout, p: int) -> Penalty:  # pragma: no cover - compiled
    """Give the penalty in time of one pixel."""
    shape = layout.shape[layout.start[p] : layout.start[p] + layout.size[p]]
    return Penalty(layout.order, layout.alpha[p], shape)


@kernel(error_model="numpy")
def _normal(seen: Observed, layout: Layout, p: int, matrix: Band) -> None:  # pragma: no cover - compiled
    """Form N_p, penalty included."""
    spans, vx, vy, w = _rows(seen, p)
    matrix.entries[:] = 0.0
    assemble(spans, w, vx, vy, matrix, np.empty((2, matrix.size)))
    add_penalty(matrix, _penalty(layout, p))


@kernel()
def _factor(layout: Layout, bands: NDArray, p: int) -> Band:  # pragma: no cover - compiled
    """Give the place of the factor of one pixel."""
    size, width = layout.size[p], layout.width[p]
    here = bands[layout.place[p] : layout.place[p] + (size + 2) * (width + 1 + PAD)]
    return Band(here, size, width)


@kernel()
def _overlap(layout: Layout, p: int, q: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Give the cells that two pixels share, as counted by the first one; the second may be missing."""
    if q < 0:
        return 0, 0
    low = max(layout.cell0[p], layout.cell0[q])
    high = min(layout.cell0[p] + layout.size[p], layout.cell0[q] + layout.size[q])
    return low - layout.cell0[p], max(high, low) - layout.cell0[p]


@kernel()
def _tie(layout: Layout, p: int, amount: float, matrix: Band) -> None:  # pragma: no cover - compiled
    """Add an amount for each neighbour to the diagonal, in the cells that both have."""
    band, stride = matrix.entries, matrix.width + 1 + PAD
    for q in layout.neighbours[p]:
        low, high = _overlap(layout, p, q)
        for i in range(low, high):
            band[i * stride] += amount


@kernel()
def factor_pixels(
    seen: Observed, layout: Layout, mu2: float, bands: NDArray, low: int, high: int
) -> int:  # pragma: no cover - compiled
    """Factorise N_p + mu^2 deg_p of pixels low:high; return the number of those where that fails.

    Parameters
    ----------
    seen : Observed
    layout : Layout
    mu2 : float
    bands : ndarray
        Receives the factors.
    low, high : int
    """
    failed = 0
    for p in range(low, high):
        if layout.size[p] == 0:
            continue
        band = _factor(layout, bands, p)
        _normal(seen, layout, p, band)
        _tie(layout, p, mu2, band)
        if not factorise(band):
            failed += 1
    return failed


@kernel(fastmath=FAST)
def _add_neighbours(
    layout: Layout, p: int, factor: float, own: float, x: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Add factor * sum over the neighbours of p of (x_q - own x_p), cell by cell, to out."""
    size, at = layout.size[p], 2 * layout.start[p]
    for q in layout.neighbours[p]:
        low, high = _overlap(layout, p, q)
        if high <= low:
            continue
        shift = layout.cell0[p] - layout.cell0[q]
        there, size_q = 2 * layout.start[q], layout.size[q]
        for k in range(2):
            mine = out[at + k * size + low : at + k * size + high]
            now = x[at + k * size + low : at + k * size + high]
            first = there + k * size_q + shift + low
            other = x[first : first + high - low]
            for i in range(high - low):
                mine[i] += factor * (other[i] - own * now[i])


@kernel()
def form_residual(
    seen: Observed, layout: Layout, mu2: float, x: NDArray, out: NDArray, low: int, high: int
) -> None:  # pragma: no cover - compiled
    """Write b - A x, from residuals of the observations and differences: nothing large cancels.

    Parameters
    ----------
    seen : Observed
    layout : Layout
    mu2 : float
    x, out : ndarray, shape (2 * sum of sizes,)
    low, high : int
    """
    for p in range(low, high):
        size, at = layout.size[p], 2 * layout.start[p]
        if size == 0:
            continue
        spans, vx, vy, w = _rows(seen, p)
        now, step = x[at : at + 2 * size].reshape(2, size), out[at : at + 2 * size].reshape(2, size)
        rx, ry = np.empty(len(w)), np.empty(len(w))
        residuals(spans, vx, vy, now, rx, ry)
        project(spans, w, rx, ry, step)
        for k in range(2):
            penalty_gradient(now[k], _penalty(layout, p), step[k])
        _add_neighbours(layout, p, mu2, 1.0, x, out)


@kernel(fastmath=FAST)
def eliminate(
    layout: Layout, bands: NDArray, mu2: float, share: float, r: NDArray, d: NDArray, w: NDArray, low: int,
    high: int,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Solve black pixels for given red ones: w = P^-1 (share r + mu^2 sum of d over neighbours).

    Parameters
    ----------
    layout : Layout
    bands : ndarray
        From `factor_pixels`; P is N_p + mu^2 deg_p.
    mu2, share : float
    r, d : ndarray, shape (2 * sum of sizes,)
    w : ndarray, shape (2 * sum of sizes,)
        Written at black pixels.
    low, high : int

    Returns
    -------
    float
        r . w over them.
    """
    total = 0.0
    for p in range(low, high):
        size, at = layout.size[p], 2 * layout.start[p]
        if layout.red[p] or size == 0:
            continue
        own, mine = w[at : at + 2 * size], r[at : at + 2 * size]
        for i in range(2 * size):
            own[i] = share * mine[i]
        _add_neighbours(layout, p, mu2, 0.0, d, w)
        solve(_factor(layout, bands, p), own.reshape(2, size))
        for i in range(2 * size):
            total += mine[i] * own[i]
    return total


@kernel(fastmath=FAST)
def red_product(
    layout: Layout, mu2: float, q: NDArray, w: NDArray, d: NDArray, out: NDArray, low: int, high: int
) -> float:  # pragma: no cover - compiled
    """Write q - mu^2 sum of w over neighbours at red pixels, and return its product with d over them.

    Parameters
    ----------
    layout : Layout
    mu2 : float
    q, w, d : ndarray, shape (2 * sum of sizes,)
    out : ndarray, shape (2 * sum of sizes,)
    low, high : int
    """
    total = 0.0
    for p in range(low, high):
        size, at = layout.size[p], 2 * layout.start[p]
        if not layout.red[p] or size == 0:
            continue
        out[at : at + 2 * size] = q[at : at + 2 * size]
        _add_neighbours(layout, p, -mu2, 0.0, w, out)
        mine, other = out[at : at + 2 * size], d[at : at + 2 * size]
        for i in range(2 * size):
            total += mine[i] * other[i]
    return total


@kernel(fastmath=FAST)
def correct_red(
    layout: Layout, bands: NDArray, step: float, d: NDArray, product: NDArray, x: NDArray, g: NDArray,
    z: NDArray, low: int, high: int,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Go a step at red pixels: x + step d, g - step product, z = P^-1 g; return g . z over them.

    Parameters
    ----------
    layout : Layout
    bands : ndarray
    step : float
    d, product : ndarray, shape (2 * sum of sizes,)
    x, g, z : ndarray, shape (2 * sum of sizes,)
        Changed in place.
    low, high : int
    """
    total = 0.0
    for p in range(low, high):
        size, at = layout.size[p], 2 * layout.start[p]
        if not layout.red[p] or size == 0:
            continue
        here = slice(at, at + 2 * size)
        dp, pp, xp, gp, zp = d[here], product[here], x[here], g[here], z[here]
        for i in range(2 * size):
            xp[i] += step * dp[i]
            gp[i] -= step * pp[i]
            zp[i] = gp[i]
        solve(_factor(layout, bands, p), zp.reshape(2, size))
        for i in range(2 * size):
            total += gp[i] * zp[i]
    return total


@kernel(fastmath=FAST)
def next_direction(
    layout: Layout, beta: float, z: NDArray, g: NDArray, d: NDArray, q: NDArray, low: int, high: int
) -> None:  # pragma: no cover - compiled
    """Write d = z + beta d and q = g + beta q, which is P d, at red pixels; parameters as above."""
    for p in range(low, high):
        if not layout.red[p]:
            continue
        for i in range(2 * layout.start[p], 2 * (layout.start[p] + layout.size[p])):
            d[i] = z[i] + beta * d[i]
            q[i] = g[i] + beta * q[i]


@kernel(error_model="numpy")
def spread_ratio(
    seen: Observed, layout: Layout, mu2: float, wanted: NDArray, nodes: NDArray, shares: NDArray,
    ratio: NDArray, low: int, high: int,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Write the variance of each cell over that without neighbours.

    sum_k share_k diag (N_p + mu^2 node_k)^-1 over diag N_p^-1, where a node counts in each cell by the
    share of the neighbours that have it.

    Parameters
    ----------
    seen : Observed
    layout : Layout
    mu2 : float
    wanted : ndarray of int, shape (W,)
        Pixels.
    nodes, shares : ndarray, shape (W, K)
        Quadrature over the eigenvalues of the pixels' graph, see `coupled`.
    ratio : ndarray, shape (W, M)
        Receives the ratio in the cells of each pixel.
    low, high : int
        Rows to work on.
    """
    for row in range(low, high):
        p = wanted[row]
        size, width = layout.size[p], layout.width[p]
        if size == 0:
            continue
        full = 2 * width + 1
        normal, band, inverse = blank_band(size, width), blank_band(size, width), blank_inverse(size, width)
        _normal(seen, layout, p, normal)
        n = 0
        for q in layout.neighbours[p]:
            n += q >= 0
        alone, together = np.empty(size), np.zeros(size)
        for k in range(-1, nodes.shape[1]):
            if k >= 0 and shares[row, k] == 0.0:
                continue
            band.entries[:] = normal.entries
            if k >= 0 and n > 0:
                _tie(layout, p, mu2 * nodes[row, k] / n, band)
            if not factorise(band):
                together[:] = np.nan
                break
            selected_inverse(band, inverse)
            for i in range(size):
                if k < 0:
                    alone[i] = inverse.entries[i * full + width]
                else:
                    together[i] += shares[row, k] * inverse.entries[i * full + width]
        for i in range(size):
            ratio[row, layout.cell0[p] + i] = together[i] / alone[i]


@kernel(error_model="numpy")
def score_pixels(
    seen: Observed, layout: Layout, x: NDArray, held: NDArray
) -> float:  # pragma: no cover - compiled
    """Sum the weighted squares of what x leaves of the observations of some pairs.

    Parameters
    ----------
    seen : Observed
    layout : Layout
    x : ndarray, shape (2 * sum of sizes,)
    held : ndarray of bool, shape (T,)
        The pairs.
    """
    total = 0.0
    for p in range(len(layout.size)):
        size, at, i0 = layout.size[p], 2 * layout.start[p], seen.offsets[p]
        if size == 0:
            continue
        spans, vx, vy, w = _rows(seen, p)
        rx, ry = np.empty(len(w)), np.empty(len(w))
        residuals(spans, vx, vy, x[at : at + 2 * size].reshape(2, size), rx, ry)
        for j in range(len(w)):
            if held[seen.pair[i0 + j]]:
                total += w[j] * (rx[j] * rx[j] + ry[j] * ry[j])
    return total


@kernel(error_model="numpy")
def neighbour_products(
    seen: Observed, layout: Layout, x: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Sum products of normalised residuals of one pair at neighbouring pixels.

    Parameters
    ----------
    seen : Observed
        Pairs of each pixel in ascending order.
    layout : Layout
    x : ndarray, shape (2 * sum of sizes,)
    out : ndarray, shape (2,)
        Receives the sums of e_p e_q and of (e_p^2 + e_q^2) / 2 over all edges, pairs and components, with
        e = sqrt(w) r.
    """
    n = len(seen.pair)
    ex, ey = np.empty(n), np.empty(n)
    for p in range(len(layout.size)):
        size, at, i0 = layout.size[p], 2 * layout.start[p], seen.offsets[p]
        if size == 0:
            continue
        spans, vx, vy, w = _rows(seen, p)
        i1 = i0 + len(w)
        residuals(spans, vx, vy, x[at : at + 2 * size].reshape(2, size), ex[i0:i1], ey[i0:i1])
        for j in range(len(w)):
            ex[i0 + j] *= np.sqrt(w[j])
            ey[i0 + j] *= np.sqrt(w[j])
    out[:] = 0.0
    for p in range(len(layout.size)):
        for q in layout.neighbours[p]:
            if q <= p:
                continue
            i, j = seen.offsets[p], seen.offsets[q]
            while i < seen.offsets[p + 1] and j < seen.offsets[q + 1]:
                if seen.pair[i] < seen.pair[j]:
                    i += 1
                elif seen.pair[i] > seen.pair[j]:
                    j += 1
                else:
                    out[0] += ex[i] * ex[j] + ey[i] * ey[j]
                    out[1] += 0.5 * (ex[i] ** 2 + ey[i] ** 2 + ex[j] ** 2 + ey[j] ** 2)
                    i += 1
                    j += 1
