"""The pairs that a filter took, as faint crosses in the colour of that filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from dashboard.colours import step_colour, step_label
from itslive_core.series.quality import LEAST_WEIGHT

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["NO_WEIGHT", "cross_columns", "cross_hover", "rejected_crosses", "step_of"]

NO_WEIGHT = "no_weight"
"""Name given to the last step: pairs that passed all filters, and that the robust fit gives next to no weight."""


def step_of(pairs: pd.DataFrame) -> NDArray[np.object_]:
    """Name the step that silenced each pair: a filter, or `NO_WEIGHT`; empty where the pair counts.

    Parameters
    ----------
    pairs : DataFrame
        ``Diagnosis.pairs``.
    """
    step = pairs["rejected_by"].to_numpy(dtype=object).copy()
    step[(step == "") & (pairs["weight"].to_numpy() < LEAST_WEIGHT)] = NO_WEIGHT
    return step


def cross_columns(pairs: pd.DataFrame | None, component: str) -> dict[str, NDArray[Any]]:
    """Return the columns of the crosses.

    Parameters
    ----------
    pairs : DataFrame or None
        ``Diagnosis.pairs``; None gives none.
    component : {"v", "vx", "vy"}

    Returns
    -------
    dict of ndarray, shape (n,)
        mid [datetime64], value [m/yr], span [days], step, colour.
    """
    if pairs is None:
        words = np.empty(0, dtype=object)
        numbers = np.empty(0)
        mid = np.empty(0, "datetime64[ms]")
        return {"mid": mid, "value": numbers, "span": numbers, "step": words, "colour": words}
    step = step_of(pairs)
    out = step != ""
    taken = pairs[out]
    value = np.hypot(taken["vx"], taken["vy"]) if component == "v" else taken[component]
    return {
        "mid": taken["mid"].to_numpy(),
        "value": value.to_numpy(),
        "span": taken["span"].to_numpy(),
        "step": np.array([step_label(name) for name in step[out]], dtype=object),
        "colour": np.array([step_colour(name) for name in step[out]], dtype=object),
    }


def rejected_crosses(pairs: pd.DataFrame | None, component: str) -> hv.Points:
    """Draw the pairs that a filter took, or that have no weight, at the middle of their spans."""
    columns = cross_columns(pairs, component)
    return hv.Points(tuple(columns.values()), ["mid", "value"], ["span", "step", "colour"]).opts(
        marker="x", size=6, color="colour", alpha=0.55, line_width=1.2, apply_ranges=False, show_legend=False
    )


def cross_hover() -> HoverTool:
    """Make the tool that tells why a pair is not used."""
    return HoverTool(
        tooltips=[
            ("Not used", "@step"),
            ("Middle", "@mid{%d %b %Y}"),
            ("Span", "@span{0.0} days"),
            ("Value", "@value{0,0} m/yr"),
        ],
        formatters={"@mid": "datetime"},
        visible=False,
    )
