"""Whole glaciers of a server on a real Dask cluster: the same values, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from dashboard.hosting.host import Host
from dashboard.hosting.job_run import Wanted
from dashboard.hosting.rules import HOME
from dashboard.hosting.standing import Standing
from itslive_core import Glacier, InversionSettings, PairSelection, open_cube
from itslive_core.demo import demo_path
from tests.waiting import seconds, until

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


@pytest.fixture(scope="module")
def alone(wanted, tmp_path_factory) -> xr.Dataset:
    """What threads of this process find."""
    host = Host(HOME, tmp_path_factory.mktemp("alone"))
    return done(host, host.jobs.start(wanted, keep=True)[0])


def done(host: Host, job: str) -> xr.Dataset:
    last = [one for one in host.jobs.follow(job, lambda: False) if isinstance(one, Standing)][-1]
    assert last.state == "done", last.words
    return xr.open_zarr(host.jobs.results.store(job)).load()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def begin(*arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def cluster(port: int, workers: int = 2):
    """A scheduler and workers as processes of their own, as on a real cluster: dies with the block."""
    address = f"tcp://127.0.0.1:{port}"
    processes = [begin("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
    options = ("--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--death-timeout", str(seconds(60)))
    try:
        until(lambda: _listens(port), usual=60, what="the scheduler starts")
        processes += [begin("worker", address, *options) for _ in range(workers)]
        yield address, processes
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(seconds(10))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_values_are_the_same_and_outlive_a_worker_and_the_scheduler(wanted, alone, tmp_path):
    port = free_port()
    host = Host(HOME, tmp_path, f"tcp://127.0.0.1:{port}")
    with cluster(port) as (_, processes):
        job, _kept = host.jobs.start(wanted, keep=True)
        events = host.jobs.follow(job, lambda: False)
        next(one for one in events if isinstance(one, Standing) and one.done)
        processes[1].kill()  # a worker: what it was at is done by the other
        next(one for one in events if isinstance(one, Standing) and one.state != "working")
        np.testing.assert_array_equal(done(host, job).vx, alone.vx)
        host.jobs.delete(job)
        job, _kept = host.jobs.start(wanted, keep=True)
        events = host.jobs.follow(job, lambda: False)
        next(one for one in events if isinstance(one, Standing) and one.done)
        processes[0].kill()
        last = [one for one in events if isinstance(one, Standing)][-1]
        assert last.state == "failed"
        assert last.words
        assert 0 < last.done < last.pixels
    with cluster(port):
        _again = host.jobs.resume(job, host.open_cube)
        found = done(host, job)
    for name in ("vx", "vy", "vx_std", "n_pairs"):
        np.testing.assert_array_equal(found[name], alone[name])


def test_no_cluster_is_said_in_one_sentence(wanted, tmp_path):
    host = Host(HOME, tmp_path, f"tcp://127.0.0.1:{free_port()}")
    job, _kept = host.jobs.start(wanted, keep=True)
    last = [one for one in host.jobs.follow(job, lambda: False) if isinstance(one, Standing)][-1]
    assert last.state == "failed"
    assert "cannot use the Dask cluster" in last.words
