"""How a Gaussian process is fitted at a pixel: what is learnt from which pairs, in which order.

What is slow is learnt from all pairs: trend, sizes of offsets, and whether anything but a constant can be
told, on cells so long that decades cost little. What is fast is learnt on the cells that are asked for, from
the years that hold most pairs. The series comes from all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.data import DENSE_YEARS, PixelData, dense_rows
from itslive_core.gaussian_process.learning import Judge, Learning, grid_of, theta_of
from itslive_core.gaussian_process.model import KernelShape, noise_name
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import Posterior
    from itslive_core.gaussian_process.component import Component, Trust
    from itslive_core.gaussian_process.layout import StateLayout
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["LEAST_PAIRS", "Fit", "distinct_spans", "fit_steps", "new_factors", "solve_with"]

LEAST_PAIRS = 8
"""Distinct spans below which only a constant is fitted."""
_LEAST_SEEN = 30
"""Pairs below which the noise of a mission counts as not learnt in the dense period."""
_COARSE = 48.0
"""Length of the cells of the slow parts [days]."""
_SLOW = ("trend_scale", "trend_time", "offset_scale")
_FIRST, _SECOND = 8, 6
_REFINED = (20, 10)
"""Evaluations of the evidence in each round; the quick pass is shown after the first."""
_WHOLE = (12, 8)
"""The same for the slow parts."""
_STILL = 0.03
"""A round that moves everything by less than this, in standard deviations of its prior, is the last one."""
_SIGNAL = 3.0
"""The evidence must prefer the kernel to a constant by so many nats."""
_TURNS = 3


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted Gaussian process at one pixel.

    Parameters
    ----------
    data : PixelData
    grid : TimeGrid
        M cells; never fewer than 4, so that it may reach beyond the last pair.
    components : list of Component
        Along the major and the minor axis.
    theta : ndarray
        Hyperparameters, in standard deviations of their priors.
    trust : Trust
        In each pair.
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
    theta: NDArray[np.float64]
    trust: Trust
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
    def values(self) -> dict[str, float]:
        """Hyperparameters by name; scales in units of the spread, times in years."""
        return self.components[0].values(self.theta)


def fit_steps(
    data: PixelData,
    interval: float,
    *,
    trend: bool,
    harmonics: int,
    offsets: bool,
    jumpy: bool = True,
    quick: bool = True,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Fit]:
    """Fit a pixel: first quickly, then refined.

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
    jumpy : bool
        Give the roughness heavy tails.
    quick : bool
        Give the quick fit too; it changes nothing of the refined one.
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

    def constant(of: KernelShape) -> Learning:
        return Learning.constant(data, of, missions, cancelled, (_FIRST,))

    few = distinct_spans(data)
    if few < LEAST_PAIRS:
        reason = f"a constant: {few} pairs with distinct dates, at least {LEAST_PAIRS} are needed for more"
        yield replace(_fit(data, constant(shape)), reason=reason)
        return
    slow = _slow_parts(data, shape, missions, cancelled, jumpy=jumpy)
    if slow is None:
        learning = Learning(data, shape, missions, cancelled, jumpy=jumpy)
    else:
        rows = dense_rows(data.start, data.end)
        dense = data.take(rows)
        learning = Learning(dense, shape, missions, cancelled, slow.values, jumpy=jumpy)
        seen = np.bincount(dense.mission)
        rare = (m for m in learning.components[0].missions if seen[m] < _LEAST_SEEN)
        learning.hold((*_SLOW, *(noise_name(m) for m in rare)))
    learning.begin()
    learning.improve(_FIRST)
    learning.settle(1)
    if quick:
        yield replace(_fit(data, learning, turns=2), refined=False)
    learning.improve(_SECOND)
    learning.settle(1)
    for evaluations in _REFINED:
        moved = learning.improve(evaluations)
        learning.settle(2)
        if moved < _STILL:
            break
    # What decades tell is told by all pairs, what days tell by the shorter cells.
    gain = -np.inf
    for one in (slow, learning if len(learning.data) == len(data) else None):
        if one is not None and gain < _SIGNAL:
            still = constant(one.shape)
            gain = max(gain, one.bound() - still.bound())
    if gain < _SIGNAL:
        reason = "a constant: the pairs do not tell its changes from their noise"
        yield replace(_fit(data, constant(shape)), reason=reason, gain=gain)
    else:
        yield replace(_fit(data, learning), gain=gain)


