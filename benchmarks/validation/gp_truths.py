"""The Gaussian process against simulated twins of its hard cases.

    python -m benchmarks.validation.gp_truths CUBE [--only decades,winter] [--seeds 10]

Early decades, copies and other units, locked pairs, the families of all estimators, the end of the record,
and a rise in winter that three short pairs saw. Every case gives rows (truth, n, RMSE, bias, coverage): root
mean square and mean of the error along the flow [m/yr], and the share of its 95 % bands that hold the truth.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from truths import (
    DIRECTION,
    FAMILIES,
    OTHER_SHAPES,
    YEAR,
    Acquisitions,
    Simulation,
    busiest,
    observe,
    simulate,
)

import itslive_core as itslive
from benchmarks.validation.page import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["CASES", "Row", "gp_tables"]

DECADES = ("step 1995", "step 2003", "linear", "oscillation", "acceleration")
"""Truths of early decades; see `decadal_speed`."""
OFFSETS = {"none": {}, "S1, L8/9, L7": {"S1": -0.08, "L8_9": 0.02, "L7": -0.03}}
"""Added along the flow, as shares of the speed."""
EARLY = (2000.0 - 1970.0) * YEAR


@dataclass(frozen=True)
class Row:
    """One line of a table: of n truths, means of RMSE, bias and coverage."""

    truth: str
    n: int
    rmse: float
    bias: float
    coverage: float

    def words(self) -> tuple[str, ...]:
        """Give the columns as text."""
        return (
            self.truth, str(self.n), f"{self.rmse:.2f}", f"{self.bias:+.2f}", f"{self.coverage:.3f}",
        )  # fmt: skip


@dataclass(frozen=True)
class _Errors:
    """Error and standard deviation along the flow [m/yr], by cell."""

    centre: NDArray[np.float64]
    error: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of(cls, series: xr.Dataset, simulation: Simulation) -> _Errors:
        cells = _cells(series)
        (c, s), v = simulation.direction, series
        true = simulation.mean(cells[:, 0], cells[:, 1])
        variance = (c * v["vx_std"]) ** 2 + (s * v["vy_std"]) ** 2 + 2 * c * s * v["vx_vy_cov"]
        error = c * v["vx"].values + s * v["vy"].values - true
        return cls(cells.mean(axis=1), error, np.sqrt(variance.values))

    def row(self, truth: str, keep: NDArray[np.bool_], unit: float = 1.0) -> Row:
        error, std = self.error[keep], self.std[keep]
        rmse = float(np.sqrt(np.mean(error**2)))
        held = float(np.mean(np.abs(error) < 1.96 * std))
        return Row(truth, 1, rmse / unit, float(error.mean()) / unit, held)


def _mean(truth: str, rows: list[Row]) -> Row:
    """Average rows; the bias is the mean of absolute values, as those of opposite signs must not cancel."""
    values = np.array([(r.rmse, abs(r.bias), r.coverage) for r in rows])
    return Row(truth, len(rows), *map(float, values.mean(axis=0)))


def thinned(at: Acquisitions, seed: int, late: int = 1800) -> Acquisitions:
    """Keep all pairs before 2013, and so many of those since."""
    early = at.start < (2013 - 1970) * YEAR
    some = np.random.default_rng([seed, 7]).permutation(np.flatnonzero(~early))[:late]
    keep = early.copy()
    keep[some] = True
    return at.take(keep)


def decadal_speed(form: str, rng: np.random.Generator) -> tuple[Callable, float]:
    """Draw a truth that changes over decades, and the size of its change [m/yr]."""
    base = rng.uniform(400, 1000)
    size = base * rng.uniform(0.3, 0.6) * rng.choice([-1, 1])
    season, phase = base * rng.uniform(0.02, 0.08), rng.uniform(0, 1)
    period = rng.uniform(15, 25)

    def slow(t: NDArray[np.float64]) -> NDArray[np.float64]:
        if form.startswith("step"):
            return 1.0 * (t > float(form.split()[1]))
        if form == "linear":
            return (t - 1985) / 40
        if form == "oscillation":
            return 0.5 * np.sin(2 * np.pi * ((t - 1985) / period + phase))
        if form == "acceleration":
            return ((t - 1985) / 40) ** 3
        raise ValueError(f"no form {form!r}: choose from {', '.join(DECADES)}")

    return lambda t: base + size * slow(t) + season * np.sin(2 * np.pi * (t - phase)), abs(size)


def decades(at: Acquisitions, seeds: int) -> list[Row]:
    """Cells before 2000 whose months have pairs; RMSE and bias in per cent of the change."""
    rows = []
    for form in DECADES:
        for name, offsets in OFFSETS.items():
            found = []
            for seed in range(seeds):
                rng = np.random.default_rng([seed, DECADES.index(form), 40])
                truth, size = decadal_speed(form, rng)
                some = thinned(at, seed)
                simulation = observe(some, truth, rng, outliers=0.05 * (seed % 2), offsets=offsets)
                series = itslive.fit_gaussian_process(simulation.pairs)
                errors = _Errors.of(series, simulation)
                keep = (errors.centre < EARLY) & (series["coverage"].values > 0)
                found.append(errors.row(form, keep, 0.01 * size))
            rows.append(_mean(f"{form}, offsets: {name} [% of change]", found))
    return rows


def families(at: Acquisitions, seeds: int) -> list[Row]:
    """All families of truths since 2013, missions offset in every second one."""
    dense, rows = at.between(2013, 2030), []
    for family in FAMILIES + OTHER_SHAPES:
        found = []
        for seed in range(seeds):
            offsets = list(OFFSETS.values())[seed % 2]
            simulation = simulate(dense, family, 100 + seed, offsets=offsets)
            errors = _Errors.of(itslive.fit_gaussian_process(simulation.pairs), simulation)
            low, high = np.quantile(np.concatenate([dense.start, dense.end]), [0.01, 0.99])
            found.append(errors.row(family, (errors.centre > low) & (errors.centre < high)))
        rows.append(_mean(family, found))
    return rows


def _moved(series: xr.Dataset, other: xr.Dataset) -> float:
    """Give the root mean square of the difference of two series in standard deviations of the first."""
    apart = [((other[c] - series[c]) / series[f"{c}_std"]).values for c in ("vx", "vy")]
    return float(np.sqrt(np.mean(np.square(apart))))


def _turned(of: Any, degrees: float) -> dict[str, Any]:
    """Turn the velocities of pairs or of a series."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {"vx": c * of.vx - s * of.vy, "vy": s * of.vx + c * of.vy}


