"""Periods brushed on the series: means over them, and changes that errors do not explain."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from dashboard.application import Dashboard
from dashboard.control.canvas import Canvas
from dashboard.control.period_maps import change_between, mean_over
from dashboard.extension import prepare
from dashboard.state.pictures import Period

CELLS = 40
TIMES = np.datetime64("2020-01-01", "ns") + 30 * np.arange(CELLS).astype("timedelta64[D]")
EARLY, LATE = Period(TIMES[0], TIMES[9]), Period(TIMES[20], TIMES[29])


def block(vx, vy, error) -> xr.Dataset:
    """Series of two pixels, shape (time, 1, 2)."""
    columns = {"vx": vx, "vy": vy, "vx_std": error, "vy_std": error}
    return xr.Dataset(
        {
            name: (("time", "y", "x"), np.stack(values, axis=1)[:, None, :])
            for name, values in columns.items()
        },
        coords={"time": TIMES, "y": [60.0], "x": [60.0, 180.0]},
    )


@pytest.fixture
def canvas() -> Canvas:
    """A pixel that gains 40 m/yr of 100 and turns about meanwhile, and one that gains 5, within 10."""
    late = np.arange(CELLS) >= 20
    swing = np.where(np.arange(CELLS) % 2, 30.0, -30.0)
    steady = np.full(CELLS, 10.0)
    canvas = Canvas(np.array([60.0, 180.0]), np.array([60.0]))
    canvas.put_series(
        block((100.0 + 40.0 * late, 100.0 + 5.0 * late), (swing, 0.0 * swing), (steady, steady))
    )
    return canvas


def test_the_mean_is_that_of_the_velocity_not_of_its_speed(canvas):
    speed, std = mean_over(canvas, EARLY)
    np.testing.assert_allclose(speed, [[100.0, 100.0]], rtol=1e-3)
    np.testing.assert_allclose(std, [[10.0, 10.0]], rtol=1e-2)
    assert (
        mean_over(canvas, Period(TIMES[-1] + np.timedelta64(9, "D"), TIMES[-1] + np.timedelta64(12, "D")))
        is None
    )


def test_a_change_within_its_error_is_masked(canvas):
    change = change_between(canvas, LATE, EARLY)
    assert change[0, 0] == pytest.approx(40.0, rel=1e-2)
    assert np.isnan(change[0, 1])


def test_half_a_period_is_no_mean_of_it(canvas):
    gap = np.where(np.arange(CELLS) < 6, np.nan, 100.0)
    canvas.put_series(block((gap, gap), (gap, gap), (gap, gap)))
    speed, _ = mean_over(canvas, EARLY)
    assert np.isnan(speed).all()
    assert np.isfinite(mean_over(canvas, LATE)[0]).all()


def test_large_glaciers_keep_no_components(monkeypatch):
    monkeypatch.setattr("dashboard.control.canvas._MAX_STACK", 500)
    small = Canvas(np.array([60.0, 180.0]), np.array([60.0]))
    one = np.full(CELLS, 1.0)
    small.put_series(block((one, one), (one, one), (one, one)))
    assert small.stack is not None
    assert small.flow is None
    assert mean_over(small, EARLY) is None


def test_brushing_leads_to_the_map_and_says_what_is_missing(canvas):
    prepare()
    app = Dashboard(demo=False)
    app.periods.brushed(*EARLY.milliseconds)
    assert app.area.periods == (None, None), "a drag moves the axes"
    app.periods.drag = "first"
    app.periods.brushed(*LATE.milliseconds)
    assert "once all of the glacier is estimated" in app.session.messages.text
    app.area.canvas = canvas
    app.periods.brushed(*LATE.milliseconds)
    assert app.area.mode == "period"
    assert app.glacier_map.raster.values[0, 0] == pytest.approx(140.0, rel=1e-3)
    app.periods.drag = "second"
    app.periods.brushed(*EARLY.milliseconds)
    assert app.area.mode == "period_change"
    raster = app.glacier_map.raster
    assert (raster.kind, raster.title) == ("change", "Change between the periods [m/yr]")
    assert raster.values[0, 0] == pytest.approx(40.0, rel=1e-2)
    assert np.isnan(raster.values[0, 1])
    assert app.area.note.startswith(f"{LATE} less {EARLY}. Shown where it exceeds its 95 % interval")
    app.close()
