"""Simulated records in which long pairs locked, and what the span-consistency filter makes of them.

    python -m benchmarks.validation.locked_truths CUBE [--truths 200] [--estimators inversion,season]

Dates and missions are those of the pixel with the most pairs of a cube. From these, records are made that
are as hard as real ones: only bright months have images (as at high latitudes before radar), half years with
hardly a short pair, a tenth of the pairs, any start and end. Fast ice flows at 500 to 12,000 m/yr with a
season, a trend and sometimes a surge; the chance that one of its long pairs locks grows with the way that the
ice goes in it. Honest records have no locked pair: slow, steady and seasonal ice, whose long pairs must stay.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from truths import DIRECTION, MISSION_SCALES, YEAR, Acquisitions, busiest

import itslive_core as itslive
from itslive_core.filters.outliers import span_consistency

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["LockedCase", "Outcome", "fast_case", "honest_case", "judge_filter", "judge_series"]

SHORT, LONG = 64.0, 100.0
"""Pairs up to the first span never lock [days]; above the second they are long."""
_STEP = 1.0
_FORWARD = 1.96


@dataclass(frozen=True, eq=False)
class LockedCase:
    """A simulated record.

    Parameters
    ----------
    pairs : ImagePairs
        n pairs.
    locked, wild : ndarray of bool, shape (n,)
        Pairs that locked, and pairs that are far off.
    time, displacement : ndarray
        Times [days since 1970-01-01] and the running integral of the true speed along the flow [m/yr days].
    story : str
        What kind of record it is.
    """

    pairs: itslive.ImagePairs
    locked: NDArray[np.bool_]
    wild: NDArray[np.bool_]
    time: NDArray[np.float64]
    displacement: NDArray[np.float64]
    story: str

    def mean(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the true mean speed along the flow over spans [m/yr]."""
        d = np.interp(end, self.time, self.displacement) - np.interp(start, self.time, self.displacement)
        return d / (end - start)

    def honest_part(self) -> itslive.ImagePairs:
        """Return the pairs that did not lock."""
        return self.pairs.take(~self.locked)


@dataclass(frozen=True)
class Outcome:
    """How a series of a record does.

    Parameters
    ----------
    reversed, doubled : int
        Cells significantly below zero, and significantly above twice the truth.
    rmse, rmse_without : float
        Along the flow [m/yr], from all pairs and from those that did not lock, over the cells of both.
    """

    reversed: int
    doubled: int
    rmse: float
    rmse_without: float

    @property
    def ratio(self) -> float:
        """By how much the locked pairs raise the error."""
        return self.rmse / self.rmse_without


def _season_phase(day: NDArray[np.float64]) -> NDArray[np.float64]:
    return (day / YEAR) % 1.0


def _network(at: Acquisitions, rng: np.random.Generator) -> tuple[Acquisitions, str]:
    """Make a hard record of a good one: select, darken, thin."""
    words = []
    first, last = 1980.0, 2030.0
    choice = rng.random()
    if choice < 0.4:
        first = float(np.round(rng.uniform(2002, 2013), 1))
    elif choice < 0.7:
        last = float(np.round(rng.uniform(1995, 2017), 1))
    elif choice < 0.8:
        first = rng.uniform(2013, 2019)
    at = at.between(first, last)
    if first > 1980 or last < 2030:
        words.append(f"{max(first, 1985):.0f}-{min(last, 2025):.0f}")
    span = at.end - at.start
    keep = np.ones(len(span), dtype=bool)
    if rng.random() < 0.5:
        dark = rng.uniform(0.08, 0.17)  # half of the dark time, around the first of January
        for day in (at.start, at.end):
            phase = _season_phase(day)
            keep &= (at.mission == "S1") | (np.minimum(phase, 1.0 - phase) > dark)
        words.append("dark winters")
    if rng.random() < 0.7:
        middle = np.floor((at.start + at.end) / YEAR).astype(int)
        poor = np.isin(middle, rng.choice(np.unique(middle), int(rng.integers(1, 8))))
        keep &= ~(poor & (span <= SHORT) & (rng.random(len(span)) < rng.choice([0.8, 0.95, 1.0])))
        words.append("poor half years")
    share = rng.choice([1.0, 0.3, 0.1])
    if share < 1.0:
        keep &= rng.random(len(span)) < share
        words.append(f"{100 * share:.0f} %")
    few = keep & (span <= SHORT) & (at.mission != "S1")
    if few.sum() < 15:
        keep |= (span <= SHORT) & (rng.random(len(span)) < 0.1)
    return at.take(keep), ", ".join(words)