def _scaled(pairs: itslive.ImagePairs, factor: float) -> itslive.ImagePairs:
    names = ("vx", "vy", "vx_error", "vy_error")
    return replace(pairs, **{name: factor * getattr(pairs, name) for name in names})


def _copied(pairs: itslive.ImagePairs, copies: int, rng: np.random.Generator) -> itslive.ImagePairs:
    """Write every pair several times, the velocities of copies within 0.1 m/yr."""
    many = pairs.take(np.tile(np.arange(len(pairs)), copies))
    near = 0.1 * rng.normal(size=(2, len(many)))
    return replace(many, vx=many.vx + near[0], vy=many.vy + near[1])


def invariance(at: Acquisitions, seeds: int) -> list[Row]:
    """Root mean square of the move in standard deviations, as RMSE; the worst of the truths, as bias."""
    dense, moved = at.between(2013, 2030), {}
    plain = itslive.GaussianProcessSettings(outliers="none")
    for seed in range(seeds):
        family = ("mixed", "seasonal", "slow", "accelerating", "wandering")[seed % 5]
        rng = np.random.default_rng([seed, 50])
        some = dense.take(np.sort(rng.permutation(len(dense.start))[:1500]))
        simulation = simulate(some, family, 200 + seed, offsets=list(OFFSETS.values())[seed % 2])
        pairs = simulation.pairs
        series = itslive.fit_gaussian_process(pairs, plain)

        def note(name: str, other: xr.Dataset, series: xr.Dataset = series) -> None:
            moved.setdefault(name, []).append(_moved(series, other))

        for degrees in (30, 77, 143):
            turned = itslive.fit_gaussian_process(replace(pairs, **_turned(pairs, degrees)), plain)
            note(f"turned by {degrees} degrees", turned.assign(_turned(turned, -degrees)))
        for factor in (10.0, 0.1):
            other = itslive.fit_gaussian_process(_scaled(pairs, factor), plain)
            note(f"times {factor:g}", other.assign(vx=other.vx / factor, vy=other.vy / factor))
        typical = float(np.median(np.hypot(pairs.vx, pairs.vy)))
        for angle in (0.5, 2.5):
            by = typical * np.array([np.cos(angle), np.sin(angle)])
            other = itslive.fit_gaussian_process(
                replace(pairs, vx=pairs.vx + by[0], vy=pairs.vy + by[1]), plain
            )
            note("shifted by the speed", other.assign(vx=other.vx - by[0], vy=other.vy - by[1]))
        order = rng.permutation(len(pairs))
        note("in another order", itslive.fit_gaussian_process(pairs.take(order), plain))
        for copies in (2, 5):
            other = itslive.fit_gaussian_process(_copied(pairs, copies, rng), plain)
            note(f"{copies} near copies of each", other)
    return [
        Row(f"{name} [std]", len(values), float(np.mean(values)), float(np.max(values)), np.nan)
        for name, values in moved.items()
    ]


