"""What moves together: legend, axes and the time cursor of the series; the map across 180 degrees."""

from __future__ import annotations

import datetime as dt

import holoviews as hv
import numpy as np
import pytest
import shapely

from dashboard.extension import prepare
from dashboard.state.pictures import Bars, Curve
from dashboard.state.selection import Point
from dashboard.views.series import SeriesView
from dashboard.views.world_map import geometry_path, marks, to_lonlat, to_mercator
from itslive_core import ImagePairs, invert

HALF = 20037508.342789244


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    rng = np.random.default_rng(3)
    start = np.sort(rng.uniform(18000, 18700, 80))
    vx = rng.normal(200, 5, 80)
    return ImagePairs.from_arrays(
        start, start + 24.0, vx, vx, mission=np.where(np.arange(80) % 2, "S2", "L8_9")
    )


@pytest.fixture(scope="module")
def curve(pairs) -> Curve:
    return Curve(invert(pairs), "#2F6BFF", "here")


def shown(view: SeriesView):
    return hv.renderer("bokeh").get_plot(view.pane.object).state


def times(one: Curve, factor: float) -> Curve:
    scaled = one.dataset.copy()
    for name in ("v", "v_std", "v_lower", "v_upper"):
        scaled[name] = scaled[name] * factor
    return Curve(scaled, one.colour, one.label)


def test_the_legend_leads_with_the_estimate_and_ends_with_what_was_rejected(pairs, curve):
    view = SeriesView()
    figure = shown(view)
    view.present(1, Bars(pairs, np.arange(80) % 10 != 0), curve)
    (legend,) = [one for one in figure.above if one.name != "itslive-lines"]
    there = [item.label.value for item in legend.items if item.visible]
    assert there == ["Estimate", "95 % band", "Sentinel-2", "Landsat 8/9", "Rejected"]
    view.present(0, None, None)
    assert not [item for item in legend.items if item.visible]


def test_the_axis_follows_an_estimate_that_is_cut_off_or_lies_flat(pairs, curve):
    view = SeriesView()
    figure = shown(view)
    bars = Bars(pairs, np.ones(80, dtype=bool))
    view.present(1, bars, curve)
    before = figure.y_range.end
    view.present(1, bars, times(curve, 0.99))
    assert figure.y_range.end == before, "what fits moves nothing"
    view.present(1, bars, times(curve, 3.0))
    assert figure.y_range.end > 3.0 * np.nanmax(curve.dataset["v"])
    view.present(1, bars, curve)
    assert figure.y_range.end == pytest.approx(before, rel=0.1), "nor does it lie flat at the bottom"


def test_an_axis_that_a_person_has_moved_stays(pairs, curve):
    view = SeriesView()
    figure = shown(view)
    bars = Bars(pairs, np.ones(80, dtype=bool))
    view.present(1, bars, curve)
    figure.y_range.update(start=100.0, end=150.0)
    view.present(1, bars, times(curve, 3.0))
    assert (figure.y_range.start, figure.y_range.end) == (100.0, 150.0)


def test_the_time_cursor_is_one_line_that_comes_and_goes():
    view = SeriesView(on_time=lambda _: None)
    figure = shown(view)
    (cursor,) = figure.select({"name": "itslive-time"})
    assert not cursor.visible
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp() * 1000.0
    view.show_time(moment)
    assert (cursor.visible, cursor.location) == (True, moment)
    view.show_time(None)
    assert not cursor.visible


def test_an_outline_across_180_degrees_is_drawn_whole_at_both_edges():
    xy = geometry_path([shapely.box(179.5, 70.0, 180.5, 71.0)])
    x = xy.dimension_values("x")
    x = x[np.isfinite(x)]
    assert np.ptp(x[: x.size // 2]) == pytest.approx(HALF / 180.0), "not round the world"
    assert x.max() > HALF
    assert x.min() < -HALF
    for lon in (179.6, 180.4):
        there, _ = to_lonlat(*to_mercator(lon, 70.5))
        assert there == pytest.approx((lon + 180.0) % 360.0 - 180.0)
    spots = marks([Point(-179.9, 70.0, 1.0, 2.0, "cube")])
    assert sorted(np.sign(spots.dimension_values("x"))) == [-1.0, 1.0]
