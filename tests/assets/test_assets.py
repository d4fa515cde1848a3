"""The offline land is ready to be drawn on a Web Mercator map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from itslive_core.places.geodesy import mercator

ASSETS = Path(__file__).resolve().parents[2] / "assets"
EDGE = 20_037_508.5  # m


def pieces(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    points = np.column_stack([x, y])
    gaps = np.flatnonzero(np.isnan(x))
    return [piece[~np.isnan(piece[:, 0])] for piece in np.split(points, gaps)]


@pytest.mark.parametrize(("name", "most"), [("land.npz", 50_000)])
def test_lines_are_small_and_fit_the_map(name, most):
    path = ASSETS / name
    assert path.stat().st_size < 500_000
    with np.load(path) as arrays:
        x, y = arrays["x"], arrays["y"]
    assert x.dtype == y.dtype == np.float32
    assert 10_000 < x.size < most
    assert np.array_equal(np.isnan(x), np.isnan(y))
    assert np.nanmax(np.abs(x)) <= EDGE
    assert np.nanmax(np.abs(y)) <= EDGE


@pytest.mark.parametrize(
    ("lon", "lat", "is_land"),
    [
        (86.9, 28.0, True),  # Himalaya
        (51.0, 42.0, False),  # Caspian Sea
        (-42.0, 72.0, True),  # Greenland
        (-177.0, 67.0, True),  # Chukotka, beyond the antimeridian
        (177.0, 67.0, True),
        (0.0, -80.0, True),  # Antarctica
        (-179.9, -84.9, True),
        (-140.0, 20.0, False),  # Pacific
        (170.5, -43.6, True),  # New Zealand
        (-18.0, 64.8, True),  # Iceland
        (0.0, 85.0, False),  # Arctic Ocean
    ],
)
def test_land_is_where_it_should_be(lon, lat, is_land):
    with np.load(ASSETS / "land.npz") as arrays:
        shells = [shapely.Polygon(ring) for ring in pieces(arrays["x"], arrays["y"])]
        holes = [shapely.Polygon(ring) for ring in pieces(arrays["holes_x"], arrays["holes_y"])]
    place = shapely.Point(*mercator(np.array(lon), np.array(lat)))
    on_land = any(one.contains(place) for one in shells) and not any(one.contains(place) for one in holes)
    assert on_land == is_land
