"""Snapshots of icechunk repositories: read, pinned in everything that is made, and no way to other files."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

import itslive_core as itslive
from dashboard.hosting.rules import PUBLIC
from itslive_core.cli import run
from itslive_core.cubes.icechunk_files import FOLDERS, split_version
from itslive_core.errors import CubeError
from itslive_core.support.reach import VARIABLE
from tests.cubes.forms import copy_arrays
from tests.reading import assert_reads
from tests.remote.servers import BUCKET, LocalServer, forward, moto_server, upload
from tests.tiny_cube import TinyCube, write_cube

if TYPE_CHECKING:
    from pathlib import Path

icechunk = pytest.importorskip("icechunk")
icechunk.set_logs_filter("off")

FIRST = {"radar": False, "without": ("v", "v_error", "interp_mask", "granule_url", "date_center")}


def make(folder: Path, config: Any = None, allowed: Any = None) -> Any:
    return icechunk.Repository.create(
        icechunk.local_filesystem_storage(str(folder)),
        config=config,
        authorize_virtual_chunk_access=icechunk.containers_credentials(allowed or {}),
    )


def put(repository: Any, source: Path, **how: Any) -> str:
    """Commit a cube; gives the snapshot."""
    session = repository.writable_session("main")
    copy_arrays(zarr.open_group(source, mode="r"), zarr.open_group(session.store, mode="w"), **how)
    return str(session.commit("a cube"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, tuple[str, TinyCube]]]:
    """A repository of two snapshots: the first with the tag v1, the second where main is."""
    root = tmp_path_factory.mktemp("icechunk")
    repository = make(root / "repo")
    found = {}
    for seed, name in enumerate(("old", "new")):
        truth = write_cube(root / f"{name}.zarr", seed=seed, **FIRST)
        found[name] = (put(repository, truth.path, sharded=name == "new"), truth)
    repository.create_tag("v1", found["old"][0])
    repository.create_branch("before", found["old"][0])
    return root / "repo", found


@pytest.mark.parametrize(
    ("ending", "which"),
    [
        ("", "new"),
        ("#branch=main", "new"),
        ("/#branch=main", "new"),
        ("?branch=before", "old"),
        ("#tag=v1", "old"),
        ("#snapshot={}", "old"),
    ],
)
def test_a_version_is_read_and_pinned(made, ending, which, capfd):
    path, snapshots = made
    cube = itslive.open_cube(f"{path}{ending.format(snapshots['old'][0])}")
    snapshot, truth = snapshots[which]
    assert cube.snapshot == snapshot
    assert cube.url == f"{path}#snapshot={snapshot}"
    assert_reads(cube, truth)
    again = itslive.open_cube(cube.url)
    assert again.url == cube.url
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        ("#branch=none", r"has no branch 'none': its branches are before, main"),
        ("#tag=v9", r"has no tag 'v9': its tags are v1"),
        ("#snapshot=ABC", r"has no snapshot 'ABC': name another"),
        ("#snapshot=1CECHNKREP0F1RSTCMTG", r"has no snapshot"),
        ("#commit=ABC", r"does not exist"),
        ("#branch=", r"does not exist"),
    ],
)
def test_versions_that_are_not_there(made, ending, says):
    with pytest.raises(CubeError, match=says):
        itslive.open_cube(f"{made[0]}{ending}")


def test_a_version_of_what_is_no_repository(made, tmp_path):
    with pytest.raises(CubeError, match="is no icechunk repository: leave out #branch=main"):
        itslive.open_cube(f"{made[0].parent / 'old.zarr'}#branch=main")
    (tmp_path / "cube#branch").mkdir()
    with pytest.raises(CubeError, match="has no Zarr metadata"):
        itslive.open_cube(tmp_path / "cube#branch")


def test_an_empty_repository(tmp_path):
    make(tmp_path / "repo")
    with pytest.raises(CubeError, match="no Zarr datacube"):
        itslive.open_cube(tmp_path / "repo")


def test_a_broken_repository(tmp_path):
    for name in ("snapshots", "refs"):
        (tmp_path / "repo" / name).mkdir(parents=True)
    with pytest.raises(CubeError, match=r"cannot open the icechunk repository .* doesn't exist"):
        itslive.open_cube(tmp_path / "repo")


def test_the_snapshot_is_in_every_file(made, tmp_path, capfd):
    path, snapshots = made
    snapshot, truth = snapshots["old"]
    place = ["--x", str(truth.x[3]), "--y", str(truth.y[4])]
    quick = ["--smoothing", "10", "--interval", "48", "--outliers", "none", "--no-robust", "--quiet"]
    url = f"{path}#tag=v1"
    assert run(["invert", url, *place, *quick, "-o", str(tmp_path / "s.nc")]) == 0
    with xr.open_dataset(tmp_path / "s.nc") as series:
        attributes = dict(series.attrs)
    assert f"repo#snapshot={snapshot}" in attributes["cube_url"]
    assert json.loads(attributes["recipe"])["cubes"][0]["url"].endswith(f"#snapshot={snapshot}")
    assert attributes["cube_date_updated"] == "13-Nov-2024 00:08:07"
    (tmp_path / "again").mkdir()
    assert run(["rerun", str(tmp_path / "s.nc"), "-o", str(tmp_path / "again" / "s.nc")]) == 0
    lonlat = itslive.open_cube(url).lonlat_of(truth.x[[0, 4]], truth.y[[4, 0]])
    box = [f"{value:.6f}" for value in (lonlat[0][0], lonlat[1][0], lonlat[0][1], lonlat[1][1])]
    for name in ("a.zarr", "a.tif"):
        assert run(["invert", url, "--bbox", *box, *quick, "--workers", "1", "-o", str(tmp_path / name)]) == 0
    assert snapshot in json.dumps(dict(zarr.open_group(tmp_path / "a.zarr", mode="r").attrs))
    assert snapshot.encode() in (tmp_path / "a.tif").read_bytes()
    capfd.readouterr()
    assert run(["info", url, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["snapshot"] == snapshot


def test_without_a_date_the_moment_of_the_snapshot_counts(made):
    cube = itslive.open_cube(made[0])
    cube.attrs.clear()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", cube.date_updated)


def test_a_missing_extra_names_the_command(made, monkeypatch, capfd, tmp_path):
    monkeypatch.setitem(sys.modules, "icechunk", None)
    assert run(["pairs", str(made[0]), "--x", "0", "--y", "0", "-o", str(tmp_path / "p.csv")]) == 1
    assert "install what reads it with `pip install 'itslive-dashboard[icechunk]'`" in capfd.readouterr().err


def test_over_s3_without_a_local_file(made):
    path, snapshots = made
    snapshot, truth = snapshots["new"]
    with moto_server() as address:
        upload(path, address, "cubes/repo")
        with LocalServer(forward(*address)) as server:
            options = {"client_kwargs": {"endpoint_url": server.url}}
            cube = itslive.open_cube(f"s3://{BUCKET}/cubes/repo#branch=main", storage_options=options)
            assert cube.url == f"s3://{BUCKET}/cubes/repo#snapshot={snapshot}"
            assert_reads(cube, truth)
            assert not any(request.signed for request in server.requests)
            found = itslive.open_cube(f"s3://{BUCKET}/cubes/repo", storage_options=options)
            assert found.snapshot == snapshot
            with pytest.raises(CubeError, match="no Zarr datacube"):
                itslive.open_cube(f"s3://{BUCKET}/cubes/other", storage_options=options)


# Virtual chunks


def values(n: int = 6) -> np.ndarray:
    return (10 * np.arange(n)[:, None, None] + np.arange(6).reshape(2, 3)).astype("<i2")


def make_virtual(
    folder: Path, prefix: str, store: Any, location: str, *, allowed: Any = None, codecs: Any = None
) -> Path:
    """Write a repository whose vx and vy lie elsewhere."""
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(prefix, store))
    repository = make(folder, config, {prefix: None} if allowed is None else allowed)
    session = repository.writable_session("main")
    group = zarr.open_group(session.store, mode="w")
    group.attrs["projection"] = "32646"
    n = 6

    def line(name: str, content: np.ndarray, dims: tuple[str, ...]) -> None:
        array = group.create_array(name, shape=content.shape, dtype=content.dtype, dimension_names=dims)
        array[...] = content

    line("acquisition_date_img1", 18_000.0 + 10.0 * np.arange(n), ("time",))
    line("acquisition_date_img2", 18_016.0 + 10.0 * np.arange(n), ("time",))
    line("x", 700_052.5 + 120.0 * np.arange(3), ("x",))
    line("y", 3_399_947.5 - 120.0 * np.arange(2), ("y",))
    for name in ("vx", "vy"):
        group.create_array(
            name,
            shape=(n, 2, 3),
            chunks=(n, 2, 3),
            dtype="<i2",
            compressors=None,
            filters=None,
            fill_value=-32_767,
            dimension_names=("time", "y", "x"),
        )
        session.store.set_virtual_ref(f"{name}/c/0/0/0", location, offset=0, length=values().nbytes)
    session.commit("virtual")
    repository.save_config()
    return folder


def granules(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "vx.bin").write_bytes(values().tobytes())
    return folder


def local(folder: Path, repository: Path) -> Path:
    prefix = f"file://{folder}/"
    return make_virtual(repository, prefix, icechunk.local_filesystem_store(str(folder)), f"{prefix}vx.bin")


def assert_velocities(path: Any, **options: Any) -> None:
    cube = itslive.open_cube(path, **options)
    pairs = cube.pairs_at(x=cube.x[1], y=cube.y[1])
    np.testing.assert_array_equal(pairs.vx, values()[:, 1, 1])


def refused(path: Any, **options: Any) -> str:
    cube = itslive.open_cube(path, **options)
    with pytest.raises(CubeError) as error:
        cube.pairs_at(x=cube.x[1], y=cube.y[1])
    return str(error.value)


def test_virtual_chunks_beside_the_repository(tmp_path):
    assert_velocities(local(granules(tmp_path / "granules"), tmp_path / "repo"))


def test_virtual_chunks_elsewhere_only_where_their_user_says_so(tmp_path, monkeypatch):
    folder = granules(tmp_path / "far" / "granules")
    path = local(folder, tmp_path / "near" / "repo")
    words = refused(path)
    assert f"file://{folder}/, where this program does not read" in words
    assert FOLDERS in words
    monkeypatch.setenv(FOLDERS, str(tmp_path / "far"))
    assert_velocities(path)
    monkeypatch.setenv(FOLDERS, str(tmp_path / "f"))
    refused(path)


def test_a_link_out_of_the_folder_is_followed_to_its_end(tmp_path):
    folder = granules(tmp_path / "far" / "granules")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "link").symlink_to(folder)
    refused(local(tmp_path / "near" / "link", tmp_path / "near" / "repo"))


def test_a_public_server_reads_no_local_chunks(tmp_path, monkeypatch):
    path = local(granules(tmp_path / "granules"), tmp_path / "repo")
    monkeypatch.setenv(VARIABLE, "its-live-data.s3.amazonaws.com")
    refused(path)


def test_a_virtual_chunk_that_is_gone_is_no_empty_one(tmp_path):
    folder = granules(tmp_path / "granules")
    path = local(folder, tmp_path / "repo")
    (folder / "vx.bin").unlink()
    assert "cannot be read" in refused(path)
    (folder / "vx.bin").write_bytes(b"short")
    assert re.search("cannot be read|damaged|is not", refused(path))


def test_what_lies_in_a_bucket_is_read_through_no_other_server(tmp_path, monkeypatch):
    """A repository may name a server of its choice for its chunks: only ours, or its user's, is asked."""
    location = f"s3://{BUCKET}/granules/vx.bin"
    granules(tmp_path / "granules")
    with moto_server() as address:
        upload(tmp_path / "granules", address, "granules")
        with LocalServer(forward(*address)) as server, LocalServer(forward(*address)) as trap:
            store = icechunk.s3_store(
                region="us-west-2", endpoint_url=trap.url, allow_http=True, s3_compatible=True, anonymous=True
            )
            credentials = {f"s3://{BUCKET}/": icechunk.s3_credentials(anonymous=True)}
            path = make_virtual(tmp_path / "repo", f"s3://{BUCKET}/", store, location, allowed=credentials)
            options = {"client_kwargs": {"endpoint_url": server.url}}
            monkeypatch.setenv(VARIABLE, "example.org")
            assert "where this program does not read" in refused(path)
            monkeypatch.delenv(VARIABLE)
            before = len(trap.requests)
            upload(path, address, "repo")
            assert_velocities(f"s3://{BUCKET}/repo", storage_options=options)
            assert len(trap.requests) == before
            assert any("granules" in request.path for request in server.requests)


