"""The table of observations: pixels of different numbers of pairs, packed one after the other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.observations.missions import mission_numbers
from itslive_core.support.stopping import check_stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from itslive_core.observations.pair_columns import PairColumns

__all__ = ["Observations", "PairFacts", "kept_offsets", "pair_error"]


class Observations(NamedTuple):
    """The observations of P pixels, one pixel after the other.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Row of each observation in a table of pairs that the pixels share.
    vx, vy : ndarray of float64, shape (n,)
        [m/yr].
    """

    offsets: NDArray[np.int64]
    pair: NDArray[np.int32]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]

    @classmethod
    def at_point(cls, vx: NDArray[np.float64], vy: NDArray[np.float64]) -> Observations:
        """Take one pixel that has every pair of the table, shape (n,)."""
        n = len(vx)
        return cls(np.array([0, n], dtype=np.int64), np.arange(n, dtype=np.int32), vx, vy)

    @property
    def n_pixels(self) -> int:
        """Number of pixels, P."""
        return len(self.offsets) - 1

    def pixel(self, p: int) -> slice:
        """Tell which observations are those of a pixel."""
        return slice(int(self.offsets[p]), int(self.offsets[p + 1]))

    def pixels(self) -> Iterator[slice]:
        """Give the observations of each pixel in turn, until the work is to stop."""
        for begin, end in pairwise(self.offsets.tolist()):
            check_stop()
            yield slice(begin, end)

    def keep(self, mask: NDArray[np.bool_]) -> Observations:
        """Keep some of the observations.

        Parameters
        ----------
        mask : ndarray of bool, shape (n,)
        """
        if mask.all():
            return self
        return Observations(kept_offsets(self.offsets, mask), self.pair[mask], self.vx[mask], self.vy[mask])


class PairFacts(NamedTuple):
    """What filters on values know of the T pairs that pixels share.

    Parameters
    ----------
    start, end : ndarray, shape (T,)
        Dates [days since 1970-01-01].
    error : ndarray, shape (T,)
        Formal error of a component, from `pair_error`; NaN where it is not known [m/yr].
    mission : ndarray of int64, shape (T,)
        Position of the mission in `itslive_core.observations.missions.MISSIONS`.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    error: NDArray[np.float64]
    mission: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: PairColumns) -> PairFacts:
        """Take what is known of the pairs of one pixel."""
        error = pair_error(pairs.vx_error, pairs.vy_error)
        return cls(pairs.start, pairs.end, error, mission_numbers(pairs.mission))


def pair_error(vx_error: NDArray[np.float64], vy_error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the formal error of a component, sqrt((vx_error^2 + vy_error^2) / 2) [m/yr], shape (n,)."""
    return np.sqrt(0.5 * (vx_error**2 + vy_error**2))


def kept_offsets(offsets: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the offsets of a packed table, shape (P + 1,), of which only some rows are kept."""
    below: NDArray[np.int64] = np.concatenate(([0], np.cumsum(mask)))
    return below[offsets]
