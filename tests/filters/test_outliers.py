"""The span-consistency filter: takes pairs that locked, leaves those that did not.

Simulated pairs have spans, missions and noise like those of a busy pixel (`tests.acquisitions`), five per
cent wild ones among them. Of honest pairs at most one in a hundred may go, of locked ones 95 in a hundred
must; exceptions say why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings
from itslive_core.demo import DEMO_POINTS, demo_path, true_mean_velocity
from itslive_core.filters.outliers import SPAN_CLASSES, span_class, span_consistency, span_consistent
from itslive_core.filters.two_classes import LEAST_WAY, Judged, find_locked, nothing_learnt
from itslive_core.observations.batches import Observations, PairFacts
from itslive_core.observations.missions import mission_numbers
from tests.acquisitions import Case, lock, observe, winter

if TYPE_CHECKING:
    from collections.abc import Callable

YEAR = 365.25
SEEDS = range(3)
OFFSETS = {"S1": -0.08, "L8_9": 0.02, "L7": -0.03, "L4_5": 0.03}


def wave(mean: float, amplitude: float, peak: float = 0.25) -> Callable[[np.ndarray], np.ndarray]:
    """Speed with a season; the peak is a fraction of the year."""
    return lambda t: mean + amplitude * np.cos(2 * np.pi * (t / YEAR - peak))


FAST, MIDDLE, SIXTY = wave(6000, 900), wave(2500, 400), wave(60, 12)
STRONG_SUMMER, STRONG_WINTER = wave(300, 280, 0.5), wave(300, 280, 0.0)


def sharp(t: np.ndarray) -> np.ndarray:
    return 300 + 900 * np.exp(-((((t / YEAR) % 1 - 0.5) / 0.07) ** 2))


def surge(t: np.ndarray) -> np.ndarray:
    return 120 + 1400 * np.exp(-(((t - 18_200) / 100) ** 2))


def old_surge(t: np.ndarray) -> np.ndarray:
    return 120 + 1400 * np.exp(-(((t - 10_500) / 150) ** 2))


def slow_down(t: np.ndarray) -> np.ndarray:
    return 150 + 2000 / (1 + np.exp((t - 18_200) / 40))


def speed_up(t: np.ndarray) -> np.ndarray:
    return 150 + 2000 / (1 + np.exp((18_200 - t) / 40))


def modern(start: np.ndarray, end: np.ndarray, mission: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return start > 15_800


def old(start: np.ndarray, end: np.ndarray, mission: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.isin(mission, ["L4_5", "L7"]) & (end < 15_000)


def short_in_winter(
    start: np.ndarray, end: np.ndarray, mission: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    return (end - start > 48) | (winter(start) & winter(end))


def short_in_summer(
    start: np.ndarray, end: np.ndarray, mission: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    begin, finish = (start % YEAR) / YEAR, (end % YEAR) / YEAR
    return (end - start > 48) | ((begin > 0.41) & (finish < 0.70))


def mostly_long(
    start: np.ndarray, end: np.ndarray, mission: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Seven pairs in ten are longer than 127 d, one in ten is up to 32 d."""
    span = end - start
    long, short = span > 127, span <= 32
    total = long.sum() / 0.7
    chance = np.where(short, 0.1 * total / short.sum(), 0.2 * total / (~long & ~short).sum())
    return long | (rng.random(len(span)) < chance)


def judge(case: Case) -> tuple[float, float]:
    return case.rejected(span_consistency(case.pairs).keep)


@pytest.mark.parametrize("offsets", [None, OFFSETS], ids=["plain", "offsets"])
@pytest.mark.parametrize(
    "truth",
    [
        FAST,
        MIDDLE,
        SIXTY,
        STRONG_SUMMER,
        sharp,
        surge,
        slow_down,
        speed_up,
        wave(12, 4),
        wave(5, 0),
        wave(0, 0),
    ],
    ids=[
        "fast",
        "middle",
        "sixty",
        "season",
        "sharp",
        "surge",
        "slow-down",
        "speed-up",
        "slow",
        "5",
        "still",
    ],
)
def test_honest_pairs_are_kept(truth, offsets) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        case = observe(seed, truth, offsets=offsets)
        found = span_consistency(case.pairs)
        assert case.rejected(found.keep)[0] < 0.01
        assert found.longest == {}


