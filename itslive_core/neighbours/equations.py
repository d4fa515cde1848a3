"""The equations of pixels that are coupled to their neighbours: where they lie, and what each pixel adds.

Pixel p holds ``size[p]`` cells from ``cell0[p]`` on, none if it takes no part. Its vx and vy lie one after
the other in flat vectors, from ``2 * start[p]`` on; its band factor from ``place[p]`` on, with half-
bandwidth ``width[p]``.

Functions that work on pixels low:high may run side by side on other pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import PAD, Band, Inverse, factorise, selected_inverse
from itslive_core.bands.assembly import assemble, predict, project
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_gradient
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.solver import observations_of
from itslive_core.neighbours.kernels import PatchLayout, add_neighbours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from itslive_core.neighbours.quadrature import Quadrature

__all__ = [
    "Observed",
    "cell_ranges",
    "factor_pixels",
    "form_residual",
    "residual_products",
    "residuals_of",
    "variance_ratios",
]


class Observed(NamedTuple):
    """The weighted observations of P pixels.

    Parameters
    ----------
    spans : Spans
        Of all T pairs.
    offsets : ndarray of int64, shape (P + 1,)
        Where the observations of each pixel begin.
    pair : ndarray of int32, shape (n,)
        Pair of each observation, ascending in each pixel.
    vx, vy : ndarray, shape (n,)
        Observations less the offsets of their missions [m/yr].
    weights : ndarray, shape (n,)
        With which they entered the uncoupled solution, robust factors included.
    """

    spans: Spans
    offsets: NDArray[np.int64]
    pair: NDArray[np.int32]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    weights: NDArray[np.float64]

    def of_pixel(self, p: int) -> tuple[Spans, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Give spans, with cells counted from the first of the pixel, vx, vy and weights of one pixel."""
        here = slice(self.offsets[p], self.offsets[p + 1])
        return spans_of(self.spans, self.pair[here])[0], self.vx[here], self.vy[here], self.weights[here]


