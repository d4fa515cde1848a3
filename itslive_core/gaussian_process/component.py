"""One component of the velocity at one pixel: data in units of their spread, and the evidence to maximise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from itslive_core.gaussian_process.arrowhead import Border, Latent, Posterior, StateLayout, solve_arrowhead
from itslive_core.gaussian_process.model import KernelShape, Prior, kernel_priors, noise_name, noise_priors
from itslive_core.support.student import FREEDOM as DEGREES_OF_FREEDOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["CancelledError", "Component", "DEGREES_OF_FREEDOM", "learn", "robust_weights"]


class CancelledError(Exception):
    """The fit was cancelled."""


@dataclass(frozen=True, eq=False)
class Component:
    """Data of one component, on a grid.

    Parameters
    ----------
    shape : KernelShape
    layout : StateLayout
    operator : SpanOperator
        N rows.
    y : ndarray, shape (N,)
        Velocities, less `centre` and divided by `scale`.
    error2 : ndarray, shape (N,)
        Squared formal errors over scale^2.
    inflation : ndarray, shape (N,)
        Known factors of the noise variance.
    group : ndarray of int64, shape (N,)
        Position of each pair's mission in `missions`.
    missions : tuple of int
        Numbers of the missions that have a noise factor.
    border : Border
        The level, and the offsets of missions.
    centre, scale : float
        [m/yr].
    """

    shape: KernelShape
    layout: StateLayout
    operator: SpanOperator
    y: NDArray[np.float64]
    error2: NDArray[np.float64]
    inflation: NDArray[np.float64]
    group: NDArray[np.int64]
    missions: tuple[int, ...]
    border: Border
    centre: float
    scale: float

    @property
    def priors(self) -> dict[str, Prior]:
        """Priors of all hyperparameters, in their order."""
        return {**kernel_priors(self.shape), **noise_priors(self.missions)}

    def values(self, theta: NDArray[np.float64]) -> dict[str, float]:
        """Give the hyperparameters of theta, which counts standard deviations of the log-normal priors."""
        priors = self.priors
        medians = np.array([p.median for p in priors.values()])
        spreads = np.array([p.spread for p in priors.values()])
        return dict(zip(priors, (medians * np.exp(spreads * theta)).tolist(), strict=True))

    def noise(self, values: dict[str, float]) -> NDArray[np.float64]:
        """Give the scale^2 of the noise of every pair, shape (N,)."""
        factors = np.array([values[noise_name(g)] for g in self.missions])
        return self.inflation * factors[self.group] ** 2 * (self.error2 + values["noise_floor"] ** 2)

    def latent(self, values: dict[str, float]) -> Latent:
        """Give the prior of the cells."""
        return self.shape.latent(values)

    def posterior(
        self, values: dict[str, float], u: NDArray[np.float64], *, variances: bool = True
    ) -> Posterior:
        """Solve for given hyperparameters and robust weights u, shape (N,)."""
        weights = u / self.noise(values)
        return solve_arrowhead(
            self.layout, self.latent(values), self.operator, self.y, weights, self.border, variances=variances
        )

    def gradient(
        self, values: dict[str, float], u: NDArray[np.float64], posterior: Posterior
    ) -> NDArray[np.float64]:
        """Differentiate -log p(y) by the logarithms of all hyperparameters, in their order."""
        noise = self.noise(values)
        excess = 1.0 - u / noise * (posterior.residuals**2 + posterior.fit_variance)
        floor = values["noise_floor"] ** 2
        by_floor = float(np.sum(excess * floor / (self.error2 + floor)))
        by_factor = np.bincount(self.group, excess, len(self.missions))
        return np.concatenate([self.shape.gradient(values, posterior), [by_floor], by_factor])


def learn(
    component: Component,
    theta: NDArray[np.float64],
    u: NDArray[np.float64],
    *,
    evaluations: int,
    free: NDArray[np.bool_] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> NDArray[np.float64]:
    """Move the hyperparameters of a component towards the maximum of evidence times prior, by L-BFGS.

    Parameters
    ----------
    component : Component
    theta : ndarray, shape (p,)
        Where to start.
    u : ndarray, shape (N,)
        Robust weights, held.
    evaluations : int
        Most evaluations of the evidence.
    free : ndarray of bool, shape (p,), optional
        Hyperparameters that may move; default all.
    cancelled : callable, optional
        Asked before each evaluation.

    Returns
    -------
    ndarray, shape (p,)

    Raises
    ------
    CancelledError
        If `cancelled` said so.
    """
    priors = component.priors
    spreads = np.array([p.spread for p in priors.values()])
    free = np.ones(len(theta), dtype=bool) if free is None else free
    full = theta.copy()

    def objective(part: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        if cancelled is not None and cancelled():
            raise CancelledError
        full[free] = part
        values = component.values(full)
        posterior = component.posterior(values, u)
        slope = spreads * component.gradient(values, u, posterior) + full
        return 0.5 * float(full @ full) - posterior.log_evidence, slope[free]

    bounds = [p.bounds for p, keep in zip(priors.values(), free, strict=True) if keep]
    start = np.clip(theta[free], [low for low, _ in bounds], [high for _, high in bounds])
    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxfun": evaluations, "maxiter": evaluations, "ftol": 1e-7, "gtol": 1e-2},
    )
    out = theta.copy()
    out[free] = found.x
    return out


def robust_weights(squares: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Give the expected precision factors of Student-t noise that all components of a pair share.

    u = (nu + c) / (nu + sum of (residual^2 + variance of the fit) / noise): the variational step of
    expectation and maximisation.

    Parameters
    ----------
    squares : list of ndarray, shape (N,)
        For each of c components, (residual^2 + variance of the fit) / noise.
    """
    return (DEGREES_OF_FREEDOM + len(squares)) / (DEGREES_OF_FREEDOM + np.sum(squares, axis=0))
