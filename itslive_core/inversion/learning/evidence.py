"""The evidence of a pixel's pairs, and the posterior of its series, for given hyperparameters.

Both components of the velocity, turned into two axes, have the same data matrix and priors that differ by
one factor. With W the weights 1 / sigma^2 of the pairs, times trust and credit, B the unknowns beside the
series (`border`) with the prior variances T, P the precision of the series (`itslive_core.bands.changes`),
and for each axis N = A'WA + gamma P, H = N^-1 A'WB, S = B'WB + T^-1 - (A'WB)'H:

    -2 log p = sum_axes [ d'Wd - g'N^-1 g - t'S^-1 t + log |N| + log |S| + log |T| - log |gamma Q| ],

g = A'Wd, t = B'Wd - (A'WB)'N^-1 g, up to a constant: what the prior leaves free, a polynomial of order k -
1, has a flat one. Mean and covariance of b are S^-1 t and S^-1; those of the series N^-1 g - H b and N^-1 +
H S^-1 H'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from itslive_core.bands.algebra import (
    Band,
    Inverse,
    blank_band,
    blank_inverse,
    factorise,
    log_determinant,
    selected_inverse,
    solve,
    solve_many,
)
from itslive_core.bands.assembly import assemble
from itslive_core.bands.changes import (
    ChangeRows,
    add_spread,
    change_rows,
    changes,
    fill_changes,
    own_diagonals,
    pull_changes,
    spread_of_changes,
)
from itslive_core.bands.spans import Spans, reach_of
from itslive_core.inversion.learning.axis import close_border, fill_matrix, solve_axis
from itslive_core.inversion.learning.border import BorderRows, border_moments, project_border
from itslive_core.inversion.learning.means import mean_variances, n_means, variance_beside
from itslive_core.support.stopping import check_stop

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Evidence",
    "Known",
    "Posterior",
    "Prior",
    "Spread",
    "close",
    "moves_of",
    "pull_of_changes",
]


class Prior(NamedTuple):
    """Hyperparameters as the algebra sees them.

    Parameters
    ----------
    own, yearly : ndarray, shape (M - k,)
        Precision of each change, and of what it differs from that of the year before, along the first axis
        [yr^2/m^2].
    stiffer : float
        gamma, by how much both are larger along the second axis; 1 or more.
    border : ndarray, shape (K,)
        T, the prior variance of each unknown beside the series.
    """

    own: NDArray
    yearly: NDArray
    stiffer: float
    border: NDArray


@dataclass(eq=False)
class Posterior:
    """Mean of the series and of what stands beside it, for one set of hyperparameters.

    Parameters
    ----------
    value : float
        -2 log p; infinite where a matrix cannot be factorised.
    series : ndarray, shape (2, M)
        Along both axes [m/yr].
    columns : ndarray, shape (2, M, K)
        H of each axis; without rows unless `Evidence.solve` was to keep ``both``.
    border, covariance : ndarray, shape (2, K) and (2, K, K)
        Mean and covariance of b.
    """

    value: float
    series: NDArray[np.float64]
    columns: NDArray[np.float64]
    border: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def blank(cls, size: int, count: int, *, both: bool) -> Posterior:
        """Make room for M cells and K unknowns beside them; see `Evidence.solve`."""
        columns = np.empty((2, size, count) if both else (2, 0, count))
        return cls(math.inf, np.empty((2, size)), columns, np.zeros((2, count)), np.zeros((2, count, count)))

    @cached_property
    def roots(self) -> NDArray[np.float64]:
        """L with L L' the covariance of b, shape (2, K, K)."""
        return np.asarray(np.linalg.cholesky(self.covariance), dtype=np.float64)

    @cached_property
    def columns_of_roots(self) -> NDArray[np.float64]:
        """H L, shape (2, M, K): what of the series hangs on independent parts of b."""
        return np.asarray(self.columns @ self.roots, dtype=np.float64)


