"""The inversion of many pixels, named as the variables of an area."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.estimator import PixelEstimates
from itslive_core.inversion.judged_pairs import pair_flags
from itslive_core.inversion.prepare import filter_block, solve_blocks
from itslive_core.inversion.regions import solve_together
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED
from itslive_core.series import speed_and_std
from itslive_core.series.means import means_of_pixels
from itslive_core.series.quality import quality_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.solver import BatchResult
    from itslive_core.observations.batches import Observations
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.windows import Windows

__all__ = ["estimates_of", "solve_area"]


def solve_area(
    shared: SharedPairs,
    blocks: Sequence[PixelBlock],
    settings: InversionSettings,
    windows: Windows | None = None,
) -> list[PixelEstimates]:
    """Filter on values and invert the pixels of blocks.

    Parameters
    ----------
    shared : SharedPairs
    blocks : sequence of PixelBlock
        Their pairs passed the filters on metadata.
    settings : InversionSettings
    windows : Windows, optional
        Give means over them, in place of cells.
    """
    edges = None if windows is None else windows.edges
    used = [filter_block(pixels, shared, settings) for pixels in blocks]
    if settings.learns_together:
        both = zip(blocks, used, strict=True)
        results = [solve_together(shared, pixels, own, settings, edges) for pixels, own in both]
    else:
        results = solve_blocks(shared, used, settings, edges)
    found = []
    for result, own in zip(results, used, strict=True):
        flags = pair_flags(result, shared, own)
        one = replace(estimates_of(result, np.diff(own.offsets), flags), filtered=own)
        if windows is not None:
            one = replace(one, series=_means_of(result, shared, own, flags, windows))
        found.append(one)
    return found


def _means_of(
    result: BatchResult,
    shared: SharedPairs,
    used: Observations,
    flags: NDArray[np.int16],
    windows: Windows,
) -> dict[str, NDArray[Any]]:
    """Name the means of P pixels."""
    means = result.means
    assert means is not None
    known = result.std.shape[2] > 0
    std = np.where((result.status == SOLVED)[:, None, None] & known, means.std, np.nan)
    rows = [used.pair[here] for here in used.pixels()]
    counts = [windows.overlaps(shared.start[own], shared.end[own]) for own in rows]
    return means_of_pixels(
        shared.grid,
        windows,
        means.values,
        std,
        seen=result.count > 0,
        coverage=result.covered,
        flags=flags,
        counts=np.array(counts).reshape(len(counts), windows.size),
    )


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
