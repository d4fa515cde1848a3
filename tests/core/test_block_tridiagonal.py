"""The batched solver must be the band solver, on torch's CPU device as on any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from itslive_core.errors import SettingsError
from itslive_core.solvers.banded import BandedSolver
from itslive_core.solvers.base import (
    FAILED,
    NO_FREEDOM,
    SOLVED,
    TOO_FEW,
    BatchResult,
    PixelBatch,
    SolveOptions,
)
from itslive_core.solvers.block_tridiagonal import BlockTridiagonalSolver
from itslive_core.time_grid import TimeGrid
from tests.simulate import network

torch = pytest.importorskip("torch")


def make_batch(
    seed: int, interval: float, *, pixels: int = 5, n: int = 160, wild: float = 0.05
) -> PixelBatch:
    """Simulate pixels that see different years of the same pairs, with outliers; one has a gap."""
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, length=900, longest=150)
    end[:5], start[:5] = end[5:10], start[5:10]
    start[10:14] = np.floor(start[10:14] / interval) * interval + 0.1 * interval
    end[10:14] = start[10:14] + 0.3 * interval  # inside a cell
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    mean = op.apply(200 + 80 * np.sin(op.grid.centres / 58))
    sigma = 300 / (end - start) + 2
    parts = [np.flatnonzero(rng.random(n) < 0.8) for _ in range(pixels)]
    parts[1] = parts[1][(end[parts[1]] < 17_350) | (start[parts[1]] > 17_500)]
    parts[2] = parts[2][(start[parts[2]] > 17_200) & (end[parts[2]] < 17_700)]
    parts[3] = parts[3][end[parts[3]] - start[parts[3]] < 60]
    pair = np.concatenate(parts).astype(np.int32)
    vx = mean[pair] + sigma[pair] * rng.normal(size=len(pair))
    vy = 0.5 * mean[pair] + sigma[pair] * rng.normal(size=len(pair))
    bad = rng.random(len(pair)) < wild
    vx[bad] += rng.normal(0, 2000, bad.sum())
    weights = np.concatenate([1 / sigma[p] ** 2 / np.mean(1 / sigma[p] ** 2) for p in parts])
    span_id = np.unique(np.stack([start, end]), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum([len(p) for p in parts])))
    return PixelBatch(op, span_id, offsets, pair, vx, vy, weights)


def assert_same(found: BatchResult, expected: BatchResult, tolerance: float = 1e-9) -> None:
    scale = np.nanmax(np.abs(expected.values))
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.passes, expected.passes)
    np.testing.assert_array_equal(found.count, expected.count)
    np.testing.assert_array_equal(found.covered, expected.covered)
    np.testing.assert_allclose(found.smoothing, expected.smoothing, rtol=1e-12)
    np.testing.assert_allclose(found.freedom, expected.freedom, rtol=tolerance)
    np.testing.assert_allclose(found.robust_weights, expected.robust_weights, atol=tolerance)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(found.std, expected.std, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("interval", [5.0, 12.0, 48.0])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("smoothing", [30.0, "evidence", "gcv"])
def test_equals_the_band_solver(interval: float, order: int, robust: bool, smoothing: float | str) -> None:
    batch = make_batch(3, interval)
    options = SolveOptions(order, smoothing, robust, uncertainty=True)  # type: ignore[arg-type]
    expected = BandedSolver().solve(batch, options)
    found = BlockTridiagonalSolver("cpu").solve(batch, options)
    assert np.isin(expected.status, (SOLVED, NO_FREEDOM)).all()
    assert_same(found, expected)
    assert (found.passes > 0).all() if robust else (found.passes == 0).all()


@pytest.mark.parametrize("smoothing", [1e4, 1e8])
def test_stiff_solutions_are_refined(smoothing: float) -> None:
    """Under a stiff penalty trace(D'D N^-1) is lost to rounding in either solver, the series is not."""
    batch = make_batch(4, 12.0, n=60)
    options = SolveOptions(2, smoothing, robust=True, uncertainty=True)
    expected = BandedSolver().solve(batch, options)
    found = BlockTridiagonalSolver("cpu").solve(batch, options)
    np.testing.assert_array_equal(found.passes, expected.passes)
    scale = np.nanmax(np.abs(expected.values))
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(found.freedom, expected.freedom, atol=1e-9 if smoothing < 1e5 else 0.2)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-9 if smoothing < 1e5 else 5e-3)


