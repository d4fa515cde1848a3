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

**Variance.** That of a pixel if all had its N, with a few nodes in place of the eigenvalues of L
(`itslive_core.neighbours.quadrature`).
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
from itslive_core.inversion.solver import STIFFEST
from itslive_core.neighbours.equations import (
    cell_ranges,
    factor_pixels,
    form_residual,
    residual_products,
    residuals_of,
    variance_ratios,
)
from itslive_core.neighbours.kernels import (
    Iterate,
    PatchLayout,
    Preconditioner,
    correct_red,
    eliminate,
    next_direction,
    red_product,
)
from itslive_core.neighbours.quadrature import graph_quadrature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from itslive_core.neighbours.equations import Observed
    from itslive_core.observations.time_grid import TimeGrid

__all__ = [
    "MOST_ITERATIONS",
    "TOLERANCE",
    "CoupledPixels",
    "CoupledSolution",
    "in_rounds",
]

TOLERANCE = 1e-5
"""Residual at which the iterations stop, as a share of what coupling starts from."""

MOST_ITERATIONS = 500
"""Most iterations of conjugate gradients between two times that the residual is formed from the data."""

_ROUNDS = 4
"""Times that the residual is formed anew from the data, in case rounding held the iterations up."""


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
    layout : PatchLayout
        Cells, penalties and neighbours.
    flat : ndarray
        The uncoupled series, with straight lines in cells that no pair covers.
    cells : int
        M, number of cells of the grid.
    threads : int
        How many work on one problem.
    """

    observed: Observed
    layout: PatchLayout
    flat: NDArray[np.float64]
    cells: int
    threads: int = 1

    @classmethod
    def make(
        cls,
        grid: TimeGrid,
        observed: Observed,
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
        grid : TimeGrid
            M cells.
        observed : Observed
            Observations of P pixels.
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
        cell0, size, width = cell_ranges(observed, np.isfinite(smoothing), derivative)
        start = np.concatenate(([0], np.cumsum(size)))
        place = np.concatenate(([0], np.cumsum((size + 2) * (width + 1 + PAD) * (size > 0))))
        # Squares of each row of the operator add up to the trace of A'WA.
        a, offsets = observed.spans, observed.offsets
        between = np.maximum(a.last - a.first - 1, 0)
        squares = np.where(a.first == a.last, 1.0, a.rate**2 * (a.head**2 + a.tail**2 + between))
        below = np.concatenate(([0.0], np.cumsum(observed.weights * squares[observed.pair])))
        trace = (below[offsets[1:]] - below[offsets[:-1]]) / np.maximum(size, 1)
        alpha = np.fmin((smoothing / grid.interval**derivative) ** 2, STIFFEST * trace)
        shape, flat = np.ones(start[-1]), np.empty(2 * start[-1])
        for p in np.flatnonzero(size):
            here = slice(cell0[p], cell0[p] + size[p])
            if profile is not None:
                inner = profile[p, here][1 : size[p] - derivative + 1]
                shape[start[p] : start[p] + len(inner)] = (inner / smoothing[p]) ** 2
            flat[2 * start[p] : 2 * start[p + 1]] = _bridged(values[p, :, here]).ravel()
        layout = PatchLayout(
            cell0=cell0,
            size=size,
            width=width,
            start=start[:-1],
            place=place,
            order=derivative,
            alpha=alpha,
            shape=shape,
            neighbours=neighbours,
            red=red,
        )
        return cls(observed, layout, flat, grid.size)

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
        quadrature = graph_quadrature(self.layout.neighbours, pixels)
        ratio = np.full((len(pixels), self.cells), np.nan)
        with self._team(np.arange(1, len(pixels) + 1)) as team:
            team(variance_ratios, self.observed, self.layout, mu * mu, pixels, quadrature, ratio)
        return ratio

    @contextmanager
    def _red_pixels(self, mu: float, x: NDArray[np.float64]) -> Iterator[_RedPixels]:
        bands = np.empty(self.layout.place[-1])
        with self._team(np.cumsum(self.layout.size * self.layout.width)) as team:
            if team(factor_pixels, self.observed, self.layout, mu * mu, bands):
                raise np.linalg.LinAlgError("the equations of a pixel are singular")
            yield _RedPixels(self, Preconditioner(self.layout, bands, float(mu * mu)), x, team)

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
        total = 0.0
        for p in np.flatnonzero(self.layout.size).tolist():
            here = slice(self.observed.offsets[p], self.observed.offsets[p + 1])
            some = held[self.observed.pair[here]]
            left = residuals_of(self.observed, self.layout, p, flat)[:, some]
            total += float(self.observed.weights[here][some] @ np.sum(left**2, axis=0))
        return total

    def residual_products(self) -> NDArray[np.float64]:
        """Sum products of the normalised residuals of one pair at two neighbours, and their squares.

        Returns
        -------
        ndarray, shape (2,)
            sum e_p e_q and sum (e_p^2 + e_q^2) / 2 over edges, pairs and components.
        """
        return residual_products(self.observed, self.layout, self.flat)


@dataclass(frozen=True, eq=False)
class _RedPixels:
    """The problem of the red pixels, with the black ones eliminated; x is corrected in place."""

    problem: CoupledPixels
    preconditioner: Preconditioner
    x: NDArray[np.float64]
    team: Callable[..., float]

    def improve(self, tolerance: float, reference: float) -> tuple[float, float, int]:
        """Form the residual from the data and correct x; see `in_rounds`."""
        r, problem = np.empty_like(self.x), self.problem
        self.team(form_residual, problem.observed, problem.layout, self.preconditioner.mu2, self.x, r)
        return self.correct(r, tolerance, reference)

    def correct(self, r: NDArray[np.float64], tolerance: float, reference: float) -> tuple[float, float, int]:
        """Add to x what makes up for a residual, by conjugate gradients; see `in_rounds`. Overwrites r.

        The direction d = z + beta d has P d = g + beta P d, so that no product with a band matrix is needed.
        """
        p, team = self.preconditioner, self.team
        layout, mu2 = p.layout, p.mu2
        change, g, z, d, product, w = (np.zeros_like(r) for _ in range(6))
        # Black pixels' places of r, which go into the series at the end, are nobody else's.
        now = Iterate(change, residual=g, scaled=z, direction=d, image=r, product=product)
        black = team(eliminate, p, 1.0, r, change, w)
        team(red_product, layout, mu2, w, now)
        rho = team(correct_red, p, -1.0, now)  # g was 0: becomes r + mu^2 sum of w
        before = sqrt(max(black + rho, 0.0)) if isfinite(black + rho) else inf
        goal = tolerance * max(before, reference)
        team(next_direction, layout, 0.0, now)
        made = 0
        while rho > goal * goal and made < MOST_ITERATIONS:
            team(eliminate, p, 0.0, r, d, w)
            step = rho / team(red_product, layout, -mu2, w, now)
            old, rho = rho, team(correct_red, p, step, now)
            team(next_direction, layout, rho / old, now)
            made += 1
        team(eliminate, p, 1.0, r, change, w)
        x = self.x
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


def _bridged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill cells without pairs by straight lines, shape (2, M); both ends are covered."""
    missing = np.isnan(values[0])
    if missing.any():
        cells = np.arange(len(missing))
        values = values.copy()
        for row in values:
            row[missing] = np.interp(cells[missing], cells[~missing], row[~missing])
    return values
