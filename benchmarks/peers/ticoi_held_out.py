"""Held-out pairs predicted by TICOI.

TICOI states no distribution of what a pair would read. It is given a generous one: a Student t with 4 degrees
of freedom around its estimate, with a scale for every mission and span class that suits its residuals on the
training pairs best. The estimate's own uncertainty is not added; in gaps it is therefore too sure of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from peers.sklearn_gp import along_flow, flow_direction
from peers.ticoi import TicoiSeries, run_ticoi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    import itslive_core as itslive

__all__ = ["LEAST", "TicoiPrediction", "groups", "predict_ticoi"]

FREEDOM = 4.0
_CLASSES = np.array([16.0, 32.0, 64.0, 128.0])
"""Edges of the span classes [days]."""
LEAST = 20
"""A class of fewer training pairs takes the scale of all."""


@dataclass(frozen=True, eq=False)
class TicoiPrediction:
    """Predictions of held-out pairs.

    Parameters
    ----------
    mean : ndarray, shape (m,)
        Velocity along the flow over the span of the pair [m/yr]; NaN outside the dates of the training pairs.
    half_width : ndarray, shape (m,)
        Half of the interval that should hold 95 % of the readings [m/yr].
    log_density : ndarray, shape (m,)
        Natural logarithm of the predictive density at what the pair did read [m/yr].
    series : TicoiSeries
    """

    mean: NDArray[np.float64]
    half_width: NDArray[np.float64]
    log_density: NDArray[np.float64]
    series: TicoiSeries


def predict_ticoi(train: itslive.ImagePairs, test: itslive.ImagePairs, **options: Any) -> TicoiPrediction:
    """Fit TICOI to some pairs and predict others.

    Parameters
    ----------
    train, test : ImagePairs
    **options
        Of `peers.ticoi.run_ticoi`; a patch must have been made of the training pairs alone.
    """
    direction = flow_direction(train)
    spans = tuple(np.concatenate(both) for both in ((train.start, test.start), (train.end, test.end)))
    series = run_ticoi(train, predict=(spans[0], spans[1]), **options)
    assert series.predicted is not None
    estimate = direction @ series.predicted
    n = len(train)
    residual = along_flow(train, direction) - estimate[:n]
    known = np.isfinite(residual)
    everywhere = _scale(residual[known])
    scale = np.full(len(test), everywhere)
    trained, asked = groups(train), groups(test)
    for group in np.unique(asked):
        own = residual[known & (trained == group)]
        if len(own) >= LEAST:
            scale[asked == group] = _scale(own)
    mean = estimate[n:]
    return TicoiPrediction(
        mean,
        student.ppf(0.975, FREEDOM) * scale,
        student.logpdf(along_flow(test, direction) - mean, FREEDOM, scale=scale),
        series,
    )


def groups(pairs: itslive.ImagePairs) -> NDArray[np.str_]:
    """Name the mission and the class of spans of every pair: what gets a scale of its own, shape (n,)."""
    classes = np.searchsorted(_CLASSES, pairs.span).astype(str)
    return np.char.add(pairs.mission, classes)


def _scale(residual: NDArray[np.float64]) -> float:
    """Give the scale of a Student t of highest likelihood, by the usual reweighting."""
    variance = float(np.median(np.abs(residual)) ** 2 / student.ppf(0.75, FREEDOM) ** 2)
    for _ in range(200):
        weight = (FREEDOM + 1) / (FREEDOM + residual**2 / variance)
        variance = float(np.mean(weight * residual**2))
    return variance**0.5
