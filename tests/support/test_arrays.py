"""Small things done to arrays in compiled code."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.support.arrays import copy_into, median


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 10, 101, 1000])
@pytest.mark.parametrize("kind", ["random", "sorted", "backwards", "few values", "all equal"])
def test_median_is_numpys(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    values = {
        "random": rng.normal(size=n),
        "sorted": np.sort(rng.normal(size=n)),
        "backwards": -np.sort(rng.normal(size=n)),
        "few values": rng.integers(0, 3, n).astype(np.float64),
        "all equal": np.full(n, 2.5),
    }[kind]
    before = values.copy()
    assert median(values) == np.median(values)
    np.testing.assert_array_equal(values, before)


def test_median_of_nothing_is_missing() -> None:
    assert np.isnan(median(np.empty(0)))


def test_copy_goes_to_the_beginning() -> None:
    target = np.zeros(5)
    copy_into(target, np.arange(1.0, 4.0))
    np.testing.assert_array_equal(target, [1, 2, 3, 0, 0])