class Spread(NamedTuple):
    """What the posterior says of the changes, shape (2, M - k) each, in units of their prior.

    Parameters
    ----------
    own, yearly : ndarray
        Squares of the posterior mean, times the precision.
    own_variance, yearly_variance : ndarray
        Posterior variance, times the precision.
    own_held, yearly_held : ndarray
        What the data hold of each: how much smaller its posterior variance is than the prior one, 0 to 1.
    """

    own: NDArray[np.float64]
    yearly: NDArray[np.float64]
    own_variance: NDArray[np.float64]
    yearly_variance: NDArray[np.float64]
    own_held: NDArray[np.float64]
    yearly_held: NDArray[np.float64]


class Known(NamedTuple):
    """The data of a pass, summed up.

    Parameters
    ----------
    normal : Band
        A'WA.
    rhs : ndarray, shape (2, M)
        A'Wd of both axes.
    square : ndarray, shape (2,)
        d'Wd of both axes.
    columns, border, product : ndarray, shape (M, K), (K, K), (2, K)
        A'WB, B'WB and B'Wd.
    """

    normal: Band
    rhs: NDArray[np.float64]
    square: NDArray[np.float64]
    columns: NDArray[np.float64]
    border: NDArray[np.float64]
    product: NDArray[np.float64]

    def right(self, axis: int) -> NDArray[np.float64]:
        """Give the right-hand sides g and A'WB of an axis side by side, shape (M, 1 + K)."""
        return np.concatenate([self.rhs[axis][:, None], self.columns], axis=1)

    def without(self, beside: NDArray[np.float64]) -> Known:
        """Give the same for data less B b, b of the shape (2, K)."""
        square = self.square + ((beside @ self.border - 2.0 * self.product) * beside).sum(axis=1)
        product = self.product - beside @ self.border
        return self._replace(rhs=self.rhs - beside @ self.columns.T, square=square, product=product)


