"""The estimate at the active point, and below it what it resolves in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.views.diagnosis.section import Section
from dashboard.views.diagnosis.strip import StripView

if TYPE_CHECKING:
    from dashboard.views.diagnosis.section import Look, Shared

__all__ = ["EstimateSection"]

_HEIGHT = 152


class EstimateSection(Section):
    """The series, and the strip on the same time axis."""

    title = "Estimate, and what it resolves in time"
    about = "Bold where pairs hold it well; below, the time it averages over."

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._strip = StripView(shared.time)

    def contents(self) -> list[Any]:
        """Return both figures."""
        series = self._shared.series.pane
        series.param.update(sizing_mode="stretch_width", height=_HEIGHT)
        return [self.place(series), self.place(self._strip.pane)]

    def show(self, look: Look) -> None:
        """Send the strip; the series comes with the point."""
        self._strip.show(look.diagnosis)
