"""How the command line goes through the blocks of an area: progress, failures, interruption, clusters.

The work itself is replaced by a few lines here; `test_cli.py` does it in earnest.
"""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

import itslive_core
from itslive_core.cli import reporting, run
from itslive_core.cli.reporting import Reporter
from itslive_core.demo import demo_path

BOX = ["--bbox", "-50.13", "69.31", "-50.12", "69.3135"]


@dataclass(frozen=True)
class Result:
    done: int
    total: int
    n_pixels: int = 9
    n_solved: int = 9
    error: str | None = None
    preview: bool = False


class Work:
    """Stands in for `run_glacier`: yields what it is told to, and remembers how it was called."""

    def __init__(self, *results: Result, interrupt_after: int | None = None) -> None:
        self.results = results
        self.interrupt_after = interrupt_after
        self.options: dict = {}
        self.answer: int | None = None

    def __call__(self, cubes, outline, settings, store, **options):
        self.options = options | {"cubes": cubes, "outline": outline, "settings": settings, "store": store}
        if options["executor"] is not None:
            self.answer = options["executor"].submit(pow, 2, 5).result()
        for result in self.results:
            if options["should_stop"]():
                return
            yield result
            if result.done == self.interrupt_after:
                os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def invert(tmp_path, monkeypatch):
    """Run `itslive invert` on a box of the demo with work that is put on."""
    monkeypatch.chdir(tmp_path)

    def invert(work: Work, *options: str, out: str = "out.zarr") -> int:
        monkeypatch.setattr(itslive_core, "run_glacier", work, raising=False)
        return run(["invert", str(demo_path().cubes[0]), *BOX, "-o", out, *options])

    return invert


def test_progress_is_lines_where_there_is_no_terminal(invert, capfd, monkeypatch):
    monkeypatch.setattr(reporting, "_SECONDS_BETWEEN_LINES", 0.0)
    work = Work(*(Result(n, 4) for n in range(1, 5)))
    assert invert(work) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("1 of 4 blocks, ")
    assert lines[3] == "4 of 4 blocks, 00:00 left"
    assert lines[-1] == "36 pixels solved in 4 blocks; wrote out.zarr"
    assert work.options["store"] == Path("out.zarr")
    assert work.options["bbox"] == (-50.13, 69.31, -50.12, 69.3135)
    assert work.options["outline"] is None


def test_pixels_that_are_not_coupled_yet_are_counted_apart(invert, capfd, monkeypatch):
    monkeypatch.setattr(reporting, "_SECONDS_BETWEEN_LINES", 0.0)
    work = Work(*(Result(n, 2, preview=preview) for preview in (True, False) for n in (1, 2)))
    assert invert(work) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("1 of 2 blocks before neighbours are coupled, ")
    assert lines[1] == "2 of 2 blocks before neighbours are coupled, 00:00 left"
    assert lines[3] == "2 of 2 blocks, 00:00 left"
    assert lines[-1] == "18 pixels solved in 2 blocks; wrote out.zarr"


def test_progress_is_a_bar_on_a_terminal(capfd, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Reporter(quiet=False).blocks() as progress:
        progress.update(2, 4)
        progress.update(4, 4)
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert "4/4" in stderr


def test_workers_are_passed_on(invert):
    work = Work(Result(1, 1))
    assert invert(work, "--workers", "3", "--quiet") == 0
    assert work.options["workers"] == 3
    assert work.options["executor"] is None


def test_some_failed_blocks_are_named_and_give_code_3(invert, capfd):
    failed = Result(2, 3, n_solved=0, error="rows 0-9, columns 10-19: chunk 3 is damaged")
    assert invert(Work(Result(1, 3), failed, Result(3, 3)), "--quiet") == 3
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert stderr == "Error: 1 of 3 blocks failed: rows 0-9, columns 10-19: chunk 3 is damaged\n"


def test_all_failed_blocks_are_a_failure(invert, capfd):
    assert invert(Work(Result(1, 1, n_solved=0, error="the disk is full")), "--quiet") == 1
    assert "all 1 blocks failed, the first because: the disk is full" in capfd.readouterr().err


def test_an_area_without_a_solution_is_a_failure(invert, capfd):
    assert invert(Work(Result(1, 1, n_solved=0)), "--quiet") == 1
    assert "no pixel of the area has enough image pairs" in capfd.readouterr().err


def test_a_store_that_is_complete_needs_no_work(invert, capfd):
    assert invert(Work()) == 0
    assert "out.zarr" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("out", "words"), [("out.zarr", "out.zarr keeps what is done"), ("out.tif", "nothing is kept")]
)
def test_the_first_interrupt_ends_in_order(invert, capfd, tmp_path, out, words):
    before = signal.getsignal(signal.SIGINT)
    assert (
        invert(Work(Result(1, 3), Result(2, 3), Result(3, 3), interrupt_after=1), "--quiet", out=out) == 130
    )
    stderr = capfd.readouterr().err
    assert stderr.startswith("Error: interrupted; ")
    assert words in stderr
    assert signal.getsignal(signal.SIGINT) is before
    assert not list(tmp_path.iterdir())


def test_the_second_interrupt_ends_at_once(capfd, monkeypatch):
    with reporting.stop_on_interrupt(Reporter(quiet=True)) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # the same one, twice
        assert stop.is_set()
        monkeypatch.setattr(reporting, "_SECONDS_BETWEEN_PRESSES", -1.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_cluster_gives_its_executor(invert, monkeypatch):
    class Client:
        def __init__(self, *address, **options):
            self.given = address, options
            made.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.closed = True

        def get_executor(self):
            return self

        def submit(self, function, *arguments):
            future = Future()
            future.set_result(function(*arguments))
            return future

    made: list[Client] = []
    monkeypatch.setattr("distributed.Client", Client)
    work = Work(Result(1, 1))
    assert invert(work, "--dask", "tcp://10.0.0.1:8786", "--quiet") == 0
    assert work.answer == 32
    assert made[0].given[0] == ("tcp://10.0.0.1:8786",)
    assert made[0].closed
    assert invert(work, "--dask", "local", "--workers", "2", "--quiet") == 0
    assert made[1].given[1]["n_workers"] == 2
    assert not any(client.given[1]["set_as_default"] for client in made)
