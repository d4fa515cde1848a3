"""Addresses that lead to no cube: each is refused in a sentence that says what to do."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from itslive_core.cubes.files import DeniedError
from itslive_core.cubes.formats import find_metadata
from tests.cubes.any_files import pixel

ADDRESSES = {
    "https://example.invalid/cube.nc": "is a NetCDF file, which is not read over a network: download it",
    "s3://bucket/cube.zip": "is an archive, which is not read over a network",
    "https://example.invalid/refs.json?x=1": "is a list of references, which is not read over a network",
    "ftp://example.invalid/cube.zarr": "a datacube is a folder, or an address with https:// or s3://",
    "gs://bucket/cube.zarr": "a datacube is a folder, or an address with https:// or s3://",
    "reference::https://example.invalid/cube.json": "a datacube is a folder, or an address",
    "s3://": "no datacube was named",
    "https://": "no datacube was named",
    "http://[::1": "cannot",
    "file:///nowhere/cube.zarr": "does not exist",
    "a\0b": "cannot be read|does not exist|NUL",
    "x" * 5000: "cannot be read|does not exist",
    "/dev/null": "is no file and no folder|is a file",
    "~nobody-at-all/cube.zarr": "does not exist|cannot",
    "": "no datacube was named",
}


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda a: a[:30].replace("\0", "0"))
def test_addresses_that_lead_nowhere(address, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("ITSLIVE_PATIENCE", "0.5")
    assert pixel(address, tmp_path / "pairs.csv") in (1, 2)
    words = capfd.readouterr().err
    assert "unexpected" not in words
    assert re.search(ADDRESSES[address], words), words


@pytest.mark.parametrize(
    "missing", [DeniedError("denied"), b"<html>no such page</html>"], ids=["denied", "page"]
)
@pytest.mark.parametrize("address", ["https://example.invalid/ice", "https://example.invalid/v3/ice"])
def test_a_cube_is_found_where_servers_say_odd_things_of_what_is_missing(address, missing):
    group = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": {"metadata": {"vx": {}}}}

    def read(key: str) -> bytes:
        if key == "zarr.json":
            return json.dumps(group).encode()
        if isinstance(missing, Exception):
            raise missing
        return missing

    found = find_metadata(SimpleNamespace(url=address, local=False, read=read))
    assert found is not None
    assert found[0] == 3


def test_where_all_is_denied_that_is_said():
    def read(key: str) -> bytes:
        raise DeniedError(key)

    with pytest.raises(DeniedError, match="zmetadata"):
        find_metadata(SimpleNamespace(url="https://example.invalid/ice", local=False, read=read))
