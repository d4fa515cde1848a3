"""Estimates as curves with their bands, bold where data hold them and faint where they hardly do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd
from bokeh.models import HoverTool

from dashboard.colours import POINT_COLOURS
from itslive_core.series.warnings import words_of
from itslive_core.support.band_level import BAND_REACH

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from dashboard.state.pictures import Curve

__all__ = [
    "BAND_ALPHA",
    "GRADES",
    "band",
    "band_outline",
    "band_pieces",
    "curve",
    "curve_frame",
    "curve_hover",
    "curve_sources",
    "curve_style",
    "gap_line",
    "held",
    "held_line",
    "in_gaps",
    "other_curves",
    "second_band",
    "second_line",
    "second_sources",
    "support",
    "without_gaps",
]

GRADES = (0, 1, 2, 3)
"""How well a cell is held by data: hardly, loosely, well. 0 is a gap, which a Gaussian process fills."""
BAND_ALPHA = {0: 0.05, 1: 0.08, 2: 0.16, 3: 0.28}
"""Opacity of the band by grade."""
_SECOND_ALPHA = 0.16
_SAID = ("std", "noted")
"""Columns that a tool tells of a cell."""
_FEW, _MANY = 3, 10
"""Pairs that overlap a cell: fewer than three cannot outvote an outlier, ten and more can."""
_SEASON, _YEAR = 90.0, 365.0
"""Times over which an estimate may average to show seasons, or at least years [days]."""


def support(dataset: xr.Dataset) -> NDArray[np.int8]:
    """Grade how well each cell is held by data.

    Well (3): at least ten used pairs overlap the cell and cover most of it; loosely (2): at least three, and
    some of it; hardly (1): less. Where the estimate knows its temporal resolution, a cell that averages over
    more than a season is loosely held at most, and over more than a year hardly.

    Parameters
    ----------
    dataset : Dataset
        A series: ``n_pairs``, ``coverage``, and perhaps ``resolution`` [days].

    Returns
    -------
    ndarray of int8, shape (time,)
        One of `GRADES`; 0 where no pair overlaps the cell.
    """
    count, covered = dataset["n_pairs"].values, dataset["coverage"].values
    grade = np.where(count > 0, 1, 0)
    grade[(count >= _FEW) & (covered >= 0.25)] = 2
    grade[(count >= _MANY) & (covered >= 0.75)] = 3
    if "resolution" in dataset:
        days = dataset["resolution"].values
        grade[(days > _SEASON) & (grade == 3)] = 2
        grade[(days > _YEAR) & (grade == 2)] = 1
    return grade.astype(np.int8)


def curve_frame(dataset: xr.Dataset | None, component: str) -> pd.DataFrame:
    """Return the columns that a curve and its band are drawn from; NaN in the gaps.

    Returns
    -------
    DataFrame
        By cell: time, begin, end [datetime64]; value, low, high, std [m/yr]; grade; noted, what its quality
        says in words. The band of the speed is its interval, which is not symmetric near 0.
    """
    if dataset is None:
        dates, numbers = np.empty(0, "datetime64[ns]"), np.empty(0)
        columns = dict.fromkeys(("value", "low", "high", "std"), numbers)
        columns |= {"grade": numbers, "noted": np.empty(0, dtype=object)}
        return pd.DataFrame({"time": dates, "begin": dates, "end": dates, **columns})
    value = np.asarray(dataset[component].values, dtype=float)
    name = f"{component}_std"
    std = np.asarray(dataset[name].values, dtype=float) if name in dataset else np.full_like(value, np.nan)
    low, high = value - BAND_REACH * std, value + BAND_REACH * std
    if component == "v":
        low = np.maximum(low, 0.0)
        if "v_lower" in dataset:
            low, high = (np.asarray(dataset[limit].values, dtype=float) for limit in ("v_lower", "v_upper"))
    flags = dataset["quality"].values if "quality" in dataset else np.zeros(len(value), dtype=np.int16)
    begin, end = dataset["time_bnds"].values.T
    return pd.DataFrame(
        {
            "time": dataset["time"].values,
            "begin": begin,
            "end": end,
            "value": value,
            "low": low,
            "high": high,
            "std": std,
            "grade": support(dataset),
            "noted": np.array([words or "nothing" for words in words_of(flags)], dtype=object),
        }
    )


def band_pieces(data: pd.DataFrame, grade: int) -> pd.DataFrame:
    """Cut out the parts of a band that are of one grade.

    A part reaches from the begin of its first cell to the end of its last one: there it meets the next part
    without a gap or an overlap, and a single cell between two gaps is still seen.

    Parameters
    ----------
    data : DataFrame
        From `curve_frame`.
    grade : int
        One of `GRADES`.

    Returns
    -------
    DataFrame
        Columns time, low, high; a row of NaN between two parts.
    """
    edges = {name: _at_edges(data[name].to_numpy()) for name in ("low", "high")}
    edges["time"] = data["begin"].to_numpy(), data["end"].to_numpy()
    known = np.isfinite(data["low"].to_numpy()) & np.isfinite(data["high"].to_numpy())
    runs = _runs(known & (data["grade"].to_numpy() == grade))
    columns = {}
    for name in ("time", "low", "high"):
        values, (before, after) = data[name].to_numpy(), edges[name]
        gap = np.array(["NaT" if name == "time" else np.nan], values.dtype)
        parts = [
            part
            for first, last in runs
            for part in (before[first : first + 1], values[first:last], after[last - 1 : last], gap)
        ]
        columns[name] = np.concatenate(parts[:-1]) if parts else values[:0]
    return pd.DataFrame(columns)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where runs of True begin and end."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(turns[::2], turns[1::2], strict=True)]


def _at_edges(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values at both ends of each cell: means of neighbours, the cell's own beside a gap."""
    means = 0.5 * (values[:-1] + values[1:])
    before, after = np.append(values[:1], means), np.append(means, values[-1:])
    return np.where(np.isfinite(before), before, values), np.where(np.isfinite(after), after, values)


