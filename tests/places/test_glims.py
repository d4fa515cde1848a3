"""Outlines from a real HTTP server that answers, and fails, like the public one."""

from __future__ import annotations

import logging

import pytest
import shapely

from itslive_core.errors import OutlineError, ServiceError, SettingsError
from itslive_core.places.glaciers import Glacier
from itslive_core.places.glims import Glims
from itslive_core.places.rgi import REGIONS, parse_rgi_id, regions_at
from itslive_core.support.web import Retry
from tests.places.local_http import serve
from tests.places.outline_server import ALASKA6, ALASKA7, ALL6, HMA7, Glaciers, rgi6, rgi7

FAST = Retry(tries=3, pause=0.001, connect=2.0, read=0.5)
HMA = shapely.box(95.95, 29.90, 95.99, 29.94)
ALASKA = shapely.box(-147.1, 61.1, -146.9, 61.3)
ONLY_OLD = shapely.box(-150.1, 61.1, -149.9, 61.3)
HMA_ID, ALASKA_ID, OLD_ID = "RGI2000-v7.0-G-15-16257", "RGI2000-v7.0-G-01-08604", "RGI60-01.14443"


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ITSLIVE_GLIMS_URL", raising=False)


@pytest.fixture
def glaciers() -> Glaciers:
    old = [rgi6("RGI60-01.10689", "Columbia Glacier", ALASKA), rgi6(OLD_ID, None, ONLY_OLD)]
    layers = {region.layer7: [] for region in REGIONS}
    layers[HMA7] = [rgi7("RGI2000-v7.0-G-15-00001", "Neighbour", shapely.box(95.99, 29.90, 96.2, 29.94))]
    layers[HMA7] += [rgi7(HMA_ID, None, HMA)]
    layers[ALASKA7] = [rgi7(ALASKA_ID, "Columbia Glacier", ALASKA)]
    return Glaciers({**layers, ALL6: old, ALASKA6: old})


@pytest.fixture
def server(glaciers):
    with serve(glaciers) as running:
        yield running


@pytest.fixture
def service(server) -> Glims:
    return Glims(f"{server.url}/geoserver/ows", FAST)


def test_a_click_gives_the_outline_of_rgi_7(service):
    glacier = Glacier.at(95.968, 29.920, service=service)
    assert glacier.rgi_id == HMA_ID
    assert glacier.name is None
    assert glacier.label == HMA_ID
    assert glacier.area_km2 == 1.25
    assert glacier.outline.equals(HMA)
    assert Glacier.at(-147.0, 61.2, service=service).label == "Columbia Glacier"
    assert Glacier.at(213.0, 61.2, service=service).label == "Columbia Glacier"


def test_what_rgi_7_lacks_comes_from_rgi_6(service):
    glacier = Glacier.at(-150.0, 61.2, service=service)
    assert glacier.rgi_id == OLD_ID
    assert glacier.area_km2 == 2.5
    assert glacier.outline.equals(ONLY_OLD)


def test_a_click_beside_the_ice_means_that_glacier(service):
    assert Glacier.at(95.9495, 29.92, service=service).rgi_id == HMA_ID
    with pytest.raises(OutlineError, match=r"no glacier of RGI 7 or RGI 6 is at 29\.92000, 95\.94000"):
        Glacier.at(95.94, 29.92, service=service)


@pytest.mark.parametrize("says_crs", [True, False])
@pytest.mark.parametrize("rgi_id", [HMA_ID, OLD_ID])
def test_outlines_in_metres_are_understood(service, glaciers, says_crs, rgi_id):
    glaciers.mercator, glaciers.says_crs = True, says_crs
    expected = HMA if rgi_id == HMA_ID else ONLY_OLD
    x, y = expected.centroid.x, expected.centroid.y
    found = Glacier.at(x, y, service=service)
    assert found.rgi_id == rgi_id
    assert (
        found.outline.equals_exact(expected, 1e-8) or found.outline.symmetric_difference(expected).area < 1e-6
    )


def test_swapped_axes_are_understood(service, glaciers):
    glaciers.swapped = True
    found = Glacier.at(95.968, 29.920, service=service)
    assert found.outline.equals(HMA)


@pytest.mark.parametrize(
    ("rgi_id", "expected"),
    [(HMA_ID, HMA), ("rgi2000-V7.0-g-01-08604", ALASKA), (OLD_ID, ONLY_OLD), (" rgi60-01.10689 ", ALASKA)],
)
def test_outlines_by_id(service, rgi_id, expected):
    assert Glacier.from_rgi_id(rgi_id, service=service).outline.equals(expected)


def test_by_id_the_layer_of_all_regions_is_tried_too(service, glaciers):
    del glaciers.layers[ALASKA6]
    assert Glacier.from_rgi_id(OLD_ID, service=service).rgi_id == OLD_ID


def test_unknown_ids(service):
    with pytest.raises(OutlineError, match=r"no glacier RGI60-01\.99999"):
        Glacier.from_rgi_id("RGI60-01.99999", service=service)
    for wrong in ("RGI60-20.00001", "RGI2000-v7.0-X-01-08604", "RGI60-01.", "", "Columbia"):
        with pytest.raises(SettingsError, match=r"write it like RGI60-01\.14443"):
            Glacier.from_rgi_id(wrong, service=service)


def test_what_was_fetched_once_is_never_asked_for_again(service, glaciers):
    first = Glacier.at(95.968, 29.920, service=service)
    asked = len(glaciers.asked)
    assert Glacier.at(95.960, 29.930, service=service) == first
    assert Glacier.from_rgi_id(HMA_ID, service=service) == first
    assert len(glaciers.asked) == asked


