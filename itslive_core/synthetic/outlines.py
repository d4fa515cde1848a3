"""The outlines and centrelines of the demo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.synthetic.terrain import (
    EPSG,
    FAST_NAME,
    demo_valleys,
    nunatak_ring,
    patch_line,
    patch_ring,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from itslive_core.synthetic.terrain import Valley

__all__ = ["GLACIER_IDS", "write_centrelines", "write_outlines"]

GLACIER_IDS = ("RGI2000-v7.0-G-05-90001", "RGI2000-v7.0-G-05-90002")
"""Ids in the form of RGI 7, with numbers that no real glacier has."""


def write_outlines(path: Path) -> None:
    """Write the outlines of both glaciers, with the columns of RGI 7, in lon/lat.

    Parameters
    ----------
    path : Path
    """
    from shapely import MultiPolygon, Polygon

    fast, surge = demo_valleys()
    shapes = (
        Polygon(fast.ring(), [nunatak_ring()]),
        MultiPolygon([Polygon(surge.ring()), Polygon(patch_ring())]),
    )
    features = []
    for valley, shape, identity in zip((fast, surge), shapes, GLACIER_IDS):
        ends = _to_lonlat(np.column_stack((valley.x, valley.y))[[-1]])[0]
        centre = _to_lonlat(np.array([[shape.centroid.x, shape.centroid.y]]))[0]
        properties = _outline_properties(
            identity, valley, centre=(centre[0], centre[1]), terminus=(ends[0], ends[1]), area_m2=_area(shape)
        )
        features.append(_feature(shape, properties))
    _write_features(path, "demo_outlines", features)


def write_centrelines(path: Path) -> None:
    """Write the centrelines, with the columns of RGI 7 L, from head to terminus, in lon/lat.

    Parameters
    ----------
    path : Path
    """
    from shapely import LineString

    fast, surge = demo_valleys()
    lines = [
        (GLACIER_IDS[0], 1, np.column_stack((fast.x, fast.y))[::5]),
        (GLACIER_IDS[1], 0, patch_line()),
        (GLACIER_IDS[1], 1, np.column_stack((surge.x, surge.y))[::5]),
    ]
    features = []
    for number, (glacier, main, points) in enumerate(lines, start=1):
        line = LineString(points)
        properties = {
            "rgi_id": f"RGI2000-v7.0-L-05-9000{number}",
            "rgi_g_id": glacier,
            "segment_id": 1 if glacier == GLACIER_IDS[1] and main else 0,
            "is_main": main,
            "outflow_id": -1,
            "strahler_n": 0,
            "length_m": round(line.length, 1),
        }
        features.append(_feature(line, properties))
    _write_features(path, "demo_centrelines", features)


def _feature(shape: Any, properties: dict[str, Any]) -> dict[str, Any]:
    from shapely import transform
    from shapely.geometry import mapping
    from shapely.geometry.polygon import orient

    shape = transform(shape, _to_lonlat)
    if shape.geom_type == "Polygon":
        shape = orient(shape)
    elif shape.geom_type == "MultiPolygon":
        shape = type(shape)([orient(part) for part in shape.geoms])
    return {"type": "Feature", "properties": properties, "geometry": mapping(shape)}


def _write_features(path: Path, name: str, features: list[dict[str, Any]]) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    table = {"type": "FeatureCollection", "name": name, "crs": crs, "features": features}
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _to_lonlat(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(points[:, 0], points[:, 1])
    return np.round(np.column_stack((lon, lat)), 7)


def _area(shape: Any) -> float:
    from pyproj import Geod
    from shapely import transform

    return abs(Geod(ellps="WGS84").geometry_area_perimeter(transform(shape, _to_lonlat))[0])


def _outline_properties(
    identity: str,
    valley: Valley,
    *,
    centre: tuple[float, float],
    terminus: tuple[float, float],
    area_m2: float,
) -> dict[str, Any]:
    """Attributes of an outline, with the columns of RGI 7.

    Parameters
    ----------
    identity : str
        RGI id.
    valley : Valley
        For its name and length.
    centre, terminus : (float, float)
        Lon and lat [degrees].
    area_m2 : float
    """
    tidewater = valley.name == FAST_NAME
    return {
        "rgi_id": identity,
        "o1region": "05",
        "o2region": "05-01",
        "glims_id": f"G{round((centre[0] % 360) * 1000):06d}E{round(centre[1] * 1000):05d}N",
        "anlys_id": 0,
        "subm_id": 0,
        "src_date": "2001-07-01T00:00:00",
        "cenlon": float(centre[0]),
        "cenlat": float(centre[1]),
        "utm_zone": 22,
        "area_km2": round(area_m2 / 1e6, 4),
        "primeclass": 0,
        "conn_lvl": 0,
        "surge_type": 0 if tidewater else 3,
        "term_type": 1 if tidewater else 0,
        "glac_name": valley.name,
        "is_rgi6": 0,
        "termlon": float(terminus[0]),
        "termlat": float(terminus[1]),
        "zmin_m": 0.0 if tidewater else 250.0,
        "zmax_m": 900.0 if tidewater else 1_150.0,
        "zmed_m": 520.0 if tidewater else 700.0,
        "zmean_m": 515.0 if tidewater else 690.0,
        "slope_deg": 4.0 if tidewater else 9.0,
        "aspect_deg": 270.0,
        "aspect_sec": 7,
        "dem_source": "none",
        "lmax_m": round(valley.length),
    }
