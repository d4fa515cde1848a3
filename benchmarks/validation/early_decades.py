"""Steps and trends over forty years: whether decades with few pairs of old missions keep their level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from truths import YEAR, Acquisitions, Simulation, observe

import itslive_core as itslive
from benchmarks.validation.kinds import steep
from benchmarks.validation.page import Table
from benchmarks.validation.scores import REACH, along, edges_of, per_cent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["early_table", "simulate_decades"]

OFFSETS = {"S1": -0.08, "L8_9": 0.02, "L7": -0.03}
"""Added along the flow, as shares of the speed; Sentinel-2 and Landsat 4 and 5 have none."""
EARLY = (2000.0 - 1970.0) * YEAR
_ESTIMATES: dict[str, Callable[[itslive.ImagePairs], xr.Dataset]] = {
    "inversion": itslive.invert,
    "Gaussian process": itslive.fit_gaussian_process,
}


@dataclass(frozen=True)
class Early:
    """Error along the flow before 2000, over the change to be found: mean, RMS; share of bands that hold."""

    bias: float
    rmse: float
    coverage: float


def simulate_decades(at: Acquisitions, form: str, seed: int, *, offset: bool) -> tuple[Simulation, float]:
    """Draw a truth that changes over decades; return also its change [m/yr].

    Parameters
    ----------
    at : Acquisitions
        Of a whole record.
    form : {"step", "trend"}
    seed : int
    offset : bool
        Missions are offset by `OFFSETS`.
    """
    rng = np.random.default_rng([seed, 80])
    base, sign = rng.uniform(400, 1000), rng.choice([-1.0, 1.0])
    size = sign * rng.uniform(0.3, 0.6) * base
    onset = rng.uniform(1995, 2004)
    season, phase = rng.uniform(0.02, 0.08) * base, rng.uniform()

    def speed(t: NDArray[np.float64]) -> NDArray[np.float64]:
        slow = steep(t, onset, 0.1) if form == "step" else (t - 1985.0) / 40.0
        return base + size * slow + season * np.sin(2 * np.pi * (t - phase))

    return observe(at, speed, rng, offsets=OFFSETS if offset else None, shared=0.05), size


def judge_early(series: xr.Dataset, simulation: Simulation, size: float) -> Early:
    """Compare the cells before 2000 that a pair overlaps."""
    cells = edges_of(series)
    fitted, std = along(series, simulation.direction)
    keep = (cells[:, 1] < EARLY) & (series["n_pairs"].values > 0) & np.isfinite(fitted)
    error = (fitted - simulation.mean(*cells.T))[keep]
    return Early(
        float(error.mean() / size),
        float(np.sqrt(np.mean(error**2)) / abs(size)),
        float(np.mean(np.abs(error) < REACH * std[keep])),
    )


def early_table(pixels: Sequence[Acquisitions], truths: int = 10) -> Table:
    """Measure steps and trends, with and without offsets.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Those with pairs before 1995 are taken in turn.
    truths : int
        Of each form.
    """
    old = [at for at in pixels if (at.end < EARLY).sum() >= 100] or list(pixels)
    rows = []
    for form in ("step", "trend"):
        for offset in (False, True):
            drawn = [
                simulate_decades(old[seed % len(old)], form, seed, offset=offset) for seed in range(truths)
            ]
            for name, fit in _ESTIMATES.items():
                found = [judge_early(fit(s.pairs), s, size) for s, size in drawn]
                bias = np.array([e.bias for e in found])
                rows.append(
                    (
                        form, "offset" if offset else "agree", name, str(truths),
                        f"{100 * bias.mean():+.1f} %", per_cent(np.abs(bias).mean(), 1),
                        per_cent(np.abs(bias).max(), 1), per_cent(np.mean([e.rmse for e in found]), 1),
                        f"{np.mean([e.coverage for e in found]):.3f}",
                    )
                )  # fmt: skip
    header = (
        "truth", "missions", "estimate", "n", "bias", "its size", "largest", "RMSE", "coverage along flow",
    )  # fmt: skip
    return Table(header, rows)
