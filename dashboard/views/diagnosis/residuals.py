"""What the estimate leaves of the pairs, by mission and by span."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.models import FixedTicker, HoverTool
from panel.viewable import Viewer

from dashboard.colours import GROUP_COLOUR, MISSION_COLOURS, MISSION_LABELS
from dashboard.views.diagnosis.section import Section
from dashboard.views.figures import calm, named, pane_of, weakly, zero_line
from dashboard.views.layers import LiveLayers
from dashboard.views.scales import decade_ticks, spread_out
from itslive_core.filters.outliers import SPAN_CLASSES

if TYPE_CHECKING:
    import panel as pn

    from dashboard.views.diagnosis.section import Look, Shared

__all__ = ["GROUPS", "ResidualsSection", "ResidualsView", "residual_quantiles"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLUMNS = ["place", "group", "colour", "n", "q05", "q25", "q50", "q75", "q95"]
_HEIGHT = 260
_TOP = 3.3
"""Ends of the figure: 2,000 m/yr, as `spread_out` shows it."""


def _span_label(low: float, high: float) -> str:
    if not np.isfinite(high):
        return f"> {low:.0f} d"
    return f"{low:.0f}–{high:.0f} d"


GROUPS: tuple[tuple[float, str, str, str], ...] = (
    *(
        (float(i), name.replace("_", "/"), MISSION_LABELS[name], name)
        for i, name in enumerate(MISSION_COLOURS)
    ),
    *(
        (len(MISSION_COLOURS) + 0.6 + i, _span_label(low, high), f"Span {_span_label(low, high)}", "")
        for i, (low, high) in enumerate(pairwise(SPAN_CLASSES))
    ),
)
"""Place on the axis, its label, the name in words, and the mission; fixed, so that nothing jumps."""


def residual_quantiles(pairs: pd.DataFrame | None) -> pd.DataFrame:
    """Summarise the residuals along the flow, by mission and by class of span.

    Parameters
    ----------
    pairs : DataFrame or None
        ``Diagnosis.pairs``.

    Returns
    -------
    DataFrame
        By group with at least one used pair: place on the axis, group, colour, n, and quantiles from 5 to
        95 % [m/yr].
    """
    rows: list[tuple[Any, ...]] = []
    if pairs is not None:
        used = pairs[(pairs["rejected_by"] == "") & pairs["residual"].notna()]
        residual = used["residual"].to_numpy()
        mission, days = used["mission"].to_numpy(), np.rint(used["span"].to_numpy())
        number = np.searchsorted(SPAN_CLASSES, days, side="right") - 1
        first_class = len(MISSION_COLOURS)
        for i, (place, _, words, name) in enumerate(GROUPS):
            here = residual[mission == name] if name else residual[number == i - first_class]
            if here.size:
                colour = MISSION_COLOURS[name] if name else GROUP_COLOUR
                rows.append((place, words, colour, here.size, *np.quantile(here, _QUANTILES)))
    return pd.DataFrame(rows, columns=_COLUMNS)


def quantile_bars(pairs: pd.DataFrame | None, low: str, high: str) -> hv.Segments:
    """Draw a bar from one quantile to another of each group."""
    data = residual_quantiles(pairs)
    place = data["place"].to_numpy(dtype=float)
    ends = (place, spread_out(data[low]), place, spread_out(data[high]))
    rest = _COLUMNS[1:]
    columns = (*ends, *(data[name].to_numpy() for name in rest))
    return hv.Segments(columns, ["x0", "y0", "x1", "y1"], rest).opts(
        color="colour", apply_ranges=False, show_legend=False
    )


def median_marks(pairs: pd.DataFrame | None) -> hv.Points:
    """Mark the median of each group."""
    data = residual_quantiles(pairs)
    columns = (data["place"].to_numpy(dtype=float), spread_out(data["q50"]), data["colour"].to_numpy())
    return hv.Points(columns, ["x", "y"], ["colour"]).opts(
        color="colour", line_color="white", line_width=1.5, size=8, apply_ranges=False, show_legend=False
    )


class ResidualsView(Viewer):
    """Bars of quantiles: thin from 5 to 95 %, thick from 25 to 75 %, a dot for the median."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        hover = HoverTool(
            tooltips=[
                ("", "@group"),
                ("Pairs used", "@n{0,0}"),
                ("Median", "@q50{0,0.0} m/yr"),
                ("Half of them", "@q25{0,0.0} to @q75{0,0.0} m/yr"),
                ("90 % of them", "@q05{0,0.0} to @q95{0,0.0} m/yr"),
            ],
            visible=False,
        )
        self._layers = LiveLayers(
            {
                "most": lambda pairs: quantile_bars(pairs, "q05", "q95").opts(line_width=2.5),
                "half": lambda pairs: quantile_bars(pairs, "q25", "q75").opts(
                    line_width=11, alpha=0.75, tools=[hover]
                ),
                "middle": median_marks,
            }
        )
        self.pane = pane_of(
            self._layers.overlay().opts(
                responsive=True,
                xlim=(-0.7, GROUPS[-1][0] + 0.7),
                ylim=(-_TOP, _TOP),
                xlabel="",
                ylabel="residual along the flow [m/yr]",
                xrotation=40,
                gridstyle={"xgrid_line_color": None},
                show_grid=True,
                default_tools=[],
                fontsize={"labels": "12px", "ticks": "11px"},
                show_title=False,
                hooks=[calm, named("itslive-residuals"), weakly(self._dress)],
            ),
            "itslive-residuals",
            sizing_mode="stretch_width",
            height=_HEIGHT,
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show(self, pairs: pd.DataFrame | None) -> None:
        """Send ``Diagnosis.pairs``."""
        self._layers.send(pairs)

    @staticmethod
    def _dress(plot: Any, _element: Any) -> None:
        """Label the axes; a hook."""
        figure = plot.handles["plot"]
        figure.toolbar_location = None
        decade_ticks(figure.yaxis[0], 3, signed=True)
        figure.xaxis[0].ticker = FixedTicker(ticks=[place for place, *_ in GROUPS])
        figure.xaxis[0].major_label_overrides = {place: label for place, label, *_ in GROUPS}
        figure.xgrid[0].visible = False
        zero_line(figure, "width")


class ResidualsSection(Section):
    """The bars."""

    title = "Residuals by mission and by span"
    about = "Pairs minus estimate along the flow: 90 % of them, half of them, median."

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._view = ResidualsView()

    def contents(self) -> list[Any]:
        """Return the figure."""
        return [self.place(self._view.pane)]

    def show(self, look: Look) -> None:
        """Send the pairs."""
        self._view.show(look.diagnosis.pairs)
