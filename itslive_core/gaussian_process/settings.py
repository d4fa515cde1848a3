"""Settings of the Gaussian process: validated, immutable, and the same in Python, shell and app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from itslive_core.settings import Limits, ValueFilters, choice, device, flag, number, same

__all__ = ["GaussianProcessSettings"]


@dataclass(frozen=True)
class GaussianProcessSettings(Limits):
    """How to fit a Gaussian process to image pairs.

    Parameters
    ----------
    interval : float
        Length of a time cell [days].
    method : {"span", "sklearn"}
        ``"span"`` averages over the span of each pair; ``"sklearn"`` takes a pair for an instant, as
        scikit-learn's Gaussian process must, and is there for comparison.
    trend : bool
        Changes over years.
    season : bool
        A yearly cycle whose shape drifts.
    harmonics : int
        Number of harmonics of the season; sharper peaks need more.
    offsets : bool
        Estimate an offset of each mission from the most trusted one, shrunk towards 0.
    outliers : {"none", "auto"}
        ``"auto"`` rejects long pairs that locked on something that does not move.
    device : {"auto", "cpu", "cuda"}
        Where to compute; the result does not depend on it. ``"cuda"`` needs torch and a GPU: for areas;
        ``"auto"`` takes a GPU for blocks for which it should pay.
    max_error, max_angle, max_deviation : float, optional
        Limits beyond which pairs are rejected, as in `InversionSettings`.

    Raises
    ------
    SettingsError
        If a value is impossible; the message says what is possible.
    """

    of: ClassVar[str] = "the Gaussian process"

    interval: float = number(
        12.0, 1.0, 120.0, unit="days", metavar="DAYS", help="Length of a cell of the series"
    )
    method: str = choice(
        "span",
        ("span", "sklearn"),
        help="Average over the span of each pair; or scikit-learn's on mid-dates, for comparison",
    )
    trend: bool = flag(True, help="Changes over years")
    season: bool = flag(True, help="A yearly cycle whose shape drifts")
    harmonics: int = number(
        6,
        1,
        12,
        whole=True,
        metavar="N",
        help="Harmonics of the season",
        doc="Sharper peaks of the season need more.",
    )
    offsets: bool = flag(
        True,
        help="Offsets between missions",
        label="Offsets between missions",
        doc="Allow each mission a constant offset from the others, shrunk towards 0.",
    )
    outliers: str = same(ValueFilters, "outliers")
    device: str = device()
