"""Chunks that unpack to far more than their array holds are refused before memory is used for them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
import zlib

import numcodecs
import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.cubes.unpacking import LARGEST_CHUNK, Packed, check_chunk, packed_of
from itslive_core.errors import CubeError
from tests.tiny_cube import VARIANTS, write_cube

ZEROS = bytes(30_000_000)
PACK = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "blosc": lambda data: numcodecs.Blosc(cname="zstd").encode(data),
    "zstd": lambda data: numcodecs.Zstd().encode(data),
    "lz4": lambda data: numcodecs.LZ4().encode(data),
}


@pytest.mark.parametrize("codec", PACK)
def test_a_bomb_is_told_from_a_chunk_without_being_unpacked(codec):
    bomb, chunk = PACK[codec](ZEROS), PACK[codec](bytes(range(200)) * 500)
    check_chunk(chunk, Packed(codec, 100_000), "x")
    tracemalloc.start()
    with pytest.raises(CubeError, match=r"chunk vx/0\.0\.0 of u unpacks to more than its array holds"):
        check_chunk(bomb, Packed(codec, 100_000), "chunk vx/0.0.0 of u")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < len(ZEROS) / 2


@pytest.mark.parametrize("codec", PACK)
def test_damaged_chunks_are_left_to_the_decoder(codec):
    for data in (b"", b"\x00", b"nonsense that is no chunk", PACK[codec](ZEROS[:1000])[:-3]):
        check_chunk(data, Packed(codec, 2**40), "x")


@pytest.mark.parametrize("variant", list(VARIANTS)[::3])
@pytest.mark.parametrize("name", ["vx", "acquisition_date_img1", "x"])
def test_a_cube_with_a_bomb_is_refused_in_a_sentence(tmp_path, variant, name):
    """In every place of a cube and in both formats."""
    root = write_cube(tmp_path / "cube.zarr", VARIANTS[variant]).path
    array = root / name
    if not array.is_dir():
        pytest.skip("this kind has no such variable")
    chunks = [
        path
        for path in array.rglob("*")
        if path.is_file() and path.name not in (".zarray", ".zattrs", "zarr.json")
    ]
    document = json.loads(next(p for p in (array / ".zarray", array / "zarr.json") if p.exists()).read_text())
    if "sharding" in json.dumps(document) or (packed := packed_of(document, "u")) is None or not packed.codec:
        pytest.skip("its chunks are not compressed, or lie in shards")
    for chunk in chunks:
        chunk.write_bytes(PACK[packed.codec](np.zeros(4_000_000 + packed.limit, np.uint8)))

    def read():
        cube = itslive.open_cube(root)
        cube.pairs_at(x=cube.x[0], y=cube.y[0])

    with pytest.raises(CubeError, match=r"unpacks to more|damaged"):
        read()


def test_huge_and_doubly_packed_chunks_are_refused():
    huge = {"chunks": [LARGEST_CHUNK], "dtype": "<i2", "compressor": None, "filters": None}
    with pytest.raises(CubeError, match=r"chunks of 2\.0 GB"):
        packed_of(huge, "u")
    twice = {"chunks": [10], "dtype": "<i2", "compressor": {"id": "zlib"}, "filters": [{"id": "gzip"}]}
    with pytest.raises(CubeError, match="compressed twice"):
        packed_of(twice, "u")
    assert packed_of({"chunks": "all", "dtype": "<i2"}, "u") is None
    assert packed_of([], "u") is None
