"""The prior of the arrowhead model in numbers: roughness, amplitudes and transitions of the slow states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Latent"]


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
        Standard deviation of the shared noise of a cell.
    """

    roughness: float
    decay: tuple[float, float]
    amplitudes: NDArray[np.float64]
    transition: NDArray[np.float64]
    precision: NDArray[np.float64]
    log_noise: float
    shared: float

    @property
    def variance_ratio(self) -> float:
        """Variance of the noise of x over that of x."""
        a, b = self.decay
        return float(np.expm1(-2 * a) * np.expm1(-2 * b) * -np.expm1(-a - b) / (1 + np.exp(-a - b)))

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """Factors of the sums of `Moments.forms` that make up x'Q x, shape (6,).

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
