"""Pictures: elements and what reaches their sources, without a browser."""

from __future__ import annotations

from functools import partial

import holoviews as hv
import numpy as np
import pytest
import shapely

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS
from dashboard.extension import prepare
from dashboard.state.fit import Fit, summary_of
from dashboard.state.pictures import Bars, Curve, Raster
from dashboard.state.selection import Point
from dashboard.views.curves import band_outline
from dashboard.views.figures import fit_box
from dashboard.views.glacier_map import GlacierMapView, colour_labels, field_image, outline_lines
from dashboard.views.pair_bars import pair_bars
from dashboard.views.series import SeriesView, limits_of
from dashboard.views.spans import brushed_spans, span_histogram
from dashboard.views.world_map import (
    EDGES,
    GAP,
    geometry_path,
    land_patch,
    marks,
    steps_of,
    to_lonlat,
    to_mercator,
)
from itslive_core import ImagePairs, InversionSettings, PairSelection, invert
from itslive_core.observations.missions import MISSIONS, TRUST


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    rng = np.random.default_rng(5)
    start = np.sort(rng.uniform(16000, 18000, 300))
    start[150:] += 1500  # a gap
    span = rng.choice([6.0, 12.0, 32.0], 300)
    vx = 300 + rng.normal(0, 20, 300)
    return ImagePairs.from_arrays(
        start,
        start + span,
        vx,
        0.2 * vx,
        mission=np.where(span < 10, "S1", "L8_9"),
        vx_error=np.full(300, 10.0),
        vy_error=np.full(300, 10.0),
    )


@pytest.fixture(scope="module")
def series(pairs):
    return invert(pairs)


def bars_of(pairs) -> Bars:
    return Bars(pairs, np.ones(len(pairs), dtype=bool))


def figure_of(view):
    return hv.renderer("bokeh").get_plot(view.pane.object).state


def test_bars_span_from_start_to_end_and_split_by_mission(pairs):
    counts = [len(pair_bars(bars_of(pairs), "v", mission)) for mission in ("S1", "S2", "L8_9")]
    assert sum(counts) == len(pairs)
    assert counts[1] == 0
    bars = pair_bars(bars_of(pairs), "vx", "S1")
    days = (bars.dimension_values("end") - bars.dimension_values("start")) / np.timedelta64(1, "D")
    assert np.allclose(days, 6.0, atol=1e-6)
    assert len(pair_bars(None, "v", "S1")) == 0


def test_refit_touches_the_curve_only(pairs, series):
    view = SeriesView()
    figure = figure_of(view)
    view.show(bars_of(pairs), Curve(series, "#2F6BFF"))
    limits = figure.y_range.start, figure.y_range.end
    changed = []

    def note(index, attr, old, new):
        changed.append(index)

    for index, renderer in enumerate(figure.renderers):
        renderer.data_source.on_change("data", partial(note, index))
    view.show_curve(Curve(series.assign(v=series["v"] * 1.5), "#2F6BFF"))
    kinds = {type(figure.renderers[index].glyph).__name__ for index in changed}
    assert kinds == {"Patch", "Line"}
    assert (figure.y_range.start, figure.y_range.end) == limits


def test_gaps_stay_gaps(pairs, series):
    view = SeriesView()
    figure = figure_of(view)
    view.show(bars_of(pairs), Curve(series, "#2F6BFF"))
    line = [one for one in figure.renderers if type(one.glyph).__name__ == "Line"][-1]
    drawn = np.asarray(line.data_source.data["value"], dtype=float)
    assert np.isnan(drawn).any()
    assert len(drawn) == series.sizes["time"]


def test_band_outline_closes_each_piece():
    import pandas as pd

    time = pd.date_range("2020", periods=6, freq="12D")
    data = pd.DataFrame({"time": time, "low": [0, 1, np.nan, 2, 3, 4.0], "high": [5, 6, np.nan, 7, 8, 9.0]})
    outline = band_outline(data)
    assert np.isnan(outline["y"]).sum() == 2
    assert len(outline["x"]) == len(outline["y"]) == 2 * 5 + 2


def test_limits_hold_the_curve(pairs, series):
    x0, low, x1, high = limits_of(bars_of(pairs), "v", [Curve(series, "#2F6BFF")])
    assert low == 0.0
    assert high > float(series["v"].max())
    assert x0 < pairs.start.min() * 86.4e6 < pairs.end.max() * 86.4e6 < x1


def test_summary_says_what_is_left(pairs, series):
    fit = Fit(pairs, pairs, PairSelection(), InversionSettings(), bars_of(pairs), series)
    assert summary_of(fit).startswith("300 of 300 image pairs used")
    empty = Fit(
        pairs,
        pairs,
        PairSelection(),
        InversionSettings(),
        bars_of(pairs),
        series.assign_attrs(n_pairs_used=0),
    )
    assert summary_of(empty).startswith("All pairs were filtered out: 0 of 300 left")