@pytest.mark.parametrize("when", [short_in_winter, short_in_summer], ids=["winter", "summer"])
@pytest.mark.parametrize("truth", [STRONG_SUMMER, STRONG_WINTER, sharp], ids=["summer", "winter", "sharp"])
def test_a_season_that_short_pairs_sample_unevenly_does_not_count_against_long_ones(truth, when) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        assert judge(observe(seed, truth, keep=when, offsets=OFFSETS))[0] < 0.01


@pytest.mark.parametrize(
    "truth",
    [MIDDLE, STRONG_SUMMER, old_surge, SIXTY, wave(12, 4)],
    ids=["middle", "season", "surge", "sixty", "slow"],
)
def test_sparse_decades_keep_their_honest_pairs(truth) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        assert judge(observe(seed, truth, keep=old, share=1.0))[0] < 0.01


@pytest.mark.parametrize("part", [1.0, 0.5], ids=["all", "half"])
@pytest.mark.parametrize(
    "truth",
    [FAST, MIDDLE, SIXTY, STRONG_SUMMER, surge, slow_down],
    ids=["fast", "middle", "sixty", "season", "surge", "slow-down"],
)
def test_long_pairs_that_read_5_to_60_per_cent_are_rejected(truth, part: float) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        case = observe(seed, truth, keep=modern, offsets=OFFSETS)
        # What went less than a pixel of the images cannot lock.
        far = case.truth * case.pairs.span > LEAST_WAY * 365.25 * 1.1
        which = far & (case.pairs.span > 63.5) & (np.random.default_rng(seed).random(len(far)) < part)
        false, caught = judge(lock(case, seed, which, 0.05, 0.6))
        assert false < 0.01
        assert caught > 0.95


@pytest.mark.parametrize(
    ("truth", "read"), [(MIDDLE, 0.45), (MIDDLE, 0.6), (MIDDLE, 0.7), (SIXTY, 0.45), (SIXTY, 0.6)]
)
@pytest.mark.parametrize("part", [1.0, 0.5], ids=["all", "half"])
def test_a_given_share_of_the_speed_is_too_little(truth, read: float, part: float) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        case = observe(seed, truth, keep=modern, offsets=OFFSETS)
        which = (case.pairs.span > 100) & (np.random.default_rng(seed).random(len(case.truth)) < part)
        false, caught = judge(lock(case, seed, which, read))
        assert false < 0.01  # also where locking begins in the middle of a span class
        assert caught > 0.95


def test_nine_tenths_of_the_speed_could_be_an_offset() -> None:
    for seed in SEEDS:
        case = observe(seed, MIDDLE)
        keep = span_consistency(lock(case, seed, case.pairs.span > 100, 0.9).pairs).keep
        assert keep[~case.outlier].mean() > 0.99


@pytest.mark.parametrize("name", ["S2", "L8_9", "L4_5"])
def test_each_mission_is_judged_by_itself(name: str) -> None:
    for seed in SEEDS:
        case = observe(seed, MIDDLE, offsets=OFFSETS)
        case = lock(case, seed, (case.pairs.span > 127.5) & (case.pairs.mission == name), 0.05, 0.6)
        found = span_consistency(case.pairs)
        false, caught = case.rejected(found.keep)
        assert false < 0.01
        assert caught > 0.95
        assert found.longest == {name: 128.0}


def test_pairs_that_lock_in_winter_only_are_found_one_by_one() -> None:
    for seed in SEEDS:
        case = observe(seed, MIDDLE, share=1.0, keep=modern, offsets=OFFSETS)
        begins, ends = winter(case.pairs.start), winter(case.pairs.end)
        long = case.pairs.span > 48
        for which, least in ((long & (begins | ends), 0.95), (long & begins & ends, 0.85)):
            # The second are one in nine: in a span class of few pairs they cannot be told from wild ones.
            false, caught = judge(lock(case, seed, which, 0.05, 0.6))
            assert false < 0.01
            assert caught > least


@pytest.mark.parametrize(
    "truth", [FAST, MIDDLE, SIXTY, STRONG_SUMMER], ids=["fast", "middle", "sixty", "season"]
)
def test_a_majority_of_locked_pairs_is_rejected(truth) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        case = observe(seed, truth, keep=mostly_long, offsets=OFFSETS, noise=1.5)
        case = lock(case, seed, case.pairs.span > 127.5, 0.05, 0.6)
        assert case.locked.mean() > 0.65
        false, caught = judge(case)
        assert false < 0.01
        assert caught > 0.95


