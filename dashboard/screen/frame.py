"""The screen: where everything is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from dashboard.resources import asset
from dashboard.screen.estimate_panel import EstimatePanel
from dashboard.screen.glacier_card import GlacierCard
from dashboard.screen.header import Header, MessageBar
from dashboard.screen.history_buttons import HistoryButtons, HistoryKeys
from dashboard.screen.panels import FiltersPanel, SelectionPanel
from dashboard.screen.results_panel import ResultsPanel
from dashboard.screen.series_card import SeriesCard
from dashboard.screen.share_button import share_button
from dashboard.screen.sources import SourcesPanel
from dashboard.screen.space_time_tab import SpaceTimeTab
from dashboard.screen.theme import PAGE_STYLE, THEME
from dashboard.screen.theme_memory import ThemeMemory, remembered_theme
from dashboard.views.parts import card, html, stylesheet
from itslive_core.support.band_level import BAND_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.control.area import AreaControl
    from dashboard.control.diagnosis import DiagnosisControl
    from dashboard.control.history import HistoryControl
    from dashboard.control.pair import PairControl
    from dashboard.control.periods import PeriodControl
    from dashboard.control.places import PlaceControl
    from dashboard.control.references import ReferenceControl
    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session
    from dashboard.control.space_time import SpaceTimeControl
    from dashboard.state.fit import Fit
    from dashboard.views.glacier_map import GlacierMapView
    from dashboard.views.series_board import SeriesBoard
    from dashboard.views.world_map import WorldMapView
    from itslive_core import Glacier

__all__ = ["CITATION", "Frame", "Parts"]

CITATION = (
    "Velocity data: ITS_LIVE, NASA MEaSUREs (Gardner et al., 2025, "
    "<a href='https://doi.org/10.5194/tc-19-3517-2025' target='_blank' rel='noopener'>"
    "doi:10.5194/tc-19-3517-2025</a>). Outlines: RGI and GLIMS. Land: Natural Earth. "
    f"The band is a {BAND_WORDS} interval under independent noise."
)
_NOTEBOOK_HEIGHT = 860
_SIDE = 316
_RESULTS = 3
"""Place of the results in the sidebar."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What a dashboard consists of.

    Parameters
    ----------
    session : Session
        State, worker and messages.
    places, area, series, diagnosis, pair, history, periods, space_time, references
        What acts in it.
    world, glacier_map, board
        What is seen.
    open_example : callable
        Opens an example by its key.
    """

    session: Session
    places: PlaceControl
    area: AreaControl
    series: SeriesControl
    diagnosis: DiagnosisControl
    pair: PairControl
    history: HistoryControl
    periods: PeriodControl
    space_time: SpaceTimeControl
    references: ReferenceControl
    world: WorldMapView
    glacier_map: GlacierMapView
    board: SeriesBoard
    open_example: Callable[[str], None]


class Frame:
    """Lays the parts of a dashboard out, for a page and for a notebook.

    Parameters
    ----------
    parts : Parts
    """

    def __init__(self, parts: Parts) -> None:
        session, area = parts.session, parts.area
        self._parts = parts
        self._counted: Any = None
        paths = not session.host.rules.public
        self.header = Header(
            session.messages, area.progress, parts.places.search, area.stop, session.runner.after, paths=paths
        )
        self.header.layout.insert(1, HistoryButtons(parts.history).layout)
        self.header.layout.append(share_button(session.messages))
        self.source = html("", "itslive-source", sizing_mode="stretch_width", margin=(6, 14))
        self.filters = FiltersPanel(session.filters)
        self.glacier = GlacierCard(session, area, parts.glacier_map)
        self.space_time = SpaceTimeTab(session, parts.space_time)
        self.series = SeriesCard(
            session,
            parts.series,
            parts.diagnosis,
            parts.board,
            parts.pair,
            parts.periods,
            self.space_time,
            parts.references,
        )
        self.sidebar = self._build_sidebar()
        self.main = self._build_main()

    def page(self, title: str) -> pmui.Page:
        """Return the page of a server."""
        return pmui.Page(
            title=title,
            dark_theme=remembered_theme(),
            header=[self.header.layout, ThemeMemory(), HistoryKeys(self._parts.history)],
            sidebar=[self.sidebar],
            main=[self.main],
            sidebar_width=_SIDE,
            theme_config=dict(THEME),
            favicon=str(asset("logo.svg")),
            logo=str(asset("logo.svg")),
            meta_description="Glacier velocity series from ITS_LIVE image pairs",
            sidebar_variant="persistent",
            busy_indicator=None,  # the header says what is being done
            sx=dict(PAGE_STYLE),
        )

    def plain(self) -> pn.Column:
        """Return the same as a plain layout, for a notebook cell."""
        side = pmui.Column(self.sidebar, width=_SIDE, height=_NOTEBOOK_HEIGHT - 60, scroll="y-auto", margin=0)
        self.main.height = _NOTEBOOK_HEIGHT - 60
        self.main.sizing_mode = "stretch_width"
        return pn.Column(
            self.header.layout,
            pn.Row(side, self.main, sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
            height=_NOTEBOOK_HEIGHT,
            stylesheets=[stylesheet()],
            css_classes=["itslive-notebook"],
        )

    def complete(self) -> None:
        """Put the figures under their hints, once the page is up."""
        for part in (self.glacier, self.series):
            part.figure.complete()

    def glacier_chosen(self, glacier: Glacier) -> None:
        """Show a glacier's name, and what can be done with it."""
        self.glacier.show(glacier)
        self.series.glacier_chosen()

    def tell_source(self, words: str) -> None:
        """Say where the data that are shown come from."""
        self.source.object = f"<p>{escape(words)}</p>"

    def names_changed(self, known: list[Glacier]) -> None:
        """Offer the names of the loaded outlines in the search box."""
        self.header.offer(known)

    def series_changed(self, fit: Fit | None) -> None:
        """Say what the series rests on."""
        self.series.show(fit)
        if fit is None:
            return
        but_mission = replace(fit.selection, mission=None)
        if self._counted is None or self._counted[0] is not fit.pairs or self._counted[1] != but_mission:
            self._counted = fit.pairs, but_mission
            self.filters.show_pairs(fit.pairs, fit.pairs.select(but_mission))

    def follow_smoothing(self, smoothing: Any) -> None:
        """Move the slider, which is not in use, to the lambda that was chosen."""
        settings = self._parts.session.settings
        if isinstance(smoothing, (int, float)) and smoothing > 0 and math.isfinite(smoothing):
            low, high = settings.param["log_smoothing"].bounds
            settings.log_smoothing = min(max(math.log10(smoothing), low), high)

    def _build_sidebar(self) -> pmui.Column:
        parts = self._parts
        session = parts.session
        accordion = pmui.Accordion(
            ("Selected", SelectionPanel(session.selection, parts.places.select, session.runner.later)),
            ("Estimate", EstimatePanel(session.settings, session.estimators)),
            ("Data", self.filters),
            ("Results", ResultsPanel(session, parts.area.jobs)),
            (
                "Open",
                SourcesPanel(
                    parts.places,
                    parts.world.show_imagery,
                    parts.open_example,
                    paths=not session.host.rules.public,
                ),
            ),
            active=[0, 1],
            sizing_mode="stretch_width",
            margin=0,
            disable_gutters=True,
            elevation=0,
            square=True,
            title_variant="subtitle2",
        )
        accordion.param.watch(
            lambda event: parts.area.jobs.refresh() if _RESULTS in event.new else None, "active"
        )
        about = html(
            f"<footer>{CITATION}</footer>", "itslive-about", sizing_mode="stretch_width", margin=(12, 16)
        )
        return pmui.Column(self.source, accordion, about, sizing_mode="stretch_width", margin=0)

    def _build_main(self) -> pmui.Column:
        top = pn.Row(
            card(self._parts.world.pane, min_height=200),
            self.glacier.layout,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-top"],
        )
        return pmui.Column(
            top,
            self.series.layout,
            MessageBar(self._parts.session.messages).alert,
            sizing_mode="stretch_both",
            margin=12,
            css_classes=["itslive-main"],
            stylesheets=[stylesheet()],
        )
