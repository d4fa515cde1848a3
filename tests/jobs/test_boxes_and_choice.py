"""Where an area begins and ends, and which of several cubes gives its pixels."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import zarr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.errors import SettingsError
from itslive_core.jobs.plan import plan_area
from itslive_core.places.boxes import check_box, inside_box
from tests.reading import write_arrays

ROUND = [(-180, 60, 180, 80), (0, 60, 360, 80), (-180, -90, 180, 90), (-360, 60, 360, 80), (10, 60, 370, 80)]


@pytest.fixture(scope="module")
def polar(tmp_path_factory):
    """A cube across the antimeridian in EPSG:3413: its middle column is 180 degrees."""
    vx = np.full((3, 4, 5), 7, dtype=np.int16)
    path = write_arrays(tmp_path_factory.mktemp("polar") / "c.zarr", vx, vx)
    group = zarr.open_group(path, mode="r+")
    group.attrs["projection"] = "3413"
    # 180 degrees is where x equals -y on that map.
    group["x"][...] = -1_500_000.0 + 120.0 * np.arange(-2, 3)
    group["y"][...] = 1_500_000.0 - 120.0 * np.arange(4)
    return itslive.open_cube(path)


def lonlat(cube):
    return cube.lonlat_of(*np.meshgrid(cube.x, cube.y))


@pytest.mark.parametrize("box", ROUND)
def test_a_box_all_round_holds_all(polar, box):
    assert plan_area(polar, bbox=box).mask.all()


def test_the_whole_cube_needs_no_box(polar):
    assert plan_area(polar, whole=True).mask.all()
    with pytest.raises(SettingsError, match="no area was given"):
        plan_area(polar)


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_a_box_across_the_antimeridian(polar, turn):
    lon, _ = lonlat(polar)
    assert (lon > 179).any()
    assert (lon < -179).any()
    plan = plan_area(polar, bbox=(179.99 + turn, 60, -179.999 + turn, 80))
    expected = (lon >= 179.99) | (lon <= -179.999)
    assert 0 < expected.sum() < expected.size
    assert plan.mask.sum() == expected.sum()
    assert plan_area(polar, bbox=polar.lonlat_bounds).mask.sum() >= polar.shape[0] * polar.shape[1] - 4


@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_all_longitudes_meet_at_a_pole(pole):
    box = (10.0, pole, 20.0, pole + 5.0) if pole < 0 else (10.0, pole - 5.0, 20.0, pole)
    lon = np.array([0.0, 0.0, 15.0])
    lat = np.array([pole, pole * 0.99, pole * 0.99])
    assert inside_box(box, lon, lat).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0, 80, 10, 60), "has no height"),
        ((0, -91, 10, 60), "has no height"),
        ((5, 60, 5, 80), "has no width"),
        ((np.nan, 60, 5, 80), "is no box"),
        ((0, 60, np.inf, 80), "is no box"),
        ((700_000, 60, 800_000, 80), "is no box"),
    ],
)
def test_boxes_that_are_none(box, words):
    with pytest.raises(SettingsError, match=words):
        check_box(box)


def make(path, value: int, *, updated: str | None, n: int = 8):
    vx = np.full((n, 4, 5), value, dtype=np.int16)
    write_arrays(path, vx, vx)
    if updated is not None:
        zarr.open_group(path, mode="r+").attrs["date_updated"] = updated
    return path


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (
            {"updated": "13-Nov-2024 00:08:07"},
            {"updated": "02-Dec-2023 00:00:00", "n": 20},
            "it was updated last",
        ),
        ({"updated": "2024-11-13T00:08:07Z"}, {"updated": "12-Nov-2024 00:00:00"}, "it was updated last"),
        ({"updated": "13-Nov-2024 00:08:07"}, {"updated": None, "n": 20}, "it was updated last"),
        ({"updated": None, "n": 9}, {"updated": "some day"}, "it has most image pairs, 9"),
        ({"updated": None}, {"updated": None}, "its name comes first"),
    ],
)
def test_of_two_cubes_with_the_same_pixels_a_rule_chooses_and_says_so(tmp_path, first, second, why, capfd):
    paths = [make(tmp_path / "a.zarr", 25, **first), make(tmp_path / "b.zarr", 90, **second)]
    settings = itslive.InversionSettings(smoothing=10.0, interval=48.0, robust=False, outliers="none")
    for order in permutations(paths):
        cubes = [itslive.open_cube(path) for path in order]
        results = list(itslive.run_glacier(cubes, None, settings, whole=True, season=False))
        assert all(np.nanmax(np.abs(result.arrays["vx"] - 25.0)) < 1e-3 for result in results)
        assert why in results[0].attributes["cube_choice"]
        assert "20 pixels are in several datacubes" in results[0].attributes["cube_choice"]
        point = ["--x", "700060", "--y", "3399940", "-o", str(tmp_path / "s.csv")]
        assert (
            run(
                ["invert", *map(str, order), *point, "--smoothing", "10", "--no-robust", "--outliers", "none"]
            )
            == 0
        )
        said = capfd.readouterr().err
        assert why in said
        assert "a.zarr is used" in said


def test_one_cube_needs_no_choice(tmp_path):
    cube = itslive.open_cube(make(tmp_path / "a.zarr", 25, updated=None))
    assert plan_area([cube], whole=True).choice_words == ""
