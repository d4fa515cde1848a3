"""The pixels around a pixel: what was read with it, and which of them speak for the others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.observations.blocks import median_velocity
from itslive_core.observations.selection import apply_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pair_columns import PairColumns
    from itslive_core.observations.selection import PairSelection
    from itslive_core.support.memo import Memo

__all__ = [
    "ALIKE",
    "FEW",
    "SAMPLES",
    "Companions",
    "Surroundings",
    "choose_companions",
    "choose_samples",
]

SAMPLES = 4
"""Pixels that speak for a block."""
FEW = 300
"""Pixels with fewer pairs expect the course of their neighbours (measured: from there on it hardly helps)."""
ALIKE = 0.25
"""Decades of speed over which pixels are alike."""
_NEAR = 3.0
"""Pixels over which they are near each other."""
_COMPANIONS, _FAINT = 8, 0.01
"""Most companions of a pixel, and the nearness below which a pixel is none."""
_RICH = 0.5
"""They have at least this share of the pairs of the pixel that has most."""


def choose_samples(pixels: PixelBlock) -> list[int]:
    """Choose pixels that speak for a block: rich in pairs, and evenly along the sorted speeds.

    Which they are depends on the pairs of the block alone, not on who asks, or when.

    Parameters
    ----------
    pixels : PixelBlock
        Pairs that passed the filters on metadata.

    Returns
    -------
    list of int
        Numbers of pixels in the block, increasing; as many as `SAMPLES` where so many have pairs.
    """
    counts = np.diff(pixels.offsets)
    rich = np.flatnonzero(counts >= max(_RICH * counts.max(initial=0), 3))
    if len(rich) == 0:
        return []
    velocity = median_velocity(pixels)[rich]
    ranked = rich[np.argsort(np.hypot(*velocity.T), kind="stable")]
    at = np.floor((np.arange(SAMPLES) + 0.5) / SAMPLES * len(ranked)).astype(int)
    return sorted({int(p) for p in ranked[at]})


class Companions(NamedTuple):
    """Pixels whose course a pixel with few pairs may expect.

    Parameters
    ----------
    numbers : ndarray of int64
        In the block.
    nearness : ndarray
        How alike and how near each is, 0 to 1.
    """

    numbers: NDArray[np.int64]
    nearness: NDArray[np.float64]


def choose_companions(
    pixels: PixelBlock, number: int, velocity: NDArray[np.float64] | None = None
) -> Companions:
    """Choose pixels with many pairs that are near a pixel and flow about as fast; maybe none.

    Parameters
    ----------
    pixels : PixelBlock
        Pairs that passed the filters on metadata.
    number : int
        Of the pixel that has few pairs.
    velocity : ndarray, shape (P, 2), optional
        `median_velocity` of the block, where it is known.
    """
    velocity = median_velocity(pixels) if velocity is None else velocity
    speed = np.hypot(*velocity.T)
    row, col = np.divmod(np.arange(len(speed)), pixels.block.shape[1])
    away = np.hypot(row - row[number], col - col[number])
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log10(speed / speed[number])
    nearness = np.exp(-0.5 * (apart / ALIKE) ** 2 - 0.5 * (away / _NEAR) ** 2)
    able = (np.diff(pixels.offsets) >= FEW) & np.isfinite(nearness) & (away > 0)
    nearness = np.where(able, nearness, 0.0)
    best = np.argsort(-nearness, kind="stable")[:_COMPANIONS]
    best = np.sort(best[nearness[best] > _FAINT])
    return Companions(best, nearness[best])


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The block of chunks with which the pairs of a pixel were read.

    Parameters
    ----------
    table : PairColumns
        The pairs of the cube.
    usable : ndarray of bool, shape (T,)
        Those with two dates.
    pixels : PixelBlock
    number : int
        Of the pixel in the block.
    memo : Memo
        What was learnt of blocks of this cube.
    selections : tuple of PairSelection
        Filters on metadata that the pairs passed since.
    """

    table: PairColumns
    usable: NDArray[np.bool_]
    pixels: PixelBlock
    number: int
    memo: Memo = field(repr=False)
    selections: tuple[PairSelection, ...] = ()

    def select(self, selection: PairSelection) -> Surroundings:
        """Note a filter on metadata."""
        return replace(self, selections=(*self.selections, selection))

    def selected(self) -> tuple[NDArray[np.bool_], PixelBlock]:
        """Give the mask of the pairs that pass the filters, shape (T,), and the block with these."""
        keep = self.usable
        table = self.table
        for selection in self.selections:
            masks = selection.masks(
                table.start, table.end, table.mission, table.satellite_1, table.satellite_2
            )
            keep, _ = apply_masks(masks, keep)
        return keep, self.pixels.keep(keep)
