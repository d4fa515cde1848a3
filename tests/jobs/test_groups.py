"""Groups of blocks: the same results as block by block, in fewer and larger pieces."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import InversionSettings, PairSelection
from itslive_core.demo import demo_path
from itslive_core.errors import ItsliveError
from itslive_core.inversion import prepare
from itslive_core.inversion.prepare import filter_block, pixels_at_once, solve_blocks
from itslive_core.inversion.torch.block_tridiagonal import BlockTridiagonalSolver
from itslive_core.jobs.coupling import CoupledBlocks, apply_choice
from itslive_core.jobs.cube_work import CubeWork
from itslive_core.jobs.tasks import BlockTask, group_tasks
from itslive_core.neighbours.patches import fit_blocks
from itslive_core.observations.blocks import Block
from itslive_core.observations.time_grid import TimeGrid
from tests.coupled_area import SimulatedArea, solve
from tests.waiting import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from itslive_core.jobs.glacier import BlockResult

PLAIN = InversionSettings(smoothing=100.0, interval=48.0, outliers="none")
RECENT = PairSelection(start="2022")
BOX = (-50.135, 69.31, -50.095, 69.323)


def jobs(settings: InversionSettings, **options: object) -> dict[str, BlockResult]:
    cube = itslive.open_cube(demo_path().cubes[0])
    found = itslive.run_glacier(cube, None, settings, selection=RECENT, bbox=BOX, **options)  # type: ignore[arg-type]
    return {result.name: result for result in found}


def assert_same(found: dict[str, BlockResult], expected: dict[str, BlockResult], tolerance: float) -> None:
    assert set(found) == set(expected)
    assert len(expected) > 2
    for name, result in expected.items():
        assert found[name].error is None
        assert found[name].n_solved == result.n_solved
        for variable, values in result.arrays.items():
            np.testing.assert_allclose(
                found[name].arrays[variable], values, rtol=tolerance, atol=tolerance, err_msg=variable
            )


def test_squares_hold_every_block_once() -> None:
    blocks = [Block(r, min(r + 10, 47), c, c + 10) for r in range(10, 47, 10) for c in range(20, 80, 10)]
    tasks = [BlockTask(0, b, np.ones(b.shape, dtype=bool), 0, 0) for b in blocks]
    for side, groups in ((1, 24), (10, 24), (19, 24), (20, 6), (35, 4), (1000, 1)):
        found = group_tasks(tasks, side)
        assert len(found) == groups
        assert sorted(t.name for g in found for t in g) == sorted(t.name for t in tasks)
        for group in found:
            assert max(t.block.col1 for t in group) - min(t.block.col0 for t in group) <= max(side, 10)
    assert group_tasks([], 10) == []


@pytest.mark.parametrize("settings", [PLAIN, InversionSettings(interval=96.0, outliers="none")])
def test_blocks_solved_together_are_those_solved_alone(settings: InversionSettings) -> None:
    area = SimulatedArea((5, 15))
    area.seen[2, 7] = False
    blocks, shared, _ = area.prepare(settings)
    used = [filter_block(area.read_block(task.block), shared, settings) for task in blocks.tasks]
    together = solve_blocks(shared, used, settings)
    for own, found in zip(used, together, strict=True):
        [expected] = solve_blocks(shared, [own], settings)
        for name in ("values", "std", "count", "covered", "smoothing", "status", "robust_weights"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)
        assert (found.learnt is None) == (expected.learnt is None)
        if found.learnt is not None and expected.learnt is not None:
            for name in ("credit", "sigma", "scale", "offset", "profile"):
                ours, theirs = getattr(found.learnt, name), getattr(expected.learnt, name)
                np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pretend that there is a GPU that always pays; gives the pixels of each batch it gets."""
    pytest.importorskip("torch")
    batches: list[int] = []
    real = BlockTridiagonalSolver.solve

    def solve(self: BlockTridiagonalSolver, batch, options):  # type: ignore[no-untyped-def]
        batches.append(batch.n_pixels)
        return real(self, batch, options)

    def pick(device: str, pixels: int, work: float) -> str:
        assert pixels > 0
        assert work > 0.0
        return "cpu" if device == "cpu" else "cuda"

    monkeypatch.setattr(prepare, "BlockTridiagonalSolver", lambda: BlockTridiagonalSolver("cpu"))
    monkeypatch.setattr(prepare, "pick_device", pick)
    monkeypatch.setattr("itslive_core.neighbours.patches.pick_device", pick)
    monkeypatch.setattr(BlockTridiagonalSolver, "solve", solve)
    return batches


