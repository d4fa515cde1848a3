"""Image pairs left out by hand: which they are, as text that recipes, links and shells can hold.

An image is ``2A@2019-06-03T05:12``, a satellite and when it took it; a pair is both its images with a slash
between them. An image named alone means all pairs that it is part of. A date may be as coarse as one likes
(``8@2019-06`` is all that Landsat 8 took in that month), and without a satellite it holds for all of them.
Images that one satellite takes within a minute are one to this package, as they are where copies of pairs
are looked for (`itslive_core.observations.duplicates`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.observations.iso_dates import iso_text
from itslive_core.observations.missions import parse_satellites

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["image_name", "is_left_out", "pair_name", "parse_left_out"]

_MILLISECONDS = 86_400_000.0


def image_name(date: float, satellite: str) -> str:
    """Name an image.

    Parameters
    ----------
    date : float
        When it was taken [days since 1970-01-01 UTC].
    satellite : str
        Code of the satellite; empty where it is not known.
    """
    minute = np.datetime64(round(date * _MILLISECONDS), "ms").astype("datetime64[m]")
    return f"{satellite}@{minute}" if satellite else str(minute)


def pair_name(start: float, end: float, satellite_1: str, satellite_2: str) -> str:
    """Name an image pair by both its images; see `image_name`."""
    return f"{image_name(start, satellite_1)}/{image_name(end, satellite_2)}"


def parse_left_out(names: str | Iterable[str]) -> tuple[str, ...]:
    """Check names of pairs and images, and bring them to one spelling, sorted, each once.

    Parameters
    ----------
    names : str or iterable of str
        Several in one text are separated by commas.

    Raises
    ------
    SettingsError
        If one is not understood.
    """
    parts = [names] if isinstance(names, str) else list(names)
    wanted = [piece.strip() for part in parts for piece in str(part).split(",") if piece.strip()]
    return tuple(sorted({_spell(one) for one in wanted}))


def is_left_out(
    names: Iterable[str],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    satellite_1: NDArray[np.str_],
    satellite_2: NDArray[np.str_],
) -> NDArray[np.bool_]:
    """Find the pairs that are named.

    Parameters
    ----------
    names : iterable of str
        From `parse_left_out`.
    start, end : ndarray, shape (n,)
        Acquisition dates [days since 1970-01-01 UTC]; NaN where missing.
    satellite_1, satellite_2 : ndarray of str, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    first, second = (np.rint(days * _MILLISECONDS) for days in (start, end))
    out = np.zeros(len(start), dtype=bool)
    for name in names:
        images = [_image(text) for text in name.split("/")]
        if len(images) == 1:
            out |= images[0].holds(first, satellite_1) | images[0].holds(second, satellite_2)
        else:
            out |= images[0].holds(first, satellite_1) & images[1].holds(second, satellite_2)
    return out


class _Image(NamedTuple):
    """A satellite, empty for all, and the time within which it took an image [ms since 1970]."""

    satellite: str
    low: int
    high: int

    def holds(self, moments: NDArray[np.float64], satellites: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Find the images that are meant."""
        within = (moments >= self.low) & (moments < self.high)
        return within & (satellites == self.satellite) if self.satellite else within


def _image(text: str) -> _Image:
    """Read an image in the spelling of `parse_left_out`."""
    satellite, _, date = text.rpartition("@")
    moment = np.datetime64(date)
    low, high = (one.astype("datetime64[ms]").astype(np.int64) for one in (moment, moment + 1))
    return _Image(satellite, int(low), max(int(high), int(low) + 1))


def _spell(name: str) -> str:
    """Bring the name of a pair or of an image to one spelling.

    Raises
    ------
    SettingsError
        If it is none.
    """
    try:
        images = [_spell_image(part) for part in name.split("/")]
    except (SettingsError, ValueError) as error:
        raise SettingsError(_not_understood(name)) from error
    if len(images) > 2:
        raise SettingsError(_not_understood(name))
    return "/".join(sorted(images, key=lambda one: _image(one).low))


def _spell_image(text: str) -> str:
    satellite, at, date = text.strip().rpartition("@")
    date = iso_text(date).replace(" ", "T")
    if not at:
        return date
    [code] = parse_satellites(satellite)
    return f"{code}@{date}"


def _not_understood(name: Any) -> str:
    return (
        f"{name!r} is no image pair: write 2A@2019-06-03T05:12/2B@2019-06-13T05:12,"
        " or one of both for all pairs of that image"
    )
