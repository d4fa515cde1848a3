"""Gaussian processes of many pixels at once, with hyperparameters learnt elsewhere, on a torch device.

What `gp_fit.solve_with` does at one pixel: robust weights and new noise factors in turns with the posterior.
The algebra is shared between the pixels, the rest is small and stays with each.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.dataset import along_axes
from itslive_core.gaussian_process.fit import new_factors
from itslive_core.gaussian_process.learning import Judge, theta_of
from itslive_core.gaussian_process.torch_arrowhead import ArrowheadPixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.component import Component
    from itslive_core.gaussian_process.data import PixelData
    from itslive_core.gaussian_process.layout import StateLayout
    from itslive_core.gaussian_process.model import KernelShape
    from itslive_core.gaussian_process.torch_arrowhead import BatchPosterior, TorchArrowhead
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["solve_many"]


def solve_many(
    pixels: list[PixelData],
    grid: TimeGrid,
    shape: KernelShape,
    values: dict[str, float],
    layout: StateLayout,
    solver: TorchArrowhead,
    *,
    offsets: bool,
    turns: int,
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """Solve pixels with hyperparameters learnt elsewhere.

    Parameters
    ----------
    pixels : list of PixelData
        P pixels.
    grid : TimeGrid
        M cells that hold all their pairs.
    shape : KernelShape
    values : dict
        Hyperparameters; a mission without a noise factor gets one from its pairs.
    layout : StateLayout
        Of the grid, for the longest spans.
    solver : TorchArrowhead
    offsets : bool
        Estimate offsets between missions.
    turns : int
        Rounds of robust weights.

    Returns
    -------
    columns : dict of ndarray, shape (P, M)
        vx, vy, v, their standard deviations [m/yr], and vx_vy_cov [m^2/yr^2].
    robust, squares : ndarray, shape (n,)
        Robust weight of each pair, one pixel after the other, and its residual^2 / noise, summed over both
        components.

    Raises
    ------
    NotPositiveError
        If a precision cannot be factorised.
    """
    begin = np.concatenate(([0], np.cumsum([len(data) for data in pixels])))
    operator = grid.operator(
        np.concatenate([data.start for data in pixels]), np.concatenate([data.end for data in pixels])
    )
    missions = [data.offset_missions() if offsets else () for data in pixels]
    own = [
        data.components(shape, layout, operator.take(np.arange(i, j)), chosen)
        for data, chosen, i, j in zip(pixels, missions, begin[:-1], begin[1:], strict=True)
    ]
    theta = [theta_of(both[0], values) for both in own]
    known = [both[0].values(t) for both, t in zip(own, theta, strict=True)]
    batches = [_together([both[k] for both in own], known, missions, begin) for k in range(2)]
    judges = [Judge(data, both, jumpy=False) for data, both in zip(pixels, own, strict=True)]
    spans = [slice(i, j) for i, j in pairwise(begin)]

    def solve(numbers: list[dict[str, float]]) -> list[BatchPosterior]:
        """Give posteriors of both axes, for hyperparameters of each pixel that differ in their noise."""
        noise = np.concatenate([both[0].noise(v) for both, v in zip(own, numbers, strict=True)])
        trust = np.concatenate([judge.trust.u * judge.trust.credit for judge in judges])
        found = []
        for k, data in enumerate(batches):
            # The hyperparameters of the kernel are those given, the same at all pixels.
            found.append(solver.solve(layout, own[0][k].latent(known[0]), data, trust / noise))
        for judge, here in zip(judges, spans, strict=True):
            judge.enter(
                np.stack([p.residuals[here] for p in found]),
                np.stack([p.fit_variance[here] for p in found]),
                noise[here],
            )
        return found

    for humble in zip(*(judge.humble(v) for judge, v in zip(judges, known, strict=True)), strict=True):
        solve(list(humble))
        for judge in judges:
            judge.reweight(images=False)
    for _ in range(turns):
        solve(known)
        for p, (judge, both) in enumerate(zip(judges, own, strict=True)):
            judge.reweight()
            theta[p] = new_factors(both[0], theta[p], judge.trust.u * judge.squares / 2, values)
            known[p] = both[0].values(theta[p])
    posteriors = solve(known)
    moments = []
    for k, posterior in enumerate(posteriors):
        mean, variance = posterior.series()
        centre, scale = np.array([[both[k].centre, both[k].scale] for both in own]).T[..., None]
        moments.append((mean * scale + centre, np.sqrt(np.maximum(variance, 0.0)) * scale))
    cos, sin = np.array([data.axis for data in pixels]).T[..., None]
    noise = np.concatenate([both[0].noise(v) for both, v in zip(own, known, strict=True)])
    weight = np.concatenate([judge.trust.u for judge in judges])
    square = np.sum([posterior.residuals**2 for posterior in posteriors], axis=0) / noise
    return along_axes((cos, sin), *moments), weight, square


def _together(
    components: list[Component],
    values: list[dict[str, float]],
    missions: list[tuple[int, ...]],
    begin: NDArray[np.int64],
) -> ArrowheadPixels:
    """Put one axis of all pixels behind each other, with a column for every mission that has one."""
    every = sorted({mission for chosen in missions for mission in chosen})
    columns = np.zeros((1 + len(every), begin[-1]))
    prior = np.ones((len(components), 1 + len(every)))
    for p, (component, known, chosen) in enumerate(zip(components, values, missions, strict=True)):
        rows = [0, *(1 + every.index(mission) for mission in chosen)]
        border = component.border(known)
        columns[rows, begin[p] : begin[p + 1]] = border.columns
        prior[p, rows] = border.prior
    first = components[0].operator
    operator = type(first)(
        first.grid,
        *(
            np.concatenate([getattr(c.operator, name) for c in components])
            for name in ("first", "last", "head", "tail", "rate")
        ),
    )
    return ArrowheadPixels(begin, operator, np.concatenate([c.y for c in components]), columns, prior)
