"""What the pixels of a block share, learnt from it: in a job, and around a pixel that somebody clicked.

Both come from the same samples in the same way, so a pixel gets the same numbers in both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.inversion.learning.solver import learn_region
from itslive_core.inversion.prepare import batch_of, filter_block, solve_options
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.surroundings import choose_samples
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from itslive_core.inversion.learning.region import Region
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.surroundings import Surroundings

__all__ = ["region_around", "region_of_block"]


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
    mask = np.zeros(len(whole.offsets) - 1, dtype=bool)
    mask[samples] = True
    some = whole.keep_observations(np.repeat(mask, np.diff(whole.offsets)))
    used = filter_block(some, shared, settings)
    return learn_region(batch_of(shared, used, settings), solve_options(settings))


def region_around(pairs: ImagePairs, settings: InversionSettings) -> tuple[Region | None, int]:
    """Give what the neighbours of a pixel share, learnt once for all pixels of their block.

    Parameters
    ----------
    pairs : ImagePairs
        With `ImagePairs.around`, if they come from a cube.
    settings : InversionSettings

    Returns
    -------
    region : Region or None
        None where the pixel learns alone.
    number : int
        Of the pixel in the region.
    """
    around = pairs.around
    if around is None or not settings.learns_together:
        return None, 0
    # Neither changes what is learnt.
    own = replace(settings, uncertainty=True, device="auto")
    key = around.pixels.block, around.selections, own
    region: Region | None = around.memo.get(key, lambda: _learn(around, own))
    return region, around.number


def _learn(around: Surroundings, settings: InversionSettings) -> Region | None:
    keep, pixels = around.selected()
    if not keep.any():
        return None
    table = around.table
    needed = np.zeros_like(keep)
    needed[np.unique(pixels.pair)] = True
    grid = TimeGrid.covering(table.start[needed], table.end[needed], settings.interval)
    return region_of_block(SharedPairs.make(table, needed, grid), pixels, settings)
