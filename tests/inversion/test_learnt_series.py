"""What learning does for a series, against truth, on the public API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings
from itslive_core.inversion.dense import DenseSolver
from itslive_core.inversion.point import solve_point
from itslive_core.inversion.solver import PixelBatch, SolveOptions
from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.time_grid import TimeGrid
from tests.simulate import network, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

YEAR = 365.25
AUTO = InversionSettings(outliers="none")
CONSTANT = replace(AUTO, smoothing_in_time="constant", uncertainty=False)
FORMAL = replace(AUTO, noise="formal", offsets="none", smoothing_in_time="constant")
SCALES = {"S1": 2.0, "S2": 1.0, "L8_9": 1.4}


def formal_error(span: np.ndarray) -> np.ndarray:
    return 250 / span + 2


def seasonal(t: np.ndarray) -> np.ndarray:
    return 300 + 80 * np.sin(2 * np.pi * t / YEAR)


def surge(t: np.ndarray) -> np.ndarray:
    return 100 + 900 / (1 + np.exp(-(t - 17_650) / 15)) / (1 + np.exp((t - 17_800) / 15))


TRUTHS = {
    "seasonal": seasonal,
    "surge": surge,
    "quiet": lambda t: 60 + 0 * t,
    "sharp season": lambda t: 300 + 400 * np.exp(-((((t / YEAR) % 1 - 0.5) / 0.07) ** 2)),
    "accelerating": lambda t: 100 + 3e-4 * (t - 17_000) ** 2,
}


def observe(
    seed: int, n: int, truth: Callable[[np.ndarray], np.ndarray] = seasonal, *, offset: float = 0.0,
    scales: dict[str, float] = SCALES, shares: tuple[float, ...] = (0.4, 0.4, 0.2), student: bool = False,
) -> ImagePairs:  # fmt: skip
    """Observe a truth with normal or Student's noise; S1 is off by ``offset`` in vx, -0.5 of it in vy."""
    rng = np.random.default_rng([seed, n])
    start, end = network(rng, n, longest=200)
    mission = rng.choice(list(scales), n, p=shares)
    mean = simulate(truth, start, end)
    error = formal_error(end - start)
    noise = error * np.array([scales[m] for m in mission]) * rng.normal(size=(2, n))
    if student:
        noise /= np.sqrt(rng.chisquare(6.0, n) / 6.0)
    off = offset * (mission == "S1")
    return ImagePairs.from_arrays(
        start, end, mean.vx + off + noise[0], mean.vy - 0.5 * off + noise[1],
        vx_error=error, vy_error=error, mission=mission,
    )  # fmt: skip


