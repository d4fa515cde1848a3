"""The prior of the arrowhead model, and where its unknowns stand in the band matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import PAD
from itslive_core.gaussian_process.products import add_products

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.latent import Latent
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["StateLayout"]

_PRODUCTS = (2, 2), (1, 1), (0, 0), (1, 2), (0, 1), (0, 2)
"""Cells whose products make up the square of the noise that enters at a cell, counted from two before it."""
_START = (0, 0, 0, 1.0), (0, 1, 1, 1.0), (2, 0, 0, -1.0), (2, 1, 1, -1.0), (3, 0, 1, 1.0), (4, 0, 1, -1.0)
"""What the first two cells add: the form, both cells, a sign. A stationary x is the same from both ends."""


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
    calm : ndarray, shape (M - 2,), optional
        Factors of the precision of the noise that enters x at cells 2, 3, ...: below 1 where x may jump;
        1 throughout if not given.
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
    calm: NDArray[np.float64] | None = None

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
        each end; of 2 x_i x_(i+1) over all, and over all but one at each end; of 2 x_i x_(i+2). The noise
        that enters at a cell is x_i - f x_(i-1) - g x_(i-2): where it is not calm, its share is weighted.
        """
        wide = self.width + 1
        places, forms = self._calm_forms
        if self.calm is not None:
            rows, loads = self._loaded
            extra = np.zeros((6, self.unknowns * wide))
            for out, (left, right) in zip(extra, _PRODUCTS, strict=True):
                add_products(rows, loads, self.calm - 1.0, left, right, wide, out)
            forms = forms + extra[:, places]
        return places // wide, places // wide + places % wide, forms

    @cached_property
    def _loaded(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows and loads, but for columns of loads that are 0 throughout."""
        loaded = np.flatnonzero(np.any(self.loads != 0.0, axis=0))
        return np.ascontiguousarray(self.rows[:, loaded]), np.ascontiguousarray(self.loads[:, loaded])

    @cached_property
    def _calm_forms(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places in the band where a form is not 0, shape (k,), and the forms when calm, shape (6, k)."""
        rows, loads = self._loaded
        wide = self.width + 1
        forms = np.zeros((6, self.unknowns * wide))
        for out, (left, right) in zip(forms, _PRODUCTS, strict=True):
            add_products(rows, loads, np.ones(self.size - 2), left, right, wide, out)
        # The first two cells, before noise enters.
        for k, left, right, sign in _START:
            add_products(rows, loads, np.array([sign]), left, right, wide, forms[k])
        kept = np.flatnonzero(np.any(forms != 0.0, axis=0))
        return kept, np.ascontiguousarray(forms[:, kept])

    @cached_property
    def _data_places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of A'WA in its own band array and in the joint one."""
        reach = max(1, self.reach)
        i, o = np.nonzero(np.arange(self.size)[:, None] + np.arange(reach + 1) < self.size)
        return i * (reach + 1 + PAD) + o, self.cells[i] * self.stride + self.cells[i + o] - self.cells[i]

    @cached_property
    def _knot_rows(self) -> NDArray[np.int64]:
        return self.blocks[:, None] + np.arange(self.states)

    def with_calm(self, calm: NDArray[np.float64]) -> StateLayout:
        """Give the same layout with other jumps; see `calm`."""
        other = replace(self, calm=calm)
        for name in ("_loaded", "_calm_forms", "_data_places", "_knot_rows"):
            other.__dict__[name] = getattr(self, name)
        return other

    def scale(self, amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the amplitude of every row, 1 for cells: shape (n,)."""
        factors = np.ones(self.unknowns)
        if self.states:
            factors[self._knot_rows] = amplitudes
        return factors

    def roughness_of(self, state: NDArray[np.float64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give x of states, shape (..., n) -> (..., M)."""
        return np.einsum("mk,...mk->...m", self.loads, (state * factors)[..., self.rows])

    def forms_of(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the six forms of `structure` for series of x, shape (k, M), summed over them."""
        square, next_one = np.sum(x**2, axis=0), np.sum(x[:, 1:] * x[:, :-1], axis=0)
        next_two = np.sum(x[:, 2:] * x[:, :-2], axis=0)
        forms = np.array(
            [
                square.sum(),
                square[1:-1].sum(),
                square[2:-2].sum(),
                2 * next_one.sum(),
                2 * next_one[1:-1].sum(),
                2 * next_two.sum(),
            ]
        )
        if self.calm is not None:
            products = square[2:], square[1:-1], square[:-2], next_one[1:], next_one[:-1], next_two
            forms += np.array([1, 1, 1, 2, 2, 2]) * (np.stack(products) @ (self.calm - 1.0))
        return forms

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
        of_jumps = 0.0 if self.calm is None else float(np.sum(np.log(self.calm)))
        of_states = max(self.knots - 1, 0) * latent.log_noise
        return latent.log_precision(self.size) + of_jumps + of_shared - of_states
