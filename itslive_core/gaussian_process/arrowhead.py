"""A Gaussian model of cells and slow coefficients, observed over spans.

The unknowns are the cells v (a series of cell means) and, at knots a year or so apart, the states of slow
processes z. With loadings Phi that interpolate between knots,

    v = Phi z + x,      x: second-order autoregression over cells,     z_(k+1) = F z_k + noise, z_k ~ N(0, I),
    y = A t + E beta + eps,      t = v + shared noise of each cell,      eps ~ N(0, diag(1 / w)),
    beta ~ N(0, diag(prior)).

A averages over spans. The shared noise, white over cells, is what pairs of the same days have in common
without the ice having moved. Written in (v, t, z), the precision of all this is sparse: A'WA couples t as far
apart as the longest span, everything else only neighbours. Eliminated in the order of time a cell leaves
traces on a narrow front (see `front`). The few coefficients beta (a constant, offsets of missions) border the
matrix. So evidence, mean, variances and exact gradients cost O(N + M (b + d)^2) for N pairs, M cells, spans
of b cells and d states at a knot.

Gradients use Fisher's identity: the derivative of the log evidence is the posterior expectation of the
derivative of the log prior, for which second moments between neighbours suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import PAD, Band
from itslive_core.bands.assembly import assemble, project
from itslive_core.bands.spans import Spans
from itslive_core.gaussian_process.elimination import eliminate, log_determinant, substitute
from itslive_core.gaussian_process.front import Selected, blank_factor, blank_selected
from itslive_core.gaussian_process.front_inverse import selected_inverse
from itslive_core.gaussian_process.latent import Latent
from itslive_core.gaussian_process.layout import StateLayout
from itslive_core.gaussian_process.pair_fit import fit_of_pairs, variance_of_pairs
from itslive_core.gaussian_process.precision import roughness_covariance, roughness_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import SpanOperator

__all__ = [
    "Border",
    "Latent",
    "Moments",
    "NotPositiveError",
    "Posterior",
    "StateLayout",
    "States",
    "WeighedPairs",
    "solve_arrowhead",
    "solve_weighed",
]


class NotPositiveError(ArithmeticError):
    """The precision is not positive definite: the hyperparameters are out of range."""


@dataclass(frozen=True, eq=False)
class Border:
    """Coefficients that act on the data: columns E, shape (r, N), and prior variances, shape (r,)."""

    columns: NDArray[np.float64]
    prior: NDArray[np.float64]


class States(NamedTuple):
    """Values of all unknowns but beta.

    Parameters
    ----------
    v, t : ndarray, shape (..., M)
    z : ndarray, shape (..., K, d)
    """

    v: NDArray[np.float64]
    t: NDArray[np.float64]
    z: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Posterior second moments that gradients need.

    Parameters
    ----------
    forms : ndarray, shape (6,)
        Expectations of sums over the noise that enters at cells: of x_i^2, x_(i-1)^2, x_(i-2)^2,
        2 x_i x_(i-1), 2 x_(i-1) x_(i-2), 2 x_i x_(i-2), with the first two cells put to them; so that
        their product with `Latent.coefficients` is the expectation of x'Q x.
    shared : float
        Expectation of the sum of (t_i - v_i)^2.
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
    phi : ndarray, shape (M, 2 d)
        Loads of the cells on the states of the knots before and after them.
    log_evidence : float
        log p(y).
    mean : States
    beta, beta_cov : ndarray, shape (r,), (r, r)
        Mean and covariance of the coefficients of the border.
    residuals : ndarray, shape (N,)
        y minus the mean of what the model says of the pairs.
    fit_variance : ndarray, shape (N,)
        Variance of what it says; empty if no variances were asked for.
    sensitivity : States
        H of r rows, P^-1 times the border, by which a unit of beta lowers the states:
        cov(states) = Z + H' beta_cov H, cov(states, beta) = -H' beta_cov.
    inverse : Selected, optional
        Z = P^-1 between neighbours; None if no variances were asked for.
    """

    layout: StateLayout
    latent: Latent
    phi: NDArray[np.float64]
    log_evidence: float
    mean: States
    beta: NDArray[np.float64]
    beta_cov: NDArray[np.float64]
    residuals: NDArray[np.float64]
    fit_variance: NDArray[np.float64]
    sensitivity: States
    inverse: Selected | None

    @property
    def known(self) -> Selected:
        """Z between neighbours."""
        if self.inverse is None:
            raise ValueError("this posterior was computed without variances")
        return self.inverse

    @cached_property
    def rows(self) -> States:
        """Mean, and r rows whose squares and products, summed, are what beta adds to the covariance."""
        root = np.asarray(np.linalg.cholesky(self.beta_cov).T, dtype=np.float64)
        v, t, z = (
            np.concatenate([mean[None], _times(root, slopes)])
            for mean, slopes in zip(self.mean, self.sensitivity, strict=True)
        )
        return States(v, t, z)

    @cached_property
    def roughness(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean of x and what beta adds to it, shape (1 + r, M); covariance of x for a known beta.

        The covariance, shape (3, M), is that with itself, and one and two cells later.
        """
        layout, rows = self.layout, self.rows
        x, covariance = np.empty((len(rows.v), layout.size)), np.empty((3, layout.size))
        roughness_mean(layout.before, self.phi, rows.v, rows.z, x)
        roughness_covariance(layout.before, self.phi, self.known, covariance)
        return x, covariance

    @cached_property
    def moments(self) -> Moments:
        """Second moments for gradients."""
        (x, products), calm = self.roughness, self.layout.calm
        square, next_one, next_two = products.copy()
        square += np.sum(x**2, axis=0)
        next_one[:-1] += np.sum(x[:, 1:] * x[:, :-1], axis=0)
        next_two[:-2] += np.sum(x[:, 2:] * x[:, :-2], axis=0)
        first = square[0] + square[1]
        forms = np.array(
            [
                calm @ square[2:] + first,
                calm @ square[1:-1],
                calm @ square[:-2] - first,
                2 * (calm @ next_one[1:-1] + next_one[0]),
                2 * (calm @ next_one[:-2] - next_one[0]),
                2 * (calm @ next_two[:-2]),
            ]
        )
        layout, known, (v, t, states) = self.layout, self.known, self.rows
        apart = known.data[: layout.size, layout.reach] + known.rough[:, 0] - 2 * known.both
        shared = float(np.sum(apart) + np.sum((t - v) ** 2))
        d = layout.states
        if d == 0:
            none = np.zeros((0, 0))
            return Moments(forms=forms, shared=shared, first=none, total=none, last=none, cross=none)
        flat = states.reshape(-1, d)
        of_first, of_last = states[:, 0], states[:, -1]
        return Moments(
            forms=forms,
            shared=shared,
            first=known.own[0] + of_first.T @ of_first,
            total=known.own.sum(axis=0) + flat.T @ flat,
            last=known.own[-1] + of_last.T @ of_last,
            cross=known.after[:-1].sum(axis=0).T
            + states[:, 1:].reshape(-1, d).T @ states[:, :-1].reshape(-1, d),
        )

    def states_variance(self, loads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the variance of sums of states for a known beta, shape (M,).

        Parameters
        ----------
        loads : ndarray, shape (M, 2 d)
            Factors of the states of the knots before and after each cell.
        """
        layout, known = self.layout, self.known
        out = np.zeros(layout.size)
        for k in range(layout.knots - 1):
            here = slice(layout.segments[k], layout.segments[k + 1])
            block = np.block([[known.own[k], known.after[k]], [known.after[k].T, known.own[k + 1]]])
            out[here] = np.sum(loads[here] @ block * loads[here], axis=1)
        return out

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
        spans, none = Spans(*operator.columns), np.zeros(len(operator))
        residuals, variance = np.empty(len(operator)), np.empty(len(operator))
        slopes = np.empty_like(columns)
        fit_of_pairs(spans, none, columns, self.mean.t, self.sensitivity.t, self.beta, residuals, slopes)
        variance_of_pairs(spans, self.known.data, self.layout.size, slopes, self.beta_cov, variance)
        return -residuals, variance


def _times(factors: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give sums of rows of any shape."""
    return (factors @ rows.reshape(len(rows), -1)).reshape(len(factors), *rows.shape[1:])


@dataclass(frozen=True, eq=False)
class WeighedPairs:
    """What pairs and their weights say, whatever their values: the same for both axes; made by `of`.

    Parameters
    ----------
    spans : Spans
        N pairs.
    weights : ndarray, shape (N,)
        1 / noise variance.
    columns : ndarray, shape (r, N)
        Of the border.
    normal : Band
        A'WA.
    sides : ndarray, shape (r, M)
        A'W E.
    gram : ndarray, shape (r, r)
        E'W E.
    log_weights : float
        Sum of their logarithms.
    """

    spans: Spans
    weights: NDArray[np.float64]
    columns: NDArray[np.float64]
    normal: Band
    sides: NDArray[np.float64]
    gram: NDArray[np.float64]
    log_weights: float

    @classmethod
    def of(
        cls,
        layout: StateLayout,
        operator: SpanOperator,
        weights: NDArray[np.float64],
        columns: NDArray[np.float64],
    ) -> WeighedPairs:
        """Sum up pairs.

        Parameters
        ----------
        layout : StateLayout
            M cells.
        operator : SpanOperator
            N rows.
        weights : ndarray, shape (N,)
        columns : ndarray, shape (r, N)
            At least one.
        """
        size, reach, r, spans = layout.size, layout.reach, len(columns), Spans(*operator.columns)
        # Elimination meets up to four rows behind the last one.
        normal = Band(np.empty((size + 4) * (reach + 1 + PAD)), size, reach)
        sides, both = np.empty((r + r % 2, size)), np.empty((2, size))
        assemble(spans, weights, columns[0], columns[min(1, r - 1)], normal, both)
        sides[:2] = both
        for k in range(2, r, 2):
            pair = columns[k], columns[min(k + 1, r - 1)]
            project(spans, weights * ((pair[0] != 0.0) | (pair[1] != 0.0)), *pair, both)
            sides[k : k + 2] = both
        gram = (columns * weights) @ columns.T
        return cls(spans, weights, columns, normal, sides[:r], gram, float(np.sum(np.log(weights))))


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
    pairs = WeighedPairs.of(layout, operator, weights, border.columns)
    return solve_weighed(layout, latent, pairs, y, border.prior, variances=variances)


def solve_weighed(
    layout: StateLayout,
    latent: Latent,
    pairs: WeighedPairs,
    y: NDArray[np.float64],
    prior: NDArray[np.float64],
    *,
    variances: bool = True,
) -> Posterior:
    """Do what `solve_arrowhead` does with pairs that are summed up already.

    Parameters
    ----------
    layout : StateLayout
    latent : Latent
    pairs : WeighedPairs
        N pairs, on the cells of the layout.
    y : ndarray, shape (N,)
    prior : ndarray, shape (r,)
        Prior variances of the border.
    variances : bool
        As there.

    Raises
    ------
    NotPositiveError
        If the precision cannot be factorised.
    """
    size, knots, r = layout.size, layout.knots, len(prior)
    spans, columns = pairs.spans, pairs.columns
    sides, both = np.empty((1 + r, size)), np.empty((2, size))
    project(spans, pairs.weights, y, y, both)
    sides[0], sides[1:] = both[0], pairs.sides
    front, phi = layout.front(1 + r), layout.phi(latent.amplitudes)
    factor = blank_factor(front, knots, 1 + r)
    if not eliminate(front, layout.precision(latent, phi), pairs.normal.entries.copy(), sides, factor):
        raise NotPositiveError("the precision of the model is not positive definite")
    of_v, of_t = np.empty((1 + r, size + 2)), np.empty((1 + r, size))
    of_z = np.empty((1 + r, knots, layout.states))
    substitute(front, factor, of_v, of_t, of_z)
    of_v = of_v[:, :size]
    sensitivity = States(of_v[1:], of_t[1:], of_z[1:])
    schur = pairs.gram - factor.border[1:, 1:]
    schur[np.diag_indices(r)] += 1.0 / prior
    try:
        lower = np.linalg.cholesky((schur + schur.T) / 2)
    except np.linalg.LinAlgError as error:
        raise NotPositiveError("the border of the model is not positive definite") from error
    weighted = pairs.weights * y
    target = columns @ weighted - factor.border[1:, 0]
    beta_cov = np.linalg.inv(lower)
    beta_cov = beta_cov.T @ beta_cov
    beta = beta_cov @ target
    mean = States(*(x[0] - _times(beta[None], x[1:])[0] for x in (of_v, of_t, of_z)))
    residuals, slopes = np.empty(len(y)), np.empty((r, len(y)))
    fit_of_pairs(spans, y, columns, mean.t, sensitivity.t, beta, residuals, slopes)
    # y' S^-1 y as y'W times the residual: the large terms cancel where they are formed.
    square = float(weighted @ residuals)
    log_det = (
        log_determinant(factor)
        - layout.log_prior(latent)
        + 2.0 * float(np.sum(np.log(np.diag(lower))))
        + float(np.sum(np.log(prior)))
        - pairs.log_weights
    )
    evidence = -0.5 * (square + log_det + len(y) * np.log(2 * np.pi))
    inverse, fit_variance = None, np.empty(0)
    if variances:
        inverse, fit_variance = blank_selected(front, knots), np.empty(len(y))
        selected_inverse(front, factor, inverse)
        variance_of_pairs(spans, inverse.data, size, slopes, beta_cov, fit_variance)
    return Posterior(
        layout=layout,
        latent=latent,
        phi=phi,
        log_evidence=float(evidence),
        mean=mean,
        beta=beta,
        beta_cov=beta_cov,
        residuals=residuals,
        fit_variance=fit_variance,
        sensitivity=sensitivity,
        inverse=inverse,
    )
