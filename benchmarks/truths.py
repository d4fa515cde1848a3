"""Simulated truths on real acquisitions: what the estimates are held against.

A truth is a speed along a fixed direction, given as a function of time and averaged over spans and cells by
fine quadrature, so that no grid is favoured. The acquisitions (dates, missions) are those of the pixel with
the most pairs of a cube. Noise has the standard deviation (250 / span + 2) m/yr per component, times a factor
of the mission that the formal errors do not know, and 5 % of the pairs are far off.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import itslive_core as itslive

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

YEAR = 365.25
FAMILIES = ("mixed", "seasonal", "surging", "quiet", "accelerating")
"""Shapes of truth. Mixed: trend, sharp drifting season and a surge."""
OTHER_SHAPES = (
    "step", "stop", "double surge", "sawtooth", "slow-down", "two harmonics", "brief events", "wandering",
    "slow",
)  # fmt: skip
"""Shapes that nothing was tuned on; see `other_speed`."""
MISSION_SCALES = {"S1": 2.0, "S2": 1.0, "L8_9": 1.4, "L7": 2.5, "L4_5": 2.0, "other": 1.0}
"""Noise over formal error."""
DIRECTION = np.array([np.cos(0.6), np.sin(0.6)])

_STEP = 0.25
"""Step of the quadrature [days]."""


@dataclass(frozen=True)
class Acquisitions:
    """Dates and missions of n image pairs: start and end [days since 1970-01-01], mission."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    mission: NDArray[np.str_]

    def between(self, first: float, last: float) -> Acquisitions:
        """Keep the pairs inside some years, given as 2013.0."""
        a, b = (first - 1970) * YEAR, (last - 1970) * YEAR
        return self.take((self.start >= a) & (self.end < b))

    def take(self, keep: NDArray[np.bool_]) -> Acquisitions:
        """Keep some of the pairs."""
        return Acquisitions(self.start[keep], self.end[keep], self.mission[keep])


