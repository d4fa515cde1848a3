"""Acquisitions like those of a busy pixel, truths that glaciers are capable of, and pairs that locked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core import ImagePairs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Case", "acquire", "lock", "observe", "winter"]

YEAR = 365.25
_SPANS = (5.0, 16.0, 32.0, 64.0, 128.0, 256.0, 400.0, 545.0)
# Pairs of a busy pixel at 29 degrees north in each span class, and the years they are from.
_PAIRS = {
    "L4_5": ((27, 59, 114, 118, 130, 380, 181), (1987.0, 2011.4), 16.0),
    "L7": ((59, 70, 99, 75, 76, 299, 106), (1999.6, 2019.0), 16.0),
    "L8_9": ((55, 57, 90, 149, 206, 419, 264), (2013.5, 2024.8), 8.0),
    "S1": ((203, 0, 0, 0, 0, 0, 0), (2014.8, 2023.0), 12.0),
    "S2": ((156, 162, 261, 458, 755, 1145, 860), (2016.3, 2024.8), 5.0),
}
# Noise of a pair [m/yr]: this over its span [days], and a floor.
_NOISE = {
    "S1": (500.0, 2.0),
    "S2": (250.0, 1.0),
    "L4_5": (2200.0, 4.0),
    "L7": (700.0, 2.0),
    "L8_9": (300.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Case:
    """Pairs of a known truth.

    Parameters
    ----------
    pairs : ImagePairs
    truth : ndarray, shape (n,)
        Mean of vx over each span [m/yr].
    outlier, locked : ndarray of bool, shape (n,)
        Pairs that are wild, and pairs that read what does not move.
    """

    pairs: ImagePairs
    truth: np.ndarray
    outlier: np.ndarray
    locked: np.ndarray

    def rejected(self, keep: np.ndarray) -> tuple[float, float]:
        """Shares of the honest pairs and of the locked ones that a filter rejects."""
        honest = ~self.locked & ~self.outlier
        return float((~keep[honest]).mean()), float((~keep[self.locked]).mean()) if self.locked.any() else 0.0


def acquire(rng: np.random.Generator, share: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw starts and ends [days since 1970-01-01] and missions; about 6,700 times ``share``."""
    starts, ends, missions = [], [], []
    for mission, (counts, years, cycle) in _PAIRS.items():
        n = np.rint(share * np.array(counts)).astype(int)
        low, high = np.repeat(_SPANS[:-1], n), np.repeat(_SPANS[1:], n)
        span = np.maximum(1.0, np.rint(rng.uniform(low, high) / cycle)) * cycle
        first, last = (np.array(years) - 1970.0) * YEAR
        start = rng.uniform(first, np.maximum(last - span, first + 1.0))
        starts.append(start)
        ends.append(start + span + rng.normal(0.0, 1e-4, len(span)))
        missions.append(np.full(len(span), mission))
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(missions)


def winter(day: np.ndarray) -> np.ndarray:
    """Whether a day is in November to February."""
    of_year = (day % YEAR) / YEAR
    return (of_year > 10 / 12) | (of_year < 2 / 12)


def observe(
    seed: int,
    truth: Callable[[np.ndarray], np.ndarray],
    *,
    share: float = 0.5,
    keep: Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray] | None = None,
    offsets: dict[str, float] | None = None,
    noise: float = 1.0,
) -> Case:
    """Observe vx = truth(t) [m/yr] and vy = half of it, with noise and five per cent of wild pairs.

    Parameters
    ----------
    seed : int
    truth : callable
        Of days since 1970-01-01.
    share : float
        Of the pairs of the busy pixel.
    keep : callable, optional
        Which (start, end, mission) to keep.
    offsets : dict, optional
        By which share each mission reads too much.
    noise : float
        Factor on the noise.
    """
    rng = np.random.default_rng([seed, 20])
    start, end, mission = acquire(rng, share)
    if keep is not None:
        some = keep(start, end, mission, rng)
        start, end, mission = start[some], end[some], mission[some]
    n = len(start)
    nodes, weights = np.polynomial.legendre.leggauss(48)
    times = 0.5 * (start + end)[:, None] + 0.5 * (end - start)[:, None] * nodes
    mean = truth(times) @ weights / 2
    length, floor = np.array([_NOISE[name] for name in mission]).T
    sigma = np.hypot(np.hypot(length / (end - start), floor) * noise, 0.015 * mean)
    sigma *= np.exp(0.3 * rng.normal(size=n))
    factor = np.array([1.0 + (offsets or {}).get(name, 0.0) for name in mission])
    outlier = rng.random(n) < 0.05
    values = []
    for ratio in (1.0, 0.5):
        wild = (6.0 * sigma + 0.3 * mean) * rng.standard_t(2, n).clip(-12, 12)
        values.append(ratio * mean * factor + sigma * rng.normal(size=n) + outlier * wild)
    pairs = ImagePairs.from_arrays(
        start, end, *values, vx_error=0.7 * sigma, vy_error=0.7 * sigma, mission=mission
    )
    return Case(pairs, mean, outlier, np.zeros(n, dtype=bool))


def lock(case: Case, seed: int, which: np.ndarray, low: float, high: float | None = None) -> Case:
    """Make some pairs read a share of the truth, drawn between two limits, with tiny formal errors."""
    rng = np.random.default_rng([seed, 21])
    n = len(which)
    read = rng.uniform(low, low if high is None else high, n) * case.truth
    spread = min(15.0, 0.06 * float(np.median(case.truth)) + 1.0)
    vx, vy = (ratio * read + spread * rng.normal(size=n) for ratio in (1.0, 0.5))
    error = np.where(which, 2.0, case.pairs.vx_error)
    pairs = replace(
        case.pairs,
        vx=np.where(which, vx, case.pairs.vx),
        vy=np.where(which, vy, case.pairs.vy),
        vx_error=error,
        vy_error=error,
    )
    return Case(pairs, case.truth, case.outlier & ~which, which)
