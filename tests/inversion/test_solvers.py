"""Solver against solver: the band solver must be the dense oracle, only faster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from itslive_core.bands.algebra import (
    PAD,
    Band,
    blank_band,
    blank_inverse,
    factorise,
    log_determinant,
    selected_inverse,
    solve,
)
from itslive_core.bands.assembly import assemble
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_trace
from itslive_core.bands.spans import Spans
from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.dense import DenseSolver, dense_criterion, difference_matrix
from itslive_core.inversion.search import EVIDENCE, GCV, Problem, criterion
from itslive_core.inversion.solver import NO_FREEDOM, SOLVED, TOO_FEW, PixelBatch, SolveOptions
from itslive_core.observations.time_grid import SpanOperator, TimeGrid
from tests.simulate import network

if TYPE_CHECKING:
    from pathlib import Path

    from itslive_core.inversion.solver import Solver


def random_band(rng: np.random.Generator, size: int, width: int) -> tuple[np.ndarray, Band]:
    """Return a random positive definite band matrix, dense and in band storage."""
    upper = np.zeros((size, size))
    for i in range(size):
        n = min(size, i + width + 1) - i
        upper[i, i : i + n] = rng.normal(size=n)
        upper[i, i] = abs(upper[i, i]) + width
    matrix = upper.T @ upper
    band = np.zeros((size, width + 1 + PAD))
    for o in range(min(width, size - 1) + 1):
        band[: size - o, o] = np.diagonal(matrix, o)
    return matrix, Band(band.ravel(), size, width)


SHAPES = [(1, 1), (2, 1), (3, 2), (4, 3), (7, 3), (9, 2), (10, 9), (30, 60), (50, 1), (61, 17), (200, 46)]


@pytest.mark.parametrize(("size", "width"), SHAPES)
def test_band_algebra_is_dense_algebra(size: int, width: int) -> None:
    rng = np.random.default_rng(size * 100 + width)
    matrix, band = random_band(rng, size, width)
    rhs = rng.normal(size=(2, size))
    x = rhs.copy()
    assert factorise(band)
    solve(band, x)
    np.testing.assert_allclose(x, np.linalg.solve(matrix, rhs.T).T, rtol=1e-9, atol=1e-14)
    assert log_determinant(band) == pytest.approx(np.linalg.slogdet(matrix)[1], rel=1e-12, abs=1e-9)
    found = blank_inverse(size, width)
    selected_inverse(band, found)
    z = found.entries[: size * (2 * width + 1)].reshape(size, -1)
    inverse = np.linalg.inv(matrix)
    for o in range(min(width, size - 1) + 1):
        np.testing.assert_allclose(z[: size - o, width + o], np.diagonal(inverse, o), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(z[o:, width - o], np.diagonal(inverse, o), rtol=1e-9, atol=1e-15)


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    _, band = random_band(np.random.default_rng(1), 20, 4)
    band.entries[7 * (4 + 1 + PAD)] = -1.0
    assert not factorise(band)


def operator_of(rng: np.random.Generator, n: int, interval: float, longest: float = 300.0) -> SpanOperator:
    start, end = network(rng, n, longest=longest)
    return TimeGrid.covering(start, end, interval).operator(start, end)


@pytest.mark.parametrize("interval", [5.0, 12.0, 48.0, 400.0])
@pytest.mark.parametrize("order", [1, 2])
def test_assembly_is_the_dense_product(interval: float, order: int) -> None:
    rng = np.random.default_rng(2)
    op = operator_of(rng, 300, interval)
    size, width = op.grid.size, max(order, op.bandwidth)
    w, data = rng.uniform(0, 3, 300), rng.normal(50, 20, (300, 2))
    w[:20] = 0
    band, rhs = blank_band(size, width), np.empty((2, size))
    assemble(Spans(*op.columns), w, *data.T.copy(), band, rhs)
    add_penalty(band, Penalty(order, 0.37, np.ones(size)))
    a, d = op.to_dense(), difference_matrix(order, size)
    expected = a.T @ (w[:, None] * a) + 0.37 * d.T @ d
    rows = band.entries[: size * (width + 1 + PAD)].reshape(size, -1)
    for o in range(min(width, size - 1) + 1):
        np.testing.assert_allclose(rows[: size - o, o], np.diagonal(expected, o), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(rhs, (a.T @ (w[:, None] * data)).T, rtol=1e-12, atol=1e-11)


def make_batch(seed: int, interval: float, pixels: int = 4, n: int = 250) -> PixelBatch:
    """Simulate a few pixels that use different parts of the same pairs, with outliers."""
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, length=700, longest=200)
    end[:5], start[:5] = end[5:10], start[5:10]  # duplicated spans
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    truth = 200 + 80 * np.sin(op.grid.centres / 58)
    mean = op.apply(truth)
    sigma = 300 / (end - start) + 2
    parts = [np.flatnonzero(rng.random(n) < 0.8) for _ in range(pixels)]
    parts[1] = parts[1][(end[parts[1]] < 17_250) | (start[parts[1]] > 17_400)]  # a gap
    pair = np.concatenate(parts).astype(np.int32)
    vx = mean[pair] + sigma[pair] * rng.normal(size=len(pair))
    vy = 0.5 * mean[pair] + sigma[pair] * rng.normal(size=len(pair))
    bad = rng.random(len(pair)) < 0.05
    vx[bad] += rng.normal(0, 2000, bad.sum())
    weights = np.concatenate([1 / sigma[p] ** 2 / np.mean(1 / sigma[p] ** 2) for p in parts])
    span_id = np.unique(np.stack([start, end]), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum([len(p) for p in parts])))
    return PixelBatch(op, span_id, offsets, pair, vx, vy, weights)


@pytest.mark.parametrize("interval", [5.0, 12.0])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("robust", [False, True])
def test_band_solver_equals_the_oracle(interval: float, order: int, robust: bool) -> None:
    batch = make_batch(3, interval)
    options = SolveOptions(order, 30.0, robust, uncertainty=True)
    fast, slow = BandedSolver().solve(batch, options), DenseSolver().solve(batch, options)
    scale = np.nanmax(np.abs(slow.values))
    np.testing.assert_allclose(fast.values, slow.values, atol=1e-9 * scale)
    np.testing.assert_allclose(fast.std, slow.std, rtol=1e-8)
    np.testing.assert_array_equal(fast.count, slow.count)
    np.testing.assert_allclose(fast.covered, slow.covered, atol=1e-9)
    np.testing.assert_allclose(fast.edf, slow.edf, rtol=1e-9)
    np.testing.assert_array_equal(fast.passes, slow.passes)
    np.testing.assert_array_equal(fast.status, slow.status)
    np.testing.assert_allclose(fast.robust_weights, slow.robust_weights, atol=1e-9)
    assert (fast.status == SOLVED).all()
    assert (fast.passes > 0).all() if robust else (fast.passes == 0).all()


@pytest.mark.parametrize("smoothing", [30.0, "evidence", "gcv"])
def test_robust_estimates_scale_and_turn_with_the_data(smoothing: float | str) -> None:
    """Units and axes are no part of the rule: neither its scale nor where it ends depends on them."""
    batch, options = make_batch(3, 12.0), SolveOptions(2, smoothing, robust=True, uncertainty=True)  # type: ignore[arg-type]
    plain = BandedSolver().solve(batch, options)
    for factor in (0.1, 10.0):
        scaled = replace(batch, vx=factor * batch.vx, vy=factor * batch.vy)
        found = BandedSolver().solve(scaled, options)
        np.testing.assert_array_equal(found.passes, plain.passes)
        np.testing.assert_allclose(found.values, factor * plain.values, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(found.std, factor * plain.std, rtol=1e-7)
    c, s = np.cos(0.7), np.sin(0.7)
    turned = replace(batch, vx=c * batch.vx - s * batch.vy, vy=s * batch.vx + c * batch.vy)
    if smoothing == 30.0:  # the criteria take each component by itself
        found = BandedSolver().solve(turned, options)
        np.testing.assert_array_equal(found.passes, plain.passes)
        x, y = plain.values[:, 0], plain.values[:, 1]
        np.testing.assert_allclose(found.values[:, 0], c * x - s * y, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.values[:, 1], s * x + c * y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["evidence", "gcv"])
@pytest.mark.parametrize("order", [1, 2])
def test_criteria_equal_the_oracle(kind: str, order: int) -> None:
    rng = np.random.default_rng(4)
    op = operator_of(rng, 200, 12.0, longest=150)
    size, width = op.grid.size, max(order, op.bandwidth)
    w, data = rng.uniform(0.2, 3, 200), rng.normal(50, 20, (200, 2))
    normal, work, z = blank_band(size, width), blank_band(size, width), blank_inverse(size, width)
    rhs, room = np.empty((2, size)), np.empty((2, size))
    assemble(Spans(*op.columns), w, *data.T.copy(), normal, rhs)
    squares = tuple((w[:, None] * data**2).sum(axis=0).tolist())
    code = {"evidence": EVIDENCE, "gcv": GCV}[kind]
    for alpha in (1e-2, 1.0, 1e3):
        problem = Problem(code, normal, work, z, rhs, room, squares, 170.5, order, 12.0**order, np.ones(size))
        fast = criterion(problem, np.log10(np.sqrt(alpha) * 12.0**order))
        slow = dense_criterion(kind, op.to_dense(), w, data, 170.5, order, alpha)
        assert fast == pytest.approx(slow, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("kind", ["evidence", "gcv"])
def test_search_finds_the_oracles_minimum(kind: str) -> None:
    batch = make_batch(5, 24.0, pixels=2, n=200)
    options = SolveOptions(2, kind, robust=False, uncertainty=False)
    fast, slow = BandedSolver().solve(batch, options), DenseSolver().solve(batch, options)
    np.testing.assert_allclose(np.log10(fast.smoothing), np.log10(slow.smoothing), atol=0.03)


def test_penalty_trace() -> None:
    rng = np.random.default_rng(6)
    for order in (1, 2):
        matrix, band = random_band(rng, 40, 5)
        factorise(band)
        z = blank_inverse(40, 5)
        selected_inverse(band, z)
        d = difference_matrix(order, 40)
        expected = np.trace(d.T @ d @ np.linalg.inv(matrix))
        assert penalty_trace(z, order, np.ones(40)) == pytest.approx(expected, rel=1e-9)


def test_pixels_without_enough_pairs_keep_the_others_going() -> None:
    batch = make_batch(7, 12.0)
    few = batch.offsets[1] + 3
    offsets = np.array([0, batch.offsets[1], few, few, len(batch.pair)])
    result = BandedSolver().solve(
        PixelBatch(batch.operator, batch.span_id, offsets, batch.pair, batch.vx, batch.vy, batch.weights),
        SolveOptions(2, 30.0, robust=True, uncertainty=True),
    )
    assert result.status.tolist() == [SOLVED, TOO_FEW, TOO_FEW, SOLVED]
    assert np.isnan(result.values[1:3]).all()
    assert np.isfinite(result.values[0]).any()
    assert np.isfinite(result.values[3]).any()


@pytest.mark.parametrize("solver", [BandedSolver(), DenseSolver()])
def test_no_residuals_mean_no_error_bars(solver: Solver) -> None:
    grid = TimeGrid(12.0, 1500, 6)
    start, end = grid.edges[:-1], grid.edges[1:]
    batch = PixelBatch(
        grid.operator(start, end), np.arange(6, dtype=np.int32), np.array([0, 6]),
        np.arange(6, dtype=np.int32), np.zeros(6), np.zeros(6), np.ones(6),
    )  # fmt: skip
    result = solver.solve(batch, SolveOptions(1, 1.0, robust=False, uncertainty=True))
    assert result.status[0] == NO_FREEDOM
    assert np.isnan(result.std).all()
    assert (result.values == 0).all()


@pytest.mark.parametrize("interval", [12.0, 5.0])
@pytest.mark.parametrize("order", [1, 2])
def test_real_pixels_against_the_oracle(parlung: Path, interval: float, order: int) -> None:
    """Two real pixels in the suite; the benchmark does twenty."""
    import itslive_core as itslive
    from itslive_core.observations.shared_pairs import SharedPairs

    cube = itslive.open_cube(parlung)
    recent = itslive.PairSelection(start="2019")
    for x, y in ((786412.5, 3312427.5), (785572.5, 3314587.5)):
        pairs = cube.pairs_at(x=x, y=y).select(recent)
        n = len(pairs)
        grid = TimeGrid.covering(pairs.start, pairs.end, interval)
        shared = SharedPairs.make(pairs, np.ones(n, dtype=bool), grid)
        batch = PixelBatch(
            shared.operator, shared.span_id, np.array([0, n]), np.arange(n, dtype=np.int32),
            pairs.vx, pairs.vy, np.ones(n),
        )  # fmt: skip
        options = SolveOptions(order, 10.0, robust=False, uncertainty=True)
        fast, slow = BandedSolver().solve(batch, options), DenseSolver().solve(batch, options)
        scale = np.nanmax(np.abs(slow.values))
        assert np.nanmax(np.abs(fast.values - slow.values)) <= 1e-9 * scale
        np.testing.assert_allclose(fast.std, slow.std, rtol=1e-8)