def test_raster_keeps_its_pixels():
    raster = Raster(np.array([60.0, 180.0]), np.array([180.0, 60.0]), np.array([[1.0, 2.0], [3.0, np.nan]]))
    image = field_image(raster)
    assert raster.bounds == (0.0, 0.0, 240.0, 240.0)
    assert image.bounds.lbrt() == pytest.approx((0.0, 0.0, 240.0, 240.0), abs=1e-6)
    assert image[60.0, 180.0] == 1.0


@pytest.mark.parametrize(
    ("kind", "limits"), [("size", (0.0, 5.0)), ("change", (-5.0, 5.0)), ("day", (0.0, 365.25))]
)
def test_colours_fit_what_is_shown(kind, limits):
    axis = np.array([60.0, 180.0])
    raster = Raster(axis, axis[::-1], np.ones((2, 2)), limit=5.0, kind=kind)
    assert raster.range == limits
    mapper = hv.renderer("bokeh").get_plot(field_image(raster)).handles["color_mapper"]
    assert (mapper.low, mapper.high) == limits
    view = GlacierMapView(lambda _x, _y: None)
    figure = figure_of(view)
    view.show_raster(raster)
    bar = next(one for one in figure.right if type(one).__name__ == "ColorBar")
    assert ("Jul" in bar.major_label_overrides.values()) == (kind == "day")
    assert list(bar.ticker.ticks) == list(colour_labels(raster))
    assert bar.title == raster.title
    assert (bar.color_mapper.low, bar.color_mapper.high) == limits


@pytest.mark.parametrize(
    ("limit", "labels"), [(300.0, "0 100 200 300"), (8.0, "0 2 4 6 8"), (0.05, "0 0.01 0.02 0.03 0.04 0.05")]
)
def test_colour_scale_has_round_labels(limit, labels):
    axis = np.array([60.0, 180.0])
    raster = Raster(axis, axis[::-1], np.ones((2, 2)), limit=limit)
    assert " ".join(colour_labels(raster).values()) == labels
    both = Raster(axis, axis[::-1], np.ones((2, 2)), limit=2.0, kind="change")
    assert list(colour_labels(both)) == [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]


def test_outline_shows_holes():
    ring = shapely.Polygon(shapely.box(0, 0, 9, 9).exterior, [shapely.box(3, 3, 5, 5).exterior])
    assert np.isnan(outline_lines(ring).dimension_values("y")).sum() >= 2
    assert len(outline_lines(None)) == 1
    assert np.isfinite(geometry_path([ring]).dimension_values("y")).sum() == 10


def test_mercator_and_back():
    assert to_lonlat(*to_mercator(-50.0, 69.0)) == pytest.approx((-50.0, 69.0))
    x, _ = to_mercator(179.0, 0.0)
    assert to_lonlat(x + 2 * 20037508.342789244, 0.0)[0] == pytest.approx(179.0)


def test_land_is_there_offline():
    x, y = land_patch()
    assert len(x) == len(y) > 5000
    assert np.nanmax(np.abs(x)) < 2.01e7
    coast = (np.abs(x) <= EDGES[0]) & (np.abs(y) <= EDGES[1])  # as the browser draws it
    long = np.hypot(np.diff(x), np.diff(y)) > 1e6
    assert not (long & coast[1:] & coast[:-1]).any()  # none runs round the world or along the edge of the map
    assert coast[np.isfinite(x)].mean() > 0.98


def test_steps_lead_back_to_the_coordinates():
    x, _ = land_patch()
    steps = steps_of(x, 512.0)
    known = steps != GAP
    np.testing.assert_array_equal(known, np.isfinite(x))
    np.testing.assert_allclose(512.0 * np.cumsum(steps[known]), x[known], atol=256.1)
    assert list(steps_of(np.array([np.nan, 10.0, np.nan, -10.0]), 5.0)) == [GAP, 2, GAP, -4]


def test_points_have_colours():
    spots = marks([Point(-50.0, 69.0, 1.0, 2.0, "cube", slot=1)])
    assert list(spots.dimension_values("colour")) == ["#D6336C"]
    assert list(marks([]).dimension_values("size")) == [0]


def test_histogram_counts_all_pairs(pairs):
    assert span_histogram(pairs.end - pairs.start).dimension_values("pairs").sum() == len(pairs)


def test_a_brush_over_the_histogram_means_the_spans_of_its_bars():
    assert brushed_spans(0.2, 0.7) == (0, 7)
    assert brushed_spans(1.5, 3.1) == (8, 63)
    assert brushed_spans(-0.4, 99.0) == (0, 800)
    assert brushed_spans(9.0, 9.5) == (400, 800)


def test_box_gets_the_frame_s_proportions():
    x0, y0, x1, y1 = fit_box((0, 0, 10, 10), 400, 200, margin=0.0)
    assert (x1 - x0) / (y1 - y0) == pytest.approx(2.0)
    assert y1 - y0 == pytest.approx(10.0)


def test_every_mission_has_a_colour_and_a_name():
    assert tuple(MISSION_COLOURS) == tuple(MISSION_LABELS) == MISSIONS
    assert sorted(TRUST) == sorted(MISSIONS)
    assert len({*MISSION_COLOURS.values()}) == len(MISSIONS)
