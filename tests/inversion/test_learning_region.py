"""Two levels: what pixels share, and what they expect of each other."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.bands.spans import Spans
from itslive_core.inversion.learning.motion import Companion, Motion, expect_course
from itslive_core.inversion.learning.noise_model import scale_noise
from itslive_core.inversion.learning.observed import ObservedPairs, Typical
from itslive_core.inversion.learning.region import Region, Sample
from itslive_core.observations.missions import MISSIONS

MISSION_COUNT = len(MISSIONS)


def sample(number: int, speed: float, level: float, *, scale: float = 1.0, profile: float = 0.0) -> Sample:
    """Make a sample of 40 changes from cell 100 on."""
    noise = np.full((3, MISSION_COUNT), np.nan)
    noise[:, 0] = scale, 4.0, 0.0
    pairs = np.zeros(MISSION_COUNT, dtype=np.int64)
    pairs[0] = 1000
    return Sample(
        number=number,
        speed=speed,
        levels=np.array([level, 0.0, 1.0]),
        first_change=100,
        profile=np.full(40, profile),
        months=np.zeros(12),
        season_variance=0.1,
        offset_variance=1.0,
        correlation=0.1,
        noise=noise,
        pairs=pairs,
    )


def pairs_of(n: int = 50) -> ObservedPairs:
    """Make pairs of one mission; only what the region asks for has a meaning."""
    start = 1000.0 + np.arange(n)
    whole = np.arange(n, dtype=np.int64)
    return ObservedPairs(
        spans=Spans(whole, whole, np.ones(n), np.ones(n), np.ones(n)),
        first_time=1200.0,
        interval=12.0,
        start=start,
        end=start + 16.0,
        vx=np.full(n, 100.0),
        vy=np.zeros(n),
        formal=np.linspace(50.0, 200.0, n),
        mission=np.zeros(n, dtype=np.int64),
        first_image=whole,
        second_image=whole + n,
        images=2 * n,
    )


def borrowed(region: Region, speed: float, first: int = 100):
    """Ask a region what it expects of a pixel of some speed."""
    return region.of_pixel(pairs_of(), Typical(speed, 10.0, 1.0), first, 40, (0.1, 1.0))


def test_samples_of_the_same_speed_are_believed_and_others_are_not() -> None:
    region = Region([sample(p, 100.0, 2.0, profile=1.0) for p in range(4)])
    near, far = borrowed(region, 105.0), borrowed(region, 3000.0)
    assert near.level.mean == pytest.approx(2.0, abs=0.2)
    assert near.level.variance < 2.0
    assert abs(far.level.mean) < 0.1
    assert far.level.variance > 4.0
    assert near.profile[0] == pytest.approx(0.8, abs=0.02)  # shrunk by one sample's worth
    assert abs(far.profile).max() < 0.01


def test_samples_that_disagree_are_believed_less() -> None:
    one = borrowed(Region([sample(p, 100.0, 2.0) for p in range(4)]), 100.0).level
    other = borrowed(Region([sample(p, 100.0, level) for p, level in enumerate((-4, 0, 4, 8))]), 100.0).level
    assert other.variance > 4.0 * one.variance


def test_a_pixel_does_not_borrow_from_itself() -> None:
    region = Region([sample(0, 100.0, 5.0), sample(1, 100.0, -1.0)])
    rest = region.without(0)
    assert rest is not None
    assert [one.number for one in rest.samples] == [1]
    assert region.without(7) is not None
    assert Region([sample(0, 100.0, 5.0)]).without(0) is None


def test_profiles_are_put_where_they_belong_in_the_calendar() -> None:
    region = Region([sample(p, 100.0, 0.0, profile=1.0) for p in range(4)])
    late = borrowed(region, 100.0, first=120).profile
    assert late[:20].min() > 0.7
    assert abs(late[20:]).max() == 0.0


def test_one_spoilt_sample_does_not_rule_the_noise() -> None:
    pairs = pairs_of()
    good = borrowed(Region([sample(p, 100.0, 0.0) for p in range(4)]), 100.0).noise[:, 0]
    spoilt = Region([*(sample(p, 100.0, 0.0) for p in range(3)), sample(3, 100.0, 0.0, scale=1e4)])
    noise = borrowed(spoilt, 100.0).noise[:, 0]
    of = [scale * (pairs.formal + floor).mean() for scale, floor, _ in (good, noise)]
    assert of[1] / of[0] == pytest.approx(10.0, rel=0.05)  # the geometric mean, not 2,500
    with_bad, without = borrowed(spoilt, 100.0), borrowed(Region(spoilt.samples[:3]), 100.0)
    assert with_bad.noise_worth[0] < without.noise_worth[0]


def test_noise_departs_from_the_region_as_far_as_own_pairs_justify() -> None:
    expected, worth = np.full(1000, 4.0), np.full(MISSION_COUNT, 50.0)
    for n, factor in ((10, 1.0 + 10 / 60), (1000, 1.0 + 1000 / 1050)):
        mission, energy = np.zeros(n, dtype=np.int64), np.full(n, 8.0)
        found = scale_noise(expected[:n], worth, mission, energy, np.ones(n))
        assert found[0] == pytest.approx(factor)


def test_a_companion_without_a_clear_direction_says_nothing() -> None:
    std = np.full((2, 30), 2.0)
    assert Companion.of(np.zeros((2, 30)), std) is None
    assert Companion.of(np.full((2, 30), np.nan), std) is None
    slow = np.random.default_rng(0).normal(0, 1, (2, 30))
    assert Companion.of(slow, std) is None


def test_the_course_is_the_share_by_which_companions_speed_up() -> None:
    season = 0.3 * np.sin(np.arange(60) / 5.0)
    companions = []
    for speed, angle in ((100.0, 0.3), (250.0, 2.0)):
        along = np.array([np.cos(angle), np.sin(angle)])[:, None]
        one = Companion.of(along * speed * (1.0 + season), np.full((2, 60), 1.0))
        assert one is not None
        companions.append(one)
    motion = Motion.of(500, companions, [1.0, 0.5])
    course, variance = motion.at(np.arange(495, 565))
    expected = (1.0 + season) / np.median(1.0 + season) - 1.0
    np.testing.assert_allclose(course[5:65], expected, atol=2e-3)
    assert course[:5].tolist() == [0.0] * 5
    assert (variance[5:65] > 0.0).all()


def test_size_of_the_course_follows_the_pixel_and_shrinks_to_its_level() -> None:
    rng = np.random.default_rng(1)
    course = 0.3 * np.sin(np.arange(400) / 7.0)
    for share, n in ((1.0, 400), (0.0, 400), (0.0, 8)):
        y = 200.0 * (1.0 + share * course[:n]) + rng.normal(0, 5.0, n)
        found = expect_course(0.6 * y, 0.8 * y, course[:n], np.full(n, 1.0 / 25.0))
        assert found is not None
        np.testing.assert_allclose(found.along, [0.6, 0.8], atol=1e-6)
        if n == 400:
            assert abs(found.size - 200.0 * share) < 6.0 * np.sqrt(found.variance) < 40.0
        else:
            assert found.variance > 100.0
    assert expect_course(rng.normal(0, 50, 40), rng.normal(0, 50, 40), course[:40], np.ones(40)) is None
