"""Pictures of the Diagnostics tab: from a diagnosis to elements, columns and words."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import holoviews as hv
import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource

from dashboard.colours import MISSION_COLOURS, step_colour, step_label
from dashboard.control.diagnosis import DiagnosisControl
from dashboard.control.series import SeriesControl
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.runner import JobRunner
from dashboard.state.selection import Point
from dashboard.state.settings import Settings
from dashboard.views.diagnosis.criterion import CriterionView, best_marks, criterion_curve, criterion_frame
from dashboard.views.diagnosis.missions import mission_table, noise_words
from dashboard.views.diagnosis.offsets import (
    OffsetsSection,
    OffsetsView,
    about_offsets,
    offset_bars,
    offset_marks,
    offset_rows,
)
from dashboard.views.diagnosis.residuals import GROUPS, median_marks, quantile_bars, residual_quantiles
from dashboard.views.diagnosis.steps import StepsSection, funnel_html, funnel_rows
from dashboard.views.diagnosis.strip import held_bars, resolution_curve, strip_frame
from dashboard.views.diagnosis.tab import DiagnosisView
from dashboard.views.layers import LiveLayers, columns_of, fill
from dashboard.views.rejected import NO_WEIGHT, cross_columns, rejected_crosses
from dashboard.views.scales import spread_out
from dashboard.views.series_board import SeriesBoard
from itslive_core import Diagnosis, ImagePairs, InversionSettings, PairSelection, diagnose
from itslive_core.support.student import LEAST_WEIGHT
from tests import waiting

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


def make_pairs(n: int = 400) -> ImagePairs:
    rng = np.random.default_rng(11)
    start = np.sort(rng.uniform(16000, 18000, n))
    start[n // 2 :] += 1500  # a gap
    span = rng.choice([6.0, 12.0, 32.0, 96.0], n)
    vx = 300 + rng.normal(0, 300 / span + 3)
    vx[::40] += 900.0  # the robust fit gives these no weight
    return ImagePairs.from_arrays(
        start,
        start + span,
        vx,
        0.2 * vx,
        mission=np.where(span < 20, "S1", "L8_9"),
        vx_error=300 / span + 3,
        vy_error=300 / span + 3,
    )


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    return make_pairs()


@pytest.fixture(scope="module")
def found(pairs) -> Diagnosis:
    return diagnose(pairs, InversionSettings(offsets="none"), selection=PairSelection(min_span=8))


def drawn(view) -> object:
    return hv.renderer("bokeh").get_plot(view.pane.object).state


def test_criteria_are_drawn_above_their_best(found):
    for name in ("evidence", "gcv"):
        data = criterion_frame(found.smoothing, name)
        assert data["worse"].min() == 0.0
        curve = criterion_curve(found.smoothing, name)
        assert np.array_equal(curve.dimension_values("smoothing"), found.smoothing["smoothing"])
        assert np.allclose(curve.dimension_values("height"), np.log10(1 + data["worse"]))
    marks = best_marks(found.smoothing)
    assert marks.dimension_values("smoothing")[0] == float(found.smoothing["evidence"].idxmin())
    assert len(criterion_curve(None, "gcv")) == len(best_marks(None)) == 0


def test_the_marker_moves_lambda_and_follows_it():
    settings = Settings()
    view = CriterionView(settings, lambda _name, act: act())
    marker = drawn(view).select_one({"name": "itslive-marker"})
    assert marker.editable
    assert marker.location == pytest.approx(settings.smoothing)
    marker.location = 31.0
    assert not settings.auto_smoothing
    assert settings.smoothing == pytest.approx(31.0)
    settings.log_smoothing = 3.0
    assert marker.location == pytest.approx(1000.0)
    marker.location = 1e9
    assert settings.log_smoothing == settings.param["log_smoothing"].bounds[1]
    before = settings.smoothing
    view.choose(float("nan"))
    assert settings.smoothing == before


def test_residuals_are_summed_up_by_mission_and_by_span(found):
    table = residual_quantiles(found.pairs).set_index("group")
    used = found.pairs[found.pairs["rejected_by"] == ""]
    one = used["residual"][used["mission"] == "L8_9"]
    assert table.loc["Landsat 8/9", "n"] == len(one)
    assert table.loc["Landsat 8/9", "q95"] == pytest.approx(np.quantile(one, 0.95))
    assert table.loc["Landsat 8/9", "colour"] == MISSION_COLOURS["L8_9"]
    assert "Span 0–16 d" in table.index
    assert "Span 128–256 d" not in table.index
    assert table["n"].sum() == 2 * len(used)
    bars = quantile_bars(found.pairs, "q25", "q75")
    assert np.allclose(bars.dimension_values("y0"), spread_out(table["q25"]))
    assert set(bars.dimension_values("x0")) <= {place for place, *_ in GROUPS}
    assert len(median_marks(found.pairs)) == len(table)
    assert len(quantile_bars(None, "q25", "q75")) == len(median_marks(None)) == 0


def with_offsets(found: Diagnosis) -> pd.DataFrame:
    return found.missions.assign(offset=[-20.0, np.nan], offset_std=[5.0, np.nan])


def test_offsets_have_their_interval(found):
    missions = with_offsets(found)
    rows = offset_rows(missions)
    assert list(rows["mission"]) == ["Sentinel-1"]
    assert rows["low"].iloc[0] == pytest.approx(-20 - 1.96 * 5, abs=0.01)
    assert offset_bars(missions).dimension_values("high")[0] == pytest.approx(-20 + 1.96 * 5, abs=0.01)
    assert list(offset_marks(missions).dimension_values("offset")) == [-20.0]
    view = OffsetsView()
    figure = drawn(view)
    view.show(missions)
    assert figure.x_range.start <= -30 <= 30 <= figure.x_range.end
    assert figure.x_range.start == -figure.x_range.end


def test_without_offsets_it_is_said_why(found):
    assert offset_rows(found.missions).empty
    assert "switched off" in about_offsets(found.missions, estimated=False)
    assert "Only one mission" in about_offsets(found.missions.iloc[:1], estimated=True)
    assert about_offsets(found.missions, estimated=True).startswith("No offset")
    assert "held against Landsat 8/9" in about_offsets(with_offsets(found), estimated=True)


@pytest.mark.parametrize(
    ("scale", "floor", "jitter", "words"),
    [
        (1.0, 0.0, 0.0, "formal errors as they are"),
        (1.6, 0.0, 0.0, "1.6 × the formal errors"),
        (2.0, 3.0, 0.0, "2 × the formal errors, but at least 6 m/yr"),
        (2.0, 3.0, 0.4, "2 × the formal errors, but at least 6 m/yr, and 0.8 m over each span"),
        (float("nan"), 0.0, 0.0, "not known"),
    ],
)
def test_noise_is_told_in_words(scale, floor, jitter, words):
    assert noise_words(scale, floor, jitter) == words


def test_the_table_of_missions_counts(found):
    text = mission_table(found.missions)
    for name, row in found.missions.iterrows():
        assert f"<td>{int(row['n_used']):,}</td>" in text, name
    assert mission_table(None) == ""


def test_steps_end_with_what_has_no_weight(found):
    rows = funnel_rows(found)
    assert [name for name, *_ in rows] == ["read", "span", "span_consistency", NO_WEIGHT]
    assert rows[0][1] == 400
    for (_, kept, *_), (_, after, removed, _) in pairwise(rows):
        assert after == kept - removed
    silent = (found.pairs["weight"] < LEAST_WEIGHT).sum()
    assert rows[-1][2] == silent > 0
    text = funnel_html(found)
    assert f"−{silent}" in text
    assert step_label("span") in text
    assert step_colour("span") in text


def test_crosses_are_the_pairs_that_are_not_used(found):
    columns = cross_columns(found.pairs, "vx")
    out = (found.pairs["rejected_by"] != "") | (found.pairs["weight"] < LEAST_WEIGHT)
    assert len(columns["value"]) == out.sum()
    assert set(columns["step"]) == {step_label("span"), step_label(NO_WEIGHT)}
    assert np.allclose(np.sort(columns["value"]), np.sort(found.pairs["vx"][out]))
    assert len(rejected_crosses(found.pairs, "v")) == out.sum()
    assert len(rejected_crosses(None, "v")) == 0


def test_the_strip_joins_cells_and_leaves_gaps(found):
    frame = strip_frame(found)
    bars = held_bars(found)
    width = (bars.dimension_values("end") - bars.dimension_values("begin")) / np.timedelta64(1, "D")
    assert width.sum() == pytest.approx(12.0 * (frame["grade"] > 0).sum())
    assert len(bars) < len(frame) / 4
    drawn_days = resolution_curve(found).dimension_values("resolution")
    assert np.isnan(drawn_days).any()
    assert np.nanmin(drawn_days) >= 12.0
    assert len(held_bars(None)) == len(resolution_curve(None)) == 0


def test_sources_get_the_columns_that_holoviews_would_make(found):
    layers = LiveLayers(
        {"half": partial(quantile_bars, low="q25", high="q75"), "line": resolution_line}, found.pairs
    )
    hv.renderer("bokeh").get_plot(layers.overlay())
    for name, plot in layers.plots.items():
        source = plot.handles["source"].data
        columns = columns_of(
            {"half": partial(quantile_bars, low="q25", high="q75"), "line": resolution_line}[name](
                found.pairs
            )
        )
        for key in ("x0", "y1", "color") if name == "half" else ("span", "residual"):
            assert np.array_equal(source[key], columns[key]), (name, key)
    assert layers.plots["half"].handles["glyph"].line_color == "color"
    assert not layers.direct


def resolution_line(pairs: pd.DataFrame) -> hv.Curve:
    used = pairs[pairs["rejected_by"] == ""].sort_values("span")
    return hv.Curve((used["span"].to_numpy(), used["residual"].to_numpy()), "span", "residual")


def test_only_columns_that_changed_are_sent():
    source, sent = ColumnDataSource({"x": np.arange(3.0), "y": np.array([1.0, np.nan, 2.0])}), []
    document = Document()
    document.add_root(source)
    document.on_change(lambda event: sent.append(sorted(event.cols or ())))
    fill(source, {"x": np.arange(3.0), "y": np.array([1.0, np.nan, 2.0])})
    assert sent == []
    fill(source, {"x": np.arange(3.0), "y": np.array([1.0, np.nan, 3.0])})
    assert sent == [["y"]]
    fill(source, {"x": np.arange(2.0), "y": np.zeros(2)})
    assert source.data["y"].tolist() == [0.0, 0.0]
    fill(source, {"x": np.arange(2.0), "z": np.zeros(2)})
    assert set(source.data) == {"x", "z"}
    assert len(sent) == 3


def test_the_tab_says_what_to_do_or_why_there_is_nothing(found, pairs):
    view = DiagnosisView(Settings(), lambda _name, _act: None)
    assert "Click a pixel" in view._hint.object
    offsets = next(one for one in view.sections if isinstance(one, OffsetsSection))
    view.show(found, offsets=False)
    assert not view._hint.visible
    assert "switched off" in offsets.words.object
    view.show(diagnose(pairs.take(np.arange(2))))
    assert view._hint.visible
    assert "too few pairs" in view._hint.object
    view.show(None, "All pairs were filtered out")
    assert "All pairs were filtered out" in view._hint.object
    assert offsets.view is None
    with_some = Diagnosis(**{**vars(found), "missions": with_offsets(found)})
    view.show(with_some)
    assert offsets.figure.visible
    assert "held against" in offsets.words.object


def steps_of(view: DiagnosisView) -> StepsSection:
    return next(one for one in view.sections if isinstance(one, StepsSection))


class Cube:
    """A cube of one pixel."""

    url = "cube"

    def __init__(self, pairs: ImagePairs) -> None:
        self._pairs = pairs

    def locate(self, *, x: float, y: float) -> Point:
        return Point(0.0, 0.0, x, y, "cube")

    def pairs_at(self, *, x: float, y: float) -> ImagePairs:
        return self._pairs


def test_only_what_is_looked_at_is_diagnosed(pairs):
    runner = JobRunner()
    session, board = Session(runner), SeriesBoard()
    made: list[DiagnosisView] = []

    def make() -> DiagnosisView:
        made.append(DiagnosisView(session.settings, runner.later))
        return made[-1]

    changed: list[int] = []
    series = SeriesControl(session, board, lambda: changed.append(1))
    control = DiagnosisControl(session, series, board, make)

    def drive() -> None:
        runner.drain()
        runner.catch_up()
        if changed:
            changed.clear()
            control.update()
        time.sleep(0.01)

    def until(condition) -> None:
        waiting.until(condition, between=drive)

    series.add(Cube(pairs), x=0.0, y=0.0)
    until(lambda: series.fit is not None and series.fit.series is not None)
    runner.catch_up()
    assert control._known is None
    assert made == []
    control.open(True)
    until(lambda: control._known is not None and steps_of(made[0]).funnel.object)
    assert control._known[0] is series.fit
    assert made[0].series._first.data.dataset is series.fit.series, "the figure in the tab follows"
    first = control._known
    session.settings.param.update(auto_smoothing=False, log_smoothing=4.0)
    until(lambda: control._known is not first)
    assert control._known[1].smoothing.attrs["smoothing_used"] == pytest.approx(1e4)
    control.open(False)
    last = control._known
    session.settings.log_smoothing = 5.0
    until(lambda: series.fit.settings.smoothing == pytest.approx(1e5))
    runner.catch_up()
    assert control._known is last, "nobody looks, so nothing is computed"
    control.cross_out(True)
    until(lambda: board._rejected is not None)
    control.cross_out(False)
    assert board._rejected is None
    session.selection.points = []
    assert series.fit is None
    runner.close()
