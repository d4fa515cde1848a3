"""Image pairs of a known truth, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core import ImagePairs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["image_noise", "network", "simulate"]


def network(
    rng: np.random.Generator,
    n: int = 400,
    *,
    first: float = 17_000.0,
    length: float = 1500.0,
    longest: float = 400.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw spans like those of ITS_LIVE: whole repeat cycles and fractions of a day, half of them long."""
    start = first + rng.uniform(0, length - 6, n)
    span = np.exp(rng.uniform(np.log(5.0), np.log(longest), n))
    return start, np.minimum(start + span, first + length)


def simulate(
    truth: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    end: np.ndarray,
    *,
    noise: Callable[[np.ndarray], np.ndarray] | float = 0.0,
    rng: np.random.Generator | None = None,
    ratio: float = 0.5,
    mission: np.ndarray | None = None,
    **place: object,
) -> ImagePairs:
    """Average a truth over spans by fine quadrature, and add noise.

    Parameters
    ----------
    truth : callable
        vx(t) [m/yr] of days since 1970; vy is ``ratio`` times it.
    noise : callable or float
        Standard deviation of each component as a function of the span, or a constant [m/yr].
    """
    nodes, weights = np.polynomial.legendre.leggauss(64)
    times = 0.5 * (start + end)[:, None] + 0.5 * (end - start)[:, None] * nodes
    mean = truth(times) @ weights / 2
    sigma = noise(end - start) if callable(noise) else np.full(len(start), noise)
    rng = np.random.default_rng(0) if rng is None else rng
    vx = mean + sigma * rng.normal(size=len(start))
    vy = ratio * mean + sigma * rng.normal(size=len(start))
    error = np.maximum(sigma, 1.0)
    return ImagePairs.from_arrays(
        start, end, vx, vy, vx_error=error, vy_error=error, mission=mission, **place
    )


def image_noise(
    rng: np.random.Generator, rho: float, first: np.ndarray, second: np.ndarray, images: int
) -> np.ndarray:
    """Draw noise of variance 1, shape (2, n), of which each image of a pair brings the share rho."""
    effect = np.sqrt(rho) * rng.normal(size=(2, images))
    return effect[:, first] + effect[:, second] + np.sqrt(1 - 2 * rho) * rng.normal(size=(2, len(first)))
