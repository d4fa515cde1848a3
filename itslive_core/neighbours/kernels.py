"""Conjugate gradients over pixels that are coupled to their neighbours, compiled.

Where a pixel's cells lie is told by `PatchLayout`. Kernels that work on pixels low:high may run side by side
on other pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from itslive_core.bands.algebra import FAST, PAD, Band, solve
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Iterate",
    "PatchLayout",
    "Preconditioner",
    "add_neighbours",
    "correct_red",
    "eliminate",
    "next_direction",
    "red_product",
]


class PatchLayout(NamedTuple):
    """Where the cells of P pixels lie, how they are smoothed in time, and who their neighbours are.

    Parameters
    ----------
    cell0, size : ndarray of int64, shape (P,)
        First cell and number of cells; none where a pixel takes no part.
    width : ndarray of int64, shape (P,)
        Half-bandwidth of N_p.
    start : ndarray of int64, shape (P,)
        vx and vy of a pixel lie one after the other in flat vectors, from ``2 * start`` on.
    place : ndarray of int64, shape (P + 1,)
        Where the band factor of each pixel begins, and the end of the last one.
    order : int
        Order k of the penalised difference in time.
    alpha : ndarray, shape (P,)
        (lambda / h^k)^2.
    shape : ndarray, shape (sum of sizes,)
        Factor of each difference, from ``start`` on.
    neighbours : ndarray of int64, shape (P, 4)
        Numbers of the neighbours; -1 where there is none.
    red : ndarray of bool, shape (P,)
        Pixels of one colour of a chequerboard: all neighbours of a red one are black.
    """

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


class Preconditioner(NamedTuple):
    """Band factors of P_p = N_p + mu^2 deg_p.

    Parameters
    ----------
    layout : PatchLayout
    bands : ndarray
        One factor after the other.
    mu2 : float
        mu^2.
    """

    layout: PatchLayout
    bands: NDArray
    mu2: float


class Iterate(NamedTuple):
    """State of conjugate gradients for the red pixels, as flat vectors; black pixels' places hold zeros.

    Parameters
    ----------
    change : ndarray
        What is to be added to the series.
    residual : ndarray
        g, what is left of the right-hand side.
    scaled : ndarray
        z = P^-1 g.
    direction : ndarray
        d, in which the next step goes.
    image : ndarray
        P d.
    product : ndarray
        Product of d and the matrix that is left when black pixels are eliminated.
    """

    change: NDArray
    residual: NDArray
    scaled: NDArray
    direction: NDArray
    image: NDArray
    product: NDArray


@kernel(fastmath=FAST)
def _add_to_pixel(
    layout: PatchLayout, p: int, factor: float, own: float, x: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Add factor * sum over the neighbours of p of (x_q - own x_p), in the cells that both have, to out."""
    size, cell0, at = layout.size[p], layout.cell0[p], 2 * layout.start[p]
    for k in range(layout.neighbours.shape[1]):
        q = layout.neighbours[p, k]
        if q < 0:
            continue
        size_q = layout.size[q]
        shift = cell0 - layout.cell0[q]
        low = max(0, -shift)
        high = min(size, size_q - shift)
        if high <= low:
            continue
        for c in range(2):
            here = at + c * size + low
            there = 2 * layout.start[q] + c * size_q + shift + low
            mine, now = out[here : here + high - low], x[here : here + high - low]
            other = x[there : there + high - low]
            for i in range(high - low):
                mine[i] += factor * (other[i] - own * now[i])


@kernel(fastmath=FAST)
def add_neighbours(
    layout: PatchLayout, factor: float, x: NDArray, out: NDArray, low: int, high: int
) -> None:  # pragma: no cover - compiled
    """Add factor * sum over neighbours of (x_q - x_p), cell by cell, to out, for pixels low:high.

    Parameters
    ----------
    layout : PatchLayout
    factor : float
    x, out : ndarray, shape (2 * sum of sizes,)
    low, high : int
    """
    for p in range(low, high):
        _add_to_pixel(layout, p, factor, 1.0, x, out)


