"""Weights of the observations before any robust reweighting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["observation_variance", "observation_weights", "weights_of"]


def observation_variance(
    kind: str,
    offsets: NDArray[np.int64],
    pair: NDArray[np.int32],
    span: NDArray[np.float64],
    vx_error: NDArray[np.float64],
    vy_error: NDArray[np.float64],
    mission: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Give every observation the variance that is assumed of it, in each component.

    Parameters
    ----------
    kind : {"none", "span", "error"}
        All 1; 1 / span^2; or sigma^2 = (vx_error^2 + vy_error^2) / 2 [m^2/yr^2], where a missing or
        non-positive error is replaced by the median of its mission at the pixel (without one: of all).
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Pair of each observation.
    span, vx_error, vy_error : ndarray, shape (T,)
        Span [days] and formal errors [m/yr] of the pairs.
    mission : ndarray of int, shape (T,)
        Number of the mission of each pair.

    Returns
    -------
    ndarray, shape (n,)
    """
    if kind == "none":
        return np.ones(len(pair))
    if kind == "span":
        return 1.0 / span[pair] ** 2
    good = [np.isfinite(e) & (e > 0) for e in (vx_error, vy_error)]
    squares = np.where(good[0] & good[1], vx_error**2 + vy_error**2, np.nan)[pair]
    for p in np.flatnonzero(_any_per_pixel(np.isnan(squares), offsets)):
        here = slice(int(offsets[p]), int(offsets[p + 1]))
        rows = pair[here]
        squares[here] = sum(
            _filled(e[rows], ok[rows], mission[rows]) ** 2
            for e, ok in zip((vx_error, vy_error), good, strict=True)
        )
    return squares / 2.0


def observation_weights(
    kind: str,
    offsets: NDArray[np.int64],
    pair: NDArray[np.int32],
    span: NDArray[np.float64],
    vx_error: NDArray[np.float64],
    vy_error: NDArray[np.float64],
    mission: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Give every observation its weight, of mean 1 over each pixel; parameters of `observation_variance`."""
    return weights_of(observation_variance(kind, offsets, pair, span, vx_error, vy_error, mission), offsets)


def weights_of(variance: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn variances into weights: 1 / variance, scaled to mean 1 over each pixel.

    Parameters
    ----------
    variance : ndarray, shape (n,)
        From `observation_variance`.
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].

    Returns
    -------
    ndarray, shape (n,)
    """
    weights = 1.0 / variance
    sizes = np.diff(offsets)
    total = np.concatenate(([0.0], np.cumsum(weights)))
    mean = (total[offsets[1:]] - total[offsets[:-1]]) / np.maximum(sizes, 1)
    return weights / np.repeat(mean, sizes)


def _any_per_pixel(flags: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    below = np.concatenate(([0], np.cumsum(flags)))
    return below[offsets[1:]] > below[offsets[:-1]]


def _filled(
    error: NDArray[np.float64], good: NDArray[np.bool_], mission: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Replace bad errors by the median of their mission, or of all, or by 1 where there is none at all."""
    out = np.where(good, error, np.nan)
    overall = np.median(error[good]) if good.any() else 1.0
    for number in np.unique(mission[~good]):
        same = mission == number
        known = same & good
        out[same & ~good] = np.median(error[known]) if known.any() else overall
    return out
