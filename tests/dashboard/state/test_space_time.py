"""What a picture of space and time may colour, profiles across it, lines, and differences between points."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from dashboard.state.differences import difference_of, differences
from dashboard.state.lines import MAX_LINES, Lines, spacing_of
from dashboard.state.pictures import Curve, PointSeries
from dashboard.state.space_time import across, anomaly_of, picture_of, sighting_cells
from itslive_core.errors import SettingsError
from itslive_core.series.quality import BELOW_NOISE, EXTRAPOLATED
from itslive_core.support.band_level import BAND_REACH

DAY = np.timedelta64(1, "D")


def profile_of(v, std, n_pairs, quality) -> xr.Dataset:
    """Three cells of 10 days at two points."""
    edges = np.datetime64("2020-01-01", "ns") + 10 * DAY * np.arange(4)
    variables = {"v": v, "v_std": std, "n_pairs": n_pairs, "quality": quality}
    ds = xr.Dataset(
        {name: (("time", "distance"), np.array(values)) for name, values in variables.items()},
        {"time": edges[:-1] + 5 * DAY, "distance": [0.0, 100.0]},
    )
    ds["time_bnds"] = (("time", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1))
    return ds


PROFILE = profile_of(
    [[10.0, 20.0], [30.0, 40.0], [80.0, np.nan]],
    [[1.0, 30.0], [1.0, 1.0], [1.0, np.nan]],
    [[5, 5], [5, 5], [0, 0]],
    [[0, BELOW_NOISE], [0, EXTRAPOLATED], [0, 0]],
)


def test_only_what_pairs_tell_from_noise_is_coloured():
    picture = picture_of(PROFILE, "speed")
    nan = np.nan
    np.testing.assert_array_equal(picture.values, [[10, 30, nan], [nan, nan, nan]])
    np.testing.assert_array_equal(picture.noise, [[nan, nan, nan], [1, nan, nan]])
    first = float(np.datetime64("2020-01-01", "ms").astype(float))
    assert picture.bounds == (first, -50.0, first + 30 * 86.4e6, 150.0)
    assert picture.limits == (0.0, 30.0)
    # At the first point the mean of the cells with pairs is 20: what is interpolated does not count.
    np.testing.assert_array_equal(anomaly_of(PROFILE)[:, 0], [-10.0, 10.0, 60.0])
    anomaly = picture_of(PROFILE, "anomaly")
    np.testing.assert_array_equal(anomaly.values, [[-10, 10, nan], [nan, nan, nan]])
    np.testing.assert_array_equal(anomaly.noise, [[nan, nan, nan], [1, nan, nan]])
    assert picture_of(PROFILE, "speed", at_least=500.0).limits[1] == 500.0, "colours only grow"


def test_a_profile_across_has_gaps_and_a_band():
    found = across(PROFILE, np.datetime64("2020-01-03", "ns"), "speed")
    np.testing.assert_array_equal(found["value"], [10, 20])
    np.testing.assert_array_equal(found["clear"], [10, np.nan])
    np.testing.assert_allclose(found["high"] - found["value"], [BAND_REACH, 30 * BAND_REACH])
    assert across(PROFILE, np.datetime64("2020-01-25", "ns"), "speed")["value"].isna().all()
    for moment in (None, np.datetime64("2019-12-31", "ns"), np.datetime64("2021-01-01", "ns")):
        assert len(across(PROFILE, moment, "speed")) == 0
    when = np.datetime64("2020-01-03", "ns")
    assert sighting_cells(PROFILE, when, 40.0, 120.0) == (10.0, 120.0)
    coarse = PROFILE.assign(resolution=(("time", "distance"), np.full((3, 2), 45.0)))
    assert sighting_cells(coarse, when, 40.0, 20.0) == (45.0, 100.0)


def test_lines_are_kept_within_bounds_and_double_clicks_add_nothing():
    lines = Lines()
    for k in range(MAX_LINES + 3):
        lines.begin()
        for vertex in ((10.0, 60.0 + k), (10.1, 60.0 + k), (10.1, 60.0 + k)):
            lines.put(*vertex)
        lines.finish()
    assert len(lines.lines) == MAX_LINES
    assert lines.active is lines.lines[-1]
    assert len(lines.active.vertices) == 2
    lines.add([("same", lines.lines[0].vertices)])
    assert len(lines.lines) == MAX_LINES
    assert lines.active.label != "same", "it is there already"
    lines.begin()
    lines.put(1.0, 2.0)
    lines.finish()
    assert len(lines.lines) == MAX_LINES, "one vertex is no line"
    length = lines.active.length
    assert length / spacing_of(lines.active, 50, 1.0) == pytest.approx(49, abs=1e-3)
    assert spacing_of(lines.active, 400, 120.0) == 120.0, "no closer than pixels"
    with pytest.raises(SettingsError, match="less than a pixel"):
        spacing_of(lines.active, 50, 2 * length)


def test_differences_are_those_of_common_cells_to_the_point_that_came_first():
    def series(v, first: int) -> xr.Dataset:
        edges = np.datetime64("2020-01-01", "ns") + 10 * DAY * (first + np.arange(len(v) + 1))
        ds = xr.Dataset(coords={"time": edges[:-1] + 5 * DAY})
        ds["time_bnds"] = (("time", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1))
        for name in ("v", "vx", "vy"):
            ds[name] = ("time", np.array(v, dtype=float))
            ds[f"{name}_std"] = ("time", np.full(len(v), 3.0 + first))
        ds["n_pairs"], ds["coverage"] = ("time", np.arange(len(v))), ("time", np.ones(len(v)))
        return ds

    first, other = series([1, 2, 3], 0), series([12, 13, 14], 1)
    found = difference_of(other, first)
    np.testing.assert_array_equal(found["dv"], [10, 10])
    np.testing.assert_allclose(found["dvx_std"], 5.0)
    np.testing.assert_array_equal(found["n_pairs"], [0, 1])
    points = [
        PointSeries(k, str(k), "#123456", None, Curve(ds, "#123456")) for k, ds in ((2, other), (1, first))
    ]
    [only] = differences(points)
    np.testing.assert_array_equal(only.dataset["dv"], [10, 10])
    assert differences([]) == []
