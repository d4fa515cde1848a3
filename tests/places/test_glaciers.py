"""Which pixels a glacier holds, exactly; its cubes; real outlines of both inventories."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import shapely
import shapely.affinity

from itslive_core.errors import CoverageError
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.places.glaciers import Glacier
from tests.places.squares import SQUARE, in_lonlat, real


def test_pixels_in_a_hole_are_outside():
    glacier = Glacier(in_lonlat(shapely.segmentize(SQUARE, 100.0)))
    x, y = np.arange(699_500.0, 712_000.0, 1000.0), np.arange(3_313_500.0, 3_299_000.0, -1000.0)
    mask = glacier.contains(x, y, 32646)
    assert mask.shape == (y.size, x.size)
    assert mask.dtype == bool
    inside_x, inside_y = (x > 700_000) & (x < 710_000), (y > 3_300_000) & (y < 3_312_000)
    hole_x, hole_y = (x > 704_000) & (x < 706_000), (y > 3_304_000) & (y < 3_306_000)
    assert np.array_equal(mask, np.outer(inside_y, inside_x) & ~np.outer(hole_y, hole_x))
    assert mask.sum() == 116


def test_a_grid_beside_the_glacier():
    glacier = Glacier(in_lonlat(SQUARE))
    assert not glacier.contains(np.arange(5.0), np.arange(7.0), 32646).any()
    assert glacier.contains(np.arange(0.0), np.arange(7.0), "EPSG:32646").shape == (7, 0)


def test_the_mask_is_that_of_every_single_point():
    rng = np.random.default_rng(3)
    angle = np.linspace(0, 2 * np.pi, 40)[:-1]
    radius = rng.uniform(2000.0, 9000.0, angle.size)
    star = shapely.Polygon(np.column_stack([705e3 + radius * np.cos(angle), 3306e3 + radius * np.sin(angle)]))
    glacier = Glacier(in_lonlat(star))
    x, y = 695e3 + 480.0 * np.arange(40), 3316e3 - 480.0 * np.arange(42)
    shape = glacier.outline_in(32646)
    expected = [[shape.contains(shapely.Point(u, v)) for u in x] for v in y]
    assert np.array_equal(glacier.contains(x, y, 32646), expected)


def test_long_edges_bend_when_they_are_projected():
    parallel = shapely.box(-45.0, 69.0, -30.0, 70.0)
    bent = Glacier(parallel).outline_in(3413)
    lon, lat = transformer(3413, LONLAT).transform(*shapely.get_coordinates(bent).T)
    assert max(np.minimum(abs(lat - 69), abs(lat - 70))[(lon > -44.99) & (lon < -30.01)]) < 1e-6
    short = shapely.box(95.0, 29.0, 95.005, 29.005)
    assert len(shapely.get_coordinates(Glacier(short).outline_in(32646))) == 5


def test_the_real_glacier_has_707_pixels(parlung, parlung_outline):
    import zarr

    cube = zarr.open_group(parlung, mode="r")
    glacier = Glacier.from_file(parlung_outline)
    mask = glacier.contains(cube["x"][:], cube["y"][:], 32646)
    assert mask.sum() == 707
    assert glacier.area_km2 == pytest.approx(10.158, abs=1e-3)
    assert pytest.approx(glacier.area_km2, rel=0.01) == 707 * 0.0144
    assert [one.epsg for one in glacier.cubes()] == [32646, 32647]
    assert all(one.reason.startswith("holds the whole outline") for one in glacier.cubes())


def test_real_outlines_of_rgi_6(real_data):
    glacier = Glacier.from_file(real(real_data, "rgi6_columbia.gpkg"))
    assert (glacier.rgi_id, glacier.name, glacier.area_km2) == ("RGI60-01.10689", "Columbia Glacier", 935.0)
    cubes = glacier.cubes()
    assert [one.epsg for one in cubes] == [3413, 3413]
    assert "2 cubes of EPSG:3413 hold the whole outline" in cubes[0].reason


def test_real_outlines_of_rgi_7(real_data):
    path = real(real_data, "rgi7_hintereisferner_complex.gpkg")
    found = Glacier.list_from_file(path)
    assert len(found) == 23
    chosen = Glacier.from_file(path, rgi_id="RGI2000-v7.0-G-11-03115")
    assert chosen.name == "Vallelunga / Langtauferer"
    middle = chosen.outline.representative_point()
    assert Glacier.at(middle.x, middle.y, loaded=found) == chosen


# The object


def test_a_glacier_survives_a_pickle_and_fits_in_sets():
    glacier = Glacier(in_lonlat(SQUARE), rgi_id="RGI60-15.00001", attributes={"a": 1})
    assert pickle.loads(pickle.dumps(glacier)) == glacier
    assert len({glacier, Glacier(in_lonlat(SQUARE), rgi_id="RGI60-15.00001")}) == 1
    assert "POLYGON" not in repr(glacier)


def test_no_cube_for_an_outline_at_sea():
    with pytest.raises(CoverageError, match="no cube covers"):
        Glacier(shapely.box(-30, 0, -29.9, 0.1)).cubes()
