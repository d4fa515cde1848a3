"""Estimates as curves with their bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import holoviews as hv
import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd
from bokeh.models import HoverTool

from dashboard.colours import POINT_COLOURS

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Curve", "band", "band_outline", "curve", "curve_frame", "curve_hover", "other_curves"]

_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Curve:
    """An estimate and the colour of its point."""

    dataset: xr.Dataset
    colour: str
    label: str = ""


def curve_frame(dataset: xr.Dataset | None, component: str) -> pd.DataFrame:
    """Return the columns of a curve and its 95 % band: time, value, low, high, std; NaN in the gaps."""
    if dataset is None:
        empty = np.empty(0)
        return pd.DataFrame(
            {"time": np.empty(0, "datetime64[ns]"), "value": empty, "low": empty, "high": empty, "std": empty}
        )
    value = np.asarray(dataset[component].values, dtype=float)
    name = f"{component}_std"
    std = np.asarray(dataset[name].values, dtype=float) if name in dataset else np.full_like(value, np.nan)
    low, high = value - _Z95 * std, value + _Z95 * std
    if component == "v":
        low = np.maximum(low, 0.0)
    return pd.DataFrame(
        {"time": dataset["time"].values, "value": value, "low": low, "high": high, "std": std}
    )


def band(one: Curve | None, component: str) -> hv.Area:
    """Draw the 95 % band of an estimate; gaps stay gaps."""
    data = curve_frame(one.dataset if one else None, component)
    colour = one.colour if one else POINT_COLOURS[0]
    return data.hvplot.area(x="time", y="low", y2="high", hover=False, responsive=True).opts(
        color=colour, alpha=0.25, line_alpha=0.0, apply_ranges=False
    )


def band_outline(data: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the outline of a band as one patch, its pieces separated by NaN.

    Parameters
    ----------
    data : DataFrame
        Columns time, low, high; NaN in the gaps.
    """
    time, low, high = (data[name].to_numpy() for name in ("time", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    x: list[NDArray[Any]] = []
    y: list[NDArray[Any]] = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        piece = slice(first, last)
        x += [time[piece], time[piece][::-1], time[first : first + 1]]
        y += [low[piece], high[piece][::-1], np.array([np.nan])]
    if not x:
        return {"x": time[:0], "y": low[:0]}
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


def curve(one: Curve | None, component: str) -> hv.Curve:
    """Draw an estimate; cells without a pair are gaps."""
    data = curve_frame(one.dataset if one else None, component)
    colour = one.colour if one else POINT_COLOURS[0]
    return data.hvplot.line(x="time", y="value", hover_cols=["std"], hover=False, responsive=True).opts(
        color=colour, line_width=2.4, apply_ranges=False
    )


def other_curves(others: list[Curve], component: str) -> hv.Contours:
    """Draw the estimates of the points that are not active, as thin lines in their colours."""
    paths = []
    for one in others:
        data = curve_frame(one.dataset, component)
        paths.append(
            {"time": data["time"].to_numpy(), "value": data["value"].to_numpy(), "colour": one.colour}
        )
    if not paths:  # Bokeh must always find the column that colours come from
        paths = [
            {
                "time": np.array(["NaT"] * 2, "datetime64[ns]"),
                "value": np.full(2, np.nan),
                "colour": "#000000",
            }
        ]
    return hv.Contours(paths, ["time", "value"], "colour").opts(
        color=hv.dim("colour"), line_width=1.8, apply_ranges=False, show_legend=False
    )


def curve_hover() -> HoverTool:
    """Make the tool that tells the estimate of a cell."""
    return HoverTool(
        tooltips=[
            ("Estimate", "@value{0,0.0} m/yr"),
            ("± 1 std", "@std{0,0.0} m/yr"),
            ("Cell", "@time{%d %b %Y}"),
        ],
        formatters={"@time": "datetime"},
        visible=False,
        line_policy="nearest",
    )
