"""Datacubes that run code when they are read, in every place where a cube may name a codec."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numcodecs
import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.cubes.codecs import KNOWN_CODECS, check_codecs
from itslive_core.cubes.stores import open_store
from itslive_core.errors import CubeError
from tests.tiny_cube import VARIANTS, write_cube


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.fixture
def trace(tmp_path, monkeypatch) -> Path:
    """A file that a hostile cube makes; numcodecs is told to trust everybody, as its old releases did."""
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    return tmp_path / "trace"


def edit(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def poison(root: Path, name: str, trace: Path, how: str) -> None:
    """Make an array of a cube of format 2 one of pickled objects, in its own and in consolidated metadata."""

    def change(meta) -> None:
        if how == "filter":
            meta.update(
                dtype="|O", filters=[{"id": "pickle", "protocol": 5}], compressor=None, fill_value=None
            )
        else:
            meta.update(filters=None, compressor={"id": "pickle", "protocol": 5})

    edit(root / name / ".zarray", change)
    if (root / ".zmetadata").exists():
        edit(root / ".zmetadata", lambda document: change(document["metadata"][f"{name}/.zarray"]))
    for chunk in (root / name).glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps(Payload(trace)))


def read_all(root: Path) -> None:
    cube = itslive.open_cube(root)
    cube.pairs_at(x=cube.x[0], y=cube.y[0])


def test_the_payload_works(trace):
    with pytest.raises(TypeError):
        np.asarray(numcodecs.Pickle().decode(pickle.dumps(Payload(trace)))) + 1
    assert trace.exists()


@pytest.mark.parametrize("variant", ["production", "not-consolidated"])
@pytest.mark.parametrize("how", ["filter", "compressor"])
@pytest.mark.parametrize("name", ["vx", "x", "satellite_img1", "vx_error", "mapping"])
def test_a_cube_of_pickles_is_refused(tmp_path, trace, variant, how, name):
    root = write_cube(tmp_path / "cube.zarr", VARIANTS[variant]).path
    poison(root, name, trace, how)
    with pytest.raises(
        CubeError, match=r"stored with the codec 'pickle', which is not .*: use a copy"
    ) as error:
        read_all(root)
    assert "\n" not in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize("variant", ["v3", "v3-not-consolidated", "v3-sharded"])
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_format_3_too(tmp_path, trace, variant, where):
    root = write_cube(tmp_path / "cube.zarr", VARIANTS[variant]).path
    codec = {"name": "numcodecs.pickle", "configuration": {}}

    def change(meta) -> None:
        codecs = meta["codecs"]
        if where == "inside" and codecs[0]["name"] == "sharding_indexed":
            codecs = codecs[0]["configuration"]["codecs"]
        codecs.append(codec)

    edit(root / "vx" / "zarr.json", change)
    if "not" not in variant:
        edit(
            root / "zarr.json",
            lambda document: change(document["consolidated_metadata"]["metadata"]["vx"]),
        )
    with pytest.raises(CubeError, match="stored with the codec 'pickle'"):
        read_all(root)
    assert not trace.exists()


def test_arrays_hide_nowhere(tmp_path):
    pickled = {"zarr_format": 3, "node_type": "array", "codecs": [{"name": "numcodecs.pickle"}]}
    old = {"zarr_format": 2, "shape": [1], "filters": [{"id": "pickle", "name": "bytes"}]}
    for hidden in (pickled, old):
        inner = {"node_type": "group", "consolidated_metadata": {"metadata": {"attributes": hidden}}}
        with pytest.raises(CubeError, match="codec 'pickle'"):
            check_codecs({"consolidated_metadata": {"metadata": {"zarr_format": inner}}}, "x")


def test_attributes_may_say_what_they_want():
    check_codecs(
        {"codecs": [{"name": "bytes"}], "attributes": {"codecs": ["pickle"], "compressor": "a"}}, "x"
    )
    for nothing in (None, [], 1, {"consolidated_metadata": 3}, {"consolidated_metadata": {"metadata": []}}):
        check_codecs(nothing, "x")


def test_known_codecs_run_no_code():
    assert not KNOWN_CODECS & {"pickle", "msgpack2", "json2", "vlen-array", "categorize", "base64"}
    assert {"blosc", "zstd", "vlen-utf8", "sharding_indexed"} <= KNOWN_CODECS


def test_metadata_nested_too_deeply(tmp_path):
    root = write_cube(tmp_path / "cube.zarr").path
    (root / ".zmetadata").write_text("[" * 200_000)
    with pytest.raises(CubeError, match="is not a readable Zarr datacube"):
        open_store(root)
