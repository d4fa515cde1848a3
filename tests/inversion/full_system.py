"""Series and what stands beside it as one dense system, to hold the solver of both against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itslive_core.inversion.dense import difference_matrix
from itslive_core.support.constants import DAYS_PER_YEAR as YEAR
from tests.bands.full_matrices import difference_from_last_year

__all__ = ["FullSystem", "border_matrix"]


def border_matrix(
    start: np.ndarray, end: np.ndarray, mission: np.ndarray, offsets: list[int], seasons: list[int]
) -> np.ndarray:
    """Make B: a column for the offset of each of some missions, then four for the displacements of each."""
    columns = [(mission == m).astype(float) for m in offsets]
    for m in seasons:
        for pace in (1, 2):
            for wave in (np.cos, np.sin):
                at = [wave(2 * np.pi * pace * t / YEAR) for t in (start, end)]
                columns.append((mission == m) * (at[1] - at[0]) * YEAR / (end - start))
    return np.array(columns).T.reshape(len(start), len(columns))


@dataclass(frozen=True, eq=False)
class FullSystem:
    """The equations of one pixel along one axis, all unknowns in one.

    Parameters
    ----------
    a, b : ndarray, shape (n, M) and (n, K)
        What a pair reads of the series, and of what stands beside it.
    w, d : ndarray, shape (n,)
        Weights, and what was read.
    q : ndarray, shape (M - k, M - k)
        Precision of the changes.
    order : int
        k.
    spread : ndarray, shape (K,)
        Prior variances of what stands beside the series.
    """

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    d: np.ndarray
    q: np.ndarray
    order: int
    spread: np.ndarray

    @classmethod
    def of(
        cls, a: np.ndarray, b: np.ndarray, w: np.ndarray, d: np.ndarray, own: np.ndarray, yearly: np.ndarray,
        spread: np.ndarray, *, interval: float, order: int,
    ) -> FullSystem:  # fmt: skip
        """Make it from the precision of each change, and of what it differs from the year before."""
        c = (
            difference_from_last_year(interval, len(own))
            if np.any(yearly)
            else np.zeros((len(own), len(own)))
        )
        return cls(a, b, w, d, np.diag(own) + c.T @ (yearly[:, None] * c), order, spread)

    @property
    def cells(self) -> int:
        return self.a.shape[1]

    @property
    def all_rows(self) -> np.ndarray:
        return np.hstack([self.a, self.b])

    @property
    def matrix(self) -> np.ndarray:
        """The precision of all unknowns given the data."""
        difference, rows = difference_matrix(self.order, self.cells), self.all_rows
        out: np.ndarray = rows.T @ (self.w[:, None] * rows)
        out[: self.cells, : self.cells] += difference.T @ self.q @ difference
        out[self.cells :, self.cells :] += np.diag(1 / self.spread)
        return out

    @property
    def covariance(self) -> np.ndarray:
        return np.linalg.inv(self.matrix)

    @property
    def mean(self) -> np.ndarray:
        found: np.ndarray = np.linalg.solve(self.matrix, self.all_rows.T @ (self.w * self.d))
        return found

    @property
    def value(self) -> float:
        """-2 log of the evidence, up to a constant."""
        right = self.all_rows.T @ (self.w * self.d)
        logs = np.linalg.slogdet(self.matrix)[1] + np.log(self.spread).sum() - np.linalg.slogdet(self.q)[1]
        return float(self.w @ self.d**2 - right @ self.mean + logs)
