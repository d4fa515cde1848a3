"""One axis of the velocity at one pixel: data in units of their spread, and the evidence to maximise.

Both axes share all hyperparameters but for two ratios: along the minor axis everything that the ice does is
smaller by one of them, and what pairs of the same days see in error (shadows have a direction) by the other.
The noise of a pair has no direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from itslive_core.gaussian_process.arrowhead import Border, Posterior, WeighedPairs, solve_weighed
from itslive_core.gaussian_process.model import (
    KernelShape,
    Prior,
    kernel_priors,
    noise_name,
    noise_priors,
    offset_priors,
)
from itslive_core.support.stopping import check_stop
from itslive_core.support.student import FREEDOM as DEGREES_OF_FREEDOM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.latent import Latent
    from itslive_core.gaussian_process.layout import StateLayout
    from itslive_core.observations.time_grid import SpanOperator

__all__ = [
    "CancelledError",
    "Component",
    "DEGREES_OF_FREEDOM",
    "Trust",
    "Weighed",
    "learn",
    "robust_weights",
    "weight_bound",
]

LEVEL = 10.0
"""Prior standard deviation of the level, in units of the spread: it leaves the level free."""


class CancelledError(Exception):
    """The fit was cancelled."""


class Trust(NamedTuple):
    """What the pairs are worth.

    Parameters
    ----------
    u : ndarray, shape (N,)
        Robust weights.
    credit : ndarray, shape (N,)
        How many independent pairs each is worth, at most 1: those that share images share their noise.
    """

    u: NDArray[np.float64]
    credit: NDArray[np.float64]

    @classmethod
    def full(cls, n: int) -> Trust:
        """Trust all of n pairs."""
        return cls(np.ones(n), np.ones(n))


class Weighed(NamedTuple):
    """What the pairs are worth for given hyperparameters, along both axes.

    Parameters
    ----------
    noise : ndarray, shape (N,)
        Scale^2 of the noise of every pair.
    trust : Trust
    pairs : WeighedPairs
    of_parts : float
        What is added to log p(y) as pairs of little credit are parts of pairs.
    """

    noise: NDArray[np.float64]
    trust: Trust
    pairs: WeighedPairs
    of_parts: float


@dataclass(frozen=True, eq=False)
class Component:
    """Data of one axis, on a grid.

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
    columns : ndarray, shape (1 + a, N)
        Border: the level, and the offsets of a missions.
    minor : bool
        The axis along which the velocity varies less.
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
    columns: NDArray[np.float64]
    minor: bool
    centre: float
    scale: float

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """Priors of all hyperparameters, in their order."""
        return {
            **kernel_priors(self.shape),
            **noise_priors(self.missions),
            **(offset_priors() if len(self.columns) > 1 else {}),
        }

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
        return self.shape.latent(self._own(values))

    def border(self, values: dict[str, float]) -> Border:
        """Give level and offsets with their priors."""
        wide = values.get("offset_scale", 0.0) ** 2
        return Border(self.columns, np.array([LEVEL**2, *(wide for _ in self.columns[1:])]))

    def weigh(self, values: dict[str, float], trust: Trust) -> Weighed:
        """Say what the pairs are worth for given hyperparameters: the same along both axes."""
        u, credit = trust
        noise = self.noise(values)
        pairs = WeighedPairs.of(self.layout, self.operator, u * credit / noise, self.columns)
        # A pair of little credit counts as a part of a pair, not as one of larger noise.
        parts = float((1.0 - credit) @ np.log(2 * np.pi * noise / u)) if np.any(credit != 1.0) else 0.0
        return Weighed(noise, trust, pairs, 0.5 * (parts - float(np.sum(np.log(credit)))))

    def posterior(self, values: dict[str, float], weighed: Weighed, *, variances: bool = True) -> Posterior:
        """Solve for given hyperparameters and trust in the pairs.

        A pair of little credit counts as a part of a pair, not as one of larger noise: log p(y) of the result
        has the likelihood of every pair to the power of its credit.
        """
        found = solve_weighed(
            self.layout,
            self.latent(values),
            weighed.pairs,
            self.y,
            self.border(values).prior,
            variances=variances,
        )
        return replace(found, log_evidence=found.log_evidence + weighed.of_parts)

    def gradient(
        self, values: dict[str, float], weighed: Weighed, posterior: Posterior
    ) -> NDArray[np.float64]:
        """Differentiate -log p(y) by the logarithms of all hyperparameters, in their order."""
        noise, (u, credit) = weighed.noise, weighed.trust
        excess = credit * (1.0 - u / noise * (posterior.residuals**2 + posterior.fit_variance))
        floor = values["noise_floor"] ** 2
        by_floor = float(np.sum(excess * floor / (self.error2 + floor)))
        by_factor = np.bincount(self.group, excess, len(self.missions))
        of_kernel = self.shape.gradient(self._own(values), posterior)
        names = list(self.shape.names)
        ratios = [
            float(of_kernel[[names.index(n) for n in self.shape.scales]].sum()),
            float(of_kernel[names.index("shared_noise")]),
        ]
        if not self.minor:
            ratios = [0.0 for _ in ratios]
        by_offsets = []
        if len(self.columns) > 1:
            square = posterior.beta[1:] ** 2 + np.diag(posterior.beta_cov)[1:]
            by_offsets = [float(np.sum(1.0 - square / values["offset_scale"] ** 2))]
        return np.concatenate([of_kernel, ratios, [by_floor], by_factor, by_offsets])

    def _own(self, values: dict[str, float]) -> dict[str, float]:
        """Give the hyperparameters of this axis."""
        if not self.minor:
            return values
        own = values | {name: values["minor_ratio"] * values[name] for name in self.shape.scales}
        own["shared_noise"] *= values["minor_shared"]
        return own


