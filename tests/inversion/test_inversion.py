"""The inversion against the laws that any right one obeys, on the public API."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings
from itslive_core.observations.time_grid import TimeGrid
from tests.simulate import network, simulate

PLAIN = InversionSettings(smoothing=10.0, weights="none", robust=False, outliers="none")
ALL_WEIGHTS = ["none", "span", "error"]


def with_values(pairs: ImagePairs, vx: np.ndarray, vy: np.ndarray) -> ImagePairs:
    return replace(pairs, vx=np.asarray(vx, float), vy=np.asarray(vy, float))


def seen(ds: xr.Dataset, name: str = "vx") -> np.ndarray:
    return ds[name].values[ds["n_pairs"].values > 0]


@pytest.mark.parametrize("derivative", [1, 2])
@pytest.mark.parametrize("weights", ALL_WEIGHTS)
@pytest.mark.parametrize("smoothing", [0.1, 10.0, 1e4])
@pytest.mark.parametrize("robust", [False, True])
def test_constant_velocity_comes_back_exactly(
    derivative: int, weights: str, smoothing: float, robust: bool
) -> None:
    rng = np.random.default_rng(1)
    start, end = network(rng, 150)
    hole = (start < 17_900) & (end > 17_600)  # with a gap
    pairs = simulate(lambda t: 100.0 + 0 * t, start[~hole], end[~hole])
    settings = InversionSettings(smoothing, derivative, weights=weights, robust=robust, outliers="none")
    ds = itslive.invert(pairs, settings)
    np.testing.assert_allclose(seen(ds), 100.0, rtol=1e-6)
    np.testing.assert_allclose(seen(ds, "vy"), 50.0, rtol=1e-6)
    assert (ds["n_pairs"] == 0).any()


def test_linear_truth_with_ends_on_edges_comes_back_exactly() -> None:
    rng = np.random.default_rng(2)
    first = 1420 * 12.0
    i = rng.integers(0, 100, 300)
    j = i + rng.integers(1, 20, 300)
    pairs = simulate(lambda t: 50 + 0.1 * (t - first), first + 12.0 * i, first + 12.0 * j)
    ds = itslive.invert(pairs, PLAIN)
    centre = (ds["time"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    np.testing.assert_allclose(ds["vx"], 50 + 0.1 * (centre - first), rtol=1e-8)


def test_linear_truth_with_ends_inside_cells_is_within_the_cell_error() -> None:
    rng = np.random.default_rng(3)
    start, end = network(rng, 800, longest=120)
    slope, h = 0.1, 12.0
    ds = itslive.invert(simulate(lambda t: slope * (t - 17_000), start, end), PLAIN)
    centre = (ds["time"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    inner = slice(3, -3)
    error = np.abs(ds["vx"].values - slope * (centre - 17_000))[inner]
    assert error.max() <= slope * h**2 / (8 * 5)


@pytest.mark.parametrize("weights", ALL_WEIGHTS)
def test_heavy_smoothing_gives_the_weighted_mean_or_line(weights: str) -> None:
    rng = np.random.default_rng(4)
    start, end = network(rng, 200)
    pairs = simulate(lambda t: 100 + 20 * np.sin(t / 58.0), start, end, noise=lambda d: 100 / d + 2, rng=rng)
    w = {"none": np.ones(len(pairs)), "span": pairs.span**2, "error": 1 / pairs.vx_error**2}[weights]
    flat = itslive.invert(pairs, replace(PLAIN, derivative=1, smoothing=1e8, weights=weights))
    np.testing.assert_allclose(flat["vx"], np.average(pairs.vx, weights=w), rtol=1e-5)
    line = itslive.invert(pairs, replace(PLAIN, derivative=2, smoothing=1e9, weights=weights))
    grid = TimeGrid.covering(pairs.start, pairs.end, 12.0)
    t = grid.operator(pairs.start, pairs.end).apply(grid.centres - 17_000)
    slope, offset = np.polyfit(t, pairs.vx, 1, w=np.sqrt(w))
    np.testing.assert_allclose(line["vx"], offset + slope * (grid.centres - 17_000), atol=1e-2)


@pytest.mark.parametrize("derivative", [1, 2])
def test_no_smoothing_returns_a_piecewise_constant_truth(derivative: int) -> None:
    rng = np.random.default_rng(5)
    cells = 40
    truth = rng.normal(100, 30, cells)
    first = 1500
    i = np.concatenate([np.arange(cells), rng.integers(0, cells - 5, 100)])
    j = np.concatenate([np.arange(cells) + 1, i[cells:] + rng.integers(1, 6, 100)])
    grid = TimeGrid(12.0, first, cells)
    start, end = 12.0 * (first + i), 12.0 * (first + j)
    d = grid.operator(start, end).apply(truth)
    ds = itslive.invert(
        ImagePairs.from_arrays(start, end, d, d), replace(PLAIN, smoothing=1e-4, derivative=derivative)
    )
    np.testing.assert_allclose(ds["vx"], truth, rtol=1e-6)


def test_triples_close() -> None:
    """Displacement over (a, c) is that over (a, b) plus that over (b, c), for the fitted series."""
    rng = np.random.default_rng(6)
    start, end = network(rng, 300)
    ds = itslive.invert(simulate(lambda t: 100 + 30 * np.sin(t / 58.0), start, end), PLAIN)
    grid = TimeGrid.covering(start, end, 12.0)
    v = np.nan_to_num(ds["vx"].values)
    a, b, c = 17_100.3, 17_250.9, 17_403.1
    ab, bc, ac = grid.operator(np.array([a, b, a]), np.array([b, c, c])).apply(v)
    assert (c - a) * ac == pytest.approx((b - a) * ab + (c - b) * bc, rel=1e-12)


def test_order_and_swapped_images_do_not_matter() -> None:
    rng = np.random.default_rng(7)
    start, end = network(rng, 200)
    pairs = simulate(lambda t: 100 + 30 * np.sin(t / 58.0), start, end, noise=5.0, rng=rng)
    ds = itslive.invert(pairs)
    order = rng.permutation(len(pairs))
    shuffled = itslive.invert(pairs.take(order))
    np.testing.assert_allclose(shuffled["vx"], ds["vx"], rtol=1e-7)
    np.testing.assert_allclose(shuffled["vx_std"], ds["vx_std"], rtol=1e-6)
    swap = rng.random(len(pairs)) < 0.5
    turned = ImagePairs.from_arrays(
        np.where(swap, end, start), np.where(swap, start, end), pairs.vx, pairs.vy,
        vx_error=pairs.vx_error, vy_error=pairs.vy_error,
    )  # fmt: skip
    np.testing.assert_array_equal(itslive.invert(turned)["vx"], ds["vx"])
    assert f"{swap.sum()} with swapped dates put right" in turned.history[-1].note


def test_pairs_that_share_both_images_weigh_twice() -> None:
    rng = np.random.default_rng(8)
    start, end = network(rng, 200)
    pairs = simulate(lambda t: 100 + 30 * np.sin(t / 58.0), start, end, noise=5.0, rng=rng)
    twice = pairs.take(np.repeat(np.arange(len(pairs)), 2))
    # Their means are the pairs themselves, but they are no copies of one another.
    apart = with_values(twice, twice.vx + np.tile([1.0, -1.0], len(pairs)), twice.vy)
    one = itslive.invert(pairs, PLAIN)
    # Weights have mean 1, so doubled pairs weigh twice as much: lambda^2 must double with them.
    two = itslive.invert(apart, replace(PLAIN, smoothing=10.0 * np.sqrt(2)))
    np.testing.assert_allclose(two["vx"], one["vx"], rtol=1e-7)


def test_span_weights_are_the_displacement_form() -> None:
    rng = np.random.default_rng(9)
    start, end = network(rng, 250)
    pairs = simulate(lambda t: 100 + 30 * np.sin(t / 58.0), start, end, noise=8.0, rng=rng)
    ds = itslive.invert(pairs, replace(PLAIN, weights="span"))
    grid = TimeGrid.covering(start, end, 12.0)
    days_in_cell = grid.operator(start, end).to_dense() * pairs.span[:, None]
    scale = np.sqrt(np.mean(pairs.span**2))
    d2 = np.diff(np.eye(grid.size), 2, axis=0) * 10.0 / 12.0**2
    stacked = np.vstack([days_in_cell / scale, d2])
    data = np.concatenate([pairs.vx * pairs.span / scale, np.zeros(len(d2))])
    expected = np.linalg.lstsq(stacked, data, rcond=None)[0]
    ok = ds["n_pairs"].values > 0
    np.testing.assert_allclose(ds["vx"].values[ok], expected[ok], rtol=1e-6)


def test_filters_inside_and_outside_agree() -> None:
    rng = np.random.default_rng(10)
    start, end = network(rng, 300)
    mission = rng.choice(["S1", "S2", "L8_9"], 300)
    pairs = simulate(lambda t: 100 + 30 * np.sin(t / 58.0), start, end, noise=5.0, rng=rng, mission=mission)
    limits = {"mission": ("S2", "L8_9"), "start": "2017-01-01", "end": "2019-06-30", "max_span": 200.0}
    inside = itslive.invert(pairs, selection=itslive.PairSelection(**limits))
    outside = itslive.invert(pairs.select(**limits))
    xr.testing.assert_equal(inside.drop_attrs(), outside.drop_attrs())
    assert inside.attrs["n_pairs_used"] == outside.attrs["n_pairs_used"] > 0


def test_gaps_are_nan_never_zero_and_coverage_is_the_union() -> None:
    rng = np.random.default_rng(11)
    start, end = network(rng, 300, longest=60)
    hole = (start < 17_800) & (end > 17_500)
    pairs = simulate(lambda t: 100 + 0 * t, start[~hole], end[~hole])
    ds = itslive.invert(pairs)
    empty = ds["n_pairs"].values == 0
    assert empty.sum() >= 24
    for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std"):
        assert np.isnan(ds[name].values[empty]).all()
        assert np.isfinite(ds[name].values[~empty]).all()
    grid = TimeGrid.covering(pairs.start, pairs.end, 12.0)
    np.testing.assert_allclose(ds["coverage"], grid.coverage(pairs.start, pairs.end), atol=1e-9)
    assert (ds["coverage"].values[empty] == 0).all()


@pytest.mark.parametrize("derivative", [1, 2])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
def test_too_few_pairs_give_nan_and_a_reason(derivative: int, n: int) -> None:
    start = 17_000 + 20.0 * np.arange(n)
    pairs = ImagePairs.from_arrays(start, start + 30, np.full(n, 9.0), np.full(n, 1.0))
    ds = itslive.invert(pairs, InversionSettings(derivative=derivative))
    enough = n >= derivative + 3
    assert bool(np.isfinite(ds["v"]).any()) is enough
    reason = ds.attrs["reason"]  # constant data leave no residuals to judge the noise by
    assert (reason == "" or "no error bars" in reason) is enough
    assert ds.attrs["n_pairs_used"] == n


def test_the_same_pair_many_times_is_one_pair() -> None:
    pairs = ImagePairs.from_arrays(np.full(50, 17_000.0), np.full(50, 17_030.0), np.ones(50), np.ones(50))
    ds = itslive.invert(pairs)
    assert np.isnan(ds["v"]).all()
    assert "too few pairs" in ds.attrs["reason"]


@pytest.mark.parametrize("smoothing", ["auto", 300.0])
def test_outliers_lose_their_pull(smoothing: float | str) -> None:
    rng = np.random.default_rng(12)
    start, end = network(rng, 900, longest=90)

    def truth(t: np.ndarray) -> np.ndarray:
        return 200 + 60 * np.sin(2 * np.pi * t / 365.25)

    clean = simulate(truth, start, end, noise=20.0, rng=np.random.default_rng(1))
    bad = rng.random(len(clean)) < 0.2
    spoilt = with_values(
        clean, np.where(bad, clean.vx * 5 * rng.choice([-1, 1], len(bad)), clean.vx), clean.vy
    )
    settings = InversionSettings(smoothing=smoothing, weights="none", outliers="none")

    def rmse(pairs: ImagePairs, chosen: InversionSettings) -> float:
        ds = itslive.invert(pairs, chosen)
        t = (ds["time"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
        return float(np.sqrt(np.nanmean((ds["vx"].values - truth(t)) ** 2)))

    best = rmse(clean, settings)
    assert rmse(spoilt, settings) <= 1.3 * best
    assert rmse(spoilt, replace(settings, robust=False)) > 2 * best  # guards the test


def test_components_are_averaged_before_the_speed_is_taken() -> None:
    rng = np.random.default_rng(13)
    start, end = network(rng, 2000)
    pairs = simulate(lambda t: 0 * t, start, end, noise=50.0, rng=rng)
    assert pairs.v.mean() > 55
    ds = itslive.invert(pairs, InversionSettings(weights="none"))
    assert float(ds["v"].mean()) < 10


TRUTHS = {
    "seasonal": lambda t: 300 + 100 * np.sin(2 * np.pi * t / 365.25),
    "sharp season": lambda t: 300 + 400 * np.exp(-((((t / 365.25) % 1 - 0.5) / 0.07) ** 2)),
    "surge": lambda t: 100 + 800 * np.exp(-(((t - 17_700) / 60) ** 2)),
    "accelerating": lambda t: 100 + 3e-4 * (t - 17_000) ** 2,
}


@pytest.mark.parametrize(
    ("criterion", "worst", "mean"), [("evidence", 1.45, 1.2), ("gcv", 1.2, 1.05), ("auto", 1.45, 1.2)]
)
def test_chosen_smoothing_is_near_the_best(criterion: str, worst: float, mean: float) -> None:
    """On each truth lambda is within a factor 3 of the best constant one, and the error near its error.

    The evidence, and with it auto, is up to 45 % off where the truth is far smoother than the prior (a
    Gaussian surge).
    """
    ratios, free = [], []
    for truth in TRUTHS.values():
        rng = np.random.default_rng(14)
        start, end = network(rng, 1500, longest=200)
        pairs = simulate(truth, start, end, noise=lambda d: 400 / d + 3, rng=rng)
        expected = truth(TimeGrid.covering(pairs.start, pairs.end, 12.0).centres)

        def estimate(
            smoothing: float | str,
            in_time: str = "constant",
            pairs: ImagePairs = pairs,
            expected: np.ndarray = expected,
        ) -> tuple[float, float]:
            settings = InversionSettings(
                smoothing=smoothing, smoothing_in_time=in_time, noise="formal", robust=False,
                outliers="none", uncertainty=False,
            )  # fmt: skip
            ds = itslive.invert(pairs, settings)
            return float(np.sqrt(np.nanmean((ds["vx"].values - expected) ** 2))), ds.attrs["smoothing_used"]

        best, best_smoothing = min(estimate(value) for value in np.geomspace(3, 1e5, 28))
        error, chosen = estimate(criterion)
        # Beside a part that repeats every year, lambda is that of what does not.
        assert criterion == "auto" or 1 / 3 <= chosen / best_smoothing <= 3
        free.append(estimate(criterion, "varying")[0] / best)
        ratios.append(error / best)
    assert max(ratios) <= worst
    assert np.mean(ratios) <= mean
    assert max(free) <= worst
    assert np.mean(free) <= np.mean(ratios)  # a smoothing that changes in time follows a surge better


def test_smoothness_does_not_depend_on_the_interval() -> None:
    rng = np.random.default_rng(15)
    start, end = network(rng, 1200, longest=200)
    pairs = simulate(
        lambda t: 300 + 100 * np.sin(2 * np.pi * t / 365.25), start, end, noise=lambda d: 400 / d + 3, rng=rng
    )
    fine, coarse = (itslive.invert(pairs, InversionSettings(interval=h)) for h in (6.0, 24.0))
    assert coarse.attrs["smoothing_used"] / fine.attrs["smoothing_used"] == pytest.approx(2.0, rel=0.3)
    half = fine["vx"].interp(time=coarse["time"]).values
    assert np.nanstd(half - coarse["vx"].values) < 3.0


def test_bands_hold_where_the_model_holds() -> None:
    """Independent noise, a truth drawn from the prior: 95 % bands hold 92 to 98 %."""
    rng = np.random.default_rng(16)
    start, end = network(rng, 600, longest=100)
    grid = TimeGrid.covering(start, end, 12.0)
    operator = grid.operator(start, end)
    inside, total = 0, 0
    for _ in range(40):
        truth = 100 + np.cumsum(np.cumsum(rng.normal(0, 2.0, (2, grid.size)), axis=1), axis=1)
        noisy = [operator.apply(row) + rng.normal(0, 10.0, len(start)) for row in truth]
        ds = itslive.invert(
            ImagePairs.from_arrays(start, end, *noisy),
            InversionSettings(weights="none", robust=False, outliers="none"),
        )
        for row, name in zip(truth, ("vx", "vy"), strict=True):
            ok = np.isfinite(ds[name].values)
            error = np.abs(ds[name].values - row)[ok]
            inside += int((error <= 1.96 * ds[f"{name}_std"].values[ok]).sum())
            total += int(ok.sum())
    assert 0.92 <= inside / total <= 0.98


def test_attributes_say_how_it_was_made() -> None:
    rng = np.random.default_rng(17)
    start, end = network(rng, 200)
    pairs = simulate(
        lambda t: 100 + 0 * t, start, end, noise=3.0, rng=rng,
        x=784_000.0, y=3_313_000.0, lon=95.9, lat=29.9, epsg=32646, cube_url="cube.zarr",
        date_updated="today",
    )  # fmt: skip
    ds = itslive.invert(pairs, InversionSettings(interval=10), selection=itslive.PairSelection(min_span=6))
    for name, value in InversionSettings(interval=10).to_dict().items():
        assert ds.attrs[name] == value
    assert InversionSettings.from_json(_settings_of(ds)) == InversionSettings(interval=10)
    counts = [name for name in ds.attrs if name.startswith("n_pairs_")]
    assert counts[0] == "n_pairs_read"
    assert counts[-1] == "n_pairs_used"
    assert "n_pairs_span" in counts
    assert ds.attrs["cube_url"] == "cube.zarr"
    assert ds.attrs["cube_date_updated"] == "today"
    assert ds.attrs["itslive_core_version"] == itslive.__version__
    assert ds.attrs["smoothing_used"] > 0
    assert ds["mapping"].attrs["spatial_epsg"] == 32646
    assert ds["vx"].attrs["grid_mapping"] == "mapping"
    assert {"x", "y", "lon", "lat"} <= set(ds.coords)
    assert all(ds[name].dtype == "float64" for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std"))


def _settings_of(ds: xr.Dataset) -> str:
    import json

    values = json.loads(ds.attrs["settings"])
    assert values.pop("method") == "inversion"
    return json.dumps(values)


@pytest.mark.parametrize("speed", [60.0, 5.0])
def test_the_choice_of_smoothing_does_not_depend_on_the_order_of_pairs(speed: float) -> None:
    rng = np.random.default_rng(21)
    start, end = network(rng, 400, longest=200)
    pairs = simulate(
        lambda t: speed + 0 * t, start, end, noise=lambda d: 300 / d + 3, rng=rng
    )  # flat evidence
    chosen = {
        itslive.invert(pairs.take(rng.permutation(len(pairs)))).attrs["smoothing_used"] for _ in range(10)
    }
    assert len(chosen) == 1


def test_no_residuals_mean_no_error_bars_with_a_reason() -> None:
    start = 17_000 + 20.0 * np.arange(30)
    ds = itslive.invert(ImagePairs.from_arrays(start, start + 40, np.zeros(30), np.zeros(30)))
    assert (seen(ds) == 0).all()
    assert np.isnan(ds["vx_std"]).all()
    assert "no error bars" in ds.attrs["reason"]


def test_missing_errors_take_their_missions_median() -> None:
    rng = np.random.default_rng(18)
    start, end = network(rng, 200)
    mission = np.where(np.arange(200) < 100, "S2", "L8_9")
    pairs = simulate(lambda t: 100 + 0 * t, start, end, noise=lambda d: 100 / d + 2, rng=rng, mission=mission)
    bad = np.array([3, 50, 120])
    error = pairs.vx_error.copy()
    error[bad] = [np.nan, 0.0, -1.0]
    filled = pairs.vx_error.copy()
    ok = np.setdiff1d(np.arange(200), bad)
    for i in bad:
        filled[i] = np.median(error[ok][mission[ok] == mission[i]])
    holes = replace(pairs, vx_error=error, vy_error=error)
    explicit = replace(pairs, vx_error=filled, vy_error=filled)
    np.testing.assert_allclose(itslive.invert(holes)["vx"], itslive.invert(explicit)["vx"], rtol=1e-9)


def test_speed_and_its_band() -> None:
    from itslive_core.series import speed_and_std

    vx, vy = np.array([3.0, 0.0]), np.array([4.0, 0.0])
    v, std = speed_and_std(vx, vy, np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    np.testing.assert_allclose(v, [5.0, 0.0])
    np.testing.assert_allclose(std, [np.hypot(3, 8) / 5, np.sqrt(12.5)])
