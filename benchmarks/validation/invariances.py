"""What must not matter: copies, order, axes, units, a constant, the length of cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from truths import Acquisitions, Simulation, simulate

import itslive_core as itslive
from benchmarks.validation.kinds import draw, simulate_kind
from benchmarks.validation.page import Table
from benchmarks.validation.scores import averaged, edges_of, geometric_mean, score, vectors
from itslive_core.inversion.settings import InversionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Pairs = itslive.ImagePairs
    Velocity = NDArray[np.float64]
    Change = tuple[Callable[[Pairs], Pairs], Callable[[Velocity], Velocity]]

__all__ = ["CHANGES", "interval_table", "invariance_table", "shift"]

_CONSTANT = np.array([310.0, -170.0])


def _with(pairs: Pairs, v: Velocity, factor: float = 1.0) -> Pairs:
    return replace(
        pairs, vx=v[0], vy=v[1], vx_error=factor * pairs.vx_error, vy_error=factor * pairs.vy_error
    )


def _doubled(pairs: Pairs) -> Pairs:
    return pairs.take(np.repeat(np.arange(len(pairs)), 2))


def _shuffled(pairs: Pairs) -> Pairs:
    return pairs.take(np.random.default_rng(0).permutation(len(pairs)))


def _turned(degrees: float) -> Change:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[c, -s], [s, c]])
    return lambda pairs: _with(pairs, turn @ np.array([pairs.vx, pairs.vy])), lambda v: turn.T @ v


def _scaled(factor: float) -> Change:
    return (
        lambda pairs: _with(pairs, factor * np.array([pairs.vx, pairs.vy]), factor),
        lambda v: v / factor,
    )


CHANGES: dict[str, Change] = {
    "every pair twice": (_doubled, lambda v: v),
    "another order": (_shuffled, lambda v: v),
    "turned by 30 degrees": _turned(30.0),
    "turned by 77 degrees": _turned(77.0),
    "ten times faster": _scaled(10.0),
    "ten times slower": _scaled(0.1),
    "a constant added": (
        lambda pairs: _with(pairs, np.array([pairs.vx, pairs.vy]) + _CONSTANT[:, None]),
        lambda v: v - _CONSTANT[:, None],
    ),
}
"""By name: how to change pairs, and how to undo it in a series."""


def records(pixels: Sequence[Acquisitions]) -> dict[str, Simulation]:
    """Give the records that are tried."""
    dense = [at.between(2013, 2030) for at in pixels]
    few = draw(dense[1 % len(dense)], np.random.default_rng(82), 98)
    return {
        "dense": simulate(dense[0], "mixed", 0),
        "40 years": simulate_kind(pixels, "trend over decades", 1),
        "98 pairs": simulate(few, "seasonal", 1),
        "1-5 m/yr": simulate_kind(pixels, "1-5 m/yr, seasonal", 2),
        "quiet": simulate(dense[0], "quiet", 3),
    }


def shift(series: xr.Dataset, other: xr.Dataset, undo: Callable[[Velocity], Velocity]) -> float:
    """Give the root mean square difference of both components, in standard deviations of the first series."""
    v, std = vectors(series)
    moved = (undo(vectors(other)[0]) - v) / std
    return float(np.sqrt(np.nanmean(moved**2)))


def invariance_table(pixels: Sequence[Acquisitions]) -> Table:
    """Change the pairs of some records, estimate, and undo the change.

    Parameters
    ----------
    pixels : sequence of Acquisitions
    """
    drawn = records(pixels)
    plain = {name: itslive.invert(simulation.pairs) for name, simulation in drawn.items()}
    rows = []
    for name, (change, undo) in CHANGES.items():
        moved = [
            shift(plain[record], itslive.invert(change(simulation.pairs)), undo)
            for record, simulation in drawn.items()
        ]
        rows.append((name, *(f"{x:.4f}" for x in moved)))
    return Table(("change", *drawn), rows)


def interval_table(pixels: Sequence[Acquisitions], truths: int = 10) -> Table:
    """Compare cells of 60 days with the means of cells of 12 days.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Taken in turn.
    truths : int
        Of each kind.
    """
    rows = []
    for kind in ("mixed", "seasonal", "surging", "sawtooth", "few pairs, seasonal"):
        coarse, means = [], []
        for seed in range(truths):
            simulation = simulate_kind(pixels, kind, seed)
            long = itslive.invert(simulation.pairs, InversionSettings(interval=60.0))
            short = itslive.invert(simulation.pairs)
            mean = averaged(short, edges_of(long))
            both = np.isfinite(mean[0]) & np.isfinite(long["vx"].values)
            known = long.assign(n_pairs=long["n_pairs"].where(both, 0))
            coarse.append(score(known, simulation).rmse)
            replaced = known.assign({c: ("time", v) for c, v in zip(("vx", "vy"), mean, strict=True)})
            means.append(score(replaced, simulation).rmse)
        ratios = np.divide(coarse, means)
        rows.append(
            (
                kind, str(truths), f"{np.mean(coarse):.1f}", f"{np.mean(means):.1f}",
                f"{geometric_mean(ratios):.2f}", f"{ratios.max():.2f}",
            )
        )  # fmt: skip
    header = ("truth", "n", "RMSE of cells of 60 days", "of means of 12 days", "ratio", "worst")
    return Table(header, rows)
