"""Every variant of the public catalog is read, fetched and cached, and a broken one never breaks a lookup."""

from __future__ import annotations

import json
import logging

import pytest
import shapely

from itslive_core.errors import ItsliveError, ServiceError
from itslive_core.places import catalog_refresh
from itslive_core.places.catalog_refresh import load_catalog, refresh_catalog
from itslive_core.places.cube_record import VERSION, CubeRecord
from itslive_core.places.lookup import cubes_at
from tests.places.local_http import serve

PARLUNG = (95.968, 29.920)


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Neither a refreshed catalog of another test nor the user's settings decide a lookup."""
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ITSLIVE_CATALOG", raising=False)


def feature(record: CubeRecord, **properties: object) -> dict[str, object]:
    ring = shapely.get_coordinates(record.footprint).tolist()
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def collection(*features: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


def box(record: CubeRecord) -> dict[str, object]:
    xmin, ymin, xmax, ymax = record.bounds
    ring = [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax], [xmin, ymin]]
    return {"type": "Polygon", "coordinates": [ring]}


# Reading the public list


RECORD = CubeRecord(32718, 450000, 4450000)
HTTP_URL = f"http://its-live-data.s3.amazonaws.com/{RECORD.path}"


@pytest.mark.parametrize(
    "properties",
    [
        {"zarr_url": HTTP_URL, "epsg": 32718, "geometry_epsg": box(RECORD), "datacube_exist": 1},
        {"zarr_url": HTTP_URL, "data_epsg": "EPSG:32718", "granule_count": 7},
        {"zarr_url": HTTP_URL, "geometry_e": json.dumps(box(RECORD)), "roi_percen": 1.5, "datacube_e": 1},
        {"zarr_url": RECORD.s3_url, "region": "SouthernAndes", "WGMS_CODE": 17},
        {"zarr_url": RECORD.url},
        {"ZARR_URL": RECORD.url + "/"},
        {"href": RECORD.url},
        {"epsg": 32718, "geometry_epsg": box(RECORD)},
        {"data_epsg": "EPSG:32718", "geometry_e": json.dumps(box(RECORD))},
        {
            "epsg": "32718",
            "geometry_epsg": {"type": "MultiPolygon", "coordinates": [box(RECORD)["coordinates"]]},
        },
    ],
)
def test_every_variant_of_an_entry_is_read(properties):
    entry = feature(RECORD, **properties)
    entry["geometry"] = None
    found = catalog_refresh.parse(collection(entry), "test")
    assert found.records == (RECORD,)
    assert found.records[0].url == RECORD.url


def test_what_a_catalog_says_of_version_and_place_is_kept():
    old = HTTP_URL.replace(VERSION, "v2")
    mirror = f"https://mirror.example/{RECORD.name}.zarr"
    other = CubeRecord(32718, 450000, 4550000)
    entries = [feature(RECORD, zarr_url=old), feature(other, zarr_url=mirror.replace("Y4450000", "Y4550000"))]
    first, second = catalog_refresh.parse(collection(*entries), "test").records
    assert first.version == "v2"
    assert first.url == old.replace("http:", "https:")
    assert second.url == "https://mirror.example/ITS_LIVE_vel_EPSG32718_G0120_X450000_Y4550000.zarr"


def test_entries_without_a_cube_are_passed_over():
    entries = [
        feature(RECORD, zarr_url=HTTP_URL),
        feature(RECORD, zarr_url=HTTP_URL),
        feature(RECORD, zarr_url=HTTP_URL.replace("X450000", "X550000"), datacube_exist=0),
        feature(RECORD, zarr_url=HTTP_URL.replace("X450000", "X123456")),
        feature(
            RECORD, epsg=32718, geometry_epsg={"type": "Polygon", "coordinates": [[[0, 0], [61440, 61440]]]}
        ),
        feature(RECORD, epsg=32718, geometry_e="{"),
        {"type": "Feature", "properties": None},
        "no entry",
    ]
    assert catalog_refresh.parse(collection(*entries), "test").records == (RECORD,)


# Refreshing


