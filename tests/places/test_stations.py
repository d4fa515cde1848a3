"""Tables of points as people write them."""

from __future__ import annotations

import pandas as pd
import pytest

from itslive_core.errors import ItsliveError, SettingsError
from itslive_core.places.stations import Station, as_stations, read_stations


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("lon,lat,name\n76.5,-35.25,Camp\n", "utf-8"),
        ("\ufeffName;Longitude [degrees_east];LATITUDE (°)\r\nCamp;76,5;−35,25\r\n\r\n", "utf-8"),
        ("ID\tLong\tLat\nCamp\t76.5\t-35.25\n", "utf-16"),
        ("station|lng|latitude\nCamp|76.5|-35.25\n", "utf-8"),
        ("# made by hand\nlat lon site\n-35.25 76.5 Camp\n", "utf-8"),
        ('"Site name","lon","lat"\n"Camp","76,5","-35,25"\n', "utf-8"),
        ("lat_dd,lon_dd,elevation,point,\n-35.25,76.5,2000,Camp,\n", "cp1252"),
    ],
)
def test_usual_tables(tmp_path, text, code):
    path = tmp_path / "points.csv"
    path.write_bytes(text.encode(code))
    [station], bad = read_stations(path)
    assert (station.name, station.lon, station.lat) == ("Camp", 76.5, -35.25)
    assert not bad


def test_metres_of_the_projection(tmp_path):
    (tmp_path / "points.csv").write_text("Easting [m],Northing [m]\n466042.5,3312187.5\n")
    [[station], _] = read_stations(tmp_path / "points.csv")
    assert station.place == {"lon": None, "lat": None, "x": 466042.5, "y": 3312187.5}
    assert station.name == "1"


def test_bad_rows_do_not_stop_good_ones(tmp_path):
    rows = [
        "1,2,good", "x,2,word", ",2,empty", "1", "1,95,pole", "500,2,round", "nan,2,nan", "1_0,2,score",
        '1,2,"open', "1,2,3,4", "3,4,good",
    ]  # fmt: skip
    (tmp_path / "points.csv").write_text("\n".join(["lon,lat,name", *rows]))
    stations, bad = read_stations(tmp_path / "points.csv")
    assert [(s.lon, s.lat, s.row) for s in stations] == [(1.0, 2.0, 2), (3.0, 4.0, 12)]
    assert [row.row for row in bad] == list(range(3, 12))
    assert all(str(row).startswith(f"line {row.row}") for row in bad)
    assert "decimal commas" in bad[-1].error


def test_what_is_no_table(tmp_path):
    for name, content in (("empty", b"\n\n"), ("binary", b"\x89HDF\r\n\0\0\0"), ("names", b"a,b\n1,2\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ItsliveError, match=name):
            read_stations(tmp_path / name)
    with pytest.raises(ItsliveError, match="folder"):
        read_stations(tmp_path)
    with pytest.raises(ItsliveError, match="cannot read"):
        read_stations(tmp_path / "missing.csv")


def test_points_from_python():
    stations, _ = as_stations([(7.5, 46.0), (8, 47, "Camp"), Station("x", x=1.0, y=2.0)])
    assert [s.name for s in stations] == ["1", "Camp", "x"]
    frame = pd.DataFrame({"Site": ["A"], "Lat": [46.0], "Lon": [7.5]})
    [[station], _] = as_stations(frame)
    assert (station.name, station.lon, station.lat) == ("A", 7.5, 46.0)
    for wrong in (5, [5], [(1, 2, 3, 4), "ab"], [(200, 100)], [("a", "b")], pd.DataFrame({"a": [1]})):
        with pytest.raises(SettingsError):
            as_stations(wrong)
    with pytest.raises(SettingsError, match="lon and lat, or x and y"):
        Station("both", lon=1.0, lat=2.0, x=3.0, y=4.0)
