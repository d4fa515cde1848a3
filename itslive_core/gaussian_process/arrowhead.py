"""A Gaussian model of cells and slow coefficients, observed over spans: one band matrix with a thin border.

The unknowns are the cells v (a series of cell means) and, at knots a year or so apart, the states of slow
processes z. With loadings Phi that interpolate between knots,

    v = Phi z + x,      x: second-order autoregression over cells,     z_(k+1) = F z_k + noise, z_k ~ N(0, I),
    y = A t + E beta + eps,      t = v + shared noise of each cell,      eps ~ N(0, diag(1 / w)),
    beta ~ N(0, diag(prior)).

A averages over spans. The shared noise, white over cells, is what pairs of the same days have in common
without the ice having moved; it is optional. Written in (v, t, z), the precision of all this is banded once
the states of a knot stand beside the cell where the knot lies: A'WA couples cells as far apart as the longest
span, everything else only neighbours. The few coefficients beta (a constant, offsets of missions) border the
band. So evidence, mean, variances and exact gradients cost O(N + n w^2), n unknowns and half-bandwidth w.

Gradients use Fisher's identity: the derivative of the log evidence is the posterior expectation of the
derivative of the log prior, for which second moments inside the band suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import PAD, Band, Inverse, factorise, log_determinant, selected_inverse, solve
from itslive_core.bands.assembly import assemble, predict, project
from itslive_core.bands.span_variance import span_variances
from itslive_core.bands.spans import Spans
from itslive_core.gaussian_process.latent import Latent
from itslive_core.gaussian_process.layout import StateLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["Border", "Latent", "StateLayout", "Moments", "NotPositiveError", "Posterior", "solve_arrowhead"]


class NotPositiveError(ArithmeticError):
    """The precision is not positive definite: the hyperparameters are out of range."""


@dataclass(frozen=True, eq=False)
class Border:
    """Coefficients that act on the data: columns E, shape (r, N), and prior variances, shape (r,)."""

    columns: NDArray[np.float64]
    prior: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Posterior second moments that gradients need.

    Parameters
    ----------
    forms : ndarray, shape (6,)
        Expectations of the forms of `StateLayout.structure`.
    shared : float
        Expectation of the sum of (t_i - v_i)^2; 0 without shared noise.
    first, total, last : ndarray, shape (d, d)
        E[z_k z_k'] at the first knot, summed over all, and at the last one.
    cross : ndarray, shape (d, d)
        Sum of E[z_(k+1) z_k'].
    """

    forms: NDArray[np.float64]
    shared: float
    first: NDArray[np.float64]
    total: NDArray[np.float64]
    last: NDArray[np.float64]
    cross: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of all unknowns given the data; made by `solve_arrowhead`.

    Parameters
    ----------
    layout : StateLayout
    latent : Latent
    log_evidence : float
        log p(y).
    state : ndarray, shape (n,)
        Mean of (v, z).
    beta, beta_cov : ndarray, shape (r,), (r, r)
        Mean and covariance of the coefficients of the border.
    residuals : ndarray, shape (N,)
        y minus the mean of what the model says of the pairs.
    fit_variance : ndarray, shape (N,)
        Variance of what it says; empty if no variances were asked for.
    sensitivity : ndarray, shape (r, n)
        H, P^-1 times the border, by which a unit of beta lowers the state: cov(state) = Z + H' beta_cov H,
        cov(state, beta) = -H' beta_cov.
    inverse : ndarray, shape (n, 2 w + 1)
        Z = P^-1 inside the band, entry (a, a + o) at [a, w + o]; empty if no variances were asked for.
    """

    layout: StateLayout
    latent: Latent
    log_evidence: float
    state: NDArray[np.float64]
    beta: NDArray[np.float64]
    beta_cov: NDArray[np.float64]
    residuals: NDArray[np.float64]
    fit_variance: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    inverse: NDArray[np.float64]

    @cached_property
    def moments(self) -> Moments:
        """Second moments for gradients."""
        layout, d = self.layout, self.layout.states
        factors = layout.scale(self.latent.amplitudes)
        rows, columns, forms = layout.structure
        inside = self.inverse[rows, layout.width + columns - rows] * factors[rows] * factors[columns]
        inside[rows != columns] *= 2.0
        sums = forms @ inside
        x = layout.roughness_of(self.state, factors)
        of_border = layout.roughness_of(self.sensitivity, factors)
        # A square root of beta_cov turns its part into plain sums of squares, as for the mean.
        series = np.vstack([x, np.linalg.cholesky(self.beta_cov).T @ of_border])
        sums += layout.forms_of(series)
        shared = self._shared_squares() if layout.shared else 0.0
        if d == 0:
            none = np.zeros((0, 0))
            return Moments(forms=sums, shared=shared, first=none, total=none, last=none, cross=none)
        at = layout.blocks[:, None] + np.arange(d)
        same = self._second_moments(at, at)
        cross = self._second_moments(at[1:], at[:-1]).sum(axis=0)
        return Moments(
            forms=sums, shared=shared, first=same[0], total=same.sum(axis=0), last=same[-1], cross=cross
        )

    def predict(
        self, operator: SpanOperator, columns: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Say what other pairs on the same cells should read, without their own noise.

        Parameters
        ----------
        operator : SpanOperator
            k rows, of spans no longer than those of the data.
        columns : ndarray, shape (r, k)
            Their columns of the border.

        Returns
        -------
        mean, variance : ndarray, shape (k,)
        """
        means = _means_over_spans(self.layout, operator, self.state, self.sensitivity)
        variance = _fit_variance(
            self.layout, operator, self.inverse.reshape(-1), means[1:] + columns, self.beta_cov
        )
        return means[0] + self.beta @ columns, variance

    def _shared_squares(self) -> float:
        t, w = self.layout.cells, self.layout.width
        variance = self.inverse[t, w] + self.inverse[t - 1, w] - 2 * self.inverse[t - 1, w + 1]
        sensitivity = self.sensitivity[:, t] - self.sensitivity[:, t - 1]
        variance += np.sum(sensitivity * (self.beta_cov @ sensitivity), axis=0)
        return float(np.sum(variance + (self.state[t] - self.state[t - 1]) ** 2))

    def covariance(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give blocks of the covariance of the state.

        Parameters
        ----------
        left, right : ndarray of int64, shape (k, p), (k, q)
            Rows; every two of a block must lie within the band.

        Returns
        -------
        ndarray, shape (k, p, q)
        """
        w = self.layout.width
        block = self.inverse[left[:, :, None], w + right[:, None, :] - left[:, :, None]]
        if len(self.beta):
            a, b = self.sensitivity[:, left], self.sensitivity[:, right]
            block = block + np.einsum("rkp,rs,skq->kpq", a, self.beta_cov, b)
        return block

    def _second_moments(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.covariance(left, right) + self.state[left][:, :, None] * self.state[right][:, None, :]


def _means_over_spans(
    layout: StateLayout, operator: SpanOperator, state: NDArray[np.float64], sensitivity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average the series, and its answer to every unit of beta, over spans: shape (1 + r, N)."""
    spans = Spans(*operator.columns)
    means = np.empty((1 + len(sensitivity), len(operator)))
    for line, mean in zip(np.vstack([state, -sensitivity])[:, layout.cells], means, strict=True):
        predict(spans, line, mean)
    return means


def _fit_variance(
    layout: StateLayout,
    operator: SpanOperator,
    inverse: NDArray[np.float64],
    columns: NDArray[np.float64],
    beta_cov: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Give the variance of what the model says of pairs; columns are what a unit of beta changes in all."""
    variance = np.empty(len(operator))
    of_state = Inverse(inverse, layout.unknowns, layout.width)
    span_variances(of_state, layout.cells, Spans(*operator.columns), variance)
    return variance + np.sum(columns * (beta_cov @ columns), axis=0)


def solve_arrowhead(
    layout: StateLayout,
    latent: Latent,
    operator: SpanOperator,
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    border: Border,
    *,
    variances: bool = True,
) -> Posterior:
    """Compute evidence, mean and variances.

    Parameters
    ----------
    layout : StateLayout
        M cells and the knots.
    latent : Latent
        Prior of the cells.
    operator : SpanOperator
        N rows on the same M cells.
    y, weights : ndarray, shape (N,)
        Data, and 1 / noise variance.
    border : Border
        At least one column.
    variances : bool
        Also compute what variances and gradients need; it takes three quarters of the time.

    Raises
    ------
    NotPositiveError
        If the precision cannot be factorised.
    """
    n, size, width, reach = layout.unknowns, layout.size, layout.width, max(1, layout.reach)
    spans = Spans(*operator.columns)
    columns, r = border.columns, len(border.prior)
    normal = Band(np.empty(size * (reach + 1 + PAD)), size, reach)
    both = np.empty((2, size))
    assemble(spans, weights, y, columns[0], normal, both)
    band = layout.prior_band(latent, layout.scale(latent.amplitudes))
    layout.data_band(normal.entries, band)
    factor = Band(band.reshape(-1), n, width)
    right = np.zeros((1 + r, n))
    right[:2, layout.cells] = both
    for k in range(1, r, 2):
        pair = columns[k], columns[min(k + 1, r - 1)]
        touched = weights * ((pair[0] != 0.0) | (pair[1] != 0.0))
        project(spans, touched, *pair, both)
        right[1 + k, layout.cells] = both[0]
        if k + 1 < r:
            right[2 + k, layout.cells] = both[1]
    g, f = right[0].copy(), right[1:].copy()
    if not factorise(factor):
        raise NotPositiveError("the precision of the model is not positive definite")
    solve(factor, right)
    plain, sensitivity = right[0], right[1:]
    weighted = columns * weights
    schur = weighted @ columns.T - f @ sensitivity.T
    schur[np.diag_indices(r)] += 1.0 / border.prior
    try:
        lower = np.linalg.cholesky((schur + schur.T) / 2)
    except np.linalg.LinAlgError as error:
        raise NotPositiveError("the border of the model is not positive definite") from error
    target = weighted @ y - sensitivity @ g
    beta_cov = np.linalg.inv(lower)
    beta_cov = beta_cov.T @ beta_cov
    beta = beta_cov @ target
    state = plain - sensitivity.T @ beta
    means = _means_over_spans(layout, operator, state, sensitivity)
    residuals = y - means[0] - beta @ columns
    # y' S^-1 y as y'W times the residual: the large terms cancel where they are formed.
    square = float(np.sum(weights * y * residuals))
    log_det = (
        log_determinant(factor)
        - layout.log_prior(latent)
        + 2.0 * np.sum(np.log(np.diag(lower)))
        + np.sum(np.log(border.prior))
        - np.sum(np.log(weights))
    )
    evidence = -0.5 * (square + log_det + len(y) * np.log(2 * np.pi))
    if variances:
        # Beyond the last row the band holds nothing, and must not hold NaN.
        inverse = np.zeros(n * (2 * width + 1))
        selected_inverse(factor, Inverse(inverse, n, width))
        fit_variance = _fit_variance(layout, operator, inverse, means[1:] + columns, beta_cov)
    else:
        inverse, fit_variance = np.empty(0), np.empty(0)
    return Posterior(
        layout=layout,
        latent=latent,
        log_evidence=float(evidence),
        state=state,
        beta=beta,
        beta_cov=beta_cov,
        residuals=residuals,
        fit_variance=fit_variance,
        sensitivity=sensitivity,
        inverse=inverse.reshape(n if variances else 0, 2 * width + 1),
    )
