"""Where the unknowns of the arrowhead model stand: cells, knots, and how knots load on cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.front import Front, Precision, front_of
from itslive_core.gaussian_process.precision import prior_precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.latent import Latent
    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["StateLayout"]


@dataclass(frozen=True, eq=False)
class StateLayout:
    """Cells, knots and how knots load on cells; made by `build`.

    Parameters
    ----------
    size, knots, states : int
        Number of cells M, of knots K and of states at a knot d.
    reach : int
        Largest distance of two cells of one pair, at least 1.
    segments : ndarray of int64, shape (max(K, 2),)
        First cell of each segment, which lies between two knots, and M.
    before : ndarray of int64, shape (M,)
        Knot before each cell; 0 without knots.
    loads : ndarray, shape (M, 2 d)
        Phi for amplitudes of 1: factors of the states of the knot before a cell, and of the one after it.
    calm : ndarray, shape (M - 2,)
        Factors of the precision of the noise that enters x at cells 2, 3, ...: below 1 where x may jump.
    """

    size: int
    knots: int
    states: int
    reach: int
    segments: NDArray[np.int64]
    before: NDArray[np.int64]
    loads: NDArray[np.float64]
    calm: NDArray[np.float64]

    @classmethod
    def build(cls, grid: TimeGrid, loadings: NDArray[np.float64], spacing: int, reach: int) -> StateLayout:
        """Place knots on every `spacing`-th cell, counted from 1970, so that all axes are in phase.

        A knot lies on two cells, and the interpolation runs between the second one and the next knot: then
        cells two apart never load on three knots, and a knot is done with when its last cell is.

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
        """
        size, states = loadings.shape
        number, calm, reach = np.arange(size), np.ones(size - 2), max(1, min(reach, size - 1))
        if states == 0:
            segments, before = np.array([0, size]), np.zeros(size, dtype=np.int64)
            return cls(size, 0, 0, reach, segments, before, np.zeros((size, 0)), calm)
        begin = -(grid.first % spacing)
        knots = max(2, -(-(size - 1 - begin) // spacing) + 1)
        at = begin + spacing * np.arange(knots)
        before = np.minimum((number - begin) // spacing, knots - 2)
        share = (np.maximum(number - at[before] - 1, 0) / (spacing - 1))[:, None]
        loads = np.concatenate([(1 - share) * loadings, share * loadings], axis=1)
        segments = np.append(np.maximum(at[:-1], 0), size)
        return cls(size, knots, states, reach, segments, before, loads, calm)

    @property
    def unknowns(self) -> int:
        """Number of rows n."""
        return 2 * self.size + self.knots * self.states

    def front(self, sides: int) -> Front:
        """Give the sizes of the front, for a number of right-hand sides."""
        return front_of(self.size, self.reach, self.states, sides, self.segments)

    def with_calm(self, calm: NDArray[np.float64]) -> StateLayout:
        """Give the same layout with other jumps; see `calm`."""
        return replace(self, calm=calm)

    def phi(self, amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the loads for amplitudes, shape (M, 2 d)."""
        return self.loads * np.tile(amplitudes, 2)

    def precision(self, latent: Latent, phi: NDArray[np.float64]) -> Precision:
        """Give the prior precision of (v, t, z)."""
        d, knots, size = self.states, self.knots, self.size
        shapes = (size, 3, d), (knots, d, d), (knots, d, d)
        out = Precision(np.empty((size, 3)), latent.shared**-2, *(np.empty(shape) for shape in shapes))
        prior_precision(
            latent.coefficients, self.calm, self.before, phi, latent.transition, latent.precision, out
        )
        return out

    def log_prior(self, latent: Latent) -> float:
        """Give log |prior precision|."""
        of_shared = -2 * self.size * float(np.log(latent.shared))
        of_states = max(self.knots - 1, 0) * latent.log_noise
        return latent.log_precision(self.size) + float(np.sum(np.log(self.calm))) + of_shared - of_states
