"""The operator against its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itslive_core.observations.time_grid import TimeGrid

INTERVALS = [1.0, 5.0, 6.0, 12.0, 30.4375, 48.0]


def random_spans(rng: np.random.Generator, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    start = rng.uniform(10_000, 13_000, n)
    return start, start + np.exp(rng.uniform(np.log(0.01), np.log(545), n))


def exact_overlap(start: np.ndarray, end: np.ndarray, grid: TimeGrid) -> np.ndarray:
    edges = grid.edges
    overlap = np.minimum(end[:, None], edges[1:]) - np.maximum(start[:, None], edges[:-1])
    return np.clip(overlap, 0, None) / (end - start)[:, None]


@pytest.mark.parametrize("interval", INTERVALS)
def test_rows_are_overlaps_over_spans(interval: float) -> None:
    start, end = random_spans(np.random.default_rng(1))
    grid = TimeGrid.covering(start, end, interval)
    a = grid.operator(start, end).to_dense()
    np.testing.assert_allclose(a, exact_overlap(start, end, grid), atol=2e-10)


@given(
    start=st.floats(0, 20_000, allow_subnormal=False),
    span=st.floats(0.01, 600),
    interval=st.sampled_from(INTERVALS),
)
def test_every_row_sums_to_one(start: float, span: float, interval: float) -> None:
    s, e = np.array([start]), np.array([start + span])
    grid = TimeGrid.covering(s, e, interval)
    assert abs(grid.operator(s, e).to_dense().sum() - 1) <= 1e-12


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (4.0, 10.0, [1.0]),  # inside one cell, which ITS_LIVE_TOOL gets wrong
        (0.0, 12.0, [1.0]),  # exactly a cell
        (0.0, 24.0, [0.5, 0.5]),  # ends on edges
        (6.0, 18.0, [0.5, 0.5]),
        (6.0, 36.0, [0.2, 0.4, 0.4]),
        (11.0, 25.0, [1 / 14, 12 / 14, 1 / 14]),
    ],
)
def test_rows_by_hand(start: float, end: float, expected: list[float]) -> None:
    s, e = np.array([start]), np.array([end])
    grid = TimeGrid.covering(s, e, 12.0)
    np.testing.assert_allclose(grid.operator(s, e).to_dense()[0], expected, rtol=1e-14)


def test_edges_are_whole_multiples_of_the_interval_since_1970() -> None:
    start, end = np.array([10_001.3]), np.array([10_050.9])
    for interval in INTERVALS:
        grid = TimeGrid.covering(start, end, interval)
        np.testing.assert_array_equal(grid.edges, np.rint(grid.edges / interval) * interval)
        assert grid.edges[0] <= start[0] < grid.edges[1]
        assert grid.edges[-2] < end[0] <= grid.edges[-1]


def test_apply_is_the_dense_product() -> None:
    rng = np.random.default_rng(2)
    start, end = random_spans(rng)
    operator = TimeGrid.covering(start, end, 12.0).operator(start, end)
    v = rng.normal(size=operator.shape[1])
    np.testing.assert_allclose(operator.apply(v), operator.to_dense() @ v, atol=1e-12)


def test_overlaps_count_touching_pairs() -> None:
    start, end = random_spans(np.random.default_rng(3))
    operator = TimeGrid.covering(start, end, 12.0).operator(start, end)
    np.testing.assert_array_equal(operator.overlaps(), (operator.to_dense() > 0).sum(axis=0))


@pytest.mark.parametrize("seed", range(5))
def test_coverage_is_the_length_of_the_union(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = np.round(rng.uniform(0, 400, 12), 1)
    end = start + np.round(rng.uniform(0.5, 40, 12), 1)
    grid = TimeGrid.covering(start, end, 12.0)
    fine = np.arange(grid.edges[0], grid.edges[-1], 0.1) + 0.05
    inside = ((fine[:, None] >= start) & (fine[:, None] < end)).any(axis=1)
    expected = inside.reshape(grid.size, -1).mean(axis=1)
    np.testing.assert_allclose(grid.coverage(start, end), expected, atol=1e-9)


def test_a_grid_without_pairs_has_no_cells() -> None:
    nothing = np.array([])
    grid = TimeGrid.covering(nothing, nothing, 12.0)
    assert grid.size == 0
    assert grid.operator(nothing, nothing).shape == (0, 0)


def test_spans_outside_the_grid_are_refused() -> None:
    grid = TimeGrid(12.0, 0, 3)
    with pytest.raises(ValueError, match="outside the time grid"):
        grid.operator(np.array([30.0]), np.array([40.0]))
    with pytest.raises(ValueError, match="end after it starts"):
        grid.operator(np.array([3.0]), np.array([3.0]))
