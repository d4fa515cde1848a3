"""The card of the series: what is shown of it, what it rests on, and its files."""

from __future__ import annotations

import io
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.control.series import summary_of
from dashboard.views.parts import Figure, card, hint, hint_text, html, stylesheet, title_row
from dashboard.views.series import COMPONENTS

if TYPE_CHECKING:
    from dashboard.control.series import Fit, SeriesControl
    from dashboard.state.selection import Selection
    from dashboard.views.series import SeriesView

__all__ = ["SeriesCard"]


class SeriesCard(Viewer):
    """Head and figure of the series.

    Parameters
    ----------
    selection : Selection
    series : SeriesControl
    view : SeriesView
    """

    def __init__(self, selection: Selection, series: SeriesControl, view: SeriesView, **params: Any) -> None:
        super().__init__(**params)
        self._selection, self._series = selection, series
        self._hint = hint("No series yet", "Click a glacier on the map, then a pixel of the glacier.")
        self.figure = Figure(view.pane, self._hint)
        component = pmui.RadioButtonGroup(
            label="Component",
            options=COMPONENTS,
            value="v",
            size="small",
            margin=(0, 6),
            css_classes=["itslive-component", "itslive-quiet-label"],
            stylesheets=[stylesheet()],
        )
        component.param.watch(lambda event: view.set_component(event.new), "value")
        self._summary = html(
            "", "itslive-summary", margin=(0, 12), sizing_mode="stretch_width", align="center"
        )
        self._downloads = [self._download("csv", "CSV"), self._download("nc", "NetCDF")]
        self.layout = card(
            title_row(
                html("<h2>Series</h2>", "itslive-title", margin=(0, 12)),
                component,
                self._summary,
                *self._downloads,
            ),
            self.figure.layout,
            margin=(10, 0, 0, 0),
        )

    def __panel__(self) -> pmui.Paper:
        return self.layout

    def glacier_chosen(self) -> None:
        """Say what to do next."""
        self._hint.object = hint_text(
            "No series yet", "Click a pixel of the glacier to see how fast it moved."
        )

    def show(self, fit: Fit | None) -> None:
        """Say what the series rests on, and offer its files."""
        point = self._selection.point
        self._hint.visible = point is None or (fit is None and not self._summary.object)
        self._summary.object = f"<span>{escape(summary_of(fit))}</span>" if fit else ""
        ready = fit is not None and fit.series is not None
        for button in self._downloads:
            suffix = button.filename.rsplit(".", 1)[1]
            stem = f"series_{point.lat:.4f}_{point.lon:.4f}" if point else "series"
            button.param.update(disabled=not ready, filename=f"{stem}.{suffix}")

    def _download(self, suffix: str, label: str) -> pmui.FileDownload:
        return pmui.FileDownload(
            label=label,
            filename=f"series.{suffix}",
            callback=lambda: self._file(suffix),
            embed=False,
            auto=True,
            size="small",
            disabled=True,
            margin=(0, 4),
            width=120,
            css_classes=[f"itslive-download-{suffix}"],
        )

    def _file(self, suffix: str) -> io.BytesIO:
        from itslive_core.export import write_series

        fit = self._series.fit
        if fit is None or fit.series is None:
            return io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"series.{suffix}"
            write_series(fit.series, path)
            return io.BytesIO(path.read_bytes())
