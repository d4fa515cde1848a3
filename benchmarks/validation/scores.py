"""Hold series against what is known of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from truths import Acquisitions

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray
    from truths import Simulation

__all__ = [
    "REACH",
    "Score",
    "along",
    "averaged",
    "edges_of",
    "geometric_mean",
    "inside",
    "per_cent",
    "score",
    "vectors",
]

REACH = 1.96
"""Half of a 95 % band, in standard deviations."""


@dataclass(frozen=True)
class Score:
    """An estimate beside the truth.

    Parameters
    ----------
    rmse : float
        Of the velocity along the flow [m/yr].
    coverage, coverage_along : float
        Share of the bands of 1.96 standard deviations that hold the truth: of vx and vy; along the flow.
    band : float
        Median standard deviation of a component [m/yr].
    """

    rmse: float
    coverage: float = np.nan
    coverage_along: float = np.nan
    band: float = np.nan


def edges_of(series: xr.Dataset) -> NDArray[np.float64]:
    """Give start and end of all cells [days since 1970-01-01], shape (M, 2)."""
    edges: NDArray[np.float64] = (
        series["time_bnds"].values.astype("datetime64[ns]").astype("int64") / 86_400e9
    )
    return edges


def vectors(series: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give velocity and standard deviation of both components [m/yr], each of shape (2, M)."""
    v = np.stack([series["vx"].values, series["vy"].values])
    if "vx_std" not in series:
        return v, np.full_like(v, np.nan)
    return v, np.stack([series["vx_std"].values, series["vy_std"].values])


def along(
    series: xr.Dataset, direction: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give velocity and standard deviation along a direction [m/yr], each of shape (M,)."""
    v, std = vectors(series)
    spread: NDArray[np.float64] = np.hypot(*(direction[:, None] * std))
    return direction @ v, spread


def inside(centres: NDArray[np.float64], at: Acquisitions) -> NDArray[np.bool_]:
    """Tell which times lie between the 1st and the 99th percentile of all acquisition dates."""
    low, high = np.quantile(np.concatenate([at.start, at.end]), [0.01, 0.99])
    return (centres > low) & (centres < high)


def score(series: xr.Dataset, simulation: Simulation, at: Acquisitions | None = None) -> Score:
    """Hold a series against the truth, over the cells that a pair overlaps.

    Parameters
    ----------
    series : Dataset
    simulation : Simulation
    at : Acquisitions, optional
        Cells inside whose dates count; default: those of the simulated pairs.
    """
    if at is None:
        pairs = simulation.pairs
        at = Acquisitions(pairs.start, pairs.end, pairs.mission)
    cells = edges_of(series)
    v, std = vectors(series)
    keep = inside(cells.mean(axis=1), at) & np.isfinite(v[0]) & (series["n_pairs"].values > 0)
    direction = simulation.direction
    error = (v - simulation.mean(*cells.T) * direction[:, None])[:, keep]
    error_along = direction @ error
    rmse = float(np.sqrt(np.mean(error_along**2)))
    if "vx_std" not in series:
        return Score(rmse)
    std = std[:, keep]
    std_along = np.hypot(*(direction[:, None] * std))
    return Score(
        rmse,
        float(np.mean(np.abs(error) < REACH * std)),
        float(np.mean(np.abs(error_along) < REACH * std_along)),
        float(np.median(std)),
    )


def averaged(series: xr.Dataset, cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average a series over longer cells, shape (2, cells); NaN where a part is unknown."""
    edges, (v, _) = edges_of(series), vectors(series)
    known = np.isfinite(v[0])
    days = np.diff(edges, axis=1)[:, 0]
    times = np.append(edges[:, 0], edges[-1, 1])

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        running = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0) * days)])
        gained: NDArray[np.float64] = np.diff(np.interp(cells, times, running), axis=1)[:, 0]
        return gained

    length = cells[:, 1] - cells[:, 0]
    whole = total(np.ones_like(days)) > 0.999 * length
    return np.where(whole, np.stack([total(v[0]), total(v[1])]) / length, np.nan)


def geometric_mean(values: Iterable[float]) -> float:
    """Give the geometric mean of what is known of some values."""
    logarithms = np.log(np.array(list(values), dtype=np.float64))
    return float(np.exp(np.nanmean(logarithms)))


def per_cent(share: float, digits: int = 0) -> str:
    """Write a share in per cent."""
    return f"{100 * share:.{digits}f} %"