def locked(at: Acquisitions, seeds: int) -> list[Row]:
    """Long pairs of tiny formal error that read 0 to half of the speed, and passed the filter."""
    dense, rows = at.between(2013, 2030), []
    for share in (0.0, 0.1, 0.25, 0.4):
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, 60])
            some = dense.take(np.sort(rng.permutation(len(dense.start))[:1500]))
            simulation = simulate(some, "accelerating" if seed % 2 else "seasonal", 300 + seed)
            pairs = simulation.pairs
            stuck = (pairs.span > 180) & (rng.random(len(pairs)) < share)
            part = np.where(stuck, rng.uniform(0, 0.5, len(pairs)), 1.0)
            error = np.where(stuck, 1.0, pairs.vx_error)
            pairs = replace(pairs, vx=part * pairs.vx, vy=part * pairs.vy, vx_error=error, vy_error=error)
            series = itslive.fit_gaussian_process(pairs, itslive.GaussianProcessSettings(outliers="none"))
            errors = _Errors.of(series, simulation)
            found.append(errors.row("", np.ones(len(errors.error), dtype=bool)))
        rows.append(_mean(f"{100 * share:.0f} % of long pairs locked", found))
    return rows


def winter(at: Acquisitions, seeds: int) -> list[Row]:
    """Three short pairs in a gap saw a rise: worst miss of their span means in sigma, as RMSE and bias."""
    dense, worst, held = at.between(2013, 2021), [], []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 70])
        base, phase = rng.uniform(1500, 2000), rng.uniform(0, 1)
        centre = (rng.integers(2015, 2020) - 1970 + 0.05) * YEAR
        height, width = rng.uniform(0.5, 1.0) * base, rng.uniform(20, 40)

        def truth(t, base=base, phase=phase, centre=centre, height=height, width=width):
            rise = height * np.exp(-0.5 * (((t - 1970) * YEAR - centre) / width) ** 2)
            return base * (1 + 0.15 * np.sin(2 * np.pi * (t - phase))) + rise

        gap = (dense.end < centre - 90) | (dense.start > centre + 90)
        some = dense.take(np.flatnonzero(gap)[np.sort(rng.permutation(int(gap.sum()))[:700])])
        first = centre + np.array([-23.0, -5.0, 4.0]) + rng.uniform(-3, 3)
        both = Acquisitions(
            np.concatenate([some.start, first]),
            np.concatenate([some.end, first + 23.0]),
            np.concatenate([some.mission, np.repeat("L8_9", 3)]),
        )
        simulation = observe(both, truth, rng)
        n = len(some.start)
        # The three are no outliers: they agree, each within its own noise.
        sigma = (250 / 23 + 2) * 1.4
        seen = simulation.mean(both.start[n:], both.end[n:]) + sigma * rng.normal(size=3)
        pairs = simulation.pairs
        pairs.vx[n:], pairs.vy[n:] = seen * DIRECTION[:, None] + sigma * np.array([[0.0], [0.0]])
        series = itslive.fit_gaussian_process(pairs, itslive.GaussianProcessSettings(outliers="none"))
        grid = _cells(series)
        along = DIRECTION[0] * series["vx"].values + DIRECTION[1] * series["vy"].values
        means = [_span_mean(grid, along, a, b) for a, b in zip(both.start[n:], both.end[n:], strict=True)]
        misses = (np.array(means) - seen) / sigma
        worst.append(np.abs(misses).max())
        held.append(np.abs(misses) < 3)
    row = Row(
        "winter rise [sigma of a pair]", seeds, float(np.sqrt(np.mean(np.square(worst)))),
        float(np.max(worst)), float(np.mean(held)),
    )  # fmt: skip
    return [row]


