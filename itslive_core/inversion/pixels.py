"""The pixels of a batch, one after the other: their rows, their cells, and whether they can be solved."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from itslive_core.bands.assembly import cover
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.pixel_fit import enough
from itslive_core.inversion.solver import TOO_FEW, BatchResult, PixelBatch, needed_pairs
from itslive_core.support.stopping import check_stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PixelRows", "solvable_pixels"]


class PixelRows(NamedTuple):
    """One pixel of a batch, on its own range of M cells.

    Parameters
    ----------
    number : int
        Its place in the batch.
    observations : slice
        Its n observations in the batch.
    pair : ndarray of int32, shape (n,)
        Rows of the operator.
    spans : Spans
        Those rows, cells counted from the pixel's first one.
    first_cell, size : int
        That cell on the grid of the batch, and M.
    """

    number: int
    observations: slice
    pair: NDArray[np.int32]
    spans: Spans
    first_cell: int
    size: int

    @property
    def cells(self) -> slice:
        """Its cells on the grid of the batch."""
        return slice(self.first_cell, self.first_cell + self.size)


def solvable_pixels(
    batch: PixelBatch, order: int, result: BatchResult, only: Iterable[int] | None = None
) -> Iterator[PixelRows]:
    """Count coverage at all pixels, and give those with enough pairs.

    Parameters
    ----------
    batch : PixelBatch
    order : int
        k.
    result : BatchResult
        Receives counts and coverage; the status of all pixels is set to `TOO_FEW`, before any is given.
    only : iterable of int, optional
        Some pixels, instead of all.
    """
    result.status[:] = TOO_FEW
    operator, needed, offsets = Spans(*batch.operator.columns), needed_pairs(order), batch.offsets.tolist()
    for p in range(batch.n_pixels) if only is None else only:
        check_stop()
        observations = slice(offsets[p], offsets[p + 1])
        pair = batch.pair[observations]
        if len(pair) == 0:
            continue
        rows = PixelRows(p, observations, pair, *spans_of(operator, pair))
        cover(rows.spans, result.count[p, rows.cells], result.covered[p, rows.cells])
        if enough(batch.span_id, pair, needed):
            yield rows
