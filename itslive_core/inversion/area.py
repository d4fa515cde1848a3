"""The inversion of many pixels, named as the variables of an area."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.estimator import PixelEstimates
from itslive_core.inversion.judged_pairs import pair_flags
from itslive_core.inversion.prepare import filter_block, solve_blocks
from itslive_core.inversion.regions import solve_together
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED
from itslive_core.series import speed_and_std
from itslive_core.series.quality import quality_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs

__all__ = ["estimates_of", "solve_area"]


def solve_area(
    shared: SharedPairs, blocks: Sequence[PixelBlock], settings: InversionSettings
) -> list[PixelEstimates]:
    """Filter on values and invert the pixels of blocks.

    Parameters
    ----------
    shared : SharedPairs
    blocks : sequence of PixelBlock
        Their pairs passed the filters on metadata.
    settings : InversionSettings
    """
    used = [filter_block(pixels, shared, settings) for pixels in blocks]
    if settings.learns_together:
        both = zip(blocks, used, strict=True)
        results = [solve_together(shared, pixels, own, settings) for pixels, own in both]
    else:
        results = solve_blocks(shared, used, settings)
    return [
        replace(estimates_of(result, np.diff(own.offsets), pair_flags(result, shared, own)), filtered=own)
        for result, own in zip(results, used, strict=True)
    ]


def estimates_of(result: BatchResult, used: NDArray[np.int64], flags: NDArray[np.int16]) -> PixelEstimates:
    """Name the results of P pixels.

    Parameters
    ----------
    result : BatchResult
    used : ndarray of int, shape (P,)
        Number of used pairs.
    flags : ndarray of int16, shape (P, M)
        What is known of them, from `itslive_core.inversion.judged_pairs.pair_flags`.
    """
    vx, vy = result.values[:, 0], result.values[:, 1]
    known = result.std.shape[2] > 0
    vx_std, vy_std = (result.std[:, 0], result.std[:, 1]) if known else (None, None)
    v, v_std = speed_and_std(vx, vy, vx_std, vy_std)
    named = {"vx": vx, "vy": vy, "v": v, "vx_std": vx_std, "vy_std": vy_std, "v_std": v_std}
    series = {name: values for name, values in named.items() if values is not None}
    quality = quality_of(flags, series, result.covered)
    return PixelEstimates(
        {"n_pairs": result.count, "coverage": result.covered, **series, "quality": quality},
        used,
        np.isin(result.status, (SOLVED, NO_FREEDOM)),
        {"smoothing_used": result.smoothing},
    )
