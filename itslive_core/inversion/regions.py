"""What the pixels of a block share, learnt from it: in a job, and around a pixel that somebody clicked.

Both come from the same samples in the same way, so a pixel gets the same numbers in both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.inversion.learning.motion import Companion, Motion
from itslive_core.inversion.learning.solver import learn_region
from itslive_core.inversion.prepare import batch_of, filter_block, solve_options, solve_pixels
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED, Course, observations_of
from itslive_core.observations.batches import Observations
from itslive_core.observations.blocks import median_velocity
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.surroundings import FEW, choose_companions, choose_samples
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.region import Region
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.surroundings import Companions, Surroundings

__all__ = ["region_of_block", "solve_together", "solve_with_neighbours"]


def region_of_block(shared: SharedPairs, pixels: PixelBlock, settings: InversionSettings) -> Region | None:
    """Learn what the pixels of a block share, from all of its pixels.

    Parameters
    ----------
    shared : SharedPairs
    pixels : PixelBlock
        Pairs passed the filters on metadata.
    settings : InversionSettings

    Returns
    -------
    Region or None
        None where each pixel learns alone, and where no sample can be solved.
    """
    if not settings.learns_together:
        return None
    whole = pixels.whole
    samples = choose_samples(whole)
    if not samples:
        return None
    used = filter_block(_only(whole, samples), shared, settings)
    return learn_region(batch_of(shared, used, settings), solve_options(settings))


def solve_together(
    shared: SharedPairs,
    pixels: PixelBlock,
    used: Observations,
    settings: InversionSettings,
    windows: NDArray[np.float64] | None = None,
) -> BatchResult:
    """Solve the pixels of a block that learn together.

    Parameters
    ----------
    shared : SharedPairs
    pixels : PixelBlock
        Pairs passed the filters on metadata.
    used : Observations
        What the filters on values left of them.
    settings : InversionSettings
    windows : ndarray, shape (g + 1,), optional
        As for `itslive_core.inversion.prepare.solve_pixels`.
    """
    region = region_of_block(shared, pixels, settings)
    result = solve_pixels(shared, used, settings, region, windows=windows)
    counts = np.diff(used.offsets)
    few = np.flatnonzero((counts < FEW) & np.isin(result.status, (SOLVED, NO_FREEDOM)))
    if region is None or not len(few) or not settings.uncertainty:
        return result
    whole = pixels.whole
    velocity = median_velocity(whole)
    companions = {int(p): choose_companions(whole, int(p), velocity) for p in few}
    wanted = np.unique(np.concatenate([found.numbers for found in companions.values()]))
    at_hand = {int(p): result.series_of(int(p)) for p in wanted if counts[p] >= FEW}
    others = [int(p) for p in wanted if counts[p] == 0]  # outside the area
    series = at_hand | _solve_some(shared, whole, others, settings, region)
    for p in few.tolist():
        motion = _motion(shared, companions[p], series)
        if motion is None:
            continue
        rows = observations_of(used.offsets, np.array([p]))
        own = Observations(np.array([0, len(rows)]), used.pair[rows], used.vx[rows], used.vy[rows])
        course = Course(motion, _weights_of(result, used.pixel(p)))
        # Each by its number: where all pixels have few pairs, one of them may be a sample.
        more: dict[str, Any] = {"number": p, "courses": {0: course}, "windows": windows}
        again = solve_pixels(shared, own, settings, region, **more)
        result.put(np.array([p]), rows, again)
    return result


def solve_with_neighbours(
    shared: SharedPairs,
    used: Observations,
    around: Surroundings,
    settings: InversionSettings,
    windows: NDArray[np.float64] | None = None,
) -> BatchResult:
    """Solve one pixel with what its neighbours share, which is learnt once for all pixels of their block.

    Parameters
    ----------
    shared : SharedPairs
        The used pairs of the pixel.
    used : Observations
    around : Surroundings
    settings : InversionSettings
    windows : ndarray, shape (g + 1,), optional
        As for `itslive_core.inversion.prepare.solve_pixels`.
    """
    # Neither changes what is learnt.
    own = replace(settings, uncertainty=True, device="auto")
    key = around.pixels.block, around.selections, own
    block: _Learnt = around.memo.get(key, lambda: _Learnt.of(around, own))
    result = solve_pixels(shared, used, settings, block.region, number=around.number, windows=windows)
    solved = int(result.status[0]) in (SOLVED, NO_FREEDOM)
    if block.region is None or len(used.pair) >= FEW or not solved or not settings.uncertainty:
        return result
    companions = choose_companions(block.pixels, around.number)
    motion = _motion(block.shared, companions, block.series(companions.numbers, own))
    if motion is None:
        return result
    courses = {0: Course(motion, _weights_of(result, slice(None)))}
    number = around.number
    return solve_pixels(shared, used, settings, block.region, number=number, courses=courses, windows=windows)


class _Learnt:
    """What was learnt of a block, and the series of pixels that others asked for."""

    def __init__(self, shared: SharedPairs, pixels: PixelBlock, region: Region | None) -> None:
        self.shared, self.pixels, self.region = shared, pixels, region
        self._series: dict[int, tuple[NDArray, NDArray]] = {}

    @classmethod
    def of(cls, around: Surroundings, settings: InversionSettings) -> _Learnt:
        """Learn what the pixels of a block share."""
        keep, pixels = around.selected()
        table = around.table
        needed = np.zeros_like(keep)
        needed[np.unique(pixels.pair)] = True
        grid = TimeGrid.covering(table.start[needed], table.end[needed], settings.interval)
        shared = SharedPairs.make(table, needed, grid)
        return cls(shared, pixels, region_of_block(shared, pixels, settings))

    def series(
        self, numbers: NDArray[np.int64], settings: InversionSettings
    ) -> dict[int, tuple[NDArray, NDArray]]:
        """Give the series of some pixels, each solved once."""
        missing = [int(p) for p in numbers if int(p) not in self._series]
        self._series |= _solve_some(self.shared, self.pixels, missing, settings, self.region)
        return {int(p): self._series[int(p)] for p in numbers if int(p) in self._series}


def _solve_some(
    shared: SharedPairs,
    pixels: PixelBlock,
    numbers: Sequence[int],
    settings: InversionSettings,
    region: Region | None,
) -> dict[int, tuple[NDArray, NDArray]]:
    """Give the series of those of some pixels that have enough pairs after filtering, and their std."""
    if not numbers:
        return {}
    used = filter_block(_only(pixels, numbers), shared, settings)
    result = solve_pixels(shared, used, settings, region)
    counts = np.diff(used.offsets)
    return {p: result.series_of(p) for p in numbers if counts[p] >= FEW}


def _only(pixels: PixelBlock, numbers: Sequence[int]) -> PixelBlock:
    mask = np.zeros(len(pixels.offsets) - 1, dtype=bool)
    mask[list(numbers)] = True
    return pixels.keep_observations(np.repeat(mask, np.diff(pixels.offsets)))


def _motion(
    shared: SharedPairs, companions: Companions, series: Mapping[int, tuple[NDArray, NDArray]]
) -> Motion | None:
    found, nearness = [], []
    for number, near in zip(companions.numbers.tolist(), companions.nearness.tolist(), strict=True):
        one = Companion.of(*series[number]) if number in series else None
        if one is not None:
            found.append(one)
            nearness.append(near)
    return Motion.of(shared.grid.first, found, nearness) if found else None


def _weights_of(result: BatchResult, own: slice) -> NDArray[np.float64]:
    learnt = result.learnt
    assert learnt is not None
    weights: NDArray[np.float64] = result.robust_weights[own] * learnt.credit[own] / learnt.sigma[own] ** 2
    return weights
