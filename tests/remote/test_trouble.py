"""Servers that fail: what passes is waited for, what does not is said clearly and soon."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import itslive_core as itslive
from itslive_core.cubes import files
from itslive_core.errors import CubeError
from tests.reading import assert_pixel, assert_reads
from tests.remote.servers import BUCKET, LocalServer, closed_port, folder

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "production.zarr"
FRAGILE = (".zmetadata", "vx/0.0.0", "acquisition_date_img1/0")


def first_times(number: int, trouble):
    """Fail the first times that a file is asked for, and never again."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def decide(path: str):
        if not path.endswith(FRAGILE):
            return None
        with lock:
            seen[path] += 1
            return trouble if seen[path] <= number else None

    return decide


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses [s] that were made between attempts."""
    made: list[float] = []
    monkeypatch.setattr(files, "time", SimpleNamespace(monotonic=time.monotonic, sleep=made.append))
    return made


def show(remote, truths) -> None:
    truth = truths[NAME]
    assert_pixel(remote.open(NAME).pairs_at(x=truth.x[0], y=truth.y[0]), truth, 0, 0)


@pytest.mark.parametrize("trouble", [503, "reset", "cut"])
def test_a_server_that_fails_twice_is_asked_again(remote, truths, trouble, pauses):
    with remote.server.counting() as requests, remote.server.failing(first_times(2, trouble)):
        show(remote, truths)
    # s3fs and aiohttp may have asked once more on their own.
    assert all(
        Counter(r.path for r in requests)[f] >= 3
        for f in {r.path for r in requests if r.path.endswith(FRAGILE)}
    )
    assert sum(pauses) < 20


def test_a_slow_down_of_the_whole_server(web, truths):
    waiting = [429, 500, 502]

    def decide(path: str):
        return waiting.pop() if waiting and path.endswith(".zmetadata") else None

    with web.server.failing(decide):
        show(web, truths)
    assert waiting == []


@pytest.mark.parametrize("scheme", ["s3", "http"])
def test_a_dead_server_is_given_up_within_seconds(scheme, pauses):
    address = f"http://127.0.0.1:{closed_port()}"
    options = {"client_kwargs": {"endpoint_url": address}} if scheme == "s3" else None
    url = f"s3://{BUCKET}/{NAME}" if scheme == "s3" else f"{address}/{NAME}"
    with pytest.raises(
        CubeError, match=f"cannot reach {url} .*: check the network and the address"
    ) as caught:
        itslive.open_cube(url, storage_options=options)
    assert 0 < sum(pauses) < 10
    assert "\n" not in str(caught.value)


def test_a_server_that_dies_while_it_is_read(web, truths, pauses):
    truth = truths[NAME]
    cube = web.open(NAME)
    with (
        web.server.failing(lambda _path: "reset"),
        pytest.raises(CubeError, match=r"cannot reach http://.*: check the network"),
    ):
        cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert 0 < sum(pauses) < 20
    # The cube is as good as new once the server is back.
    assert_pixel(cube.pairs_at(x=truth.x[0], y=truth.y[0]), truth, 0, 0)


def test_nothing_there(remote):
    url = remote.url("nothing.zarr")
    with pytest.raises(CubeError, match=f"there is no Zarr datacube at {url}: check the address"):
        remote.open("nothing.zarr")


def test_no_such_bucket(s3):
    with pytest.raises(CubeError, match=r"there is no Zarr datacube at s3://no-such-bucket/x\.zarr"):
        itslive.open_cube("s3://no-such-bucket/x.zarr", storage_options=s3.options)


@pytest.mark.parametrize("where", [".zmetadata", "vx/0.0.0"])
def test_access_denied_is_said_at_once(remote, truths, where):
    truth = truths[NAME]
    with (
        remote.server.counting() as requests,
        remote.server.failing(lambda path: 403 if path.endswith(where) else None),
        pytest.raises(CubeError, match=f"access to {remote.url(NAME)} was denied: check"),
    ):
        remote.open(NAME).pairs_at(x=truth.x[0], y=truth.y[0])
    assert sum(request.status == 403 for request in requests) == 1


def test_a_request_that_makes_no_sense_is_not_repeated(web):
    with (
        web.server.counting() as requests,
        web.server.failing(lambda _path: 400),
        pytest.raises(CubeError, match=r"cannot reach .*400"),
    ):
        web.open(NAME)
    assert len(requests) == 1


def test_a_page_in_the_place_of_a_cube(web, cubes):
    """A portal that answers every address with a page."""
    (cubes[0] / "portal.zarr").mkdir(exist_ok=True)
    (cubes[0] / "portal.zarr" / ".zmetadata").write_text("<html>Sign in</html>")
    with pytest.raises(CubeError, match="is not a readable Zarr datacube"):
        web.open("portal.zarr")


def test_a_chunk_that_is_not_there_is_empty(web, truths):
    truth = truths[NAME]
    with web.server.failing(lambda path: 404 if "/vx/" in path else None):
        pairs = web.open(NAME).pairs_at(x=truth.x[0], y=truth.y[0])
    assert len(pairs) == 0
    assert pairs.history[1].dropped == pairs.history[0].kept > 0


@pytest.mark.parametrize("name", [NAME, "v3.zarr"])
def test_a_chunk_that_the_bucket_lists_and_does_not_give_is_no_empty_one(s3, truths, name):
    truth = truths[name]
    with (
        s3.server.failing(lambda path: 404 if "/vx/" in path and not path.endswith("zarr.json") else None),
        pytest.raises(CubeError, match=r"chunk vx/\S+ of s3://.* is listed in the bucket, but answers 'not"),
    ):
        s3.open(name).pairs_at(x=truth.x[0], y=truth.y[0])


def test_a_chunk_that_the_bucket_does_not_list_is_empty(s3, truths):
    name = "missing-chunks.zarr"
    assert_reads(s3.open(name), truths[name])


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes every connection and never says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["s3", "http"])
def test_a_silent_server_is_given_up_within_the_budget(scheme, silent, pauses):
    options = {"client_kwargs": {"endpoint_url": silent}} if scheme == "s3" else None
    url = f"s3://{BUCKET}/{NAME}" if scheme == "s3" else f"{silent}/{NAME}"
    with pytest.raises(CubeError, match=rf"cannot reach {url} \(.*; it was \.zmetadata\): check the network"):
        itslive.open_cube(url, storage_options=options, patience=0.6)
    assert len(pauses) <= 2


def test_a_silent_chunk_is_named_and_the_rest_goes_on(s3, truths, pauses):
    name = "many-chunks.zarr"
    cube = itslive.open_cube(s3.url(name), storage_options=s3.options, patience=1.5)
    settings = itslive.InversionSettings(smoothing=10.0, interval=48.0, robust=False, outliers="none")
    _ = cube.pair_table
    with s3.server.failing(lambda path: "silent" if path.endswith("vx/3.1.1") else None):
        results = list(itslive.run_glacier(cube, None, settings, whole=True, workers=1))
    errors = [result.error for result in results if result.error]
    assert len(errors) == 1
    assert "it was vx/3.1.1" in errors[0]
    assert len(results) == 6


@pytest.mark.parametrize("words", ["soon", "-1", "0", "nan", "1e9"])
def test_patience_is_a_number_of_seconds(monkeypatch, words, tmp_path):
    monkeypatch.setenv("ITSLIVE_PATIENCE", words)
    with pytest.raises(itslive.errors.SettingsError, match="give a number of seconds"):
        itslive.open_cube(tmp_path)


def test_one_failed_block_leaves_the_others_of_a_glacier(web, truths):
    name = "many-chunks.zarr"
    cube = web.open(name)
    settings = itslive.InversionSettings(smoothing=10.0, interval=48.0, robust=False, outliers="none")
    with web.server.failing(lambda path: 403 if path.endswith("vx/3.1.1") else None):
        results = list(itslive.run_glacier(cube, None, settings, bbox=cube.lonlat_bounds))
    errors = [result.error for result in results if result.error]
    assert len(errors) == 1
    assert "denied" in errors[0]
    assert sum(result.n_solved for result in results) > 0


@pytest.mark.parametrize("answer", [(200, b"<html>sorry</html>"), (403, b"denied")])
def test_servers_that_have_an_answer_for_what_is_not_there(cubes, truths, answer):
    """A web application has a page for every path; a bucket that may not be listed denies what is missing."""
    real = folder(cubes[0])

    def answered(method, path, headers):
        found = real(method, path, headers)
        return found if found[0] != 404 else (answer[0], {"Content-Type": "text/html"}, answer[1])

    with LocalServer(answered) as server:
        for name in ("production.zarr", "v3.zarr"):
            truth = truths[name]
            assert_pixel(
                itslive.open_cube(f"{server.url}/{name}").pairs_at(x=truth.x[3], y=truth.y[4]), truth, 4, 3
            )
        with pytest.raises(CubeError, match=r"are no JSON|was denied"):
            itslive.open_cube(f"{server.url}/nothing.zarr")
