"""The prior of the changes of a series, against full matrices."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.bands.algebra import blank_band
from itslive_core.bands.changes import (
    add_changes,
    add_spread,
    change_rows,
    changes,
    fill_changes,
    own_diagonals,
    spread_of_changes,
)
from itslive_core.inversion.dense import difference_matrix
from itslive_core.support.constants import DAYS_PER_YEAR as YEAR
from tests.bands.full_matrices import band_of, difference_from_last_year, full_of, inverse_of

CASES = [(5.0, 170), (7.0, 130), (12.0, 90), (12.0, 35), (12.0, 33), (5.0, 60), (12.0, 3)]
"""Intervals and numbers of cells: two years and more, some changes with a year before, none."""

of_all_cases = pytest.mark.parametrize(
    ("interval", "cells", "order"), [(*case, order) for case in CASES for order in (1, 2)]
)


def precisions(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.lognormal(0, 1, size), rng.lognormal(0, 1, size)


@of_all_cases
def test_rows_are_those_of_the_full_matrices(interval: float, cells: int, order: int) -> None:
    rows = change_rows(interval, order, cells)
    d, c = difference_matrix(order, cells), difference_from_last_year(interval, cells - order)
    assert (rows.size, rows.order) == (cells - order, order)
    assert rows.reach == (rows.lag if c.any() else 0)
    assert np.flatnonzero(c.any(axis=1)).tolist() == list(range(rows.lag, rows.size))
    v = np.random.default_rng(1).normal(size=(2, cells))
    x, against = changes(rows, v)
    np.testing.assert_allclose(x, v @ d.T, atol=1e-12)
    np.testing.assert_allclose(against, v @ d.T @ c.T, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("interval", [5.0, 7.0, 12.0])
def test_what_repeats_every_year_is_free(interval: float, order: int) -> None:
    """A season, its half, and a trend differ little from the year before."""
    cells = int(4 * YEAR / interval)
    rows = change_rows(interval, order, cells)
    t = interval * np.arange(cells)
    for v in (np.sin(2 * np.pi * t / YEAR), np.cos(4 * np.pi * t / YEAR), t / YEAR):
        x, against = changes(rows, v)
        assert np.abs(against).max() <= 2e-3 * np.abs(x).max() + 1e-9


@of_all_cases
def test_precision_of_the_changes_and_of_the_series(interval: float, cells: int, order: int) -> None:
    rows = change_rows(interval, order, cells)
    own, yearly = precisions(2, rows.size)
    d, c = difference_matrix(order, cells), difference_from_last_year(interval, rows.size)
    q = np.diag(own) + c.T @ (yearly[:, None] * c)
    band = blank_band(rows.size, rows.reach)
    fill_changes(band, rows, own, yearly)
    np.testing.assert_allclose(full_of(band), q, atol=1e-12)
    before = np.diag(np.arange(1.0, cells + 1))
    matrix = band_of(before, max(rows.reach + order, order))
    add_changes(matrix, rows, 0.7, own, yearly)
    np.testing.assert_allclose(full_of(matrix), before + 0.7 * d.T @ q @ d, atol=1e-11)


@of_all_cases
def test_diagonals_of_covariances(interval: float, cells: int, order: int) -> None:
    rng = np.random.default_rng(3)
    rows = change_rows(interval, order, cells)
    d, c = difference_matrix(order, cells), difference_from_last_year(interval, rows.size)
    z = rng.normal(size=(cells, cells))
    z = z @ z.T
    own, yearly = np.full((2, rows.size), np.nan)
    spread_of_changes(inverse_of(z, max(rows.reach + order, order)), rows, own, yearly)
    np.testing.assert_allclose(own, np.diag(d @ z @ d.T), rtol=1e-9)
    np.testing.assert_allclose(yearly, np.diag(c @ d @ z @ d.T @ c.T), rtol=1e-9)
    r = rng.normal(size=(cells, 3))
    add_spread(rows, r, own, yearly)
    np.testing.assert_allclose(own, np.diag(d @ (z + r @ r.T) @ d.T), rtol=1e-9)
    np.testing.assert_allclose(yearly, np.diag(c @ d @ (z + r @ r.T) @ d.T @ c.T), rtol=1e-9)
    z = z[: rows.size, : rows.size]
    own_diagonals(inverse_of(z, rows.reach), rows, own, yearly)
    np.testing.assert_allclose(own, np.diag(z), rtol=1e-9)
    np.testing.assert_allclose(yearly, np.diag(c @ z @ c.T), rtol=1e-9, atol=1e-12)
