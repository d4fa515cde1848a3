"""One cube in every form in which people have it: the same series, to the last bit."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import xarray as xr
import zarr

import itslive_core as itslive
from tests.cubes.forms import FORMS, write_form
from tests.tiny_cube import write_cube


def series_of(path: str) -> list[xr.Dataset]:
    cube = itslive.open_cube(path)
    corners = ((cube.x[0], cube.y[0]), (cube.x[-1], cube.y[-1]))
    return [itslive.invert(cube.pairs_at(x=x, y=y)) for x, y in corners]


@pytest.fixture(params=["made up", "real"], scope="module")
def source(request, tmp_path_factory) -> tuple[zarr.Group, tuple[slice, slice, slice]]:
    """A cube, and the part of it that is taken: of the real one 9 pixels and a tenth of the layers."""
    if request.param == "made up":
        truth = write_cube(tmp_path_factory.mktemp("forms") / "c.zarr", radar=False, rows=9, cols=9)
        return zarr.open_group(truth.path, mode="r"), (slice(None), slice(0, 9), slice(0, 9))
    path = request.getfixturevalue("real_data") / "parlung.zarr"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return zarr.open_group(path, mode="r"), (slice(0, None, 10), slice(1, 4), slice(14, 17))


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory) -> list[xr.Dataset]:
    return series_of(write_form("format 2", source[0], tmp_path_factory.mktemp("first"), where=source[1]))


@pytest.mark.parametrize("form", FORMS[1:])
def test_the_same_series(form, source, expected, tmp_path):
    if form == "icechunk" and find_spec("icechunk") is None:
        pytest.skip("icechunk is not installed")
    found = series_of(write_form(form, source[0], tmp_path, where=source[1]))
    for one, other in zip(found, expected, strict=True):
        assert one.attrs["n_pairs_used"] > 50
        for name in other.variables:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        assert one.attrs["n_pairs_used"] == other.attrs["n_pairs_used"]


def test_a_netcdf_file_without_chunks_has_those_of_its_origin(source, tmp_path):
    """Pixels learn from the others of their chunk: without one of its own, a file gets the usual one."""
    group, where = source
    path = write_form("format 2", group, tmp_path, where=where)
    with xr.open_zarr(path, consolidated=False, decode_cf=False) as stored:
        stored.to_netcdf(tmp_path / "contiguous.nc")
    cube = itslive.open_cube(tmp_path / "contiguous.nc")
    assert cube.block_shape == tuple(min(10, n) for n in cube.shape)