def test_a_repository_in_a_bucket_reads_no_local_file(tmp_path):
    path = local(granules(tmp_path / "granules"), tmp_path / "repo")
    with moto_server() as address:
        upload(path, address, "other")
        with LocalServer(forward(*address)) as server:
            options = {"client_kwargs": {"endpoint_url": server.url}}
            words = refused(f"s3://{BUCKET}/other", storage_options=options)
    assert "granules/, where this program does not read" in words


def test_codecs_are_on_the_list_here_too(tmp_path):
    repository = make(tmp_path / "repo")
    session = repository.writable_session("main")
    group = zarr.open_group(session.store, mode="w")
    for name in ("vx", "vy"):
        array = group.create_array(
            name, shape=(4, 2, 3), chunks=(4, 2, 3), dtype="<i2", dimension_names=("time", "y", "x")
        )
        array[...] = 1
        document = array.metadata.to_dict()
        document["codecs"] = [*document["codecs"], {"name": "numcodecs.pickle", "configuration": {}}]
        _set(session.store, f"{name}/zarr.json", json.dumps(document, default=str).encode())
    session.commit("pickled")
    with pytest.raises(CubeError, match="is stored with the codec 'pickle'"):
        itslive.open_cube(tmp_path / "repo")


def _set(store: Any, key: str, content: bytes) -> None:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(content)))


