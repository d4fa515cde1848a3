"""Pictures of a Gaussian process: beside an inversion, faint in gaps, and its parts below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import holoviews as hv
import numpy as np
import pytest

from dashboard.colours import POINT_COLOURS, partner_colour
from dashboard.extension import prepare
from dashboard.screen.estimate_panel import EstimatePanel
from dashboard.state.estimators import Estimators
from dashboard.state.fit import Process
from dashboard.state.pictures import Bars, Curve, PointSeries
from dashboard.state.settings import Settings
from dashboard.views.curves import (
    band_outline,
    band_pieces,
    curve_frame,
    gap_line,
    in_gaps,
    other_curves,
    second_band,
    without_gaps,
)
from dashboard.views.decomposition import (
    DecompositionView,
    findings_html,
    part_limits,
    sentences,
    time_limits,
)
from dashboard.views.layers import columns_of
from dashboard.views.legends import METHOD_NAMES
from dashboard.views.series import SeriesView
from dashboard.views.series_board import legend_html
from itslive_core import GaussianProcessSettings, ImagePairs, PairSelection, fit_gaussian_process, invert

if TYPE_CHECKING:
    import xarray as xr


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    """Four years of a fast season, without any pair for half a year in between."""
    rng = np.random.default_rng(3)
    start = np.sort(np.concatenate([rng.uniform(18000, 18700, 130), rng.uniform(18900, 19400, 90)]))
    end = start + 24.0
    middle = (start + end) / 2
    speed = 300 + 60 * np.sin(2 * np.pi * middle / 365.25) + rng.normal(0, 4, len(start))
    mission = np.where(np.arange(len(start)) % 2 == 0, "S2", "L8_9")
    errors = np.full(len(start), 4.0)
    return ImagePairs.from_arrays(
        start, end, speed, 0.3 * speed, vx_error=errors, vy_error=errors, mission=mission
    )


@pytest.fixture(scope="module")
def process(pairs) -> xr.Dataset:
    return fit_gaussian_process(pairs)


@pytest.fixture(scope="module")
def inversion(pairs) -> xr.Dataset:
    return invert(pairs)


def process_of(series: xr.Dataset | None, **values) -> Process:
    return Process(GaussianProcessSettings(), PairSelection(), series, **values)


def lines_of(view: SeriesView) -> dict[str, object]:
    figure = hv.renderer("bokeh").get_plot(view.pane.object).state
    return {one.name: one for one in figure.renderers if type(one.glyph).__name__ == "Line"}


def test_in_gaps_the_line_is_dotted_and_the_band_faint(process):
    data = curve_frame(process, "v")
    gap = (process["coverage"] == 0).values
    assert gap.sum() > 5
    assert np.isfinite(data["value"]).all()
    assert np.isnan(without_gaps(data)["value"]).to_numpy().tolist() == gap.tolist()
    drawn = np.isfinite(in_gaps(data)["value"]).to_numpy()
    assert drawn[gap].all()
    assert 0 < (drawn & ~gap).sum() <= 2 * (np.diff(gap.astype(int)) == 1).sum(), "lines meet at both ends"
    faint = band_pieces(data, 0)
    inside = faint["time"].dropna()
    first, last = np.flatnonzero(gap)[[0, -1]]
    assert inside.min() == data["begin"][first]
    assert inside.max() == data["end"][last]
    assert gap_line(Curve(process, "#123456"), "v").opts.get().kwargs["line_dash"] == "dotted"


def test_points_beside_the_active_one_are_not_drawn_through_gaps(process):
    drawn = other_curves([Curve(process, "#123456")], "v").split()[0].dimension_values("value")
    assert np.array_equal(np.isnan(drawn), (process["coverage"] == 0).values)


def test_an_inversion_has_nothing_in_gaps(inversion):
    data = curve_frame(inversion, "v")
    assert band_pieces(data, 0).empty
    assert np.array_equal(without_gaps(data)["value"], data["value"], equal_nan=True)


def test_second_estimate_is_dashed_and_named(pairs, inversion, process):
    view = SeriesView()
    lines = lines_of(view)
    bars = Bars(pairs, np.ones(len(pairs), dtype=bool))
    main, second = Curve(inversion, POINT_COLOURS[0]), Curve(process, partner_colour(POINT_COLOURS[0]))
    view.present(1, bars, main, second=second)
    assert np.isfinite(np.asarray(lines["second"].data_source.data["value"], dtype=float)).all()
    assert np.isnan(np.asarray(lines["curve"].data_source.data["value"], dtype=float)).any()
    assert lines["second"].glyph.line_dash != lines["held"].glyph.line_dash
    assert lines["second"].glyph.line_color != lines["held"].glyph.line_color
    assert view._lines.visible
    assert [item.label.value for item in view._lines.items] == list(METHOD_NAMES)
    view.present(1, bars, main)
    assert not view._lines.visible
    assert not np.isfinite(np.asarray(lines["second"].data_source.data["value"], dtype=float)).any()


def test_partners_of_colours_are_far_from_them():
    for colour in POINT_COLOURS:
        assert partner_colour(colour) in POINT_COLOURS
        assert partner_colour(colour) != colour


def test_band_of_the_second_parts_gaps_from_the_rest(process):
    one = Curve(process, "#123456")
    reach = []
    for gaps in (True, False):
        columns = columns_of(second_band(one, "v", gaps=gaps))
        assert set(columns) == {"x", "y"}
        days = columns["x"].astype("datetime64[D]")[np.isfinite(columns["y"])]
        reach.append((days.min(), days.max()))
    assert reach[1][0] < reach[0][0] < reach[0][1] < reach[1][1]
    empty = columns_of(second_band(None, "v", gaps=True))
    assert len(empty["x"]) == len(empty["y"]) == 0


def test_axes_follow_an_estimate_that_comes_after_its_pairs(pairs, process):
    view = SeriesView()
    figure = hv.renderer("bokeh").get_plot(view.pane.object).state
    bars = Bars(pairs, np.ones(len(pairs), dtype=bool))
    view.present(1, bars, None)
    high = figure.y_range.end
    view.present(1, bars, Curve(process, "#123456"))
    assert figure.y_range.end == high, "what fits moves nothing"
    view.present(2, bars, None)
    tall = process.copy()
    tall["v"] = tall["v"] * 3
    view.present(2, bars, Curve(tall, "#123456"))
    assert figure.y_range.end > float(tall["v"].max())
    raised = figure.y_range.end
    view.present(2, bars, Curve(process, "#123456"))
    assert figure.y_range.end < raised, "what would lie flat is fitted again"


def test_legend_of_small_figures_names_both_lines(pairs, inversion, process):
    bars = Bars(pairs, np.ones(len(pairs), dtype=bool))
    main, second = Curve(inversion, "#123456"), Curve(process, "#654321")
    assert "dashed" not in legend_html([PointSeries(1, "a", "#123456", bars, main)])
    both = legend_html([PointSeries(1, "a", "#123456", bars, main, second)])
    assert all(name in both for name in METHOD_NAMES)


def test_sentences_end_at_full_stops_only():
    text = "The season varies by 3.5 m/yr. Pairs of S1 are 2.1 times as noisy. Its shape changes."
    assert sentences(text) == [
        "The season varies by 3.5 m/yr.",
        "Pairs of S1 are 2.1 times as noisy.",
        "Its shape changes.",
    ]
    assert sentences("") == []


def test_findings_are_a_list_with_names_and_a_marked_reason(process):
    text = findings_html(process)
    assert "the season" in text.lower()
    assert "its shape changes over about" in text
    assert "Pairs of Sentinel-2 are" in text
    assert "reason" not in text
    constant = process.assign_attrs(reason="a constant: why", findings="Fitted as a constant: why. And so.")
    assert "<li class='reason'>Fitted as a constant: why.</li>" in findings_html(constant)
    assert "<b>" not in findings_html(process.assign_attrs(findings="<b>no markup</b>"))


def test_limits_of_parts_hold_their_bands(process):
    for part in ("trend", "season", "roughness"):
        low, high = part_limits(process, part)
        seen = process["coverage"].values > 0
        value, std = process[part].values, process[f"{part}_std"].values
        assert low <= (value - 2 * std)[seen].min()
        assert (value + 2 * std)[seen].max() <= high
        if part != "trend":
            assert low == -high
    assert part_limits(process, "trend")[0] > 100, "a trend need not show zero"


def test_parts_share_the_time_axis_and_add_up(process):
    view = DecompositionView(lambda _name, act: act())
    view.show(process_of(process), point=1)
    figures = [hv.renderer("bokeh").get_plot(part.pane.object).state for part in view.parts.values()]
    assert len({id(figure.x_range) for figure in figures}) == 1
    assert (figures[0].x_range.start, figures[0].x_range.end) == pytest.approx(time_limits(process))
    assert not view._hint.visible
    assert len({figure.y_range.end for figure in figures}) == 3
    bearing = np.radians(process.attrs["flow_direction_degrees"])
    along = np.cos(bearing) * process["vx"] + np.sin(bearing) * process["vy"]
    total = process["trend"] + process["season"] + process["roughness"]
    assert np.allclose(along, total, atol=1e-6 * float(np.abs(along).max()))
    figures[0].x_range.start += 1e9  # a person's zoom
    zoomed = figures[0].x_range.start
    view.show(process_of(process), point=1)
    assert figures[0].x_range.start == zoomed
    view.show(process_of(process), point=2)
    assert figures[0].x_range.start != zoomed


def test_a_part_that_is_switched_off_leaves_its_place(process):
    view = DecompositionView(lambda _name, act: act())
    view.show(process_of(process.drop_vars(["season", "season_std"])), point=1)
    assert [part.place.visible for part in view.parts.values()] == [True, False, True]
    view.show(process_of(process), point=1)
    assert all(part.place.visible for part in view.parts.values())


@pytest.mark.parametrize(
    ("process", "point", "words"),
    [
        (None, None, "then a pixel of the glacier"),
        (None, 1, "Choose Gaussian process or Both"),
        (process_of(None, pending=True), 1, "being fitted"),
        (process_of(None, problem="no <pairs> left"), 1, "no &lt;pairs&gt; left"),
    ],
)
def test_without_a_process_it_is_said_what_to_do(process, point, words):
    view = DecompositionView(lambda _name, _act: None)
    view.show(process, point=point)
    assert view._hint.visible
    assert words in view._hint.object


def test_only_widgets_of_the_method_are_seen():
    estimators = Estimators()
    panel = EstimatePanel(Settings(), estimators)
    seen = {}
    for method in ("inversion", "gp", "both"):
        estimators.method = method
        seen[method] = (panel.of_inversion.visible, panel.of_process.visible)
    assert seen == {"inversion": (True, False), "gp": (False, True), "both": (True, True)}
    estimators.season = False
    assert not panel.harmonics.visible


def test_pieces_of_an_area_become_one_outline():
    time = np.datetime64("2020-01-01") + np.arange(5) * np.timedelta64(12, "D")
    low = np.array([1, 1, np.nan, 2, 2.0])
    area = hv.Area((time, low, low + 1), "time", ["low", "high"])
    columns = columns_of(area)
    wanted = band_outline(area.dframe())
    assert np.array_equal(columns["y"], wanted["y"], equal_nan=True)
    assert np.isnan(columns["y"]).sum() == 2
