"""ITS_LIVE_TOOL's inversion as a reference: dense, unweighted, not robust, with its overlaps put right.

    minimise  sum_j (sum_k A_jk v_k - d_j)^2 + (lambda / h^2)^2 ||D_2 v||^2      lambda = 10, h = 12 days

for vx and vy alone, by normal equations. A_jk is the share of pair j's span inside cell k; ITS_LIVE_TOOL's
own rows are wrong for pairs inside one cell, and its first pair is lost: neither is repeated here. Cells that
no pair touches are NaN. Nothing of `itslive_core`'s algebra is used.

    python benchmarks/peers/itslive_tool.py path/to/cube.zarr --lon LON --lat LAT

checks that `itslive_core.invert` with the preset "itslive-tool" gives the same series.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

__all__ = ["SMOOTHINGS", "best_smoothing", "invert_dense", "largest_difference"]

SMOOTHINGS = tuple(10.0 ** (0.25 * i) for i in range(25))
"""lambda from 1 to 1e6, four a decade."""

Solution = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


def invert_dense(pairs: itslive.ImagePairs, smoothing: float = 10.0, interval: float = 12.0) -> Solution:
    """Invert the pairs of one pixel.

    Parameters
    ----------
    pairs : ImagePairs
    smoothing : float
        lambda.
    interval : float
        h [days]; edges lie on its multiples since 1970-01-01.

    Returns
    -------
    edges : ndarray, shape (M + 1,)
        Cell edges [days since 1970-01-01].
    vx, vy : ndarray, shape (M,)
        [m/yr]; NaN in cells that no pair touches.
    """
    return next(iter(_solve(pairs, (smoothing,), interval)))


def best_smoothing(
    pairs: itslive.ImagePairs,
    score: Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], float],
    smoothings: Iterable[float] = SMOOTHINGS,
    interval: float = 12.0,
) -> tuple[float, float, NDArray[np.float64]]:
    """Find the lambda that suits the truth best: the most that the method could do.

    Parameters
    ----------
    pairs : ImagePairs
    score : callable
        Takes edges, vx and vy as `invert_dense` gives them, and gives, say, the RMSE against a truth that it
        knows; the least wins.
    smoothings : iterable of float
    interval : float
        [days].

    Returns
    -------
    smoothing, least : float
        The best lambda and its score.
    scores : ndarray
        Of every lambda.
    """
    lambdas = tuple(smoothings)
    scores = np.array([score(*solution) for solution in _solve(pairs, lambdas, interval)])
    best = int(np.nanargmin(scores))
    return lambdas[best], float(scores[best]), scores


def largest_difference(pairs: itslive.ImagePairs) -> float:
    """Compare with `itslive_core.invert` under the preset "itslive-tool".

    Returns
    -------
    float
        Largest difference of vx and vy over the largest speed.

    Raises
    ------
    AssertionError
        If the cells differ, or other cells are NaN.
    """
    ours = itslive.invert(pairs, itslive.InversionSettings.preset("itslive-tool"))
    edges, *components = invert_dense(pairs)
    bounds = ours["time_bnds"].to_numpy().astype("datetime64[s]").astype("int64") / 86400
    assert np.array_equal(bounds[:, 0], edges[:-1]), "the cells differ"
    worst = 0.0
    for name, values in zip(("vx", "vy"), components, strict=True):
        assert np.array_equal(np.isnan(values), np.isnan(ours[name])), "the gaps differ"
        worst = max(worst, float(np.nanmax(np.abs(ours[name] - values))))
    return worst / float(np.nanmax(np.hypot(*components)))


def _solve(pairs: itslive.ImagePairs, smoothings: Iterable[float], interval: float) -> Iterable[Solution]:
    low, high = np.floor(pairs.start.min() / interval), np.ceil(pairs.end.max() / interval)
    edges = np.arange(low, high + 1) * interval
    overlap = np.minimum(pairs.end[:, None], edges[1:]) - np.maximum(pairs.start[:, None], edges[:-1])
    a = np.clip(overlap, 0.0, None) / pairs.span[:, None]
    seen = a.any(axis=0)
    gram, right = a.T @ a, a.T @ np.stack([pairs.vx, pairs.vy], axis=1)
    d = np.diff(np.eye(len(edges) - 1), n=2, axis=0)
    penalty = d.T @ d
    for smoothing in smoothings:
        v = np.linalg.solve(gram + (smoothing / interval**2) ** 2 * penalty, right)
        v[~seen] = np.nan
        yield edges, v[:, 0], v[:, 1]


def main() -> None:
    """Check one pixel."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cube")
    parser.add_argument("--lon", type=float, required=True)
    parser.add_argument("--lat", type=float, required=True)
    options = parser.parse_args()
    pairs = itslive.open_cube(options.cube).pairs_at(options.lon, options.lat)
    difference = largest_difference(pairs)
    print(f"{len(pairs):,} pairs: largest difference over largest speed {difference:.1e}")
    if difference > 1e-8:
        raise SystemExit("the two inversions differ")


if __name__ == "__main__":
    main()
