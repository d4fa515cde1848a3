"""Square glaciers with a hole, and tables of them, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pytest
import shapely
import shapely.affinity

from itslive_core.places.geodesy import LONLAT, transformer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EDGES = [(700000, 3300000), (710000, 3300000), (710000, 3312000), (700000, 3312000)]
HOLE = [(704000, 3304000), (706000, 3304000), (706000, 3306000), (704000, 3306000)]
SQUARE = shapely.Polygon(EDGES, [HOLE])  # EPSG:32646, 116 km2


def in_lonlat(shape: shapely.Geometry, epsg: int = 32646) -> shapely.Geometry:
    """Project a shape as it is, without bending its edges."""
    return shapely.transform(shape, transformer(epsg, LONLAT).transform, interleaved=False)


def table(shapes: Sequence[shapely.Geometry], crs: Any = LONLAT, **columns: Any) -> geopandas.GeoDataFrame:
    """A table of shapes with columns."""
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def three(names: Sequence[str] = ("rgi_id", "glac_name", "area_km2")) -> geopandas.GeoDataFrame:
    """Three glaciers side by side, the second without a name; only the first has an area."""
    ids = [f"RGI2000-v7.0-G-15-0000{i}" for i in (1, 2, 3)]
    shapes = [in_lonlat(shapely.affinity.translate(SQUARE, 20000.0 * i)) for i in range(3)]
    return table(shapes, **dict(zip(names, (ids, ["One", None, "Three"], [116.0, 0.0, np.nan]))))


def real(real_data: Path, name: str) -> Path:
    """Path of a real file; skips where it is missing."""
    path = real_data / name
    if not path.exists():
        pytest.skip(f"no real outlines: {path} is missing")
    return path
