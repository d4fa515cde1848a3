"""The pixels of a batch on their way to a torch device: what can be solved, in which order, in what room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.spans import reach_of
from itslive_core.bands.torch_assembly import SpanRows
from itslive_core.bands.torch_band import block_rows
from itslive_core.bands.torch_memory import to_device
from itslive_core.inversion.pixels import solvable_pixels
from itslive_core.inversion.solver import observations_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from itslive_core.inversion.solver import BatchResult, PixelBatch

__all__ = ["Feed", "memory_of_pixel"]


@dataclass(frozen=True, eq=False)
class Feed:
    """The pixels that can be solved, the widest last, and their observations on the device.

    Parameters
    ----------
    pixels : ndarray of int, shape (q,)
        Numbers in the batch.
    begin : ndarray of int, shape (q + 1,)
        Where the observations of each begin.
    index : ndarray of int, shape (n,)
        Positions of the observations in the batch.
    cell0, sizes, widths, needs : ndarray of int, shape (q,)
        First cell, number of cells, half-bandwidth, and memory [bytes].
    columns : tuple of Tensor, shape (n,)
        first, last (from the pixel's first cell on), head, tail, rate.
    data, weights : Tensor, shape (n, 2), (n,)
    """

    pixels: NDArray[np.int64]
    begin: NDArray[np.int64]
    index: NDArray[np.int64]
    cell0: NDArray[np.int64]
    sizes: NDArray[np.int64]
    widths: NDArray[np.int64]
    needs: NDArray[np.int64]
    columns: tuple[Tensor, ...]
    data: Tensor
    weights: Tensor

    @classmethod
    def of(cls, batch: PixelBatch, order: int, result: BatchResult, device: str) -> Feed:
        """Count coverage, find the pixels with enough pairs, and send them to the device."""
        a, offsets = batch.operator, batch.offsets
        able = sorted(
            (reach_of(rows.spans, order), rows.size, rows.number, rows.first_cell)
            for rows in solvable_pixels(batch, order, result)
        )
        widths, sizes, pixels, cell0s = np.array(able, dtype=np.int64).reshape(-1, 4).T
        counts = offsets[pixels + 1] - offsets[pixels]
        begin = np.concatenate(([0], np.cumsum(counts)))
        index = observations_of(offsets, pixels)
        pair, start = batch.pair[index], np.repeat(cell0s, counts)
        arrays = (
            a.first[pair] - start,
            a.last[pair] - start,
            a.head[pair],
            a.tail[pair],
            a.rate[pair],
        )
        data = np.stack([batch.vx[index], batch.vy[index]], axis=1)
        needs = memory_of_pixel(int(sizes.max(initial=0)), widths, counts)
        return cls(
            pixels=pixels,
            begin=begin,
            index=index,
            cell0=cell0s,
            sizes=sizes,
            widths=widths,
            needs=needs,
            columns=tuple(to_device(x, device) for x in arrays),
            data=to_device(data, device),
            weights=to_device(batch.weights[index], device),
        )

    def rows(self, i: int, j: int) -> SpanRows:
        """Give the rows of pixels i:j."""
        import torch

        device, here = self.weights.device, slice(int(self.begin[i]), int(self.begin[j]))
        counts = torch.from_numpy(np.diff(self.begin[i : j + 1])).to(device)
        sizes = self.sizes[i:j]
        return SpanRows(
            torch.from_numpy(sizes).to(device),
            int(sizes.max()),
            int(self.widths[i:j].max()),
            torch.arange(j - i, device=device).repeat_interleave(counts),
            *(c[here] for c in self.columns),
        )


def memory_of_pixel(cells: int, widths: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Estimate what pixels take: four arrays like their band, three like their blocks, 20 like their pairs.

    Parameters
    ----------
    cells : int
        M.
    widths, pairs : ndarray of int, shape (q,)
        Half-bandwidth and number of pairs of each.

    Returns
    -------
    ndarray of int, shape (q,)
        Bytes.
    """
    edges = np.array([block_rows(cells, int(width)) for width in widths], dtype=np.int64)
    return 8 * ((cells + edges) * (4 * (widths + 1) + 3 * edges) + 20 * pairs)
