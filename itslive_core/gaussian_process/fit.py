"""How a Gaussian process is fitted at a pixel: what is learnt from which pairs, in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma, gammaln

from itslive_core.gaussian_process.component import (
    DEGREES_OF_FREEDOM,
    CancelledError,
    Component,
    learn,
    robust_weights,
)
from itslive_core.gaussian_process.data import PixelData, dense_rows
from itslive_core.gaussian_process.model import KernelShape, kernel_priors, noise_name
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import Posterior, StateLayout

__all__ = ["LEAST_PAIRS", "Fit", "distinct_spans", "fit_steps", "new_factors", "solve_with", "theta_of"]

_LEAST_CELLS = 4
LEAST_PAIRS = 8
"""Distinct spans below which only a constant is fitted."""
_LEAST_SEEN = 30
"""Pairs below which the noise of a mission counts as not learnt in the dense period."""
_FIRST, _SECOND = 8, 6
_REFINED = (20, 12, 10, 8)
"""Evaluations of the evidence in each round; the quick pass is shown after the first."""
_START_SHARED = 1.0
"""Shared noise to begin with, in units of the spread."""
_STILL = 0.03
"""A round that moves everything by less than this, in standard deviations of its prior, is the last one."""
_SIGNAL = 3.0
"""The evidence must prefer the kernel to a constant by so many nats."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted Gaussian process at one pixel.

    Parameters
    ----------
    data : PixelData
    grid : TimeGrid
        M cells; never fewer than 4, so that it may reach beyond the last pair.
    components : list of Component
        Along and across the flow.
    theta : list of ndarray
        Hyperparameters of each component, in standard deviations of their priors.
    robust : ndarray, shape (n,)
        u of each pair.
    posteriors : list of Posterior
    offsets : tuple of int
        Missions with an offset, in the order of the border.
    refined : bool
        False for the quick pass.
    reason : str
        Why only a constant was fitted; empty otherwise.
    gain : float
        By how many nats the evidence prefers the kernel to a constant; NaN if not compared.
    """

    data: PixelData
    grid: TimeGrid
    components: list[Component]
    theta: list[NDArray[np.float64]]
    robust: NDArray[np.float64]
    posteriors: list[Posterior]
    offsets: tuple[int, ...]
    refined: bool
    reason: str = ""
    gain: float = float("nan")

    @property
    def shape(self) -> KernelShape:
        """Parts of the kernel."""
        return self.components[0].shape

    @property
    def values(self) -> list[dict[str, float]]:
        """Hyperparameters of each component by name; scales in units of the spread, times in years."""
        return [c.values(t) for c, t in zip(self.components, self.theta, strict=True)]


def fit_steps(
    data: PixelData,
    interval: float,
    *,
    trend: bool,
    harmonics: int,
    offsets: bool,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Fit]:
    """Fit a pixel: first quickly, then refined.

    The kernel is learnt on the pairs of the dense years; what remains to be learnt of the noise, and the
    series, comes from all pairs on the whole axis. Robust weights and hyperparameters are improved in turns.

    Parameters
    ----------
    data : PixelData
        At least one pair.
    interval : float
        Length of a cell [days].
    trend : bool
    harmonics : int
        0 is no season.
    offsets : bool
    cancelled : callable, optional
        Asked before each evaluation of the evidence.

    Yields
    ------
    Fit
        One or two.

    Raises
    ------
    CancelledError
        If `cancelled` said so.
    """
    shape = KernelShape(interval, trend, harmonics)
    missions = data.offset_missions() if offsets else ()
    few = distinct_spans(data)
    if few < LEAST_PAIRS:
        reason = f"a constant: {few} pairs with distinct dates, at least {LEAST_PAIRS} are needed for more"
        yield replace(_Learning.constant(data, shape, missions, cancelled).fit(refined=True), reason=reason)
        return
    learning = _Learning(data, shape, missions, cancelled)
    learning.settle(2)
    learning.improve(_FIRST)
    learning.settle(1)
    yield learning.fit(refined=False)
    learning.improve(_SECOND)
    learning.settle(1)
    for evaluations in _REFINED:
        moved = learning.improve(evaluations)
        learning.settle(2)
        if moved < _STILL:
            break
    constant = _Learning.constant(data, shape, missions, cancelled)
    gain = learning.bound() - constant.bound()
    if gain < _SIGNAL:
        reason = "a constant: the pairs do not tell its changes from their noise"
        yield replace(constant.fit(refined=True), reason=reason, gain=gain)
    else:
        yield replace(learning.fit(refined=True), gain=gain)


def distinct_spans(data: PixelData) -> int:
    """Count the pairs with distinct (start, end)."""
    return int(np.unique(np.stack([data.start, data.end]), axis=1).shape[1])


def solve_with(
    data: PixelData,
    grid: TimeGrid,
    shape: KernelShape,
    units: list[tuple[float, float]],
    values: list[dict[str, float]],
    offsets: tuple[int, ...],
    *,
    robust: NDArray[np.float64] | None = None,
    turns: int = 3,
    layout: StateLayout | None = None,
) -> Fit:
    """Solve a pixel with hyperparameters from elsewhere; only robust weights and new noise factors follow.

    Parameters
    ----------
    data : PixelData
    grid : TimeGrid
        Holds all its pairs.
    shape : KernelShape
    units : list of (centre, scale)
        In which the hyperparameters are given [m/yr].
    values : list of dict
        Hyperparameters of each component; a mission without a noise factor gets one from its pairs.
    offsets : tuple of int
        Missions with an offset.
    robust : ndarray, shape (n,), optional
        Robust weights to begin with.
    turns : int
        Rounds of robust weights.
    layout : StateLayout, optional
        That of `grid`, for spans at least as long as these; made if not given.
    """
    operator = grid.operator(data.start, data.end)
    layout = shape.layout(grid, operator.bandwidth) if layout is None else layout
    components = data.components(shape, layout, operator, units, offsets)
    theta = [theta_of(c, v) for c, v in zip(components, values, strict=True)]
    u = np.ones(len(data)) if robust is None else robust
    for _ in range(turns):
        _, squares = _solve(components, theta, u)
        u = robust_weights(squares)
        for k, (component, given) in enumerate(zip(components, values, strict=True)):
            theta[k] = new_factors(component, theta[k], u * squares[k], given)
    posteriors, _ = _solve(components, theta, u)
    return Fit(
        data=data,
        grid=grid,
        components=components,
        theta=theta,
        robust=u,
        posteriors=posteriors,
        offsets=offsets,
        refined=True,
    )


class _Learning:
    """The dense years of a pixel, while their hyperparameters are learnt."""

    def __init__(
        self,
        data: PixelData,
        shape: KernelShape,
        offsets: tuple[int, ...],
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.data, self.shape, self.offsets, self.cancelled = data, shape, offsets, cancelled
        self.rows = dense_rows(data.start, data.end)
        self.dense = data.take(self.rows)
        self.units = self.dense.units()
        grid = _grid(self.dense, shape.interval)
        operator = grid.operator(self.dense.start, self.dense.end)
        layout = shape.layout(grid, operator.bandwidth)
        self.components = self.dense.components(shape, layout, operator, self.units, offsets)
        # What fluctuates from cell to cell counts as shared noise until it proves to be motion: the other way
        # round, a short roughness that has taken it does not give it back.
        self.theta = [theta_of(c, {"shared_noise": _START_SHARED}) for c in self.components]
        self.free = np.ones(len(self.theta[0]), dtype=bool)
        self.u = np.ones(len(self.dense))

    @classmethod
    def constant(
        cls,
        data: PixelData,
        shape: KernelShape,
        offsets: tuple[int, ...],
        cancelled: Callable[[], bool] | None,
    ) -> _Learning:
        """Fit a constant: a roughness of next to nothing, and no other part."""
        plain = KernelShape(shape.interval, trend=False, harmonics=0)
        learning = cls(data, plain, offsets, cancelled)
        names = list(learning.components[0].priors)
        at = names.index("roughness_scale")
        prior = kernel_priors(plain)["roughness_scale"]
        for theta in learning.theta:
            theta[at] = np.log(1e-3 / prior.median) / prior.spread
        learning.free[[names.index(n) for n in plain.names if n != "shared_noise"]] = False
        learning.settle(2)
        for evaluations in (_FIRST, _SECOND):
            learning.improve(evaluations)
            learning.settle(2)
        return learning

    def settle(self, turns: int) -> None:
        """Bring the robust weights up to date."""
        for _ in range(turns):
            if self.cancelled is not None and self.cancelled():
                raise CancelledError
            self.posteriors, squares = _solve(self.components, self.theta, self.u)
            self.u = robust_weights(squares)
            self.squares = squares

    def improve(self, evaluations: int) -> float:
        """Move the hyperparameters of both components; returns the largest move."""
        moved = 0.0
        for k, component in enumerate(self.components):
            before = self.theta[k]
            self.theta[k] = learn(
                component, before, self.u, evaluations=evaluations, free=self.free, cancelled=self.cancelled
            )
            moved = max(moved, float(np.max(np.abs(self.theta[k] - before))))
        return moved

    def bound(self) -> float:
        """Give the variational bound of log p(data), with the log prior of the hyperparameters."""
        c = len(self.components)
        a, b = (DEGREES_OF_FREEDOM + c) / 2, (DEGREES_OF_FREEDOM + np.sum(self.squares, axis=0)) / 2
        mean, mean_log = a / b, digamma(a) - np.log(b)
        half = DEGREES_OF_FREEDOM / 2
        prior = half * np.log(half) - gammaln(half) + (half - 1) * mean_log - half * mean
        entropy = a - np.log(b) + gammaln(a) + (1 - a) * digamma(a)
        robust = np.sum(prior + entropy + 0.5 * c * (mean_log - np.log(mean)))
        prior_cost = sum(0.5 * float(t[self.free] @ t[self.free]) for t in self.theta)
        evidence = sum(p.log_evidence for p in _solve(self.components, self.theta, self.u)[0])
        return float(evidence + robust - prior_cost)

    def fit(self, *, refined: bool) -> Fit:
        """Solve for the whole axis."""
        values = [c.values(t) for c, t in zip(self.components, self.theta, strict=True)]
        seen = np.bincount(self.dense.mission)
        known = [
            {
                name: value
                for name, value in v.items()
                if name not in {noise_name(m) for m in range(len(seen)) if seen[m] < _LEAST_SEEN}
            }
            for v in values
        ]
        whole = bool(self.rows.all())
        u = np.ones(len(self.data))
        u[self.rows] = self.u
        grid = _grid(self.data, self.shape.interval)
        found = solve_with(
            self.data,
            grid,
            self.shape,
            self.units,
            values if whole else known,
            self.offsets,
            robust=u,
            turns=0 if whole else 3,
        )
        return replace(found, refined=refined)


def _grid(data: PixelData, interval: float) -> TimeGrid:
    grid = TimeGrid.covering(data.start, data.end, interval)
    return grid if grid.size >= _LEAST_CELLS else TimeGrid(grid.interval, grid.first, _LEAST_CELLS)


def _solve(
    components: list[Component], theta: list[NDArray[np.float64]], u: NDArray[np.float64]
) -> tuple[list[Posterior], list[NDArray[np.float64]]]:
    """Give posteriors, and (residual^2 + variance of the fit) / noise of every pair."""
    posteriors, squares = [], []
    for component, point in zip(components, theta, strict=True):
        values = component.values(point)
        posterior = component.posterior(values, u)
        posteriors.append(posterior)
        squares.append((posterior.residuals**2 + posterior.fit_variance) / component.noise(values))
    return posteriors, squares


def theta_of(component: Component, values: dict[str, float]) -> NDArray[np.float64]:
    """Give hyperparameters in standard deviations from the median of their prior; 0 for those not given."""
    return np.array(
        [
            np.log(values[name] / prior.median) / prior.spread if name in values else 0.0
            for name, prior in component.priors.items()
        ]
    )


def new_factors(
    component: Component, theta: NDArray[np.float64], squares: NDArray[np.float64], given: dict[str, float]
) -> NDArray[np.float64]:
    """Estimate noise factors that were not given, from weighted squares; the prior counts as one pair."""
    theta = theta.copy()
    names = list(component.priors)
    for k, mission in enumerate(component.missions):
        name = noise_name(mission)
        if name in given:
            continue
        own = squares[component.group == k]
        at, prior = names.index(name), component.priors[name]
        factor2 = (own.sum() * np.exp(2 * prior.spread * theta[at]) + 1.0) / (len(own) + 1.0)
        theta[at] = 0.5 * np.log(factor2) / prior.spread
    return theta
