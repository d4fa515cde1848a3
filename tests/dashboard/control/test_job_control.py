"""What a session does with the jobs of its server, and what it says of them."""

from __future__ import annotations

import gc
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest

from dashboard.control.area import AreaControl
from dashboard.control.link import place_in, written_place
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.hosting.host import Host
from dashboard.hosting.rules import HOME, PUBLIC
from dashboard.hosting.standing import Standing
from dashboard.runner import JobRunner
from dashboard.screen.job_memory import JobMemory
from dashboard.screen.job_strip import JobStrip
from dashboard.screen.results_panel import ResultsPanel
from dashboard.state.jobs import Jobs, words_of, words_of_age, words_of_size
from dashboard.state.progress import Progress
from dashboard.views.glacier_map import GlacierMapView
from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path
from itslive_core.support.stopping import check_stop
from tests.waiting import until


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture(scope="module")
def glacier() -> Glacier:
    return min(Glacier.list_from_file(demo_path().outlines), key=lambda one: one.area_km2 or 0)


class Visitor:
    """A session that has chosen a glacier, and what it does."""

    def __init__(self, host: Host, glacier: Glacier, *, chosen: bool = True) -> None:
        self.session = Session(JobRunner(at_work=host.at_work), host)
        self.area = AreaControl(self.session, GlacierMapView(lambda _x, _y: None))
        self.jobs, self.state = self.area.jobs, self.session.jobs
        self.jobs.on_open = self.opened
        self.session.settings.param.update(
            auto_smoothing=False,
            log_smoothing=2.0,
            interval=96.0,
            robust=False,
            outliers="none",
            noise="formal",
            offsets="none",
            smoothing_in_time="constant",
        )
        if chosen:
            self.opened(glacier, [open_cube(demo_path().cubes[0])])
            self.until(lambda: self.state.size)

    def opened(self, glacier, cubes) -> None:
        self.session.selection.select_glacier(glacier)
        self.area.show(glacier, cubes)

    def until(self, condition) -> None:
        until(condition, usual=60, between=lambda: time.sleep(0 if self.session.runner.drain() else 0.02))
        self.area.flush()

    def ended(self) -> str:
        self.until(lambda: not self.area.progress.running)
        return self.area.progress.text


def filled(area: AreaControl) -> int:
    return int(np.isfinite(area.canvas.mean).sum())


def test_a_result_is_listed_opened_from_elsewhere_and_deleted(tmp_path, glacier):
    one = Visitor(Host(HOME, tmp_path), glacier)
    assert "pixels" in one.state.size
    assert "time cells" in one.state.size
    assert one.state.keep
    one.area.invert()
    assert one.ended().startswith("Done: ")
    job = one.state.current.id
    assert written_place(one.session, [])["job"] == job
    assert place_in({"job": job}).job == job
    assert one.state.current.state == "done"

    # It goes on, and its progress with it, when something else is on the map.
    one.jobs.detach()
    assert "job" not in written_place(one.session, [])

    # Another process after a restart, another browser: only the id is known.
    two = Visitor(Host(HOME, tmp_path), glacier, chosen=False)
    two.jobs.refresh()
    two.until(lambda: two.state.listed)
    assert [each.id for each in two.state.listed] == [job]
    two.jobs.open(job)
    two.until(lambda: two.state.current is not None)
    assert two.ended().startswith("Done: ")
    assert filled(two.area) == filled(one.area) > 50
    np.testing.assert_array_equal(two.area.canvas.mean, one.area.canvas.mean)
    np.testing.assert_array_equal(two.area.canvas.stack, one.area.canvas.stack)
    assert two.area.mode == "mean"
    strip = JobStrip(two.session, two.jobs)
    two.state.param.trigger("current")
    assert [button.visible for button in strip._files] == [True] * 3
    assert strip._content("tif").getvalue()[:2] in (b"II", b"MM")
    two.jobs.delete(job)
    two.until(lambda: two.state.current is None)
    assert two.state.listed == []
    one.jobs.open(job)
    one.until(lambda: one.session.messages.text)
    assert "no such result" in one.session.messages.text
    one.jobs.open("../../etc")
    one.until(lambda: "no such result" in one.session.messages.text)


