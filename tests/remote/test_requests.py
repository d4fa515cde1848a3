"""How many requests it takes to show a pixel, and that nothing is asked for twice."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import itslive_core as itslive
from itslive_core import InversionSettings
from tests.reading import assert_pixel, assert_reads
from tests.remote.production import NAME
from tests.waiting import seconds

ROOT = Path(__file__).resolve().parents[2]
BUDGET = 15
"""Requests from nothing to the pairs of a pixel of a cube with three chunks in time."""


def array_of(path: str) -> str:
    """Name of the array that a chunk belongs to."""
    return path.partition(".zarr/")[2].partition("/")[0]


def test_one_pixel_costs_at_most_fifteen_requests_and_its_neighbours_none(remote, truths):
    truth = truths[NAME]
    with remote.server.counting() as first:
        cube = remote.open(NAME)
        pairs = cube.pairs_at(x=truth.x[3], y=truth.y[4])
    assert_pixel(pairs, truth, 4, 3)
    assert len(first) <= BUDGET
    assert {request.method for request in first} == {"GET"}
    assert {request.status for request in first} == {200}
    assert not any(request.signed for request in first)
    assert max(Counter(request.path for request in first).values()) == 1

    with remote.server.counting() as second:
        for row in range(10):
            assert_pixel(cube.pairs_at(x=truth.x[9], y=truth.y[row]), truth, row, 9)
    assert second == []

    with remote.server.counting() as other_block:
        assert_pixel(cube.pairs_at(x=truth.x[11], y=truth.y[4]), truth, 4, 11)
    assert Counter(array_of(request.path) for request in other_block) == {"vx": 3, "vy": 3}


def test_what_is_large_and_not_needed_is_never_asked_for(remote, truths):
    with remote.server.counting() as requests:
        cube = remote.open(NAME)
        cube.pairs_at(*cube.lonlat_of(truths[NAME].x[0], truths[NAME].y[0]))
    asked = {array_of(request.path) for request in requests}
    assert asked == {
        ".zmetadata", "x", "y", "vx", "vy", "vx_error", "vy_error",
        "acquisition_date_img1", "acquisition_date_img2", "satellite_img1", "satellite_img2",
    }  # fmt: skip


def test_opening_takes_three_requests(remote):
    with remote.server.counting() as requests:
        cube = remote.open(NAME)
        assert cube.n_pairs == 47_000
    assert Counter(array_of(request.path) for request in requests) == {".zmetadata": 1, "x": 1, "y": 1}


@pytest.mark.parametrize("name", ["v3", "v3-sharded", "v3-not-consolidated", "not-consolidated"])
def test_other_layouts_over_the_network(remote, truths, name):
    truth = truths[f"{name}.zarr"]
    with remote.server.counting() as requests:
        cube = remote.open(f"{name}.zarr")
        assert_pixel(cube.pairs_at(x=truth.x[3], y=truth.y[4]), truth, 4, 3)
    # Without consolidated metadata every array is asked about; the bound keeps that from growing.
    assert len(requests) <= (60 if "not" in name else 20)
    assert {request.method for request in requests} == {"GET"}
    assert_reads(cube, truth)


def test_requests_for_one_pixel_go_out_together(remote, truths):
    """Three rounds to a distant server, however many chunks there are: metadata, axes, all the rest."""
    truth = truths[NAME]
    remote.open(NAME).pairs_at(x=truth.x[0], y=truth.y[0])  # connections and libraries are ready
    with remote.server.delayed(0.4), remote.server.counting() as requests:
        remote.open(NAME).pairs_at(x=truth.x[0], y=truth.y[0])
    waits = np.diff(sorted(request.moment for request in requests))
    assert 2 <= np.count_nonzero(waits > 0.35) <= 3  # one to spare for a busy machine


def test_two_threads_that_want_one_block_read_it_once(remote, truths):
    truth = truths[NAME]
    cube = remote.open(NAME)
    found = {}
    together = threading.Barrier(4)

    def work(col: int) -> None:
        together.wait()
        found[col] = cube.pairs_at(x=truth.x[col], y=truth.y[2])

    threads = [threading.Thread(target=work, args=(col,)) for col in range(4)]
    with remote.server.delayed(0.05), remote.server.counting() as requests:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for col, pairs in found.items():
        assert_pixel(pairs, truth, 2, col)
    assert len(found) == 4
    assert max(Counter(request.path for request in requests).values()) == 1


def test_a_full_cache_forgets_what_was_not_wanted_for_longest(web, truths):
    name = "many-chunks.zarr"
    truth = truths[name]
    size = web.open(name).read_block(web.open(name).blocks()[0]).nbytes
    cube = web.open(name, cache_bytes=2.5 * size)
    places = [(truth.x[0], truth.y[0]), (truth.x[7], truth.y[0]), (truth.x[0], truth.y[5])]

    def cost(place: int) -> int:
        with web.server.counting() as requests:
            cube.pairs_at(x=places[place][0], y=places[place][1])
        return sum(array_of(request.path) in ("vx", "vy") for request in requests)

    chunks = 2 * 7
    assert [cost(place) for place in (0, 1, 0, 2, 0, 1)] == [chunks, chunks, 0, chunks, 0, chunks]


def test_a_cube_on_its_way_to_another_process_keeps_its_options(remote, truths):
    cube = pickle.loads(pickle.dumps(remote.open("production.zarr")))
    assert_reads(cube, truths["production.zarr"])


def test_the_command_line_reads_a_bucket_of_the_environment(s3, truths, tmp_path):
    truth = truths[NAME]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL": s3.server.url, "AWS_EC2_METADATA_DISABLED": "true"}
    where = ["--x", str(truth.x[3]), "--y", str(truth.y[4])]
    command = [sys.executable, "-m", "itslive_core.cli", "pairs", s3.url(NAME), *where, "-o", "pairs.csv"]
    environment["PYTHONPATH"] = str(ROOT)
    with s3.server.counting() as requests:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds(120),
        )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "pairs.csv")
    assert len(table) == len(truth.good_rows(4, 3))
    assert len(requests) <= BUDGET
    assert not any(request.signed for request in requests)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_whole_glacier_reads_every_chunk_once(s3, truths, workers):
    name = "many-chunks.zarr"
    truth = truths[name]
    with s3.server.counting() as requests:
        cube = s3.open(name)
        # The box ends inside the second column of blocks and takes all rows.
        lon, lat = cube.lonlat_of(np.array([truth.x[0], truth.x[9]]), np.array([truth.y[-1], truth.y[0]]))
        box = (lon[0] - 0.001, lat[0] - 0.001, lon[1], lat[1] + 0.001)
        settings = InversionSettings(smoothing=10.0, interval=48.0, robust=False, outliers="none")
        results = list(itslive.run_glacier(cube, None, settings, bbox=box, workers=workers))
    assert [result.error for result in results] == [None] * 6
    assert sum(result.n_solved for result in results) > 0
    chunks = Counter(request.path for request in requests if array_of(request.path) in ("vx", "vy"))
    assert set(chunks.values()) == {1}
    places = {path.rpartition("/")[2].split(".", 1)[1] for path in chunks}
    assert places == {f"{row}.{col}" for row in range(3) for col in range(2)}
    assert len(chunks) == 2 * 7 * 6
    assert max(Counter(request.path for request in requests).values()) == 1


def test_blocks_seen_in_the_overview_cost_nothing_at_a_click(s3, truths):
    name = "many-chunks.zarr"
    truth = truths[name]
    cube = s3.open(name)
    west, south, east, north = cube.lonlat_bounds
    list(itslive.read_glacier(cube, None, bbox=(west, south, east, north)))
    with s3.server.counting() as requests:
        assert_reads(cube, truth)
    assert requests == []


@pytest.mark.parametrize("name", ["one-line-in-many.zarr"])
def test_lines_in_many_chunks_come_in_one_round(remote, truths, name):
    cube = remote.open(name)
    with remote.server.delayed(0.2), remote.server.counting() as requests:
        table = cube.pair_table
    assert len(table) == cube.n_pairs
    assert len(requests) == 6 * 20
    assert max(Counter(request.path for request in requests).values()) == 1
    moments = sorted(request.moment for request in requests)
    # Connections are many, but not one for each chunk: 120 chunks come in four rounds of 32.
    rounds = 1 + sum(later - earlier > 0.1 for earlier, later in pairwise(moments))
    assert rounds <= 4
    assert_reads(cube, truths[name])