def cell_ranges(
    observed: Observed, takes_part: NDArray[np.bool_], least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the cells of every pixel.

    Parameters
    ----------
    observed : Observed
    takes_part : ndarray of bool, shape (P,)
    least : int
        Least half-bandwidth.

    Returns
    -------
    cell0, size, width : ndarray of int64, shape (P,)
        First cell, number of cells and half-bandwidth; 0 for pixels without observations or part.
    """
    counts = np.diff(observed.offsets)
    cell0, size, width = (np.zeros(len(counts), dtype=np.int64) for _ in range(3))
    some = np.flatnonzero(takes_part & (counts > 0))
    if len(some):
        pair = observed.pair[observations_of(observed.offsets, some)]
        first, last = observed.spans.first[pair], observed.spans.last[pair]
        begin = np.concatenate(([0], np.cumsum(counts[some])[:-1]))
        cell0[some] = np.minimum.reduceat(first, begin)
        size[some] = np.maximum.reduceat(last, begin) - cell0[some] + 1
        width[some] = np.maximum(np.maximum.reduceat(last - first, begin), least)
    return cell0, size, width


def _penalty(layout: PatchLayout, p: int) -> Penalty:
    """Give the penalty in time of one pixel."""
    start = layout.start[p]
    return Penalty(layout.order, layout.alpha[p], layout.shape[start : start + layout.size[p]])


def _band_of(layout: PatchLayout, p: int, room: NDArray[np.float64]) -> Band:
    """Place the band matrix of one pixel at the beginning of some room."""
    size, width = int(layout.size[p]), int(layout.width[p])
    return Band(room[: (size + 2) * (width + 1 + PAD)], size, width)


def _form_normal(observed: Observed, layout: PatchLayout, p: int, matrix: Band) -> None:
    """Form N_p, penalty included."""
    spans, vx, vy, weights = observed.of_pixel(p)
    matrix.entries.fill(0.0)
    assemble(spans, weights, vx, vy, matrix, np.empty((2, matrix.size)))
    add_penalty(matrix, _penalty(layout, p))


def _add_ties(layout: PatchLayout, p: int, amount: float, matrix: Band) -> None:
    """Add an amount for each neighbour to the diagonal, in the cells that both have."""
    stride = matrix.width + 1 + PAD
    diagonal = matrix.entries[: matrix.size * stride : stride]
    begin, end = layout.cell0[p], layout.cell0[p] + layout.size[p]
    for q in layout.neighbours[p]:
        if q >= 0:
            low, high = max(begin, layout.cell0[q]), min(end, layout.cell0[q] + layout.size[q])
            diagonal[low - begin : max(high, low) - begin] += amount


def _with_cells(layout: PatchLayout, low: int, high: int) -> Iterator[int]:
    """List the pixels of low:high that take part."""
    return iter((low + np.flatnonzero(layout.size[low:high])).tolist())


def factor_pixels(
    observed: Observed, layout: PatchLayout, mu2: float, bands: NDArray[np.float64], low: int, high: int
) -> int:
    """Factorise N_p + mu^2 deg_p of pixels low:high; return the number of those where that fails.

    Parameters
    ----------
    observed : Observed
    layout : PatchLayout
    mu2 : float
    bands : ndarray
        Receives the factors.
    low, high : int
    """
    failed = 0
    for p in _with_cells(layout, low, high):
        band = _band_of(layout, p, bands[layout.place[p] :])
        _form_normal(observed, layout, p, band)
        _add_ties(layout, p, mu2, band)
        failed += not factorise(band)
    return failed


def residuals_of(
    observed: Observed, layout: PatchLayout, p: int, x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Form what series leave of the observations of one pixel, shape (2, observations).

    Parameters
    ----------
    observed : Observed
    layout : PatchLayout
    p : int
        A pixel that takes part.
    x : ndarray, shape (2 * sum of sizes,)
    """
    spans, vx, vy, _ = observed.of_pixel(p)
    return _left(spans, vx, vy, _series(layout, p, x))


def _series(layout: PatchLayout, p: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """View the series of one pixel, shape (2, size)."""
    at, size = 2 * layout.start[p], layout.size[p]
    return x[at : at + 2 * size].reshape(2, size)


def _left(
    spans: Spans, vx: NDArray[np.float64], vy: NDArray[np.float64], now: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Subtract what a series says of pairs from observations, shape (2, n)."""
    left = np.empty((2, len(vx)))
    for row, values, series in zip(left, (vx, vy), now, strict=True):
        predict(spans, series, row)
        np.subtract(values, row, out=row)
    return left


def form_residual(
    observed: Observed,
    layout: PatchLayout,
    mu2: float,
    x: NDArray[np.float64],
    out: NDArray[np.float64],
    low: int,
    high: int,
) -> None:
    """Write b - A x, from residuals of the observations and differences: nothing large cancels.

    Parameters
    ----------
    observed : Observed
    layout : PatchLayout
    mu2 : float
    x, out : ndarray, shape (2 * sum of sizes,)
    low, high : int
    """
    for p in _with_cells(layout, low, high):
        spans, vx, vy, weights = observed.of_pixel(p)
        now, step, penalty = _series(layout, p, x), _series(layout, p, out), _penalty(layout, p)
        rx, ry = _left(spans, vx, vy, now)
        project(spans, weights, rx, ry, step)
        for series, gradient in zip(now, step, strict=True):
            penalty_gradient(series, penalty, gradient)
    add_neighbours(layout, mu2, x, out, low, high)


def variance_ratios(
    observed: Observed,
    layout: PatchLayout,
    mu2: float,
    wanted: NDArray[np.int64],
    quadrature: Quadrature,
    ratio: NDArray[np.float64],
    low: int,
    high: int,
) -> None:
    """Write the variance of each cell over that without neighbours.

    sum_k share_k diag (N_p + mu^2 node_k)^-1 over diag N_p^-1, where a node counts in each cell by the
    share of the neighbours that have it.

    Parameters
    ----------
    observed : Observed
    layout : PatchLayout
    mu2 : float
    wanted : ndarray of int, shape (W,)
        Pixels.
    quadrature : Quadrature
        Over the eigenvalues of the graph, as seen from these pixels.
    ratio : ndarray, shape (W, M)
        Receives the ratio in the cells of each pixel.
    low, high : int
        Rows to work on.
    """
    sizes, widths = layout.size[wanted[low:high]], layout.width[wanted[low:high]]
    # One room for all pixels: new memory for each took a fifth of the time.
    for_normal, for_tied = np.empty((2, int(((sizes + 2) * (widths + 1 + PAD)).max(initial=0))))
    for_inverse = np.empty(int(((sizes + 2) * (2 * widths + 1)).max(initial=0)))
    for row in range(low, high):
        p = int(wanted[row])
        size, first = int(layout.size[p]), layout.cell0[p]
        if size == 0:
            continue
        normal, tied = _band_of(layout, p, for_normal), _band_of(layout, p, for_tied)
        inverse = Inverse(for_inverse, size, normal.width)
        _form_normal(observed, layout, p, normal)
        neighbours = max(np.count_nonzero(layout.neighbours[p] >= 0), 1)
        together = np.zeros(size)
        for node, share in zip(quadrature.nodes[row], quadrature.shares[row], strict=True):
            if share != 0.0:
                np.copyto(tied.entries, normal.entries)
                _add_ties(layout, p, mu2 * node / neighbours, tied)
                together += share * _invert(tied, inverse)
        ratio[row, first : first + size] = together / _invert(normal, inverse)


def _invert(matrix: Band, inverse: Inverse) -> NDArray[np.float64]:
    """Make a factor of a matrix, write its inverse, and view its diagonal; NaN if not positive definite."""
    if not factorise(matrix):
        return np.full(matrix.size, np.nan)
    selected_inverse(matrix, inverse)
    full = 2 * matrix.width + 1
    return inverse.entries[matrix.width : matrix.size * full : full]


def residual_products(observed: Observed, layout: PatchLayout, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum products of normalised residuals of one pair at neighbouring pixels.

    Parameters
    ----------
    observed : Observed
    layout : PatchLayout
    x : ndarray, shape (2 * sum of sizes,)

    Returns
    -------
    ndarray, shape (2,)
        Sums of e_p . e_q and of (|e_p|^2 + |e_q|^2) / 2 over all edges and pairs, with e = sqrt(w) r of both
        components.
    """
    offsets = observed.offsets
    e = np.empty((2, len(observed.pair)))
    for p in _with_cells(layout, 0, len(layout.size)):
        e[:, offsets[p] : offsets[p + 1]] = residuals_of(observed, layout, p, x)
    e *= np.sqrt(observed.weights)
    out = np.zeros(2)
    for p, q in np.argwhere(layout.neighbours >= 0):
        other = layout.neighbours[p, q]
        if other > p:
            mine, its = (slice(offsets[k], offsets[k + 1]) for k in (p, other))
            _, i, j = np.intersect1d(
                observed.pair[mine], observed.pair[its], assume_unique=True, return_indices=True
            )
            a, b = e[:, mine][:, i], e[:, its][:, j]
            out += np.sum(a * b), 0.5 * np.sum(a**2 + b**2)
    return out
