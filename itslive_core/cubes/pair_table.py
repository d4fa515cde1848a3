"""The metadata of all image pairs of a datacube, read once and shared by all pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import zarr

from itslive_core.cubes.dates import read_dates
from itslive_core.cubes.packing import read_masked, read_values
from itslive_core.cubes.schema import member
from itslive_core.errors import CubeError
from itslive_core.observations.eras import find_impossible, words_of_dates
from itslive_core.observations.missions import mission_of_pairs, normalise_satellites
from itslive_core.observations.pairs import put_dates_right
from itslive_core.observations.selection import FilterStep, PairSelection, apply_masks
from itslive_core.support.units import DAYS, METRES_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

__all__ = ["PairTable", "read_pair_table"]

_BOTH_DATES = (
    ("acquisition_date_img1", "acquisition_date_img2"),
    ("acquisition_img1", "acquisition_img2"),
    ("date_img1", "date_img2"),
    ("date1", "date2"),
    ("date_1", "date_2"),
    ("start_date", "end_date"),
    ("date_start", "date_end"),
    ("start", "end"),
    ("t1", "t2"),
)
"""What both dates of a pair are called: by ITS_LIVE, and by others."""
_MIDDLES = ("mid_date", "date_center", "time")
_SPANS = ("date_dt", "dt", "temporal_baseline", "baseline", "span")
_OPTIONAL = ("vx_error", "vy_error", "satellite_img1", "satellite_img2")


@dataclass(frozen=True, eq=False)
class PairTable:
    """The metadata of all image pairs of a datacube, in the order of its layers.

    Parameters
    ----------
    start, end : ndarray of float64, shape (T,)
        Acquisition dates put in order [days since 1970-01-01 UTC].
    vx_error, vy_error : ndarray of float64, shape (T,)
        Formal errors [m/yr]; NaN where missing.
    mission, satellite_1, satellite_2 : ndarray of str, shape (T,)
    usable : ndarray of bool, shape (T,)
        Both dates are known, differ, and can be.
    swapped : ndarray of bool, shape (T,)
        The dates were stored in the wrong order.
    outside, too_long : ndarray of bool, shape (T,)
        Dates that cannot be, see `itslive_core.observations.eras.Impossible`.
    unwritten : int
        Layers at the end whose dates are not written: the arrays are longer than their data.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vx_error: NDArray[np.float64]
    vy_error: NDArray[np.float64]
    mission: NDArray[np.str_]
    satellite_1: NDArray[np.str_]
    satellite_2: NDArray[np.str_]
    usable: NDArray[np.bool_]
    swapped: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    too_long: NDArray[np.bool_]
    unwritten: int = 0

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.start)

    def select(self, selection: PairSelection) -> tuple[NDArray[np.bool_], tuple[FilterStep, ...]]:
        """Find the usable pairs that pass filters on metadata.

        Parameters
        ----------
        selection : PairSelection

        Returns
        -------
        mask : ndarray of bool, shape (T,)
        steps : tuple of FilterStep
            What each filter left, of all pairs of the cube.
        """
        first = self.dates_step(np.ones(len(self), dtype=bool))
        masks = selection.masks(self.start, self.end, self.mission, self.satellite_1, self.satellite_2)
        mask, steps = apply_masks(masks, self.usable)
        return mask, (first, *steps)

    def dates_step(self, layers: NDArray) -> FilterStep:
        """Count what `usable` leaves of some layers, and say why.

        Parameters
        ----------
        layers : ndarray
            Mask of shape (T,), or numbers of layers.
        """
        usable = self.usable[layers]
        kept = int(usable.sum())
        note = words_of_dates(
            swapped=int(self.swapped[layers].sum()),
            outside=int(self.outside[layers].sum()),
            too_long=int(self.too_long[layers].sum()),
            unwritten=self.unwritten,
        )
        return FilterStep("valid_dates", kept, len(usable) - kept, note)


