"""Pixels coupled to their neighbours: one quadratic problem over a patch of pixels, on the CPU.

Minimised over the series v_p of all pixels of a patch, with weights, robust factors, lambda and offsets held:

    sum_p [ sum_j w_pj (A_j v_p - d_pj)^2 + v_p' R_p v_p ] + mu^2 sum_(p,q) |v_p - v_q|^2

over the edges (p, q) between 4-neighbours and the cells that both have, R_p being the penalty in time. With
N_p the matrix of one pixel alone and L the Laplacian of the graph, the normal equations are (blockdiag N_p
+ mu^2 L x I) v = b.

Neighbours lie on fields of different colour of a chequerboard. So with P_p = N_p + mu^2 deg_p, of which each
pixel holds the band factor, the black pixels follow from the red ones by one solve each, and are eliminated;
what is left for the red ones is solved by conjugate gradients with the preconditioner blockdiag P_p, in half
as many iterations as all together would take (Hestenes and Stiefel, 1952, doi:10.6028/jres.049.044; Hageman
and Young, 1981, "Applied Iterative Methods").

**Variance.** If all pixels had the same N, the variance of pixel p were s^2 sum_k c_k diag (N + mu^2
t_k)^-1 with t_k the eigenvalues of L and c_k the squares of their vectors at p. A quadrature with three
nodes replaces this sum: that of Lanczos' method started at p, with its lowest node put at a fixed place
(Golub and Meurant, 2010, "Matrices, Moments and Quadrature with Applications"). Each pixel uses its own N.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import PAD
from itslive_core.bands.spans import Spans
from itslive_core.neighbours.kernels import (
    Layout,
    Observed,
    correct_red,
    eliminate,
    factor_pixels,
    find_ranges,
    form_residual,
    neighbour_products,
    next_direction,
    red_product,
    score_pixels,
    spread_ratio,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from itslive_core.observations.time_grid import SpanOperator

__all__ = [
    "MOST_ITERATIONS",
    "TOLERANCE",
    "CoupledPixels",
    "CoupledSolution",
    "graph_quadrature",
    "in_rounds",
]

TOLERANCE = 1e-5
"""Residual at which the iterations stop, as a share of what coupling starts from."""

MOST_ITERATIONS = 500
"""Most iterations of conjugate gradients between two times that the residual is formed from the data."""

_ROUNDS = 4
"""Times that the residual is formed anew from the data, in case rounding held the iterations up."""
_STIFFEST = 1e12
"""As in `banded`: the ratio of penalty to data at which lambda is held."""
_NODES = 3
_COLUMNS = 256
_LOWEST_NODE = 0.3
"""On an endless lattice with a scalar N of 0.01 to 3 mu^2 the variance is then right to about 5 %."""


@dataclass(frozen=True, eq=False)
class CoupledSolution:
    """Series of coupled pixels.

    Parameters
    ----------
    flat : ndarray
        The series one after the other, see `CoupledPixels.values`.
    residual : float
        Norm of the residual at the end over that of the uncoupled series: sqrt(g' P^-1 g + r' P^-1 r) of what
        is left at red pixels when black ones are eliminated, g, and of the residual at black ones, r.
    iterations : int
    """

    flat: NDArray[np.float64]
    residual: float
    iterations: int


@dataclass(frozen=True, eq=False)
class CoupledPixels:
    """The quadratic problem of P pixels; made by `CoupledPixels.make`.

    Parameters
    ----------
    observed : Observed
        Observations and their final weights.
    layout : Layout
        Cells, penalties and neighbours.
    flat : ndarray
        The uncoupled series, with straight lines in cells that no pair covers.
    cells : int
        M, number of cells of the grid.
    threads : int
        How many work on one problem.
    """

    observed: Observed
    layout: Layout
    flat: NDArray[np.float64]
    cells: int
    threads: int = 1

    @classmethod
    def make(
        cls,
        operator: SpanOperator,
        offsets: NDArray[np.int64],
        pair: NDArray[np.int32],
        vx: NDArray[np.float64],
        vy: NDArray[np.float64],
        weights: NDArray[np.float64],
        *,
        derivative: int,
        smoothing: NDArray[np.float64],
        profile: NDArray[np.float64] | None,
        values: NDArray[np.float64],
        neighbours: NDArray[np.int64],
        red: NDArray[np.bool_],
    ) -> CoupledPixels:
        """Set the problem up from the uncoupled estimate.

        Parameters
        ----------
        operator : SpanOperator
        offsets : ndarray of int64, shape (P + 1,)
        pair : ndarray of int32, shape (n,)
        vx, vy : ndarray, shape (n,)
            Observations less the offsets of their missions [m/yr].
        weights : ndarray, shape (n,)
            With which they entered the uncoupled solution, robust factors included.
        derivative : int
            k.
        smoothing : ndarray, shape (P,)
            lambda; NaN for pixels that take no part.
        profile : ndarray, shape (P, M), optional
            lambda at each cell, where it changes in time.
        values : ndarray, shape (P, 2, M)
            The uncoupled estimate [m/yr], NaN in cells without pairs.
        neighbours : ndarray of int64, shape (P, 4)
            Numbers of the neighbours of each pixel, -1 where there is none.
        red : ndarray of bool, shape (P,)
            Colours of the pixels on a chequerboard.
        """
        a, grid = operator, operator.grid
        pixels = len(offsets) - 1
        cell0, size, width = (np.zeros(pixels, dtype=np.int64) for _ in range(3))
        find_ranges(Spans(*a.columns), offsets, pair, np.isfinite(smoothing), derivative, cell0, size, width)
        start = np.concatenate(([0], np.cumsum(size)))
        place = np.concatenate(([0], np.cumsum((size + 2) * (width + 1 + PAD) * (size > 0))))
        # Squares of each row of the operator add up to the trace of A'WA.
        between = np.maximum(a.last - a.first - 1, 0)
        squares = np.where(a.first == a.last, 1.0, a.rate**2 * (a.head**2 + a.tail**2 + between))
        below = np.concatenate(([0.0], np.cumsum(weights * squares[pair])))
        trace = (below[offsets[1:]] - below[offsets[:-1]]) / np.maximum(size, 1)
        alpha = np.fmin((smoothing / grid.interval**derivative) ** 2, _STIFFEST * trace)
        shape, flat = np.ones(start[-1]), np.empty(2 * start[-1])
        for p in np.flatnonzero(size):
            here = slice(cell0[p], cell0[p] + size[p])
            if profile is not None:
                inner = profile[p, here][1 : size[p] - derivative + 1]
                shape[start[p] : start[p] + len(inner)] = (inner / smoothing[p]) ** 2
            flat[2 * start[p] : 2 * start[p + 1]] = _bridged(values[p, :, here]).ravel()
        return cls(
            Observed(Spans(*a.columns), offsets, pair, vx, vy, weights),
            Layout(cell0, size, width, start[:-1], place, derivative, alpha, shape, neighbours, red),
            flat,
            grid.size,
        )

    @property
    def nbytes(self) -> int:
        """Memory that the factors take [bytes]."""
        return int(8 * self.layout.place[-1])

    @property
    def multiplications(self) -> float:
        """Work of the factors and of the variances: rows times squared half-bandwidth, over all matrices."""
        # Four nodes, of which each takes a factor and a selected inverse, which is about four factors.
        return float((1 + 4 * 5) * np.sum(self.layout.size * self.layout.width**2.0))

    def values(self, flat: NDArray[np.float64], pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Unpack series.

        Parameters
        ----------
        flat : ndarray
        pixels : ndarray of int, shape (W,)
            Their numbers in this problem.

        Returns
        -------
        ndarray, shape (W, 2, M)
            NaN outside the range of each pixel.
        """
        out = np.full((len(pixels), 2, self.cells), np.nan)
        for row, p in enumerate(pixels):
            at, n, first = self.layout.start[p], self.layout.size[p], self.layout.cell0[p]
            out[row, :, first : first + n] = flat[2 * at : 2 * (at + n)].reshape(2, n)
        return out

    def solve(
        self,
        mu: float,
        *,
        start: NDArray[np.float64] | None = None,
        tolerance: float = TOLERANCE,
    ) -> CoupledSolution:
        """Solve for the series of all pixels together.

        Parameters
        ----------
        mu : float
            Coupling, in the units of the weights.
        start : ndarray, optional
            Series to start from; by default the uncoupled ones.
        tolerance : float
            Stop at this residual, see `CoupledSolution`.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the matrix of a pixel cannot be factorised.
        """
        x = (self.flat if start is None else start).copy()
        with self._red_pixels(mu, x) as red:
            residual, iterations = in_rounds(lambda reference: red.improve(tolerance, reference))
        return CoupledSolution(x, residual, iterations)

    def covariance(self, mu: float, pixel: int, cell: int, *, tolerance: float = TOLERANCE) -> float:
        """Give one element of the diagonal of the inverse of the coupled matrix, by solving for its column.

        Parameters
        ----------
        mu : float
        pixel, cell : int
            Cell counted from the first one of the pixel.
        tolerance : float
            As for `solve`.
        """
        unit, x = np.zeros_like(self.flat), np.zeros_like(self.flat)
        place = 2 * self.layout.start[pixel] + cell
        unit[place] = 1.0
        with self._red_pixels(mu, x) as red:
            red.correct(unit, tolerance, 0.0)
        return float(x[place])

    def variance_ratio(self, mu: float, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the variance of each cell over that without neighbours.

        Parameters
        ----------
        mu : float
        pixels : ndarray of int, shape (W,)
            Their numbers in this problem.

        Returns
        -------
        ndarray, shape (W, M)
            Between 0 and 1; NaN outside the range of each pixel.
        """
        nodes, shares = graph_quadrature(self.layout.neighbours, pixels)
        ratio = np.full((len(pixels), self.cells), np.nan)
        with self._team(np.arange(1, len(pixels) + 1)) as team:
            team(spread_ratio, self.observed, self.layout, mu * mu, pixels, nodes, shares, ratio)
        return ratio

    @contextmanager
    def _red_pixels(self, mu: float, x: NDArray[np.float64]) -> Iterator[_RedPixels]:
        bands = np.empty(self.layout.place[-1])
        with self._team(np.cumsum(self.layout.size * self.layout.width)) as team:
            if team(factor_pixels, self.observed, self.layout, mu * mu, bands):
                raise np.linalg.LinAlgError("the equations of a pixel are singular")
            yield _RedPixels(self, bands, mu * mu, x, team)

    @contextmanager
    def _team(self, done: NDArray[np.int64]) -> Iterator[Callable[..., float]]:
        """Give what calls a kernel for ranges of pixels side by side, and adds up what it returns.

        Parameters
        ----------
        done : ndarray
            Work of all pixels up to each.
        """
        shares = np.arange(1, self.threads) / self.threads * (done[-1] if len(done) else 0)
        edges = np.concatenate(([0], np.searchsorted(done, shares), [len(done)]))
        ranges = [(low, high) for low, high in pairwise(edges.tolist()) if low < high]
        if len(ranges) < 2:
            yield lambda kernel, *given: kernel(*given, 0, len(done)) or 0.0
            return
        with ThreadPoolExecutor(len(ranges)) as pool:
            yield lambda kernel, *given: sum(pool.map(lambda ends: kernel(*given, *ends) or 0.0, ranges))

    def without(self, held: NDArray[np.bool_]) -> CoupledPixels:
        """Return the same problem without some pairs.

        Parameters
        ----------
        held : ndarray of bool, shape (T,)
        """
        weights = np.where(held[self.observed.pair], 0.0, self.observed.weights)
        return replace(self, observed=self.observed._replace(weights=weights))

    def score(self, flat: NDArray[np.float64], held: NDArray[np.bool_]) -> float:
        """Sum the weighted squared residuals of some pairs under given series.

        Parameters
        ----------
        flat : ndarray
        held : ndarray of bool, shape (T,)
        """
        return float(score_pixels(self.observed, self.layout, flat, held))

    def residual_products(self) -> NDArray[np.float64]:
        """Sum products of the normalised residuals of one pair at two neighbours, and their squares.

        Returns
        -------
        ndarray, shape (2,)
            sum e_p e_q and sum (e_p^2 + e_q^2) / 2 over edges, pairs and components.
        """
        out = np.zeros(2)
        neighbour_products(self.observed, self.layout, self.flat, out)
        return out


@dataclass(frozen=True, eq=False)
class _RedPixels:
    """The problem of the red pixels, with the black ones eliminated; x is corrected in place."""

    problem: CoupledPixels
    bands: NDArray[np.float64]
    mu2: float
    x: NDArray[np.float64]
    team: Callable[..., float]

    def improve(self, tolerance: float, reference: float) -> tuple[float, float, int]:
        """Form the residual from the data and correct x; see `in_rounds`."""
        r = np.empty_like(self.x)
        self.team(form_residual, self.problem.observed, self.problem.layout, self.mu2, self.x, r)
        return self.correct(r, tolerance, reference)

    def correct(self, r: NDArray[np.float64], tolerance: float, reference: float) -> tuple[float, float, int]:
        """Add to x what makes up for a residual, by conjugate gradients; see `in_rounds`.

        The direction d = z + beta d has P d = g + beta P d, so that no product with a band matrix is needed.
        """
        layout, bands, mu2, team, x = self.problem.layout, self.bands, self.mu2, self.team, self.x
        change, w, z, product, g = (np.zeros_like(x) for _ in range(5))
        black = team(eliminate, layout, bands, 0.0, 1.0, r, change, w)
        team(red_product, layout, -mu2, r, w, r, g)
        rho = team(correct_red, layout, bands, 0.0, z, product, change, g, z)
        before = sqrt(max(black + rho, 0.0)) if isfinite(black + rho) else inf
        goal = tolerance * max(before, reference)
        d, q = z.copy(), g.copy()
        made = 0
        while rho > goal * goal and made < MOST_ITERATIONS:
            team(eliminate, layout, bands, mu2, 0.0, r, d, w)
            step = rho / team(red_product, layout, mu2, q, w, d, product)
            old, rho = rho, team(correct_red, layout, bands, step, d, product, change, g, z)
            team(next_direction, layout, rho / old, z, g, d, q)
            made += 1
        team(eliminate, layout, bands, mu2, 1.0, r, change, w)
        x += change
        x += w
        return before, sqrt(max(rho, 0.0)), made


def in_rounds(turn: Callable[[float], tuple[float, float, int]]) -> tuple[float, int]:
    """Iterate until the residual, formed anew from the data, needs no more iterations.

    Parameters
    ----------
    turn : callable
        Corrects the series, given the largest residual so far; returns the norms of the residual before and
        after, and the iterations made.

    Returns
    -------
    residual : float
        At the end, over the largest one; infinite if it is not a number. Where rounding holds the iterations
        up, that of the last iteration.
    iterations : int
    """
    reference, left, total = 0.0, 0.0, 0
    for _ in range(_ROUNDS):
        before, left, made = turn(reference)
        if not isfinite(before):
            return inf, total
        reference = max(reference, before)
        total += made
        if made == 0:
            break
    return left / reference if reference > 0.0 else 0.0, total


def graph_quadrature(
    neighbours: NDArray[np.int64], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Replace the eigenvalues of the graph, as seen from each of some pixels, by a few nodes with shares.

    Parameters
    ----------
    neighbours : ndarray of int64, shape (P, 4)
        -1 where there is none.
    pixels : ndarray of int, shape (W,)

    Returns
    -------
    nodes, shares : ndarray, shape (W, 3)
        Shares add up to 1.
    """
    from scipy.sparse import csr_array

    n = len(neighbours)
    there = neighbours >= 0
    rows = np.repeat(np.arange(n), there.sum(axis=1))
    ties = csr_array((np.ones(len(rows)), (rows, neighbours[there])), shape=(n, n))
    # A few at a time: the vectors of Lanczos' method are as long as there are pixels.
    parts = [_lanczos(ties, pixels[i : i + _COLUMNS]) for i in range(0, max(len(pixels), 1), _COLUMNS)]
    nodes, shares = zip(*parts, strict=True)
    return np.concatenate(nodes), np.concatenate(shares)


def _lanczos(ties: csr_array, pixels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do the work of `graph_quadrature`, given the matrix of neighbours."""
    n, w = ties.shape[0], len(pixels)
    degree = np.asarray(ties.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    v, before = np.zeros((n, w)), np.zeros((n, w))
    v[pixels, np.arange(w)] = 1.0
    matrix = np.zeros((w, _NODES, _NODES))
    beta = np.zeros(w)
    alive = np.ones(w, dtype=bool)
    for k in range(_NODES):
        product = degree * v - ties @ v - beta * before
        matrix[:, k, k] = np.where(alive, np.einsum("ij,ij->j", product, v), 1.0)
        product -= matrix[:, k, k] * v
        beta = np.sqrt(np.einsum("ij,ij->j", product, product))
        alive &= beta > 1e-9  # else the nodes so far are exact
        beta = np.where(alive, beta, 0.0)
        before, v = v, np.where(alive, product / np.where(alive, beta, 1.0), 0.0)
        if k + 1 < _NODES:
            matrix[:, k, k + 1] = matrix[:, k + 1, k] = beta
    inner = matrix[:, :-1, :-1] - _LOWEST_NODE * np.eye(_NODES - 1)
    fixed = alive & (np.linalg.eigvalsh(inner)[:, 0] > 0.0)
    end = np.zeros((w, _NODES - 1, 1))
    end[:, -1, 0] = matrix[:, -1, -2] ** 2
    inner[~fixed] = np.eye(_NODES - 1)
    corner = _LOWEST_NODE + np.linalg.solve(inner, end)[:, -1, 0]
    matrix[:, -1, -1] = np.where(fixed, corner, matrix[:, -1, -1])
    nodes, vectors = np.linalg.eigh(matrix)
    return np.maximum(nodes, 0.0), vectors[:, 0, :] ** 2


def _bridged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill cells without pairs by straight lines, shape (2, M); both ends are covered."""
    missing = np.isnan(values[0])
    if missing.any():
        cells = np.arange(len(missing))
        values = values.copy()
        for row in values:
            row[missing] = np.interp(cells[missing], cells[~missing], row[~missing])
    return values
