"""The table of observations: pixels packed one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.observations.batches import Observations, kept_offsets


@pytest.fixture
def observations() -> Observations:
    rng = np.random.default_rng(0)
    offsets = np.array([0, 4, 4, 9])
    return Observations(
        offsets, np.array([0, 2, 3, 5, 1, 2, 3, 4, 5], dtype=np.int32), *rng.normal(size=(2, 9))
    )


def test_pixels_are_slices_one_after_the_other(observations: Observations) -> None:
    assert observations.n_pixels == 3
    assert list(observations.pixels()) == [slice(0, 4), slice(4, 4), slice(4, 9)]
    assert [observations.pixel(p) for p in range(3)] == list(observations.pixels())


def test_keeping_some_observations_keeps_every_pixel(observations: Observations) -> None:
    mask = observations.pair % 2 == 1
    kept = observations.keep(mask)
    assert kept.n_pixels == 3
    for before, after in zip(observations.pixels(), kept.pixels(), strict=True):
        own = mask[before]
        for name in ("pair", "vx", "vy"):
            expected = getattr(observations, name)[before][own]
            np.testing.assert_array_equal(getattr(kept, name)[after], expected)
    assert observations.keep(np.ones(9, dtype=bool)) is observations
    assert kept_offsets(observations.offsets, np.zeros(9, dtype=bool)).tolist() == [0, 0, 0, 0]


def test_a_point_is_one_pixel_with_every_pair() -> None:
    one = Observations.at_point(np.arange(3.0), np.ones(3))
    assert (one.n_pixels, one.pixel(0), one.pair.tolist()) == (1, slice(0, 3), [0, 1, 2])
    assert Observations.at_point(np.empty(0), np.empty(0)).n_pixels == 1
