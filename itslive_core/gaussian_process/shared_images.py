"""How many independent pairs a pair is worth that shares its images with others.

Pairs that share an image share its shadows, snow and geolocation; those of the same dates share all of it.
With correlation rho between the noise of any two of m pairs, they hold the information of
m / (1 + (m - 1) rho) independent ones (the design effect of cluster sampling: Kish, 1965, Survey Sampling),
and each gets that much less credit. An image counts once as the earlier and once as the later of its pairs,
as geolocation errors enter both with opposite signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SharedImages"]

_MINUTES_PER_DAY = 1440.0


@dataclass(frozen=True, eq=False)
class SharedImages:
    """Which of N pairs share images, as numbers of groups.

    Parameters
    ----------
    earlier, later : ndarray of int64, shape (N,)
        Image that a pair begins and ends with.
    both : ndarray of int64, shape (N,)
        Both images.
    """

    earlier: NDArray[np.int64]
    later: NDArray[np.int64]
    both: NDArray[np.int64]

    @classmethod
    def of(
        cls, start: NDArray[np.float64], end: NDArray[np.float64], mission: NDArray[np.int64]
    ) -> SharedImages:
        """Give numbers to the images of a pixel; two are one if mission and minute are the same.

        Parameters
        ----------
        start, end : ndarray, shape (N,)
            Spans [days since 1970-01-01].
        mission : ndarray of int64, shape (N,)
        """
        begin, finish = (np.round(t * _MINUTES_PER_DAY).astype(np.int64) for t in (start, end))

        def number(key: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
            """Give numbers to couples of two keys, the other from 0 on: one sort of whole numbers."""
            both = key * (int(other.max(initial=0)) + 1) + other
            return np.unique(both, return_inverse=True)[1].reshape(-1).astype(np.int64)

        earlier, later = number(begin, mission), number(finish, mission)
        return cls(earlier, later, number(earlier, later))

    def together(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum weights of pairs of the same dates, shape (N,)."""
        return np.asarray(np.bincount(self.both, weights)[self.both])

    def credit(
        self,
        residuals: NDArray[np.float64],
        variance: NDArray[np.float64],
        noise: NDArray[np.float64],
        u: NDArray[np.float64],
        *,
        images: bool,
    ) -> NDArray[np.float64]:
        """Give the credit of every pair, from what residuals say of the correlations.

        Parameters
        ----------
        residuals : ndarray, shape (c, N)
            Of c components.
        variance : ndarray, shape (N,)
            Of what the model says of the pairs: pairs of the same dates have it in common, by which their
            residuals are less alike than their noise.
        noise : ndarray, shape (N,)
            Scale^2 of the noise.
        u : ndarray, shape (N,)
            Robust weights.
        images : bool
            Also look at pairs that share one image; pairs of the same dates are always looked at.

        Returns
        -------
        ndarray, shape (N,)
            Above 0, at most 1.
        """
        c = len(residuals)
        z = u * residuals / np.sqrt(noise)
        square = float(np.sum(z**2 / u) + c * np.sum(u * variance / noise)) / float(np.sum(u))
        common, couples = _couples(self.both, u, z, variance / noise)
        same = _correlation(common, couples, square)
        # Copies of a pair that is far off are far off together: each counts, whatever it is worth.
        others = same * (self.together(np.ones(len(u))) - 1.0)
        if images:
            pair_sums = np.array([_couples(g, u, z) for g in (self.earlier, self.later)]).sum(axis=0)
            alone, twice = _couples(self.both, u, z)
            one = _correlation(pair_sums[0] - 2 * alone, pair_sums[1] - 2 * twice, square)
            members = sum(np.bincount(g, u)[g] for g in (self.earlier, self.later))
            others = others + one * (members - 2 * np.bincount(self.both, u)[self.both])
        return np.asarray(1.0 / (1.0 + np.maximum(others, 0.0)))


def _couples(
    group: NDArray[np.int64],
    u: NDArray[np.float64],
    z: NDArray[np.float64],
    shared: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """Give the sum of products over all couples of all groups, and that of their weights.

    `shared` is added to the product of every couple and component.
    """
    weight = float(np.sum(np.bincount(group, u) ** 2) - np.sum(u**2))
    product = float(sum(np.sum(np.bincount(group, row) ** 2) for row in z) - np.sum(z**2))
    if shared is not None:
        within = np.bincount(group, u * shared) * np.bincount(group, u)
        product += len(z) * float(np.sum(within) - np.sum(u**2 * shared))
    return product, weight


def _correlation(product: float, couples: float, square: float) -> float:
    """Give a correlation less one standard error, between 0 and 1."""
    if not (couples > 1.0 and square > 0.0):
        return 0.0
    return float(np.clip(product / couples / square - 1.0 / np.sqrt(couples), 0.0, 1.0))
