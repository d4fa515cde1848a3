"""The missions: how many of their pairs are used, and their noise in plain words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS
from dashboard.views.diagnosis.section import Section
from dashboard.views.parts import html

if TYPE_CHECKING:
    import pandas as pd

    from dashboard.views.diagnosis.section import Look, Shared

__all__ = ["MissionsSection", "mission_table", "noise_words"]


def noise_words(scale: float, floor: float, jitter: float = 0.0) -> str:
    """Say what noise a mission is taken to have: scale^2 (formal^2 + floor^2 + (jitter / span)^2).

    Parameters
    ----------
    scale : float
        Factor; NaN where it is not known.
    floor : float
        What formal errors do not know [m/yr].
    jitter : float
        Error of the displacement [m]: it counts the more, the shorter the span.
    """
    if not np.isfinite(scale):
        return "not known"
    words = "formal errors as they are" if abs(scale - 1.0) < 5e-3 else f"{scale:.2g} × the formal errors"
    if floor > 0:
        words += f", but at least {scale * floor:.2g} m/yr"
    if jitter > 0:
        words += f", and {scale * jitter:.2g} m over each span"
    return words


def mission_table(missions: pd.DataFrame | None) -> str:
    """Write what is known of the missions as an HTML table."""
    if missions is None or missions.empty:
        return ""
    rows = []
    for name, row in missions.iterrows():
        key = str(name)
        dot = f"<span class='dot' style='background:{MISSION_COLOURS[key]}'></span>"
        spread = (
            f"{row['median_residual']:+,.1f} ± {row['spread']:,.1f}".replace("-", "−")
            if np.isfinite(row["spread"])
            else "–"
        )
        season = f"{row['season']:.2g}" if np.isfinite(row["season"]) else "–"
        rows.append(
            f"<tr><th scope='row'>{dot}{escape(MISSION_LABELS[key])}</th><td>{int(row['n_used']):,}</td>"
            f"<td>{int(row['n_rejected']):,}</td><td>{spread}</td>"
            f"<td>{noise_words(row['noise_scale'], row['floor'], row['jitter'])}</td>"
            f"<td>{season}</td></tr>"
        )
    head = (
        "<tr><th scope='col'>Mission</th><th scope='col'>used</th><th scope='col'>rejected</th>"
        "<th scope='col'>residual [m/yr]</th><th scope='col'>noise assumed</th>"
        "<th scope='col'>swings with the season [m]</th></tr>"
    )
    return f"<table class='itslive-table'><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


class MissionsSection(Section):
    """The table of missions."""

    title = "Missions and their noise"

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._table = html("", "itslive-table-pane", sizing_mode="stretch_width", margin=0)

    def contents(self) -> list[Any]:
        """Return the table."""
        return [self._table]

    def show(self, look: Look) -> None:
        """Write the table anew."""
        self._table.object = mission_table(look.diagnosis.missions)
