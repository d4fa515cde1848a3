"""Settings of the moving median: validated, immutable, and the same in Python, shell and app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from itslive_core.inversion.settings import InversionSettings
from itslive_core.settings import Limits, ValueFilters, number, same

__all__ = ["MovingMedianSettings"]


@dataclass(frozen=True)
class MovingMedianSettings(Limits):
    """How to take the median of image pairs in a moving window.

    Parameters
    ----------
    interval : float
        Length of a time cell [days].
    window : float
        Length of the window around the centre of each cell [days]. Pairs of longer spans are not used.
    least_pairs : int
        Fewest pairs in a window for which there is a median.
    weights : {"none", "span", "error"}
        What a pair counts: all alike, ~ span^2, or ~ 1 / formal error^2.
    outliers : {"none", "auto"}
        ``"auto"`` rejects long pairs that locked on something that does not move.
    max_error, max_angle, max_deviation : float, optional
        Limits beyond which pairs are rejected, as in `InversionSettings`.

    Raises
    ------
    SettingsError
        If a value is impossible; the message says what is possible.
    """

    of: ClassVar[str] = "the moving median"

    interval: float = same(InversionSettings, "interval")
    window: float = number(
        90.0,
        1.0,
        3650.0,
        unit="days",
        metavar="DAYS",
        help="Length of the window; pairs of longer spans are not used",
        label="Window [days]",
        doc="Pairs whose whole span lies in the window around a cell count; longer ones are not used.",
        step=10.0,
    )
    least_pairs: int = number(
        3,
        1,
        1000,
        whole=True,
        metavar="N",
        help="Fewest pairs in a window for which there is a median",
        label="Fewest pairs",
        doc="Windows with fewer pairs stay empty.",
    )
    weights: str = same(InversionSettings, "weights")
    outliers: str = same(ValueFilters, "outliers")
