"""A scale for values over many powers of ten and on both sides of zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import FixedTicker

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["decade_ticks", "spread_out"]


def spread_out(values: ArrayLike) -> NDArray[np.float64]:
    """Return sign(v) log10(1 + |v|): linear below 1, logarithmic above."""
    v = np.asarray(values, dtype=float)
    return np.sign(v) * np.log10(1.0 + np.abs(v))


def decade_ticks(axis: Any, decades: int, *, signed: bool) -> None:
    """Label a Bokeh axis that shows `spread_out` values with 0 and powers of ten from 10 on.

    Parameters
    ----------
    axis : Axis
    decades : int
        Largest power of ten.
    signed : bool
        Label both sides of zero.
    """
    steps = [0, *(10**power for power in range(1, decades + 1))]
    if signed:
        steps = [-step for step in reversed(steps[1:])] + steps
    places = [float(place) for place in spread_out(steps)]
    axis.ticker = FixedTicker(ticks=places)
    axis.major_label_overrides = {
        place: f"{step:,}".replace("-", "−") for place, step in zip(places, steps, strict=True)
    }
