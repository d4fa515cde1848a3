"""Legends of the series: missions and lines above it, and why pairs are not used inside it."""

from __future__ import annotations

from typing import Any

from bokeh.core.properties import field
from bokeh.models import Legend, LegendItem

__all__ = ["METHOD_NAMES", "calm_legend", "lines_legend", "reasons_legend", "show_what_is_there"]

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


def show_what_is_there(legend: Legend, column: str) -> None:
    """Name only layers that hold something in a column of their source."""
    for item in legend.items:
        item.visible = any(len(one.data_source.data.get(column, ())) for one in item.renderers)


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
