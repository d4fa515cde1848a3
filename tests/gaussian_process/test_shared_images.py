"""What pairs are worth that share images."""

from __future__ import annotations

import numpy as np

from itslive_core.gaussian_process.shared_images import SharedImages
from tests.simulate import image_noise


def chained(rng: np.random.Generator, n: int, images: int) -> SharedImages:
    first, second = rng.integers(0, images, (2, n))
    both = np.unique(np.stack([first, second]), axis=1, return_inverse=True)[1].reshape(-1)
    return SharedImages(first, second + images, both)


def test_independent_noise_leaves_all_credit() -> None:
    rng = np.random.default_rng(0)
    shared, one = chained(rng, 900, 120), np.ones(900)
    credit = shared.credit(rng.normal(size=(2, 900)), np.zeros(900), one, one, images=True)
    assert credit.min() > 0.9


def test_correlated_noise_takes_credit_away() -> None:
    rng = np.random.default_rng(1)
    shared, one = chained(rng, 900, 120), np.ones(900)
    noise = image_noise(rng, 0.2, shared.earlier, shared.later, 240)
    credit = shared.credit(noise, np.zeros(900), one, one, images=True)
    # Seven or eight pairs hold each image, and rho is the least that is likely: 1 / (1 + 0.2 * 13) and more.
    assert 0.25 < credit.mean() < 0.5


def test_near_copies_count_as_one() -> None:
    rng = np.random.default_rng(2)
    both = np.repeat(np.arange(200), 5)
    alone = np.arange(1000)
    shared, one = SharedImages(alone, alone, both), np.ones(1000)
    noise = rng.normal(size=(2, 200))[:, both] + 0.01 * rng.normal(size=(2, 1000))
    credit = shared.credit(noise, np.zeros(1000), one, one, images=False)
    np.testing.assert_allclose(credit, 0.2, atol=0.02)
