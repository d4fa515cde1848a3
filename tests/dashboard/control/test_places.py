"""Where a search, a cube and outlines lead, without a server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import shapely

from dashboard.control import places as module
from dashboard.control.lookup import box_of, footprint, inside
from dashboard.control.places import PlaceControl
from dashboard.control.session import Session
from dashboard.runner import JobRunner
from itslive_core import Glacier


def glacier(lon: float, lat: float, name: str | None, rgi_id: str, **attributes) -> Glacier:
    return Glacier(shapely.box(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1), rgi_id, name, 10.0, attributes)


class Somewhere:
    """A place control whose worker only notes where it would look."""

    def __init__(self, monkeypatch):
        self.session = Session(JobRunner())
        self.boxes, self.looked, self.opened = [], [], []
        self.places = PlaceControl(self.session, lambda *_: None, lambda *_: None, self.boxes.append)

        def look(found, position, *, point, note=""):
            self.looked.append((found(), position, point, note))

        monkeypatch.setattr(self.places, "_find", look)
        monkeypatch.setattr(
            self.places, "_run", lambda lane, what, work, act: self.opened.append((lane, what))
        )
        monkeypatch.setattr(module, "glacier_or_area", lambda lon, lat, name=None: (name, "asked"))

    @property
    def said(self) -> str:
        return self.session.messages.text


@pytest.fixture
def somewhere(monkeypatch):
    return Somewhere(monkeypatch)


ALETSCH = (8.0303, 46.5028)


def test_a_position_selects_the_pixel_there(somewhere):
    somewhere.places.search("46°30'10.08\" N 8°01'49.08\" E")
    found, here, point, note = somewhere.looked[0]
    assert here == pytest.approx(ALETSCH)
    assert (found, point, note) == ((None, "asked"), True, "")


def test_swapped_numbers_are_noticed_where_only_they_have_data(somewhere):
    somewhere.places.search("8.0303, 46.5028")
    _, here, _, note = somewhere.looked[0]
    assert here == ALETSCH
    assert "No data lie at 8.03° N, 46.50° E" in note
    assert "longitude, latitude" in note
    somewhere.places.search("8.0303 N, 46.5028 E")  # it says which is which: taken at its word
    assert somewhere.looked[1][1] == (46.5028, 8.0303)


def test_ids_are_sought_among_the_loaded_outlines_first(somewhere, monkeypatch):
    known = glacier(95.96, 29.92, None, "RGI2000-v7.0-G-15-16257", glims_id="G095962E29920N")
    somewhere.session.selection.learn([known])
    for text in ("rgi2000-v7.0-g-15-16257", "G-15-16257", "g095962e29920n"):
        somewhere.places.search(text)
        assert somewhere.looked[-1][0] is known
    somewhere.places.search("G302000E72000S")  # not loaded: the id holds its place
    assert somewhere.looked[-1][1] == pytest.approx((-58.0, -72.0))
    asked = []
    monkeypatch.setattr(Glacier, "from_rgi_id", classmethod(lambda cls, text: asked.append(text)))
    somewhere.places.search("11.01450")
    assert asked == ["RGI60-11.01450"]
    somewhere.places.search("RGI60-77.00001")
    assert "no RGI glacier id" in somewhere.said


def test_names_of_outlines_come_before_those_of_the_gazetteer(somewhere):
    somewhere.places.search("columbia")
    assert somewhere.looked[-1][0] == ("Around Columbia Glacier", "asked")
    own = glacier(10.0, 60.0, "Columbia", "mine-1")
    somewhere.session.selection.learn([own])
    somewhere.places.search("columbia")
    assert somewhere.looked[-1][0] == (own, "")


def test_a_misspelt_name_is_asked_about(somewhere):
    somewhere.places.search("Batoro")
    assert "Did you mean Baltoro Glacier?" in somewhere.said
    somewhere.places.search("Nosuchglacierhere")
    assert "Did you mean" not in somewhere.said
    assert somewhere.looked == []
    somewhere.places.search("   ")


def test_paths_and_urls_open_what_they_name(somewhere):
    for text in ("/data/cube.zarr", "https://example.org/cube.zarr", "outlines.gpkg"):
        somewhere.places.search(text)
    assert [lane for lane, _ in somewhere.opened] == ["open", "open", "outlines"]


def test_loaded_outlines_come_into_view_and_the_only_one_is_selected(somewhere):
    one, two = glacier(10.0, 60.0, "One", "a"), glacier(12.0, 61.0, "Two", "b")
    somewhere.places._learn([one, two], "two.gpkg")
    assert somewhere.boxes == [pytest.approx((9.9, 59.9, 12.1, 61.1))]
    assert somewhere.looked == []
    assert "2 outlines loaded" in somewhere.said
    somewhere.places._learn([one], "one.gpkg")
    assert somewhere.looked[0][0] is one


def test_an_opened_cube_comes_into_view_or_the_only_glacier_in_it(somewhere):
    bounds = (500_000.0, 6_640_000.0, 520_000.0, 6_660_000.0)
    cube = SimpleNamespace(crs="EPSG:32632", bounds=bounds, lonlat_bounds=(9.0, 59.9, 9.36, 60.08))
    somewhere.places._turn_to(cube)
    assert somewhere.boxes == [cube.lonlat_bounds]
    known = glacier(9.2, 60.0, "Here", "c")
    somewhere.session.selection.learn([known, glacier(20.0, 60.0, "Elsewhere", "d")])
    somewhere.places._turn_to(cube)
    assert somewhere.looked[0][0] is known


def test_what_crosses_180_degrees_stays_in_one_piece():
    cube = SimpleNamespace(crs="EPSG:32601", bounds=(200_000.0, 7_600_000.0, 300_000.0, 7_700_000.0))
    west, _, east, _ = footprint(cube).bounds
    assert 0.0 < east - west < 10.0
    assert box_of([(179.0, 60.0, -179.0, 61.0), (178.0, 59.0, 179.0, 60.0)]) == (178.0, 59.0, 181.0, 61.0)
    lon, _ = inside(Glacier(shapely.box(180.5, 70.0, 181.5, 71.0), "x", None, 1.0, {}))
    assert lon == pytest.approx(-179.0)
