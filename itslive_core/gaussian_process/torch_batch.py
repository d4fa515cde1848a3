"""Gaussian processes of many pixels at once, with hyperparameters learnt elsewhere, on a torch device.

What `gp_fit.solve_with` does at one pixel: robust weights and new noise factors in turns with the posterior.
The algebra is shared between the pixels, the rest is small and stays with each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.component import robust_weights
from itslive_core.gaussian_process.dataset import along_axes
from itslive_core.gaussian_process.fit import new_factors, theta_of
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
    values: list[dict[str, float]],
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
    values : list of dict
        Numbers of each component; a mission without a noise factor gets one from its pairs.
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
        data.components(shape, layout, operator.take(np.arange(i, j)), data.units(), chosen)
        for data, chosen, i, j in zip(pixels, missions, begin[:-1], begin[1:], strict=True)
    ]
    batches = [_together([both[k] for both in own], missions, begin) for k in range(2)]
    theta = [[theta_of(both[k], values[k]) for both in own] for k in range(2)]
    u = np.ones(begin[-1])

    def solve() -> tuple[list[BatchPosterior], list[NDArray[np.float64]]]:
        """Give posteriors, and (residual^2 + variance of the fit) / noise of every pair."""
        posteriors, squares = [], []
        for k, (data, points) in enumerate(zip(batches, theta, strict=True)):
            noise = np.concatenate(
                [both[k].noise(both[k].values(t)) for both, t in zip(own, points, strict=True)]
            )
            # The hyperparameters of the kernel are those given, the same at all pixels.
            latent = own[0][k].latent(own[0][k].values(points[0]))
            posterior = solver.solve(layout, latent, data, u / noise)
            posteriors.append(posterior)
            squares.append((posterior.residuals**2 + posterior.fit_variance) / noise)
        return posteriors, squares

    for _ in range(turns):
        _, squares = solve()
        u = robust_weights(squares)
        for k in range(2):
            for p, both in enumerate(own):
                here = slice(begin[p], begin[p + 1])
                theta[k][p] = new_factors(both[k], theta[k][p], (u * squares[k])[here], values[k])
    posteriors, squares = solve()
    shorter = [
        square * p.residuals**2 / (p.residuals**2 + p.fit_variance)
        for square, p in zip(squares, posteriors, strict=True)
    ]
    moments = []
    for k, posterior in enumerate(posteriors):
        mean, variance = posterior.series(layout)
        centre, scale = np.array([[both[k].centre, both[k].scale] for both in own]).T[..., None]
        moments.append((mean * scale + centre, np.sqrt(np.maximum(variance, 0.0)) * scale))
    cos, sin = np.array([data.direction for data in pixels]).T[..., None]
    return along_axes((cos, sin), *moments), u, np.sum(shorter, axis=0)


def _together(
    components: list[Component], missions: list[tuple[int, ...]], begin: NDArray[np.int64]
) -> ArrowheadPixels:
    """Put one component of all pixels behind each other, with a column for every mission that has one."""
    every = sorted({mission for chosen in missions for mission in chosen})
    columns = np.zeros((1 + len(every), begin[-1]))
    prior = np.ones((len(components), 1 + len(every)))
    for p, (component, chosen) in enumerate(zip(components, missions, strict=True)):
        rows = [0, *(1 + every.index(mission) for mission in chosen)]
        columns[rows, begin[p] : begin[p + 1]] = component.border.columns
        prior[p, rows] = component.border.prior
    first = components[0].operator
    operator = type(first)(
        first.grid,
        *(
            np.concatenate([getattr(c.operator, name) for c in components])
            for name in ("first", "last", "head", "tail", "rate")
        ),
    )
    return ArrowheadPixels(begin, operator, np.concatenate([c.y for c in components]), columns, prior)
