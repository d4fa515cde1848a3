"""One search box: what is typed is an id, a path, a position or a name."""

from __future__ import annotations

import pytest

from itslive_core.errors import SettingsError
from itslive_core.places.catalog_refresh import load_catalog
from itslive_core.places.gazetteer import folded, gazetteer, like, ranked
from itslive_core.places.queries import read_query

NAMES = [(name, place) for place in gazetteer() for name in (place.name, *place.aliases)]


@pytest.mark.parametrize(
    ("text", "kind", "understood"),
    [
        ("  ", "nothing", ""),
        ("46.5, 8", "position", "46.5, 8"),
        ("RGI60-01.14443", "rgi", "RGI60-01.14443"),
        ("rgi60-11.01450", "rgi", "RGI60-11.01450"),
        (" 11.01450 ", "rgi", "RGI60-11.01450"),
        ("rgi2000-V7.0-g-15-16257", "rgi", "RGI2000-v7.0-G-15-16257"),
        ("g-15-16257", "rgi", "RGI2000-v7.0-G-15-16257"),
        ("g095962e29920n", "glims", "G095962E29920N"),
        ("https://x.org/a.zarr/", "cube", "https://x.org/a.zarr"),
        ("s3://its-live-data/datacubes/v2/N.zarr", "cube", "s3://its-live-data/datacubes/v2/N.zarr"),
        ('"/data/my cube.zarr"', "cube", "/data/my cube.zarr"),
        ("cube.zarr", "cube", "cube.zarr"),
        ("~/cubes/one", "cube", "~/cubes/one"),
        (r"C:\cubes\one.zarr", "cube", r"C:\cubes\one.zarr"),
        ("outlines.gpkg", "outlines", "outlines.gpkg"),
        ("file:///data/rgi.shp", "outlines", "/data/rgi.shp"),
        ("Glacier d'Otemma", "name", "Glacier d'Otemma"),
        ("79 North Glacier", "name", "79 North Glacier"),
    ],
)
def test_what_is_typed_is_understood(text, kind, understood):
    found = read_query(text)
    assert (found.kind, found.text) == (kind, understood)


def test_a_glims_id_holds_its_place():
    east, west = read_query("G095962E29920N").position, read_query("G302000E72000S").position
    assert east is not None
    assert west is not None
    assert (east.lon, east.lat) == pytest.approx((95.962, 29.920))
    assert (west.lon, west.lat) == pytest.approx((-58.0, -72.0))


@pytest.mark.parametrize("text", ["RGI60-77.00001", "RGI2000-v7.0-X-11-00001", "RGI"])
def test_ids_that_are_none_are_told(text):
    with pytest.raises(SettingsError, match="no RGI glacier id"):
        read_query(text)


def test_the_gazetteer_lies_where_there_are_data():
    catalog = load_catalog()
    places = gazetteer()
    assert len(places) >= 150
    assert len({folded(place.name) for place in places}) == len(places)
    for place in places:
        assert catalog.cubes_at(place.lon, place.lat), place.name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("aletsch", "Grosser Aletschgletscher"),
        ("jakobshavn", "Jakobshavn Isbræ"),
        ("sermeq kujalleq", "Jakobshavn Isbræ"),
        ("solheimajokull", "Sólheimajökull"),
        ("Breiðamerkurjökull", "Breiðamerkurjökull"),
        ("baltoro", "Baltoro Glacier"),
        ("PERITO MORENO", "Perito Moreno Glacier"),
        ("pio xi", "Pío XI Glacier"),
        ("mer de glace", "Mer de Glace"),
        ("argentiere", "Glacier d'Argentière"),
        ("79 north", "Nioghalvfjerdsbræ"),
        ("store gletsjer", "Store Glacier"),
        ("columbia glacier", "Columbia Glacier"),
        ("khumbu", "Khumbu Glacier"),
        ("hintereis", "Hintereisferner"),
        ("fedchenko", "Fedchenko Glacier"),
        ("thwaites", "Thwaites Glacier"),
        ("pine island", "Pine Island Glacier"),
        ("south inylchek", "Inylchek Glacier"),
        ("kaskawulsh", "Kaskawulsh Glacier"),
    ],
)
def test_names_are_found_as_they_are_typed(typed, meant):
    assert ranked(typed, NAMES)[0][2].name == meant


def test_misspelt_names_are_asked_about_and_nonsense_is_not():
    every = [name for name, _ in NAMES]
    assert "Baltoro Glacier" in like("Batoro", every)
    assert "Jakobshavn Isbræ" in like("Jakobshaven", every)
    assert like("Nosuchplaceatall", every) == []
    assert like("", every) == like("x", every) == []
    assert ranked("", NAMES) == []
