"""How many image pairs there are of each span."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd

from dashboard.colours import ACCENT
from dashboard.state.filters import SPAN_BOUNDS
from dashboard.views.brush import on_brush, width_brush
from dashboard.views.figures import Hook, calm, named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["brushed_spans", "listen_to_brush", "span_histogram"]

_EDGES = (0, 8, 16, 32, 64, 128, 256, 400, SPAN_BOUNDS[1])
"""Of the bars [days]."""
_BRUSH = "itslive-span-brush"


def brushed_spans(x0: float, x1: float) -> tuple[int, int]:
    """Return the spans of the bars that a brush touches [days].

    Parameters
    ----------
    x0, x1 : float
        Its ends; bar number i reaches from i to i + 1.
    """
    first = min(max(math.floor(x0), 0), len(_EDGES) - 2)
    last = min(max(math.ceil(x1), first + 1), len(_EDGES) - 1)
    # A bar holds the spans below its end, but for the last one, which has none.
    return _EDGES[first], _EDGES[last] - (last < len(_EDGES) - 1)


def listen_to_brush(plot: Any, act: Callable[[tuple[int, int]], None]) -> None:
    """Tell as spans what is brushed in the histogram; once a figure."""
    figure = plot.handles["plot"]
    if not any(tool.name == _BRUSH for tool in figure.tools):
        tool = width_brush(_BRUSH)
        figure.add_tools(tool)
        figure.toolbar.active_drag = tool
        on_brush(figure, lambda x0, x1: act(brushed_spans(x0, x1)))


def span_histogram(span: Any, *hooks: Hook) -> Any:
    """Draw how many pairs there are of each span, with hvplot.

    Parameters
    ----------
    span : ndarray, shape (n,)
        Spans [days].
    *hooks
        More hooks of the element.
    """
    counts = np.histogram(np.clip(span, 0, SPAN_BOUNDS[1]), _EDGES)[0]
    labels = [f"{low}–{high}" for low, high in pairwise(_EDGES)]
    table = pd.DataFrame({"span [days]": labels, "pairs": counts})
    return table.hvplot.bar(
        x="span [days]", y="pairs", height=120, responsive=True, color=ACCENT, rot=35
    ).opts(
        toolbar=None,
        xlabel="",
        ylabel="",
        default_tools=["hover"],
        fontsize={"ticks": "11px"},
        show_grid=False,
        yaxis=None,
        line_alpha=0,
        bar_width=0.9,
        hooks=[calm, named("itslive-spans"), *hooks],
    )
