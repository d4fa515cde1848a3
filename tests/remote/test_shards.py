"""Cubes of format 3 in shards: few requests, few rounds, and the right values."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

import itslive_core as itslive
from itslive_core.cubes import shards
from itslive_core.errors import CubeError
from tests.reading import assert_pixel, assert_reads
from tests.remote.servers import LocalServer, folder
from tests.tiny_cube import CubeOptions, write_cube

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.tiny_cube import TinyCube

OPTIONS = CubeOptions(
    n_pairs=1_200,
    zarr_format=3,
    time_dim="time",
    chunks=(400, 8, 8),
    shards=(400, 64, 64),
    rows=64,
    cols=70,
    tile=512,
    empty=0.8,
    label_chunk=1_200,
    radar=False,
    without=("v", "v_error", "interp_mask", "granule_url", "date_dt", "date_center"),
)
"""As the next generation is made, with three shards in time."""
BEFORE = 9
"""Requests for metadata, two axes and six arrays along time."""


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> TinyCube:
    root = tmp_path_factory.mktemp("shards")
    (root / "plain").symlink_to("v3")
    return write_cube(root / "v3" / "c.zarr", OPTIONS)


@pytest.fixture
def server(truth) -> Iterator[LocalServer]:
    with LocalServer(folder(truth.path.parents[1])) as server:
        yield server


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch) -> str:
    """Whether shards come as a whole with their index."""
    monkeypatch.setattr(shards, "_TAIL", 10**9 if request.param == "small" else 64)
    return str(request.param)


@pytest.mark.parametrize(("place", "more"), [("v3", 0), ("plain", 1)])
def test_a_pixel_and_its_neighbours(server, truth, size, place, more):
    """Where the address does not say the format, the other one is looked for first."""
    with server.delayed(0.4), server.counting() as first:
        cube = itslive.open_cube(f"{server.url}/{place}/c.zarr")
        pairs = cube.pairs_at(x=truth.x[3], y=truth.y[4])
    assert_pixel(pairs, truth, 4, 3)
    assert len(first) <= BEFORE + more + (6 if size == "small" else 12)
    moments = sorted(request.moment for request in first)
    rounds = 1 + sum(later - earlier > 0.35 for earlier, later in pairwise(moments))
    assert rounds <= more + (3 if size == "small" else 4)
    with server.counting() as second:  # another block of the same shard: its index is known
        assert_pixel(cube.pairs_at(x=truth.x[40], y=truth.y[33]), truth, 33, 40)
    assert len(second) == (0 if size == "small" else 6)


@pytest.mark.parametrize("workers", [1, 4])
def test_all_of_a_shard(server, truth, size, workers):
    cube = itslive.open_cube(f"{server.url}/v3/c.zarr")
    with server.counting() as requests:
        medians = list(itslive.read_glacier(cube, whole=True, workers=workers))
    assert len(medians) == 8 * 9
    of_vx = Counter(request.path for request in requests if "/vx/" in request.path)
    assert set(of_vx.values()) <= {1, 2}
    # Of the first shards most is wanted: they come as a whole. The second ones hold six columns only.
    assert len(requests) <= 6 + 6 + (6 if size == "small" else 12)
    for median in medians[::13]:
        row, col = (
            int(np.argmin(np.abs(truth.y - median.y[0]))),
            int(np.argmin(np.abs(truth.x - median.x[0]))),
        )
        keep = truth.good_rows(row, col)
        assert median.n_pairs[0, 0] == len(keep)
        assert median.vx[0, 0] == np.median(truth.vx[keep, row, col])


def test_many_points_of_a_shard(server, truth, size):
    cube = itslive.open_cube(f"{server.url}/v3/c.zarr")
    lon, lat = cube.lonlat_of(truth.x[:64:9], truth.y[:64:9])
    points = [(float(a), float(b)) for a, b in zip(lon, lat)]
    settings = itslive.InversionSettings(smoothing=10.0, interval=96.0, robust=False, outliers="none")
    with server.counting() as requests:
        found = list(itslive.run_points(cube, points, settings))
    assert len(found) == len(points) == 8
    # Far from each other on the disk, their chunks are ranges of their own.
    assert len(requests) <= 6 + 6 + (0 if size == "small" else 6 * 8)


def test_blocks_at_hand_are_not_fetched_again(server, truth, size):
    cube = itslive.open_cube(f"{server.url}/v3/c.zarr")
    list(itslive.read_glacier(cube, whole=True, workers=1))
    cube.expect(cube.blocks())
    with server.counting() as requests:
        for block in cube.blocks():
            cube.read_block(block)
    assert requests == []
    assert not any(cube._shards._expected.values())
    assert not any(cube._shards._ahead.values())


def test_small_shards_are_kept_up_to_a_limit(truth, monkeypatch):
    monkeypatch.setattr(shards, "_KEPT", 50_000)
    cube = itslive.open_cube(truth.path)
    for block in reversed(cube.blocks()):
        cube.read_block(block, cache=False)
        kept = [one.content for one in cube._shards._shards.values() if one is not None and one.content]
        assert sum(map(len, kept)) <= 50_000
    assert_reads(cube, truth)


def test_a_server_that_knows_no_ranges(truth, size):
    ranged = folder(truth.path.parents[1])

    def whole(method: str, path: str, headers: Mapping[str, str]) -> Any:
        return ranged(method, path, {name: value for name, value in headers.items() if name != "Range"})

    with LocalServer(whole) as server:
        assert_pixel(
            itslive.open_cube(f"{server.url}/v3/c.zarr").pairs_at(x=truth.x[40], y=truth.y[33]), truth, 33, 40
        )


def test_the_same_from_the_disk_as_through_zarr(truth, size, monkeypatch):
    assert_reads(itslive.open_cube(truth.path), truth)
    cube = itslive.open_cube(truth.path)
    assert cube._shards is not None
    monkeypatch.setattr(cube, "_shards", None)
    assert_reads(cube, truth)


@pytest.mark.parametrize(
    "codec", [zarr.codecs.GzipCodec(), zarr.codecs.ZstdCodec(), zarr.codecs.BloscCodec(cname="lz4"), None]
)
@pytest.mark.parametrize("order", [("time", "y", "x"), ("x", "y", "time")])
def test_other_codecs_and_orders(tmp_path, truth, codec, order):
    small = write_cube(
        tmp_path / "c.zarr",
        replace(
            OPTIONS, consolidated=False, n_pairs=90, chunks=(40, 4, 4), shards=(80, 8, 8), rows=10, cols=9
        ),
    )
    group = zarr.open_group(small.path, mode="r+")
    places = [("time", "y", "x").index(name) for name in order]
    for name in ("vx", "vy"):
        old = group[name]
        values, attributes = old[...], dict(old.attrs)
        del group[name]
        array = group.create_array(
            name,
            shape=[values.shape[i] for i in places],
            dtype="i2",
            chunks=[(40, 4, 4)[i] for i in places],
            shards=[(80, 8, 8)[i] for i in places],
            compressors=codec,
            fill_value=-32_767,
            dimension_names=order,
            attributes=attributes,
        )
        array[...] = values.transpose(places)
    cube = itslive.open_cube(small.path)
    assert cube._shards is not None
    assert_reads(cube, small)


def spoil(path: Path, how: str) -> Path:
    shard = path / "vx" / "c" / "1" / "0" / "0"
    content = shard.read_bytes()
    match how:
        case "index":
            shard.write_bytes(content[:-20] + b"\xff" * 16 + content[-4:])
        case "cut":
            shard.write_bytes(content[: len(content) // 2])
        case "short":
            shard.write_bytes(content[len(content) // 2 :])
        case "bytes":
            shard.write_bytes(b"\xff" * 1_000 + content[1_000:])
    return path


@pytest.mark.parametrize("how", ["index", "cut", "short", "bytes"])
def test_damaged_shards_are_named(truth, tmp_path, how, size):
    path = spoil(shutil.copytree(truth.path, tmp_path / "c.zarr"), how)
    cube = itslive.open_cube(path)
    with pytest.raises(CubeError, match=r"(the index of the shard|the shard|chunk .* of) .*(damaged|names)"):
        for _ in itslive.read_glacier(cube, whole=True, workers=1):
            pass


def test_a_shard_that_is_gone_holds_no_data(truth, tmp_path):
    path = shutil.copytree(truth.path, tmp_path / "c.zarr")
    for name in ("vx", "vy"):
        (path / name / "c" / "1" / "0" / "0").unlink()
    pairs = itslive.open_cube(path).pairs_at(x=truth.x[0], y=truth.y[0])
    rows = truth.good_rows(0, 0)
    assert 0 < len(pairs) < len(rows)
