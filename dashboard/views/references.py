"""A reference over a series, and both against each other: pure functions, and thin views."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, HoverTool
from panel.viewable import Viewer

from dashboard.colours import ACCENT, GROUP_COLOUR, REFERENCE_COLOUR, REFERENCE_EDGE
from dashboard.state.references import columns_of_reference, words_of_reference
from dashboard.views.figures import calm, live, named, pane_of, weakly
from dashboard.views.parts import html

if TYPE_CHECKING:
    from dashboard.state.references import Held
    from itslive_core import Comparison
    from itslive_core.comparison.reference import Reference

__all__ = ["ReferenceMarks", "ReferenceView", "one_to_one", "reference_html", "windows"]

_NONE = (np.nan, np.nan)


class ReferenceMarks:
    """The layer of a reference in a figure of series: a diamond a value, and its span as a line."""

    def __init__(self) -> None:
        self._reference: Reference | None = None
        self._component = "v"
        self._source = ColumnDataSource(columns_of_reference(None, "v"))

    def hook(self, plot: Any, _element: Any) -> None:
        """Draw the layer, once; a hook."""
        figure = plot.handles["plot"]
        if figure.select_one({"name": "itslive-reference"}) is not None:
            return
        figure.segment(
            "start", "value", "end", "value", source=self._source, line_color=REFERENCE_EDGE, line_width=2.5
        )
        marks = figure.scatter(
            "middle",
            "value",
            source=self._source,
            marker="diamond",
            size=11,
            fill_color=REFERENCE_COLOUR,
            line_color=REFERENCE_EDGE,
            name="itslive-reference",
        )
        figure.add_tools(
            HoverTool(
                renderers=[marks],
                tooltips=[
                    ("Reference", "@value{0,0.0} m/yr"),
                    ("From", "@start{%d %b %Y}"),
                    ("To", "@end{%d %b %Y}"),
                ],
                formatters={"@start": "datetime", "@end": "datetime"},
                visible=False,
            )
        )

    def show(self, reference: Reference | None) -> None:
        """Show another reference; None for none."""
        self._reference = reference
        self._source.data = dict(columns_of_reference(reference, self._component))

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self._component = component
        self.show(self._reference)


def windows(found: Comparison | None, component: str) -> hv.Points:
    """Draw the matching windows: the reference along x, the series along y [m/yr]."""
    rows = [_NONE]
    if found is not None and component in found.table:
        rows = found.table[[f"{component}_reference", component]].to_numpy(dtype=float)
    return hv.Points(np.asarray(rows, dtype=float), ["reference", "series"])


def one_to_one(found: Comparison | None, component: str) -> hv.Curve:
    """Draw the line on which both would be equal, as far as there are windows."""
    ends = _NONE if found is None or component not in found.table else _range(found, component)
    return hv.Curve([(one, one) for one in ends], "reference", "series")


def _range(found: Comparison, component: str) -> tuple[float, float]:
    both = found.table[[f"{component}_reference", component]].to_numpy(dtype=float)
    low, high = float(both.min()), float(both.max())
    room = 0.06 * max(high - low, 1.0)
    return low - room, high + room


def reference_html(held: Held | None, component: str) -> str:
    """Write the name of a reference, and how far the series is from it; or why that is not known."""
    if held is None:
        return ""
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
        for name, text in words_of_reference(held, component)
    )
    problem = f"<p>{escape(held.problem)}</p>" if held.problem else ""
    return f"<h3>{escape(held.name)}</h3>{problem}<dl>{items}</dl>"


class ReferenceView(Viewer):
    """Statistics above a scatter of the matching windows."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._held: Held | None = None
        self._component = "v"
        self._figure: Any = None
        self._pipe = hv.streams.Pipe(data=None)
        self._words = html("", "itslive-reference-words", sizing_mode="stretch_width", margin=(0, 6))
        drawn = live(lambda data: one_to_one(data, self._component), self._pipe).opts(
            hv.opts.Curve(color=GROUP_COLOUR, line_dash="dashed", apply_ranges=False)
        ) * live(lambda data: windows(data, self._component), self._pipe).opts(
            hv.opts.Points(color=ACCENT, size=6, alpha=0.7, apply_ranges=False, tools=["hover"])
        )
        self.pane = pane_of(
            drawn.opts(
                responsive=True,
                xlabel="Reference [m/yr]",
                ylabel="Series [m/yr]",
                show_grid=True,
                show_legend=False,
                show_title=False,
                toolbar=None,
                fontsize={"labels": "12px", "ticks": "11px"},
                hooks=[calm, named("itslive-windows"), weakly(self._keep)],
            ),
            "itslive-windows-plot",
            min_height=140,
        )
        # The figure comes with the first reference: most pages never need it.
        self.layout = pn.Column(
            self._words, sizing_mode="stretch_both", max_width=260, margin=0, visible=False
        )

    def __panel__(self) -> pn.Column:
        return self.layout

    def show(self, held: Held | None) -> None:
        """Show what was found; None for no reference."""
        self._held = held
        if held is not None and len(self.layout) == 1:
            self.layout.append(self.pane)
        self._words.object = reference_html(held, self._component)
        self._pipe.send(None if held is None else held.comparison)
        self._fit()

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self._component = component
        self.show(self._held)

    def _keep(self, plot: Any, _element: Any) -> None:
        self._figure = plot.handles["plot"]
        self._fit()

    def _fit(self) -> None:
        """Give both axes the same limits."""
        found = None if self._held is None else self._held.comparison
        if self._figure is None or found is None or self._component not in found.table:
            return
        low, high = _range(found, self._component)
        for axis in (self._figure.x_range, self._figure.y_range):
            axis.update(start=low, end=high)
