"""Means of a Gaussian process over windows, with the covariance of all their cells.

A window of a year is longer than the band in which the inverse of the precision is known, so the rows of the
inverse that its mean needs are solved for. The right-hand sides of the elimination touch t alone. Of Z = P^-1
the row of t says (1 / s^2 + N) Z_tv = Z_vv / s^2, with the variance s^2 of the shared noise and N = A'WA, so
that Z_vv C' = Z_vt (I + s^2 N) C' for weights C of the windows: one more right-hand side each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import PAD
from itslive_core.gaussian_process.arrowhead import NotPositiveError
from itslive_core.gaussian_process.dataset import along_axes
from itslive_core.gaussian_process.elimination import eliminate, substitute
from itslive_core.gaussian_process.front import blank_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import Posterior, WeighedPairs
    from itslive_core.gaussian_process.fit import Fit

__all__ = ["mean_variances", "window_columns"]

_AT_ONCE = 48
"""Windows that are solved for together: each takes two numbers a cell."""


def window_columns(fit: Fit, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Average the series of a fit over windows.

    Parameters
    ----------
    fit : Fit
    weights : ndarray, shape (g, m)
        Rows sum to 1; m is at most the number of cells of the fit. Windows without cells are NaN.

    Returns
    -------
    dict of ndarray, shape (g,)
        vx, vy, v, their standard deviations [m/yr] and vx_vy_cov.
    """
    inside: NDArray[np.bool_] = np.isfinite(weights[:, 0])
    own = np.zeros((int(inside.sum()), fit.posteriors[0].layout.size))
    own[:, : weights.shape[1]] = weights[inside]
    pairs = fit.components[0].weigh(fit.values, fit.trust).pairs
    moments = []
    for component, posterior in zip(fit.components, fit.posteriors, strict=True):
        root = np.linalg.cholesky(posterior.beta_cov)
        level = np.concatenate([posterior.beta[:1], -root[0]])[:, None]
        lines = posterior.rows.v @ own.T + level
        variance = mean_variances(posterior, pairs, own) + np.sum(lines[1:] ** 2, axis=0)
        both = np.full((2, len(inside)), np.nan)
        both[0, inside] = lines[0] * component.scale + component.centre
        both[1, inside] = np.sqrt(np.maximum(variance, 0.0)) * component.scale
        moments.append((both[0], both[1]))
    return along_axes(fit.data.axis, *moments)


def mean_variances(
    posterior: Posterior, pairs: WeighedPairs, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the variances of means of cells v for a known beta.

    Parameters
    ----------
    posterior : Posterior
        Of M cells.
    pairs : WeighedPairs
        That it was solved with.
    weights : ndarray, shape (g, M)

    Returns
    -------
    ndarray, shape (g,)

    Raises
    ------
    NotPositiveError
        If the precision cannot be factorised.
    """
    layout, out = posterior.layout, np.empty(len(weights))
    prior = layout.precision(posterior.latent, posterior.phi)
    for begin in range(0, len(weights), _AT_ONCE):
        own = weights[begin : begin + _AT_ONCE]
        sides = own + _times_normal(pairs, own) / prior.apart
        front = layout.front(len(own))
        factor = blank_factor(front, layout.knots, len(own))
        if not eliminate(front, prior, pairs.normal.entries.copy(), sides, factor):
            raise NotPositiveError("the precision of the model is not positive definite")
        v, t = np.empty((len(own), layout.size + 2)), np.empty((len(own), layout.size))
        substitute(front, factor, v, t, np.empty((len(own), layout.knots, layout.states)))
        out[begin : begin + len(own)] = np.sum(v[:, : layout.size] * own, axis=1)
    return out


def _times_normal(pairs: WeighedPairs, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give A'WA times each row, shape (g, M)."""
    size, reach = rows.shape[1], pairs.normal.width
    band = pairs.normal.entries[: size * (reach + 1 + PAD)].reshape(size, -1)
    out = band[:, 0] * rows
    for k in range(1, min(reach + 1, size)):
        out[:, :-k] += band[:-k, k] * rows[:, k:]
        out[:, k:] += band[:-k, k] * rows[:, :-k]
    return out