def _cells(series: xr.Dataset) -> NDArray[np.float64]:
    """Give the edges of all cells [days since 1970-01-01], shape (M, 2)."""
    return series["time_bnds"].values.astype("datetime64[ns]").astype("int64") / 86_400e9


def _span_mean(cells: NDArray[np.float64], values: NDArray[np.float64], a: float, b: float) -> float:
    share = np.clip(np.minimum(cells[:, 1], b) - np.maximum(cells[:, 0], a), 0, None)
    return float(share @ values / share.sum())


def record_end(at: Acquisitions, seeds: int) -> list[Row]:
    """Cut the record at dates, and hold its last 65 days against the truth."""
    dense, rows = at.between(2013, 2030), []
    for family in ("mixed", "seasonal", "accelerating", "wandering"):
        found = []
        for seed in range(seeds):
            simulation = simulate(dense, family, 400 + seed)
            cut = (2017.0 + 6.5 * (seed + 0.5) / seeds - 1970) * YEAR
            pairs = simulation.pairs.take(simulation.pairs.end < cut)
            errors = _Errors.of(itslive.fit_gaussian_process(pairs), simulation)
            found.append(errors.row("", errors.centre > pairs.end.max() - 65))
        rows.append(_mean(f"{family}, last 65 days", found))
    return rows


CASES: dict[str, Callable[[Acquisitions, int], list[Row]]] = {
    "decades": decades,
    "invariance": invariance,
    "locked": locked,
    "families": families,
    "end": record_end,
    "winter": winter,
}
"""By name: rows for acquisitions and a number of truths."""


def gp_tables(at: Acquisitions, seeds: int = 6) -> dict[str, Table]:
    """Make the tables of all cases.

    Parameters
    ----------
    at : Acquisitions
        All of a pixel.
    seeds : int
        Truths of each row.
    """
    return {f"gp_{name}": table_of(case(at, seeds)) for name, case in CASES.items()}


def table_of(rows: list[Row]) -> Table:
    """Make a table of rows."""
    return Table(("truth", "n", "RMSE", "bias", "coverage"), [row.words() for row in rows])


def main() -> None:
    """Run the cases that are asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.validation.gp_truths",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cube", help="a cube of ITS_LIVE image pairs")
    parser.add_argument("--only", default=",".join(CASES), help="names of cases, with commas")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    pairs = busiest(itslive.open_cube(options.cube))
    at = Acquisitions(pairs.start, pairs.end, pairs.mission)
    for name in options.only.split(","):
        begin = time.process_time()
        rows = CASES[name](at, options.seeds)
        print(f"--- {name}, {time.process_time() - begin:.0f} CPU s")
        print(table_of(rows).markdown(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