@kernel(fastmath=FAST)
def _precondition(
    preconditioner: Preconditioner, p: int, residual: NDArray, out: NDArray
) -> float:  # pragma: no cover - compiled
    """Solve for one pixel in place, out = P^-1 out, and return residual . out over its cells."""
    layout = preconditioner.layout
    size, width, at, place = layout.size[p], layout.width[p], 2 * layout.start[p], layout.place[p]
    own, mine = out[at : at + 2 * size], residual[at : at + 2 * size]
    factor = Band(preconditioner.bands[place : place + (size + 2) * (width + 1 + PAD)], size, width)
    solve(factor, own.reshape(2, size))
    total = 0.0
    for i in range(2 * size):
        total += mine[i] * own[i]
    return total


@kernel(fastmath=FAST)
def eliminate(
    preconditioner: Preconditioner, share: float, r: NDArray, d: NDArray, w: NDArray, low: int, high: int
) -> float:  # pragma: no cover - compiled
    """Solve black pixels for given red ones: w = P^-1 (share r + mu^2 sum of d over neighbours).

    Parameters
    ----------
    preconditioner : Preconditioner
    share : float
    r, d : ndarray, shape (2 * sum of sizes,)
    w : ndarray, shape (2 * sum of sizes,)
        Written at black pixels.
    low, high : int

    Returns
    -------
    float
        r . w over them.
    """
    layout = preconditioner.layout
    total = 0.0
    for p in range(low, high):
        if layout.red[p] or layout.size[p] == 0:
            continue
        for i in range(2 * layout.start[p], 2 * (layout.start[p] + layout.size[p])):
            w[i] = share * r[i]
        _add_to_pixel(layout, p, preconditioner.mu2, 0.0, d, w)
        total += _precondition(preconditioner, p, r, w)
    return total


@kernel(fastmath=FAST)
def red_product(
    layout: PatchLayout, factor: float, w: NDArray, iterate: Iterate, low: int, high: int
) -> float:  # pragma: no cover - compiled
    """Write image + factor * sum of w over neighbours to the product at red pixels.

    Parameters
    ----------
    layout : PatchLayout
    factor : float
    w : ndarray, shape (2 * sum of sizes,)
        At black pixels.
    iterate : Iterate
        Its product is written.
    low, high : int

    Returns
    -------
    float
        direction . product over them.
    """
    d, image, product = iterate.direction, iterate.image, iterate.product
    total = 0.0
    for p in range(low, high):
        if not layout.red[p] or layout.size[p] == 0:
            continue
        begin, end = 2 * layout.start[p], 2 * (layout.start[p] + layout.size[p])
        for i in range(begin, end):
            product[i] = image[i]
        _add_to_pixel(layout, p, factor, 0.0, w, product)
        for i in range(begin, end):
            total += d[i] * product[i]
    return total


@kernel(fastmath=FAST)
def correct_red(
    preconditioner: Preconditioner, step: float, iterate: Iterate, low: int, high: int
) -> float:  # pragma: no cover - compiled
    """Go a step in the direction at red pixels, and bring residual and z up to date; return g . z over them.

    Parameters
    ----------
    preconditioner : Preconditioner
    step : float
    iterate : Iterate
        Changed in place.
    low, high : int
    """
    layout = preconditioner.layout
    change, g, z = iterate.change, iterate.residual, iterate.scaled
    d, product = iterate.direction, iterate.product
    total = 0.0
    for p in range(low, high):
        if not layout.red[p] or layout.size[p] == 0:
            continue
        for i in range(2 * layout.start[p], 2 * (layout.start[p] + layout.size[p])):
            change[i] += step * d[i]
            g[i] -= step * product[i]
            z[i] = g[i]
        total += _precondition(preconditioner, p, g, z)
    return total


@kernel(fastmath=FAST)
def next_direction(
    layout: PatchLayout, beta: float, iterate: Iterate, low: int, high: int
) -> None:  # pragma: no cover - compiled
    """Write d = z + beta d, and its image g + beta P d, at red pixels.

    Parameters
    ----------
    layout : PatchLayout
    beta : float
    iterate : Iterate
        Changed in place.
    low, high : int
    """
    g, z, d, image = iterate.residual, iterate.scaled, iterate.direction, iterate.image
    for p in range(low, high):
        if not layout.red[p]:
            continue
        for i in range(2 * layout.start[p], 2 * (layout.start[p] + layout.size[p])):
            d[i] = z[i] + beta * d[i]
            image[i] = g[i] + beta * image[i]
