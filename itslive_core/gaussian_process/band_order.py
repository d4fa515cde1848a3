"""The unknowns of the arrowhead model in one band matrix, for solvers that know nothing else.

v and t of a cell stand side by side, the states of a knot before its first cell, those of the last one at
the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.latent import Latent
    from itslive_core.gaussian_process.layout import StateLayout

__all__ = ["BandOrder"]


@dataclass(frozen=True, eq=False)
class BandOrder:
    """Rows of the unknowns; made by `of`.

    Parameters
    ----------
    layout : StateLayout
    v, t : ndarray of int64, shape (M,)
    z : ndarray of int64, shape (K, d)
    width : int
        Half-bandwidth.
    """

    layout: StateLayout
    v: NDArray[np.int64]
    t: NDArray[np.int64]
    z: NDArray[np.int64]
    width: int

    @classmethod
    def of(cls, layout: StateLayout) -> BandOrder:
        """Order the unknowns of a layout."""
        size, d, knots = layout.size, layout.states, layout.knots
        number, begins = np.arange(size), layout.segments[: max(knots - 1, 0)]
        v = 2 * number + d * np.searchsorted(begins, number, side="right")
        blocks = 2 * np.append(begins, size)[:knots] + d * np.arange(knots)
        order = cls(layout, v, v + 1, blocks[:, None] + np.arange(d), 0)
        reach = min(layout.reach, size - 1)
        far = [2, int((v[reach:] - v[: size - reach]).max()), int((v[2:] - v[:-2]).max())]
        far += [int(np.max(np.abs(rows - columns), initial=0)) for rows, columns in order._of_states()]
        return cls(layout, v, v + 1, order.z, max(far))

    def _of_states(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Rows and columns of what states have with cells, (m, d), and with other states, (., d, d)."""
        layout, found = self.layout, []
        for m, cells in enumerate(self._cells()):
            knot = self.z[layout.before[cells] + m - 1]
            found.append((np.broadcast_to(self.v[cells][:, None], knot.shape), knot))
        for left, right in ((self.z, self.z), (self.z[:-1], self.z[1:])):
            rows, columns = np.broadcast_arrays(left[:, :, None], right[:, None, :])
            found.append((rows, columns))
        return found

    def _cells(self) -> list[NDArray[np.int64]]:
        """Cells that have to do with the knots k - 1, k, k + 1, where they lie between k and k + 1."""
        layout = self.layout
        number = np.arange(layout.size)
        early = number - layout.segments[layout.before] < 2  # the first two of a segment
        behind = np.flatnonzero(early & (layout.before > 0))
        every = number if layout.states else number[:0]
        return [behind if layout.states else number[:0], every, every]

    def lower_band(self, latent: Latent) -> NDArray[np.float64]:
        """Give the prior precision as a lower band, entry (a, b <= a) at [a, width - a + b]."""
        layout, width = self.layout, self.width
        prior = layout.precision(latent, layout.phi(latent.amplitudes))
        band = np.zeros((layout.unknowns, width + 1))

        def put(rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64]) -> None:
            high, low = np.maximum(rows, columns), np.minimum(rows, columns)
            band[high, width - high + low] = values

        for o in range(3):
            put(self.v[: layout.size - o], self.v[o:], prior.rough[: layout.size - o, o])
        band[self.v, width] += prior.apart
        band[self.t, width] = prior.apart
        put(self.v, self.t, np.full(layout.size, -prior.apart))
        crosses = [prior.cross[cells, m] for m, cells in enumerate(self._cells())]
        values = [*crosses, prior.own, prior.after[:-1]]
        for (rows, columns), value in zip(self._of_states(), values, strict=True):
            put(rows, columns, value)
        return band