def _slow_parts(
    data: PixelData,
    shape: KernelShape,
    missions: tuple[int, ...],
    cancelled: Callable[[], bool] | None,
    *,
    jumpy: bool,
) -> Learning | None:
    """Learn what is slow from all pairs, on long cells; None where the cells asked for are as few."""
    years = (data.end.max() - data.start.min()) / DAYS_PER_YEAR
    if years <= DENSE_YEARS + 2 or shape.interval >= _COARSE:
        return None
    seen = min(shape.harmonics, int(DAYS_PER_YEAR / (2 * _COARSE)))
    learning = Learning(data, KernelShape(_COARSE, shape.trend, seen), missions, cancelled, jumpy=jumpy)
    learning.begin()
    for evaluations in _WHOLE:
        moved = learning.improve(evaluations)
        learning.settle(2)
        if moved < _STILL:
            break
    return learning


def distinct_spans(data: PixelData) -> int:
    """Count the pairs with distinct (start, end)."""
    return int(np.unique(np.stack([data.start, data.end]), axis=1).shape[1])


def solve_with(
    data: PixelData,
    grid: TimeGrid,
    shape: KernelShape,
    values: dict[str, float],
    offsets: tuple[int, ...],
    *,
    trust: Trust | None = None,
    turns: int = _TURNS,
    layout: StateLayout | None = None,
    jumpy: bool = True,
) -> Fit:
    """Solve a pixel with hyperparameters from elsewhere; only trust and new noise factors follow.

    Parameters
    ----------
    data : PixelData
    grid : TimeGrid
        Holds all its pairs.
    shape : KernelShape
    values : dict
        Hyperparameters, in units of the pixel's spread; a mission without a noise factor gets one from its
        pairs.
    offsets : tuple of int
        Missions with an offset.
    trust : Trust, optional
        In the pairs, to begin with.
    turns : int
        Rounds of judging the pairs.
    layout : StateLayout, optional
        That of `grid`, for spans at least as long as these; made if not given.
    jumpy : bool
        Give the roughness heavy tails.
    """
    operator = grid.operator(data.start, data.end)
    layout = shape.layout(grid, operator.bandwidth) if layout is None else layout
    components = data.components(shape, layout, operator, offsets)
    theta = theta_of(components[0], values)
    judge = Judge(data, components, jumpy=jumpy)
    if trust is not None:
        judge.trust = trust
    elif turns:
        judge.begin(components[0].values(theta))
    for turn in range(turns):
        judge.solve(components[0].values(theta))
        judge.reweight()
        judge.find_jumps(blind=turn == turns - 1)
        theta = new_factors(components[0], theta, judge.trust.u * judge.squares / len(components), values)
    posteriors = judge.solve(components[0].values(theta))
    return Fit(
        data=data,
        grid=grid,
        components=judge.components,
        theta=theta,
        trust=judge.trust,
        posteriors=posteriors,
        offsets=offsets,
        refined=True,
    )


def _fit(data: PixelData, learning: Learning, turns: int = _TURNS) -> Fit:
    """Solve for the whole axis with what was learnt, of some of the pairs perhaps."""
    grid, known, trust = grid_of(data, learning.shape.interval), learning.values, learning.judge.trust
    if len(learning.data) == len(data) and not learning.judge.jumpy:
        layout = learning.components[0].layout
        return solve_with(
            data, grid, learning.shape, known, learning.offsets, trust=trust, turns=0, layout=layout
        )
    seen = np.bincount(learning.data.mission)
    rare = {noise_name(m) for m in range(len(seen)) if seen[m] < _LEAST_SEEN}
    known = {name: value for name, value in known.items() if name not in rare}
    jumpy = learning.judge.jumpy
    return solve_with(data, grid, learning.shape, known, learning.offsets, turns=turns, jumpy=jumpy)


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
