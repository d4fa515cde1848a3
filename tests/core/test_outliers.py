"""The span-consistency filter: takes pairs that locked, leaves those that did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings
from itslive_core.demo import DEMO_POINTS, demo_path, true_mean_velocity
from itslive_core.outliers import span_consistency
from tests.simulate import network, simulate


def fast_glacier(t: np.ndarray) -> np.ndarray:
    return 6000 + 900 * np.sin(2 * np.pi * t / 365.25)


def locked(pairs: ImagePairs, longest: float, speed: float = 250.0, only: str | None = None) -> ImagePairs:
    bad = pairs.span > longest
    if only is not None:
        bad &= pairs.mission == only
    error = np.where(bad, 5.0, pairs.vx_error)
    return replace(
        pairs,
        vx=np.where(bad, speed, pairs.vx),
        vy=np.where(bad, 0.5 * speed, pairs.vy),
        vx_error=error,
        vy_error=error,
    )


def make(seed: int, truth=fast_glacier, n: int = 1500, length: float = 2500.0, **kw: object) -> ImagePairs:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, length=length)
    mission = rng.choice(["S2", "L8_9"], n)
    return simulate(truth, start, end, noise=lambda d: 600 / d + 5, rng=rng, mission=mission, **kw)  # type: ignore[arg-type]


def test_locked_pairs_are_rejected_and_the_others_kept() -> None:
    pairs = locked(make(1), 64.5)
    found = span_consistency(pairs)
    assert not found.keep[pairs.span > 64.5].any()
    assert found.keep[pairs.span < 64].mean() > 0.99
    assert found.longest == {"S2": 64.0, "L8_9": 64.0}


def test_each_mission_is_judged_by_itself() -> None:
    pairs = locked(make(2), 128.5, only="L8_9")
    found = span_consistency(pairs)
    assert found.longest == {"L8_9": 128.0}
    assert not found.keep[(pairs.mission == "L8_9") & (pairs.span > 128.5)].any()
    assert found.keep[pairs.mission == "S2"].mean() > 0.99


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "truth",
    [
        fast_glacier,
        lambda t: 50 + 0 * t,  # slow and steady
        lambda t: 0 * t,  # still: nothing but noise
        lambda t: 300 + 900 * np.exp(-((((t / 365.25) % 1 - 0.5) / 0.07) ** 2)),  # sharp summers
        lambda t: 60 + 1500 * np.exp(-(((t - 18_000) / 90) ** 2)),  # a surge
    ],
    ids=["fast", "slow", "still", "sharp season", "surge"],
)
def test_honest_pairs_are_kept(truth, seed: int) -> None:  # type: ignore[no-untyped-def]
    found = span_consistency(make(seed + 10, truth))
    assert found.longest == {}
    assert found.keep.mean() > 0.985


def test_a_few_short_summer_pairs_are_no_standard_for_annual_ones() -> None:
    rng = np.random.default_rng(3)

    def season(t: np.ndarray) -> np.ndarray:
        return 300 + 280 * np.sin(2 * np.pi * t / 365.25)

    start = 17_000 + rng.uniform(0, 2500, 1200)
    end = start + rng.uniform(10, 400, 1200)
    short = end - start < 40
    summer = np.sin(2 * np.pi * start / 365.25) > 0.3
    keep = ~short | summer
    pairs = simulate(season, start[keep], end[keep], noise=10.0, rng=rng)
    found = span_consistency(pairs)
    assert found.longest == {}
    assert found.keep.mean() > 0.98


def test_few_pairs_are_left_alone() -> None:
    pairs = locked(make(4, n=15), 64)
    assert span_consistency(pairs).keep.all()


def test_block_and_point_filter_alike() -> None:
    from itslive_core.missions import mission_numbers
    from itslive_core.outliers import span_consistent

    one, two = locked(make(5, n=600), 64), make(6, n=500)
    both = {
        name: np.concatenate([getattr(one, name), getattr(two, name)])
        for name in ("start", "end", "vx", "vy", "mission")
    }
    keep = span_consistent(
        np.array([0, 600, 1100]), np.arange(1100, dtype=np.int32), both["start"], both["end"], both["vx"],
        both["vy"], mission_numbers(both["mission"]),
    )  # fmt: skip
    np.testing.assert_array_equal(keep[:600], span_consistency(one).keep)
    np.testing.assert_array_equal(keep[600:], span_consistency(two).keep)


def test_the_history_says_what_was_taken() -> None:
    ds = itslive.invert(locked(make(7), 64.5))
    assert "nearly all from this span on: S2 64 d, L8_9 64 d" in ds.attrs["filters"]
    assert ds.attrs["n_pairs_span_consistency"] == ds.attrs["n_pairs_used"]
    assert "n_pairs_span_consistency" not in itslive.invert(make(8), InversionSettings(outliers="none")).attrs


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
    error, _, truth = errors(InversionSettings(outliers="none"))
    assert np.sqrt(np.mean(error**2)) > 0.5 * truth.mean()  # guards the test: without the filter it is lost
