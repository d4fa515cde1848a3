"""Rock, which does not move, and ice that hardly does: velocities near zero must come out near zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive
from benchmarks.validation.kinds import simulate_kind
from benchmarks.validation.page import Table
from benchmarks.validation.scores import REACH, score, vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import xarray as xr
    from truths import Acquisitions

__all__ = ["ESTIMATES", "Still", "rock_tables", "still"]

ESTIMATES: dict[str, Callable[[itslive.ImagePairs], xr.Dataset]] = {
    "inversion": itslive.invert,
    "Gaussian process": itslive.fit_gaussian_process,
    "moving median": itslive.fit_moving_median,
}
NO_ROCK = "*The cube has no mask of ice, or no pixel off it.*"


@dataclass(frozen=True)
class Still:
    """A series of what does not move: RMS velocity [m/yr], share of bands that hold 0, median std [m/yr]."""

    rms: float
    held: float
    std: float


def still(series: xr.Dataset) -> Still:
    """Judge a series of rock, over the cells of both components that a pair overlaps."""
    v, std = vectors(series)
    known = np.isfinite(v) & np.isfinite(std) & (series["n_pairs"].values > 0)
    v, std = v[known], std[known]
    return Still(
        float(np.sqrt(np.mean(v**2))), float(np.mean(np.abs(v) < REACH * std)), float(np.median(std))
    )


def rock_tables(
    rock: Iterable[itslive.ImagePairs], pixels: Sequence[Acquisitions], truths: int = 10
) -> dict[str, Table]:
    """Estimate real rock, and simulated slow ice.

    Parameters
    ----------
    rock : iterable of ImagePairs
        Of pixels off the ice.
    pixels : sequence of Acquisitions
        For the slow ice, taken in turn.
    truths : int
        Of slow ice.
    """
    return {"rock": _rock(list(rock)), "slow_ice": _slow(pixels, truths)}


def _rock(rock: Sequence[itslive.ImagePairs]) -> Table:
    if not rock:
        return Table((), (), NO_ROCK)
    rows = []
    for name, fit in ESTIMATES.items():
        found = [still(fit(pairs)) for pairs in rock]
        rms, held, std = (np.array([getattr(s, what) for s in found]) for what in ("rms", "held", "std"))
        rows.append(
            (
                name, str(len(found)), f"{rms.mean():.2f}", f"{rms.max():.2f}", f"{held.mean():.3f}",
                f"{held.min():.3f}", f"{std.mean():.2f}",
            )
        )  # fmt: skip
    header = ("estimate", "pixels", "RMS", "worst pixel", "bands that hold zero", "fewest", "median std")
    return Table(header, rows)


def _slow(pixels: Sequence[Acquisitions], truths: int) -> Table:
    rows = []
    for kind in ("1-5 m/yr, seasonal", "1-5 m/yr, steady"):
        simulations = [simulate_kind(pixels, kind, seed) for seed in range(truths)]
        for name, fit in ESTIMATES.items():
            scores = [score(fit(s.pairs), s) for s in simulations]
            rmse = np.array([s.rmse for s in scores])
            rows.append(
                (
                    kind, name, str(truths), f"{rmse.mean():.2f}", f"{rmse.max():.2f}",
                    f"{np.mean([s.coverage for s in scores]):.3f}",
                    f"{np.mean([s.coverage_along for s in scores]):.3f}",
                )
            )  # fmt: skip
    return Table(("ice", "estimate", "n", "RMSE", "worst", "coverage", "along flow"), rows)
