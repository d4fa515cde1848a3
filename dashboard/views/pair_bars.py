"""Image pairs as what they are, averages over a span: bars from their first to their second image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from dashboard.colours import (
    LEFT_OUT_COLOUR,
    LEFT_OUT_LABEL,
    MISSION_COLOURS,
    MISSION_LABELS,
    REJECTED_COLOUR,
    REJECTED_LABEL,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dashboard.state.pictures import Bars
    from itslive_core import ImagePairs

__all__ = [
    "ALL",
    "BY_HAND",
    "LAYERS",
    "all_bars",
    "all_columns",
    "bar_alpha",
    "bar_columns",
    "bar_hover",
    "bar_name",
    "bar_sources",
    "moments",
    "pair_bars",
    "rows_of_layer",
    "values_of",
]

BY_HAND = "by hand"
"""The layer of what was left out by hand."""
LAYERS = (None, *MISSION_COLOURS, BY_HAND)
"""From the back to the front: what was rejected, then each mission, then what was left out by hand."""
ALL = "all"
"""The one layer that holds them all."""


def moments(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Days since 1970 -> datetime64[ms]."""
    return np.round(np.asarray(days) * 86_400_000.0).astype("int64").astype("datetime64[ms]")


def values_of(pairs: ImagePairs, component: str) -> NDArray[np.float64]:
    """Return a component or the speed of image pairs [m/yr], shape (n,)."""
    return np.hypot(pairs.vx, pairs.vy) if component == "v" else np.asarray(getattr(pairs, component))


def _errors_of(pairs: ImagePairs, component: str) -> NDArray[np.float64]:
    if component in {"vx", "vy"}:
        return np.asarray(getattr(pairs, f"{component}_error"))
    return np.sqrt((np.square(pairs.vx_error) + np.square(pairs.vy_error)) / 2)


def bar_columns(bars: Bars | None, component: str, mission: str | None) -> dict[str, NDArray[Any]]:
    """Return the columns of the bars of one mission, `BY_HAND`, or of the rejected pairs where it is None.

    Returns
    -------
    dict of ndarray, shape (n,)
        start, end [datetime64]; value, value_end, error [m/yr]; span [days].
    """
    if bars is None:
        return _columns(None, component, None)
    return _columns(bars, component, np.flatnonzero(rows_of_layer(bars, mission)))


def rows_of_layer(bars: Bars, mission: str | None) -> NDArray[np.bool_]:
    """Tell which pairs are in a layer of `LAYERS`, shape (n,)."""
    if mission is None:
        return ~bars.keep & ~bars.left_out
    return bars.left_out if mission == BY_HAND else bars.keep & (bars.pairs.mission == mission)


def all_columns(bars: Bars | None, component: str) -> dict[str, NDArray[Any]]:
    """Return the columns of the bars of all missions, rejected ones first, with their colours and names.

    Returns
    -------
    dict of ndarray, shape (n,)
        As `bar_columns`; colour, and what the pair is, in words.
    """
    if bars is None or len(bars.pairs) == 0:
        words = np.empty(0, dtype=object)
        return {**_columns(None, component, None), "colour": words, "what": words}
    rows = np.argsort(bars.keep, kind="stable")
    layers = np.where(bars.keep, bars.pairs.mission, np.where(bars.left_out, BY_HAND, "")).astype(object)
    colours = {**MISSION_COLOURS, BY_HAND: LEFT_OUT_COLOUR, "": f"{REJECTED_COLOUR}50"}
    return {
        **_columns(bars, component, rows),
        "colour": np.array([colours[one] for one in layers[rows]], dtype=object),
        "what": np.array([_label(one or None) for one in layers[rows]], dtype=object),
    }


def _label(mission: str | None) -> str:
    """Name a layer as a person reads it."""
    if mission is None:
        return REJECTED_LABEL
    return LEFT_OUT_LABEL if mission == BY_HAND else MISSION_LABELS[mission]


def _colour(mission: str | None) -> str:
    """Return the colour of a layer."""
    if mission is None:
        return REJECTED_COLOUR
    return LEFT_OUT_COLOUR if mission == BY_HAND else MISSION_COLOURS[mission]


def _columns(bars: Bars | None, component: str, rows: NDArray[np.integer] | None) -> dict[str, NDArray[Any]]:
    if bars is None or len(bars.pairs) == 0:
        empty, never = np.empty(0), np.empty(0, "datetime64[ms]")
        return {
            "start": never,
            "value": empty,
            "end": never,
            "value_end": empty,
            "span": empty,
            "error": empty,
        }
    pairs = bars.pairs
    value = values_of(pairs, component)[rows]
    return {
        "start": moments(pairs.start[rows]),
        "value": value,
        "end": moments(pairs.end[rows]),
        "value_end": value,
        "span": (pairs.end - pairs.start)[rows],
        "error": _errors_of(pairs, component)[rows],
    }


def bar_name(mission: str | None) -> str:
    """Name the layer of a mission, of the rejected pairs (None) or of `ALL`."""
    return f"bars {mission}"


def bar_sources(
    bars: Bars | None, component: str, layers: Sequence[str | None]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return what layers of bars are drawn from, by name."""
    return {
        bar_name(one): all_columns(bars, component) if one == ALL else bar_columns(bars, component, one)
        for one in layers
    }


def bar_alpha(bars: Bars | None, mission: str | None) -> float:
    """Return the opacity of bars: thousands must stay readable, so fainter, the more there are."""
    count = len(bars.pairs) if bars is not None else 0
    if mission == BY_HAND:
        return 0.9
    alpha = float(np.clip(35.0 / np.sqrt(max(count, 1)), 0.35, 0.9))
    return alpha if mission else 0.3 * alpha


def pair_bars(bars: Bars | None, component: str, mission: str | None) -> hv.Segments:
    """Draw image pairs as bars from their first to their second image.

    Parameters
    ----------
    bars : Bars or None
        None gives an empty element.
    component : {"v", "vx", "vy"}
        What is drawn [m/yr].
    mission : str or None
        One of `itslive_core.observations.missions.MISSIONS`; `BY_HAND` for those that were left out by hand;
        None for the pairs that were rejected.
    """
    columns = bar_columns(bars, component, mission)
    return hv.Segments(
        tuple(columns.values()),
        ["start", "value", "end", "value_end"],
        ["span", "error"],
        label=_label(mission),
    ).opts(
        alpha=bar_alpha(bars, mission),
        color=_colour(mission),
        line_dash="dashed" if mission == BY_HAND else "solid",
    )


def all_bars(bars: Bars | None, component: str) -> hv.Segments:
    """Draw the image pairs of all missions in one layer, which is cheaper and knows no legend."""
    columns = all_columns(bars, component)
    return hv.Segments(
        tuple(columns.values()), ["start", "value", "end", "value_end"], ["span", "error", "colour", "what"]
    ).opts(alpha=bar_alpha(bars, ALL), color="colour", show_legend=False)


def bar_hover(mission: str | None) -> HoverTool:
    """Make the tool that tells dates, span and value of a pair of a layer."""
    name = "@what" if mission == ALL else _label(mission)
    return HoverTool(
        tooltips=[
            ("Image pair", name),
            ("From", "@start{%d %b %Y}"),
            ("To", "@end{%d %b %Y}"),
            ("Span", "@span{0.0} days"),
            ("Value", "@value{0,0} ± @error{0,0} m/yr"),
        ],
        formatters={"@start": "datetime", "@end": "datetime"},
        point_policy="follow_mouse",
        visible=False,
    )
