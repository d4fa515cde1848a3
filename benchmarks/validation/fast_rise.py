"""A rise of two or three months in winter that only two or three short pairs saw, and outliers around it.

All pairs that overlap the winter are taken out but a few long ones; two or three pairs of 16 to 23 days, of
one mission, stand in it. These are honest; of the others some are far off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from truths import MISSION_SCALES, YEAR, Acquisitions, Simulation, observe

import itslive_core as itslive
from benchmarks.validation.kinds import steep
from benchmarks.validation.page import Table
from benchmarks.validation.scores import along, edges_of, geometric_mean, per_cent, score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Rise", "Seen", "judge_rise", "rise_table", "simulate_rise"]

SHARES = (0.0, 0.05, 0.1, 0.2)
"""Gross outliers."""
FORMS = ("gradual", "sudden")
"""A bump whose width at half height is 60 to 90 days; a plateau of that length, with steep sides."""
_LONG = 100.0
_MISSIONS = ("L8_9", "S1", "S2")


@dataclass(frozen=True, eq=False)
class Rise:
    """A simulated record with a rise.

    Parameters
    ----------
    simulation : Simulation
    start, end : ndarray, shape (k,)
        Of the short pairs that saw it [days since 1970-01-01].
    seen, sigma : ndarray, shape (k,)
        What they read along the flow, and the standard deviation of their noise [m/yr].
    first, last : float
        Of the rise [days since 1970-01-01].
    """

    simulation: Simulation
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    seen: NDArray[np.float64]
    sigma: NDArray[np.float64]
    first: float
    last: float


@dataclass(frozen=True, eq=False)
class Seen:
    """What becomes of a rise: distances of its short pairs in sigmas, RMSE over it and over all [m/yr]."""

    distance: NDArray[np.float64]
    rmse: float
    rmse_all: float


def _dark(at: Acquisitions, first: float, last: float, rng: np.random.Generator) -> Acquisitions:
    """Take out what overlaps a time, but three long pairs."""
    overlap = (at.start < last) & (at.end > first)
    keep = ~overlap
    long = np.flatnonzero(overlap & (at.end - at.start > _LONG))
    keep[rng.permutation(long)[:3]] = True
    return at.take(keep)


def simulate_rise(at: Acquisitions, seed: int, outliers: float, form: str = "gradual") -> Rise:
    """Draw a record; with the same seed only the outliers differ.

    Parameters
    ----------
    at : Acquisitions
        Of a dense record.
    seed : int
    outliers : float
        Share of gross ones among the pairs that did not see the rise.
    form : str
        One of `FORMS`.
    """
    rng = np.random.default_rng([seed, 78])
    middle = (rng.integers(2016, 2024) + rng.uniform(-0.05, 0.1) - 1970) * YEAR
    length = rng.uniform(60.0, 90.0)
    first, last = middle - length / 2, middle + length / 2
    around = rng.uniform(10.0, 60.0, 2)
    others = _dark(at, first - around[0], last + around[1], rng)
    k = int(rng.integers(2, 4))
    span = rng.integers(16, 24, k).astype(float)
    start = np.sort(rng.uniform(first + 5.0, last - 5.0 - span))
    mission = rng.choice(_MISSIONS)
    all_of = Acquisitions(
        np.concatenate([others.start, start]),
        np.concatenate([others.end, start + span]),
        np.concatenate([others.mission, np.full(k, mission)]),
    )
    base, phase = rng.uniform(200.0, 1000.0), rng.uniform()
    gain = rng.uniform(0.5, 2.0) * base

    def speed(t: NDArray[np.float64]) -> NDArray[np.float64]:
        day = (t - 1970.0) * YEAR
        if form == "sudden":
            rise = steep(day, first, 4.0) * (1.0 - steep(day, last, 4.0))
        else:
            rise = 0.5 ** (2.0 * (day - middle) / length) ** 2
        return base * (1.0 + 0.1 * np.sin(2 * np.pi * (t - phase))) + gain * rise

    dirty, clean = (
        observe(all_of, speed, np.random.default_rng([seed, 79]), outliers=x, shared=0.05)
        for x in (outliers, 0.0)
    )
    vx, vy = dirty.pairs.vx.copy(), dirty.pairs.vy.copy()
    vx[-k:], vy[-k:] = clean.pairs.vx[-k:], clean.pairs.vy[-k:]
    simulation = replace(dirty, pairs=replace(dirty.pairs, vx=vx, vy=vy))
    seen = simulation.direction @ np.array([vx[-k:], vy[-k:]])
    sigma = (250.0 / span + 2.0) * MISSION_SCALES[str(mission)]
    return Rise(simulation, start, start + span, seen, sigma, first, last)


def judge_rise(rise: Rise, series: xr.Dataset) -> Seen:
    """Compare a series with the short pairs and with the truth."""
    cells = edges_of(series)
    fitted, _ = along(series, rise.simulation.direction)
    distance = []
    for a, b, seen, sigma in zip(rise.start, rise.end, rise.seen, rise.sigma, strict=True):
        share = np.clip(np.minimum(cells[:, 1], b) - np.maximum(cells[:, 0], a), 0.0, None)
        inside = share > 0
        distance.append(abs(share[inside] @ fitted[inside] / share.sum() - seen) / sigma)
    inside = (cells[:, 0] < rise.last) & (cells[:, 1] > rise.first) & np.isfinite(fitted)
    error = (fitted - rise.simulation.mean(*cells.T))[inside]
    whole = score(series, rise.simulation).rmse
    return Seen(np.array(distance), float(np.sqrt(np.mean(error**2))), whole)


def rise_table(pixels: Sequence[Acquisitions], truths: int = 50) -> Table:
    """Measure the inversion for every share of outliers, and the Gaussian process for one.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Taken in turn.
    truths : int
    """
    dense = [at.between(2013, 2030) for at in pixels]

    def run(fit: Callable[[itslive.ImagePairs], xr.Dataset], form: str, share: float) -> list[Seen]:
        rises = (simulate_rise(dense[seed % len(dense)], seed, share, form) for seed in range(truths))
        return [judge_rise(rise, fit(rise.simulation.pairs)) for rise in rises]

    found = {
        ("inversion", form, share): run(itslive.invert, form, share) for form in FORMS for share in SHARES
    }
    found["Gaussian process", FORMS[0], 0.05] = run(itslive.fit_gaussian_process, FORMS[0], 0.05)
    rows = []
    for (name, form, share), results in found.items():
        clean = found["inversion", form, 0.0]
        distance = np.concatenate([r.distance for r in results])
        costs = (
            [getattr(r, what) / getattr(c, what) for r, c in zip(results, clean, strict=True)]
            for what in ("rmse", "rmse_all")
        )
        rows.append(
            (
                name, form, per_cent(share), str(len(results)), str(len(distance)),
                per_cent(float(np.mean(distance < 3.0)), 1), f"{distance.max():.1f}",
                f"{np.mean([r.rmse for r in results]):.0f}",
                *(f"{geometric_mean(cost):.2f}" for cost in costs),
            )
        )  # fmt: skip
    header = (
        "estimate", "rise", "outliers", "n", "short pairs", "within 3 sigma", "farthest [sigma]",
        "RMSE over the rise", "over clean", "whole series over clean",
    )  # fmt: skip
    return Table(header, rows)