class Evidence:
    """The equations of one pixel, and room to solve them.

    Parameters
    ----------
    spans : Spans
        n rows on M cells.
    border : BorderRows
        K unknowns beside the series.
    size : int
        M.
    interval : float
        h [days].
    order : int
        k of the differences.
    reach : int
        The inverses are needed as far from their diagonals as this, at least.
    yearly : bool
        Changes may be compared with those of the year before.

    Attributes
    ----------
    rows : ChangeRows
    inverses : tuple of Inverse
        Z = N^-1 of both axes after `spread`.
    """

    def __init__(
        self,
        spans: Spans,
        border: BorderRows,
        size: int,
        interval: float,
        order: int,
        reach: int,
        *,
        yearly: bool,
    ) -> None:
        rows = change_rows(interval, order, size)
        if not yearly or rows.reach == 0:
            rows = rows._replace(lag=rows.size)
        self.spans, self.border, self.size = spans, border, size
        self.rows: ChangeRows = rows
        width = max(reach_of(spans, order), rows.reach + order if rows.reach else order, reach)
        width = min(width, max(size - 1, order))
        self._normal, self._work = blank_band(size, width), (blank_band(size, width), blank_band(size, width))
        self._normal.entries[:] = 0.0  # assembly leaves what is behind the last row as it is
        self.inverses: tuple[Inverse, Inverse] = (blank_inverse(size, width), blank_inverse(size, width))
        self._prior, self._prior_inverse = (
            blank_band(rows.size, rows.reach),
            blank_inverse(rows.size, rows.reach),
        )
        self._columns = np.empty((size, border.size))
        self._known: Known | None = None

    @property
    def known(self) -> Known:
        """The data that entered last."""
        assert self._known is not None
        return self._known

    def enter(self, weights: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        """Sum up the data: weights, shape (n,), and velocities along both axes, shape (2, n)."""
        rhs, count = np.empty((2, self.size)), self.border.size
        assemble(self.spans, weights, values[0], values[1], self._normal, rhs)
        square, product = np.zeros((count, count)), np.zeros((2, count))
        if count:
            project_border(self.spans, self.border, weights, self._columns)
            border_moments(self.border, weights, values[0], values[1], square, product)
        total = values**2 @ weights
        self._known = Known(self._normal, rhs, total, self._columns, square, product)

    def series(
        self, prior: Prior, weights: NDArray[np.float64], values: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Solve for the series alone, what stands beside it being known; None if that cannot be done.

        Parameters
        ----------
        prior : Prior
        weights : ndarray, shape (n,)
        values : ndarray, shape (2, n)
            Velocities along both axes, less what stands beside the series.

        Returns
        -------
        ndarray, shape (2, M)
            [m/yr]. What was entered before is lost.
        """
        out = np.empty((2, self.size))
        assemble(self.spans, weights, values[0], values[1], self._normal, out)
        self._known = None
        for axis in range(2):
            work = self._work[0]
            if axis == 0 or prior.stiffer != 1.0:
                work = self.matrix(prior, axis)
                if not factorise(work):
                    return None
            solve(work, out[axis : axis + 1])
        return out

    def matrix(self, prior: Prior, axis: int) -> Band:
        """Fill N of an axis for the data that entered last; the next one takes its place."""
        work = self._work[axis]
        fill_matrix(work, self._normal, self.rows, (1.0, prior.stiffer)[axis], prior.own, prior.yearly)
        return work

    def moves(self, posterior: Posterior, prior: Prior, axis: int) -> NDArray[np.float64]:
        """Tell how the last solution moves with the logarithms of hyperparameters, to first order.

        d x / d theta = -N^-1 (dN / d theta) x for all unknowns x, the series and what stands beside it.

        Parameters
        ----------
        posterior : Posterior
            From `solve`, ``both`` axes factorised.
        prior : Prior
            The same.
        axis : int
            0 or 1.

        Returns
        -------
        ndarray, shape (3, M)
            With the level, with the yearly level, and with the variance of what stands beside [m/yr].
        """
        pull = pull_of_changes(self.rows, prior, posterior, axis)
        solve(self._work[axis], pull)
        return moves_of(self.known, self.border, prior, posterior, axis, pull)

    def solve(self, prior: Prior, *, both: bool = False, valued: bool = True) -> Posterior:
        """Solve for the series and what stands beside it.

        Parameters
        ----------
        prior : Prior
        both : bool
            Keep a factor for each axis also where they are equal: `spread` follows.
        valued : bool
            Give the value too; without it no prior is factorised.
        """
        check_stop()
        known = self.known
        rows = self.rows
        out = Posterior.blank(self.size, self.border.size, both=both)
        log_prior = 0.0
        if rows.size and valued:
            fill_changes(self._prior, rows, prior.own, prior.yearly)
            if not factorise(self._prior):
                return out
            log_prior = log_determinant(self._prior)
        value = float(known.square.sum()) - 2.0 * log_prior - rows.size * math.log(prior.stiffer)
        for axis in range(2):
            work = self._work[0]
            if axis == 0 or both or prior.stiffer != 1.0:
                work = self.matrix(prior, axis)
                if not factorise(work):
                    return out
            right = known.right(axis)
            value += solve_axis(
                work,
                right,
                known.border,
                known.product[axis],
                prior.border,
                both,
                out.series[axis],
                out.border[axis],
                out.covariance[axis],
            )
            if both:
                out.columns[axis] = right[:, 1:]
        out.value = value if math.isfinite(value) else math.inf
        return out

    def spread(self, prior: Prior, posterior: Posterior) -> Spread:
        """Form the inverses of the last solution, and what they say of the changes.

        Parameters
        ----------
        prior : Prior
        posterior : Posterior
            From `solve` with the same prior, ``both`` axes factorised, ``valued``.
        """
        rows, count = self.rows, self.border.size
        free_own, free_yearly = np.empty((2, rows.size))
        if rows.size:
            selected_inverse(self._prior, self._prior_inverse)
            own_diagonals(self._prior_inverse, rows, free_own, free_yearly)
        x, against = changes(rows, posterior.series)
        own_spread, yearly_spread = np.empty((2, 2, rows.size))
        for axis in range(2):
            selected_inverse(self._work[axis], self.inverses[axis])
            spread_of_changes(self.inverses[axis], rows, own_spread[axis], yearly_spread[axis])
            if count:
                add_spread(rows, posterior.columns_of_roots[axis], own_spread[axis], yearly_spread[axis])
        factor = np.array([[1.0], [prior.stiffer]])
        own, yearly = factor * prior.own, factor * prior.yearly
        own_variance, yearly_variance = own * own_spread, yearly * yearly_spread
        return Spread(
            own * x**2,
            yearly * against**2,
            own_variance,
            yearly_variance,
            np.clip(prior.own * free_own - own_variance, 1e-6, 1.0),
            np.clip(prior.yearly * free_yearly - yearly_variance, 0.0, 1.0),
        )

    def variances(self, posterior: Posterior, groups: NDArray[Any]) -> NDArray[np.float64]:
        """Give the posterior variance of means of neighbouring cells, from the factors of the last solution.

        Parameters
        ----------
        posterior : Posterior
            From `solve`, ``both`` axes factorised.
        groups : ndarray of int64, shape (M,)
            Number of the mean that each cell belongs to: 0, 1, ... in order. Or weights, shape (g, M).

        Returns
        -------
        ndarray, shape (2, g)
            [m^2/yr^2]
        """
        out = np.empty((2, n_means(groups)))
        for axis in range(2):
            if groups.ndim == 2:
                right = np.ascontiguousarray(groups.T)
                solve_many(self._work[axis], right)
                out[axis] = (groups * right.T).sum(axis=1)
            else:
                selected_inverse(self._work[axis], self.inverses[axis])
                mean_variances(self.inverses[axis], groups, out[axis])
            if self.border.size:
                out[axis] += variance_beside(posterior.columns_of_roots[axis], groups)
        return out


def close(known: Known, prior: Prior, axis: int, inner: NDArray[np.float64], out: Posterior) -> float:
    """Find what stands beside the series of an axis.

    Parameters
    ----------
    known : Known
    prior : Prior
    axis : int
    inner : ndarray, shape (K, 1 + K)
        (A'WB)'N^-1 (g, A'WB).
    out : Posterior
        Receives border and covariance; NaN where they cannot be told.

    Returns
    -------
    float
        What -2 log p has of it.
    """
    rest = known.product[axis] - inner[:, 0]
    square = known.border - inner[:, 1:]
    return float(close_border(square, rest, prior.border, out.border[axis], out.covariance[axis]))


def pull_of_changes(rows: ChangeRows, prior: Prior, posterior: Posterior, axis: int) -> NDArray[np.float64]:
    """Give what level and yearly level pull the series of an axis with, (dN / d theta) x, shape (2, M)."""
    factor = (1.0, prior.stiffer)[axis]
    x, against = changes(rows, posterior.series[axis])
    return np.stack(pull_changes(rows, factor * prior.own * x, factor * prior.yearly * against))


def moves_of(
    known: Known,
    border: BorderRows,
    prior: Prior,
    posterior: Posterior,
    axis: int,
    solved: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Give `Evidence.moves`, shape (3, M), from N^-1 times `pull_of_changes`, shape (2, M)."""
    out = np.zeros((3, solved.shape[1]))
    out[:2] = solved
    if border.size:
        columns, covariance = posterior.columns[axis], posterior.covariance[axis]
        out[:2] += (out[:2] @ known.columns) @ covariance @ columns.T
        own = np.where(border.is_season, posterior.border[axis] / prior.border, 0.0)
        out[2] = columns @ (covariance @ own)
    return -out
