"""Which cubes hold a glacier, and what is at a place; runs on a worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from itslive_core.places.geodesy import wrap_longitude

if TYPE_CHECKING:
    from collections.abc import Callable

    from shapely.geometry.base import BaseGeometry

    from itslive_core import Datacube, Glacier

__all__ = ["box_of", "cubes_for", "footprint", "glacier_or_area", "inside", "overlaps"]

_AREA_DEGREES = 0.03
"""Half the height of the surroundings that stand in for an outline [degrees]."""


def box_of(boxes: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """Return the box that holds boxes: west, south, east, north [degrees]; one across 180 ends beyond it."""
    west, south, east, north = zip(*boxes, strict=True)
    east = tuple(e + 360.0 if e < w else e for w, e in zip(west, east, strict=True))
    return min(west), min(south), max(east), max(north)


def footprint(cube: Datacube) -> BaseGeometry:
    """Return the edge of a cube in longitude and latitude; across 180 degrees longitudes run on."""
    import numpy as np
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
    """Return open cubes of the place or the glacier, else those of the catalog; all on one lattice.

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
        records = glacier.cubes()
        return [open_cube(record.url) for record in records if record.epsg == records[0].epsg]
    first = (covering or overlapping)[0]
    return [first] + [
        cube
        for cube in overlapping
        if cube.url != first.url and cube.epsg == first.epsg and cube not in covering
    ]


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
