"""The pairs of a cube on a time grid: what all of its pixels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.observations.duplicates import Twins
from itslive_core.observations.missions import mission_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.pair_columns import PairColumns
    from itslive_core.observations.time_grid import SpanOperator, TimeGrid

__all__ = ["SharedPairs"]


@dataclass(frozen=True, eq=False)
class SharedPairs:
    """The pairs of a cube, or of one pixel, on a time grid: computed once, used by every pixel.

    Parameters
    ----------
    grid : TimeGrid
        M cells.
    operator : SpanOperator
        Rows of the T pairs.
    span_id : ndarray of int32, shape (T,)
        Equal for pairs with the same (start, end).
    start, end, vx_error, vy_error : ndarray of float64, shape (T,)
    mission : ndarray of int64, shape (T,)
        Positions in `itslive_core.observations.missions.MISSIONS`.
    first_image, second_image : ndarray of int32, shape (T,)
        Numbers of the images, told apart by their dates, and by whether they are the earlier or the later.
    images : int
        Number of images.
    renumber : ndarray of int32
        From rows of the cube's pair table to rows here; -1 for pairs that were filtered out.
    twins : Twins
        Which of the pairs may be one and the same.
    """

    grid: TimeGrid
    operator: SpanOperator
    span_id: NDArray[np.int32]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vx_error: NDArray[np.float64]
    vy_error: NDArray[np.float64]
    mission: NDArray[np.int64]
    first_image: NDArray[np.int32]
    second_image: NDArray[np.int32]
    images: int
    renumber: NDArray[np.int32]
    twins: Twins

    @classmethod
    def make(cls, table: PairColumns, mask: NDArray[np.bool_], grid: TimeGrid) -> SharedPairs:
        """Put the pairs of a table on a grid.

        Parameters
        ----------
        table : PairTable or ImagePairs
            T0 pairs.
        mask : ndarray of bool, shape (T0,)
            Pairs that passed the filters on metadata.
        grid : TimeGrid
            Holds all of them.
        """
        start, end = table.start[mask], table.end[mask]
        renumber = np.where(mask, np.cumsum(mask) - 1, -1).astype(np.int32)
        spans = np.empty(len(start), dtype=np.complex128)
        spans.real, spans.imag = start, end
        span_id = np.unique(spans, return_inverse=True)[1].astype(np.int32)
        dates, number = np.unique(np.concatenate((start, end)), return_inverse=True)
        image: NDArray[np.int32] = number.reshape(-1).astype(np.int32)
        return cls(
            grid=grid,
            operator=grid.operator(start, end),
            span_id=span_id.reshape(-1),
            start=start,
            end=end,
            vx_error=table.vx_error[mask],
            vy_error=table.vy_error[mask],
            mission=mission_numbers(table.mission[mask]),
            first_image=image[: len(start)],
            second_image=image[len(start) :] + np.int32(len(dates)),
            images=2 * len(dates),
            renumber=renumber,
            twins=Twins.of(table, mask).take(mask),
        )
