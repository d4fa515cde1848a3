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

from dashboard.hosting.secrets import without_folders
from dashboard.screen.code_dialog import CodeDialog
from dashboard.screen.pair_panel import PairPanel
from dashboard.screen.reference_field import ReferenceField
from dashboard.state.estimators import OTHERS
from dashboard.state.fit import cautions_of, saved_series, summary_of
from dashboard.state.looks import TABS
from dashboard.views.cautions import cautions_html, facts_html
from dashboard.views.decomposition import DecompositionView
from dashboard.views.parts import Figure, card, hint, hint_text, html, stylesheet, title_row
from dashboard.views.references import ReferenceView
from itslive_core.estimators import estimator_of

if TYPE_CHECKING:
    import param
    import xarray as xr

    from dashboard.control.diagnosis import DiagnosisControl
    from dashboard.control.pair import PairControl
    from dashboard.control.periods import PeriodControl
    from dashboard.control.references import ReferenceControl
    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session
    from dashboard.screen.space_time_tab import SpaceTimeTab
    from dashboard.state.fit import Fit
    from dashboard.state.headline import Fact
    from dashboard.state.references import Held
    from dashboard.views.series_board import SeriesBoard

__all__ = ["SeriesCard"]

_SAVED = {
    "inversion": "the inversion of the active point",
    "gp": "the Gaussian process of the active point",
    "both": "the Gaussian process of the active point; for the inversion choose that method alone",
    **{name: f"the {one.noun} of the active point" for name, one in OTHERS.items()},
}
"""By method, what the files hold."""


