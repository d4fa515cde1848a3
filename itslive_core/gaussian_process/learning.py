"""Hyperparameters of a pixel while they are learnt, in turns with what its pairs are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.component import (
    CancelledError,
    Component,
    Trust,
    learn,
    robust_weights,
    weight_bound,
)
from itslive_core.gaussian_process.jumps import JUMP_FREEDOM, jump_squares
from itslive_core.gaussian_process.model import KernelShape, kernel_priors
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import Posterior
    from itslive_core.gaussian_process.data import PixelData

__all__ = ["HUMBLE", "Judge", "Learning", "grid_of", "theta_of"]

_LEAST_CELLS = 4
_START_SHARED = 1.0
"""Shared noise to begin with, in units of the spread."""
HUMBLE = (0.5, 0.125)
"""Floors of the noise to begin with, as shares of the prior standard deviation of the velocity."""
_MARGIN = 3
"""Cells before and after a departure in which the ice may begin it and come back."""
_LEAST_LEFT = 1e-3
"""Share of its own residual that a pair is left with at least when it is judged."""


class Judge:
    """Solves for both axes and says what the pairs are worth.

    Parameters
    ----------
    data : PixelData
        n pairs.
    components : list of Component
        Both axes.
    jumpy : bool
        Give the roughness heavy tails.
    """

    def __init__(self, data: PixelData, components: list[Component], *, jumpy: bool = True) -> None:
        self.images = data.images
        self.data = data
        self.components = components
        self.jumpy = jumpy
        self.trust = Trust.full(len(data))

    def solve(self, values: dict[str, float]) -> list[Posterior]:
        """Solve for both axes."""
        weighed = self.components[0].weigh(values, self.trust)
        found = [c.posterior(values, weighed) for c in self.components]
        self.posteriors = found
        self.enter(
            np.stack([p.residuals for p in found]),
            np.stack([p.fit_variance for p in found]),
            weighed.noise,
        )
        return found

    def enter(
        self, residuals: NDArray[np.float64], variance: NDArray[np.float64], noise: NDArray[np.float64]
    ) -> None:
        """Take what a solution says of the pairs.

        Parameters
        ----------
        residuals, variance : ndarray, shape (2, n)
            Along both axes; the variance is that of the fit.
        noise : ndarray, shape (n,)
            Scale^2 of the noise.
        """
        self.residuals, self.variance, self.noise = residuals, variance, noise
        self.squares: NDArray[np.float64] = (residuals**2 + variance).sum(axis=0) / noise

    def reweight(self, *, images: bool = True) -> None:
        """Judge the pairs by the solution entered last, each by what the others say of it.

        A pair that pulls the series to itself leaves a short residual: divided by 1 - pull, it is what it
        would be of the series without the pair and all those of the same dates, in standard deviations of
        both.
        """
        pull = self.images.together(self.trust.u * self.trust.credit / self.noise) * self.variance
        alone = self.residuals**2 / self.noise / np.maximum(1.0 - pull, _LEAST_LEFT)
        u = robust_weights(list(alone))
        variance = self.variance.mean(axis=0)
        credit = self.images.credit(self.residuals, variance, self.noise, u, images=images)
        self.trust = Trust(u, credit)

    def find_jumps(self, *, blind: bool = True) -> None:
        """Judge the cells by the solution found last, by whether the ice jumped there.

        Parameters
        ----------
        blind : bool
            As for `jump_squares`.
        """
        if self.jumpy:
            squares = [jump_squares(p, blind=blind) for p in self.posteriors]
            weights = robust_weights(squares, JUMP_FREEDOM)
            # Where nothing is known the weight is 1, which a mean of 0 does not tell from calm.
            self.calm(weights if blind else np.minimum(weights, 1.0))

    def calm(self, weights: NDArray[np.float64]) -> None:
        """Set the weights of the noise that enters the roughness, shape (M - 2,)."""
        layout = self.components[0].layout.with_calm(weights)
        self.components = [replace(c, layout=layout) for c in self.components]

    def begin(self, values: dict[str, float]) -> None:
        """Judge the pairs while all are humble and the ice may do anything.

        So no pair rules by its small formal error alone, and none is thrown out because the others do not
        expect what it saw: the roughness is as large as the whole kernel at first, and larger about dates of
        which three pairs say so. It is taken back after.
        """
        if self.jumpy:
            self.calm(values["roughness_scale"] ** 2 / self._ready(values))
        for humble in self.humble(values):
            self.solve(humble)
            self.reweight(images=False)

    def humble(self, values: dict[str, float]) -> list[dict[str, float]]:
        """Give hyperparameters with floors of the noise that come down from half of all."""
        whole = float(np.sqrt(_all_of_it(self.components[0].shape, values)))
        return [values | {"noise_floor": max(values["noise_floor"], share * whole)} for share in HUMBLE]

    def _ready(self, values: dict[str, float]) -> NDArray[np.float64]:
        """Give the variance of the roughness with which every cell but two begins, shape (M - 2,)."""
        grid = self.components[0].operator.grid
        whole = _all_of_it(self.components[0].shape, values)
        ready = np.full(grid.size, whole)
        begin, end, size = self.data.departures(self.components[0].noise(values))
        for k in np.flatnonzero(size**2 > whole):
            first, last = np.searchsorted(grid.edges, [begin[k], end[k]])
            near = slice(max(first - _MARGIN, 0), last + _MARGIN)
            ready[near] = np.maximum(ready[near], size[k] ** 2)
        return ready[2:]


def _all_of_it(shape: KernelShape, values: dict[str, float]) -> float:
    """Give the variance that the ice may show: that of the kernel, and that of the units."""
    return 1.0 + sum(values[name] ** 2 for name in shape.scales)


class Learning:
    """The pairs of a pixel on a grid, while their hyperparameters are learnt.

    Parameters
    ----------
    data : PixelData
        n pairs.
    shape : KernelShape
    offsets : tuple of int
        Missions with an offset.
    cancelled : callable, optional
        Asked before each evaluation.
    known : dict, optional
        Hyperparameters to begin with.
    jumpy : bool
        Give the roughness heavy tails.
    """

    def __init__(
        self,
        data: PixelData,
        shape: KernelShape,
        offsets: tuple[int, ...],
        cancelled: Callable[[], bool] | None,
        known: dict[str, float] | None = None,
        *,
        jumpy: bool = True,
    ) -> None:
        self.data, self.shape, self.offsets, self.cancelled = data, shape, offsets, cancelled
        grid = grid_of(data, shape.interval)
        operator = grid.operator(data.start, data.end)
        layout = shape.layout(grid, operator.bandwidth)
        self.judge = Judge(data, data.components(shape, layout, operator, offsets), jumpy=jumpy)
        self.names = list(self.components[0].priors)
        # What fluctuates from cell to cell counts as shared noise until it proves to be motion: the other way
        # round, a short roughness that has taken it does not give it back.
        self.theta = theta_of(self.components[0], (known or {}) | {"shared_noise": _START_SHARED})
        self.free = np.ones(len(self.theta), dtype=bool)

    @classmethod
    def constant(
        cls,
        data: PixelData,
        shape: KernelShape,
        offsets: tuple[int, ...],
        cancelled: Callable[[], bool] | None,
        evaluations: Iterable[int],
    ) -> Learning:
        """Fit a constant: a roughness of next to nothing, and no other part."""
        plain = KernelShape(shape.interval, trend=False, harmonics=0)
        learning = cls(data, plain, offsets, cancelled, {"roughness_scale": 1e-3}, jumpy=False)
        learning.hold(n for n in kernel_priors(plain) if "shared" not in n)
        learning.begin()
        for most in evaluations:
            learning.improve(most)
            learning.settle(2)
        return learning

    @property
    def components(self) -> list[Component]:
        """Both axes, as the pairs and the jumps are judged by now."""
        return self.judge.components

    @property
    def values(self) -> dict[str, float]:
        """Hyperparameters by name."""
        return self.components[0].values(self.theta)

    def hold(self, names: Iterable[str]) -> None:
        """Leave hyperparameters as they are."""
        self.free[[self.names.index(n) for n in names if n in self.names]] = False

    def begin(self) -> None:
        """Judge the pairs before anything is learnt."""
        self.judge.begin(self.values)
        # Scales are learnt of calm ice first: of a roughness that may jump anywhere they would learn nothing.
        self.judge.calm(np.ones(self.components[0].layout.size - 2))

    def settle(self, turns: int, *, images: bool = True) -> None:
        """Bring what the pairs are worth up to date."""
        for _ in range(turns):
            if self.cancelled is not None and self.cancelled():
                raise CancelledError
            self.judge.solve(self.values)
            self.judge.reweight(images=images)
            self.judge.find_jumps()

    def improve(self, evaluations: int) -> float:
        """Move the hyperparameters; returns the largest move, in standard deviations of the priors."""
        before = self.theta
        self.theta = learn(
            self.components,
            before,
            self.judge.trust,
            evaluations=evaluations,
            free=self.free,
            cancelled=self.cancelled,
        )
        return float(np.max(np.abs(self.theta - before)))

    def bound(self) -> float:
        """Give the variational bound of log p(data), with the log prior of the hyperparameters.

        The robust weight of a pair has a gamma distribution of mean u; a pair of little credit counts as a
        part of one. Weights of jumps loosen the bound where there is little to know, so the same without
        jumps is looked at, too: the larger one counts.
        """
        c, calm = len(self.components), self.components[0].layout.calm
        u, credit = self.judge.trust
        part = self.theta[self.free]
        rest = float(credit @ weight_bound(u, c) - 0.5 * part @ part)
        values, found = self.values, []
        jumps = float(np.sum(weight_bound(calm, c, JUMP_FREEDOM)))
        for weights, cost in ((calm, jumps), (np.ones(len(calm)), 0.0)):
            self.judge.calm(weights)
            found.append(sum(p.log_evidence for p in self.judge.solve(values)) + cost)
        self.judge.calm(calm)
        return max(found) + rest


def grid_of(data: PixelData, interval: float) -> TimeGrid:
    """Give the cells that the pairs touch, four at least."""
    grid = TimeGrid.covering(data.start, data.end, interval)
    return grid if grid.size >= _LEAST_CELLS else TimeGrid(grid.interval, grid.first, _LEAST_CELLS)


def theta_of(component: Component, values: dict[str, float]) -> NDArray[np.float64]:
    """Give hyperparameters in standard deviations from the median of their prior; 0 for those not given."""
    return np.array(
        [
            np.log(values[name] / prior.median) / prior.spread if name in values else 0.0
            for name, prior in component.priors.items()
        ]
    )
