"""What a pair was made from: its granule, read as one value, and the names of both images."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from itslive_core import open_cube
from itslive_core.cubes.granules import Granule
from tests.tiny_cube import write_cube

IMAGES = ("S2B_MSIL1C_20190603T051239_N0207_R033_T46RGV", "S2A_MSIL1C_20190613T051239_N0207_R033_T46RGV")
NAME = f"{IMAGES[0]}_X_{IMAGES[1]}_G0120V02_P087_IL_ASF_OD.nc"


def test_every_pair_finds_its_own_layer(tmp_path):
    known = write_cube(tmp_path / "cube.zarr", empty=0.0, repeated=0.3, swapped=40)
    cube = open_cube(known.path)
    pairs = cube.pairs_at(x=known.x[3], y=known.y[2])
    for row in range(0, len(pairs), 7):
        granule = cube.granule_of(pairs, row)
        layer = int(granule.url.rpartition("/")[2].removesuffix(".nc"))
        stored = (known.start[layer], known.end[layer], known.vx[layer, 2, 3], known.vy[layer, 2, 3])
        np.testing.assert_allclose(stored, (pairs.start[row], pairs.end[row], pairs.vx[row], pairs.vy[row]))
        assert granule.link == granule.url
        assert granule.first == granule.second == ""


def test_both_images_stand_in_the_order_of_their_dates(tmp_path):
    known = write_cube(tmp_path / "cube.zarr", empty=0.0, repeated=0.0, swapped=200)
    group = zarr.open_group(known.path, mode="r+")
    group["granule_url"][:] = np.full(len(known.start), f"s3://b/{NAME}", dtype="<U128")
    cube = open_cube(known.path)
    pairs = cube.pairs_at(x=known.x[3], y=known.y[2])
    found = [cube.granule_of(pairs, row) for row in range(0, len(pairs), 5)]
    for granule in found:
        assert granule.link == f"https://b.s3.amazonaws.com/{NAME}"
    assert {(one.first, one.second) for one in found} == {IMAGES, IMAGES[::-1]}


@pytest.mark.parametrize("url", ["/home/somebody/x.nc", "javascript:alert(1)", "http://plain.example/x.nc"])
def test_only_addresses_that_a_browser_should_follow_become_links(url):
    assert Granule(url).link == ""


def test_a_cube_may_say_nothing(tmp_path):
    known = write_cube(tmp_path / "cube.zarr", without=("granule_url",))
    cube = open_cube(known.path)
    assert cube.granule_of(cube.pairs_at(x=known.x[3], y=known.y[2]), 0) is None