def test_loaded_outlines_come_first(service, glaciers):
    mine = Glacier(shapely.box(95.9, 29.9, 96.0, 30.0), rgi_id=HMA_ID)
    assert Glacier.at(95.968, 29.920, loaded=[Glacier(ALASKA), mine], service=service) is mine
    assert Glacier.from_rgi_id(HMA_ID.lower(), loaded=[Glacier(ALASKA), mine], service=service) is mine
    assert not glaciers.asked


def test_a_cached_outline_of_rgi_6_does_not_hide_that_of_rgi_7(service, glaciers):
    Glacier.from_rgi_id("RGI60-01.10689", service=service)
    assert Glacier.at(-147.0, 61.2, service=service).rgi_id == ALASKA_ID


def test_a_damaged_cache_is_asked_for_again(service, tmp_path):
    Glacier.at(95.968, 29.920, service=service)
    for path in (tmp_path / "cache").rglob("*.geojson"):
        path.write_text("{")
    (tmp_path / "cache" / "outlines" / "odd_name.geojson").write_text("{}")
    assert Glacier.at(95.968, 29.920, service=service).rgi_id == HMA_ID


def test_a_passing_failure_is_retried(service, glaciers):
    answers = iter([(503, b""), (500, b""), None])
    glaciers.broken = lambda query: next(answers, None)
    assert Glacier.from_rgi_id(ALASKA_ID, service=service).rgi_id == ALASKA_ID
    assert len(glaciers.asked) == 3


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 503), (b"<html>maintenance</html>", 200), (b'{"a": 1}', 200), (b"", 403)]
)
def test_a_server_that_is_down_says_so_in_one_sentence(service, glaciers, content, status):
    glaciers.broken = lambda query: (status, content)
    for ask in (
        lambda: Glacier.at(95.968, 29.92, service=service),
        lambda: Glacier.from_rgi_id(OLD_ID, service=service),
    ):
        with pytest.raises(ServiceError, match="load an outline from a file") as error:
            ask()
        assert "outline server" in str(error.value)
        assert "\n" not in str(error.value)


def test_a_server_that_never_answers(service, glaciers):
    import time

    glaciers.broken = lambda query: time.sleep(0.8)
    hasty = Glims(service.url, Retry(tries=1, read=0.1))
    with pytest.raises(ServiceError, match=r"no answer within 0\.1 s"):
        hasty.by_id(ALASKA_ID)


def test_a_closed_port(monkeypatch):
    with serve(lambda *_: (200, b"")) as server:
        url = server.url
    with pytest.raises(ServiceError, match="no connection"):
        Glims(url, FAST).at(95.968, 29.92)


def test_when_rgi_7_is_refused_rgi_6_still_answers(service, glaciers, caplog):
    glaciers.layers = {ALL6: glaciers.layers[ALL6]}
    with caplog.at_level(logging.WARNING):
        assert Glacier.at(-147.0, 61.2, service=service).rgi_id == "RGI60-01.10689"
    assert "no answer for RGI 7" in caplog.text
    with pytest.raises(ServiceError, match="does not answer for GLIMS:RGI2000"):
        Glacier.at(-120.0, 50.0, service=service)


def test_when_the_server_is_down_the_cache_is_good_enough(service, glaciers):
    Glacier.from_rgi_id("RGI60-01.10689", service=service)
    glaciers.broken = lambda query: (503, b"")
    assert Glacier.at(-147.0, 61.2, service=service).rgi_id == "RGI60-01.10689"


def test_the_server_is_named_by_the_environment(server, monkeypatch):
    monkeypatch.setenv("ITSLIVE_GLIMS_URL", f"{server.url}/ows")
    assert Glacier.from_rgi_id(ALASKA_ID).name == "Columbia Glacier"


def test_a_cache_that_cannot_be_written_does_no_harm(service, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("ITSLIVE_CACHE", str(blocked))
    assert Glacier.at(95.968, 29.920, service=service).rgi_id == HMA_ID


@pytest.mark.parametrize(
    ("lon", "lat", "region"),
    [
        (-146.9, 61.2, 1),
        (179.0, 52.0, 1),
        (-121.0, 48.5, 2),
        (-80.0, 80.0, 3),
        (-68.0, 66.0, 4),
        (-50.0, 61.2, 5),
        (-16.8, 64.4, 6),
        (16.0, 79.0, 7),
        (7.0, 61.7, 8),
        (60.0, 76.0, 9),
        (87.0, 49.8, 10),
        (10.8, 46.8, 11),
        (43.0, 43.2, 12),
        (72.2, 38.8, 13),
        (76.4, 35.7, 14),
        (95.96, 29.92, 15),
        (-77.6, -9.1, 16),
        (37.35, -3.07, 16),
        (137.2, -4.08, 16),
        (-73.1, -50.5, 17),
        (170.2, -43.6, 18),
        (-60.0, -63.0, 19),
    ],
)
def test_regions_of_well_known_glaciers(lon, lat, region):
    assert region in [one.number for one in regions_at(lon, lat)]
    assert len(regions_at(lon, lat)) <= 4


def test_names_of_layers():
    assert len(REGIONS) == 19
    assert REGIONS[0].layer7 == ALASKA7
    assert REGIONS[14].layer7 == HMA7
    assert REGIONS[18].layer6 == "GLIMS:RGI_AntarcticSubantarctic"
    assert parse_rgi_id("rgi60-05.00446").region == 5