def test_small_chunks_fill_a_gpu_together(gpu: list[int]) -> None:
    expected = jobs(replace(PLAIN, device="cpu"))
    assert not gpu
    found = jobs(replace(PLAIN, device="auto"))
    assert_same(found, expected, 1e-5)
    assert len(gpu) == 1
    assert sum(result.n_pixels for result in found.values()) > 100


def test_what_is_learnt_stays_on_the_cpu_block_by_block(gpu: list[int]) -> None:
    learning = replace(PLAIN, smoothing="auto")
    _, shared, _ = SimulatedArea((5, 5)).prepare(PLAIN)
    assert pixels_at_once(shared, learning) == 1
    assert pixels_at_once(shared, PLAIN) == 1024
    assert pixels_at_once(shared, replace(PLAIN, device="cpu")) == 1


def test_coupled_pixels_on_a_gpu(gpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from itslive_core.neighbours.torch_coupled import TorchCoupledPixels

    solved: list[float] = []

    def on_cpu(pixels):  # type: ignore[no-untyped-def]
        solved.append(len(pixels.layout.size))
        return TorchCoupledPixels(pixels, "cpu")

    monkeypatch.setattr("itslive_core.neighbours.patches.TorchCoupledPixels", on_cpu)
    coupled = replace(PLAIN, spatial_smoothing=0.1)
    expected = jobs(replace(coupled, device="cpu"))
    assert not solved
    found = jobs(coupled)
    assert_same(found, expected, 1e-4)
    assert solved == [sum(result.n_solved for result in found.values())]
    assert len(gpu) <= 3  # blocks to learn the noise from, and the rest at once


def test_groups_of_any_size_join_without_seams() -> None:
    area = SimulatedArea((10, 60), seed=3)
    settings = InversionSettings(
        smoothing=300.0, interval=48.0, robust=False, outliers="none", spatial_smoothing=0.03
    )
    results, moved = {}, 0.0
    for side in (5, 15, 60):
        blocks, shared, mask = area.prepare(settings)
        blocks.mu = 0.03
        for group in group_tasks(blocks.tasks, side):
            for task, (result, alone) in zip(group, solve(blocks, group, shared, mask), strict=True):
                results[side, task.name] = result
                moved = max(moved, float(np.nanmax(np.abs(result.values - alone.result.values) / result.std)))
    assert moved > 0.1  # ten times what a seam may be
    for (_, name), result in results.items():
        whole = results[60, name]
        assert np.nanmax(np.abs(result.values - whole.values) / whole.std) < 0.01
        np.testing.assert_allclose(result.std, whole.std, rtol=0.01)


def test_groups_are_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, shared, _ = SimulatedArea((10, 30)).prepare(replace(PLAIN, spatial_smoothing=0.1))
    blocks.mu = 0.1
    one = blocks._bytes_of_pixel(shared)
    assert one > 8.0 * shared.grid.size * shared.operator.bandwidth
    assert blocks.group_side(shared, whole=True) > 30
    assert blocks.group_side(shared, whole=False) == 32
    monkeypatch.setattr("itslive_core.jobs.coupling._GROUP_MEMORY", 300 * one)
    assert blocks.group_side(shared, whole=True) > 30  # all of it
    monkeypatch.setattr("itslive_core.jobs.coupling._GROUP_MEMORY", 299 * one)
    assert blocks.group_side(shared, whole=True) == 1
    monkeypatch.setattr("itslive_core.jobs.coupling.halo_for", lambda mu: 4)
    assert blocks.group_side(shared, whole=True) == 17 - 8
    blocks.mu = 0.0
    assert blocks.group_side(shared, whole=True) == 1


def test_one_block_of_a_group_may_fail(gpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = jobs(replace(PLAIN, device="cpu"))
    bad = sorted(expected)[1]
    row, col = map(int, bad.split(":")[1:])
    real = itslive.Datacube.read_block

    def read(self: itslive.Datacube, block: Block, **options: bool) -> object:
        if (block.row0, block.col0) == (row, col):
            raise ItsliveError("this chunk is damaged")
        return real(self, block, **options)

    monkeypatch.setattr(itslive.Datacube, "read_block", read)
    found = jobs(PLAIN)
    assert "this chunk is damaged" in str(found[bad].error)
    assert_same(
        {k: v for k, v in found.items() if k != bad}, {k: v for k, v in expected.items() if k != bad}, 1e-5
    )
    assert len(gpu) == 1


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_one_block_of_a_coupled_glacier_may_fail(
    gpu: list[int], monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    from itslive_core.neighbours.torch_coupled import TorchCoupledPixels

    monkeypatch.setattr(
        "itslive_core.neighbours.patches.TorchCoupledPixels", lambda px: TorchCoupledPixels(px, "cpu")
    )
    coupled = replace(PLAIN, spatial_smoothing=0.03, device=device)
    every = jobs(coupled)
    bad = sorted(every)[1]
    row, col = map(int, bad.split(":")[1:])
    real = itslive.Datacube.read_block
    tries: list[Block] = []

    def read(self: itslive.Datacube, block: Block, **options: bool) -> object:
        if (block.row0, block.col0) == (row, col):
            tries.append(block)
            raise ItsliveError("this chunk is damaged")
        return real(self, block, **options)

    monkeypatch.setattr(itslive.Datacube, "read_block", read)
    found = jobs(coupled)
    assert "this chunk is damaged" in str(found.pop(bad).error)
    assert [result.error for result in found.values()] == [None] * (len(every) - 1)
    assert len(tries) <= 2  # to choose on, and in its turn


def test_a_block_that_could_not_be_read_for_others_has_its_own_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    coupled = replace(PLAIN, spatial_smoothing=0.03)
    every = jobs(coupled)
    bad = sorted(every)[-1]
    real = CoupledBlocks.fit
    failed: list[str] = []

    def fit(self, tasks, *given):  # type: ignore[no-untyped-def]
        if not failed and [task.name for task in tasks] == [bad]:
            failed.append(bad)
            raise ItsliveError("the connection broke off")
        return real(self, tasks, *given)

    monkeypatch.setattr(CoupledBlocks, "fit", fit)
    monkeypatch.setattr(CoupledBlocks, "group_side", lambda *_, **__: 1)
    monkeypatch.setattr("itslive_core.jobs.coupling._samples", lambda tasks: tasks[:1])
    found = jobs(coupled, workers=1)
    assert failed
    assert [result.error for result in found.values()] == [None] * len(every)
    assert found[bad].n_solved == every[bad].n_solved


def test_a_group_that_cannot_be_coupled_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ItsliveError("spatial smoothing 3 did not converge")

    monkeypatch.setattr("itslive_core.jobs.coupling.couple", fail)
    found = jobs(replace(PLAIN, spatial_smoothing=3.0))
    assert all("did not converge" in str(result.error) for result in found.values())


def test_estimates_that_are_forgotten_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[Block] = []
    real = fit_blocks

    def fit(blocks, *given):  # type: ignore[no-untyped-def]
        fitted.extend(pixels.block for pixels in blocks)
        return real(blocks, *given)

    monkeypatch.setattr("itslive_core.jobs.coupling.fit_blocks", fit)
    monkeypatch.setattr("itslive_core.jobs.coupling._KEPT", 1.0)
    coupled = replace(PLAIN, spatial_smoothing=0.03)
    found = jobs(coupled)
    assert len(found) <= len(fitted) <= len(found) + 3  # once each, and those to learn the noise from


@pytest.mark.parametrize("mu", [0.0, 0.03])
def test_all_threads_work(monkeypatch: pytest.MonkeyPatch, mu: float) -> None:
    """Also where the pairs that were held out say that neighbours do not help."""
    together, most = threading.Barrier(2), []

    def fit(blocks, *given):  # type: ignore[no-untyped-def]
        if threading.current_thread() is not threading.main_thread() and not most:
            together.wait(seconds(20))  # two of them meet, or it breaks
            most.append(2)
        return fit_blocks(blocks, *given)

    def choose(blocks, *_):  # type: ignore[no-untyped-def]
        found = {"spatial_smoothing_used": mu, "spatial_noise_correlation": 0.0}
        apply_choice(blocks, found)
        return found

    monkeypatch.setattr("itslive_core.jobs.coupling.fit_blocks", fit)
    monkeypatch.setattr("itslive_core.jobs.glacier.choose_for_job", choose)
    found = jobs(replace(PLAIN, spatial_smoothing="auto"), workers=2)
    assert all(result.error is None for result in found.values())
    assert most


def test_a_group_is_given_up_when_the_job_is_to_stop() -> None:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 4

    coupled = replace(PLAIN, spatial_smoothing=0.03)
    assert jobs(coupled, should_stop=stop, workers=2) == {}
    assert len(asked) < 15


def test_a_job_that_is_to_stop_at_once_does() -> None:
    coupled = replace(PLAIN, spatial_smoothing=0.03)
    assert jobs(coupled, should_stop=lambda: True) == {}


def test_who_stops_to_look_does_not_wait_for_the_group() -> None:
    cube = itslive.open_cube(demo_path().cubes[0])
    coupled = replace(PLAIN, spatial_smoothing=0.03)
    read: list[Block] = []
    real = CubeWork._alone

    def alone(self, coupled, task, *given):  # type: ignore[no-untyped-def]
        read.append(task.block)
        time.sleep(seconds(0.1))  # blocks take longer than it takes to stop
        return real(self, coupled, task, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CubeWork, "_alone", alone)
        job = itslive.run_glacier(cube, None, coupled, selection=RECENT, bbox=BOX, workers=1, previews=True)
        assert next(job).preview
        job.close()  # type: ignore[attr-defined]
    assert len(read) < 4


def test_blocks_can_be_seen_before_they_are_coupled() -> None:
    cube = itslive.open_cube(demo_path().cubes[0])
    coupled = replace(PLAIN, spatial_smoothing=0.1)
    options = {"selection": RECENT, "bbox": BOX, "workers": 2}
    every = list(itslive.run_glacier(cube, None, coupled, previews=True, **options))
    early, late = ([r for r in every if r.preview == preview] for preview in (True, False))
    assert len(early) == len(late) == early[0].total
    assert [r.done for r in early] == [r.done for r in late] == list(range(1, len(late) + 1))
    assert all(r.preview for r in every[: len(early)])
    for result in late:
        shown = next(r for r in early if r.name == result.name)
        np.testing.assert_array_equal(shown.arrays["vx"], result.before["vx"])
        assert shown.dataset is not None
    assert not any(r.preview for r in itslive.run_glacier(cube, None, PLAIN, previews=True, **options))


def test_coupled_work_can_go_elsewhere() -> None:
    coupled = replace(PLAIN, spatial_smoothing=0.03)
    with ThreadPoolExecutor(2) as pool:
        assert_same(jobs(coupled, executor=pool), jobs(coupled), 0.02)
    cube = itslive.open_cube(demo_path().cubes[0])
    grid = TimeGrid.covering(np.array([19_000.0]), np.array([19_400.0]), 48.0)
    work = CubeWork(cube, RECENT, grid, coupled, season=False)
    work.share(2)
    work.should_stop = lambda: False
    copy = pickle.loads(pickle.dumps(work))
    assert copy.should_stop is None
    assert copy.cube.url == cube.url


def test_all_of_a_group_are_written_before_the_first_is_given(tmp_path: object) -> None:
    cube = itslive.open_cube(demo_path().cubes[0])
    coupled = replace(PLAIN, spatial_smoothing=0.03)
    store = f"{tmp_path}/out.zarr"

    def run() -> Iterator[BlockResult]:
        return itslive.run_glacier(cube, None, coupled, store, selection=RECENT, bbox=BOX)

    job = run()
    assert next(job).done == 1
    job.close()  # type: ignore[attr-defined]
    assert list(run()) == []
