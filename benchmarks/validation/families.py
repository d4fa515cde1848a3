"""All kinds of truth: how far off, how often within the bands, and how far off an earlier version was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive
from benchmarks.validation.before import read_before
from benchmarks.validation.kinds import KINDS, simulate_kind
from benchmarks.validation.page import Table
from benchmarks.validation.scores import Score, geometric_mean, score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from truths import Acquisitions

    from benchmarks.validation.before import Before

__all__ = ["families_table"]


def families_table(pixels: Sequence[Acquisitions], truths: int = 10, kinds: Iterable[str] = KINDS) -> Table:
    """Hold the default against all kinds of truth.

    Parameters
    ----------
    pixels : sequence of Acquisitions
        Dates and missions, taken in turn.
    truths : int
        Of each kind.
    kinds : iterable of str
    """
    before = read_before(pixels)
    found = {kind: [_try(pixels, kind, seed) for seed in range(truths)] for kind in kinds}
    ratios = {kind: _ratios(kind, [s.rmse for s in scores], before) for kind, scores in found.items()}
    rows = [
        (
            kind,
            str(len(scores)),
            f"{np.mean([s.rmse for s in scores]):.1f}",
            f"{np.mean([s.band for s in scores]):.1f}",
            f"{np.mean([s.coverage for s in scores]):.3f}",
            f"{np.mean([s.coverage_along for s in scores]):.3f}",
            *(f"{ratio:.2f}" if np.isfinite(ratio) else "" for ratio in ratios[kind]),
        )
        for kind, scores in found.items()
    ]
    header = (
        "truth", "n", "RMSE", "median std", "coverage", "along flow", "RMSE over before",
        "over the process before", "over the better of both",
    )  # fmt: skip
    return Table(header, rows, _summary(found, ratios, before))


def _try(pixels: Sequence[Acquisitions], kind: str, seed: int) -> Score:
    simulation = simulate_kind(pixels, kind, seed)
    return score(itslive.invert(simulation.pairs), simulation)


def _ratios(kind: str, rmse: list[float], before: Before | None) -> tuple[float, float, float]:
    """Give geometric means of the error over that before: of the default, of the process, of the better."""
    if before is None:
        return np.nan, np.nan, np.nan
    default, process = before.inversion[kind], before.gaussian_process[kind]
    n = min(len(rmse), len(default))
    both = min(n, len(process))
    return (
        geometric_mean(np.divide(rmse[:n], default[:n])),
        geometric_mean(np.divide(rmse[:both], process[:both])),
        geometric_mean(np.divide(rmse[:both], np.minimum(default[:both], process[:both]))),
    )


def _summary(
    found: dict[str, list[Score]], ratios: dict[str, tuple[float, float, float]], before: Before | None
) -> str:
    words = []
    for name, attribute in (("vx and vy", "coverage"), ("the speed along the flow", "coverage_along")):
        held = {
            kind: float(np.mean([getattr(s, attribute) for s in scores])) for kind, scores in found.items()
        }
        least = min(held, key=lambda kind: held[kind])
        words.append(
            f"Coverage of {name}: mean {np.mean(list(held.values())):.3f}, least {held[least]:.3f} ({least})."
        )
    if before is None:
        return " ".join([*words, "Errors of the version before are known for another cube only."])
    for k, of in enumerate(("default", "Gaussian process", "better of both")):
        own = {kind: three[k] for kind, three in ratios.items()}
        worst = max(own, key=lambda kind: own[kind])
        words.append(
            f"RMSE over that of the {of} before ({before.commit}): geometric mean"
            f" {geometric_mean(own.values()):.2f}, worst {own[worst]:.2f} ({worst})."
        )
    return " ".join(words)
