"""How many image pairs there are of each span."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd

from dashboard.colours import ACCENT
from dashboard.state.filters import SPAN_BOUNDS
from dashboard.views.figures import calm

__all__ = ["span_histogram"]


def span_histogram(span: Any) -> Any:
    """Draw how many pairs there are of each span, with hvplot.

    Parameters
    ----------
    span : ndarray, shape (n,)
        Spans [days].
    """
    edges = np.array([0, 8, 16, 32, 64, 128, 256, 400, SPAN_BOUNDS[1]])
    counts = np.histogram(np.clip(span, 0, SPAN_BOUNDS[1]), edges)[0]
    labels = [f"{low}–{high}" for low, high in pairwise(edges.tolist())]
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
        hooks=[calm],
    )
