"""Which datacubes cover a place, by the catalog in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itslive_core.places.catalog_refresh import load_catalog

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from itslive_core.places.catalog import CubesNeeded
    from itslive_core.places.cube_record import CubeRecord

__all__ = ["cubes_at", "cubes_needed", "cubes_over"]


def cubes_at(lon: float, lat: float, *, outline: BaseGeometry | None = None) -> list[CubeRecord]:
    """Find the cubes that cover a place, offline.

    The place is projected into each coordinate system that may have a cube there, and floored to the lattice:
    exact also near the poles and the antimeridian, where a test in lon/lat fails.

    Parameters
    ----------
    lon, lat
        Degrees, WGS 84.
    outline
        A glacier, or its outline in lon/lat, that the best cube should hold as a whole.

    Returns
    -------
    list of CubeRecord
        Never empty; best first. With an outline, by the share of it that they hold; then those in which the
        place lies at least 5 km inside, then its own UTM zone, then the deepest. Each says why in ``reason``.

    Raises
    ------
    CoverageError
        If there is none; names the nearest.
    SettingsError
        If the numbers are no place on Earth.
    """
    return load_catalog().cubes_at(lon, lat, outline=outline)


def cubes_over(outline: BaseGeometry) -> list[CubeRecord]:
    """Find the cubes that hold part of an outline, offline.

    Parameters
    ----------
    outline
        A glacier, or its outline in lon/lat.

    Returns
    -------
    list of CubeRecord
        Cubes of one coordinate system follow each other, those systems first that hold most of the outline in
        the fewest cubes: the leading ones with the same ``epsg`` are what a glacier needs. Each has a reason.

    Raises
    ------
    CoverageError
        If there is none; names the nearest.
    """
    return load_catalog().cubes_over(outline)


def cubes_needed(outline: BaseGeometry) -> CubesNeeded:
    """Find the cubes that a whole glacier is to be read from, offline.

    Those of the coordinate system that holds most of it in the fewest cubes, and those of others only where
    they hold a part that these do not.

    Parameters
    ----------
    outline
        A glacier, or its outline in lon/lat.

    Returns
    -------
    CubesNeeded
        The cubes, best first, and the share of the outline that they hold.

    Raises
    ------
    CoverageError
        If there is none; names the nearest.
    """
    return load_catalog().cubes_needed(outline)