def test_strangers_see_the_results_that_they_know_and_no_others(tmp_path, glacier):
    host = Host(replace(PUBLIC, quota=10**9), tmp_path)
    one, two = Visitor(host, glacier), Visitor(host, glacier)
    assert not one.state.keep
    one.area.invert()
    assert one.ended().startswith("Done: ")
    job = one.state.current.id
    two.jobs.refresh()
    two.until(lambda: not two.session.runner.busy("results"))
    assert two.state.listed == []
    # The same estimate of somebody else is one of its own.
    two.area.invert()
    two.until(lambda: two.state.current is not None)
    assert two.state.current.id != job
    assert two.ended().startswith("Done: ")
    # What the browser remembers comes from a stranger.
    panel, memory = ResultsPanel(two.session, two.jobs), JobMemory(two.state)
    memory.ids = [job, "../x", 5, {"a": 1}, "x" * 500]
    assert job in two.state.known
    assert memory.ids == two.state.known == list(dict.fromkeys(two.state.known))
    two.until(lambda: any(each.id == job for each in two.state.listed))
    panel.update()
    assert len(panel._list) == len(two.state.listed)
    assert "7 days" in panel._note.object


def test_what_is_not_kept_ends_with_its_session(tmp_path, glacier, monkeypatch):
    monkeypatch.setattr("dashboard.hosting.job_run._ALONE", 0.0)
    monkeypatch.setattr("dashboard.hosting.job_run._LOOK", 0.0)
    monkeypatch.setattr("itslive_core.jobs.cube_work.CubeWork._run", endless)
    host = Host(replace(PUBLIC, quota=0), tmp_path)

    def visit() -> tuple[str, weakref.ref]:
        visitor = Visitor(host, glacier)
        visitor.area.invert()
        visitor.until(lambda: visitor.state.current is not None)
        job = visitor.state.current.id
        assert host.jobs.standing(job).active
        visitor.area.invert()
        assert "is not finished" in visitor.session.messages.text
        visitor.jobs.close()
        visitor.session.runner.close()
        return job, weakref.ref(visitor.session)

    job, session = visit()
    until(lambda: host.jobs.standing(job).state == "stopped")
    host.jobs.wait()
    until(lambda: gc.collect() is not None and session() is None)


def endless(*_args) -> None:
    while True:
        check_stop()
        time.sleep(0.01)


def test_words():
    standing = Standing("x", "Ice", "stopped", 283, 707, 15, 836, 4e7)
    assert words_of(standing) == "Stopped at 40 %: 283 of 707 pixels"
    assert words_of(replace(standing, state="working")) == "Running: 283 of 707 pixels"
    assert words_of(replace(standing, state="waiting", before=2)) == "Waiting, 2 before it"
    assert words_of(replace(standing, state="done", done=707)) == "Done: 707 pixels"
    assert words_of(replace(standing, done=706)).startswith("Stopped at 99 %")
    assert words_of(replace(standing, state="failed", words="disk full")) == "Failed at 40 %: disk full"
    size = words_of_size(707, 836, 4e7, 130.0)
    assert size == "707 pixels, 836 time cells, about 40 MB; about 2 min, as such a job took here"
    assert "after the first blocks" in words_of_size(1, 1, 40.0, None)
    assert "less than 1 MB" in words_of_size(1, 1, 40.0, 7200.0)
    assert words_of_age(0.0, 86_400.0) == "1970-01-01"
    assert words_of_age(60.0, 3600.0) == "00:01 UTC"


def test_time_left_counts_from_where_a_job_went_on(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dashboard.state.progress.time.monotonic", lambda: now[0])
    progress = Progress()
    progress.start()
    progress.begin_at(50, 100)
    now[0] = 10.0
    progress.step(60, 100)
    assert progress.text == "60 % · 00:40 left"
    progress.end("stopped", 60, 100)
    assert progress.text == "Stopped: 60 of 100 pixels"


def test_a_list_is_replaced_and_forgets(monkeypatch):
    jobs = Jobs()
    monkeypatch.setattr("dashboard.state.jobs.MOST_KNOWN", 3)
    for name in "abcd":
        jobs.learn(name)
    assert jobs.known == ["d", "c", "b"]
    jobs.recall(["b", "x"])
    assert jobs.known == ["d", "c", "b"]
    jobs.note(Standing("d", "Ice", "done", 1, 1, 1, 1, 1.0))
    jobs.current = jobs.listed[0]
    jobs.forget("d")
    assert (jobs.known, jobs.listed, jobs.current) == (["c", "b"], [], None)