def read_pair_table(
    group: zarr.Group,
    url: str,
    n_pairs: int,
    *,
    time: str = "mid_date",
    velocity_units: str = "",
    fetch_ahead: Callable[[Iterable[zarr.Array]], None] | None = None,
) -> PairTable:
    """Read the metadata of all pairs: a handful of one-dimensional arrays, at the same time.

    Parameters
    ----------
    group : zarr.Group
        The cube.
    url : str
        Its name, for messages.
    n_pairs : int
        Number of layers, T.
    time : str
        Name of the dimension of the layers; its coordinate is the middle of each pair if dates are not given.
    velocity_units : str
        Of the velocities: that of errors which do not say theirs.
    fetch_ahead : callable, optional
        Is given the arrays that will be read, so that their chunks come in one round.

    Raises
    ------
    CubeError
        If the acquisition dates are missing, an array has another length, or one is damaged.
    """
    dates = _dates_of(group, url, time)
    optional = {name: found for name in _OPTIONAL if (found := _line(group, name)) is not None}
    stored = {array.basename: array for array in dates} | optional

    def read(name: str) -> NDArray:
        array = stored[name]
        if array.shape != (n_pairs,):
            raise CubeError(f"{url}: {name} does not hold one value for each of the {n_pairs:,} pairs")
        if name in _SPANS:
            return _spans(array)
        if name not in optional:
            return read_dates(array, url)
        if name.startswith("satellite"):
            return _codes(array)
        values = read_masked(array, METRES_PER_YEAR, usual=velocity_units)
        values[values < 0] = np.nan  # not every cube says that -32767 means "missing"
        return values

    if fetch_ahead is not None:
        fetch_ahead([array for array in stored.values() if array.shape == (n_pairs,)])
    with ThreadPoolExecutor(len(stored)) as pool:
        columns = dict(zip(stored, pool.map(read, stored), strict=True))
    first, second = (columns[array.basename] for array in dates)
    if dates[1].basename in _SPANS:
        first, second = first - second / 2, first + second / 2
    start, end, usable, swapped = put_dates_right(first, second)
    unknown = np.full(n_pairs, "", dtype="U8")
    codes = [
        normalise_satellites(columns[name]) if name in columns else unknown
        for name in ("satellite_img1", "satellite_img2")
    ]
    in_order = np.where(swapped, codes[1], codes[0]), np.where(swapped, codes[0], codes[1])
    impossible = find_impossible(start, end, *in_order)
    if n_pairs and not usable.any():
        # A chunk that is not there reads as missing values: a cube whose files are gone must not look empty.
        raise CubeError(f"{url} holds no acquisition dates: check that the datacube is complete")
    if n_pairs and not (usable & ~impossible.either).any():
        at = int(np.flatnonzero(usable)[0])
        raise CubeError(
            f"{url} holds no possible date: the first pair is of {_date(start[at])} and {_date(end[at])};"
            f" check the units of {dates[0].basename}"
        )
    missing = np.full(n_pairs, np.nan)
    # Format 3 fills dates that are not written yet with 0; no pair is of that very moment of 1970.
    blank = (np.isnan(first) & np.isnan(second)) | ((first == 0.0) & (second == 0.0))
    dated = np.flatnonzero(~blank)
    return PairTable(
        start=start,
        end=end,
        vx_error=columns.get("vx_error", missing),
        vy_error=columns.get("vy_error", missing),
        mission=mission_of_pairs(*codes),
        satellite_1=in_order[0],
        satellite_2=in_order[1],
        usable=usable & ~impossible.either,
        swapped=swapped,
        outside=usable & impossible.outside,
        too_long=usable & impossible.too_long,
        unwritten=n_pairs - 1 - int(dated[-1]) if dated.size else 0,
    )


def _dates_of(group: zarr.Group, url: str, time: str) -> tuple[zarr.Array, zarr.Array]:
    """Find the arrays of both dates, or else of the middle and the span."""
    for names in _BOTH_DATES:
        found = [one for name in names if isinstance(one := member(group, name), zarr.Array)]
        if len(found) == 2:
            return found[0], found[1]
    middle = _first(group, (time, *_MIDDLES))
    span = _first(group, _SPANS)
    if middle is not None and span is not None:
        return middle, span
    raise CubeError(
        f"{url} does not say when its images were taken: it has no variable {_BOTH_DATES[0][0]!r} or"
        f" {_BOTH_DATES[0][1]!r}, nor {_MIDDLES[0]!r} and {_SPANS[0]!r}; add them"
    )


def _first(group: zarr.Group, names: Iterable[str]) -> zarr.Array | None:
    found = (member(group, name) for name in dict.fromkeys(names))
    return next((one for one in found if isinstance(one, zarr.Array) and one.ndim == 1), None)


def _line(group: zarr.Group, name: str) -> zarr.Array | None:
    """Give an optional array; None also for errors of every pixel, which are no errors of pairs."""
    found = member(group, name)
    return found if isinstance(found, zarr.Array) and found.ndim == 1 else None


def _spans(array: zarr.Array) -> NDArray[np.float64]:
    """Read the time between both images [days], as numbers or as timedelta64."""
    if array.dtype.kind == "m":
        values = read_values(array)
        return np.where(np.isnat(values), np.nan, values / np.timedelta64(1, "D")).astype(np.float64)
    return read_masked(array, DAYS)


def _codes(array: zarr.Array) -> NDArray[np.str_]:
    """Read codes of satellites: text, numbers, or the flags of CF with their meanings."""
    values, meanings = array.attrs.get("flag_values"), str(array.attrs.get("flag_meanings") or "").split()
    if array.dtype.kind in "iuf" and isinstance(values, (list, tuple)) and len(values) == len(meanings) > 0:
        numbers = read_masked(array)
        found = np.full(numbers.shape, "", dtype=object)
        for value, meaning in zip(values, meanings):
            found[numbers == float(str(value))] = meaning
        return found.astype(str)
    if array.dtype.kind in "iuf" and {"scale_factor", "add_offset"} & set(array.attrs):
        return read_masked(array).astype(object).astype(str)
    return read_values(array).astype(object).astype(str)


def _date(day: float) -> str:
    try:
        return str(np.datetime64(0, "D") + np.timedelta64(int(day), "D"))
    except (OverflowError, ValueError):
        return f"day {day:.3g}"
