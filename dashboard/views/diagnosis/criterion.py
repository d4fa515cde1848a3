"""How well each lambda does, with a marker that can be dragged."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import holoviews as hv
import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd
import panel_material_ui as pmui
from bokeh.events import Tap
from bokeh.models import Span
from panel.viewable import Viewer

from dashboard.colours import CRITERION_COLOURS, MARKER
from dashboard.state.settings import LOG_SMOOTHING_BOUNDS
from dashboard.views.diagnosis.section import Section, note
from dashboard.views.figures import calm, named, pane_of, weakly
from dashboard.views.layers import LiveLayers
from dashboard.views.scales import decade_ticks, spread_out

if TYPE_CHECKING:
    from collections.abc import Callable

    import panel as pn
    import xarray as xr

    from dashboard.state.settings import Settings
    from dashboard.views.diagnosis.section import Look, Shared

__all__ = [
    "CRITERIA",
    "CriterionSection",
    "CriterionView",
    "best_marks",
    "criterion_curve",
    "criterion_frame",
    "smoothing_words",
]

CRITERIA = {"evidence": "Evidence", "gcv": "GCV"}
_TOP = 4.7
"""Upper end of the figure: fifty thousand worse than the best, as `spread_out` shows it."""
_CHOSEN = {
    "auto": "chosen from the data",
    "evidence": "chosen by the evidence",
    "gcv": "chosen by GCV",
}
_NONE = tuple(np.empty(0, dtype=kind) for kind in (float, float, object, object))
_HEIGHT = 226
_GRIP = 16
"""Width of what can be grabbed [pixels]."""


def criterion_frame(smoothing: xr.Dataset | None, name: str) -> pd.DataFrame:
    """Return how much worse than the best each lambda is.

    Parameters
    ----------
    smoothing : Dataset or None
        ``Diagnosis.smoothing``.
    name : {"evidence", "gcv"}

    Returns
    -------
    DataFrame
        Columns smoothing; worse, the criterion above its least value; height, `spread_out` of it.
    """
    if smoothing is None or smoothing.sizes["smoothing"] == 0:
        return pd.DataFrame({column: np.empty(0) for column in ("smoothing", "worse", "height")})
    value = np.where(np.isfinite(smoothing[name].values), smoothing[name].values, np.nan)
    worse = value - np.nanmin(value) if np.isfinite(value).any() else value
    return pd.DataFrame(
        {"smoothing": smoothing["smoothing"].values, "worse": worse, "height": spread_out(worse)}
    )


def criterion_curve(smoothing: xr.Dataset | None, name: str) -> hv.Curve:
    """Draw a criterion over lambda."""
    data = criterion_frame(smoothing, name)
    return data.hvplot.line(
        x="smoothing", y="height", hover_cols=["worse"], hover=False, label=CRITERIA[name], responsive=True
    ).opts(
        color=CRITERION_COLOURS[name],
        line_width=2.2,
        line_dash="solid" if name == "evidence" else "dashed",
        apply_ranges=False,
    )


def best_marks(smoothing: xr.Dataset | None) -> hv.Points:
    """Mark the lambda that each criterion would choose."""
    rows = []
    for name, words in CRITERIA.items():
        data = criterion_frame(smoothing, name)
        if data["worse"].notna().any():
            best = float(data["smoothing"][data["worse"].idxmin()])
            rows.append((best, 0.0, CRITERION_COLOURS[name], f"Best by {words}"))
    columns = tuple(np.array(column, dtype=object if i > 1 else float) for i, column in enumerate(zip(*rows)))
    return hv.Points(columns or _NONE, ["smoothing", "height"], ["colour", "what"]).opts(
        color="colour", size=9, line_color=None, apply_ranges=False, show_legend=False
    )


def smoothing_words(settings: Settings) -> str:
    """Say which lambda is in use, and who chose it."""
    chosen = _CHOSEN[settings.criterion] if settings.auto_smoothing else "set by hand"
    return f"λ = {settings.smoothing:,.3g}, {chosen}. Drag to try others."


class CriterionView(Viewer):
    """The curves and the marker of the lambda in use, which can be dragged or set by a click.

    Parameters
    ----------
    settings : Settings
        What the marker shows and moves.
    later : callable
        Takes a name and what is to be done once what is urgent has been done: of a drag only the newest
        place counts.
    """

    def __init__(
        self, settings: Settings, later: Callable[[str, Callable[[], None]], None], **params: Any
    ) -> None:
        super().__init__(**params)
        self._settings, self._later = settings, later
        curves = {name: partial(criterion_curve, name=name) for name in CRITERIA}
        self._layers = LiveLayers({**curves, "best": best_marks})
        self._grip: Span | None = None
        self._line: Span | None = None
        low, high = LOG_SMOOTHING_BOUNDS
        self.pane = pane_of(
            self._layers.overlay().opts(
                responsive=True,
                logx=True,
                xlim=(10.0**low, 10.0**high),
                ylim=(-0.15, _TOP),
                xlabel="smoothing λ",
                ylabel="worse than the best",
                show_grid=True,
                legend_position="top_left",
                legend_opts={"background_fill_alpha": 0.6, "border_line_alpha": 0.0, "padding": 2},
                fontsize={"labels": "12px", "ticks": "11px", "legend": "12px"},
                default_tools=[],
                show_title=False,
                hooks=[calm, named("itslive-criterion"), weakly(self._dress)],
            ),
            "itslive-criterion",
            sizing_mode="stretch_width",
            height=_HEIGHT,
        )
        settings.param.watch(self._follow, ["log_smoothing", "auto_smoothing"])

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show(self, smoothing: xr.Dataset | None) -> None:
        """Send ``Diagnosis.smoothing``."""
        self._layers.send(smoothing)

    def choose(self, smoothing: float | None) -> None:
        """Take lambda over from the marker; the choice is no longer automatic."""
        if smoothing is None or not (math.isfinite(smoothing) and smoothing > 0):
            return
        low, high = LOG_SMOOTHING_BOUNDS
        self._settings.param.update(
            auto_smoothing=False, log_smoothing=min(max(math.log10(smoothing), low), high)
        )

    def _dress(self, plot: Any, _element: Any) -> None:
        """Add the marker and the labels of the axis, once; a hook."""
        figure = plot.handles["plot"]
        if figure.select_one({"name": "itslive-marker"}) is not None:
            return
        decade_ticks(figure.yaxis[0], 4, signed=False)
        figure.toolbar_location = None
        place = self._settings.smoothing
        self._line = Span(location=place, dimension="height", line_color=MARKER, line_width=2.5)
        self._grip = Span(
            name="itslive-marker",
            location=place,
            dimension="height",
            line_color=MARKER,
            line_alpha=0.18,
            line_width=_GRIP,
            hover_line_color=MARKER,
            hover_line_alpha=0.38,
            hover_line_width=_GRIP,
            editable=True,
        )
        self._grip.js_link("location", self._line, "location")
        self._grip.on_change("location", self._dragged)
        figure.add_layout(self._grip)
        figure.add_layout(self._line)
        figure.on_event(Tap, lambda event: self.choose(event.x))

    def _dragged(self, _name: str, _old: float, new: float) -> None:
        if not self._is_at(new):
            self._later("lambda", lambda: self.choose(self._grip.location if self._grip else None))

    def _follow(self, *_: Any) -> None:
        """Move the marker to the lambda in use, unless it is where it came from."""
        if self._grip is not None and not self._is_at(self._grip.location):
            self._grip.location = self._settings.smoothing

    def _is_at(self, location: float) -> bool:
        return math.isclose(location, self._settings.smoothing, rel_tol=1e-9)


class CriterionSection(Section):
    """The criteria, which lambda is in use, and the button that leaves it to the data."""

    title = f"Smoothing by {' and '.join(CRITERIA.values())}"

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        settings = shared.settings
        self._view = CriterionView(settings, shared.later)
        self._words = note()
        self._auto = pmui.Button(
            label="Auto",
            icon="auto_fix_high",
            size="small",
            variant="outlined",
            margin=(0, 4),
            disabled=settings.auto_smoothing,
            css_classes=["itslive-criterion-auto"],
            description="Let the data choose the smoothing again",
        )
        self._auto.on_click(lambda _: settings.param.update(auto_smoothing=True))
        settings.param.watch(self._tell, ["log_smoothing", "auto_smoothing"])
        self._tell()

    def contents(self) -> list[Any]:
        """Return the words and the button, and below them the figure."""
        head = pmui.Row(
            self._words, self._auto, sizing_mode="stretch_width", margin=0, sx={"alignItems": "center"}
        )
        return [head, self.place(self._view.pane)]

    def show(self, look: Look) -> None:
        """Send the criteria."""
        self._view.show(look.diagnosis.smoothing)

    def _tell(self, *_: Any) -> None:
        settings = self._shared.settings
        self._words.object = f"<p>{smoothing_words(settings)}</p>"
        self._auto.disabled = settings.auto_smoothing
