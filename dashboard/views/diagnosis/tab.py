"""The tab as a whole: its sections for the active point, or what to do to see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.models import Range1d
from panel.viewable import Viewer

from dashboard.views.diagnosis.criterion import CriterionSection
from dashboard.views.diagnosis.estimate import EstimateSection
from dashboard.views.diagnosis.missions import MissionsSection
from dashboard.views.diagnosis.offsets import OffsetsSection
from dashboard.views.diagnosis.residuals import ResidualsSection
from dashboard.views.diagnosis.section import Look, Shared
from dashboard.views.diagnosis.steps import StepsSection
from dashboard.views.parts import hint, hint_text, stylesheet
from dashboard.views.series import SeriesView

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.state.settings import Settings
    from dashboard.views.diagnosis.section import Section
    from itslive_core import Diagnosis

__all__ = ["SECTIONS", "DiagnosisView"]

SECTIONS: tuple[Callable[[Shared], Section], ...] = (
    EstimateSection,
    CriterionSection,
    ResidualsSection,
    StepsSection,
    MissionsSection,
    OffsetsSection,
)
"""What the tab shows, from top to bottom."""
_EMPTY = ("Nothing to look into yet", "Click a pixel of a glacier: its estimate is explained here.")


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
        self._later = later
        time = Range1d(0.0, 1.0)
        self.series = SeriesView("itslive-diagnosis-series", time, slim=True)
        shared = Shared(settings, later, time, self.series)
        self.sections = [make(shared) for make in SECTIONS]
        self._hint = hint(*_EMPTY)
        laid_out = pn.Column(
            *(section.layout() for section in self.sections),
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-sections"],
            stylesheets=[stylesheet()],
        )
        self._waiting = [figure for section in self.sections for figure in section.waiting]
        self.layout = pn.Column(
            laid_out,
            self._hint,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-stack", "itslive-diagnosis"],
            stylesheets=[stylesheet()],
        )

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
            self._hint.object = hint_text(
                *(("There is no estimate to look into", reason) if reason else _EMPTY)
            )
            self._hint.visible = True
            return
        look = Look(diagnosis, offsets)
        for section in self.sections:
            section.show(look)
        self._hint.visible = False
