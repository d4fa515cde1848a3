"""Which cubes hold a glacier, and what is at a place; runs on a worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.errors import CoverageError
from itslive_core.jobs.plan import on_one_map
from itslive_core.places.geodesy import wrap_longitude
from itslive_core.places.lookup import cubes_needed

if TYPE_CHECKING:
    from collections.abc import Callable

    from shapely.geometry.base import BaseGeometry

    from itslive_core import Datacube, Glacier

__all__ = ["box_of", "cubes_for", "footprint", "glacier_or_area", "inside", "overlaps", "words_of_cubes"]

_AREA_DEGREES = 0.03
"""Half the height of the surroundings that stand in for an outline [degrees]."""


def box_of(boxes: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """Return the box that holds boxes: west, south, east, north [degrees]; one across 180 ends beyond it."""
    west, south, east, north = zip(*boxes, strict=True)
    east = tuple(e + 360.0 if e < w else e for w, e in zip(west, east, strict=True))
    return min(west), min(south), max(east), max(north)


def footprint(cube: Datacube) -> BaseGeometry:
    """Return the edge of a cube in longitude and latitude; across 180 degrees longitudes run on."""
    import shapely
    from pyproj import Transformer

    ring = shapely.segmentize(
        shapely.box(*cube.bounds).exterior, max(cube.bounds[2] - cube.bounds[0], 1.0) / 24
    )
    x, y = shapely.get_coordinates(ring).T
    lon, lat = Transformer.from_crs(cube.crs, 4326, always_xy=True).transform(x, y)
    return shapely.Polygon(np.column_stack([np.unwrap(lon, period=360.0), lat]))


def inside(glacier: Glacier) -> tuple[float, float]:
    """Return a place on a glacier: longitude, latitude [degrees]."""
    here = glacier.outline.representative_point()
    return wrap_longitude(float(here.x)), float(here.y)


def cubes_for(
    glacier: Glacier,
    here: tuple[float, float],
    open_ones: list[Datacube],
    open_cube: Callable[[str], Datacube],
) -> list[Datacube]:
    """Return open cubes of the place or the glacier, else those of the catalog.

    Cubes of the catalog bring those with them that the rest of the glacier needs, of other zones too; those
    of a person's own stay among themselves. First are those on whose map the glacier is shown.

    Parameters
    ----------
    glacier : Glacier
    here : tuple of float
        Longitude and latitude of the place [degrees].
    open_ones : list of Datacube
        Those that are open, the newest last.
    open_cube : callable
        Opens one by its URL: a host shares it with other sessions.
    """
    covering = [cube for cube in reversed(open_ones) if cube.covers(*here)]
    overlapping = [cube for cube in reversed(open_ones) if overlaps(cube, glacier)]
    if not covering and not overlapping:
        return _shown_on_one(glacier, [open_cube(record.url) for record in cubes_needed(glacier).records])
    first = (covering or overlapping)[0]
    others = [cube for cube in overlapping if cube.url != first.url and cube not in covering]
    needed = _of_catalog(glacier)
    if {first.url, *(cube.url for cube in others)} <= set(needed):
        at_hand = {cube.url: cube for cube in (first, *others)}
        others = [at_hand.get(url) or open_cube(url) for url in needed if url != first.url]
    return _shown_on_one(glacier, [first, *others])


def _of_catalog(glacier: Glacier) -> list[str]:
    """Give the addresses of the cubes of the catalog that a glacier needs; none where there are none."""
    try:
        return [record.url for record in cubes_needed(glacier).records]
    except CoverageError:
        return []


def _shown_on_one(glacier: Glacier, cubes: list[Datacube]) -> list[Datacube]:
    """Put those first on whose map a glacier is shown, of cubes whose pixels are as large as the first's."""
    size = np.abs(cubes[0].pixel_size)
    alike = [cube for cube in cubes if np.allclose(np.abs(cube.pixel_size), size)]
    try:
        return list(on_one_map(alike, glacier))
    except CoverageError:  # the glacier has no pixel: its surroundings are shown
        return [cube for cube in alike if cube.crs.equals(alike[0].crs)]


def words_of_cubes(cubes: list[Datacube]) -> str:
    """Say that a glacier is read from datacubes of several maps, and which is shown; empty for one map."""
    first, *others = dict.fromkeys(cube.crs_name for cube in cubes)
    if not others:
        return ""
    return (
        f"The glacier is read from {len(cubes)} datacubes, of {first} and {', '.join(others)}, and shown on"
        f" the map of {first}: pixels of the others are the nearest ones, and their vectors are turned."
    )


def words_of_open_cubes(used: Datacube, here: tuple[float, float], open_ones: list[Datacube]) -> str:
    """Say which of several open cubes of a place is used; empty where there is no choice.

    Parameters
    ----------
    used : Datacube
        The one that `cubes_for` gives first.
    here : tuple of float
        Longitude and latitude of the place [degrees].
    open_ones : list of Datacube
        Those that are open.
    """
    count = sum(cube.covers(*here) for cube in open_ones)
    return f"{count} open datacubes hold this place: {used.url} is used, opened last." if count > 1 else ""


def overlaps(cube: Datacube, glacier: Glacier) -> bool:
    """Whether the boxes of a cube and of a glacier have a part in common."""
    x0, y0, x1, y1 = glacier.outline_in(cube.crs).bounds
    west, south, east, north = cube.bounds
    return west < x1 and east > x0 and south < y1 and north > y0


def glacier_or_area(lon: float, lat: float, name: str | None = None) -> tuple[Glacier, str]:
    """Ask GLIMS for the glacier at a position; where it cannot tell, take the surroundings."""
    import shapely

    from itslive_core import Glacier, cubes_at
    from itslive_core.errors import OutlineError, ServiceError

    try:
        return Glacier.at(lon, lat), ""
    except (ServiceError, OutlineError) as error:
        cubes_at(lon, lat)  # raises the clear message where there is no data at all
        wide = _AREA_DEGREES / max(0.05, math.cos(math.radians(lat)))
        box = shapely.box(lon - wide, lat - _AREA_DEGREES, lon + wide, lat + _AREA_DEGREES)
        return (
            Glacier(
                box,
                rgi_id=None,
                name=name or f"Area around {lat:.3f}, {lon:.3f}",
                area_km2=None,
                attributes={},
            ),
            f"{error} Showing the surroundings instead.",
        )
