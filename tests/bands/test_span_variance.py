"""Variance of the mean of a series over spans."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.bands.algebra import Inverse
from itslive_core.bands.span_variance import span_variances
from itslive_core.bands.spans import Spans
from itslive_core.observations.time_grid import TimeGrid
from tests.simulate import network


def in_band(matrix: np.ndarray, width: int) -> Inverse:
    """Hold the entries of a matrix that are so near to its diagonal; those farther away are lost."""
    size = len(matrix)
    entries = np.full((size, 2 * width + 1), np.nan)
    for a in range(size):
        for b in range(max(0, a - width), min(size, a + width + 1)):
            entries[a, width + b - a] = matrix[a, b]
    return Inverse(entries.ravel(), size, width)


@pytest.mark.parametrize(
    ("interval", "longest"),
    [(400.0, 5.0), (12.0, 6.0), (12.0, 20.0), (12.0, 45.0), (5.0, 300.0), (90.0, 700.0)],
)
@pytest.mark.parametrize("between", [0, 2], ids=["cells alone", "with other unknowns"])
def test_it_is_the_quadratic_form(interval: float, longest: float, between: int) -> None:
    """From pairs inside a cell, over pairs of two cells, to pairs as long as the band is wide."""
    rng = np.random.default_rng(1)
    start, end = network(rng, 150, length=700, longest=longest)
    start[:3], end[:3] = 17_000.0, 17_000.0 + longest
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    cells = np.arange(op.grid.size, dtype=np.int64)
    cells += between * (cells // 3)  # so many other unknowns after every third cell
    root = rng.normal(size=(cells[-1] + 1, cells[-1] + 1))
    matrix = root @ root.T
    spans = Spans(*op.columns)
    reach = int((cells[spans.last] - cells[spans.first]).max())
    out = np.empty(len(op))
    span_variances(in_band(matrix, reach), cells, spans, out)
    a, z = op.to_dense(), matrix[np.ix_(cells, cells)]
    np.testing.assert_allclose(out, np.einsum("ji,ik,jk->j", a, z, a), rtol=1e-11)


def test_a_short_span_across_two_cells_keeps_its_digits() -> None:
    """Nothing of the whole cells is subtracted again where little of them is covered."""
    matrix = np.array([[2.0, 0.7], [0.7, 3.0]])
    ends = np.array([1e-7, 2e-7])
    rate = 1.0 / ends.sum()
    spans = Spans(np.array([0]), np.array([1]), ends[:1], ends[1:], np.array([rate]))
    out = np.empty(1)
    span_variances(in_band(matrix, 1), np.arange(2), spans, out)
    assert out[0] == pytest.approx(rate**2 * ends @ matrix @ ends, rel=1e-14)
