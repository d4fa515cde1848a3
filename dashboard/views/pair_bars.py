"""Image pairs as what they are, averages over a span: bars from their first to their second image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS, REJECTED_COLOUR, REJECTED_LABEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core import ImagePairs

__all__ = ["LAYERS", "Bars", "bar_alpha", "bar_columns", "bar_hover", "pair_bars", "values_of"]

LAYERS = (None, *MISSION_COLOURS)
"""From the back to the front: what was rejected, then each mission."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Image pairs to draw.

    Parameters
    ----------
    pairs : ImagePairs
        What the filters on metadata leave.
    keep : ndarray of bool, shape (n,)
        False for those that the filter on values rejected: they are drawn in grey.
    """

    pairs: ImagePairs
    keep: NDArray[np.bool_]


def _dates(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
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
    """Return the columns of the bars of one mission, or of the rejected pairs where it is None.

    Returns
    -------
    dict of ndarray, shape (n,)
        start, end [datetime64]; value, value_end, error [m/yr]; span [days].
    """
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
    mine = bars.keep & (pairs.mission == mission) if mission else ~bars.keep
    value = values_of(pairs, component)[mine]
    return {
        "start": _dates(pairs.start[mine]),
        "value": value,
        "end": _dates(pairs.end[mine]),
        "value_end": value,
        "span": (pairs.end - pairs.start)[mine],
        "error": _errors_of(pairs, component)[mine],
    }


def bar_alpha(bars: Bars | None, mission: str | None) -> float:
    """Return the opacity of bars: thousands must stay readable, so fainter, the more there are."""
    count = len(bars.pairs) if bars is not None else 0
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
        One of `itslive_core.MISSIONS`; None for the pairs that were rejected.
    """
    columns = bar_columns(bars, component, mission)
    return hv.Segments(
        tuple(columns.values()),
        ["start", "value", "end", "value_end"],
        ["span", "error"],
        label=MISSION_LABELS[mission] if mission else REJECTED_LABEL,
    ).opts(alpha=bar_alpha(bars, mission), color=MISSION_COLOURS[mission] if mission else REJECTED_COLOUR)


def bar_hover(mission: str | None) -> HoverTool:
    """Make the tool that tells dates, span and value of a pair of a layer."""
    return HoverTool(
        tooltips=[
            ("Image pair", MISSION_LABELS[mission] if mission else REJECTED_LABEL),
            ("From", "@start{%d %b %Y}"),
            ("To", "@end{%d %b %Y}"),
            ("Span", "@span{0.0} days"),
            ("Value", "@value{0,0} ± @error{0,0} m/yr"),
        ],
        formatters={"@start": "datetime", "@end": "datetime"},
        point_policy="follow_mouse",
        visible=False,
    )
