"""The card of the series: tabs, what is shown, what it rests on, and its files."""

from __future__ import annotations

import io
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.control.series import summary_of
from dashboard.views.parts import Figure, card, hint, hint_text, html, stylesheet, title_row
from dashboard.views.series import COMPONENTS
from dashboard.views.series_board import ARRANGEMENTS

if TYPE_CHECKING:
    from dashboard.control.diagnosis import DiagnosisControl
    from dashboard.control.series import Fit, SeriesControl
    from dashboard.state.selection import Selection
    from dashboard.views.series_board import SeriesBoard

__all__ = ["SeriesCard"]

_TABS = ("Series", "Diagnostics")


class SeriesCard(Viewer):
    """Head, figure of the series, and diagnostics.

    Parameters
    ----------
    selection : Selection
    series : SeriesControl
    diagnosis : DiagnosisControl
    board : SeriesBoard
    """

    def __init__(
        self,
        selection: Selection,
        series: SeriesControl,
        diagnosis: DiagnosisControl,
        board: SeriesBoard,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._selection, self._series, self._diagnosis, self._board = selection, series, diagnosis, board
        self._hint = hint("No series yet", "Click a glacier on the map, then a pixel of the glacier.")
        self.figure = Figure(board.layout, self._hint)
        self._inside = pn.Column(sizing_mode="stretch_both", margin=0, visible=False)
        # The tabs are only the row of names: both contents stay drawn, one of them hidden.
        self.tabs = pmui.Tabs(
            *((name, pn.Spacer(height=0)) for name in _TABS),
            width=190,
            margin=0,
            css_classes=["itslive-tabs"],
            sx={
                "& .MuiTab-root": {"minHeight": "38px", "padding": "6px 12px"},
                "& .MuiTabs-root": {"minHeight": "38px"},
            },
        )
        self.tabs.param.watch(self._turn, "active")
        component = self._choice("Component", COMPONENTS, "v", "itslive-component")
        component.param.watch(lambda event: board.set_component(event.new), "value")
        self._arrangement = self._choice("Points", ARRANGEMENTS, "overlay", "itslive-arrangement")
        self._arrangement.param.watch(lambda event: board.arrange(event.new), "value")
        self._crosses = pmui.Checkbox(
            label="Rejected pairs",
            value=False,
            size="small",
            margin=(0, 6),
            css_classes=["itslive-crosses"],
        )
        self._crosses.param.watch(lambda event: diagnosis.cross_out(event.new), "value")
        self._summary = html(
            "", "itslive-summary", margin=(0, 12), sizing_mode="stretch_width", align="center"
        )
        self._downloads = [self._download("csv", "CSV"), self._download("nc", "NetCDF")]
        self._of_series = [self._arrangement, self._crosses]
        self.layout = card(
            title_row(
                self.tabs, component, self._arrangement, self._crosses, self._summary, *self._downloads
            ),
            self.figure.layout,
            self._inside,
            margin=(10, 0, 0, 0),
        )
        self._offer()

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
        self._offer()

    def _turn(self, *_: Any) -> None:
        """Show the content of the tab that was chosen."""
        inside = self.tabs.active == _TABS.index("Diagnostics")
        self._diagnosis.open(inside)
        if inside and not self._inside.objects and self._diagnosis.view is not None:
            self._inside.objects = [self._diagnosis.view.layout]
        self._inside.visible = inside
        self.figure.layout.visible = not inside
        self._offer()

    def _offer(self) -> None:
        """Offer what can be changed about what is seen."""
        series = self.tabs.active == _TABS.index("Series")
        self._crosses.visible = series and self._selection.point is not None
        self._arrangement.visible = series and len(self._selection.points) > 1

    @staticmethod
    def _choice(label: str, options: dict[str, str], value: str, name: str) -> pmui.RadioButtonGroup:
        return pmui.RadioButtonGroup(
            label=label,
            options=options,
            value=value,
            size="small",
            margin=(0, 6),
            css_classes=[name, "itslive-quiet-label"],
            stylesheets=[stylesheet()],
        )

    def _download(self, suffix: str, label: str) -> pmui.FileDownload:
        return pmui.FileDownload(
            label=label,
            filename=f"series.{suffix}",
            callback=lambda: self._file(suffix),
            embed=False,
            auto=True,
            size="small",
            disabled=True,
            margin=(0, 3),
            width=86,
            icon="",
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