def _speed(base: float, rng: np.random.Generator, season: float) -> tuple[NDArray, NDArray, str]:
    """Draw a truth and return its times, its integral and its story."""
    time_ = np.arange(14.0 * YEAR, 57.0 * YEAR, _STEP)
    t = (time_[:-1] + _STEP / 2) / YEAR - 45.0
    amplitude, phase = season * base, rng.uniform()
    year = np.floor(t - phase).astype(int)
    by_year = np.exp(0.3 * rng.normal(size=100))[year - year.min()]
    wave = np.cos(2 * np.pi * (t - phase))
    if rng.random() < 0.4:
        wave = 2.0 * np.exp(-0.5 * ((((t - phase) % 1.0) - 0.5) / 0.08) ** 2) - 0.4  # sharp
    speed = (
        base * np.exp(np.clip(rng.normal(0, 0.01) * t, -0.5, 0.5))
        + amplitude * np.clip(by_year, 0.5, 1.6) * wave
    )
    words = f"season {100 * season:.0f} %"
    kind = rng.random()
    if kind < 0.2:
        onset, length, gain = rng.uniform(-25, 8), rng.uniform(0.6, 3.0), rng.uniform(0.3, 1.0) * base
        speed += gain / (1 + np.exp(-(t - onset) / 0.1)) / (1 + np.exp((t - onset - length) / 0.2))
        words += ", surge"
    elif kind < 0.35:
        speed *= 1.0 + rng.uniform(-0.4, 0.8) / (1 + np.exp(-(t - rng.uniform(-25, 8)) / 1.0))
        words += ", step"
    speed = np.maximum(speed, 0.02 * base)
    return time_, np.concatenate(([0.0], np.cumsum(speed) * _STEP)), words


