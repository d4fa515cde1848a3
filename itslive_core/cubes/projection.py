"""The map projection of a cube, wherever it is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from itslive_core.errors import CubeError
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.support.foreign_crs import foreign_crs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["cube_crs", "epsg_of_crs"]

_TEXTS = ("crs_wkt", "spatial_ref", "spatial_epsg", "proj4text")
"""Attributes of a grid mapping that name the whole projection, in the order in which they are believed."""
_SAME_PLACE = 1e-7
"""Degrees within which two projections of one place are the same: a centimetre."""


def cube_crs(mappings: Iterable[Mapping[str, Any]], attributes: Mapping[str, Any], url: str) -> CRS:
    """Find the map projection of a datacube.

    Tried in turn: the grid mappings, first that which the velocities name (a cube that was reprojected keeps
    its old attributes); the attribute ``projection``; the EPSG code in the file's name. Of a grid mapping its
    WKT, its ``spatial_epsg``, its PROJ text and its CF parameters.

    Raises
    ------
    CubeError
        If nothing names a projection, or it is none in metres.
    """
    for candidate in _candidates(mappings, attributes, url):
        try:
            crs = candidate if isinstance(candidate, CRS) else foreign_crs(candidate)
        except (ValueError, RecursionError):
            continue
        if crs.is_compound and crs.sub_crs_list:
            crs = crs.sub_crs_list[0]  # heights do not matter here
        if crs.is_bound and crs.source_crs is not None:
            crs = crs.source_crs
        return _checked(crs, url)
    raise CubeError(f"{url} does not say its map projection: it cannot be placed on a map")


def epsg_of_crs(crs: CRS, x: NDArray[np.float64], y: NDArray[np.float64]) -> int:
    """Give the EPSG code of a projection; 0 if it has none.

    A code that PROJ takes for likely counts only if it puts the corners where the projection does.

    Parameters
    ----------
    crs : pyproj.CRS
    x, y : ndarray
        Axes of what is on the map [m].
    """
    code: int | None = crs.to_epsg(min_confidence=20)
    if code is None:
        return 0
    corners = np.array([(a, b) for a in (x[0], x[-1]) for b in (y[0], y[-1])], dtype=np.float64).T
    own, theirs = (np.array(transformer(one, LONLAT).transform(*corners)) for one in (crs, code))
    same = np.isfinite(own).all() and np.allclose(
        np.cos(np.radians(own[1])) * ((own[0] - theirs[0] + 180.0) % 360.0 - 180.0), 0.0, atol=_SAME_PLACE
    )
    return code if same and np.allclose(own[1], theirs[1], rtol=0.0, atol=_SAME_PLACE) else 0


def _candidates(
    mappings: Iterable[Mapping[str, Any]], attributes: Mapping[str, Any], url: str
) -> Iterable[str | CRS]:
    for mapping in mappings:
        yield from _texts(mapping.get(name) for name in _TEXTS)
        if mapping.get("grid_mapping_name"):
            try:
                yield CRS.from_cf({k: v for k, v in mapping.items() if k not in _TEXTS and v is not None})
            except (CRSError, KeyError, ValueError, TypeError, AttributeError):
                continue
    yield from _texts([attributes.get("projection")])
    in_name = re.search(r"EPSG_?(\d{4,5})", url)
    yield from _texts([in_name.group(1) if in_name else None])


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        text = "" if value is None else str(value).strip()
        if re.fullmatch(r"\d+(\.0)?", text):
            text = f"EPSG:{text.removesuffix('.0')}"
        if text:
            yield text


def _checked(crs: CRS, url: str) -> CRS:
    if crs.is_geographic:
        raise CubeError(
            f"{url} is on a grid of longitude and latitude: reproject it to a map projection in metres"
            " (vx and vy must lie along its axes)"
        )
    if not crs.is_projected or abs(crs.axis_info[0].unit_conversion_factor - 1.0) > 1e-9:
        raise CubeError(
            f"{url} is in {crs.name!r}, which is no map projection in metres: reproject it to one that is"
        )
    return crs