def true_mean(truth: Callable[[np.ndarray], np.ndarray], ds: xr.Dataset) -> np.ndarray:
    """Average a truth over the cells of a series."""
    low, high = ((ds["time_bnds"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")).T
    return truth(low[:, None] + (high - low)[:, None] * (np.arange(24) + 0.5) / 24).mean(axis=1)


def rmse(ds: xr.Dataset, truth: Callable[[np.ndarray], np.ndarray]) -> float:
    return float(np.sqrt(np.nanmean((ds["vx"].values - true_mean(truth, ds)) ** 2)))


def of_mission(ds: xr.Dataset, name: str, mission: str) -> float:
    return json.loads(ds.attrs[name])[mission]


# ---------------------------------------------------------------------------------------------------- noise


def test_noise_of_each_mission_is_found() -> None:
    """The scale of a Student t: of normal noise it is a tenth smaller."""
    for student, ratio in ((True, 1.0), (False, 0.9)):
        found = []
        for seed in range(6):
            ds = itslive.invert(observe(seed, 800, student=student), replace(AUTO, uncertainty=False))
            assert set(json.loads(ds.attrs["noise_scale"])) == set(SCALES)
            found.append([of_mission(ds, "noise_scale", m) for m in SCALES])
        expected = ratio * np.array(list(SCALES.values()))
        # Scales are drawn to the common one, and a floor may take a part.
        np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.12)
        np.testing.assert_allclose(found, np.tile(expected, (6, 1)), rtol=0.35)


def test_noise_that_is_learnt_weighs_missions_as_they_deserve() -> None:
    """Where half of the pairs are far worse than they say, the series is better for knowing it."""
    scales, shares = {"S2": 1.0, "L7": 6.0}, (0.5, 0.5)
    gain = []
    for seed in range(8):
        pairs = observe(seed, 400, scales=scales, shares=shares)
        gain.append([rmse(itslive.invert(pairs, s), seasonal) for s in (AUTO, FORMAL)])
    learnt, formal = np.mean(gain, axis=0)
    assert learnt < 0.85 * formal


# -------------------------------------------------------------------------------------------------- offsets


@pytest.mark.parametrize("offset", [0.0, 30.0, -228.0])
def test_offsets_are_found_with_honest_errors(offset: float) -> None:
    truth = offset * np.array([1.0, -0.5])
    error, normalised, level = [], [], []
    for seed in range(20):
        ds = itslive.invert(observe(seed, 400, offset=offset), AUTO)
        found = np.array([of_mission(ds, f"mission_offset_{c}", "S1") for c in ("vx", "vy")])
        std = np.array([of_mission(ds, f"mission_offset_{c}_std", "S1") for c in ("vx", "vy")])
        assert "S2" not in json.loads(ds.attrs["mission_offset_vx"])
        error.append(found - truth)
        normalised.append((found - truth) / std)
        level.append(np.nanmean(ds["vx"].values - true_mean(seasonal, ds)))
    assert np.sqrt(np.mean(np.square(error))) < 2.0
    assert 0.85 <= np.mean(np.abs(normalised) < 2) <= 1.0
    # The series is on the level of the reference, S2, however far S1 is off.
    assert abs(np.mean(level)) < 1.0


def test_offsets_can_be_switched_off() -> None:
    """Then the series goes with whatever mission rules."""
    without_any = replace(AUTO, offsets="none")
    level = {"mission": 0.0, "none": 0.0}
    for seed in range(4):
        pairs = observe(seed, 500, offset=-228.0, scales={"S1": 1.0, "S2": 1.0}, shares=(0.5, 0.5))
        for settings in (AUTO, without_any):
            ds = itslive.invert(pairs, settings)
            active = set() if settings is without_any else {"S1"}
            for name in ("mission_offset_vx", "mission_offset_vy", "mission_offset_vx_std"):
                assert set(json.loads(ds.attrs[name])) == active
            error = np.abs(np.nanmean(ds["vx"].values - true_mean(seasonal, ds)))
            level["none" if settings is without_any else "mission"] += error / 4
    assert level["mission"] < 1.0
    assert level["none"] > 20.0


def test_offsets_do_not_need_robust_passes() -> None:
    pairs = observe(1, 500, offset=60.0)
    settings = replace(FORMAL, smoothing=500.0, offsets="mission")
    for robust in (True, False):
        ds = itslive.invert(pairs, replace(settings, robust=robust))
        assert of_mission(ds, "mission_offset_vx", "S1") == pytest.approx(60.0, abs=5.0)


def test_the_band_is_wider_far_from_the_reference() -> None:
    """Where only a mission with an offset is at hand, the error of the offset is part of the band."""
    settings = replace(FORMAL, smoothing=5000.0, noise="learnt")
    early, late = [], []
    for seed in range(4):
        pairs = observe(seed, 500, scales={"S1": 1.0, "S2": 1.0}, shares=(0.5, 0.5))
        pairs = pairs.take(np.flatnonzero((pairs.mission == "S1") | (pairs.start > 17_900)))
        known, unknown = (itslive.invert(pairs, replace(settings, offsets=o)) for o in ("none", "mission"))
        ratio = unknown["vx_std"].values / known["vx_std"].values
        early.append(np.nanmedian(ratio[:75]))
        late.append(np.nanmedian(ratio[-25:]))
    assert np.mean(early) > 1.05
    assert np.mean(late) < np.mean(early) - 0.05


# ------------------------------------------------------------------------------ what is not the motion of ice


def shadowed(
    seed: int, truth: Callable[[np.ndarray], np.ndarray], metres: float, *, n: int = 500, angle: float = 0.6
) -> ImagePairs:
    """Observe a truth; S2 sees it swing by some metres with the season, in a direction of its own."""
    rng = np.random.default_rng([seed, 17])
    start, end = network(rng, n, longest=200)
    mission = rng.choice(["S2", "L8_9"], n)
    mean, error = simulate(truth, start, end), formal_error(end - start)
    swing = np.cos(2 * np.pi * end / YEAR) - np.cos(2 * np.pi * start / YEAR)
    seen = metres * (mission == "S2") * swing * YEAR / (end - start)
    noise = error * rng.normal(size=(2, n))
    return ImagePairs.from_arrays(
        start, end, mean.vx + np.cos(angle) * seen + noise[0], mean.vy + np.sin(angle) * seen + noise[1],
        vx_error=error, vy_error=error, mission=mission,
    )  # fmt: skip


def test_rock_with_a_seasonal_shadow_stays_still() -> None:
    """What one mission sees swing, and the other does not, is no motion of the ice."""
    moved, inside = [], []
    for seed in range(4):
        pairs = shadowed(seed, lambda t: 0.0 * t, 1.0)
        ds = itslive.invert(pairs, AUTO)
        plain = itslive.invert(pairs, FORMAL)
        moved.append([np.sqrt(np.nanmean(x["vx"].values ** 2 + x["vy"].values ** 2)) for x in (ds, plain)])
        learnt = solve_point(pairs, AUTO).result.learnt
        assert learnt is not None
        swing = learnt.season[0, :, MISSIONS.index("S2"), 0]
        assert np.hypot(*swing) > 0.3  # half of it may as well be noise
        inside.append(coverage(ds, lambda t: 0.0 * t))
    assert np.mean(inside) >= 0.92
    still, plain_still = np.mean(moved, axis=0)
    assert still < 1.5
    assert still < 0.75 * plain_still


def test_a_season_of_the_ice_is_found_beside_a_shadow() -> None:
    """Both missions see the ice hurry."""
    for metres in (0.0, 1.0):
        for seed in range(3):
            ds = itslive.invert(shadowed(seed, seasonal, metres), AUTO)
            t = true_mean(seasonal, ds) - 300.0
            ok = np.isfinite(ds["vx"].values)
            found = float(np.polyfit(t[ok], ds["vx"].values[ok], 1)[0])
            assert found == pytest.approx(1.0, abs=0.12)
            assert coverage(ds, seasonal) >= 0.92


# --------------------------------------------------------------------------------------------- shared images


def share_images(
    seed: int, truth: Callable[[np.ndarray], np.ndarray], rho: float, *, opposite: bool = False,
    n: int = 1500, images: int = 100, reach: int = 14,
) -> ImagePairs:  # fmt: skip
    """Observe a truth by pairs of few images, each with an error that all of its pairs share.

    Pairs with the same earlier image, or the same later one, are correlated by rho. With ``opposite`` the
    error of an image moves all that is seen in it: pairs that begin with it and pairs that end with it are
    correlated by -rho.
    """
    rng = np.random.default_rng([seed, 9])
    at = np.sort(17_000 + rng.choice(np.arange(0, 1100, 2.5), images, replace=False)) + 0.43
    i = rng.integers(0, images - reach - 1, n)
    j = i + rng.integers(1, reach + 1, n)
    later = rng.normal(size=(2, images))
    earlier = -later if opposite else rng.normal(size=(2, images))
    noise = np.sqrt(rho) * (earlier[:, i] + later[:, j]) + np.sqrt(1 - 2 * rho) * rng.normal(size=(2, n))
    mean = simulate(truth, at[i], at[j])
    error = formal_error(at[j] - at[i])
    return ImagePairs.from_arrays(
        at[i], at[j], mean.vx + error * noise[0], mean.vy + error * noise[1],
        vx_error=error, vy_error=error, mission=np.full(n, "S2"),
    )  # fmt: skip


def walk(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Draw a truth whose acceleration is a random walk, as the penalty supposes."""
    steps = np.random.default_rng([seed, 10]).normal(0, 3, 130)
    values = 400 + np.cumsum(np.cumsum(steps))
    return lambda t: np.interp(t, 16_956 + 12.0 * np.arange(130), values)


def coverage(ds: xr.Dataset, truth: Callable[[np.ndarray], np.ndarray]) -> float:
    """Give the share of cells whose 95 % band holds the truth, over both components."""
    expected, inside = true_mean(truth, ds), []
    for name, ratio in (("vx", 1.0), ("vy", 0.5)):
        ok = np.isfinite(ds[name].values)
        inside.append(np.abs(ds[name].values - ratio * expected)[ok] <= 1.96 * ds[f"{name}_std"].values[ok])
    return float(np.mean(np.concatenate(inside)))


@pytest.mark.parametrize("opposite", [False, True])
def test_bands_hold_where_pairs_share_images(opposite: bool) -> None:
    """Bands that take pairs for independent hold far less."""
    learnt, formal, rho = [], [], []
    for name, truth in {**TRUTHS, "walk": walk(0)}.items():
        for seed in range(4):
            truth = walk(seed) if name == "walk" else truth
            pairs = share_images(seed, truth, 0.15, opposite=opposite)
            ds = itslive.invert(pairs, AUTO)
            learnt.append(coverage(ds, truth))
            rho.append(ds.attrs["image_correlation"])
            formal.append(coverage(itslive.invert(pairs, FORMAL), truth))
    assert 0.02 <= np.mean(rho) <= 0.17
    assert np.mean(learnt) >= 0.92
    assert np.mean(formal) <= 0.88


def test_independent_pairs_keep_their_credit() -> None:
    """Though they share images: then the estimate is that without any correlation."""
    rho, learnt = [], []
    for seed in range(8):
        truth = walk(seed)
        ds = itslive.invert(share_images(seed, truth, 0.0), AUTO)
        rho.append(ds.attrs["image_correlation"])
        learnt.append(coverage(ds, truth))
    assert np.mean(rho) < 0.005
    assert np.mean(learnt) >= 0.92


# ------------------------------------------------------------------------------------------------ smoothing


ONE = {"S2": 1.0}


def compare(name: str, *settings: InversionSettings, seeds: int = 8, n: int = 500) -> np.ndarray:
    """Give the error of each of some settings on a truth, shape (seeds, settings)."""
    truth = TRUTHS[name]
    return np.array(
        [
            [rmse(itslive.invert(pairs, s), truth) for s in settings]
            for pairs in (observe(seed, n, truth, scales=ONE, shares=(1.0,)) for seed in range(seeds))
        ]
    )


@pytest.mark.parametrize(
    ("name", "most"),
    [("surge", 0.8), ("quiet", 1.1), ("seasonal", 1.1), ("sharp season", 1.1), ("accelerating", 1.1)],
)
def test_smoothing_that_changes_in_time(name: str, most: float) -> None:
    """It follows a surge better, and costs little where the smoothness is the same at all times."""
    varying, constant = compare(name, replace(AUTO, uncertainty=False), CONSTANT).mean(axis=0)
    assert varying <= most * constant


def test_a_surge_is_smoothed_less_than_the_rest() -> None:
    pairs = observe(3, 800, surge, scales=ONE, shares=(1.0,))
    solution = solve_point(pairs, AUTO)
    assert solution.result.learnt is not None
    profile, t = solution.result.learnt.profile[0], solution.shared.grid.centres
    during, after = np.abs(t - 17_725) < 100, t > 18_100
    assert np.median(profile[after]) > 10 * np.median(profile[during])


def test_automatic_smoothing_is_near_the_best_constant_one() -> None:
    """Or better, where a series repeats or is smoother at some times than at others."""
    candidates = [
        replace(CONSTANT, smoothing=x, noise="learnt", offsets="mission") for x in np.geomspace(10, 3e5, 8)
    ]
    ratio = {}
    for name in TRUTHS:
        auto, *rest = compare(name, replace(AUTO, uncertainty=False), *candidates, seeds=4).T
        ratio[name] = np.mean(auto) / np.mean(np.min(rest, axis=0))
    assert max(ratio.values()) <= 1.5
    assert np.mean(list(ratio.values())) <= 1.0
    assert all(ratio[name] <= 0.9 for name in ("seasonal", "surge", "sharp season"))


@pytest.mark.parametrize("name", ["seasonal", "accelerating", "surge"])
def test_the_interval_leaves_the_smoothness_as_it_is(name: str) -> None:
    """lambda goes with the square root of the interval, and the series changes by less than its error."""
    pairs = observe(4, 800, TRUTHS[name], scales=ONE, shares=(1.0,))
    series = {h: itslive.invert(pairs, replace(AUTO, interval=h)) for h in (6.0, 12.0, 24.0, 60.0)}
    usual = series[12.0]

    def on_cells(h: float, common: float) -> dict[float, float]:
        cell = np.floor(
            (series[h]["time"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D") / common
        )
        return {c: float(series[h]["vx"].values[cell == c].mean()) for c in np.unique(cell)}

    for h, most in ((6.0, 1.5), (24.0, 0.02), (60.0, 0.02)):
        common = max(h, 12.0)
        one, other = on_cells(h, common), on_cells(12.0, common)
        inner = sorted(set(one) & set(other))[1:-1]  # cells at the ends may be longer than the pairs reach
        change = np.array([one[c] - other[c] for c in inner])
        assert float(np.sqrt(np.mean(change**2))) < most * float(usual["vx_std"].median())
        chosen = series[h].attrs["smoothing_used"] / usual.attrs["smoothing_used"]
        assert chosen == pytest.approx(np.sqrt(h / 12), rel=0.2)
        freedom = series[h].attrs["effective_degrees_of_freedom"]
        assert freedom == pytest.approx(usual.attrs["effective_degrees_of_freedom"], rel=0.15)


def slow(t: np.ndarray) -> np.ndarray:
    """A slow glacier that hurries for some weeks of the year, by less than the noise of most pairs."""
    return 40 + 20 * np.exp(-((((t / YEAR) % 1 - 0.5) / 0.08) ** 2))


def test_a_weak_season_is_not_taken_for_noise() -> None:
    """A straight line is no better explanation, though half of it is not seen."""
    ratios, inside = [], []
    for seed in (0, 1, 3, 4):
        pairs = observe(seed, 400, slow)
        ours = itslive.invert(pairs, AUTO)
        line = itslive.invert(pairs, replace(AUTO, smoothing=1e6, noise="learnt", offsets="mission"))
        ratios.append(rmse(ours, slow) / rmse(line, slow))
        inside.append(coverage(ours, slow))
    assert np.mean(ratios) < 0.95
    assert np.mean(inside) >= 0.8  # half of it is not seen


# ------------------------------------------------------------------------------------------- a given lambda


@pytest.mark.parametrize("smoothing", [30.0, 3000.0])
def test_a_given_lambda_is_the_plain_objective(smoothing: float) -> None:
    """By default nothing but robust weights is learnt then: the contract of the objective, exactly."""
    pairs = observe(5, 300, offset=40.0)
    given = itslive.invert(pairs, replace(AUTO, smoothing=smoothing))
    formal = itslive.invert(pairs, replace(FORMAL, smoothing=smoothing))
    for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std"):
        np.testing.assert_array_equal(given[name], formal[name])
    assert given.attrs["smoothing_used"] == smoothing
    assert not {"noise_scale", "mission_offset_vx", "image_correlation"} & set(given.attrs)

    grid, n = TimeGrid.covering(pairs.start, pairs.end, 12.0), len(pairs)
    weights = 1 / pairs.vx_error**2
    batch = PixelBatch(
        grid.operator(pairs.start, pairs.end), np.arange(n, dtype=np.int32), np.array([0, n]),
        np.arange(n, dtype=np.int32), pairs.vx, pairs.vy, weights / weights.mean(),
    )  # fmt: skip
    dense = DenseSolver().solve(batch, SolveOptions(2, smoothing, robust=True, uncertainty=True))
    np.testing.assert_allclose([given["vx"], given["vy"]], dense.values[0], rtol=1e-8)
    np.testing.assert_allclose([given["vx_std"], given["vy_std"]], dense.std[0], rtol=1e-7)


def test_around_a_given_lambda_all_can_be_learnt() -> None:
    pairs = observe(6, 800, surge, offset=40.0)
    settings = replace(AUTO, smoothing=300.0, noise="learnt", offsets="mission", smoothing_in_time="varying")
    ds = itslive.invert(pairs, settings)
    assert ds.attrs["smoothing_used"] == pytest.approx(300.0, rel=1e-9)
    learnt = solve_point(pairs, settings).result.learnt
    assert learnt is not None
    lam = learnt.profile[0, 1:-1]
    assert np.exp(np.log(lam).mean()) == pytest.approx(300.0, rel=1e-9)
    assert lam.max() > 5 * lam.min()
    assert of_mission(ds, "noise_scale", "S1") == pytest.approx(2.0, rel=0.15)
    assert of_mission(ds, "mission_offset_vx", "S1") == pytest.approx(40.0, abs=8.0)
    assert rmse(ds, surge) < 0.9 * rmse(itslive.invert(pairs, replace(AUTO, smoothing=300.0)), surge)


def test_settings_alone_decide_what_is_learnt() -> None:
    """Automatic lambda with everything else switched off learns no noise and no offsets."""
    pairs = observe(7, 300, offset=40.0)
    ds = itslive.invert(pairs, FORMAL)
    for name in ("noise_scale", "mission_offset_vx", "mission_season"):
        assert json.loads(ds.attrs[name]) == {}
    assert ds.attrs["image_correlation"] == 0


@pytest.mark.parametrize("criterion", ["evidence", "gcv"])
@pytest.mark.parametrize("robust", [True, False])
def test_a_chosen_lambda_alone_is_the_plain_objective(criterion: str, robust: bool) -> None:
    pairs = observe(7, 300, offset=40.0)
    chosen = replace(FORMAL, smoothing=criterion, robust=robust)
    found = itslive.invert(pairs, chosen)
    given = itslive.invert(pairs, replace(chosen, smoothing=found.attrs["smoothing_used"]))
    # Robust weights end where cells hardly move, and the choice of lambda moves them on the way.
    tolerance = 0.1 if robust else 1e-6
    for name in ("vx", "vy", "vx_std", "vy_std"):
        np.testing.assert_allclose(found[name], given[name], rtol=1e-3 * robust + 1e-8, atol=tolerance)