def test_refresh_is_kept_for_the_next_lookup(tmp_path, monkeypatch):
    with serve(
        lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL.replace(VERSION, "v9"))))
    ) as server:
        monkeypatch.setenv("ITSLIVE_CATALOG", f"{server.url}/catalog.json")
        fresh = refresh_catalog()
        assert [one.version for one in fresh.records] == ["v9"]
        assert load_catalog().records == fresh.records
        assert len(server.asked) == 1  # the second came from the cache
    assert load_catalog().records == fresh.records  # and outlives the server
    monkeypatch.delenv("ITSLIVE_CATALOG")
    assert len(load_catalog()) == 3086  # another address, another cache


def test_a_public_refresh_replaces_the_package(monkeypatch):
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        monkeypatch.setattr(catalog_refresh, "PUBLIC", f"{server.url}/catalog_v02.json")
        assert len(load_catalog()) == 3086
        refresh_catalog()
        assert len(load_catalog()) == 1


def test_a_named_address_is_fetched_at_the_first_lookup(monkeypatch):
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        monkeypatch.setenv("ITSLIVE_CATALOG", f"{server.url}/first.json")
        assert load_catalog().records == (RECORD,)


def test_refresh_in_the_background(monkeypatch):
    got = []
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        monkeypatch.setenv("ITSLIVE_CATALOG", f"{server.url}/catalog.json")
        catalog_refresh.refresh_in_background(got.append).join()
        assert [one.records for one in got] == [(RECORD,)]
        catalog_refresh.refresh_in_background(got.append).join()
        assert len(got) == len(server.asked) == 1  # recent enough
        catalog_refresh.refresh_in_background(got.append, max_age=0.0).join()
        assert len(got) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", collection(), collection("x"), b"\xff\xfe\x00", b"epsg,cx,cy\na,b,c\n"],
)
def test_a_broken_catalog_never_breaks_a_lookup(content, monkeypatch, tmp_path, caplog):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    monkeypatch.setenv("ITSLIVE_CATALOG", str(path))
    with caplog.at_level(logging.WARNING):
        assert len(cubes_at(*PARLUNG)) == 2
        assert len(cubes_at(*PARLUNG)) == 2
    assert [one.message.count("package's own") for one in caplog.records] == [1]  # said once
    with serve(lambda *_: (200, content)) as server:
        with pytest.raises(ServiceError, match="is not a catalog of cubes"):
            refresh_catalog(server.url)
        monkeypatch.setenv("ITSLIVE_CATALOG", server.url)
        assert len(cubes_at(*PARLUNG)) == 2


def test_a_missing_file_and_a_closed_port(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("ITSLIVE_CATALOG", str(tmp_path / "nowhere.json"))
    assert len(cubes_at(*PARLUNG)) == 2
    with pytest.raises(ServiceError, match=r"nowhere\.json cannot be read"):
        refresh_catalog()
    with serve(lambda *_: (200, b"")) as server:
        closed = server.url
    with caplog.at_level(logging.WARNING):
        monkeypatch.setenv("ITSLIVE_CATALOG", closed)
        catalog_refresh.refresh_in_background().join()
    assert "stays as it is" in caplog.text


def test_a_server_that_fails_once_is_asked_again():
    answers = iter([(503, b""), (200, collection(feature(RECORD, zarr_url=HTTP_URL)))])
    with serve(lambda *_: next(answers)) as server:
        assert len(refresh_catalog(f"{server.url}/c.json")) == 1
        assert len(server.asked) == 2


def test_a_refusal_is_not_repeated():
    with serve(lambda *_: (404, b"")) as server:
        with pytest.raises(ServiceError, match="404"):
            refresh_catalog(f"{server.url}/c.json")
        assert len(server.asked) == 1


def test_a_catalog_file_in_the_environment(monkeypatch, tmp_path):
    path = tmp_path / "mine.json"
    path.write_bytes(collection(feature(RECORD, zarr_url=HTTP_URL)))
    monkeypatch.setenv("ITSLIVE_CATALOG", str(path))
    assert load_catalog().records == (RECORD,)
    assert refresh_catalog().records == (RECORD,)
    with pytest.raises(ItsliveError, match="no cube covers"):
        cubes_at(*PARLUNG)


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("ITSLIVE_CACHE", str(blocked))
    assert len(load_catalog()) == 3086
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        assert len(refresh_catalog(f"{server.url}/c.json")) == 1
