"""Cubes that are damaged, or no cubes at all: named in one sentence, and nothing worse happens."""

from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pytest
import zarr

import itslive_core as itslive
from itslive_core.errors import CubeError
from tests.reading import CubeShelf, assert_pixel, damage, write_arrays


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> CubeShelf:
    return CubeShelf(tmp_path_factory.mktemp("cubes"))


@pytest.fixture
def spoil(shelf, tmp_path):
    """Give the truth of a tiny cube, and a copy of it that a test may change."""
    return partial(shelf.copy, tmp_path / "spoilt.zarr")


def velocities(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    vx = np.arange(n, dtype=np.int16)[:, None, None] * 10 + np.arange(6, dtype=np.int16).reshape(2, 3)
    return vx, -vx


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(
    ("options", "chunk"),
    [
        ({}, "vx/1.0.0"),
        ({}, "vy/0.0.0"),
        ({"zarr_format": 3}, "vx/c/1/0/0"),
        ({}, "acquisition_date_img2/0"),
        ({}, "satellite_img1/0"),
        ({}, "vx_error/0"),
    ],
)
def test_a_damaged_chunk_is_named(spoil, options, chunk, keep):
    truth = spoil(**options)
    cube = itslive.open_cube(truth.path)
    damage(truth.path / chunk, keep=keep)
    name = chunk.partition("/")[0]
    with pytest.raises(CubeError, match=rf"{name}.* is damaged \(.*\): use another copy") as caught:
        cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert "\n" not in str(caught.value)


def test_damage_in_one_block_leaves_the_others(spoil):
    truth = spoil()
    cube = itslive.open_cube(truth.path)
    damage(truth.path / "vx" / "1.0.0")
    assert_pixel(cube.pairs_at(x=truth.x[13], y=truth.y[11]), truth, 11, 13)


def test_a_damaged_axis_is_named(spoil):
    truth = spoil()
    damage(truth.path / "x" / "0")
    with pytest.raises(CubeError, match="variable x is damaged"):
        itslive.open_cube(truth.path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metadata": 3}', "<html>moved</html>"])
def test_damaged_metadata_are_no_crash(spoil, text):
    truth = spoil()
    (truth.path / ".zmetadata").write_text(text)
    with pytest.raises(CubeError, match="is not a readable Zarr datacube"):
        itslive.open_cube(truth.path)


@pytest.mark.parametrize(
    ("name", "dtype", "says"),
    [
        *(
            (name, "|O", f"{name} of the datacube is stored in a way")
            for name in ("vx", "x", "satellite_img1")
        ),
        ("vy", {"a": 1}, "vy of the datacube is stored in a way"),
        ("vx", "<M8[ns]", "vx and vy are not numbers"),
        ("vy", "|S2", "vx and vy are not numbers"),
    ],
)
def test_values_of_another_kind_are_named(spoil, name, dtype, says):
    truth = spoil()
    text = json.loads((truth.path / ".zmetadata").read_text())
    text["metadata"][f"{name}/.zarray"]["dtype"] = dtype
    (truth.path / ".zmetadata").write_text(json.dumps(text))
    with pytest.raises(CubeError, match=says):
        _ = itslive.open_cube(truth.path).pair_table


def test_other_zarr_data_are_no_cube(tmp_path):
    group = zarr.create_group(tmp_path / "other.zarr", zarr_format=2)
    group.create_array("temperature", shape=(3,), dtype="f4")
    with pytest.raises(CubeError, match=r"is not an ITS_LIVE datacube: it has no variable 'vx'"):
        itslive.open_cube(tmp_path / "other.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_one_array_of_a_cube_is_no_cube(spoil, zarr_format):
    truth = spoil(zarr_format=zarr_format)
    with pytest.raises(CubeError):
        itslive.open_cube(truth.path / "vx")


def test_a_group_in_the_place_of_a_variable(tmp_path):
    group = zarr.create_group(tmp_path / "odd.zarr", zarr_format=2)
    group.create_group("vx")
    with pytest.raises(CubeError, match="'vx' is not an array"):
        itslive.open_cube(tmp_path / "odd.zarr")


def test_velocities_of_different_shape(tmp_path):
    vx, vy = velocities()
    path = write_arrays(tmp_path / "c.zarr", vx, vy)
    shutil.rmtree(path / "vy")
    zarr.open_group(path, mode="r+").create_array("vy", shape=(6, 2, 4), dtype="i2")
    with pytest.raises(CubeError, match="not cubes of the same shape"):
        itslive.open_cube(path)


def test_dimensions_that_are_not_known(tmp_path):
    path = write_arrays(tmp_path / "c.zarr", *velocities())
    zarr.open_array(path, path="vx", mode="r+").attrs["_ARRAY_DIMENSIONS"] = ["lines", "y", "mid_date"]
    with pytest.raises(CubeError, match="expected"):
        itslive.open_cube(path)


def test_metadata_of_another_length(tmp_path):
    path = write_arrays(tmp_path / "c.zarr", *velocities(), vx_error=np.ones(5, dtype=np.float32))
    with pytest.raises(CubeError, match="vx_error does not hold one value for each of the 6 pairs"):
        _ = itslive.open_cube(path).pair_table
