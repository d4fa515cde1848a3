"""Pictures: elements and what reaches their sources, without a browser."""

from __future__ import annotations

from functools import partial

import holoviews as hv
import numpy as np
import pytest
import shapely
import xarray as xr

from dashboard.application import Dashboard
from dashboard.control.area import clock
from dashboard.control.canvas import Canvas
from dashboard.control.fit import Fit, summary_of
from dashboard.control.places import parse_position
from dashboard.extension import prepare
from dashboard.state.estimators import Estimators
from dashboard.state.selection import Point, Selection
from dashboard.state.settings import Settings
from dashboard.views.curves import Curve, band_outline
from dashboard.views.estimate_panel import EstimatePanel
from dashboard.views.figures import fit_box
from dashboard.views.glacier_map import (
    GlacierMapView,
    Raster,
    colour_labels,
    field_image,
    nice_limit,
    outline_lines,
)
from dashboard.views.pair_bars import Bars, pair_bars
from dashboard.views.panels import SelectionPanel, span_histogram
from dashboard.views.series import SeriesView, limits_of
from dashboard.views.world_map import geometry_path, land_patch, marks, to_lonlat, to_mercator
from itslive_core import ImagePairs, InversionSettings, PairSelection, invert, open_cube
from itslive_core.demo import demo_path
from itslive_core.errors import SelectionError
from tests import waiting


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
        start, start + span, vx, 0.2 * vx, mission=np.where(span < 10, "S1", "L8_9"),
        vx_error=np.full(300, 10.0), vy_error=np.full(300, 10.0),
    )  # fmt: skip


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


def test_colour_scale_grows_in_round_steps():
    assert nice_limit(np.array([0.0, 110.0])) == 150.0
    assert nice_limit(np.array([np.nan])) == 10.0
    assert nice_limit(np.array([50.0]), at_least=300.0) == 300.0
    assert nice_limit(np.array([0.034]), smallest=0.01) == pytest.approx(0.04)


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


def test_canvas_takes_what_is_known_of_pixels():
    canvas = Canvas(np.array([60.0, 180.0]), np.array([180.0, 60.0]))
    values = {"vx": ("time", "y", "x"), "vy": ("time", "y", "x")}
    block = xr.Dataset(
        {name: (dims, np.full((1, 1, 1), 3.0)) for name, dims in values.items()}
        | {"trend": (("y", "x"), [[-2.0]])},
        coords={"time": np.array(["2020-01-01"], "datetime64[ns]"), "y": [60.0], "x": [180.0]},
    )
    canvas.put_series(block)
    assert canvas.facts["trend"][1, 1] == -2.0
    assert np.isfinite(canvas.facts["trend"]).sum() == 1
    assert list(canvas.facts) == ["trend"]


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


def test_points_have_colours():
    spots = marks([Point(-50.0, 69.0, 1.0, 2.0, "cube", slot=1)])
    assert list(spots.dimension_values("colour")) == ["#D6336C"]
    assert list(marks([]).dimension_values("size")) == [0]


def test_histogram_counts_all_pairs(pairs):
    assert span_histogram(pairs.end - pairs.start).dimension_values("pairs").sum() == len(pairs)


def test_fields_of_limits_put_numbers_right():
    settings = Settings()
    panel = EstimatePanel(settings, Estimators())
    field = panel.limits["max_angle"]
    assert field.value == ""
    field.value = "500"
    assert settings.max_angle == 180.0
    for text in ("all", "nan"):
        field.value = text
        assert settings.max_angle == 180.0
        assert field.value == "180"
    field.value = " "
    assert settings.max_angle is None
    assert field.value == ""
    settings.from_core(InversionSettings(max_error=40.0))
    assert panel.limits["max_error"].value == "40"


def test_box_gets_the_frame_s_proportions():
    x0, y0, x1, y1 = fit_box((0, 0, 10, 10), 400, 200, margin=0.0)
    assert (x1 - x0) / (y1 - y0) == pytest.approx(2.0)
    assert y1 - y0 == pytest.approx(10.0)


def test_positions_are_read_as_people_write_them():
    assert parse_position("69.3, -50.1") == (-50.1, 69.3)
    assert parse_position("69.3 N, 50.1 W") == (-50.1, 69.3)
    assert parse_position("-30 200") == (-160.0, -30.0)
    assert parse_position("Aletsch") is None
    with pytest.raises(SelectionError, match="no place on Earth"):
        parse_position("95, 10")


def test_time_left_is_readable():
    assert (clock(12), clock(3725)) == ("00:12", "1:02:05")


def test_canvas_takes_blocks_of_two_cubes():
    cubes = [open_cube(path) for path in demo_path().cubes]
    bounds = (
        min(cube.bounds[0] for cube in cubes), min(cube.bounds[1] for cube in cubes),
        max(cube.bounds[2] for cube in cubes), max(cube.bounds[3] for cube in cubes),
    )  # fmt: skip
    canvas = Canvas.around(cubes, bounds)
    for number, cube in enumerate(cubes):
        canvas.put_median(cube.x, cube.y, np.full(cube.shape, number))
    assert (canvas.median == 0).sum() == np.prod(cubes[0].shape)
    assert (canvas.median == 1).sum() == np.prod(cubes[1].shape)


def test_whole_way_without_a_browser():
    """Demo, glacier, pixel, refit: driven by hand, as in a script without an event loop."""
    import time

    app = Dashboard()
    app.start()

    def until(condition):
        def drive():
            app.session.runner.drain()
            app.session.runner.catch_up()
            time.sleep(0.01)

        waiting.until(condition, usual=60, between=drive, what=lambda: app.session.messages.text)

    until(lambda: app.session.selection.known)
    glacier = app.session.selection.known[0]
    app.places.search(glacier.label)
    until(lambda: app.area.canvas is not None and np.isfinite(app.area.canvas.median).any())
    here = glacier.outline_in(app.area.cubes[0].crs).representative_point()
    app.session.selection.compare = True
    app._click_glacier(here.x, here.y)
    app._click_glacier(here.x + 600, here.y)
    until(
        lambda: len(app.series.fits) == 2 and all(fit.series is not None for fit in app.series.fits.values())
    )
    first = app.series.fit.series
    app.session.settings.param.update(auto_smoothing=False, log_smoothing=5.0)
    until(lambda: app.series.fit.series is not first)
    app._click_glacier(0.0, 0.0)
    assert app.session.messages.severity == "error"
    app.session.selection.points = []
    assert app.series.fits == {}
    app.close()


def test_rows_of_selected_points_stay_unless_their_order_changes():
    selection = Selection(compare=True)
    panel = SelectionPanel(selection, lambda _: None, lambda _name, act: act())
    first = selection.add_point(Point(0.0, 0.0, 1.0, 1.0, "cube"))
    (row, _switch) = panel.layout.objects
    second = selection.add_point(Point(0.0, 0.0, 2.0, 2.0, "cube"))
    newer, same, _switch = panel.layout.objects
    assert same is row
    assert (newer[0].color, same[0].color) == ("primary", "default")
    newer[1].clicks += 1
    assert selection.points == [first]
    assert panel.layout.objects[0] is row
    assert row[0].color == "primary"
    second = selection.add_point(second)
    panel.layout.objects[1][0].clicks += 1
    assert selection.point is first
    assert selection.points[0] == second
    assert row not in panel.layout.objects
    assert [one[0].color for one in panel.layout.objects[:2]] == ["primary", "default"]
