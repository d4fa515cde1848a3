"""The metadata of all image pairs of a datacube, read once and shared by all pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.cubes import schema
from itslive_core.errors import CubeError
from itslive_core.observations.missions import mission_of_pairs, normalise_satellites
from itslive_core.observations.pairs import put_dates_right
from itslive_core.observations.selection import FilterStep, PairSelection, apply_masks

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

__all__ = ["PairTable", "read_pair_table"]

_DATES = ("acquisition_date_img1", "acquisition_date_img2")
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
        Both dates are known and differ.
    swapped : ndarray of bool, shape (T,)
        The dates were stored in the wrong order.
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
        n = int(self.usable.sum())
        note = "both dates known, span above zero"
        if self.swapped.any():
            note += f"; {int(self.swapped.sum())} with swapped dates put right"
        first = FilterStep("valid_dates", n, len(self) - n, note)
        masks = selection.masks(self.start, self.end, self.mission, self.satellite_1, self.satellite_2)
        mask, steps = apply_masks(masks, self.usable)
        return mask, (first, *steps)


def read_pair_table(group: zarr.Group, url: str, n_pairs: int) -> PairTable:
    """Read the metadata of all pairs: a handful of one-dimensional arrays, at the same time.

    Parameters
    ----------
    group : zarr.Group
        The cube.
    url : str
        Its name, for messages.
    n_pairs : int
        Number of layers, T.

    Raises
    ------
    CubeError
        If the acquisition dates are missing, an array has another length, or one is damaged.
    """
    stored = {name: schema.member(group, name) for name in (*_DATES, *_OPTIONAL)}
    for name in _DATES:
        if stored[name] is None:
            raise CubeError(f"{url} is not an ITS_LIVE datacube: it has no variable {name!r}; check the path")
    names = tuple(name for name in stored if stored[name] is not None)

    def read(name: str) -> NDArray:
        array = stored[name]
        if getattr(array, "shape", None) != (n_pairs,):
            raise CubeError(f"{url}: {name} does not hold one value for each of the {n_pairs:,} pairs")
        if name.startswith("satellite"):
            return schema.read_values(array).astype(object).astype(str)  # type: ignore[arg-type]
        values = schema.read_masked(array)  # type: ignore[arg-type]
        if name in _DATES:
            return schema.decode_dates(array, values, name)  # type: ignore[arg-type]
        values[values < 0] = np.nan  # not every cube says that -32767 means "missing"
        return values

    with ThreadPoolExecutor(len(names)) as pool:
        columns = dict(zip(names, pool.map(read, names), strict=True))
    start, end, usable, swapped = put_dates_right(columns[_DATES[0]], columns[_DATES[1]])
    if n_pairs and not usable.any():
        # A chunk that is not there reads as missing values: a cube whose files are gone must not look empty.
        raise CubeError(f"{url} holds no acquisition dates: check that the datacube is complete")
    unknown = np.full(n_pairs, "", dtype="U8")
    codes = [
        normalise_satellites(columns[name]) if name in columns else unknown
        for name in ("satellite_img1", "satellite_img2")
    ]
    missing = np.full(n_pairs, np.nan)
    return PairTable(
        start=start,
        end=end,
        vx_error=columns.get("vx_error", missing),
        vy_error=columns.get("vy_error", missing),
        mission=mission_of_pairs(*codes),
        satellite_1=np.where(swapped, codes[1], codes[0]),
        satellite_2=np.where(swapped, codes[0], codes[1]),
        usable=usable,
        swapped=swapped,
    )