def learn(
    components: Sequence[Component],
    theta: NDArray[np.float64],
    trust: Trust,
    *,
    evaluations: int,
    free: NDArray[np.bool_] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> NDArray[np.float64]:
    """Move the hyperparameters that both axes share towards the maximum of evidence times prior, by L-BFGS.

    Parameters
    ----------
    components : sequence of Component
        Both axes.
    theta : ndarray, shape (p,)
        Where to start.
    trust : Trust
        In the pairs, held.
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
    priors = components[0].priors
    spreads = np.array([p.spread for p in priors.values()])
    free = np.ones(len(theta), dtype=bool) if free is None else free
    full = theta.copy()

    def objective(part: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        if cancelled is not None and cancelled():
            raise CancelledError
        check_stop()
        full[free] = part
        value, slope = 0.5 * float(full @ full), full.copy()
        values = components[0].values(full)
        weighed = components[0].weigh(values, trust)
        for component in components:
            posterior = component.posterior(values, weighed)
            value -= posterior.log_evidence
            slope += spreads * component.gradient(values, weighed, posterior)
        return value, slope[free]

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


def robust_weights(
    squares: Sequence[NDArray[np.float64]], freedom: float = DEGREES_OF_FREEDOM
) -> NDArray[np.float64]:
    """Give the expected precision factors of a Student t that all components share.

    u = (nu + c) / (nu + sum of squares): the variational step of expectation and maximisation.

    Parameters
    ----------
    squares : sequence of ndarray, shape (N,)
        For each of c components, the expected square over the variance.
    freedom : float
        nu, the degrees of freedom.
    """
    return np.asarray((freedom + len(squares)) / (freedom + np.sum(squares, axis=0)))


def weight_bound(
    u: NDArray[np.float64], components: int, freedom: float = DEGREES_OF_FREEDOM
) -> NDArray[np.float64]:
    """Give what the weights of a Student t add to the variational bound of the evidence, each.

    A weight has a gamma distribution of mean u and shape (nu + c) / 2; its prior has mean 1 and shape nu / 2.

    Parameters
    ----------
    u : ndarray, shape (N,)
    components : int
        c, which share the weights.
    freedom : float
        nu.
    """
    a = (freedom + components) / 2
    b = a / u
    mean_log = digamma(a) - np.log(b)
    half = freedom / 2
    prior = half * np.log(half) - gammaln(half) + (half - 1) * mean_log - half * u
    entropy = a - np.log(b) + gammaln(a) + (1 - a) * digamma(a)
    return np.asarray(prior + entropy + 0.5 * components * (mean_log - np.log(u)))
