"""How the series of points differ from that of the first one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from dashboard.state.pictures import Curve, PointSeries

__all__ = ["COMPONENTS", "difference_of", "differences"]

COMPONENTS = ("v", "vx", "vy")


def difference_of(one: xr.Dataset, first: xr.Dataset) -> xr.Dataset:
    """Return a series less another, cell by cell, where both have the cell.

    Parameters
    ----------
    one, first : Dataset
        Series of the same interval.

    Returns
    -------
    Dataset
        Dimension ``time``: ``dv``, ``dvx``, ``dvy`` and their standard deviations [m/yr], as of independent
        errors; ``n_pairs`` and ``coverage``, the smaller of both.
    """
    _, here, there = np.intersect1d(one["time"].values, first["time"].values, return_indices=True)
    a, b = one.isel(time=here), first.isel(time=there)
    out = a[["time_bnds"]]
    for name in COMPONENTS:
        out[f"d{name}"] = ("time", a[name].values - b[name].values)
        if f"{name}_std" in a and f"{name}_std" in b:
            std = np.hypot(a[f"{name}_std"].values, b[f"{name}_std"].values)
            out[f"d{name}_std"] = ("time", std)
    for name in ("n_pairs", "coverage"):
        out[name] = ("time", np.minimum(a[name].values, b[name].values))
    return out


def differences(points: Sequence[PointSeries]) -> list[Curve]:
    """Return the differences of all points to the first one, in their colours; the active one last.

    Parameters
    ----------
    points : sequence of PointSeries
        The last one is active; the first is that which was selected first.
    """
    if not points:
        return []
    first = min(points, key=lambda one: one.key)
    if first.curve is None:
        return []
    dataset = first.curve.dataset
    return [
        replace(one.curve, dataset=difference_of(one.curve.dataset, dataset))
        for one in points
        if one is not first and one.curve is not None
    ]
