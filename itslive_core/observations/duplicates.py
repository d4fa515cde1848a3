"""Pairs that are stored more than once, and an order of pairs that does not depend on how they are stored.

A cube may hold a pair twice: start and end equal to the minute, both satellites and both components equal. It
is one measurement and counts once; twice it would make the noise look smaller, and half of what the criteria
of smoothness see would be foretold by its copy. Pairs of equal dates and other values are two measurements
that share their images. Which pairs may be copies is told by their dates and satellites, which all pixels of
a cube share; which are is told by the values at each pixel.

Sums of floating-point numbers depend on their order, and searches may turn on the last digit: pairs are put
in one order before they are solved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from itslive_core.observations.pair_columns import PairColumns
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Twins", "canonical_order"]

_MILLISECONDS = 86_400_000.0
_PER_MINUTE = 60_000
_ALONE = -1


class MeasuredPairs(PairColumns, Protocol):
    """The pairs of one pixel: columns and values."""

    @property
    def vx(self) -> NDArray[np.float64]:
        """Velocity along x [m/yr]."""
        ...

    @property
    def vy(self) -> NDArray[np.float64]:
        """Velocity along y [m/yr]."""
        ...


class Twins(NamedTuple):
    """Which of T pairs may be one and the same, by what their pixels share.

    Parameters
    ----------
    group : ndarray of int32, shape (T,)
        Equal for pairs of equal minutes, satellites and mission; -1 for a pair that has no such twin.
    rank : ndarray of int32, shape (T,)
        Of twins, the one of lowest rank is kept: that of the smallest formal error.
    groups : int
        Number of groups.
    """

    group: NDArray[np.int32]
    rank: NDArray[np.int32]
    groups: int

    @classmethod
    def of(cls, pairs: PairColumns, mask: NDArray[np.bool_] | None = None) -> Twins:
        """Find the twins in a table.

        Parameters
        ----------
        pairs : PairColumns
            T pairs.
        mask : ndarray of bool, shape (T,), optional
            The pairs that count, whose dates are known; the others have no twins.
        """
        n = len(pairs.start)
        group, rank = np.full(n, _ALONE, dtype=np.int32), np.zeros(n, dtype=np.int32)
        index = np.arange(n) if mask is None else np.flatnonzero(mask)
        start, end = (_minutes(dates[index]) for dates in (pairs.start, pairs.end))
        order = np.lexsort((end, start))
        of_equal_dates = order[_tied(start[order], end[order])]
        if of_equal_dates.size == 0:
            return cls(group, rank, 0)
        rows, start, end = index[of_equal_dates], start[of_equal_dates], end[of_equal_dates]
        error_x, error_y = pairs.vx_error[rows], pairs.vy_error[rows]
        codes = (pairs.satellite_1[rows], pairs.satellite_2[rows], pairs.mission[rows])
        same = (start, end, *_telling(codes))
        preference = (error_x**2 + error_y**2, error_x, error_y, pairs.start[rows], pairs.end[rows])
        order = np.lexsort((*same, *preference)[::-1])
        rows, keys = rows[order], [key[order] for key in same]
        new = np.ones(len(rows), dtype=bool)
        new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
        number = np.cumsum(new) - 1
        size = np.bincount(number)
        group[rows], rank[rows] = np.where(size[number] == 1, _ALONE, number), np.arange(len(rows))
        return cls(group, rank, len(size) if size.max() > 1 else 0)

    def take(self, mask: NDArray[np.bool_]) -> Twins:
        """Keep what is known of some of the pairs; those that are left out had no twins among the others."""
        return Twins(self.group[mask], self.rank[mask], self.groups)

    def distinct(
        self,
        offsets: NDArray[np.int64],
        pair: NDArray[np.int32],
        vx: NDArray[np.floating],
        vy: NDArray[np.floating],
    ) -> NDArray[np.bool_]:
        """Find the observations that are not copies of another one at their pixel.

        Parameters
        ----------
        offsets : ndarray of int64, shape (P + 1,)
            Pixel p owns observations offsets[p]:offsets[p + 1].
        pair : ndarray of int32, shape (n,)
            Row of each observation in this table.
        vx, vy : ndarray, shape (n,)
            Velocity as it is stored [m/yr].

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        keep = np.ones(len(pair), dtype=np.bool_)
        if self.groups > 0:
            x, y = (np.asarray(v, dtype=np.float64) for v in (vx, vy))
            last = np.full(self.groups, -1, dtype=np.int64)
            _leave_copies_out(offsets, pair, x, y, self.group, self.rank, last, keep)
        return keep


@kernel()
def _leave_copies_out(
    offsets: NDArray,
    pair: NDArray,
    vx: NDArray,
    vy: NDArray,
    group: NDArray,
    rank: NDArray,
    last: NDArray,
    keep: NDArray,
) -> None:  # pragma: no cover - compiled
    """Clear ``keep`` of all copies but the one of lowest rank; ``last`` is room for -1 of each group."""
    before = np.empty(len(pair), dtype=np.int64)
    for p in range(len(offsets) - 1):
        begin = offsets[p]
        for i in range(begin, offsets[p + 1]):
            g = group[pair[i]]
            if g < 0:
                continue
            # What a pixel before this one left behind lies below its begin.
            j = last[g]
            while j >= begin and not (vx[j] == vx[i] and vy[j] == vy[i]):
                j = before[j]
            if j >= begin:
                if rank[pair[i]] > rank[pair[j]]:
                    keep[i] = False
                    continue
                keep[j] = False
            before[i] = last[g]
            last[g] = i


def canonical_order(pairs: MeasuredPairs) -> NDArray[np.intp]:
    """Give an order of the pairs of one pixel that depends on nothing but themselves.

    By dates, then missions and satellites, formal errors, and values: only copies of one pair are tied.

    Parameters
    ----------
    pairs : MeasuredPairs
        n pairs.

    Returns
    -------
    ndarray of int, shape (n,)
        Rows in that order.
    """
    order: NDArray[np.intp] = np.lexsort((pairs.end, pairs.start))
    tied = _tied(pairs.start[order], pairs.end[order])
    rows = order[tied]
    if rows.size:
        columns = (
            pairs.start, pairs.end, pairs.mission, pairs.satellite_1, pairs.satellite_2, pairs.vx_error,
            pairs.vy_error, pairs.vx, pairs.vy,
        )  # fmt: skip
        order[tied] = rows[np.lexsort(_telling([column[rows] for column in columns])[::-1])]
    return order


def _minutes(days: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the minute in which each date lies, once the noise of float days is rounded away."""
    return np.rint(days * _MILLISECONDS).astype(np.int64) // _PER_MINUTE


def _telling(columns: Iterable[NDArray]) -> list[NDArray]:
    """Leave out columns of one value, of text perhaps, which is slow to sort; the last one stays."""
    *some, last = columns
    return [*(column for column in some if np.any(column != column[0])), last]


def _tied(first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    """Find the members of sorted couples that equal one beside them."""
    equal = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
    tied = np.zeros(len(first), dtype=np.bool_)
    tied[1:] |= equal
    tied[:-1] |= equal
    return tied
