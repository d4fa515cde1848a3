"""Opening stores: what is asked of the file system, and what is said when there is nothing to open."""

from __future__ import annotations

import json

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.cubes.stores import _options, open_store
from itslive_core.errors import CubeError, ItsliveError
from tests.reading import assert_reads
from tests.tiny_cube import TinyCube, write_cube


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> TinyCube:
    return write_cube(tmp_path_factory.mktemp("cube") / "tiny.zarr")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "no datacube was named"),
        ("/", "no datacube was named"),
        ("no/such/folder.zarr", "no/such/folder.zarr does not exist: check the path"),
        ("foo://bucket/cube.zarr", "cannot open foo://bucket/cube.zarr: a datacube is a folder"),
    ],
)
def test_nothing_to_open(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CubeError, match=words) as caught:
        open_store(name)
    assert isinstance(caught.value, ItsliveError)
    assert "\n" not in str(caught.value)


def test_files_and_other_folders_are_no_cubes(tmp_path):
    file = tmp_path / "cube.nc"
    file.write_bytes(b"CDF")
    with pytest.raises(CubeError, match=r"cube\.nc is a file, not a Zarr datacube: name the folder"):
        open_store(file)
    with pytest.raises(CubeError, match="is not a Zarr datacube: it has no Zarr metadata"):
        open_store(tmp_path)


def test_chunks_as_bytes(truth):
    store = open_store(truth.path)
    there, missing = store.fetch(["vx/0.0.0", "vx/99.0.0"])
    assert there == (truth.path / "vx" / "0.0.0").read_bytes()
    assert missing is None
    assert store.fetch([]) == []


def test_a_cube_is_a_folder_or_an_address_and_nothing_else(truth, tmp_path):
    """References name files of the server, and chained protocols read archives and caches."""
    references = {f"vx/{n}": [str(truth.path / "vx" / n)] for n in ("0.0.0", ".zarray")}
    file = tmp_path / "cube.json"
    file.write_text(json.dumps({"version": 1, "refs": {".zgroup": '{"zarr_format": 2}', **references}}))
    for address in (
        f"reference://?fo={file}",
        f"reference::file://{file}",
        f"local://{truth.path}",
        f"simplecache::file://{truth.path}",
        f"https://localhost/x.zarr::file://{truth.path}",
        f"zip://cube.zarr::{truth.path}",
        "zip::x.zip",
        "github://owner:project@/cube.zarr",
        "memory://cube.zarr",
        "HTTPS://localhost/x.zarr",
        "s3a://bucket/x.zarr",
    ):
        for options in (None, {"fo": str(file), "remote_protocol": "file"}):
            with pytest.raises(
                CubeError, match=r"cannot open .*: a datacube is a folder, .* or s3://"
            ) as one:
                open_store(address, options)
            assert "\n" not in str(one.value)
    for name in ("data:application/json,{}", "file:/etc", "C:\\cube.zarr"):
        with pytest.raises(CubeError, match="does not exist"):
            open_store(name)


def test_a_file_of_references_is_no_cube(truth, tmp_path):
    file = tmp_path / "cube.json"
    file.write_text(json.dumps({"version": 1, "refs": {".zgroup": '{"zarr_format": 2}'}}))
    with pytest.raises(CubeError, match=r"cube\.json is a file, not a Zarr datacube"):
        open_store(file)


def test_a_group_inside_a_store(truth, tmp_path):
    root = tmp_path / "outer.zarr"
    root.mkdir()
    (root / "cube").symlink_to(truth.path)
    assert_reads(itslive.open_cube(root / "cube"), truth)


def test_buckets_are_read_anonymously_in_their_region():
    options = _options("s3://its-live-data/datacubes/x.zarr", None)
    assert options["anon"] is True
    assert options["client_kwargs"] == {"region_name": "us-west-2"}
    assert options["max_concurrency"] == 1


def test_the_caller_has_the_last_word():
    given = {
        "key": "me",
        "secret": "mine",
        "client_kwargs": {"endpoint_url": "http://here", "region_name": "eu-west-1"},
        "config_kwargs": {"read_timeout": 5},
        "max_concurrency": 3,
    }
    options = _options("s3://bucket/x.zarr", given)
    assert "anon" not in options
    assert options["client_kwargs"] == given["client_kwargs"]
    assert options["config_kwargs"]["read_timeout"] == 5
    assert options["config_kwargs"]["connect_timeout"] == 10
    assert options["max_concurrency"] == 3
    assert given["config_kwargs"] == {"read_timeout": 5}
    assert _options("http://x", {"client_kwargs": {"timeout": None}}) == {"client_kwargs": {"timeout": None}}
    assert _options("relative/path.zarr", None) == {}


def test_options_that_a_file_system_does_not_know(truth):
    with pytest.raises(CubeError, match="cannot open"):
        itslive.open_cube("https://localhost/x.zarr", storage_options={"protocol": object()})


def test_reading_does_not_write(truth):
    before = {path: path.stat().st_mtime_ns for path in truth.path.rglob("*")}
    cube = itslive.open_cube(truth.path)
    cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert {path: path.stat().st_mtime_ns for path in truth.path.rglob("*")} == before
    with pytest.raises(ValueError, match="read-only"):
        cube._velocity["vx"][0] = np.zeros((12, 14), dtype=np.int16)
