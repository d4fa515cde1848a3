"""The last equations of many pixels at once, in torch: what a device does of an estimate that learns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.bands.torch_band import BlockCholesky, block_rows
from itslive_core.bands.torch_memory import device_lock, in_batches, memory_for, to_device
from itslive_core.inversion.learning.evidence import (
    Posterior,
    close,
    moves_of,
    pull_of_changes,
)
from itslive_core.inversion.learning.last_solve import LastSolution, means_in_band
from itslive_core.inversion.learning.means import variance_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from itslive_core.inversion.learning.last_solve import Axes, LastEquations

__all__ = ["TorchFinisher"]


class TorchFinisher:
    """Solves last equations on a torch device; one thread at a time uses the device.

    Parameters
    ----------
    device : str
        A torch device.
    memory : int, optional
        Most memory of a batch [bytes]; by default most of what is free on a GPU.
    """

    def __init__(self, device: str = "cuda", *, memory: int | None = None) -> None:
        self.device, self.memory = device, memory

    def finish(self, equations: Sequence[LastEquations], reach: int) -> list[LastSolution | None]:
        """Solve them; see `itslive_core.inversion.learning.last_solve.Finisher`."""
        found: list[LastSolution | None] = []

        def work(i: int, j: int, _room: int) -> None:
            found[i:] = _finish(equations[i:j], reach, self.device)

        with device_lock(self.device):
            memory = memory_for(self.device) if self.memory is None else self.memory
            in_batches(np.array([_need(one) for one in equations]), memory, work, self.device)
        return found


def _need(one: LastEquations) -> int:
    """Estimate what a pixel takes [bytes]: bands, both factors, solutions, and copies of them on the way."""
    _, size, wide = one.series.bands.shape
    edge = block_rows(size, wide - 1)
    return 8 * size * (4 * wide + 2 * 2 * 2 * edge + 3 * 2 * 2 * (1 + one.border.size))


def _finish(equations: Sequence[LastEquations], reach: int, device: str) -> list[LastSolution | None]:
    of_series = [one.series for one in equations]
    factor = BlockCholesky.of(_bands(of_series, device))
    right = _solved(factor, [[axes.known.right(a) for a in range(2)] for axes in of_series])
    posteriors = [_posterior(axes, own) for axes, own in zip(of_series, right, strict=True)]
    pulls = [
        [pull_of_changes(one.rows, one.series.prior, posterior, a).T for a in range(2)]
        for one, posterior in zip(equations, posteriors, strict=True)
    ]
    pulled = _solved(factor, pulls)
    good = factor.good
    del factor
    of_told = [one.told for one in equations]
    factor = BlockCholesky.of(_bands(of_told, device))
    right = _solved(factor, [[axes.known.right(a) for a in range(2)] for axes in of_told])
    width = min(reach, max(one.bands.shape[2] for one in of_told) - 1)
    inverse = factor.selected_inverse(width).cpu().numpy().reshape(len(equations), 2, -1, width + 1)
    fine: NDArray[np.bool_] = np.all((good & factor.good).cpu().numpy().reshape(-1, 2), axis=1)
    found: list[LastSolution | None] = []
    for p, one in enumerate(equations):
        if not fine[p]:
            found.append(None)
            continue
        posterior, told = posteriors[p], _posterior(one.told, right[p])
        moves = [
            moves_of(one.series.known, one.border, one.series.prior, posterior, a, pulled[p][a].T)
            for a in range(2)
        ]
        bands = inverse[p, :, : one.series.bands.shape[1]]
        found.append(
            LastSolution(
                replace(posterior, covariance=told.covariance),
                np.stack(moves),
                partial(_variances, told, bands),
            )
        )
    return found


def _posterior(axes: Axes, right: Sequence[NDArray[np.float64]]) -> Posterior:
    """Close the equations of both axes; what has no meaning, because a matrix is bad, is NaN."""
    out = Posterior.blank(len(right[0]), len(axes.prior.border), both=True)
    for a in range(2):
        close(axes.known, axes.prior, a, axes.known.columns.T @ right[a], out)
        out.columns[a] = right[a][:, 1:]
        out.series[a] = right[a] @ np.concatenate(([1.0], -out.border[a]))
    return out


def _variances(told: Posterior, bands: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    variances = [means_in_band(band, groups) for band in bands]
    if told.border.shape[1]:
        for a, root in enumerate(told.roots):
            variances[a] += variance_beside(told.columns[a] @ root, groups)
    return np.stack(variances)


def _bands(axes: Sequence[Axes], device: str) -> Tensor:
    """Give the matrices of both axes of all pixels, filled up with unit rows, shape (2 P, M, b + 1)."""
    size, wide = (max(one.bands.shape[k] for one in axes) for k in (1, 2))
    bands = np.zeros((len(axes), 2, size, wide))
    bands[..., -1] = 1.0
    for p, one in enumerate(axes):
        _, own, width = one.bands.shape
        bands[p, :, :own, wide - width :] = one.bands
    return to_device(bands.reshape(-1, size, wide), device)


def _solved(
    factor: BlockCholesky, sides: Sequence[Sequence[NDArray[np.float64]]]
) -> list[list[NDArray[np.float64]]]:
    """Solve for the right-hand sides of both axes of each pixel, shape (M, c)."""
    most = max(one.shape[1] for both in sides for one in both)
    right = np.zeros((2 * len(sides), factor.size, most))
    for p, both in enumerate(sides):
        for a, one in enumerate(both):
            right[2 * p + a, : len(one), : one.shape[1]] = one
    found = factor.solve(to_device(right, factor.lower.device.type)).cpu().numpy()
    return [
        [found[2 * p + a, : len(one), : one.shape[1]] for a, one in enumerate(both)]
        for p, both in enumerate(sides)
    ]
