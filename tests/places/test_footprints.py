"""Footprints of the cubes: rounded edges, poles, the antimeridian, and the lines of the world map."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from itslive_core.places import boxes, catalog_refresh, footprints
from itslive_core.places.catalog import Catalog
from itslive_core.places.cube_record import CubeRecord
from itslive_core.places.footprints import box_polygons
from itslive_core.places.geodesy import LONLAT, transformer


@pytest.fixture(scope="module")
def packaged() -> Catalog:
    return catalog_refresh._packaged()


@pytest.fixture
def projected(monkeypatch) -> list[int]:
    """The coordinate systems whose boxes were projected, one entry for each time."""
    seen: list[int] = []
    real = boxes.continuous_lonlat

    def counted(epsg, *given, **options):
        seen.append(epsg)
        return real(epsg, *given, **options)

    for module in (boxes, footprints):
        monkeypatch.setattr(module, "continuous_lonlat", counted)
    return seen


def test_footprints_of_all_cubes(packaged, projected):
    table = packaged.footprints()
    assert sorted(projected) == sorted(set(table["epsg"]))  # all boxes of a system at once, not one by one
    assert list(table.columns) == ["name", "epsg", "cx", "cy", "version", "geometry"]
    assert len(table) == 3086
    assert table.crs.to_epsg() == 4326
    assert table.is_valid.all()
    assert (table.geom_type == "Polygon").all()
    west, south, east, north = table.total_bounds
    assert (west, east) == (-180.0, 180.0)
    assert -85.5 < south < -85.3
    assert 84.4 < north < 84.6
    assert (table.bounds.maxx - table.bounds.minx).max() < 20.0


def test_edges_of_a_footprint_are_rounded(packaged):
    for record in (packaged.find(3031, 50000.0, 550000.0), packaged.find(3413, 50000.0, -650000.0)):
        assert record is not None
        xmin, _, xmax, ymax = record.bounds
        lon, lat = transformer(record.epsg, LONLAT).transform(
            np.linspace(xmin, xmax, 101), np.full(101, ymax)
        )
        edge = shapely.LineString(np.column_stack([lon, lat]))
        metres = 111_000.0 * shapely.hausdorff_distance(
            edge, record.footprint.intersection(edge.buffer(0.01)).boundary
        )
        assert record.bbox == record.footprint.bounds
        assert shapely.distance(shapely.points(lon, lat), record.footprint.exterior).max() * 111_000.0 < 60.0
        assert metres < 5e3


def test_footprints_at_the_poles_and_across_the_antimeridian():
    pole, cut = box_polygons(3413, np.array([[50000.0, 50000.0], [-2.0e6, 2.0e6]]))
    assert pole.bounds[3] == pytest.approx(90.0)
    assert cut.bounds[2] - cut.bounds[0] < 5.0
    centred = box_polygons(3031, np.array([[0.0, 0.0]]))[0]
    assert centred.is_valid
    assert centred.bounds[1] == -90.0
    assert centred.bounds[2] - centred.bounds[0] == pytest.approx(360.0)
    table = Catalog((CubeRecord(3413, -1950000, 1950000),)).footprints()
    assert table.geom_type[0] == "MultiPolygon"
    assert table.total_bounds[[0, 2]].tolist() == [-180.0, 180.0]
    assert table.geometry[0].area == pytest.approx(CubeRecord(3413, -1950000, 1950000).footprint.area)


def test_lines_for_the_map(packaged, projected):
    x, y = packaged.segments_mercator()
    assert len(projected) == len(set(projected)) > 1
    assert x.shape == y.shape
    assert x.size < 60_000
    assert np.array_equal(np.isnan(x), np.isnan(y))
    assert np.nanmax(np.abs(x)) <= 20037508.35
    assert np.nanmax(np.abs(y)) <= 20037508.35
    assert np.nanmax(np.abs(np.diff(x))) < 4e5  # no line runs round the world
    assert not (np.isnan(x[1:]) & np.isnan(x[:-1])).any()


def test_shared_edges_are_drawn_once():
    pair = Catalog((CubeRecord(32646, 750000, 3350000), CubeRecord(32646, 650000, 3350000)))
    x, _ = pair.segments_mercator()
    assert np.isnan(x).sum() == 7


def test_lines_are_cut_at_the_antimeridian_and_at_85_degrees():
    x, _ = Catalog((CubeRecord(3413, -1950000, 1950000),)).segments_mercator()
    pieces = np.isnan(x).sum()
    assert pieces == 6  # four edges, two of them cut
    assert np.nanmax(np.abs(np.diff(x))) < 1e5
    assert {-20037508, 20037508} <= set(x[np.isfinite(x)].astype(int))
    _, polar_y = Catalog(
        (CubeRecord(3031, 50000, 50000), CubeRecord(3031, 50000, 550000))
    ).segments_mercator()
    assert np.nanmin(polar_y) > -20037508.4
    assert np.isfinite(polar_y).any()
