"""A series against references of all kinds: statistics by hand, names, units, zones, and what cannot be."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.comparison.reference import as_reference
from itslive_core.errors import ItsliveError, SelectionError, SettingsError
from itslive_core.export import write_series
from itslive_core.observations.pairs import ImagePairs

DAY = np.timedelta64(86_400_000_000_000, "ns")
FIRST = np.datetime64("2020-01-01T00:00", "ns")


def a_series(vx: list[float], vy: list[float], days: int = 10) -> xr.Dataset:
    """Cells of some days from 2020-01-01 on."""
    edges = FIRST + days * DAY * np.arange(len(vx) + 1)
    ds = xr.Dataset(coords={"time": edges[:-1] + days * DAY // 2})
    ds["time_bnds"] = (("time", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1))
    for name, values in (("vx", vx), ("vy", vy), ("v", np.hypot(vx, vy))):
        ds[name] = ("time", np.asarray(values, dtype=float))
    return ds


SERIES = a_series([30, 60, np.nan, 90, -90], [40, 80, np.nan, 0, 0])  # speeds 50, 100, none, 90, 90


def table(tmp_path, text: str, code: str = "utf-8"):
    path = tmp_path / "reference.csv"
    path.write_bytes(text.encode(code))
    return path


def test_spans_see_the_mean_velocity_of_the_series(tmp_path):
    rows = "start,end,v [m/yr]\n2020-01-01,2020-01-11,45\n2020-01-06,2020-01-16,80\n2020-01-31,2020-02-20,3\n"
    found = itslive.compare(SERIES, table(tmp_path, rows))
    # Half of each of two cells on one line: 75. Forth and back: 0, not 90.
    np.testing.assert_allclose(found.table["v"], [50, 75, 0], atol=1e-9)
    difference = np.array([5.0, -5.0, -3.0])
    assert found.n == found.n_reference == 3
    assert found.bias == pytest.approx(difference.mean())
    assert found.rmse == pytest.approx(np.sqrt((difference**2).mean()))
    assert found.mae == pytest.approx(np.abs(difference).mean())


def test_windows_that_the_series_does_not_cover_are_left_out(tmp_path):
    rows = "start,end,v\n2020-01-11,2020-01-31,7\n2020-01-01,2020-01-21,75\n2019-01-01,2019-02-01,9\n"
    found = itslive.compare(SERIES, table(tmp_path, rows))
    assert found.n == 1
    assert found.bias == pytest.approx(0.0)
    assert itslive.compare(SERIES, tmp_path / "reference.csv", least_cover=0.5).n == 2


def test_instants_are_averaged_over_cells(tmp_path):
    rows = "time,vx,vy\n2020-01-02T06:00,20,40\n2020-01-09T18:00,44,40\n2020-01-12,60,80\n2020-01-25,1,1\n"
    found = itslive.compare(SERIES, table(tmp_path, rows))
    assert (found.n, found.n_reference) == (2, 3)  # one falls where the series has no value
    np.testing.assert_allclose(found.table["vx_reference"], [32, 60])
    assert found.components["vx"].bias == pytest.approx(-1.0)
    assert found.components["vy"].rmse == pytest.approx(0.0)
    assert found.table["v_reference"][1] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("start,end,speed [m/d]", 50 / 365.25),
        ("date1,date2,velocity (m d-1)", 50 / 365.25),
        ("from,to,v_m_per_day", 50 / 365.25),
        ("start,end,v [cm/day]", 5000 / 365.25),
        ("time_start,time_end,v [m a⁻¹]", 50),
        ("Start,End,Speed (m yr^-1)", 50),
        ("begin,until,v_m_yr", 50),
        ("start,end,v [km/yr]", 0.05),
        ("start,end,vel", 50),
    ],
)
def test_names_and_units(tmp_path, header, value):
    found = itslive.compare(SERIES, table(tmp_path, f"{header}\n2020-01-01,2020-01-11,{value:.9f}\n"))
    assert found.bias == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-11 00:00 UTC"),
        ("2020-01-01T05:30:00+05:30", "2020-01-10T19:00-05:00"),
        ("2020/01/01", "20200111"),
        ("2020.00000000", "2020.02732240437"),
    ],
)
def test_dates_and_their_zones(tmp_path, first, last):
    reference = as_reference(table(tmp_path, f"start,end,v\n{first},{last},50\n"))
    np.testing.assert_allclose([reference.start[0], reference.end[0]], [18_262.0, 18_272.0], atol=1e-6)


def test_other_tables(tmp_path):
    semicolons = "Datum;mid_date;date_dt;Ve [m/d];Vn [m/d]\nx;2020-01-06T00:00;10;0,1;0,0\n"
    reference = as_reference(table(tmp_path, semicolons, "utf-16"))
    assert reference.values["v"] == pytest.approx([36.525])
    assert reference.end[0] - reference.start[0] == pytest.approx(10.0)
    frame = pd.DataFrame({"time": pd.to_datetime(["2020-01-05", None], utc=True), "v": [60.0, 1.0]})
    found = itslive.compare(SERIES, frame)
    assert (found.n, found.bias) == (1, pytest.approx(-10.0))
    assert len(found.problems) == 1


def test_rows_that_cannot_be_used_are_named(tmp_path, capfd):
    rows = [
        "2020-01-01,2020-01-11,45", "1.2.2020,2020-01-11,4", "2020-01-11,2020-01-11,4", "2020-01-01,x",
        "2020-01-01,2020-01-11,",
    ]  # fmt: skip
    path = table(tmp_path, "\n".join(["start,end,v", *rows]))
    found = itslive.compare(SERIES, path)
    assert found.n == 1
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
    ]
    SERIES.to_netcdf(tmp_path / "series.nc")
    assert run(["compare", str(tmp_path / "series.nc"), str(path)]) == 3
    stdout, stderr = capfd.readouterr()
    assert "speed" in stdout
    assert "4 rows" in stderr
    assert "line 3: '1.2.2020' is no date: write it as YYYY-MM-DD" in stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "no columns start and end"),
        ("time,depth\n2020-01-01,2\n", "no column v"),
        ("time,vx\n2020-01-01,2\n", "no column v"),
        ("time,v [knots]\n2020-01-01,2\n", "'knots'"),
        ("time,v\n1999-01-01,2\n", "no window in common: 2020-01-01 to 2020-02-20 and 1999-01-01"),
        ("time,v\n", "none at all"),
    ],
)
def test_references_that_are_none(tmp_path, text, words):
    with pytest.raises(ItsliveError, match=words):
        itslive.compare(SERIES, table(tmp_path, text))


def test_series_that_are_none(tmp_path):
    path = table(tmp_path, "time,v\n2020-01-05,50\n")
    with pytest.raises(ItsliveError, match="no file"):
        itslive.compare(tmp_path / "missing.nc", path)
    with pytest.raises(ItsliveError, match="no series"):
        itslive.compare(path, path)
    with pytest.raises(ItsliveError, match="no series of one point"):
        itslive.compare(xr.Dataset({"a": 1}), path)
    with pytest.raises(SelectionError, match="no value"):
        itslive.compare(a_series([np.nan], [np.nan]), path)
    with pytest.raises(SettingsError, match="least_cover"):
        itslive.compare(SERIES, path, least_cover=2.0)
    with pytest.raises(ItsliveError, match="give a CSV"):
        itslive.compare(SERIES, [1, 2])


def test_files_and_json(tmp_path, capfd):
    start = np.arange(17_000.0, 18_500.0, 6.0)
    pairs = ImagePairs.from_arrays(
        start, start + 12.0, np.full(250, 100.0), np.full(250, 0.0), satellite_1=["1A"] * 250,
        satellite_2=["1A"] * 250, vx_error=np.ones(250), vy_error=np.ones(250),
    )  # fmt: skip
    series = itslive.fit_moving_median(pairs)
    reference = table(tmp_path, "start,end,v\n2018-01-01,2018-02-01,90\n2018-02-01,2018-03-01,110\n")
    for name in ("series.nc", "series.csv"):
        write_series(series, tmp_path / name)
        assert run(["compare", str(tmp_path / name), str(reference), "--json"]) == 0
        found = json.loads(capfd.readouterr().out)
        assert found["n"] == 2
        assert found["bias"] == pytest.approx(0.0, abs=1e-6)
        assert found["rmse"] == found["mae"] == pytest.approx(10.0)
        assert found["units"] == "m/yr"


def test_one_of_many_stations(tmp_path):
    speeds = SERIES[["vx", "vy", "v"]]
    both = xr.concat([speeds, 2 * speeds], "station")
    both = both.assign(time_bnds=SERIES["time_bnds"]).assign_coords(station_name=("station", ["A", "B"]))
    reference = table(tmp_path, "time,v\n2020-01-05,50\n")
    assert itslive.compare(both, reference, station="B").bias == pytest.approx(50.0)
    with pytest.raises(SettingsError, match="2 stations"):
        itslive.compare(both, reference)
    with pytest.raises(SettingsError, match="no station 'C'"):
        itslive.compare(both, reference, station="C")