@dataclass(frozen=True)
class Simulation:
    """Pairs of a known truth.

    Parameters
    ----------
    pairs : ImagePairs
    time, displacement : ndarray
        Times [days since 1970-01-01] and the truth's running integral along the flow [m/yr days].
    direction : ndarray, shape (2,)
        Of the flow.
    """

    pairs: itslive.ImagePairs
    time: NDArray[np.float64]
    displacement: NDArray[np.float64]
    direction: NDArray[np.float64] = field(default_factory=lambda: DIRECTION)

    def mean(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the true mean speed along the flow over spans [m/yr]."""
        d = np.interp(end, self.time, self.displacement) - np.interp(start, self.time, self.displacement)
        return d / (end - start)


def busiest(cube: itslive.Datacube) -> itslive.ImagePairs:
    """Give the pairs of the pixel that has most."""
    best = (0, 0, 0)
    for block in cube.blocks():
        pixels = cube.read_block(block)
        n = np.diff(pixels.offsets)
        k = int(np.argmax(n))
        row, col = divmod(k, block.shape[1])
        best = max(best, (int(n[k]), block.row0 + row, block.col0 + col))
    place = cube.pixel(best[1], best[2])
    return cube.pairs_at(x=place.x, y=place.y)


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def speed(family: str, rng: np.random.Generator) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Draw a truth: speed along the flow [m/yr] as a function of the year."""
    base = rng.uniform(400, 1500)
    slope = rng.normal(0, 8)
    phase = rng.uniform(0, 1)
    drift = rng.normal(0, 0.01)
    width = rng.uniform(0.06, 0.09)
    size = rng.uniform(0.2, 0.35) * base
    by_year = np.exp(rng.normal(0, 0.3, 60))
    onset = rng.uniform(2015, 2021)
    surge = rng.uniform(0.4, 0.8) * base
    rise, length = rng.uniform(0.1, 0.3), rng.uniform(0.8, 1.8)

    def season(t: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros_like(t)
        for year in range(1980, 2030):
            centre = year + phase + drift * (year - 2015)
            total += by_year[year - 1980] * np.exp(-0.5 * ((t - centre) / width) ** 2)
        return size * total

    def gentle(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * size * np.sin(2 * np.pi * (t - phase))

    def surging(t: NDArray[np.float64]) -> NDArray[np.float64]:
        since = (t - onset) / (0.2 * rise)
        return surge * _logistic(since) * _logistic(length / (0.2 * rise) - since)

    def accelerating(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.6 * base / (1 + np.exp(-(t - onset) / 1.5))

    parts = {
        "mixed": (season, surging),
        "seasonal": (gentle,),
        "surging": (surging,),
        "quiet": (),
        "accelerating": (accelerating, gentle),
    }[family]
    if family == "quiet":
        base, slope = rng.uniform(20, 80), rng.normal(0, 0.3)

    def truth(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return base + slope * (t - 2015) + sum((part(t) for part in parts), np.zeros_like(t))

    return truth


def other_speed(shape: str, rng: np.random.Generator) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Draw a truth of one of `OTHER_SHAPES`: speed along the flow [m/yr] as a function of the year.

    Parameters
    ----------
    shape : str
        ``step``: faster by 30 to 80 % within a day, and for good. ``stop``: a surge that builds up over a
        year and ends within five days. ``double surge``: two, of other sizes. ``sawtooth``: every year a rise
        over nine months and a fall over three. ``slow-down``: every year a dip of a month and a half. ``two
        harmonics``: a year and half a year. ``brief events``: two speed-ups of ten days a year, at random.
        ``wandering``: a random walk with a memory of half a year. ``slow``: 20 to 80 m/yr, and 40 % more for
        some weeks of every spring.
    rng : numpy.random.Generator
    """
    base = rng.uniform(300, 1500)
    phase = rng.uniform(0, 1)
    onset = rng.uniform(2015, 2021)
    gain = rng.uniform(0.3, 0.8) * base
    by_year = np.exp(rng.normal(0, 0.3, 60))
    dates = rng.uniform(1985, 2025, 80)
    knots = np.arange(1980, 2030, 5 / YEAR)
    walk = np.zeros(len(knots))
    if shape == "slow":
        base = rng.uniform(20, 80)
    memory = np.exp(-5 / YEAR / 0.5)
    for k, kick in enumerate(rng.normal(0, np.sqrt(1 - memory**2), len(knots) - 1)):
        walk[k + 1] = memory * walk[k] + kick

    def seasonal(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return by_year[np.floor(t - phase).astype(int) - 1980]

    def part(t: NDArray[np.float64]) -> NDArray[np.float64]:
        x = (t - phase) % 1.0
        if shape == "step":
            return gain * (t > onset) + 0.08 * base * np.sin(2 * np.pi * x)
        if shape == "stop":
            return gain * _logistic((t - onset) / 0.25) * _logistic(-(t - onset - 1.5) * YEAR / 2)
        if shape == "double surge":
            both = ((onset, 1.0), (onset + 2.2, 0.6))
            return gain * sum((h * np.exp(-0.5 * ((t - c) / 0.25) ** 2) for c, h in both), np.zeros_like(t))
        if shape == "sawtooth":
            return 0.25 * base * seasonal(t) * np.where(x < 0.75, x / 0.75, (1 - x) / 0.25)
        if shape == "slow-down":
            return -0.3 * base * seasonal(t) / 1.3 * np.exp(-0.5 * ((x - 0.5) / 0.05) ** 2)
        if shape == "two harmonics":
            return base * (0.15 * np.sin(2 * np.pi * x) + 0.1 * np.sin(4 * np.pi * x + 1.0))
        if shape == "brief events":
            return 0.4 * base * np.exp(-0.5 * ((t[:, None] - dates) * YEAR / 5) ** 2).sum(axis=1)
        if shape == "wandering":
            return 0.15 * base * np.interp(t, knots, walk)
        if shape == "slow":
            return 0.4 * base * seasonal(t) * np.exp(-0.5 * ((x - 0.5) / 0.075) ** 2)
        raise ValueError(f"no shape {shape!r}: choose from {', '.join(OTHER_SHAPES)}")

    return lambda t: base + part(t)


def simulate(at: Acquisitions, family: str, seed: int, **options: Any) -> Simulation:
    """Observe a truth of `FAMILIES` or `OTHER_SHAPES`.

    Parameters
    ----------
    at : Acquisitions
    family : str
    seed : int
    **options
        As for `observe`.
    """
    names = FAMILIES + OTHER_SHAPES
    rng = np.random.default_rng([seed, names.index(family)])
    truth = (speed if family in FAMILIES else other_speed)(family, rng)
    return observe(at, truth, rng, **options)


def observe(
    at: Acquisitions,
    truth: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    outliers: float = 0.05,
    locked: float = 0.0,
    offsets: dict[str, float] | None = None,
    shared: float = 0.0,
    formal: str = "shape",
    direction: NDArray[np.float64] = DIRECTION,
    heavy: float | None = None,
) -> Simulation:
    """Observe a truth.

    Parameters
    ----------
    at : Acquisitions
    truth : callable
        Speed along the flow [m/yr] as a function of the year.
    rng : numpy.random.Generator
    outliers : float
        Share of pairs that are far off.
    locked : float
        Share of the pairs longer than 64 days that read 4 % of the speed.
    offsets : dict, optional
        Added along the flow, by mission, as a share of the mean speed.
    shared : float
        Correlation of the noise of two pairs that share an image.
    formal : {"shape", "flat"}
        Formal errors follow the noise without the factor of the mission, or tell nothing.
    direction : ndarray, shape (2,)
        Of the flow, of length 1.
    heavy : float, optional
        Draw the noise from a Student t with this many degrees of freedom, of the same variance.
    """
    time = np.arange(at.start.min() - 40, at.end.max() + 40, _STEP)
    values = truth(1970 + (time[:-1] + _STEP / 2) / YEAR)
    simulation = Simulation(None, time, np.concatenate(([0.0], np.cumsum(values) * _STEP)))  # type: ignore[arg-type]
    along = simulation.mean(at.start, at.end)
    span = at.end - at.start
    typical = float(np.median(values))
    for name, share in (offsets or {}).items():
        along[at.mission == name] += share * typical
    stuck = (span > 64) & (rng.random(len(span)) < locked)
    along[stuck] *= 0.04
    formal_error = 250 / span + 2
    sigma = formal_error * np.array([MISSION_SCALES[m] for m in at.mission])
    noise = rng.normal(size=(2, len(span)))
    if heavy is not None:
        noise *= np.sqrt((heavy - 2) / rng.chisquare(heavy, len(span)))
    if shared > 0:
        for dates in (at.start, at.end):
            _, image = np.unique(dates, return_inverse=True)
            noise += np.sqrt(shared / (1 - 2 * shared)) * rng.normal(size=(2, image.max() + 1))[:, image]
        noise *= np.sqrt(1 - 2 * shared)
    v = along * direction[:, None] + sigma * noise
    wild = rng.random(len(span)) < outliers
    v[:, wild] += rng.normal(size=(2, int(wild.sum()))) * rng.uniform(5, 60, int(wild.sum())) * sigma[wild]
    error = formal_error if formal == "shape" else np.full(len(span), 10.0)
    pairs = itslive.ImagePairs.from_arrays(
        at.start, at.end, *v, vx_error=error, vy_error=error, mission=at.mission
    )
    return replace(simulation, pairs=pairs, direction=direction)
