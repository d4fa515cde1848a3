"""Which image pairs a click on the series means, and the mark of the one that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import holoviews as hv
import numpy as np

from dashboard.colours import MARKER
from dashboard.views.pair_bars import moments, values_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dashboard.state.picked import Picked
    from dashboard.state.pictures import Bars

__all__ = ["REACH", "chosen_bar", "chosen_columns", "pairs_near"]

REACH = 5.0
"""How far from a bar a click still means it [pixels]."""
_MOST = 50
"""Pairs that one click can mean."""


def pairs_near(
    bars: Bars,
    component: str,
    where: tuple[float, float],
    pixel: tuple[float, float],
    seen: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Find the pairs whose bars lie under a click, the nearest first, of those alike the shortest.

    Parameters
    ----------
    bars : Bars
    component : {"v", "vx", "vy"}
        What is drawn.
    where : tuple of float
        The click: milliseconds since 1970, value [m/yr].
    pixel : tuple of float
        Size of a pixel of the screen in these units.
    seen : ndarray of bool, shape (n,), optional
        Pairs that are not hidden.

    Returns
    -------
    list of int
        Rows of ``bars.pairs``.
    """
    pairs = bars.pairs
    if not len(pairs) or not all(np.isfinite(one) and one > 0 for one in pixel):
        return []
    before = pairs.start * 86.4e6 - where[0]
    after = where[0] - pairs.end * 86.4e6
    away_x = np.maximum(0.0, np.maximum(before, after)) / pixel[0]
    away_y = np.abs(values_of(pairs, component) - where[1]) / pixel[1]
    away = np.hypot(away_x, away_y)
    near = np.flatnonzero((away <= REACH) & (True if seen is None else seen))
    order = np.lexsort((pairs.span[near], np.rint(away[near])))
    return [int(row) for row in near[order][:_MOST]]


def chosen_bar(picked: Picked | None, component: str) -> hv.Segments:
    """Draw the pair that is chosen as a bold bar."""
    columns = chosen_columns(picked, component)
    return hv.Segments(tuple(columns.values()), ["start", "value", "end", "value_end"]).opts(
        color=MARKER, line_width=5, apply_ranges=False, show_legend=False
    )


def chosen_columns(picked: Picked | None, component: str) -> dict[str, NDArray]:
    """Return the columns of the bar of the pair that is chosen; empty without one."""
    if picked is None:
        never = np.empty(0, "datetime64[ms]")
        return {"start": never, "value": np.empty(0), "end": never, "value_end": np.empty(0)}
    rows = slice(picked.row, picked.row + 1)
    value = values_of(picked.pairs, component)[rows]
    start, end = (moments(days[rows]) for days in (picked.pairs.start, picked.pairs.end))
    return {"start": start, "value": value, "end": end, "value_end": value}
