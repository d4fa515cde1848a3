"""Estimates of whole glaciers as jobs of a server: kept, followed, found again, stopped, resumed, deleted."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr
from zarr.storage import ZipStore

from dashboard.hosting.downloads import FORMATS, pieces_of
from dashboard.hosting.host import Host
from dashboard.hosting.job_run import Wanted
from dashboard.hosting.pace import pace_of
from dashboard.hosting.results import End, NoResultError, Results, is_id
from dashboard.hosting.rules import HOME, PUBLIC
from dashboard.hosting.standing import Standing, StoredBlock
from itslive_core import Glacier, InversionSettings, PairSelection, open_cube
from itslive_core.demo import demo_path
from itslive_core.errors import OutputError, SelectionError
from itslive_core.jobs import glacier as core
from itslive_core.jobs.cube_work import CubeWork
from itslive_core.support.stopping import check_stop
from tests.waiting import seconds, until

if TYPE_CHECKING:
    from dashboard.hosting.glacier_jobs import GlacierJobs

FAST = InversionSettings(
    smoothing=100.0,
    interval=96.0,
    robust=False,
    outliers="none",
    noise="formal",
    offsets="none",
    smoothing_in_time="constant",
)


@pytest.fixture(scope="module")
def wanted() -> Wanted:
    glacier = max(Glacier.list_from_file(demo_path().outlines), key=lambda g: g.area_km2 or 0)
    return Wanted([open_cube(demo_path().cubes[0])], glacier, FAST, PairSelection(start="2022"))


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(HOME, tmp_path / "results")


@pytest.fixture
def gate(monkeypatch):
    """Let blocks be worked on one by one: each takes one of what is released; a stop ends the waiting."""
    gate, work = threading.Semaphore(0), CubeWork._run

    def run(self, tasks):
        while not gate.acquire(timeout=0.01):
            check_stop()
        return work(self, tasks)

    monkeypatch.setattr(CubeWork, "_run", run)
    return gate


def followed(jobs: GlacierJobs, job: str) -> list:
    return list(jobs.follow(job, lambda: False))


def standings(events: list) -> list[Standing]:
    return [one for one in events if isinstance(one, Standing)]


def speed(events: list, field: str = "dataset") -> dict[tuple[float, float], np.ndarray]:
    """The series of vx by pixel."""
    found = {}
    for one in events:
        if not isinstance(one, Standing):
            vx = getattr(one, field)["vx"]
            for row, y in enumerate(vx["y"].values):
                for col, x in enumerate(vx["x"].values):
                    if np.isfinite(vx.values[:, row, col]).any():
                        found[float(x), float(y)] = vx.values[:, row, col]
    return found


def test_a_job_fills_a_store_as_the_shell_does_and_is_found_by_its_id(host, wanted, tmp_path):
    job, attendance = host.jobs.start(wanted, keep=False)
    assert is_id(job)
    live = followed(host.jobs, job)
    attendance.end()
    last = live[-1]
    assert last.state == "done"
    assert (
        last.done
        == last.pixels
        == wanted.glacier.contains(wanted.cubes[0].x, wanted.cubes[0].y, wanted.cubes[0].crs).sum()
    )
    assert [one.done for one in standings(live)] == sorted(one.done for one in standings(live))

    # Another process, or this one after a restart, knows it by its folder alone.
    again = Host(HOME, host.jobs.results.folder).jobs
    assert again.results.ids() == [job]
    stored = followed(again, job)
    assert stored[-1].state == "done"
    assert all(isinstance(one, (Standing, StoredBlock)) for one in stored)
    seen, kept = speed(live), speed(stored)
    assert seen.keys() == kept.keys()
    assert all(np.array_equal(seen[place], kept[place], equal_nan=True) for place in seen)

    # The shell goes on with the very same store: nothing is left to do.
    same = core.run_glacier(
        wanted.cubes, wanted.glacier, FAST, again.results.store(job), selection=wanted.selection
    )
    assert list(same) == []
    assert pace_of(again.results, FAST) > 0.0
    assert pace_of(again.results, replace(FAST, robust=True)) is None

    # Who asks for the same again gets what is there; a stranger, who does not know the id, does not.
    assert again.start(wanted, keep=True)[0] == job
    assert followed(again, job)[-1].state == "done"
    other, attendance = again.start(wanted, keep=True, known=lambda _: False)
    assert other != job
    again.delete(other)
    with pytest.raises(NoResultError):
        again.standing(other)
    assert again.results.ids() == [job]


def test_stop_keeps_what_is_finished_and_resume_goes_on_with_it(host, wanted, gate):
    jobs = host.jobs
    job, attendance = jobs.start(wanted, keep=True)
    gate.release(3)
    until(lambda: jobs.standing(job).done > 0 and len(jobs.results.finished(job)) == 3)
    with pytest.raises(OutputError, match="at work already"):
        Host(HOME, jobs.results.folder).jobs.resume(job, open_cube)
    jobs.stop(job)
    stopped = followed(jobs, job)[-1]
    assert stopped.state == "stopped"
    assert 0 < stopped.done < stopped.pixels
    assert len(jobs.results.finished(job)) == 3
    attendance = jobs.resume(job, open_cube)
    gate.release(1000)
    done = followed(jobs, job)
    assert sum(isinstance(one, StoredBlock) for one in done) == 3
    assert done[-1].state == "done"
    assert jobs.results.end(job).pixels == done[-1].pixels
    attendance.end()


def test_a_job_ends_when_nobody_attends_it_unless_it_is_kept(host, wanted, gate, monkeypatch):
    monkeypatch.setattr("dashboard.hosting.job_run._ALONE", 0.0)
    monkeypatch.setattr("dashboard.hosting.job_run._LOOK", 0.0)
    job, attendance = host.jobs.start(wanted, keep=False)
    other = host.jobs.attend(job)
    del attendance
    gc.collect()
    gate.release(1)
    until(lambda: host.jobs.standing(job).done > 0)
    assert host.jobs.standing(job).active
    other.end()
    until(lambda: host.jobs.standing(job).state == "stopped")
    attendance = host.jobs.resume(job, open_cube)
    host.jobs.keep(job, True)
    attendance.end()
    gate.release(1000)
    assert followed(host.jobs, job)[-1].state == "done"


def test_jobs_wait_for_their_turn_and_say_how_many_are_before(tmp_path, wanted, gate):
    host = Host(replace(PUBLIC, quota=0), tmp_path)
    first, _one = host.jobs.start(wanted, keep=True)
    until(lambda: host.jobs.standing(first).state == "working")
    second, _two = host.jobs.start(replace_settings(wanted, 50.0), keep=True)
    third, _three = host.jobs.start(replace_settings(wanted, 60.0), keep=True)
    until(lambda: host.jobs.standing(third).before == 1)
    assert host.jobs.standing(second).state == "waiting"
    host.jobs.stop(second)
    until(lambda: host.jobs.standing(second).state == "stopped")
    gate.release(1000)
    assert followed(host.jobs, third)[-1].state == "done"
    assert host.jobs.standing(first).state == "done"
    host.jobs.wait()


def replace_settings(wanted: Wanted, smoothing: float) -> Wanted:
    return replace(wanted, settings=replace(FAST, smoothing=smoothing))


def test_a_killed_job_is_found_stopped_and_followed_by_other_processes(tmp_path, wanted):
    code = f"""
import sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_glacier_jobs import FAST, Wanted, CubeWork
from dashboard.hosting.host import Host
from dashboard.hosting.rules import HOME
from itslive_core import Glacier, PairSelection, open_cube

gate, work = threading.Semaphore(2), CubeWork._run
def run(self, tasks):
    gate.acquire()
    return work(self, tasks)
CubeWork._run = run
glacier = max(Glacier.list_from_file({str(demo_path().outlines)!r}), key=lambda g: g.area_km2 or 0)
wanted = Wanted([open_cube({str(demo_path().cubes[0])!r})], glacier, FAST, PairSelection(start="2022"))
job, attendance = Host(HOME, Path({str(tmp_path)!r})).jobs.start(wanted, keep=True)
print(job, flush=True)
time.sleep(10_000)
"""
    jobs = Host(HOME, tmp_path).jobs
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            job = process.stdout.readline().strip()
            until(lambda: len(jobs.results.finished(job)) == 2, usual=60)
            standing = jobs.standing(job)
            assert standing.state == "working"
            assert 0 < standing.done < standing.pixels
            events = jobs.follow(job, lambda: False)
            assert [type(next(events)) for _ in range(3)] == [Standing, StoredBlock, StoredBlock]
        finally:
            process.send_signal(signal.SIGKILL)
    assert list(events)[-1].state == "stopped"
    # The blocks that were under way when it was killed are worked on again.
    attendance = jobs.resume(job, open_cube)
    assert followed(jobs, job)[-1].state == "done"
    attendance.end()


def test_what_goes_wrong_is_told_without_paths(host, wanted, tmp_path, monkeypatch):
    with pytest.raises(SelectionError):
        host.jobs.start(replace(wanted, selection=PairSelection(start="2034")), keep=True)
    assert host.jobs.results.ids() == []
    monkeypatch.setattr(
        "itslive_core.jobs.area_store.AreaStore.write",
        lambda self, *_: (_ for _ in ()).throw(OutputError(f"cannot write to {self.path}: disk full")),
    )
    job, attendance = host.jobs.start(wanted, keep=True)
    last = followed(host.jobs, job)[-1]
    assert last.state == "failed"
    assert last.words == "cannot write to the result: disk full"
    attendance.end()
    monkeypatch.undo()
    changed = json.loads(host.jobs.results.record(job).size.recipe)
    changed["cubes"][0]["n_pairs"] += 1
    path = host.jobs.results.place(job) / "job.json"
    facts = json.loads(path.read_text())
    facts["size"]["recipe"] = json.dumps(changed)
    path.write_text(json.dumps(facts))
    with pytest.raises(OutputError, match=r"image pairs, and has .* estimate it anew"):
        host.jobs.resume(job, open_cube)


def test_files_of_a_result_hold_all_of_it_and_tell_strangers_no_folders(tmp_path, wanted):
    host = Host(replace(PUBLIC, quota=0), tmp_path / "results")
    job, attendance = host.jobs.start(wanted, keep=True)
    assert followed(host.jobs, job)[-1].state == "done"
    attendance.end()
    store, folder = host.jobs.results.store(job), str(Path(demo_path().cubes[0]).parent)
    whole = xr.open_zarr(store)
    assert folder in json.dumps(whole.attrs)
    for suffix in FORMATS:
        content = b"".join(pieces_of(host, job, suffix))
        assert folder.encode() not in content
        (tmp_path / f"area.{suffix}").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "area.zip") as archive:
        assert archive.testzip() is None
        for name in (".zattrs", ".zmetadata"):
            assert folder not in archive.read(name).decode()
    with ZipStore(tmp_path / "area.zip", mode="r") as packed:
        xr.testing.assert_equal(xr.open_zarr(packed, consolidated=True).load(), whole.load())
    with xr.open_dataset(tmp_path / "area.nc") as file:
        np.testing.assert_array_equal(file["v"], whole["v"])
    assert not list(store.parent.glob(".itslive-*"))


def test_only_ids_are_looked_for_on_the_disk(tmp_path):
    results = Results(tmp_path / "results")
    assert results.ids() == []
    (tmp_path / "job.json").write_text("{}")
    for name in ("", ".", "..", "../results", "a" * 22 + "/..", "x" * 21, "ä" * 22, "a" * 22):
        with pytest.raises(NoResultError):
            results.record(name)
    (tmp_path / "results" / ("a" * 22)).mkdir(parents=True)
    (tmp_path / "results" / ("a" * 22) / "job.json").write_text('{"form": 1}')
    with pytest.raises(NoResultError, match="cannot be read"):
        results.record("a" * 22)
    results.delete("a" * 22)
    assert results.ids() == []


def test_results_go_by_age_and_to_make_room_the_oldest_first(tmp_path, wanted):
    from itslive_core.jobs.size import BlockPlace, JobSize

    size = JobSize("{}", 10, {"0:0:0": BlockPlace(0, 1, 0, 1, 1000)})
    results = Results(tmp_path, quota=10**9, days=2.0)
    made = [results.create(str(number), size, keep=True).id for number in range(4)]
    old = time.time() - 7200.0
    for number, job in enumerate(made):
        (results.place(job) / "area.zarr").mkdir()
        (results.store(job) / "chunk").write_bytes(bytes(1_000_000))
        for name in ("job.json",):
            os.utime(results.place(job) / name, (old + number, old + number))
    os.utime(results.place(made[3]) / "job.json", (old - 200_000, old - 200_000))
    results.make_room(0)
    assert results.ids() == [made[2], made[1], made[0]]  # one was too old
    results.quota = 3_500_000
    held = results.lock(made[0])  # somebody works on it
    results.make_room(1_400_000)
    assert results.ids() == [made[2], made[0]]
    held.release()
    results.note_end(made[0], End("done"))  # just now: somebody may be fetching it
    results.note_end(made[2], End("done"))
    with pytest.raises(OutputError, match="come back later"):
        results.make_room(1_600_000)
    with pytest.raises(OutputError, match="may take 4 MB"):
        results.make_room(10**10)
    assert results.ids() == [made[2], made[0]]


def test_a_job_holds_nothing_of_those_who_look_on(host, wanted, gate):
    class Session:
        def __init__(self):
            self.job, self.attendance = host.jobs.start(wanted, keep=True, known=self.knows)
            self.events = host.jobs.follow(self.job, self.closed)
            next(self.events)

        def knows(self, _job):
            return False

        def closed(self):
            return False

    session = Session()
    job, gone = session.job, weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None
    gate.release(1000)
    assert followed(host.jobs, job)[-1].state == "done"


def test_the_end_of_the_server_stops_jobs_and_leaves_them_to_be_resumed(host, wanted, gate):
    job, _attendance = host.jobs.start(wanted, keep=True)
    gate.release(2)
    until(lambda: len(host.jobs.results.finished(job)) == 2)
    host.stop()
    host.jobs.wait(seconds(10))
    assert host.jobs.working == 0
    assert host.jobs.standing(job).state == "stopped"