def test_locking_in_sparse_decades_is_found() -> None:
    for truth, least in ((MIDDLE, 0.95), (SIXTY, 0.9)):  # sixty m/yr is below the noise of one short pair
        for seed in SEEDS:
            case = observe(seed, truth, keep=old, share=1.0)
            false, caught = judge(lock(case, seed, case.pairs.span > 200, 0.0, 0.3))
            assert false < 0.01
            assert caught > least


def in_the_light(
    start: np.ndarray, end: np.ndarray, mission: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """No image is taken from mid-October to mid-March, as at high latitudes."""
    return ~(dark(start) | dark(end))


def dark(day: np.ndarray) -> np.ndarray:
    of_year = (day % YEAR) / YEAR
    return (of_year < 0.21) | (of_year > 0.79)


@pytest.mark.parametrize("share", [0.5, 0.05], ids=["half", "a twentieth"])
@pytest.mark.parametrize("keep", [in_the_light, None], ids=["dark winters", "all year"])
@pytest.mark.parametrize("truth", [FAST, MIDDLE], ids=["fast", "middle"])
def test_long_pairs_of_fast_ice_do_not_pass_where_no_short_one_looks(truth, keep, share: float) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        case = observe(seed, truth, share=share, keep=keep)
        case = lock(case, seed, case.pairs.span > 63.5, -0.05, 0.5)
        false, caught = judge(case)
        assert false < 0.01
        assert caught == 1.0


def test_two_locked_pairs_alone_in_their_half_year_do_not_turn_the_ice_round() -> None:
    for seed in SEEDS:
        case = observe(seed, FAST, keep=lambda *facts: modern(*facts) & in_the_light(*facts), share=0.3)
        pairs = lock(case, seed, case.pairs.span > 63.5, 0.06).pairs
        pairs = pairs.take((pairs.end < 17_900) | (pairs.start > 18_100))
        start, span = np.array([17_905.0, 17_912.0]), np.array([184.0, 200.0])
        columns = {
            "start": start,
            "end": start + span,
            "vx": [540.0, 510.0],
            "vy": [270.0, 280.0],
            "vx_error": [6.0, 6.0],
            "vy_error": [6.0, 6.0],
            "mission": np.full(2, "L8_9"),
        }
        columns = {name: np.concatenate([getattr(pairs, name), two]) for name, two in columns.items()}
        pairs = ImagePairs.from_arrays(**columns)
        assert not span_consistency(pairs).keep[-2:].any()
        vx = itslive.invert(pairs)["vx"].dropna("time")
        assert (vx > 3000).all()


def test_pairs_that_can_be_judged_speak_for_those_that_cannot() -> None:
    """Three pairs read half of a speed that is hardly known: they locked if others of their class did."""
    doubtful, clear = np.arange(3), np.arange(3, 43)
    n = 43
    value, sd = np.full(n, 2000.0), np.where(np.arange(n) < 3, 900.0, 100.0)
    noise, span = np.full(n, 20.0), np.full(n, 200.0)
    probability = {}
    for name, read in (("locked", 400.0), ("measured", 2000.0)):
        along = np.where(np.arange(n) < 3, 700.0, read)
        judged = Judged(np.zeros(n, dtype=np.int64), along, noise, value, value, sd, np.hypot(sd, noise))
        locked = np.empty(n)
        find_locked(judged, span, nothing_learnt(6), np.empty(6), locked)
        probability[name] = locked
    assert (probability["locked"] > 0.9).all()
    assert (probability["measured"][doubtful] < 0.1).all()
    assert (probability["measured"][clear] < 0.01).all()


def test_three_short_pairs_that_agree_found_a_reference() -> None:
    start = np.array([16_000.0, 16_200, 16_500, 16_000, 16_100, 16_300, 16_450])
    span = np.array([16.0, 32, 16, 112, 208, 192, 368])
    vx = np.array([7000.0, 7200, 6900, 540, 500, 520, 7050])
    pairs = ImagePairs.from_arrays(start, start + span, vx, np.zeros(7), mission=np.full(7, "L8_9"))
    np.testing.assert_array_equal(span_consistency(pairs).keep, vx > 1000)
    slow = replace(pairs, vx=pairs.vx / 100)  # short pairs are out of place by metres, and so went the ice
    assert span_consistency(slow).keep.all()


def test_few_pairs_are_left_alone() -> None:
    case = observe(1, FAST, share=0.003, keep=modern)
    assert 5 < len(case.pairs) < 20
    assert span_consistency(lock(case, 1, case.pairs.span > 64, 0.1).pairs).keep.all()
    assert span_consistency(case.pairs.take(np.zeros(len(case.pairs), dtype=bool))).keep.size == 0


def test_block_and_point_filter_alike_whatever_the_order_of_pairs() -> None:
    one, two = observe(5, MIDDLE, share=0.3, keep=modern), observe(6, surge, share=0.2)
    one = lock(one, 5, one.pairs.span > 100, 0.1, 0.5)
    rng = np.random.default_rng(0)
    both = {
        name: np.concatenate([getattr(case.pairs, name) for case in (one, two)])
        for name in ("start", "end", "vx", "vy", "mission")
    }
    n, m = len(one.pairs), len(one.pairs) + len(two.pairs)
    shuffled = rng.permutation(m)
    place = np.argsort(shuffled).astype(np.int32)  # the pair table is in another order
    facts = PairFacts(
        start=both["start"][shuffled],
        end=both["end"][shuffled],
        error=np.zeros(m),
        mission=mission_numbers(both["mission"])[shuffled],
    )
    keep = span_consistent(Observations(np.array([0, 0, n, m]), place, both["vx"], both["vy"]), facts)
    np.testing.assert_array_equal(keep[:n], span_consistency(one.pairs).keep)
    np.testing.assert_array_equal(keep[n:], span_consistency(two.pairs).keep)
    assert 0 < keep[:n].mean() < 1
    mixed = rng.permutation(n)
    np.testing.assert_array_equal(span_consistency(one.pairs.take(mixed)).keep, keep[:n][mixed])


def test_span_classes_hold_whole_days() -> None:
    span = np.array([1.0, 15.6, 16.4, 31.49, 127.6, 399.6, 545.0])
    np.testing.assert_array_equal(span_class(span), [0, 1, 1, 1, 4, 6, 6])
    assert len(SPAN_CLASSES) == 8


def test_the_history_says_what_was_taken() -> None:
    case = observe(7, FAST, keep=modern)
    ds = itslive.invert(lock(case, 7, case.pairs.span > 63.5, 0.05).pairs)
    assert "nearly all from this span on: S2 64 d, L7 64 d, L8_9 64 d" in ds.attrs["filters"]
    assert ds.attrs["n_pairs_span_consistency"] == ds.attrs["n_pairs_used"]
    ds = itslive.invert(case.pairs, InversionSettings(outliers="none"))
    assert "n_pairs_span_consistency" not in ds.attrs


@pytest.mark.parametrize("name", ["front", "trunk"])
def test_the_default_estimate_of_the_locking_demo_stays_within_its_band(name: str) -> None:
    place = DEMO_POINTS[name]
    cubes = [itslive.open_cube(path) for path in demo_path().cubes]
    pairs = next(cube for cube in cubes if cube.covers(place.lon, place.lat)).pairs_at(place.lon, place.lat)

    def errors(settings: InversionSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ds = itslive.invert(pairs, settings)
        bounds = (ds["time_bnds"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
        mean = true_mean_velocity(np.array([place.x]), np.array([place.y]), bounds[:, 0], bounds[:, 1])
        truth = np.hypot(*(np.asarray(component).reshape(-1) for component in mean))
        dense = (ds["time"].values > np.datetime64("2013-06-01")) & np.isfinite(ds["v_std"].values)
        return (ds["v"].values - truth)[dense], ds["v_std"].values[dense], truth[dense]

    error, std, truth = errors(InversionSettings())
    assert np.sqrt(np.mean(error**2)) < 0.025 * truth.mean()
    # The band knows of independent noise only; the demo's is as unlike its formal errors as real noise is.
    assert np.mean(np.abs(error) <= 1.96 * std) >= 0.75
    assert np.mean(np.abs(error) <= 3 * std) >= 0.88
    error, _, truth = errors(InversionSettings(outliers="none", learn="pixel"))
    assert np.sqrt(np.mean(error**2)) > 0.5 * truth.mean()  # guards the test: without the filter it is lost
