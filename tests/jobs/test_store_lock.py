"""One writer at a time, and nothing left behind: locks of stores, and jobs that are told to end."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.errors import OutputError
from itslive_core.jobs import store_lock
from itslive_core.jobs.scratch import unbroken
from itslive_core.jobs.store_lock import StoreLock
from tests.tiny_cube import write_cube
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
HOLD = """
import sys
from pathlib import Path
from itslive_core.jobs.store_lock import StoreLock
lock = StoreLock.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
ITSLIVE = "from itslive_core.cli import main; main()"
SETTINGS = itslive.InversionSettings(smoothing=30.0, robust=False)


def holder(store: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of a store."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_the_second_is_told_who_is_first(tmp_path):
    store = tmp_path / "out.zarr"
    process = holder(store)
    with pytest.raises(OutputError, match=rf"process {process.pid} on {platform.node()}, since 20"):
        StoreLock.take(store)
    finish(process)
    lock = StoreLock.take(store)
    lock.release()
    lock.release()
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_process_that_was_killed_is_none(tmp_path):
    store = tmp_path / "out.zarr"
    process = holder(store)
    process.kill()
    finish(process)
    assert (tmp_path / ".out.zarr.lock").exists()
    lock = StoreLock.take(store)
    with pytest.raises(OutputError, match=f"process {os.getpid()} on"):
        StoreLock.take(store)
    lock.release()
    assert not list(tmp_path.iterdir())


def test_without_locks_of_the_system_process_and_host_decide(tmp_path, monkeypatch):
    class NoLocks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(*_: object) -> None:
            raise OSError(38, "Function not implemented")

    monkeypatch.setattr(store_lock, "_fcntl", NoLocks)
    path, store = tmp_path / ".out.zarr.lock", tmp_path / "out.zarr"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for text in ("", "{", json.dumps({"pid": gone.pid, "host": platform.node()})):
        path.write_text(text)
        StoreLock.take(store).release()
    for owner in ({"pid": os.getpid(), "host": platform.node()}, {"pid": 1, "host": "elsewhere"}):
        path.write_text(json.dumps(owner))
        with pytest.raises(OutputError, match=f"process {owner['pid']} on {owner['host']}"):
            StoreLock.take(store)
    with pytest.raises(OutputError, match="if that is gone, remove"):
        StoreLock.take(store)


def test_a_job_holds_its_store_while_it_runs(tmp_path):
    cube = itslive.open_cube(write_cube(tmp_path / "cube.zarr", empty=0.0).path)
    out = tmp_path / "out.zarr"
    job = itslive.run_glacier(cube, None, SETTINGS, out, bbox=cube.lonlat_bounds)
    with pytest.raises(OutputError, match=f"process {os.getpid()}"):
        itslive.run_glacier(cube, None, SETTINGS, out, bbox=cube.lonlat_bounds)
    del job  # never begun: the store is free again
    job = itslive.run_glacier(cube, None, SETTINGS, out, bbox=cube.lonlat_bounds)
    next(job)
    with pytest.raises(OutputError, match=f"process {os.getpid()}"):
        itslive.run_glacier(cube, None, SETTINGS, out, bbox=cube.lonlat_bounds)
    job.close()
    assert list(itslive.run_glacier(cube, None, SETTINGS, out, bbox=cube.lonlat_bounds))
    other = itslive.InversionSettings(smoothing=31.0)
    for _ in range(2):  # a refusal keeps nothing locked
        with pytest.raises(OutputError, match="another job"):
            itslive.run_glacier(cube, None, other, out, bbox=cube.lonlat_bounds)
    assert {path.name for path in tmp_path.iterdir()} == {"cube.zarr", "out.zarr"}


def test_many_that_start_at_once_leave_one_good_store(tmp_path):
    cube = itslive.open_cube(write_cube(tmp_path / "cube.zarr", empty=0.0).path)
    west, south, east, north = (f"{value:.6f}" for value in cube.lonlat_bounds)
    command = [sys.executable, "-c", ITSLIVE, "median", "cube.zarr", "--bbox", west, south, east, north]
    told = {"cwd": tmp_path, "env": ENVIRONMENT, "stderr": subprocess.PIPE, "text": True}
    starts = [subprocess.Popen([*command, "-o", "out.zarr"], **told) for _ in range(4)]
    said = [process.communicate()[1] for process in starts]
    for process, words in zip(starts, said, strict=True):
        assert process.returncode == 0 or "is being filled by process" in words
    assert 0 in {process.returncode for process in starts}
    expected = tmp_path / "alone.zarr"
    list(itslive.run_glacier(cube, None, itslive.MovingMedianSettings(), expected, bbox=cube.lonlat_bounds))
    with xr.open_zarr(tmp_path / "out.zarr") as ds, xr.open_zarr(expected) as alone:
        xr.testing.assert_equal(ds.load(), alone.load())
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_must_not_be_broken_off_is_done_before_the_end():
    class EndedError(Exception):
        pass

    def end(*_: object) -> None:
        if not told.is_set():
            told.set()
            raise EndedError

    def work() -> None:
        while not told.is_set():  # a signal that comes just before a thread falls asleep does not wake it
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            told.wait(0.05)
        done.append(True)

    told, done = threading.Event(), []
    before = signal.signal(signal.SIGUSR1, end)
    try:
        with pytest.raises(EndedError):
            unbroken(work)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert done


@pytest.mark.parametrize("name", ["out.nc", "out.zarr", "points.nc"])
def test_nothing_is_left_beside_the_result_of_a_job_that_is_told_to_end(tmp_path, name):
    cube = itslive.open_cube(write_cube(tmp_path / "cube.zarr", rows=40, cols=40, chunks=(4_000, 4, 4)).path)
    command = [sys.executable, "-c", ITSLIVE, "invert", "cube.zarr", "-o", name, "--workers", "1"]
    if name == "points.nc":
        x, y = np.meshgrid(cube.x, cube.y)
        lon, lat = cube.lonlat_of(x.ravel(), y.ravel())
        rows = [f"{a},{b}" for a, b in zip(lon, lat, strict=True)]
        (tmp_path / "places.csv").write_text("\n".join(["lon,lat", *rows]))
        command += ["--points", "places.csv", "--smoothing", "30", "--no-robust", "--outliers", "none"]
    else:
        command += ["--bbox", *(f"{value:.6f}" for value in cube.lonlat_bounds)]
    before = {path.name for path in tmp_path.iterdir()}
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    until(lambda: {path.name for path in tmp_path.iterdir()} != before or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate()
    assert process.returncode == 143
    assert stderr.splitlines()[-1] == "Error: terminated"
    left = {path.name for path in tmp_path.iterdir()} - before
    assert left <= ({name} if name.endswith(".zarr") else set())


@pytest.mark.parametrize("name", ["points.nc", "points.csv", "area.nc", "area.zarr"])
def test_what_was_killed_goes_on(tmp_path, monkeypatch, name):
    """Each block that is left is read once; the file is that of a job that nobody killed."""
    made = write_cube(tmp_path / "cube.zarr", rows=40, cols=40, chunks=(4_000, 4, 4))
    cube = itslive.open_cube(made.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    if name.startswith("points"):
        x, y = np.meshgrid(cube.x[::2], cube.y[::2])
        rows = [f"{a},{b}" for a, b in zip(x.ravel(), y.ravel(), strict=True)]
        Path("places.csv").write_text("\n".join(["x,y", *rows]))
        place = ["--points", "places.csv"]
    else:
        place = ["--whole"]
    command = [
        "invert",
        "cube.zarr",
        *place,
        "--smoothing",
        "30",
        "--no-robust",
        "--workers",
        "1",
        "-q",
        "-o",
    ]
    environment = {**ENVIRONMENT, "ITSLIVE_CACHE": str(tmp_path / "cache")}
    alone = f"alone{Path(name).suffix}"
    assert run([*command, alone]) == 0  # first, so that nobody waits for kernels
    process = subprocess.Popen([sys.executable, "-c", ITSLIVE, *command, name], env=environment)

    def half_done() -> bool:
        inside = (f".itslive-{name}-*/area.zarr", name)
        areas = [one for folder in inside for one in tmp_path.glob(f"{folder}/.itslive_blocks")]
        points = [one.stat().st_size for one in tmp_path.glob("cache/points/*.journal")]
        blocks = [len(one.read_bytes().splitlines()) for one in areas]
        return max([*points, 0]) > 500_000 or max([*blocks, 0]) > 20 or process.poll() is not None

    until(half_done)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    read: list[object] = []
    reader = itslive.Datacube.read_block

    def counting(self: itslive.Datacube, block: object, **options: bool) -> object:
        read.append(block)
        return reader(self, block, **options)

    monkeypatch.setattr(itslive.Datacube, "read_block", counting)
    assert run([*command, name]) == 0
    assert 0 < len(set(read)) == len(read) < len(cube.blocks())
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not [*tmp_path.glob("cache/points/*"), *tmp_path.glob("cache/points/.*")]
    if name.endswith(".csv"):
        assert Path(name).read_bytes() == Path(alone).read_bytes()
        return
    options = {"engine": "zarr"} if name.endswith(".zarr") else {}
    with (
        xr.open_dataset(name, chunks=None, **options) as one,
        xr.open_dataset(alone, chunks=None, **options) as other,
    ):
        xr.testing.assert_equal(one.load(), other.load())
        assert one.attrs["recipe"] == other.attrs["recipe"]
