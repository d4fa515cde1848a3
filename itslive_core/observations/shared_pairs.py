"""The pairs of a cube on a time grid: what all of its pixels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from itslive_core.observations.missions import mission_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import SpanOperator, TimeGrid

__all__ = ["PairColumns", "SharedPairs"]


class PairColumns(Protocol):
    """Columns of a table of image pairs; those of a cube and of a pixel have them."""

    @property
    def start(self) -> NDArray[np.float64]:
        """Earlier date [days since 1970-01-01]."""
        ...

    @property
    def end(self) -> NDArray[np.float64]:
        """Later date [days since 1970-01-01]."""
        ...

    @property
    def vx_error(self) -> NDArray[np.float64]:
        """Formal error of vx [m/yr]."""
        ...

    @property
    def vy_error(self) -> NDArray[np.float64]:
        """Formal error of vy [m/yr]."""
        ...

    @property
    def mission(self) -> NDArray[np.str_]:
        """Mission group."""
        ...


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
        )
