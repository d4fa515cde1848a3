"""From pairs to batches: what all pixels of a cube share, and what each pixel adds."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.filters.rejections import rejections
from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.learning.solver import LearningSolver
from itslive_core.inversion.solver import BatchResult, NoiseInputs, PixelBatch, SolveOptions
from itslive_core.inversion.torch.block_tridiagonal import BlockTridiagonalSolver, multiplications
from itslive_core.inversion.torch.last_solve import TorchFinisher
from itslive_core.observations.batches import Observations, PairFacts, pair_error
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.observations.weights import observation_variance, observation_weights, weights_of
from itslive_core.support.devices import pick_device, require_cuda

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.region import Region
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.solver import Course, Solver
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.time_grid import SpanOperator
    from itslive_core.settings import Settings

__all__ = [
    "batch_of",
    "entered_weights",
    "filter_block",
    "finer_cells",
    "pixels_at_once",
    "solve_blocks",
    "solve_options",
    "solve_pixels",
    "solver_for",
]

_LONGEST_CELL = 12.0
"""Longest cell of an automatic estimate [days]: the default interval."""

_ON_A_GPU = 1024
"""Pixels that are collected for a GPU."""


def solve_options(settings: InversionSettings) -> SolveOptions:
    """Translate settings into what a solver needs."""
    return SolveOptions(
        derivative=settings.derivative,
        smoothing=cast("Any", settings.smoothing),  # the settings have checked which words it may be
        robust=settings.robust,
        uncertainty=settings.uncertainty,
        learn_noise=settings.learns_noise,
        offsets=settings.estimates_offsets,
        vary=settings.varies_smoothing,
        plain=settings.couples_pixels,
        together=settings.learns_together,
    )


def solver_for(device: str, options: SolveOptions, batch: PixelBatch | None = None) -> Solver:
    """Return the solver for a device and a task.

    What is learnt beside lambda is learnt by compiled code on the CPU, pass by pass: with ``"auto"`` such a
    task stays there; with ``"cuda"`` the device solves with what pixels of a region have learnt.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    options : SolveOptions
    batch : PixelBatch, optional
        The pixels to solve; ``"auto"`` takes a GPU only for a batch for which it should pay.

    Raises
    ------
    SettingsError
        If the device is not available, or cannot do the task.
    """
    with_means = batch is not None and batch.windows is not None
    if device == "cuda":
        require_cuda()
        if with_means:
            raise SettingsError("device 'cuda' cannot average over windows: choose device 'cpu' or 'auto'")
        if options.learns and not options.together:
            raise SettingsError(
                "device 'cuda' has nothing to do where each pixel learns alone: choose device 'cpu' or"
                " 'auto', or learn 'block' with smoothing 'auto' and no spatial smoothing, or smoothing as a"
                " number, 'evidence' or 'gcv' with noise 'formal', offsets 'none' and smoothing_in_time"
                " 'constant'"
            )
        if options.learns:
            return LearningSolver(TorchFinisher())
        return BlockTridiagonalSolver()
    if options.learns:
        return LearningSolver()
    if batch is not None and not with_means:
        work = multiplications(batch.n_pixels, batch.operator, options)
        if pick_device(device, batch.n_pixels, work) == "cuda":
            return BlockTridiagonalSolver()
    return BandedSolver()


def pixels_at_once(shared: SharedPairs, settings: InversionSettings) -> int:
    """Give the number of pixels worth collecting from several blocks: many for a GPU, 1 for the CPU.

    A GPU is filled by some thousand pixels, and chunks of cubes hold a hundred; 1,024 is an estimate, as in
    `itslive_core.support.devices.gpu_pays`.

    Parameters
    ----------
    shared : SharedPairs
    settings : InversionSettings
    """
    options = solve_options(settings)
    work = multiplications(_ON_A_GPU, shared.operator, options)
    if options.learns or pick_device(settings.device, _ON_A_GPU, work) == "cpu":
        return 1
    return _ON_A_GPU


def solve_pixels(
    shared: SharedPairs,
    used: Observations,
    settings: InversionSettings,
    region: Region | None = None,
    *,
    number: int = 0,
    courses: Mapping[int, Course] | None = None,
    windows: NDArray[np.float64] | None = None,
) -> BatchResult:
    """Weight and solve the used observations of some pixels.

    Parameters
    ----------
    shared : SharedPairs
    used : Observations
        Their pairs are rows of `shared`.
    settings : InversionSettings
    region : Region, optional
        What the pixels share, see `itslive_core.inversion.regions`.
    number : int
        Of the first pixel in the region.
    courses : mapping of int to Course, optional
        See `PixelBatch.courses`.
    windows : ndarray, shape (g + 1,), optional
        Edges of windows over which means are wanted, too [days since 1970-01-01].

    Returns
    -------
    BatchResult

    Raises
    ------
    SettingsError
        If the device cannot do it.
    """
    options = solve_options(settings)
    own = batch_of(shared, used, settings)
    batch = replace(own, region=region, number=number, courses=courses, windows=windows)
    return solver_for(settings.device, options, batch).solve(batch, options)


def batch_of(shared: SharedPairs, used: Observations, settings: InversionSettings) -> PixelBatch:
    """Weight the used observations of some pixels; parameters as for `solve_pixels`."""
    variance = observation_variance(
        settings.weights,
        used.offsets,
        used.pair,
        shared.end - shared.start,
        shared.vx_error,
        shared.vy_error,
        shared.mission,
    )
    noise = NoiseInputs(variance, shared.mission, shared.first_image, shared.second_image, shared.images)
    weights = weights_of(variance, used.offsets)
    fine, parts = finer_cells(shared, settings)
    return PixelBatch(shared.operator, shared.span_id, *used, weights, noise, fine, parts)


def finer_cells(shared: SharedPairs, settings: InversionSettings) -> tuple[SpanOperator | None, int]:
    """Give the cells in which an automatic estimate is made, where those of the series are longer.

    Means of long cells then are those of a series of short ones, with their covariance: what a pair says
    depends on where it lies inside a cell.
    """
    parts = math.ceil(settings.interval / _LONGEST_CELL - 1e-9)
    if settings.smoothing != "auto" or settings.couples_pixels or parts <= 1:
        return None, 1
    grid = shared.grid
    fine = TimeGrid(grid.interval / parts, grid.first * parts, grid.size * parts)
    return fine.operator(shared.start, shared.end), parts


def entered_weights(
    kind: str,
    result: BatchResult,
    shared: SharedPairs,
    offsets: NDArray[np.int64],
    pair: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Give the weight with which each observation entered the last solution, robust and credit included.

    Of mean 1 over each pixel before both; NaN at pixels without an estimate where the noise was learnt.

    Parameters
    ----------
    kind : {"none", "span", "error"}
        As in `observation_variance`.
    result : BatchResult
        The solution.
    shared : SharedPairs
    offsets : ndarray of int64, shape (P + 1,)
    pair : ndarray of int32, shape (n,)
        Rows of `shared`.

    Returns
    -------
    ndarray, shape (n,)
    """
    if result.learnt is not None:
        weights = weights_of(result.learnt.sigma**2, offsets) * result.learnt.credit
    else:
        span = shared.end - shared.start
        weights = observation_weights(
            kind, offsets, pair, span, shared.vx_error, shared.vy_error, shared.mission
        )
    return weights * result.robust_weights


