"""Season, mean and trend against simulated truths on real acquisitions: whether intervals hold what they say.

The truth is a background and a sinusoid. What is estimated of it is known exactly: mean and slope of the
background over the months that the pairs cover, and the amplitude. Missions are offset from the reference
mission, whose level counts as the truth: no pair can tell which of them is right. Noise of pairs that share
an image is correlated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from truths import YEAR, Acquisitions, observe

import itslive_core as itslive
from benchmarks.validation.page import Table
from itslive_core.support.band_level import BAND_REACH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["KINDS", "Held", "season_scores", "season_table"]

OFFSETS = {"S1": -0.03, "L8_9": 0.01, "L7": -0.02, "L4_5": 0.015}
"""Added along the flow, as shares of the speed; Sentinel-2 has none."""
_EPOCH = 10_957.0  # 1 January 2000 [days since 1970-01-01]


@dataclass(frozen=True)
class Kind:
    """One kind of truth.

    Parameters
    ----------
    trend : float
        Standard deviation of the slope between truths, as a share of the speed in ten years.
    amplitude : float
        Of the season, as a share of the speed.
    first, last : float
        Years of the pairs.
    pairs : int, optional
        Number of pairs drawn; all by default.
    change : float
        Standard deviation of the logarithm of the amplitude between years; that of an average year is asked.
    wander : float
        Standard deviation of what the background changes from year to year, as a share of the speed.
    bend : float
        Speed-up by this share of the speed, around 2018.
    offsets : float
        Factor of `OFFSETS`.
    shared : float
        Correlation of the noise of two pairs that share an image.
    """

    trend: float = 0.0
    amplitude: float = 0.0
    first: float = 2013.0
    last: float = 2030.0
    pairs: int | None = None
    change: float = 0.0
    wander: float = 0.0
    bend: float = 0.0
    offsets: float = 1.0
    shared: float = 0.1


KINDS = {
    "steady, no offsets, independent noise": Kind(offsets=0.0, shared=0.0),
    "steady": Kind(),
    "steady, 1985 on": Kind(first=1980.0),
    "trend": Kind(trend=0.1),
    "season": Kind(amplitude=0.1),
    "season, trend, 1985 on": Kind(amplitude=0.1, trend=0.05, first=1980.0),
    "trend before 2013": Kind(trend=0.1, first=1980.0, last=2013.0),
    "season that differs between years": Kind(amplitude=0.1, change=0.3),
    "season on a wandering background": Kind(amplitude=0.1, wander=0.03),
    "accelerating": Kind(amplitude=0.05, bend=0.4),
    "300 pairs": Kind(trend=0.1, amplitude=0.1, pairs=300),
    "80 pairs": Kind(trend=0.1, amplitude=0.2, pairs=80),
}
"""What is tried."""


@dataclass(frozen=True)
class Held:
    """Errors of one estimate in standard deviations, by what is estimated; NaN where there is none."""

    trend: float
    mean: float
    amplitude: float
    trend_std: float
    mean_std: float
    amplitude_std: float


def season_scores(pixels: Sequence[Acquisitions], kind: Kind, seeds: Iterable[int]) -> list[Held]:
    """Fit truths of one kind.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Dates and missions, taken in turn.
    kind : Kind
    seeds : iterable of int
    """
    return [_try(pixels[seed % len(pixels)], kind, seed) for seed in seeds]


def season_table(pixels: Sequence[Acquisitions], seeds: int = 24, kinds: Iterable[str] = KINDS) -> Table:
    """Say how often the 95 % intervals of trend, mean and amplitude hold the truth, and how wide they are.

    Parameters
    ----------
    pixels : sequence of Acquisitions
    seeds : int
        Truths of each kind.
    kinds : iterable of str
        Of `KINDS`.
    """
    rows = []
    for name in kinds:
        found = season_scores(pixels, KINDS[name], range(seeds))
        rows.append(
            (name, *(text for what in ("trend", "mean", "amplitude") for text in _words(found, what)))
        )
    header = (
        "truth", "trend held", "median std [m/yr2]", "mean held", "median std [m/yr]", "amplitude held",
        "median std [m/yr]",
    )  # fmt: skip
    return Table(header, rows)


def _words(found: Sequence[Held], what: str) -> tuple[str, str]:
    errors, std = (np.array([getattr(h, name) for h in found]) for name in (what, f"{what}_std"))
    known = np.isfinite(errors)
    if not known.any():
        return "", ""
    return f"{np.mean(np.abs(errors[known]) < BAND_REACH):.2f}", f"{np.median(std[known]):.3g}"


def _try(at: Acquisitions, kind: Kind, seed: int) -> Held:
    rng = np.random.default_rng([seed, 77])
    at = at.between(kind.first, kind.last)
    if kind.pairs is not None and kind.pairs < len(at.start):
        drawn = np.zeros(len(at.start), dtype=bool)
        drawn[rng.choice(len(drawn), kind.pairs, replace=False)] = True
        at = at.take(drawn)
    offsets = {m: kind.offsets * share for m, share in OFFSETS.items()}
    base = float(np.exp(rng.uniform(np.log(60.0), np.log(1500.0))))
    background, amplitude = _background(kind, base, rng), kind.amplitude * base
    top = rng.uniform(0.0, 1.0)
    by_year = np.exp(kind.change * rng.normal(size=60) - 0.5 * kind.change**2)
    # Day 0 of a season is 1 January: years are counted from the epoch of 2000, as the estimate does.
    shift = 2000.0 - (1970.0 + _EPOCH / YEAR)

    def truth(t: NDArray[np.float64]) -> NDArray[np.float64]:
        year = t + shift
        own = by_year[np.floor(year - top + 0.25).astype(int) - 1975]
        season: NDArray[np.float64] = amplitude * own * np.cos(2.0 * np.pi * (year - top))
        return background(year) + season

    simulation = observe(at, truth, rng, offsets=offsets, shared=kind.shared)
    ds = itslive.fit_season(simulation.pairs)
    months = _covered(at)
    level = background(months)
    slope = float(np.polyfit(months - months.mean(), level, 1)[0])
    # The level is that of the reference mission, which is chosen among the pairs that filters leave.
    typical = float(np.median(np.diff(simulation.displacement) / np.diff(simulation.time)))
    of_reference = offsets.get(ds.attrs["reference_mission"], 0.0) * typical
    expected = {"trend": slope, "mean": float(level.mean()) + of_reference, "amplitude": amplitude}
    names = {"trend": "trend", "mean": "mean_speed", "amplitude": "season_amplitude"}
    std = {what: float(ds[f"{name}_std"]) for what, name in names.items()}
    error = {what: (float(ds[name]) - expected[what]) / std[what] for what, name in names.items()}
    if amplitude == 0.0:  # an amplitude is never below 0: no symmetric interval around it can hold that
        error["amplitude"] = np.nan
    return Held(**error, **{f"{what}_std": value for what, value in std.items()})


def _background(
    kind: Kind, base: float, rng: np.random.Generator
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    slope = kind.trend * base / 10.0 * rng.normal()
    knots = np.arange(1980.0, 2031.0)
    walk = kind.wander * base * np.cumsum(rng.normal(size=len(knots)))
    walk -= walk[35]

    def background(year: NDArray[np.float64]) -> NDArray[np.float64]:
        bent = kind.bend * base / (1.0 + np.exp(-(year - 2018.0) / 1.5))
        total: NDArray[np.float64] = base + slope * (year - 2015.0) + np.interp(year, knots, walk) + bent
        return total

    return background


def _covered(at: Acquisitions) -> NDArray[np.float64]:
    """Give the middles of the months, twelfths of a year, that pairs cover [years]."""
    a, b = (np.asarray((x - _EPOCH) / YEAR * 12.0) for x in (at.start, at.end))
    low, high = np.floor(a).astype(int), np.maximum(np.ceil(b), np.floor(a) + 1).astype(int)
    count = np.zeros(high.max() - low.min() + 1, dtype=int)
    np.add.at(count, low - low.min(), 1)
    np.add.at(count, high - low.min(), -1)
    months = low.min() + np.flatnonzero(np.cumsum(count) > 0)
    middles: NDArray[np.float64] = 2000.0 + (months + 0.5) / 12.0
    return middles
