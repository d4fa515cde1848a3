"""Which dates a pair of images can have: not before its satellites flew, not after today, not too far apart.

A date that was never written reads as 1970, a wrong epoch puts images into the next century, and one such
pair stretches a series over decades that nobody observed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LONGEST_SPAN", "Impossible", "find_impossible", "words_of_dates"]

LONGEST_SPAN = 3653.0
"""Longest span of a pair [days]: ten years; the longest of ITS_LIVE is 546 days."""

_FIRST_IMAGES_FROM_SPACE = "1960-01-01"
_ERAS: dict[str, tuple[str, str | None]] = {
    # satellite: launch, and the end of its mission where that is over
    "4": ("1982-07-16", "2001-06-15"),
    "5": ("1984-03-01", "2013-06-05"),
    "7": ("1999-04-15", "2025-06-04"),
    "8": ("2013-02-11", None),
    "9": ("2021-09-27", None),
    "1A": ("2014-04-03", None),
    "1B": ("2016-04-25", "2022-08-03"),
    "1C": ("2024-12-05", None),
    "1D": ("2025-11-04", None),
    "S1": ("2014-04-03", None),  # codes that were cut to one character
    "2A": ("2015-06-23", None),
    "2B": ("2017-03-07", None),
    "2C": ("2024-09-05", None),
    "S2": ("2015-06-23", None),
    "A": ("2025-07-30", None),  # NISAR
}


class Impossible(NamedTuple):
    """Pairs whose dates cannot be.

    Parameters
    ----------
    outside : ndarray of bool, shape (n,)
        An image before its satellite flew, after the mission was over, or after today.
    too_long : ndarray of bool, shape (n,)
        Both images are possible, but further apart than `LONGEST_SPAN`.
    """

    outside: NDArray[np.bool_]
    too_long: NDArray[np.bool_]

    @property
    def either(self) -> NDArray[np.bool_]:
        """The pairs with one fault or the other, shape (n,)."""
        return self.outside | self.too_long


def find_impossible(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    satellite_1: NDArray[np.str_],
    satellite_2: NDArray[np.str_],
    *,
    today: float | None = None,
) -> Impossible:
    """Find the pairs whose dates cannot be.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Dates in order [days since 1970-01-01]; NaN where missing, which is no fault here.
    satellite_1, satellite_2 : ndarray of str, shape (n,)
        Of the earlier and of the later image, from `normalise_satellites`; of a satellite that is not known,
        any date since the first images from space is possible.
    today : float, optional
        [days since 1970-01-01]; by default what the clock says.
    """
    tomorrow = np.floor(time.time() / 86_400.0 if today is None else today) + 1.0  # some clocks are ahead
    outside = np.zeros(len(start), dtype=bool)
    for dates, codes in ((start, satellite_1), (end, satellite_2)):
        first, last = _eras_of(codes, tomorrow)
        outside |= (dates < first) | (dates >= last)
    return Impossible(outside, ~outside & (end - start > LONGEST_SPAN))


def words_of_dates(*, swapped: int = 0, outside: int = 0, too_long: int = 0, unwritten: int = 0) -> str:
    """Say which pairs the step ``valid_dates`` keeps, and what was found.

    Parameters
    ----------
    swapped, outside, too_long, unwritten : int
        Numbers of pairs: dates in the wrong order, `Impossible`, and layers whose dates are not written yet.
    """
    found = (
        (swapped, "with swapped dates put right"),
        (outside, "dated before their satellites flew, after the end of the mission or after today"),
        (too_long, "of more than ten years"),
        (unwritten, "layers not yet written"),
    )
    return "; ".join(["both dates known, span above zero", *(f"{n:,} {words}" for n, words in found if n)])


def _eras_of(codes: NDArray[np.str_], tomorrow: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names, inverse = np.unique(codes, return_inverse=True)
    eras = [_ERAS.get(str(name), (_FIRST_IMAGES_FROM_SPACE, None)) for name in names]
    first = np.array([_day(launch) for launch, _ in eras], dtype=np.float64)
    last = np.array([tomorrow if over is None else _day(over) + 1.0 for _, over in eras], dtype=np.float64)
    return first[inverse], last[inverse]


def _day(date: str) -> float:
    return float(np.datetime64(date, "D").astype(np.int64))
