"""Thirty kinds of truth on the acquisitions of real pixels: what the estimates are held against as a whole.

The first are those of `truths`; the others add what real records bring: few pairs, annual pairs only, polar
night, a surge that begins where there are no images, slow ice, early decades, short pulses, locked pairs and
offsets, correlated and heavy-tailed noise. Nothing of the estimates is needed here, so that those of an
earlier version can be measured too, see `benchmarks.validation.before`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from truths import FAMILIES, OTHER_SHAPES, YEAR, Acquisitions, Simulation, observe, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Speed = Callable[[NDArray[np.float64]], NDArray[np.float64]]

__all__ = ["KINDS", "draw", "fraction_of_year", "gaussian_season", "simulate_kind", "steep"]

_DENSE = (2013.0, 2030.0)
_OFFSETS = {"S1": -0.08, "L8_9": 0.02, "L7": -0.03}
_SMALL_OFFSETS = {"S1": -0.03, "L8_9": 0.01}


def draw(at: Acquisitions, rng: np.random.Generator, number: int) -> Acquisitions:
    """Draw some pairs at random."""
    kept = np.zeros(len(at.start), dtype=bool)
    kept[rng.choice(len(kept), min(number, len(kept)), replace=False)] = True
    return at.take(kept)


def fraction_of_year(day: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the time of the year, 0 to 1, of days since 1970-01-01."""
    return (day / YEAR) % 1.0


def steep(t: NDArray[np.float64], onset: float, width: float) -> NDArray[np.float64]:
    """Rise from 0 to 1 around an onset [years]."""
    rise: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip((t - onset) / width, -50.0, 50.0)))
    return rise


def gaussian_season(rng: np.random.Generator, base: float, amplitude: float) -> Speed:
    """Draw a yearly rise whose size differs between years."""
    phase = rng.uniform(0, 1)
    by_year = np.exp(rng.normal(0, 0.2, 60))
    width = rng.uniform(0.07, 0.15)

    def speed(t: NDArray[np.float64]) -> NDArray[np.float64]:
        own = by_year[np.clip(np.floor(t - phase).astype(int) - 1980, 0, 59)]
        shape = np.exp(-0.5 * (((t - phase) % 1.0 - 0.5) / width) ** 2)
        return base + amplitude * base * own * shape

    return speed


def _observe(at: Acquisitions, speed: Speed, rng: np.random.Generator, **options: float | dict) -> Simulation:
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    return observe(at, speed, rng, **{"shared": 0.05, "direction": direction, **options})  # type: ignore[arg-type]


def _few_seasonal(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    few = draw(at.between(*_DENSE), rng, int(rng.uniform(60, 250)))
    return _observe(few, gaussian_season(rng, rng.uniform(100, 1000), 0.3), rng)


def _annual(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    dense = at.between(*_DENSE)
    long = dense.take(dense.end - dense.start > 300)
    return _observe(long, gaussian_season(rng, rng.uniform(100, 1000), 0.3), rng)


def _polar_night(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    dense = at.between(*_DENSE)
    light = dense.end - dense.start < 200
    for day in (dense.start, dense.end):
        part = fraction_of_year(day)
        light &= (part > 0.15) & (part < 0.82)
    return _observe(dense.take(light), gaussian_season(rng, rng.uniform(200, 1000), 0.3), rng)


def _gap_surge(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    dense = at.between(*_DENSE)
    gap = rng.uniform(2016, 2021)
    first, last = (gap - 1970) * YEAR, (gap + 0.5 - 1970) * YEAR
    seen = dense.take((dense.end < first) | (dense.start > last))
    base = rng.uniform(100, 600)
    onset = gap + rng.uniform(0.1, 0.4)
    size = rng.uniform(1, 4) * base

    def speed(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return base + size * steep(t, onset, 0.03) * np.exp(-np.clip(t - onset, 0, None))

    return _observe(seen, speed, rng)


def _slow_season(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    return _observe(at.between(*_DENSE), gaussian_season(rng, rng.uniform(1, 5), 0.3), rng)


def _slow_quiet(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    base = rng.uniform(1, 5)
    return _observe(at.between(*_DENSE), lambda t: np.full_like(t, base), rng)


def _decades_step(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    base = rng.uniform(300, 800)
    onset = rng.uniform(1995, 2004)
    size = rng.uniform(0.3, 0.6) * base
    return _observe(at, lambda t: base + size * steep(t, onset, 0.3), rng, shared=0.0)


def _decades_trend(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    base = rng.uniform(300, 800)
    slope = rng.uniform(-0.012, 0.02) * base
    return _observe(at, lambda t: base + slope * (t - 2005), rng, offsets=_SMALL_OFFSETS)


def _pulses(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    base = rng.uniform(200, 1000)
    dates = rng.uniform(2013, 2025, 14)
    sizes = rng.uniform(0.3, 1, 14) * base

    def speed(t: NDArray[np.float64]) -> NDArray[np.float64]:
        away = (t[:, None] - dates) * YEAR / 8.0  # a standard deviation of 8 days, about 20 at half height
        return base + np.exp(-0.5 * away**2) @ sizes

    return _observe(at.between(*_DENSE), speed, rng)


def _long_seasonal(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    return _observe(at, gaussian_season(rng, rng.uniform(100, 1000), 0.25), rng)


def _early_few(at: Acquisitions, rng: np.random.Generator) -> Simulation:
    early = at.between(1980, 2013)
    return _observe(early, gaussian_season(rng, rng.uniform(100, 800), 0.2), rng)


_OWN: dict[str, Callable[[Acquisitions, np.random.Generator], Simulation]] = {
    "few pairs, seasonal": _few_seasonal,
    "annual pairs only": _annual,
    "polar night": _polar_night,
    "surge begins in a gap": _gap_surge,
    "1-5 m/yr, seasonal": _slow_season,
    "1-5 m/yr, steady": _slow_quiet,
    "step in early decades": _decades_step,
    "trend over decades": _decades_trend,
    "20-day pulses": _pulses,
    "40 years, seasonal": _long_seasonal,
    "before 2013, seasonal": _early_few,
}
_MIXED: dict[str, dict] = {
    "locked and offset": {"locked": 0.4, "offsets": _OFFSETS},
    "correlated noise": {"shared": 0.15},
    "heavy-tailed noise": {"heavy": 4.0},
    "40 years, mixed": {},
    "few pairs, mixed": {},
}

KINDS = FAMILIES + OTHER_SHAPES + tuple(_OWN) + tuple(_MIXED)
"""All kinds of truth."""


def simulate_kind(pixels: Sequence[Acquisitions], kind: str, seed: int) -> Simulation:
    """Observe a truth of a kind.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Dates and missions, taken in turn.
    kind : str
        One of `KINDS`.
    seed : int
    """
    at = pixels[seed % len(pixels)]
    if kind in FAMILIES + OTHER_SHAPES:
        return simulate(at.between(*_DENSE), kind, 100 + seed)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind in _OWN:
        return _OWN[kind](at, rng)
    if kind == "few pairs, mixed":
        at = draw(at.between(*_DENSE), rng, int(rng.uniform(60, 250)))
    elif kind != "40 years, mixed":
        at = at.between(*_DENSE)
    return simulate(at, "mixed", 200 + seed, **_MIXED[kind])
