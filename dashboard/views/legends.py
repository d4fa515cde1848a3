"""Legends of the series: missions and lines above it, and why pairs are not used inside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.core.properties import field
from bokeh.models import Legend, LegendItem

from dashboard.colours import REJECTED_LABEL
from itslive_core.support.band_level import BAND_WORDS

__all__ = [
    "METHOD_NAMES",
    "calm_legend",
    "lead_with_estimate",
    "lines_legend",
    "reasons_legend",
    "show_what_is_there",
]

_ESTIMATE = "Estimate"
_BAND = f"{BAND_WORDS} band"
METHOD_NAMES = ("Inversion", "Gaussian process")
"""Names of the main and the second curve of a point."""

_STYLE: dict[str, Any] = {
    "label_text_font_size": "12px",
    "background_fill_alpha": 0.75,
    "border_line_alpha": 0.0,
    "margin": 0,
}


def calm_legend(legend: Legend) -> None:
    """Keep a legend small; a click on a name hides its layer."""
    legend.update(click_policy="hide", spacing=12, padding=2, **_STYLE)


def lead_with_estimate(legend: Legend, lines: list[Any], bands: list[Any]) -> None:
    """Put the estimate and its band first in the legend of the missions, and what was rejected last.

    Parameters
    ----------
    legend : Legend
        Of the missions.
    lines, bands : list of GlyphRenderer
        What draws the estimate, and its band.
    """
    own = {_ESTIMATE, _BAND}
    others = [item for item in legend.items if item.label.value not in own]
    legend.items = [
        LegendItem(label=_ESTIMATE, renderers=lines),
        LegendItem(label=_BAND, renderers=bands),
        *sorted(others, key=lambda item: item.label.value == REJECTED_LABEL),
    ]


def show_what_is_there(legend: Legend, *, of_two: bool = False) -> None:
    """Name only layers that hold something; of two estimates another legend tells."""
    for item in legend.items:
        item.visible = any(_holds_something(one.data_source.data) for one in item.renderers)
        if of_two and item.label.value == _ESTIMATE:
            item.visible = False


def _holds_something(columns: Any) -> bool:
    """Whether a source has a value to draw."""
    values = columns.get("value", columns.get("y", ()))
    return len(values) > 0 and bool(np.isfinite(np.asarray(values, dtype=float)).any())


def reasons_legend(crosses: Any) -> Legend:
    """Make a legend with one entry for each reason among the crosses; hidden at first.

    Parameters
    ----------
    crosses : GlyphRenderer
        Its source holds the reasons in a column ``step``.
    """
    item = LegendItem(label=field("step"), renderers=[crosses])
    return Legend(items=[item], location="top_left", padding=4, visible=False, **_STYLE)


def lines_legend(main: Any, second: Any) -> Legend:
    """Make the legend that tells both estimates of a point apart; hidden at first.

    It stands outside the frame: legends are see-through here, in light and in dark.

    Parameters
    ----------
    main, second : GlyphRenderer
        Their lines.
    """
    items = [
        LegendItem(label=name, renderers=[line])
        for name, line in zip(METHOD_NAMES, (main, second), strict=True)
    ]
    return Legend(
        items=items,
        name="itslive-lines",
        location="right",
        orientation="horizontal",
        padding=2,
        visible=False,
        **_STYLE,
    )
