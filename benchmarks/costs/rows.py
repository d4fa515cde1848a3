"""The synthetic rows of TemporalDisaggregations.jl's own benchmark, with noise."""

from __future__ import annotations

import numpy as np

import itslive_core as itslive

__all__ = ["ERROR", "INTERVAL", "YEAR", "YEARS", "synthetic_pairs"]

YEAR = 365.25
YEARS = 20
INTERVAL = 7.0
"""Length of a cell [days]: its benchmark asks for a value a week."""
ERROR = 2.0
"""Standard deviation of the noise [m/yr]: that which its Gaussian process is told."""

_END = 18_262
"""2020-01-01 [days since 1970-01-01]."""
_SEED = 42


def synthetic_pairs(n: int, years: float = YEARS) -> itslive.ImagePairs:
    """Draw image pairs as its benchmark does.

    Middles are whole days, uniform over the years before 2020, half-lengths 1 to 30 days, velocities those of
    a sine and a trend at the mid-date. Its rows have no noise, so that at a million most of them are copies
    of others, which would count once here; ours have it. The other component is the first one halved and
    turned round.

    Parameters
    ----------
    n : int
        Number of pairs.
    years : float
        Length of the record.
    """
    rng = np.random.default_rng(_SEED)
    days = round(years * YEAR)
    first = _END - days
    middle = first + rng.integers(0, days, n)
    half = rng.integers(1, 31, n)
    start, end = np.maximum(middle - half, first), np.minimum(middle + half, _END)
    t = (0.5 * (start + end) - first) / YEAR
    along = 10.0 * np.sin(2.0 * np.pi * t) + 3.0 * t
    vx, vy = along + ERROR * rng.standard_normal(n), -0.5 * along + ERROR * rng.standard_normal(n)
    error = np.full(n, ERROR)
    return itslive.ImagePairs.from_arrays(
        start.astype(float), end.astype(float), vx, vy, vx_error=error, vy_error=error
    )
