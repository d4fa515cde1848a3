"""Spatial smoothing in the dashboard: what is asked for, links, and the map before and after."""

from __future__ import annotations

import datetime as dt
import time

import numpy as np
import pytest

from dashboard.address import apply_query, query_of
from dashboard.control.area import AreaControl
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.resources import devices_in_words
from dashboard.runner import JobRunner
from dashboard.screen.estimate_panel import EstimatePanel
from dashboard.state.progress import Progress
from dashboard.views.glacier_map import GlacierMapView
from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path
from itslive_core.support.devices import find_devices
from tests.waiting import until


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture
def session():
    return Session(JobRunner())


def test_only_glaciers_are_coupled(session):
    assert session.choices().of_area.spatial_smoothing == 0.0
    session.settings.neighbours = "auto"
    choices = session.choices()
    assert choices.of_area.spatial_smoothing == "auto"
    assert choices.settings.spatial_smoothing == 0.0
    session.settings.param.update(neighbours="fixed", mu=0.2)
    assert session.choices().of_area.spatial_smoothing == 0.2
    assert session.settings.preset == "Recommended"


@pytest.mark.parametrize(("neighbours", "text"), [("none", None), ("auto", "auto"), ("fixed", "0.07")])
def test_a_link_holds_the_coupling(session, neighbours, text):
    session.settings.param.update(neighbours=neighbours, mu=0.07)
    query = query_of(session)
    assert query.get("neighbours") == text
    other = Session(JobRunner())
    apply_query(other, query)
    assert other.settings.spatial_smoothing == session.settings.spatial_smoothing


@pytest.mark.parametrize("text", ["-1", "nan", "1e9", "all", ""])
def test_impossible_couplings_in_links_are_left_out(session, text):
    apply_query(session, {"neighbours": text})
    assert session.settings.spatial_smoothing == 0.0


def test_the_panel_names_the_devices_and_asks_for_mu_only_where_it_counts(session):
    panel = EstimatePanel(session.settings, session.estimators)
    assert not panel.mu.visible
    session.settings.neighbours = "fixed"
    assert panel.mu.visible
    words = devices_in_words()
    assert str(find_devices()[0]) in words
    if len(find_devices()) == 1:
        assert "no GPU (CUDA) here" in words


def test_progress_ends_at_all_whatever_the_number_of_blocks():
    progress = Progress()
    progress.start()
    for total in range(1, 200):
        progress.step(0, total, total)
        assert progress.share == pytest.approx(0.8)
        progress.step(total, total, total)
        assert progress.share == 1.0
        assert progress.text == "100 % · 00:00 left"


def test_a_coupled_glacier_is_shown_before_and_after(session):
    area = AreaControl(session, GlacierMapView(lambda _x, _y: None))
    cube = open_cube(demo_path().cubes[0])
    glacier = min(Glacier.list_from_file(demo_path().outlines), key=lambda g: g.area_km2 or 0)
    session.selection.param.update(glaciers=[glacier])
    session.settings.param.update(
        auto_smoothing=False,
        log_smoothing=2.0,
        interval=96.0,
        robust=False,
        outliers="none",
        noise="formal",
        offsets="none",
        smoothing_in_time="constant",
        neighbours="fixed",
        mu=0.5,
    )
    session.filters.start = dt.date(2023, 1, 1)
    area.show(glacier, [cube])
    area.invert()
    shares, drawn = [], []
    area.progress.param.watch(lambda event: shares.append(event.new), "share")
    area.progress.param.watch(lambda _: drawn.append(np.isfinite(area.canvas.mean).sum()), "share")
    until(
        lambda: not area.progress.running,
        usual=60,
        between=lambda: time.sleep(0 if session.runner.drain() else 0.02),
    )
    area.flush()
    assert session.messages.text == ""
    assert area.progress.text.startswith("Done: ")
    assert shares == sorted(shares)  # goes on while pixels are estimated, before any is coupled
    assert shares[-1] == 1.0
    assert max(pixels for pixels, share in zip(drawn, shares, strict=True) if share < 0.8) > 50
    assert area.mode == "mean"
    assert area.comparable
    assert "μ = 0.5" in area.note
    shown = {}
    for side in ("after", "before", "change"):
        area.side = side
        shown[side] = area._view.raster
    np.testing.assert_array_equal(shown["change"].values, shown["after"].values - shown["before"].values)
    assert np.nanmax(np.abs(shown["change"].values)) > 0.1
    assert shown["change"].kind == "change"
    assert shown["after"].limit == shown["before"].limit
    area.mode = "date"
    assert "Change" in area._view.raster.title
    area.mode = "trend"
    assert not area.comparable
    session.settings.neighbours = "none"
    area.invert()
    assert not area.comparable
    assert area.side == "after"
    area.stop()
