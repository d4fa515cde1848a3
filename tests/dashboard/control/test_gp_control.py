"""Choosing an estimator: state, links, and the way of a fit through the real worker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from dashboard.address import OWN_KEYS, apply_query, query_of
from dashboard.control import fit as fits
from dashboard.control.area import ACTIONS, AreaControl
from dashboard.control.series import SeriesControl
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.runner import JobRunner
from dashboard.state.estimators import METHODS, OTHERS, PARTS, Estimators
from dashboard.state.fit import saved_series, shown_series, summary_of
from dashboard.state.selection import Point
from dashboard.views.glacier_map import GlacierMapView
from dashboard.views.series_board import SeriesBoard
from itslive_core import GaussianProcessSettings, ImagePairs, InversionSettings
from tests.waiting import seconds, until


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


class Cube:
    """Pairs of every pixel of a cube that is not there."""

    url = "cube"

    def __init__(self, n: int = 90) -> None:
        self.n = n

    def locate(self, *, x: float, y: float) -> Point:
        return Point(0.0, 0.0, x, y, "cube")

    def pairs_at(self, *, x: float, y: float) -> ImagePairs:
        rng = np.random.default_rng(int(x))
        start = np.sort(rng.uniform(18000, 19000, self.n))
        speed = 200 + 40 * np.sin(2 * np.pi * start / 365.25) + rng.normal(0, 5, self.n)
        errors = np.full(self.n, 5.0)
        return ImagePairs.from_arrays(
            start, start + 24.0, speed, speed, vx_error=errors, vy_error=errors, mission=["S2"] * self.n
        )


class Desk:
    """A session with a real worker, without a page."""

    def __init__(self) -> None:
        self.session = Session(JobRunner())
        self.board = SeriesBoard()
        self.seen: list[tuple[bool, bool, bool]] = []
        self.series = SeriesControl(self.session, self.board, lambda: None)
        self.series.on_fit = self._note

    def _note(self) -> None:
        active = self.board._points[-1] if self.board._points else None
        process = self.series.process
        if active is not None:
            refined = process is not None and process.series is not None and not process.pending
            self.seen.append((active.curve is not None, active.second is not None, refined))

    @property
    def estimators(self) -> Estimators:
        return self.session.estimators

    def click(self, x: float, n: int = 90) -> None:
        self.series.add(Cube(n), x=x, y=0.0)

    def until(self, condition) -> None:
        def drive() -> None:
            self.session.runner.drain()
            self.session.runner.catch_up()
            time.sleep(0.005)

        until(condition, between=drive, what=lambda: self.session.messages.text)

    def is_refined(self) -> bool:
        process = self.series.process
        return process is not None and process.series is not None and not process.pending


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.session.runner.close()


def test_state_needs_no_panel():
    code = (
        "import dashboard.state.estimators, sys;"
        "print([m for m in ('panel', 'holoviews', 'bokeh') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_defaults_are_those_of_the_core():
    assert Estimators().to_core(InversionSettings()) == GaussianProcessSettings()
    assert set(METHODS.values()) == set(ACTIONS) == {"inversion", "gp", "both", *OTHERS}


def test_interval_and_filters_hold_for_both_methods():
    session = Session(JobRunner())
    session.settings.param.update(interval=30.0, outliers="none", max_error=50.0, device="cuda", robust=False)
    session.estimators.param.update(method="both", season=False, harmonics=3)
    choices = session.choices()
    assert choices.inverts
    assert choices.process == GaussianProcessSettings(
        interval=30.0, outliers="none", max_error=50.0, season=False, harmonics=3
    )
    session.estimators.method = "inversion"
    assert session.choices().process is None


def test_sessions_share_no_estimator():
    one, two = Session(JobRunner()), Session(JobRunner())
    one.estimators.param.update(method="gp", trend=False)
    assert two.estimators.method == "inversion"
    assert two.estimators.trend


@pytest.mark.parametrize(
    "values",
    [
        {"method": "both", "season": False},
        {"method": "gp", "trend": False, "season": False, "offsets": False},
        {"method": "gp", "harmonics": 9},
        {"method": "inversion"},
    ],
)
def test_a_link_holds_method_and_parts(values):
    session, other = Session(JobRunner()), Session(JobRunner())
    session.estimators.param.update(**values)
    query = query_of(session)
    assert set(query) <= OWN_KEYS
    assert ("kernel" in query) == session.estimators.fits_process
    apply_query(other, {key: str(value) for key, value in query.items()})
    for name in ("method", "harmonics", *PARTS):
        assert getattr(other.estimators, name) == getattr(session.estimators, name), name


def test_a_bad_link_changes_nothing():
    session = Session(JobRunner())
    for query in (
        {"method": "<script>"},
        {"kernel": "trend,magic"},
        {"kernel": ["trend"]},
        {"harmonics": "99"},
        {"harmonics": "2.5"},
        {"method": {"gp": 1}},
    ):
        apply_query(session, query)
        assert session.estimators.to_core(InversionSettings()) == GaussianProcessSettings(), query
        assert session.estimators.method == "inversion"


def test_the_quick_pass_comes_before_the_refined_one(desk):
    desk.estimators.method = "gp"
    desk.click(1)
    desk.until(desk.is_refined)
    assert desk.seen == [(False, False, False), (True, False, False), (True, False, True)]
    fit, process = desk.series.fit, desk.series.process
    assert fit.series is None
    assert shown_series(fit, process) is process.series is saved_series(fit, process)
    assert summary_of(fit, process) == "90 of 90 image pairs used"
    desk.until(
        lambda: desk.session.messages.activity == ""
    )  # the end of the work comes after its last result


def test_both_are_drawn_and_the_file_holds_the_process(desk):
    desk.estimators.method = "both"
    desk.click(1)
    desk.until(lambda: desk.series.fit is not None and desk.series.fit.series is not None)
    assert desk.seen[0][:2] == (True, False), "the inversion does not wait"
    desk.until(lambda: desk.series.process is not None)
    while not desk.is_refined():
        assert saved_series(desk.series.fit, desk.series.process) is None, "no file of a first pass"
        assert summary_of(desk.series.fit, desk.series.process).endswith("…")
        seen = len(desk.seen)
        desk.until(lambda before=seen: len(desk.seen) > before or desk.is_refined())
    point = desk.board._points[-1]
    assert point.curve.dataset is desk.series.fit.series
    assert point.second.dataset is desk.series.process.series
    assert point.second.colour != point.curve.colour
    assert saved_series(desk.series.fit, desk.series.process) is desk.series.process.series


def test_lambda_leaves_the_process_alone_and_its_parts_do_not(desk):
    desk.estimators.method = "both"
    desk.click(1)
    desk.until(desk.is_refined)
    process, fit = desk.series.process, desk.series.fit
    desk.session.settings.param.update(auto_smoothing=False, log_smoothing=3.0)
    desk.until(lambda: desk.series.fit is not fit)
    assert desk.series.process is process
    desk.estimators.season = False
    desk.until(lambda: desk.is_refined() and desk.series.process is not process)
    assert "season" not in desk.series.process.series
    desk.estimators.method = "inversion"
    desk.until(lambda: desk.series.process is None)
    assert desk.board._points[-1].second is None
    assert saved_series(desk.series.fit, None) is desk.series.fit.series


def test_the_method_of_a_shown_point_can_be_switched(desk):
    desk.click(1)
    desk.until(lambda: desk.series.fit is not None)
    assert desk.series.process is None
    desk.estimators.method = "gp"
    desk.until(desk.is_refined)
    assert desk.series.fit.series is None
    kept = desk.series.process
    desk.estimators.method = "both"
    desk.until(lambda: desk.series.fit.series is not None)
    assert desk.series.process is kept, "what is known is not fitted again"


@pytest.fixture
def gate(monkeypatch):
    """Fits of Gaussian processes that wait between their passes until they are let go."""
    held, asked = threading.Event(), []
    real = fits.fit_process

    def slow(pairs, choices, should_stop):
        asked.append((choices.process, should_stop))
        for number, process in enumerate(real(pairs, choices, should_stop)):
            yield process
            if number == 0:
                held.wait(seconds(10))

    monkeypatch.setattr("dashboard.control.series.fit_process", slow)
    yield held, asked
    held.set()


def test_another_setting_stops_the_running_fit(desk, gate):
    held, asked = gate
    desk.estimators.method = "gp"
    desk.click(1)
    desk.until(lambda: desk.series.process is not None and desk.series.process.series is not None)
    assert desk.series.process.pending
    desk.estimators.trend = False
    assert asked[0][1](), "told to stop at once"
    held.set()
    desk.until(desk.is_refined)
    assert [settings.trend for settings, _ in asked] == [True, False]
    assert desk.series.process.settings.trend is False
    desk.until(
        lambda: desk.session.messages.activity == ""
    )  # the end of the work comes after its last result


def test_another_click_stops_the_running_fit(desk, gate):
    held, asked = gate
    desk.estimators.method = "gp"
    desk.click(1)
    desk.until(lambda: desk.series.process is not None and desk.series.process.series is not None)
    first = desk.session.selection.point.key
    desk.click(2)
    assert asked[0][1]()
    held.set()
    desk.until(desk.is_refined)
    assert desk.session.selection.point.key != first
    assert set(desk.series.processes) == {desk.session.selection.point.key}
    assert len(asked) == 2


def test_points_that_are_compared_get_theirs_after_an_interruption(desk, gate):
    held, _ = gate
    desk.session.selection.compare = True
    desk.estimators.method = "gp"
    desk.click(1)
    desk.until(lambda: desk.series.process is not None and desk.series.process.series is not None)
    desk.click(2)
    held.set()
    desk.until(
        lambda: (
            len(desk.series.processes) == 2
            and all(not process.pending for process in desk.series.processes.values())
        )
    )
    assert all(process.series.attrs["refined"] for process in desk.series.processes.values())
    assert [point.curve is not None for point in desk.board._points] == [True, True]


def test_few_pairs_fall_back_with_a_reason(desk):
    desk.estimators.method = "gp"
    desk.click(1, n=5)
    desk.until(desk.is_refined)
    words = summary_of(desk.series.fit, desk.series.process)
    assert "Gaussian process: a constant: 5 pairs with distinct dates" in words


def test_filtered_out_pairs_leave_no_process(desk):
    desk.estimators.method = "gp"
    desk.click(1)
    desk.until(desk.is_refined)
    desk.session.filters.missions = ["S1"]
    desk.until(lambda: desk.series.fit.problem)
    assert desk.series.process is None
    assert desk.board._points[-1].curve is None
    desk.session.filters.reset()
    desk.until(desk.is_refined)


def test_a_failure_is_told_and_ends(desk, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("boom")
        yield

    monkeypatch.setattr("dashboard.control.series.fit_process", broken)
    desk.estimators.method = "gp"
    desk.click(1)
    desk.until(lambda: desk.series.process is not None and desk.series.process.problem)
    assert "RuntimeError: boom" in summary_of(desk.series.fit, desk.series.process)
    assert desk.session.messages.severity == "error"
    desk.until(
        lambda: desk.session.messages.activity == ""
    )  # the end of the work comes after its last result
    assert "Traceback" in caplog.text


def test_the_button_of_the_glacier_says_what_it_does():
    session = Session(JobRunner())
    area = AreaControl(session, GlacierMapView(lambda _x, _y: None))
    kinds = {}
    for method in METHODS.values():
        session.estimators.method = method
        assert area.action == ACTIONS[method]
        kinds[method] = type(session.choices().of_area)
    own = {"inversion": InversionSettings, "gp": GaussianProcessSettings, "both": InversionSettings}
    assert kinds == own | {name: one.settings for name, one in OTHERS.items()}


def test_the_map_of_the_season_warns_of_shadows():
    area = AreaControl(Session(JobRunner()), GlacierMapView(lambda _x, _y: None))
    assert area.note == ""
    area.mode = "season_amplitude"
    assert "shadows feign a season of some 8 m/yr" in area.note
    area.mode = "median"
    assert area.note == ""
