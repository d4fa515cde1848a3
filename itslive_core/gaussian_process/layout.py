"""The prior of the arrowhead model, and where its unknowns stand in the band matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import PAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["Latent", "StateLayout"]


@dataclass(frozen=True, eq=False)
class Latent:
    """Parameters of the prior of v.

    Parameters
    ----------
    roughness : float
        Standard deviation of x.
    decay : tuple of float
        a_1, a_2 > 0: x is (1 - exp(-a_1) L)(1 - exp(-a_2) L) x = noise, L the shift by a cell. A large a_2
        leaves the first-order (Ornstein-Uhlenbeck) process, a_2 = a_1 is like Matern 3/2.
    amplitudes : ndarray, shape (d,)
        Factors of the columns of Phi.
    transition : ndarray, shape (d, d)
        F.
    precision : ndarray, shape (d, d)
        Inverse of I - F F'.
    log_noise : float
        log |I - F F'|.
    shared : float
        Standard deviation of the shared noise of a cell; without meaning where the layout has none.
    """

    roughness: float
    decay: tuple[float, float]
    amplitudes: NDArray[np.float64]
    transition: NDArray[np.float64]
    precision: NDArray[np.float64]
    log_noise: float
    shared: float = 0.0

    @property
    def variance_ratio(self) -> float:
        """Variance of the noise of x over that of x."""
        a, b = self.decay
        return float(np.expm1(-2 * a) * np.expm1(-2 * b) * -np.expm1(-a - b) / (1 + np.exp(-a - b)))

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """Factors of the forms of `StateLayout.structure` that make up the precision of x, shape (6,).

        The inverse covariance of a stationary second-order autoregression (Siddiqui, 1958, Annals of
        Mathematical Statistics 29, 585).
        """
        p, q = np.exp(-self.decay[0]), np.exp(-self.decay[1])
        one, two = p + q, -p * q
        factors = np.array([1.0, one**2, two**2, -one, one * two, -two])
        return factors / (self.roughness**2 * self.variance_ratio)

    def log_precision(self, size: int) -> float:
        """Give log |precision of x| for a number of cells."""
        a, b = self.decay
        corners = np.expm1(-2 * a) * np.expm1(-2 * b) * np.expm1(-a - b) ** 2
        return float(np.log(corners) - size * np.log(self.roughness**2 * self.variance_ratio))


@dataclass(frozen=True, eq=False)
class StateLayout:
    """Where cells and knots stand in the band matrix, and how knots load on cells; made by `build`.

    Parameters
    ----------
    size, knots, states : int
        Number of cells M, of knots K and of states at a knot d.
    reach : int
        Largest distance of two cells of one pair, b.
    cells : ndarray of int64, shape (M,)
        Row of t in each cell, which the data touch; that of v is the same without shared noise, else the one
        before.
    blocks : ndarray of int64, shape (K,)
        Row of the first state of each knot.
    width : int
        Half-bandwidth w.
    rows : ndarray of int64, shape (M, 1 + 2 d)
        Rows that make up x_i: v, the states of the knot before it, those of the knot after it.
    loads : ndarray, shape (M, 1 + 2 d)
        Their factors for amplitudes of 1: x_i = sum(loads_i s_rows).
    """

    size: int
    knots: int
    states: int
    reach: int
    cells: NDArray[np.int64]
    blocks: NDArray[np.int64]
    width: int
    rows: NDArray[np.int64]
    loads: NDArray[np.float64]

    @classmethod
    def build(
        cls,
        grid: TimeGrid,
        loadings: NDArray[np.float64],
        spacing: int,
        reach: int,
        *,
        shared: bool = False,
    ) -> StateLayout:
        """Place knots on every `spacing`-th cell, counted from 1970, so that all axes are in phase.

        A knot lies on two cells, and the interpolation runs between the second one and the next knot: then
        cells two apart never load on three knots, and the band stays narrow.

        Parameters
        ----------
        grid : TimeGrid
            M >= 4 cells.
        loadings : ndarray, shape (M, d)
            Factor of each state at each cell, to be multiplied by the interpolation; d may be 0.
        spacing : int
            Cells between knots, at least 2.
        reach : int
            Largest distance of two cells of one pair.
        shared : bool
            Give every cell a noise that all its pairs share.
        """
        size, states = loadings.shape
        number, each = np.arange(size), 2 if shared else 1
        if states == 0:
            rows = each * number[:, None]
            width = each * max(2, min(reach, size - 1))
            none = np.empty(0, dtype=np.int64)
            return cls(
                size=size,
                knots=0,
                states=0,
                reach=reach,
                cells=rows[:, 0] + each - 1,
                blocks=none,
                width=width,
                rows=rows,
                loads=np.ones((size, 1)),
            )
        begin = -(grid.first % spacing)
        knots = max(2, -(-(size - 1 - begin) // spacing) + 1)
        at = begin + spacing * np.arange(knots)
        # The states of a knot stand before its cell.
        cells = each * number + states * np.searchsorted(at, number, side="right")
        blocks = each * np.clip(at, 0, size) + states * np.arange(knots)
        before = np.minimum((number - begin) // spacing, knots - 2)
        share = np.maximum(number - at[before] - 1, 0) / (spacing - 1)
        state = np.arange(states)
        rows = np.concatenate(
            [cells[:, None], blocks[before][:, None] + state, blocks[before + 1][:, None] + state], axis=1
        )
        loads = np.concatenate(
            [np.ones((size, 1)), -(1 - share)[:, None] * loadings, -share[:, None] * loadings], axis=1
        )
        span = min(reach, size - 1)
        used = np.where(loads == 0.0, rows[:, :1], rows)
        low, high = used.min(axis=1), used.max(axis=1)
        width = max(
            int((cells[span:] - cells[: size - span]).max()),
            int((high - low).max()),
            *(
                int((np.maximum(high[lag:], high[:-lag]) - np.minimum(low[lag:], low[:-lag])).max())
                for lag in (1, 2)
            ),
            int((blocks[1:] - blocks[:-1]).max()) + states - 1,
        )
        return cls(
            size=size,
            knots=knots,
            states=states,
            reach=reach,
            cells=cells + each - 1,
            blocks=blocks,
            width=width,
            rows=rows,
            loads=loads,
        )

    @property
    def unknowns(self) -> int:
        """Number of rows n."""
        return (2 if self.shared else 1) * self.size + self.knots * self.states

    @property
    def shared(self) -> bool:
        """Whether cells have a shared noise."""
        return bool(self.cells[0] != self.rows[0, 0])

    @property
    def stride(self) -> int:
        """Length of a row of the band array."""
        return self.width + 1 + PAD

    @cached_property
    def structure(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Quadratic forms of x as sparse upper triangles: rows and columns, shape (k,), values, shape (6, k).

        Sums for amplitudes of 1: of x_i^2 over all cells, over all but one at each end, over all but two at
        each end; of 2 x_i x_(i+1) over all, and over all but one at each end; of 2 x_i x_(i+2).
        """
        wide = self.width + 1
        loaded = np.flatnonzero(np.any(self.loads != 0.0, axis=0))
        rows, loads = self.rows[:, loaded], self.loads[:, loaded]

        def form(left: slice | list[int], right: slice | list[int]) -> NDArray[np.float64]:
            p, q = rows[left][:, :, None], rows[right][:, None, :]
            at = np.minimum(p, q) * wide + np.abs(q - p)
            values = loads[left][:, :, None] * loads[right][:, None, :]
            # Both orders of two rows fall on one entry: off the diagonal, a square counts twice.
            total = np.bincount(at.ravel(), values.ravel(), self.unknowns * wide).astype(np.float64)
            if left == right:
                total.reshape(-1, wide)[:, 1:] *= 0.5
            else:
                total.reshape(-1, wide)[:, 0] *= 2.0
            return total

        last = self.size - 1
        squares, neighbours = form(slice(None), slice(None)), form(slice(0, -1), slice(1, None))
        inner = squares - form([0, last], [0, last])
        forms = np.stack(
            [
                squares,
                inner,
                inner - form([1, last - 1], [1, last - 1]),
                neighbours,
                neighbours - form([0, last - 1], [1, last]),
                form(slice(0, -2), slice(2, None)),
            ]
        )
        kept = np.flatnonzero(np.any(forms != 0.0, axis=0))
        return kept // wide, kept // wide + kept % wide, np.ascontiguousarray(forms[:, kept])

    @cached_property
    def _data_places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of A'WA in its own band array and in the joint one."""
        reach = max(1, self.reach)
        i, o = np.nonzero(np.arange(self.size)[:, None] + np.arange(reach + 1) < self.size)
        return i * (reach + 1 + PAD) + o, self.cells[i] * self.stride + self.cells[i + o] - self.cells[i]

    @cached_property
    def _knot_rows(self) -> NDArray[np.int64]:
        return self.blocks[:, None] + np.arange(self.states)

    def scale(self, amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the amplitude of every row, 1 for cells: shape (n,)."""
        factors = np.ones(self.unknowns)
        if self.states:
            factors[self._knot_rows] = amplitudes
        return factors

    def roughness_of(self, state: NDArray[np.float64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give x of states, shape (..., n) -> (..., M)."""
        return np.einsum("mk,...mk->...m", self.loads, (state * factors)[..., self.rows])

    def prior_band(self, latent: Latent, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the prior precision of (v, z) as an upper band array, shape (n, stride)."""
        rows, columns, forms = self.structure
        band = np.zeros((self.unknowns, self.stride))
        values: NDArray[np.float64] = latent.coefficients @ forms
        band[rows, columns - rows] = values * factors[rows] * factors[columns]
        if self.shared:
            apart = latent.shared**-2
            band[self.cells, 0] += apart
            band[self.cells - 1, 0] += apart
            band[self.cells - 1, 1] -= apart
        if self.states:
            flat, stride = band.reshape(-1), self.stride
            r, f = latent.precision, latent.transition
            after = f.T @ r @ f
            blocks = np.broadcast_to(r + after, (self.knots, *r.shape)).copy()
            blocks[0] = np.eye(self.states) + after
            blocks[-1] = r
            upper = np.triu_indices(self.states)
            rows = self._knot_rows
            flat[rows[:, upper[0]] * stride + upper[1] - upper[0]] += blocks[:, upper[0], upper[1]]
            at = rows[:-1, :, None] * stride + rows[1:, None, :] - rows[:-1, :, None]
            flat[at] -= f.T @ r
        return band

    def data_band(self, normal: NDArray[np.float64], band: NDArray[np.float64]) -> None:
        """Add A'WA, as `assemble` leaves it, to a joint band array."""
        source, target = self._data_places
        band.reshape(-1)[target] += normal[source]

    def log_prior(self, latent: Latent) -> float:
        """Give log |prior precision|."""
        of_shared = -2 * self.size * float(np.log(latent.shared)) if self.shared else 0.0
        return latent.log_precision(self.size) + of_shared - max(self.knots - 1, 0) * latent.log_noise
