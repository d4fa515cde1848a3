"""The series: bold where data hold it, several points over each other or side by side."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

from dashboard.extension import prepare
from dashboard.state.pictures import Bars, Curve, PointSeries
from dashboard.views.curves import (
    BAND_ALPHA,
    GRADES,
    band,
    band_pieces,
    curve_frame,
    held,
    held_line,
    support,
)
from dashboard.views.pair_bars import all_bars, all_columns
from dashboard.views.series import SeriesView
from dashboard.views.series_board import SeriesBoard, legend_html, rows_of
from itslive_core import ImagePairs, invert


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


def make_series(count, coverage, resolution=None) -> xr.Dataset:
    n = len(count)
    edges = np.datetime64("2020-01-01", "ns") + np.arange(n + 1) * np.timedelta64(12, "D")
    value = np.where(np.asarray(count) > 0, 100.0 + np.arange(n), np.nan)
    columns = dict.fromkeys(("vx", "vy", "v"), ("time", value))
    columns |= {f"{name}_std": ("time", value / 10) for name in ("vx", "vy", "v")}
    columns |= {"n_pairs": ("time", np.asarray(count)), "coverage": ("time", np.asarray(coverage, float))}
    columns["time_bnds"] = (("time", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1))
    if resolution is not None:
        columns["resolution"] = ("time", np.asarray(resolution, float))
    return xr.Dataset(columns, coords={"time": edges[:-1] + np.timedelta64(6, "D")})


def make_point(key: int, first: float, n: int = 60) -> PointSeries:
    rng = np.random.default_rng(key)
    start = np.sort(rng.uniform(first, first + 700, n))
    vx = rng.normal(200, 5, n)
    mission = np.where(np.arange(n) % 3 == 0, "S2", "L8_9")
    pairs = ImagePairs.from_arrays(start, start + 24.0, vx, vx, mission=mission)
    keep = np.arange(n) % 10 != 0
    curve = Curve(invert(pairs), "#2F6BFF", f"point {key}")
    return PointSeries(key, f"point {key}", "#2F6BFF", Bars(pairs, keep), curve)


def test_support_is_graded_by_pairs_and_coverage():
    series = make_series([0, 1, 3, 10, 10, 40], [0, 1, 1, 1, 0.5, 1])
    assert support(series).tolist() == [0, 1, 2, 3, 2, 3]


def test_support_knows_what_is_averaged_over_years():
    series = make_series([40, 40, 40, 5], [1, 1, 1, 1], [20, 200, 800, 500])
    assert support(series).tolist() == [3, 2, 1, 1]


def test_bands_of_all_grades_meet_and_gaps_stay_open():
    count = [20, 20, 5, 5, 0, 1, 0, 20, 20]
    series = make_series(count, np.minimum(count, 1))
    data = curve_frame(series, "v")
    reach = []
    for grade in GRADES:
        pieces = band_pieces(data, grade)
        known = pieces["low"].notna()
        assert known.eq(pieces["high"].notna()).all()
        begins = pieces["time"][known & ~known.shift(fill_value=False)]
        ends = pieces["time"][known & ~known.shift(-1, fill_value=False)]
        reach += list(zip(begins, ends, strict=True))
    reach.sort()
    days = [(end - begin).days for begin, end in reach]
    assert days == [24, 24, 12, 24], (
        "each part reaches from the begin of its first cell to the end of its last"
    )
    assert reach[0][1] == reach[1][0]
    assert reach[1][1] < reach[2][0] < reach[2][1] < reach[3][0]


def test_bands_agree_where_they_meet():
    series = make_series([20, 20, 5, 5], [1, 1, 1, 1])
    data = curve_frame(series, "v")
    well, loosely = band_pieces(data, 3), band_pieces(data, 2)
    assert well[["low", "high"]].iloc[-1].tolist() == loosely[["low", "high"]].iloc[0].tolist()


def test_band_fades_and_keeps_its_pieces_apart():
    series = make_series([20, 20, 0, 20, 20], [1, 1, 0, 1, 1])
    one = Curve(series, "#D6336C")
    alphas = [hv.Store.lookup_options("bokeh", band(one, "v", g), "style").kwargs["alpha"] for g in GRADES]
    assert alphas == sorted(alphas) == [BAND_ALPHA[grade] for grade in GRADES]
    view = SeriesView(slim=True)
    figure = hv.renderer("bokeh").get_plot(view.pane.object).state
    view.show(None, one)
    patches = [part for part in figure.renderers if type(part.glyph).__name__ == "Patch"]
    drawn = [np.asarray(part.data_source.data["y"], dtype=float) for part in patches]
    assert [np.isnan(outline).sum() for outline in drawn if len(outline)] == [1]


def test_bold_line_is_only_where_data_hold_well():
    series = make_series([20, 20, 5, 1, 0, 20], [1, 1, 1, 1, 0, 1])
    bold = held(curve_frame(series, "v"))["value"]
    assert np.isfinite(bold).tolist() == [True, True, False, False, False, True]
    line = held_line(Curve(series, "#D6336C"), "v")
    assert np.isfinite(line.dimension_values("value")).sum() == 3


def test_all_missions_fit_in_one_layer():
    point = make_point(1, 18000)
    columns = all_columns(point.bars, "v")
    assert len(columns["start"]) == 60
    assert columns["what"][0] == "Rejected", "rejected pairs lie behind"
    assert set(columns["what"]) == {"Rejected", "Sentinel-2", "Landsat 8/9"}
    assert len(all_bars(point.bars, "vx")) == 60
    assert len(all_bars(None, "vx")) == 0


@pytest.mark.parametrize(
    ("count", "rows"), [(0, []), (2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 2]), (6, [3, 3])]
)
def test_figures_fill_rows(count, rows):
    assert rows_of(count) == rows


def test_points_side_by_side_share_the_time_axis_only():
    board = SeriesBoard()
    points = [make_point(2, 18500), make_point(1, 18000)]
    board.show(points)
    assert board._over.visible
    assert not board._grid.visible
    board.arrange("side")
    assert board._grid.visible
    assert not board._over.visible
    figures = [hv.renderer("bokeh").get_plot(view.pane.object).state for view in board._views.values()]
    assert figures[0].x_range is figures[1].x_range
    assert figures[0].y_range is not figures[1].y_range
    assert figures[0].x_range.start < 18000 * 86.4e6
    assert figures[0].x_range.end > max(point.bars.pairs.end.max() for point in points) * 86.4e6
    assert list(board._views) == [1, 2], "places do not depend on which point is active"
    titles = [cell[0].object for cell in board._rows[0]]
    assert ["point 1" in titles[0], "point 2" in titles[1]] == [True, True]
    board.show(points[:1])
    assert board._over.visible, "a single point needs no arrangement"
    board.show([])
    assert board.overlay._first.data is None


def test_a_click_elsewhere_leaves_the_axes_of_the_same_point_alone():
    view = SeriesView()
    point = make_point(1, 18000)
    figure = hv.renderer("bokeh").get_plot(view.pane.object).state
    view.present(1, point.bars, point.curve)
    figure.x_range.start += 1e9  # a person's zoom
    zoomed = figure.x_range.start
    view.present(1, Bars(point.bars.pairs, ~point.bars.keep), point.curve)
    assert figure.x_range.start == zoomed
    other = make_point(2, 15000)
    view.present(2, other.bars, other.curve)
    assert figure.x_range.start < 15100 * 86.4e6


def test_legend_names_what_is_there():
    text = legend_html([make_point(1, 18000)])
    assert "Sentinel-2" in text
    assert "Landsat 8/9" in text
    assert "Sentinel-1" not in text
