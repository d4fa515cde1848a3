"""How numbers are packed in a cube: markers of missing values, scale and offset, unsigned bits, valid ranges.

These are the conventions of CF (sections 2.5.1 and 8.1) and of NetCDF, which hold for every array: dates and
axes as well as velocities. Packed numbers become physical ones in one unit.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import CubeError
from itslive_core.support.units import Dimension, factor_to

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

__all__ = ["FASTEST", "Packing", "missing_markers", "read_masked", "read_values"]

FASTEST = 32_767.0
"""Speed along an axis that is no velocity [m/yr]: where the 16 bits of ITS_LIVE end, far above any ice."""

_HOLE = -32_767.0
"""What ITS_LIVE has always used for "missing" where nothing says so."""


@dataclass(frozen=True)
class Packing:
    """How the numbers of one array become physical ones.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the stored numbers, in the byte order of this machine; unsigned where their bits mean that.
    markers : tuple of float
        Stored numbers that mean "missing".
    scale, offset : float
        Physical number = stored number * scale + offset, in the unit wanted.
    low, high : float
        Stored numbers outside of this closed range are missing too.
    """

    dtype: np.dtype[Any]
    markers: tuple[float, ...]
    scale: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def of(cls, array: zarr.Array, wanted: Dimension | None = None, *, usual: str | None = None) -> Packing:
        """Read it from the attributes of an array.

        Parameters
        ----------
        array : zarr.Array
            Of numbers.
        wanted : Dimension, optional
            Bring the numbers to this unit.
        usual : str, optional
            Unit of the numbers where the array does not say one; by default the unit wanted.

        Raises
        ------
        CubeError
            If an attribute is no number, or the unit is not one of the kind.
        """
        dtype = _workable(array.dtype.newbyteorder("="))
        if dtype.kind == "i" and str(array.attrs.get("_Unsigned", "")).lower() == "true":
            dtype = np.dtype(f"u{dtype.itemsize}")
        scale, offset = _one_number(array, "scale_factor", 1.0), _one_number(array, "add_offset", 0.0)
        if scale == 0.0 or not np.isfinite([scale, offset]).all():
            raise CubeError(
                f"scale_factor {scale:g} and add_offset {offset:g} of {array.basename} make no numbers:"
                " mend these attributes"
            )
        factor = 1.0 if wanted is None else _factor(array, wanted, usual)
        low, high = _valid_range(array)
        markers = tuple(_wrapped(marker, dtype) for marker in missing_markers(array))
        return cls(dtype, markers, scale * factor, offset * factor, low, high)

    @property
    def plain(self) -> bool:
        """Stored numbers are the physical ones."""
        return self.scale == 1.0 and self.offset == 0.0

    def stored(self, values: NDArray) -> NDArray:
        """Give stored numbers in one piece, in the byte order of this machine, unsigned where they are."""
        native = np.ascontiguousarray(values, dtype=_workable(values.dtype.newbyteorder("=")))
        return native.view(self.dtype) if native.dtype != self.dtype else native

    def decoded(self, values: NDArray) -> NDArray[np.float64]:
        """Turn stored numbers into physical ones; NaN where they are missing."""
        stored = self.stored(np.atleast_1d(values)).reshape(values.shape)
        missing = np.zeros(stored.shape, dtype=bool)
        for marker in self._own(self.markers):
            missing |= stored == marker
        if stored.dtype.kind == "i" and stored.dtype.itemsize == 8:
            missing |= stored == np.iinfo(np.int64).min  # a missing date ("NaT")
        out = stored.astype(np.float64)
        missing |= (out < self.low) | (out > self.high) | np.isinf(out)
        if not self.plain:
            out = out * self.scale + self.offset
        out[missing] = np.nan
        return out

    def limits_of_velocity(self) -> NDArray:
        """Give what tells a stored velocity from "missing", as compiled code wants it.

        Returns
        -------
        ndarray of the stored type, shape (5,)
            Three markers, of which some may be the same; and the closed range of numbers that are velocities:
            what saturates the stored type, or is `FASTEST`, is none.
        """
        ends = sorted((sign * FASTEST - self.offset) / self.scale for sign in (-1.0, 1.0))
        own = self._own(self.markers)
        if self.dtype.kind == "f":
            largest = float(np.finfo(self.dtype).max)
            low = max(float(np.nextafter(ends[0], np.inf)), self.low, -largest)
            high = min(float(np.nextafter(ends[1], -np.inf)), self.high, largest)
            return np.array([*([*own, np.nan] * 3)[:3], low, high], dtype=self.dtype)
        least, most = int(np.iinfo(self.dtype).min), int(np.iinfo(self.dtype).max)
        own = own or self._own((_HOLE,)) or [most]
        # Numbers saturate at both ends of the type, but 0 is no end.
        low = max(float(np.floor(ends[0])) + 1.0, float(np.ceil(self.low)), float(least + (least < 0)))
        high = min(float(np.ceil(ends[1])) - 1.0, float(np.floor(self.high)), float(most - 1))
        closed = (min(max(int(end), least), most - 1) for end in (low, high))
        return np.array([*(own * 3)[:3], *closed], dtype=self.dtype)

    def _own(self, markers: tuple[float, ...]) -> list[Any]:
        """Keep the markers that the stored type can hold, as it holds them."""
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return [self.dtype.type(marker) for marker in markers if not np.isnan(marker)]
        if self.dtype.kind not in "iu":
            return list(markers)
        ends = np.iinfo(self.dtype)
        return [int(m) for m in markers if np.isfinite(m) and m.is_integer() and ends.min <= m <= ends.max]


def read_values(array: zarr.Array, where: Any = ...) -> NDArray:
    """Read an array, or a part of it, as it is stored.

    Parameters
    ----------
    array : zarr.Array
    where : index, optional
        What to read.

    Raises
    ------
    CubeError
        If a chunk of it is damaged.
    """
    try:
        return np.asarray(array[where])
    except (RuntimeError, ValueError, TypeError, MemoryError, OverflowError) as error:
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise CubeError(
            f"variable {array.basename} is damaged ({words}): use another copy of the datacube"
        ) from error


def read_masked(
    array: zarr.Array, wanted: Dimension | None = None, *, usual: str | None = None
) -> NDArray[np.float64]:
    """Read a numeric array as physical numbers, NaN where values are missing; see `Packing.of`.

    Raises
    ------
    CubeError
        If it is damaged, holds no numbers, or its unit is not one of the kind.
    """
    if array.dtype.kind not in "iuf":
        raise CubeError(f"variable {array.basename} holds no numbers: they are {array.dtype}")
    packing = Packing.of(array, wanted, usual=usual)
    return packing.decoded(read_values(array))


def missing_markers(array: zarr.Array) -> list[float]:
    """List the stored numbers that mean "missing".

    Attributes (``missing_value``, ``_FillValue``) come first. The format's own fill value counts only where
    it cannot be a default: format 3 writes 0 where nobody chose one, and 0 m/yr is a velocity.
    """
    found = []
    for name in ("missing_value", "_FillValue"):
        value: Any = array.attrs.get(name)
        items: Any = value if isinstance(value, (list, tuple)) else [value]
        for item in items:
            number = _number(item)
            if number is not None:
                found.append(number)
    fill = _number(array.fill_value)
    if fill is not None and fill != 0:
        found.append(fill)
    return list(dict.fromkeys(found))


def _workable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the type in which numbers are worked on: floats of four or eight bytes, whatever is stored."""
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return _packed_number(value)


