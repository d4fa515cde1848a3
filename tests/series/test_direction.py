"""The direction of flow against true north."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from itslive_core.series.direction import MOST_AZIMUTH_STD, azimuth_and_std, north_of_map

PLACES = [(32646, 784_252.5, 3_315_787.5), (32719, 700_000.0, 4_500_000.0), (3413, -200_000.0, -2_270_000.0),
          (3413, 500_000.0, 1_000_000.0), (3031, -1_500_000.0, -400_000.0), ]  # fmt: skip


@pytest.mark.parametrize(("epsg", "x", "y"), PLACES)
def test_a_step_along_the_velocity_has_the_azimuth(epsg: int, x: float, y: float):
    """The geodesic from a place to where the ice is a little later leaves it in the direction given."""
    to_lonlat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    geod = pyproj.Geod(ellps="WGS84")
    for vx, vy in ((300.0, 0.0), (0.0, 300.0), (-120.0, 250.0), (-10.0, -400.0)):
        azimuth, _ = azimuth_and_std(
            np.array([vx]), np.array([vy]), None, None, None, north_of_map(epsg, x, y)
        )
        there, _, _ = geod.inv(*to_lonlat.transform(x, y), *to_lonlat.transform(x + vx / 100, y + vy / 100))
        assert abs((azimuth[0] - there + 180) % 360 - 180) < 0.01
        assert 0 <= azimuth[0] < 360


def test_it_is_the_convergence_that_the_projection_knows():
    for epsg, x, y in PLACES:
        lon, lat = pyproj.Proj(epsg)(x, y, inverse=True)
        known = pyproj.Proj(epsg).get_factors(lon, lat).meridian_convergence
        assert abs((float(north_of_map(epsg, x, y)) - known + 180) % 360 - 180) < 1e-4


def test_a_grid_of_places_is_done_at_once():
    x, y = np.array([[4e5, 5e5, 6e5]]), np.array([[3e6], [4e6]])
    north = north_of_map(32646, x, y)
    assert north.shape == (2, 3)
    assert np.all(np.diff(north, axis=1) > 0)
    np.testing.assert_allclose(north[:, 1], 0, atol=1e-9)


def test_without_a_place_there_is_no_direction():
    assert np.isnan(north_of_map(None, 1.0, 2.0))
    assert np.isnan(north_of_map(0, 1.0, 2.0))
    assert np.isnan(north_of_map(32646, np.nan, 2.0))
    one = np.ones(3)
    azimuth, std = azimuth_and_std(one, one, one, one, one, np.nan)
    assert np.isnan(azimuth).all()
    assert std is not None
    assert np.isnan(std).all()


def test_the_uncertainty_is_that_across_the_flow():
    rng = np.random.default_rng(5)
    sx, sy, vx, vy = 4.0, 9.0, 150.0, 80.0
    v = np.hypot(vx, vy)
    v_std = np.hypot(vx * sx, vy * sy) / v
    _, std = azimuth_and_std(*(np.array([value]) for value in (vx, vy, sx, sy, v_std)), 0.0)
    drawn, _ = azimuth_and_std(
        vx + sx * rng.normal(size=20_000), vy + sy * rng.normal(size=20_000), None, None, None, 0.0
    )
    assert std is not None
    assert std[0] == pytest.approx(drawn.std(), rel=0.03)


def test_noise_has_any_direction():
    azimuth, std = azimuth_and_std(*(np.array([value]) for value in (0.1, 0.0, 50.0, 50.0, 50.0)), 0.0)
    assert azimuth[0] == 90
    assert std is not None
    assert std[0] == MOST_AZIMUTH_STD == pytest.approx(103.92, abs=0.01)
    still, _ = azimuth_and_std(np.zeros(1), np.zeros(1), None, None, None, 0.0)
    assert np.isnan(still[0])