# Addresses


@pytest.mark.parametrize(
    ("url", "address", "version"),
    [
        ("s3://b/repo#branch=main", "s3://b/repo", ("branch", "main")),
        ("s3://b/repo/#tag=v2.1", "s3://b/repo", ("tag", "v2.1")),
        ("https://h/b/repo?snapshot=ABC", "https://h/b/repo", ("snapshot", "ABC")),
        ("s3://b/repo#branch=user%2Fwork", "s3://b/repo", ("branch", "user/work")),
        ("s3://b/repo#branch=a&tag=b", "s3://b/repo#branch=a&tag=b", None),
        ("s3://b/repo#other=a", "s3://b/repo#other=a", None),
        ("repo", "repo", None),
        ("#branch=main", "#branch=main", None),
        ("", "", None),
    ],
)
def test_versions_in_addresses(url, address, version):
    assert split_version(url) == (address, version)


def test_a_public_server_takes_a_version_and_nothing_else():
    PUBLIC.check_cube("s3://its-live-data/repo#snapshot=ABC")
    for url in (
        "s3://its-live-data/repo#x=1",
        "s3://its-live-data/repo?x=1#branch=main",
        "/tmp/repo#branch=main",
    ):
        with pytest.raises(CubeError):
            PUBLIC.check_cube(url)


def test_a_repository_on_a_web_server(made):
    from tests.remote.servers import folder

    with (
        LocalServer(folder(made[0].parent)) as server,
        pytest.raises(
            CubeError, match="on a web server, which icechunk does not read: name its bucket with s3://"
        ),
    ):
        itslive.open_cube(f"{server.url}/repo")


def test_a_table_of_pairs_from_a_snapshot(made, tmp_path):
    path, snapshots = made
    truth = snapshots["old"][1]
    out = tmp_path / "pairs.csv"
    place = ["--x", str(truth.x[0]), "--y", str(truth.y[0])]
    assert run(["pairs", f"{path}#tag=v1", *place, "-o", str(out), "--quiet"]) == 0
    assert len(pd.read_csv(out)) == len(truth.good_rows(0, 0))
