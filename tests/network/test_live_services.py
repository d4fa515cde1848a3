"""A look at the live services: run with ``pytest -m network`` where the internet is within reach."""

from __future__ import annotations

import pytest

from itslive_core.places.catalog_refresh import refresh_catalog
from itslive_core.places.cube_record import CubeRecord
from itslive_core.places.glaciers import Glacier
from tests.waiting import seconds

pytestmark = pytest.mark.network

PARLUNG = (95.968, 29.920)


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path))
    for name in ("ITSLIVE_CATALOG", "ITSLIVE_GLIMS_URL", "ITSLIVE_CENTRELINES_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_public_catalog_still_has_our_cubes():
    catalog = refresh_catalog()
    assert len(catalog) > 2000
    assert CubeRecord(32646, 750000, 3350000) in catalog.cubes_at(*PARLUNG)


def test_a_computed_address_is_a_cube():
    import requests

    for record in (CubeRecord(32646, 750000, 3350000), CubeRecord(32718, 450000, 4450000)):
        answer = requests.get(f"{record.url}/.zmetadata", timeout=seconds(60))
        assert answer.ok, f"{record.url} answers {answer.status_code}"
        assert "vx/.zarray" in answer.json()["metadata"]


def test_outlines_of_both_inventories():
    assert Glacier.at(*PARLUNG).rgi_id == "RGI2000-v7.0-G-15-16257"
    columbia = Glacier.from_rgi_id("RGI60-01.10689")
    assert columbia.name == "Columbia Glacier"
    assert columbia.covers(-147.0, 61.2)


def test_centrelines_of_a_region():
    hintereisferner = Glacier.from_rgi_id("RGI60-11.00897")
    lines = hintereisferner.centrelines()
    assert lines["main"].sum() == 1
    assert 5_000 < lines["length_m"].max() < 10_000