class SeriesCard(Viewer):
    """Head, figure of the series, decomposition and diagnostics.

    Parameters
    ----------
    session : Session
    series : SeriesControl
    diagnosis : DiagnosisControl
    board : SeriesBoard
    pair : PairControl
        Knows the pair that was clicked.
    periods : PeriodControl
        Takes what is brushed.
    space_time : SpaceTimeTab
    references : ReferenceControl
    """

    def __init__(
        self,
        session: Session,
        series: SeriesControl,
        diagnosis: DiagnosisControl,
        board: SeriesBoard,
        pair: PairControl,
        periods: PeriodControl,
        space_time: SpaceTimeTab,
        references: ReferenceControl,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._space_time = space_time
        self._session, self._selection = session, session.selection
        self._series, self._diagnosis, self._board = series, diagnosis, board
        self._decomposition: DecompositionView | None = None
        self._hint = hint("No series yet", "Click a glacier on the map, then a pixel of the glacier.")
        self.figure = Figure(board.layout, self._hint)
        self.figure.layout.append(PairPanel(pair).layout)
        self._inside = {name: self._room() for name in TABS[1:]}
        # The tabs are only the row of names: both contents stay drawn, one of them hidden.
        self.tabs = pmui.Tabs(
            *((name, pn.Spacer(height=0)) for name in TABS),
            width=362,
            margin=0,
            css_classes=["itslive-tabs"],
            sx={
                "& .MuiTab-root": {"minHeight": "38px", "minWidth": 0, "padding": "6px 10px"},
                "& .MuiTabs-root": {"minHeight": "38px"},
            },
        )
        looks = session.looks
        self.tabs.param.watch(lambda event: setattr(looks, "tab", TABS[event.new]), "active")
        self._component = self._choice(looks.param.component, "itslive-component")
        self._arrangement = self._choice(looks.param.arrangement, "itslive-arrangement")
        self._drag = pmui.RadioButtonGroup.from_param(
            periods.param.drag,
            size="small",
            margin=(0, 6),
            css_classes=["itslive-drag", "itslive-quiet-label"],
            stylesheets=[stylesheet()],
        )
        self._periods = periods
        periods.param.watch(lambda *_: self._offer(), "ready")
        self._crosses = pmui.Checkbox.from_param(
            looks.param.rejected,
            label="Rejected pairs",
            size="small",
            margin=(0, 6),
            css_classes=["itslive-crosses"],
        )
        looks.param.watch(self._turn, "tab")
        looks.param.watch(self._turn_component, "component")
        looks.param.watch(lambda event: board.arrange(event.new), "arrangement")
        looks.param.watch(lambda event: diagnosis.cross_out(event.new), "rejected")
        self._summary = html(
            "", "itslive-summary", margin=(0, 12), sizing_mode="stretch_width", align="center"
        )
        self._facts = html("", "itslive-facts", margin=(0, 16), sizing_mode="stretch_width", visible=False)
        self._cautions = html(
            "", "itslive-cautions", margin=(0, 16), sizing_mode="stretch_width", visible=False
        )
        self._downloads = [self._download("csv", "CSV"), self._download("nc", "NetCDF")]
        self._code = CodeDialog(self._saved)
        self._reference = ReferenceView()
        self._of_reference = ReferenceField(session, references)
        self._beside = pn.Row(
            self.figure.layout, self._reference.layout, sizing_mode="stretch_both", margin=0
        )
        session.estimators.param.watch(self._explain_files, "method")
        self._explain_files()
        self.layout = card(
            title_row(
                self.tabs,
                self._component,
                self._arrangement,
                self._drag,
                self._crosses,
                self._summary,
                *self._downloads,
                self._code,
            ),
            pmui.Row(
                self._facts,
                self._of_reference.layout,
                sizing_mode="stretch_width",
                margin=0,
                sx={"alignItems": "center", "justifyContent": "flex-end"},
            ),
            self._cautions,
            self._beside,
            *self._inside.values(),
            self._code.dialog,
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

    def expect(self) -> None:
        """Say that a series is on its way, where there is none yet."""
        if self._selection.point is not None and self._hint.visible:
            self._hint.object = hint_text("The series is on its way", "Its image pairs are being read.")

    def tell(self, facts: list[Fact]) -> None:
        """Say in one line what there is to say of the active point."""
        text = facts_html(facts)
        self._facts.param.update(object=text, visible=bool(text))

    def show_reference(self, held: Held | None) -> None:
        """Show a reference over the series, and how far they are from each other; None for none."""
        self._board.overlay.reference.show(None if held is None else held.reference)
        self._reference.show(held)
        self._reference.layout.visible = held is not None
        self._of_reference.has(held is not None)

    def _turn_component(self, event: Any) -> None:
        self._board.set_component(event.new)
        self._reference.set_component(event.new)

    def show(self, fit: Fit | None) -> None:
        """Say what the series rests on, and offer its files."""
        point = self._selection.point
        trouble = self._series.trouble or (fit.problem if fit is not None and not len(fit.bars.pairs) else "")
        if point is not None and trouble:  # what went wrong stands where the series would
            self._hint.object = hint_text("No series here", escape(trouble))
        self._hint.visible = point is None or bool(trouble) or (fit is None and not self._summary.object)
        process = self._series.process
        words = escape(summary_of(fit, process), quote=True) if fit else ""
        self._summary.object = f'<span title="{words}">{words}</span>' if words else ""
        cautions = cautions_html(cautions_of(fit, process))
        self._cautions.param.update(object=cautions, visible=bool(cautions))
        ready = saved_series(fit, process) is not None
        what = "series" if process is None else estimator_of(process.settings).name
        stem = f"{what}_{point.lat:.4f}_{point.lon:.4f}" if point else what
        for button in self._downloads:
            suffix = button.filename.rsplit(".", 1)[1]
            button.param.update(disabled=not ready, filename=f"{stem}.{suffix}")
        self._code.offer(ready, stem)
        self._offer()
        self._show_parts()

    def _turn(self, *_: Any) -> None:
        """Show the content of the tab that was chosen."""
        name = self._session.looks.tab
        self.tabs.active = TABS.index(name)
        self._diagnosis.open(name == "Diagnostics")
        if name == "Decomposition" and self._decomposition is None:
            self._decomposition = DecompositionView(self._session.runner.later)
            self._session.runner.later("decomposition figures", self._decomposition.complete)
        self._space_time.open(name == "Space-time")
        views = {
            "Space-time": self._space_time,
            "Decomposition": self._decomposition,
            "Diagnostics": self._diagnosis.view,
        }
        for title, place in self._inside.items():
            view = views[title]
            if title == name and view is not None and not place.objects:
                place.objects = [view.layout]
            place.visible = title == name
        self._beside.visible = name == "Series"
        self._offer()
        self._show_parts()

    def _show_parts(self) -> None:
        """Send the Gaussian process of the active point to its tab, while somebody looks at it."""
        if self._decomposition is None or not self._inside["Decomposition"].visible:
            return
        point = self._selection.point
        if point is None:
            self._decomposition.show(None, point=None)
        elif self._series.fit is not None:  # while it is read, the one before stays
            self._decomposition.show(self._series.process, point=point.key, colour=point.colour)

    def _explain_files(self, *_: Any) -> None:
        """Say in the tips of the buttons what the files hold."""
        for button in self._downloads:
            # The tip is also what readers of the screen hear: it begins with what is written on the button.
            button.description = f"{button.label}: {_SAVED[self._session.estimators.method]}"

    def _offer(self) -> None:
        """Offer what can be changed about what is seen."""
        name = self._session.looks.tab
        self._component.visible = name in ("Series", "Diagnostics")
        self._drag.visible = name == "Series" and self._periods.ready
        self._of_reference.offer(name == "Series" and self._selection.point is not None)
        for own in (self._summary, *self._downloads, self._code.button):
            own.visible = name != "Space-time"
        self._crosses.visible = name == "Series" and self._selection.point is not None
        self._arrangement.visible = name == "Series" and len(self._selection.points) > 1

    @staticmethod
    def _room() -> pn.Column:
        """Make the place of what another tab shows."""
        return pn.Column(sizing_mode="stretch_both", margin=0, visible=False)

    @staticmethod
    def _choice(parameter: param.Parameter, name: str) -> pmui.RadioButtonGroup:
        return pmui.RadioButtonGroup.from_param(
            parameter,
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

    def _saved(self) -> xr.Dataset | None:
        """Return the series that files and code are made of, as its visitor may have it."""
        saved = saved_series(self._series.fit, self._series.process)
        if saved is None or not self._session.host.rules.public:
            return saved
        return saved.assign_attrs(without_folders(saved.attrs))

    def _file(self, suffix: str) -> io.BytesIO:
        from itslive_core.export import write_series

        saved = self._saved()
        if saved is None:
            return io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"series.{suffix}"
            write_series(saved, path)
            return io.BytesIO(path.read_bytes())
