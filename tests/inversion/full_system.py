"""Series and offsets of missions as one dense system, to hold the solver of both against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Joint"]


@dataclass(frozen=True)
class Joint:
    """Series and offsets from the full system; b holds all offsets, those found before included."""

    v: np.ndarray
    b: np.ndarray
    inverse: np.ndarray

    @classmethod
    def solve(
        cls, a: np.ndarray, normal: np.ndarray, w: np.ndarray, data: np.ndarray, column: np.ndarray,
        n: int, kappa: float,
    ) -> Joint:  # fmt: skip
        """Solve for both; ``normal`` is A'WA with the penalty, ``column`` that of each pair, -1 without."""
        one_hot = (column[:, None] == np.arange(n)).astype(float)
        c = a.T @ (w[:, None] * one_hot)
        b = one_hot.T @ (w[:, None] * one_hot)
        full = np.block([[normal, c], [c.T, b + kappa * np.eye(n)]])
        right = np.concatenate([a.T @ (w[:, None] * data), one_hot.T @ (w[:, None] * data)])
        inverse = np.linalg.inv(full)
        found = np.linalg.solve(full, right)
        size = len(normal)
        return cls(found[:size].T, found[size:].T, inverse)
