"""The batched solver must be the band solver, on torch's CPU device as on any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from itslive_core.errors import SettingsError
from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.solver import (
    FAILED,
    NO_FREEDOM,
    SOLVED,
    TOO_FEW,
    BatchResult,
    PixelBatch,
    SolveOptions,
)
from itslive_core.inversion.torch.block_tridiagonal import BlockTridiagonalSolver
from itslive_core.observations.time_grid import TimeGrid
from tests.inversion.batches import make_batch

torch = pytest.importorskip("torch")


def assert_same(found: BatchResult, expected: BatchResult, tolerance: float = 1e-9) -> None:
    scale = np.nanmax(np.abs(expected.values))
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.passes, expected.passes)
    np.testing.assert_array_equal(found.count, expected.count)
    np.testing.assert_array_equal(found.covered, expected.covered)
    np.testing.assert_allclose(found.smoothing, expected.smoothing, rtol=1e-12)
    np.testing.assert_allclose(found.edf, expected.edf, rtol=tolerance)
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
    np.testing.assert_allclose(found.edf, expected.edf, atol=1e-9 if smoothing < 1e5 else 0.2)
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
        operator=grid.operator(start, end),
        span_id=np.arange(6, dtype=np.int32),
        offsets=np.array([0, 6]),
        pair=np.arange(6, dtype=np.int32),
        vx=np.zeros(6),
        vy=np.zeros(6),
        weights=np.ones(6),
    )
    result = BlockTridiagonalSolver("cpu").solve(batch, SolveOptions(1, 1.0, robust=True, uncertainty=True))
    assert result.status[0] == NO_FREEDOM
    assert np.isnan(result.std).all()
    assert (result.values == 0).all()
    assert (result.robust_weights == 1).all()


def test_a_pixel_of_one_cell() -> None:
    grid = TimeGrid(400.0, 40, 3)
    start = 16_410.0 + np.arange(6.0)
    batch = PixelBatch(
        operator=grid.operator(start, start + 50),
        span_id=np.arange(6, dtype=np.int32),
        offsets=np.array([0, 6]),
        pair=np.arange(6, dtype=np.int32),
        vx=100 + np.arange(6.0),
        vy=np.arange(6.0),
        weights=np.ones(6),
    )
    for smoothing in (10.0, "evidence"):
        options = SolveOptions(2, smoothing, robust=True, uncertainty=True)  # type: ignore[arg-type]
        assert_same(BlockTridiagonalSolver("cpu").solve(batch, options), BandedSolver().solve(batch, options))


def test_batches_fit_into_memory_and_shrink_when_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with room for two pixels, which it does not tell."""
    from itslive_core.inversion.torch import block_tridiagonal

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
    searched = replace(options, smoothing="evidence")
    found = BlockTridiagonalSolver("cpu").solve(batch, searched)
    assert_same(found, BandedSolver().solve(batch, searched))
    assert max(sizes) > 7  # the candidates of all pixels
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
