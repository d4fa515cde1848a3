"""Offsets between missions, with their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.models import FixedTicker, HoverTool
from panel.viewable import Viewer

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS
from dashboard.state.pictures import nice_limit
from dashboard.views.diagnosis.section import Section, note
from dashboard.views.figures import Limits, calm, named, pane_of, weakly, zero_line
from dashboard.views.layers import LiveLayers
from itslive_core.support.band_level import BAND_REACH, BAND_WORDS

if TYPE_CHECKING:
    import panel as pn

    from dashboard.views.diagnosis.section import Look, Shared

__all__ = ["OffsetsSection", "OffsetsView", "about_offsets", "offset_bars", "offset_marks", "offset_rows"]

_HEIGHT = 170
_PLACES = {name: float(-i) for i, name in enumerate(MISSION_COLOURS)}


def offset_rows(missions: pd.DataFrame | None) -> pd.DataFrame:
    """Return what is drawn of each offset that was estimated.

    Parameters
    ----------
    missions : DataFrame or None
        ``Diagnosis.missions``.

    Returns
    -------
    DataFrame
        Columns offset, low, high (limits of its band) [m/yr], mission in words, colour, place on the axis.
    """
    rows = []
    for name, row in missions.iterrows() if missions is not None else ():
        if np.isfinite(row["offset"]):
            reach = BAND_REACH * row["offset_std"] if np.isfinite(row["offset_std"]) else 0.0
            key, at = str(name), row["offset"]
            rows.append((at, at - reach, at + reach, MISSION_LABELS[key], MISSION_COLOURS[key], _PLACES[key]))
    return pd.DataFrame(rows, columns=["offset", "low", "high", "mission", "colour", "place"])


def about_offsets(missions: pd.DataFrame | None, *, estimated: bool) -> str:
    """Say what the offsets are held against; without any, why, and what to do for them.

    Parameters
    ----------
    missions : DataFrame or None
        ``Diagnosis.missions``.
    estimated : bool
        Offsets were asked for.
    """
    used = missions[missions["n_used"] > 0] if missions is not None else None
    if used is None or len(used) < 2:
        return "Only one mission is used here: an offset needs a second one to be held against."
    if not estimated:
        return (
            "Offsets are switched off: choose them under Estimate, More choices, to see by how much "
            "missions differ."
        )
    rest = [MISSION_LABELS[str(name)] for name in used.index[used["offset"].isna()]]
    if len(rest) == len(used):
        return "No offset was estimated here: the missions do not look at the same times."
    against = f", held against {' and '.join(rest)}" if rest else ""
    return (
        f"Offset along the flow with its {BAND_WORDS} interval{against}; it is taken off before the estimate."
    )


def offset_bars(missions: pd.DataFrame | None) -> hv.Segments:
    """Draw the intervals."""
    rows = offset_rows(missions)
    place = rows["place"].to_numpy(dtype=float)
    ends = (rows["low"].to_numpy(dtype=float), place, rows["high"].to_numpy(dtype=float), place)
    rest = (rows[name].to_numpy() for name in ("offset", "mission", "colour"))
    return hv.Segments(
        (*ends, *rest), ["low", "place", "high", "below"], ["offset", "mission", "colour"]
    ).opts(color="colour", line_width=3, apply_ranges=False, show_legend=False)


def offset_marks(missions: pd.DataFrame | None) -> hv.Points:
    """Draw the offsets."""
    rows = offset_rows(missions)
    columns = (rows["offset"].to_numpy(dtype=float), rows["place"].to_numpy(dtype=float), rows["colour"])
    return hv.Points(columns, ["offset", "place"], ["colour"]).opts(
        color="colour", size=10, line_color=None, apply_ranges=False, show_legend=False
    )


class OffsetsView(Viewer):
    """Offset of each mission along the flow with its interval."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        hover = HoverTool(
            tooltips=[
                ("", "@mission"),
                ("Offset", "@offset{0,0.0} m/yr"),
                (f"{BAND_WORDS} interval", "@low{0,0.0} to @high{0,0.0} m/yr"),
            ],
            visible=False,
        )
        self._layers = LiveLayers(
            {"reach": lambda missions: offset_bars(missions).opts(tools=[hover]), "offset": offset_marks}
        )
        self._limits = Limits()
        self.pane = pane_of(
            self._layers.overlay().opts(
                responsive=True,
                ylim=(min(_PLACES.values()) - 0.6, 0.6),
                xlabel="offset along the flow [m/yr]",
                ylabel="",
                show_grid=True,
                default_tools=[],
                fontsize={"labels": "12px", "ticks": "11px"},
                show_title=False,
                hooks=[calm, named("itslive-offsets"), weakly(self._dress)],
            ),
            "itslive-offsets",
            sizing_mode="stretch_width",
            height=_HEIGHT,
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show(self, missions: pd.DataFrame | None) -> None:
        """Send ``Diagnosis.missions``."""
        rows = offset_rows(missions)
        reach = nice_limit(rows[["low", "high"]].abs().to_numpy())  # round, so that it seldom changes
        self._limits.set((-reach, min(_PLACES.values()) - 0.6, reach, 0.6))
        self._layers.send(missions)
        if self._layers.direct:
            self._limits.apply()

    def _dress(self, plot: Any, element: Any) -> None:
        """Name the missions on the axis; a hook."""
        self._limits.hook(plot, element)
        figure = plot.handles["plot"]
        figure.toolbar_location = None
        zero_line(figure, "height")
        figure.yaxis[0].ticker = FixedTicker(ticks=sorted(_PLACES.values()))
        figure.yaxis[0].major_label_overrides = {
            place: MISSION_LABELS[name] for name, place in _PLACES.items()
        }


class OffsetsSection(Section):
    """What the offsets are held against, and their figure where there are any."""

    title = "Offsets between missions"

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.words = note(margin=(4, 0))
        self.figure = self.place()
        self.view: OffsetsView | None = None
        """The figure, once there was something to draw."""

    def contents(self) -> list[Any]:
        """Return the words and the place of the figure."""
        return [self.words, self.figure]

    def show(self, look: Look) -> None:
        """Send the offsets, or say why there are none."""
        missions = look.diagnosis.missions
        known = not offset_rows(missions).empty
        if known and self.view is None:
            self.view = OffsetsView()
            self.figure.append(self.view.pane)
        if self.view is not None:
            self.view.show(missions)
        self.figure.visible = known
        self.words.object = f"<p>{about_offsets(missions, estimated=look.offsets)}</p>"