def band(one: Curve | None, component: str, grade: int) -> hv.Area:
    """Draw the parts of the band of an estimate that are of one grade; gaps stay gaps."""
    data = band_pieces(curve_frame(one.dataset if one else None, component), grade)
    return _area(data, one, BAND_ALPHA[grade])


def _area(data: pd.DataFrame, one: Curve | None, alpha: float) -> hv.Area:
    colour = one.colour if one else POINT_COLOURS[0]
    return data.hvplot.area(x="time", y="low", y2="high", hover=False, responsive=True, sort_date=False).opts(
        color=colour, alpha=alpha, line_alpha=0.0, apply_ranges=False
    )


def band_outline(pieces: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the outline of a band as one patch, its pieces separated by NaN.

    Parameters
    ----------
    pieces : DataFrame
        Columns time, low, high; NaN in the gaps.
    """
    time, low, high = (pieces[name].to_numpy() for name in ("time", "low", "high"))
    x: list[NDArray[Any]] = []
    y: list[NDArray[Any]] = []
    for first, last in _runs(np.isfinite(low) & np.isfinite(high)):
        piece = slice(first, last)
        x += [time[piece], time[piece][::-1], time[first : first + 1]]
        y += [low[piece], high[piece][::-1], np.array([np.nan])]
    if not x:
        return {"x": time[:0], "y": low[:0]}
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


def curve(one: Curve | None, component: str) -> hv.Curve:
    """Draw an estimate as a thin line; cells without a pair are gaps, or are left to `gap_line`."""
    return _line(without_gaps(curve_frame(one.dataset if one else None, component)), one, 1.3)


def gap_line(one: Curve | None, component: str) -> hv.Curve:
    """Draw what an estimate says where there is no pair as a thin dotted line."""
    return _line(in_gaps(curve_frame(one.dataset if one else None, component)), one, 1.3).opts(
        line_dash="dotted", line_alpha=0.8
    )


def held_line(one: Curve | None, component: str) -> hv.Curve:
    """Draw the parts of an estimate that data hold well as a bold line."""
    return _line(held(curve_frame(one.dataset if one else None, component)), one, 2.8, said=())


def held(data: pd.DataFrame) -> pd.DataFrame:
    """Keep of a curve what data hold well; the rest becomes NaN."""
    return _only(data, data["grade"].to_numpy() == GRADES[-1])


def without_gaps(data: pd.DataFrame) -> pd.DataFrame:
    """Keep of a curve the cells that pairs overlap; the rest becomes NaN."""
    return _only(data, data["grade"].to_numpy() > 0)


def in_gaps(data: pd.DataFrame) -> pd.DataFrame:
    """Keep of a curve the cells without a pair, and their neighbours, so that lines meet."""
    gap = data["grade"].to_numpy() == 0
    near = gap.copy()
    near[1:] |= gap[:-1]
    near[:-1] |= gap[1:]
    return _only(data, near)


def _only(data: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    """Keep some cells of a curve, and what is said of them."""
    keep = keep & np.isfinite(data["value"].to_numpy(dtype=float))
    return data.assign(
        value=data["value"].where(keep), std=data["std"].where(keep), noted=data["noted"].where(keep, "")
    )


def second_band(one: Curve | None, component: str, *, gaps: bool) -> hv.Area:
    """Draw the band of a second estimate of the same point, in gaps or elsewhere."""
    shown = _second_pieces(curve_frame(one.dataset if one else None, component), gaps=gaps)
    return _area(shown, one, BAND_ALPHA[0] if gaps else _SECOND_ALPHA)


def _second_pieces(data: pd.DataFrame, *, gaps: bool) -> pd.DataFrame:
    """Cut out the parts of a band in gaps, or elsewhere."""
    two = data.assign(grade=np.where(data["grade"] == 0, 0, GRADES[-1]))
    return band_pieces(two, 0 if gaps else GRADES[-1])


def second_line(one: Curve | None, component: str) -> hv.Curve:
    """Draw a second estimate of the same point as a dashed line."""
    data = curve_frame(one.dataset if one else None, component)
    return _line(data, one, 2.0).opts(line_dash=[7, 3])


def _line(data: pd.DataFrame, one: Curve | None, width: float, said: tuple[str, ...] = _SAID) -> hv.Curve:
    """Draw a line; its source holds what a tool says of its cells, too."""
    colour = one.colour if one else POINT_COLOURS[0]
    drawn = data.hvplot.line(x="time", y="value", hover_cols=list(said), hover=False, responsive=True)
    return drawn.opts(color=colour, line_width=width, apply_ranges=False)


def curve_sources(one: Curve | None, component: str) -> dict[str, dict[str, NDArray[Any]]]:
    """Return what the layers of an estimate are drawn from, by name: its bands and its three lines."""
    data = curve_frame(one.dataset if one else None, component)
    bands = {f"band {grade}": band_outline(band_pieces(data, grade)) for grade in GRADES}
    lines = {"gap": in_gaps(data), "curve": without_gaps(data)}
    return {
        **bands,
        "held": _line_columns(held(data), ()),
        **{name: _line_columns(line) for name, line in lines.items()},
    }


def second_sources(one: Curve | None, component: str) -> dict[str, dict[str, NDArray[Any]]]:
    """Return what the layers of a second estimate are drawn from, by name."""
    data = curve_frame(one.dataset if one else None, component)
    return {
        "second band in gaps": band_outline(_second_pieces(data, gaps=True)),
        "second band": band_outline(_second_pieces(data, gaps=False)),
        "second": _line_columns(data),
    }


def curve_style(name: str, one: Curve | None) -> dict[str, str]:
    """Return the colour of a layer of an estimate."""
    colour = one.colour if one else POINT_COLOURS[0]
    return {"fill_color" if "band" in name else "line_color": colour}


def _line_columns(data: pd.DataFrame, said: tuple[str, ...] = _SAID) -> dict[str, NDArray[Any]]:
    return {column: data[column].to_numpy() for column in ("time", "value", *said)}


def other_curves(others: list[Curve], component: str) -> hv.Contours:
    """Draw the estimates of the points that are not active, as thin lines in their colours, but for gaps."""
    paths = []
    for one in others:
        data = without_gaps(curve_frame(one.dataset, component))
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


def curve_hover(name: str = "Estimate") -> HoverTool:
    """Make the tool that tells the estimate of a cell."""
    return HoverTool(
        tooltips=[
            (name, "@value{0,0.0} m/yr"),
            ("± 1 std", "@std{0,0.0} m/yr"),
            ("Cell", "@time{%d %b %Y}"),
            ("Noted", "@noted"),
        ],
        formatters={"@time": "datetime"},
        visible=False,
        line_policy="nearest",
    )
