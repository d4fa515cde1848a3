"""What visitors of a public server may do, and what people at home may."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import shapely

from dashboard.hosting.rules import HOME, PUBLIC
from dashboard.hosting.secrets import has_secret, hidden, without_folders
from itslive_core.errors import CubeError, ItsliveError, OutlineError, SelectionError
from itslive_core.support.reach import HOSTS, VARIABLE

HOSTILE = [
    "/etc/passwd",
    "cube.zarr",
    "../../etc",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "https://127.0.0.1/cube.zarr",
    "https://169.254.169.254/latest/meta-data",
    "https://0x7f.1/cube.zarr",
    "https://[::ffff:10.0.0.1]/cube.zarr",
    "https://example.org/cube.zarr",
    "https://user:pw@its-live-data.s3.amazonaws.com/cube.zarr",
    "https://its-live-data.s3.amazonaws.com/x?versionId=1",
    "https://its-live-data.s3.amazonaws.com/x#f",
    "http://its-live-data.s3.amazonaws.com/cube.zarr",
    "s3://somebody-else/cube.zarr",
    "reference://x.json",
    "simplecache::https://its-live-data.s3.amazonaws.com/x",
    "zip://a::https://its-live-data.s3.amazonaws.com/x",
    "gs://bucket/x",
    "github://a:b@c/x",
    "WFS:http://127.0.0.1/",
    "/vsicurl/http://127.0.0.1/x",
    "memory://x",
    "jar:file:///x",
    "\x00",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_public_server_opens_cubes_of_named_hosts_only(url, monkeypatch):
    monkeypatch.setenv(VARIABLE, ",".join(HOSTS))
    with pytest.raises(ItsliveError) as refused:
        PUBLIC.check_cube(url)
    assert "pw" not in str(refused.value)
    HOME.check_cube(url)


def test_refusals_do_not_tell_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, ",".join(HOSTS))

    def words(path):
        with pytest.raises(CubeError) as refused:
            PUBLIC.check_cube(str(path))
        return str(refused.value)

    assert words(tmp_path) == words(tmp_path / "missing")
    with pytest.raises(OutlineError, match="reads no paths"):
        PUBLIC.check_path()
    PUBLIC.check_cube("https://its-live-data.s3.amazonaws.com/datacubes/v2/x.zarr")
    PUBLIC.check_cube("s3://its-live-data/datacubes/v2/x.zarr")


def archive(*sizes: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, size in enumerate(sizes):
            packed.writestr(f"{number}.shp", bytes(size))
    return content.getvalue()


def test_uploads_are_bounded_before_they_are_unpacked():
    PUBLIC.check_upload(archive(1000), "small.zip")
    with pytest.raises(OutlineError, match=r"larger than 10 MB: leave out"):
        PUBLIC.check_upload(bytes(PUBLIC.upload + 1), "large.gpkg")
    with pytest.raises(OutlineError, match=r"unpacks to more than 100 MB"):
        PUBLIC.check_upload(archive(60_000_000, 60_000_000), "bomb.zip")
    with pytest.raises(OutlineError, match="cannot be unpacked"):
        PUBLIC.check_upload(b"PK\x03\x04 nonsense", "broken.zip")


def test_vertices_and_values_are_bounded():
    turn = np.linspace(0.0, 2.0 * np.pi, 120_000)
    circle = shapely.Polygon(np.column_stack([np.cos(turn), np.sin(turn)]))
    PUBLIC.check_outlines([circle])
    with pytest.raises(OutlineError, match="this server takes 500,000"):
        PUBLIC.check_outlines([circle] * 5)
    PUBLIC.check_values(10_000, 1000)
    with pytest.raises(SelectionError, match="choose a longer interval"):
        PUBLIC.check_values(100_000, 1000)
    HOME.check_values(1e9, 1e9)
    HOME.check_outlines([circle] * 5)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cannot open https://me:word@host/x.zarr", "cannot open https://…@host/x.zarr"),
        ("s3://key:secret@bucket/x and more", "s3://…@bucket/x and more"),
        ("https://h/x?X-Amz-Signature=abc&y=1", "https://h/x?X-Amz-Signature=…&y=1"),
        ("https://h/x?a=1&sig=abc%3D", "https://h/x?a=1&sig=…"),
        ("https://h/x?access_token=abc'", "https://h/x?access_token=…'"),
        ("me@home writes of https://h/a@b", "me@home writes of https://h/a@b"),
    ],
)
def test_passwords_and_keys_are_hidden(said, shown):
    assert hidden(said) == shown
    assert has_secret(said) == (said != shown)


def test_a_stranger_learns_no_folder_of_the_server():
    recipe = {"task": "series", "cubes": [{"url": "/srv/ice/cube.zarr"}, {"url": "s3://bucket/b.zarr"}]}
    told = without_folders({"cube_url": "/srv/ice/cube.zarr", "recipe": json.dumps(recipe), "title": "x"})
    assert told["cube_url"] == "cube.zarr"
    assert [cube["url"] for cube in json.loads(told["recipe"])["cubes"]] == [
        "cube.zarr",
        "s3://bucket/b.zarr",
    ]
    assert told["title"] == "x"
    assert without_folders({"title": "x"}) == {"title": "x"}