def test_pixels_that_cannot_be_estimated_keep_the_others_going() -> None:
    batch = make_batch(7, 12.0, pixels=4)
    few = batch.offsets[1] + 3
    batch = replace(batch, offsets=np.array([0, batch.offsets[1], few, few, len(batch.pair)]))
    options = SolveOptions(2, 30.0, robust=True, uncertainty=True)
    found = BlockTridiagonalSolver("cpu").solve(batch, options)
    assert found.status.tolist() == [SOLVED, TOO_FEW, TOO_FEW, SOLVED]
    assert_same(found, BandedSolver().solve(batch, options))
    weights = batch.weights.copy()
    weights[: batch.offsets[1]] = np.nan
    broken = replace(batch, weights=weights)
    found = BlockTridiagonalSolver("cpu").solve(broken, options)
    assert found.status.tolist() == [FAILED, TOO_FEW, TOO_FEW, SOLVED]
    expected = BandedSolver().solve(broken, options)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.values[3], expected.values[3], rtol=1e-9)


def test_no_residuals_mean_no_error_bars() -> None:
    grid = TimeGrid(12.0, 1500, 6)
    start, end = grid.edges[:-1], grid.edges[1:]
    batch = PixelBatch(
        grid.operator(start, end), np.arange(6, dtype=np.int32), np.array([0, 6]),
        np.arange(6, dtype=np.int32), np.zeros(6), np.zeros(6), np.ones(6),
    )  # fmt: skip
    result = BlockTridiagonalSolver("cpu").solve(batch, SolveOptions(1, 1.0, robust=True, uncertainty=True))
    assert result.status[0] == NO_FREEDOM
    assert np.isnan(result.std).all()
    assert (result.values == 0).all()
    assert (result.robust_weights == 1).all()


def test_a_pixel_of_one_cell() -> None:
    grid = TimeGrid(400.0, 40, 3)
    start = 16_410.0 + np.arange(6.0)
    batch = PixelBatch(
        grid.operator(start, start + 50), np.arange(6, dtype=np.int32), np.array([0, 6]),
        np.arange(6, dtype=np.int32), 100 + np.arange(6.0), np.arange(6.0), np.ones(6),
    )  # fmt: skip
    for smoothing in (10.0, "evidence"):
        options = SolveOptions(2, smoothing, robust=True, uncertainty=True)  # type: ignore[arg-type]
        assert_same(BlockTridiagonalSolver("cpu").solve(batch, options), BandedSolver().solve(batch, options))


def test_batches_fit_into_memory_and_shrink_when_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with room for two pixels, which it does not tell."""
    from itslive_core.solvers import block_tridiagonal

    batch = make_batch(8, 12.0, pixels=7)
    options = SolveOptions(2, 30.0, robust=True, uncertainty=True)
    expected = BandedSolver().solve(batch, options)
    sizes: list[int] = []
    real = block_tridiagonal.BlockCholesky.of.__func__

    def full(limit: int):
        def of(cls, band):
            sizes.append(len(band))
            if len(band) > limit:
                raise torch.cuda.OutOfMemoryError("out of memory")
            return real(cls, band)

        return classmethod(of)

    monkeypatch.setattr(block_tridiagonal.BlockCholesky, "of", full(2))
    assert_same(BlockTridiagonalSolver("cpu").solve(batch, options), expected)
    assert max(sizes) == 7
    assert sizes.count(7) == 1
    sizes.clear()
    one = BlockTridiagonalSolver("cpu", memory=1).solve(batch, options)
    assert set(sizes) == {1}
    assert_same(one, expected)
    monkeypatch.setattr(block_tridiagonal.BlockCholesky, "of", full(0))
    with pytest.raises(SettingsError, match=r"one pixel needs about .* choose a longer interval"):
        BlockTridiagonalSolver("cpu").solve(batch, options)


def test_what_it_cannot_learn_it_refuses() -> None:
    batch = make_batch(9, 12.0, pixels=4, n=40)
    with pytest.raises(ValueError, match="learns no noise"):
        BlockTridiagonalSolver("cpu").solve(batch, SolveOptions(2, "auto", robust=True, uncertainty=False))