def _observe(
    at: Acquisitions, base: float, truth: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return values, shape (2, n), formal errors and which pairs are wild."""
    span, n = at.end - at.start, len(truth)
    scale = np.array([MISSION_SCALES[m] for m in at.mission])
    relative = rng.uniform(0.01, 0.05) * base
    sigma = np.hypot(scale * (250 / span + 2.0), relative * np.minimum(1.0, 30.0 / span) + 0.003 * base)
    v = truth * DIRECTION[:, None] + sigma * rng.normal(size=(2, n))
    wild = rng.random(n) < 0.05
    v[:, wild] += (
        rng.normal(size=(2, wild.sum()))
        * (0.2 * base + 5 * sigma[wild])
        * rng.standard_exponential(wild.sum())
    )
    return v, np.maximum(rng.uniform(0.3, 1.0) * sigma, 1.0), wild


def _pairs(at: Acquisitions, v: NDArray, error: NDArray) -> itslive.ImagePairs:
    return itslive.ImagePairs.from_arrays(
        at.start, at.end, v[0], v[1], vx_error=error, vy_error=error, mission=at.mission
    )


def fast_case(at: Acquisitions, seed: int) -> LockedCase:
    """Draw a record of fast ice whose long pairs lock.

    Parameters
    ----------
    at : Acquisitions
        Of a good record.
    seed : int
    """
    rng = np.random.default_rng([seed, 70])
    at, words = _network(at, rng)
    base = float(np.exp(rng.uniform(np.log(500), np.log(12_000))))
    time_, displacement, story = _speed(base, rng, rng.uniform(0.0, 0.3))
    case = LockedCase(None, None, None, time_, displacement, "")  # type: ignore[arg-type]
    truth = case.mean(at.start, at.end)
    v, error, wild = _observe(at, base, truth, rng)
    span, n = at.end - at.start, len(truth)
    # Half of the pairs lock where the ice went so far [m]; past some span all do.
    half, steep = rng.uniform(0.3, 1.5) * np.sqrt(500 * base) * 0.5, rng.uniform(1.5, 4.0)
    chance = 1.0 / (1.0 + (half / (truth * span / YEAR)) ** steep)
    if rng.random() < 0.5:
        chance[span > rng.choice([64, 128, 256])] = rng.choice([0.9, 0.97, 1.0])
    locked = (span > SHORT) & (rng.random(n) < chance)
    if rng.random() < 0.5:
        read = rng.uniform(-0.05, 0.12) * base + 10 * rng.normal(size=n)
        how = f"reads {np.median(read):.0f}"
    else:
        read = rng.uniform(-0.1, 0.5, n) * truth
        how = "reads a share"
    stuck = read * DIRECTION[:, None] + 10 * rng.normal(size=(2, n))
    v = np.where(locked, stuck, v)
    error = np.where(locked, rng.uniform(5, 10, n), error)
    story = f"{base:.0f} m/yr, {story}, {words}; {100 * locked[span > LONG].mean():.0f} % locked, {how}"
    return LockedCase(_pairs(at, v, error), locked, wild & ~locked, time_, displacement, story)


def honest_case(at: Acquisitions, seed: int) -> LockedCase:
    """Draw a record in which nothing locked, of slow, steady or seasonal ice.

    Parameters
    ----------
    at : Acquisitions
        Of a good record.
    seed : int
    """
    rng = np.random.default_rng([seed, 71])
    at, words = _network(at, rng)
    base = float(np.exp(rng.uniform(np.log(20), np.log(3_000))))
    time_, displacement, story = _speed(base, rng, rng.choice([0.0, rng.uniform(0.1, 0.7)]))
    seasonal = rng.random()
    if seasonal < 0.6:
        # Short pairs see the winter, or the summer, only.
        middle, half = (0.0, 0.17) if seasonal < 0.3 else (0.55, 0.15)
        away = [np.abs((_season_phase(day) - middle + 0.5) % 1.0 - 0.5) for day in (at.start, at.end)]
        keep = (at.end - at.start > 48) | ((away[0] < half) & (away[1] < half))
        if (keep & (at.end - at.start <= 48)).sum() > 8:
            at = at.take(keep)
            words += ", short pairs in " + ("winter" if seasonal < 0.3 else "summer")
    case = LockedCase(None, None, None, time_, displacement, "")  # type: ignore[arg-type]
    truth = case.mean(at.start, at.end)
    v, error, wild = _observe(at, base, truth, rng)
    locked = np.zeros(len(truth), dtype=bool)
    return LockedCase(
        _pairs(at, v, error), locked, wild, time_, displacement, f"{base:.0f} m/yr, {story}, {words}"
    )


def judge_filter(case: LockedCase) -> tuple[int, int, int, int]:
    """Count the locked pairs that the filter keeps, all locked ones, the good long ones it takes, and all."""
    keep = span_consistency(case.pairs).keep
    good = (case.pairs.span > LONG) & ~case.locked & ~case.wild
    return int(keep[case.locked].sum()), int(case.locked.sum()), int((~keep[good]).sum()), int(good.sum())


def _along(series: xr.Dataset) -> tuple[NDArray, NDArray]:
    """Give speed along the flow and its standard deviation [m/yr]."""
    along = DIRECTION[0] * series["vx"].values + DIRECTION[1] * series["vy"].values
    std = np.hypot(DIRECTION[0] * series["vx_std"].values, DIRECTION[1] * series["vy_std"].values)
    return along, std


def _errors(case: LockedCase, series: xr.Dataset, without: xr.Dataset) -> Outcome:
    both = series.reindex(time=without["time"])
    edges = without["time_bnds"].values.astype("datetime64[ns]").astype("int64") / 86_400e9
    truth = case.mean(edges[:, 0], edges[:, 1])
    along, _ = _along(both)
    other, _ = _along(without)
    there = np.isfinite(along) & np.isfinite(other)
    rmse, rmse_without = (float(np.sqrt(np.mean((x - truth)[there] ** 2))) for x in (along, other))
    edges = series["time_bnds"].values.astype("datetime64[ns]").astype("int64") / 86_400e9
    truth = case.mean(edges[:, 0], edges[:, 1])
    along, std = _along(series)
    return Outcome(
        int((along + _FORWARD * std < 0.0).sum()),
        int((along - _FORWARD * std > 2.0 * truth).sum()),
        rmse,
        rmse_without,
    )


def judge_series(case: LockedCase, estimator: str) -> Outcome | None:
    """Estimate from all pairs and from those that did not lock, and compare both with the truth.

    Parameters
    ----------
    case : LockedCase
    estimator : {"inversion", "gaussian process", "season"}
        Of the season the mean velocities of years are compared.

    Returns
    -------
    Outcome or None
        None where one of both has no series.
    """
    if estimator == "season":
        series, without = (itslive.fit_season(pairs) for pairs in (case.pairs, case.honest_part()))
        both, alone = (one["year_speed"] for one in (series, without))
        if not (both.notnull().any() and alone.notnull().any()):
            return None
        begin = (both["year"].values - 1970) * YEAR
        truth = case.mean(begin, begin + YEAR)
        std = series["year_speed_std"].values
        shared = alone.reindex(year=both["year"]).values
        there = np.isfinite(both.values) & np.isfinite(shared)
        rmse, rmse_without = (float(np.sqrt(np.mean((x - truth)[there] ** 2))) for x in (both.values, shared))
        return Outcome(
            int((both.values + _FORWARD * std < 0.0).sum()),
            int((both.values - _FORWARD * std > 2.0 * truth).sum()),
            rmse,
            rmse_without,
        )
    fit = itslive.invert if estimator == "inversion" else itslive.fit_gaussian_process
    return _errors(case, fit(case.pairs), fit(case.honest_part()))


def report(cases: Iterable[LockedCase], estimators: tuple[str, ...]) -> None:
    """Print what becomes of records, and a summary."""
    shares, outcomes = [], {name: [] for name in estimators}
    took = 0.0
    for number, case in enumerate(cases):
        begin = time.process_time()
        counts = judge_filter(case)
        took += time.process_time() - begin
        shares.append(counts)
        words = [f"kept {counts[0]}/{counts[1]}, lost {counts[2]}/{counts[3]}"]
        for name in estimators:
            found = judge_series(case, name)
            if found is not None:
                outcomes[name].append(found)
                words.append(
                    f"{name} {found.reversed} reversed, {found.doubled} doubled, "
                    f"{found.rmse:.0f}/{found.rmse_without:.0f} = {found.ratio:.2f}"
                )
        print(f"{number}: {case.story}; {len(case.pairs)} pairs: " + "; ".join(words), flush=True)
    table = np.array(shares)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept, lost = table[:, 0] / table[:, 1], table[:, 2] / table[:, 3]
    total = table.sum(axis=0)
    print(
        f"locked pairs kept: {total[0]:,} of {total[1]:,} ({total[0] / max(total[1], 1):.2%}), "
        f"in {np.nansum(table[:, 0] > 0)} of {len(table)} records, worst {np.nanmax(kept, initial=0):.0%}; "
        f"good long pairs lost: {total[2]:,} of {total[3]:,} ({total[2] / max(total[3], 1):.2%}), "
        f"more than 5 % in {np.nansum(lost > 0.05)}, mean {np.nanmean(lost):.2%}; "
        f"{1e3 * took / len(table):.1f} CPU ms a record"
    )
    for name, found in outcomes.items():
        ratios = np.array([one.ratio for one in found])
        print(
            f"{name}: {sum(o.reversed > 0 for o in found)} of {len(found)} records have reversed cells, "
            f"{sum(o.doubled > 0 for o in found)} doubled ones; RMSE ratio mean {ratios.mean():.2f}, "
            f"median {np.median(ratios):.2f}, above 1.3 in {(ratios > 1.3).sum()}, worst {ratios.max():.2f}"
        )


def main() -> None:
    """Run the filter, and estimators where they are asked for, over simulated records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cube", help="a cube of ITS_LIVE image pairs")
    parser.add_argument("--truths", type=int, default=200, help="three quarters lock, the others are honest")
    parser.add_argument("--estimators", default="", help="of inversion, season, gaussian process")
    parser.add_argument("--seed", type=int, default=0, help="the first of consecutive ones")
    options = parser.parse_args()
    pairs = busiest(itslive.open_cube(options.cube))
    at = Acquisitions(pairs.start, pairs.end, pairs.mission)
    estimators = tuple(name for name in options.estimators.split(",") if name)
    fast, first = options.truths * 3 // 4, options.seed
    print("--- fast ice whose long pairs lock")
    report((fast_case(at, first + k) for k in range(fast)), estimators)
    print("--- honest records")
    report((honest_case(at, first + k) for k in range(options.truths - fast)), ())


if __name__ == "__main__":
    main()