def _packed_number(value: Any) -> float | None:
    """Read a number as xarray writes the fill value of floats into format 3: its eight bytes in base 64."""
    if not isinstance(value, str) or len(value) != 12:
        return None
    try:
        return float(struct.unpack("<d", base64.b64decode(value, validate=True))[0])
    except (binascii.Error, struct.error):
        return None


def _one_number(array: zarr.Array, name: str, default: float) -> float:
    value: Any = array.attrs.get(name)
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if value is None:
        return default
    number = _number(value)
    if number is None:
        raise CubeError(f"{name} {str(value)[:60]!r} of {array.basename} is no number: mend this attribute")
    return number


def _valid_range(array: zarr.Array) -> tuple[float, float]:
    """Read which stored numbers are valid, at most."""
    both: Any = array.attrs.get("valid_range")
    if isinstance(both, (list, tuple)) and len(both) == 2:
        low, high = map(_number, both)
        if low is not None and high is not None and low > high:
            low, high = high, low
    else:
        low, high = _number(array.attrs.get("valid_min")), _number(array.attrs.get("valid_max"))
    return (
        -np.inf if low is None or np.isnan(low) else low,
        np.inf if high is None or np.isnan(high) else high,
    )


def _wrapped(marker: float, dtype: np.dtype[Any]) -> float:
    """Give a marker as unsigned bits: attributes of unsigned arrays are often written with a sign."""
    return marker + 2.0 ** (8 * dtype.itemsize) if dtype.kind == "u" and marker < 0 else marker


def _factor(array: zarr.Array, wanted: Dimension, usual: str | None) -> float:
    own: Any = array.attrs.get("units")
    if isinstance(own, (list, tuple)) and len(own) == 1:
        own = own[0]
    units = str(own or "").strip() or usual or ""
    if not units:
        return 1.0
    factor = factor_to(wanted, units)
    if factor is None:
        raise CubeError(
            f"the units {units[:60]!r} of {array.basename} are not understood as {wanted.words}:"
            " mend this attribute or convert the values"
        )
    return factor