def solve_blocks(
    shared: SharedPairs,
    blocks: Sequence[Observations],
    settings: InversionSettings,
    windows: NDArray[np.float64] | None = None,
) -> list[BatchResult]:
    """Solve the pixels of several blocks in one batch, each for itself.

    Parameters
    ----------
    shared : SharedPairs
    blocks : sequence of Observations
        The used ones; their pairs are rows of `shared`.
    settings : InversionSettings
    windows : ndarray, shape (g + 1,), optional
        As for `solve_pixels`.

    Returns
    -------
    list of BatchResult
        Of each block.
    """
    if len(blocks) == 1:
        return [solve_pixels(shared, blocks[0], settings, windows=windows)]
    begins = np.cumsum([0, *(len(block.pair) for block in blocks)])
    offsets = [block.offsets[1:] + begin for block, begin in zip(blocks, begins, strict=False)]
    pair, vx, vy = (np.concatenate(columns) for columns in list(zip(*blocks, strict=True))[1:])
    together = Observations(np.concatenate([[0], *offsets]), pair, vx, vy)
    whole = solve_pixels(shared, together, settings, windows=windows)
    pixels = np.cumsum([0, *(len(block.offsets) - 1 for block in blocks)])
    ends = zip(pairwise(pixels.tolist()), pairwise(begins.tolist()), strict=True)
    return [whole.part(slice(*ours), slice(*their_pairs)) for ours, their_pairs in ends]


def filter_block(pixels: PixelBlock, shared: SharedPairs, settings: Settings) -> Observations:
    """Filter the observations of a block, whose pairs passed the filters on metadata, on their values.

    What is stored more than once at a pixel counts once.

    Parameters
    ----------
    pixels : PixelBlock
    shared : SharedPairs
    settings : Settings
        Of an estimator: give the filters on values.
    """
    vx, vy = pixels.vx.astype(np.float64), pixels.vy.astype(np.float64)
    left = Observations(pixels.offsets, shared.renumber[pixels.pair], vx, vy)
    left = left.keep(shared.twins.distinct(*left))
    error = pair_error(shared.vx_error, shared.vy_error)
    for _, _, after in rejections(left, PairFacts(shared.start, shared.end, error, shared.mission), settings):
        left = after
    return left
