"""Addresses that lead to no cube: each is refused in a sentence that says what to do."""

from __future__ import annotations

import re

import pytest

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
