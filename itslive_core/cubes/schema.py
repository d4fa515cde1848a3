"""What a datacube says of its arrays: dimensions in any order, grid mappings, and the axes of its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import zarr

from itslive_core.cubes.files import words_of_damage
from itslive_core.cubes.packing import read_masked
from itslive_core.errors import CubeError
from itslive_core.support.units import METRES, is_angle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["Layout", "axis", "dimensions", "grid_mappings", "layout_of", "member"]

_ROLES = {
    "x": ("x", "easting", "eastings", "rx", "lon", "longitude"),
    "y": ("y", "northing", "northings", "ry", "lat", "latitude"),
}
_STANDARD_NAMES = {
    "x": ("projection_x_coordinate", "longitude"),
    "y": ("projection_y_coordinate", "latitude"),
}
_MAPPINGS = ("spatial_ref", "mapping", "crs")
_PIXEL = (1.0, 100_000.0)
"""Smallest and largest pixels of velocities [m]: others are in another unit."""
_OFF_THE_EARTH = 1e8
"""No map reaches so far from its origin [m]."""
_CROOKED = 0.05
"""Part of a pixel by which its centre may be off a regular axis: axes are stored in single precision, too."""


class Layout(NamedTuple):
    """Where time, y and x are among the dimensions of a velocity, and what they are called."""

    order: tuple[int, int, int]
    time: str
    y: str
    x: str


def dimensions(array: zarr.Array) -> tuple[str, ...]:
    """Name the dimensions of an array, from the attributes (format 2) or the metadata (format 3)."""
    names: Any = array.attrs.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
    return tuple(str(name) for name in names) if isinstance(names, (list, tuple)) else ()


def layout_of(group: zarr.Group, array: zarr.Array, url: str) -> Layout:
    """Find time, y and x among the three dimensions of a velocity; without names they are in this order.

    Raises
    ------
    CubeError
        If they cannot be told.
    """
    names = dimensions(array)
    if len(names) != 3:
        return Layout((0, 1, 2), "mid_date", "y", "x")
    found: dict[str, int] = {}
    for role in ("x", "y"):
        own = [i for i, name in enumerate(names) if name.lower() in _ROLES[role]]
        if not own:
            own = [i for i, name in enumerate(names) if _standard_name(group, name) in _STANDARD_NAMES[role]]
        if len(own) != 1:
            raise CubeError(
                f"{url}: vx has the dimensions {', '.join(names)}, of which {role} is not known: expected"
                " (time, y, x), in any order"
            )
        found[role] = own[0]
    time = 3 - found["x"] - found["y"]
    return Layout((time, found["y"], found["x"]), names[time], names[found["y"]], names[found["x"]])


def member(group: zarr.Group, name: str) -> zarr.Array | zarr.Group | None:
    """Give an array or a group of a cube by its name; None if there is none.

    Raises
    ------
    CubeError
        If its metadata are damaged.
    """
    try:
        found = group[name]
        if not isinstance(found.metadata.attributes, dict):
            raise ValueError("its attributes are no list of names and values")
        return found
    except KeyError:
        return None
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise CubeError(
            f"{name} of the datacube is stored in a way that is not read ({words_of_damage(error)})"
        ) from error


def grid_mappings(group: zarr.Group, velocity: zarr.Array) -> Iterator[Mapping[str, Any]]:
    """Give the attributes of the grid mappings of a cube one by one, first that which the velocity names."""
    # CF also allows "name: x y", to say which axes belong to it.
    own = str(velocity.attrs.get("grid_mapping") or "").partition(":")[0].split()
    for name in dict.fromkeys((*(name for name in own if "/" not in name), *_MAPPINGS)):
        found = member(group, name)
        if found is not None:
            yield dict(found.attrs)


def axis(group: zarr.Group, name: str, velocity: zarr.Array, size: int, *, role: str) -> NDArray[np.float64]:
    """Read the pixel centres along x or y, or compute them from a grid mapping's GeoTransform.

    Parameters
    ----------
    group : zarr.Group
        The cube.
    name : str
        Of the dimension.
    velocity : zarr.Array
        Names the grid mapping.
    size : int
        Number of pixels.
    role : str
        ``x`` or ``y``.

    Returns
    -------
    ndarray, shape (size,)
        [m]

    Raises
    ------
    CubeError
        If the axis is neither stored nor computable, in degrees, or not regular.
    """
    stored = member(group, name)
    if isinstance(stored, zarr.Array):
        words = str(stored.attrs.get("units") or "")
        if is_angle(words) or stored.attrs.get("standard_name") in ("longitude", "latitude"):
            raise CubeError(
                f"the {name} axis of the datacube is in degrees: reproject it to a map projection in metres"
                " (vx and vy must lie along its axes)"
            )
        centres = read_masked(stored, METRES).ravel()
    else:
        centres = _of_geotransform(grid_mappings(group, velocity), size, name, role)
    if len(centres) != size:
        raise CubeError(
            f"the {name} axis of the datacube has {len(centres)} values for {size} pixels: mend the axis"
        )
    if size and not np.isfinite(centres).any():
        raise CubeError(f"the {name} axis of the datacube holds no values: check that it is complete")
    if not np.isfinite(centres).all():
        raise CubeError(f"the {name} axis of the datacube is not regular: it cannot be used")
    if size and np.abs(centres).max() > _OFF_THE_EARTH:
        raise CubeError(
            f"the {name} axis of the datacube reaches {np.abs(centres).max():.3g} m, which is on no map:"
            " it cannot be used"
        )
    if size > 1:
        step = (centres[-1] - centres[0]) / (size - 1)
        regular = centres[0] + step * np.arange(size)
        if not np.abs(centres - regular).max() <= _CROOKED * abs(step) or step == 0.0:
            raise CubeError(f"the {name} axis of the datacube is not regular: it cannot be used")
        if not _PIXEL[0] <= abs(step) <= _PIXEL[1]:
            raise CubeError(
                f"the {name} axis of the datacube has pixels of {abs(step):.3g} m: if it is not in metres,"
                " say its unit (attribute units)"
            )
        if np.abs(np.diff(centres) - step).max() > 1e-6 * abs(step):
            return regular
    return centres


def _of_geotransform(
    mappings: Iterable[Mapping[str, Any]], size: int, name: str, role: str
) -> NDArray[np.float64]:
    for mapping in mappings:
        try:
            numbers = [float(part) for part in str(mapping["GeoTransform"]).split()]
            origin, step = (numbers[0], numbers[1]) if role == "x" else (numbers[3], numbers[5])
        except (KeyError, ValueError, IndexError):
            continue
        return np.asarray(origin + (np.arange(size) + 0.5) * step, dtype=np.float64)
    raise CubeError(f"the datacube has no {name} axis: it cannot be placed on a map")


def _standard_name(group: zarr.Group, name: str) -> str:
    found = member(group, name)
    return "" if found is None else str(found.attrs.get("standard_name") or "")
