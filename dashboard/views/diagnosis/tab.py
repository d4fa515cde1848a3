"""The tab as a whole: six pictures of the active point, or what to do to see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import Range1d
from panel.viewable import Viewer

from dashboard.views.diagnosis.criterion import CRITERIA, CriterionView
from dashboard.views.diagnosis.missions import OffsetsView, about_offsets, mission_table, offset_rows
from dashboard.views.diagnosis.residuals import ResidualsView
from dashboard.views.diagnosis.steps import funnel_html
from dashboard.views.diagnosis.strip import StripView
from dashboard.views.parts import hint, hint_text, html, stylesheet
from dashboard.views.series import SeriesView

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.state.settings import Settings
    from itslive_core import Diagnosis

__all__ = ["DiagnosisView", "smoothing_words"]

_SERIES_HEIGHT = 152
_CHOSEN = {
    "auto": "chosen from the data",
    "evidence": "chosen by the evidence",
    "gcv": "chosen by GCV",
}


def smoothing_words(settings: Settings) -> str:
    """Say which lambda is in use, and who chose it."""
    chosen = _CHOSEN[settings.criterion] if settings.auto_smoothing else "set by hand"
    return f"λ = {settings.smoothing:,.3g}, {chosen}. Drag to try others."


class DiagnosisView(Viewer):
    """Pictures of what the estimate rests on.

    Parameters
    ----------
    settings : Settings
        Moved by the marker of the smoothing criterion.
    later : callable
        Takes a name and what can wait until what is urgent has been done.
    """

    def __init__(
        self, settings: Settings, later: Callable[[str, Callable[[], None]], None], **params: Any
    ) -> None:
        super().__init__(**params)
        self._settings, self._later = settings, later
        time = Range1d(0.0, 1.0)
        self.series = SeriesView("itslive-diagnosis-series", time, slim=True)
        self.series.pane.param.update(sizing_mode="stretch_width", height=_SERIES_HEIGHT)
        self._criterion = CriterionView(settings, later)
        self._residuals = ResidualsView()
        self._offsets: OffsetsView | None = None
        self._strip = StripView(time)
        self._smoothing = html("", "itslive-note", sizing_mode="stretch_width", margin=0)
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
        self._funnel = html("", "itslive-funnel-pane", sizing_mode="stretch_width", margin=0)
        self._table = html("", "itslive-table-pane", sizing_mode="stretch_width", margin=0)
        self._offsets_place = _place()
        self._about_offsets = html("", "itslive-note", sizing_mode="stretch_width", margin=(4, 0))
        self._hint = hint(
            "Nothing to look into yet", "Click a pixel of a glacier: its estimate is explained here."
        )
        self._waiting = [
            (_place(), pane)
            for pane in (self.series.pane, self._criterion.pane, self._strip.pane, self._residuals.pane)
        ]
        self._sections = self._lay_out(*(place for place, _ in self._waiting))
        self.layout = pn.Column(
            self._sections,
            self._hint,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-stack", "itslive-diagnosis"],
            stylesheets=[stylesheet()],
        )
        settings.param.watch(self._tell_smoothing, ["log_smoothing", "auto_smoothing"])
        self._tell_smoothing()

    def __panel__(self) -> pn.Column:
        return self.layout

    def complete(self) -> None:
        """Draw the figures, one after the other: the page stays responsive, and words are there at once."""
        if self._waiting:
            place, pane = self._waiting.pop(0)
            place.append(pane)
            self._later("diagnosis figures", self.complete)

    def show(self, diagnosis: Diagnosis | None, problem: str = "", *, offsets: bool = True) -> None:
        """Show a diagnosis, or say why there is none.

        Parameters
        ----------
        diagnosis : Diagnosis or None
        problem : str
            Why there is no estimate, in words.
        offsets : bool
            Offsets between missions were asked for.
        """
        estimated = diagnosis is not None and diagnosis.smoothing.sizes["smoothing"] > 0
        if diagnosis is None or not estimated:
            reason = problem or (str(diagnosis.series.attrs.get("reason", "")) if diagnosis else "")
            self._hint.object = (
                hint_text("There is no estimate to look into", reason)
                if reason
                else hint_text(
                    "Nothing to look into yet",
                    "Click a pixel of a glacier: its estimate is explained here.",
                )
            )
            self._hint.visible = True
            return
        self._criterion.show(diagnosis.smoothing)
        self._residuals.show(diagnosis.pairs)
        self._strip.show(diagnosis)
        self._funnel.object = funnel_html(diagnosis)
        self._table.object = mission_table(diagnosis.missions)
        known = not offset_rows(diagnosis.missions).empty
        if known and self._offsets is None:
            self._offsets = OffsetsView()
            self._offsets_place.append(self._offsets.pane)
        if self._offsets is not None:
            self._offsets.show(diagnosis.missions)
        self._offsets_place.visible = known
        self._about_offsets.object = f"<p>{about_offsets(diagnosis.missions, estimated=offsets)}</p>"
        self._hint.visible = False

    def _tell_smoothing(self, *_: Any) -> None:
        self._smoothing.object = f"<p>{smoothing_words(self._settings)}</p>"
        self._auto.disabled = self._settings.auto_smoothing

    def _lay_out(self, series: Any, criterion: Any, strip: Any, residuals: Any) -> pn.Column:
        names = " and ".join(CRITERIA.values())
        head = pmui.Row(
            self._smoothing, self._auto, sizing_mode="stretch_width", margin=0, sx={"alignItems": "center"}
        )
        return pn.Column(
            _section(
                "Estimate, and what it resolves in time",
                "Bold where pairs hold it well; below, the time it averages over.",
                series,
                strip,
            ),
            _section(f"Smoothing by {names}", head, criterion),
            _section(
                "Residuals by mission and by span",
                "Pairs minus estimate along the flow: 90 % of them, half of them, median.",
                residuals,
            ),
            _section("Pairs left by each step", "", self._funnel),
            _section("Missions and their noise", "", self._table),
            _section("Offsets between missions", "", self._about_offsets, self._offsets_place),
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-sections"],
            stylesheets=[stylesheet()],
        )


def _place() -> pn.Column:
    """Make the place of a figure. A pane of HoloViews cannot be hidden once it is drawn; its place can."""
    return pn.Column(sizing_mode="stretch_width", margin=0)


def _section(title: str, note: Any, *objects: Any) -> pn.Column:
    about = html(f"<p>{note}</p>", "itslive-note", margin=0) if isinstance(note, str) else note
    return pn.Column(
        html(f"<h3>{title}</h3>", "itslive-section-title", sizing_mode="stretch_width", margin=0),
        *([about] if note else []),
        *objects,
        sizing_mode="stretch_width",
        margin=0,
        css_classes=["itslive-section"],
        stylesheets=[stylesheet()],
    )
