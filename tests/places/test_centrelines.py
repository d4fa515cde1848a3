"""Centrelines of every naming scheme, from files and from an archive on a real HTTP server."""

from __future__ import annotations

import io
import tarfile

import geopandas
import pytest
import shapely
import shapely.affinity

from itslive_core.errors import OutlineError, ServiceError
from itslive_core.places.geodesy import LONLAT
from itslive_core.places.glaciers import Glacier
from tests.places.local_http import serve
from tests.places.squares import SQUARE, in_lonlat, real, table


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ITSLIVE_CENTRELINES_URL", raising=False)


LINES = [
    shapely.LineString([(701000, 3301000), (709000, 3311000)]),
    shapely.LineString([(701000, 3311000), (703000, 3309000)]),
    shapely.LineString([(709000, 3311000), (719000, 3321000)]),  # mostly on the neighbour
]


def lines(**columns) -> geopandas.GeoDataFrame:
    return table(LINES, 32646, **columns).to_crs(LONLAT)


@pytest.fixture
def glacier() -> Glacier:
    return Glacier(in_lonlat(SQUARE), rgi_id="RGI60-15.00001", attributes={"glims_id": "G095123E29810N"})


OWN = ["RGI60-15.00001"] * 2
OWN_GLIMS = ["G095123E29810N"] * 2
LENGTHS = [12800, 2900, 1.0]


@pytest.mark.parametrize(
    "columns",
    [
        {"RGIID": [*OWN, "RGI60-15.00002"], "LE_SEGMENT": LENGTHS, "MAIN": [1, 0, 1]},
        {"rgi_g_id": [*OWN, "x"], "rgi_id": ["L1", "L2", "L3"], "is_main": [1, 0, 1], "length_m": LENGTHS},
        {"GLIMSID_CR": [*OWN_GLIMS, "y"], "MAIN": [1, 0, 1], "LENGTH": LENGTHS},
        {"GLIMSID": [*OWN_GLIMS, "y"], "MAIN": ["1", "0", "1"]},
        {"anything": [1, 2, 3]},
    ],
)
@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
def test_centrelines_of_every_scheme(tmp_path, glacier, columns, suffix):
    path = tmp_path / f"lines.{suffix}"
    lines(**columns).to_file(path)
    found = glacier.centrelines(path)
    assert list(found.columns) == ["rgi_id", "main", "length_m", "geometry"]
    assert found.crs.to_epsg() == 4326
    assert found["main"].tolist() == [True, False]
    assert found["length_m"].tolist() == pytest.approx([12800, 2900], rel=0.03)
    assert found["rgi_id"].tolist() == ["RGI60-15.00001"] * 2
    assert found["main"].dtype == bool


def test_centrelines_elsewhere(tmp_path, glacier):
    lines(RGIID=["a", "b", "c"]).to_file(tmp_path / "lines.gpkg")
    far = Glacier(shapely.box(10, 46, 10.1, 46.1), name="Far")
    with pytest.raises(OutlineError, match="holds no centreline of Far"):
        far.centrelines(tmp_path / "lines.gpkg")
    with pytest.raises(OutlineError, match="there is no centreline file"):
        glacier.centrelines(tmp_path / "gone.gpkg")
    (tmp_path / "text.gpkg").write_text("no database")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for name in ("text.gpkg", "table.csv"):
        with pytest.raises(OutlineError, match="centrelines"):
            glacier.centrelines(tmp_path / name)


def test_real_centrelines(real_data):
    path = real(real_data, "baltoro_centerlines.gpkg")
    every = geopandas.read_file(path)
    glacier = Glacier(
        every.union_all().buffer(0.01), name="Baltoro", attributes={"glims_id": "G076457E35734N"}
    )
    found = glacier.centrelines(path)
    assert len(found) == (every["GLIMSID_CR"] == "G076457E35734N").sum() == 98
    assert found["main"].sum() == 1
    assert found["length_m"][0] == pytest.approx(63203)
    by_place = Glacier(glacier.outline).centrelines(path)
    assert len(by_place) == 98


def archive(tmp_path) -> bytes:
    folder = tmp_path / "region"
    folder.mkdir()
    lines(RGIID=["RGI60-15.00001"] * 2 + ["other"], MAIN=[1, 0, 1]).to_file(folder / "centerlines_15.shp")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, arcname="centerlines_smoothed_15")
    return packed.getvalue()


def test_centrelines_are_downloaded_once(tmp_path, glacier, monkeypatch):
    content = archive(tmp_path)
    with serve(
        lambda path, _: (200, content) if path.endswith("/centerlines_smoothed_15.tar.gz") else (404, b"")
    ) as server:
        monkeypatch.setenv("ITSLIVE_CENTRELINES_URL", f"{server.url}/summary/")
        assert glacier.centrelines()["main"].tolist() == [True, False]
        assert glacier.centrelines()["main"].tolist() == [True, False]
        assert len(server.asked) == 1
        assert len(Glacier(glacier.outline).centrelines()) == 2  # without an id, by place
        with pytest.raises(ServiceError, match=r"404.*load centrelines from a file instead"):
            Glacier(glacier.outline, rgi_id="RGI60-13.00001").centrelines()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + b"\0" * 40])
def test_a_damaged_archive(glacier, monkeypatch, content):
    with serve(lambda *_: (200, content)) as server:
        monkeypatch.setenv("ITSLIVE_CENTRELINES_URL", server.url)
        with pytest.raises(ServiceError, match="load centrelines from a file instead"):
            glacier.centrelines()


@pytest.mark.parametrize("suffix", ["geojson", "kml", "fgb"])
def test_centrelines_of_other_formats(tmp_path, glacier, suffix):
    path = tmp_path / f"lines.{suffix}"
    table = lines(RGIID=[*OWN, "RGI60-15.00002"], LE_SEGMENT=LENGTHS, MAIN=[1, 0, 1])
    table.to_file(path, driver="LIBKML" if suffix == "kml" else None)
    found = glacier.centrelines(path)
    assert found["main"].tolist() == [True, False]
    assert found["length_m"].tolist() == pytest.approx([12800, 2900])
    path = tmp_path / "other.json"
    path.write_text('{"a": 1}')
    with pytest.raises(OutlineError, match=r"no centrelines as GeoJSON.*some other JSON"):
        glacier.centrelines(path)
