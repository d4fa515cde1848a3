"""The Gaussian process on simulated pixels: contract, truth, gaps, parts, fallbacks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core import GaussianProcessSettings, ImagePairs, PairSelection
from itslive_core.errors import SettingsError
from itslive_core.gaussian_process import reference as reference_gp
from itslive_core.gaussian_process.component import Trust, robust_weights
from itslive_core.gaussian_process.data import PixelData, dense_rows
from itslive_core.gaussian_process.fit import fit_steps
from itslive_core.gaussian_process.point import CancelledError
from itslive_core.observations.missions import MISSIONS, reference_mission
from itslive_core.observations.time_grid import TimeGrid
from tests.simulate import network, simulate

YEAR = 365.25
FIRST, LENGTH = 16_436.0, 6 * YEAR
ANGLE = np.arctan(0.5)  # `simulate` makes vy half of vx


def yearly(t: np.ndarray) -> np.ndarray:
    """vx of a glacier with a trend and a sharp peak each summer, from spring on slowly rising [m/yr]."""
    year = t / YEAR
    peak = 120 * np.exp(-0.5 * (((year - 0.6 + 0.5) % 1 - 0.5) / 0.09) ** 2)
    return 400 + 6 * (year - 47) + peak + 20 * np.sin(2 * np.pi * year)


def speed_along(t: np.ndarray) -> np.ndarray:
    """The same, with a surge."""
    year = t / YEAR
    return yearly(t) + 150 / (1 + np.exp(-(year - 48.2) / 0.06)) / (1 + np.exp((year - 49.1) / 0.06))


def pixel(
    n: int = 1200,
    *,
    seed: int = 1,
    outliers: float = 0.05,
    hole: tuple[float, float] | None = None,
    truth=speed_along,
) -> ImagePairs:
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, first=FIRST, length=LENGTH)
    if hole is not None:
        keep = (end < hole[0]) | (start > hole[1])
        start, end = start[keep], end[keep]
    mission = rng.choice(["S2", "L8_9", "S1"], len(start), p=[0.6, 0.3, 0.1])
    factor = np.array([{"S2": 1.0, "L8_9": 1.5, "S1": 2.0}[m] for m in mission])
    pairs = simulate(truth, start, end, mission=mission, rng=rng)
    formal = 250 / pairs.span + 2
    noise = factor * formal * rng.normal(size=(2, len(pairs)))
    wild = rng.random(len(pairs)) < outliers
    noise[:, wild] *= rng.uniform(8, 40, wild.sum())
    return replace(
        pairs,
        vx=pairs.vx + noise[0],
        vy=pairs.vy + noise[1],
        vx_error=formal,
        vy_error=formal,
        epsg=32646,
        x=1.0,
        y=2.0,
        lon=3.0,
        lat=4.0,
        cube_url="cube.zarr",
    )


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    return pixel()


@pytest.fixture(scope="module")
def series(pairs: ImagePairs) -> xr.Dataset:
    return itslive.fit_gaussian_process(pairs)


def true_cells(ds: xr.Dataset, truth=speed_along) -> np.ndarray:
    bounds = (ds["time_bnds"].values - np.datetime64(0, "ns")) / np.timedelta64(1, "D")
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = 0.5 * np.diff(bounds, axis=1)
    return truth(bounds.mean(axis=1)[:, None] + half * nodes) @ weights / 2


def inner(ds: xr.Dataset) -> slice:
    return slice(3, ds.sizes["time"] - 3)


def test_contract_of_the_dataset(pairs: ImagePairs, series: xr.Dataset) -> None:
    inverted = itslive.invert(pairs)
    xr.testing.assert_equal(series["time"], inverted["time"])
    xr.testing.assert_equal(series["time_bnds"], inverted["time_bnds"])
    np.testing.assert_array_equal(series["n_pairs"], inverted["n_pairs"])
    np.testing.assert_allclose(series["coverage"], inverted["coverage"], atol=1e-12)
    for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std"):
        assert series[name].dtype == np.float64
        assert series[name].notnull().all()
        assert series[name].attrs["units"] == "m/yr"
        assert series[name].attrs["grid_mapping"] == "mapping"
    np.testing.assert_allclose(series["v"], np.hypot(series["vx"], series["vy"]))
    attributes = series.attrs
    assert GaussianProcessSettings.from_json(attributes["settings"]) == GaussianProcessSettings()
    assert attributes["method"] == "gaussian_process"
    assert list(attributes)[-1] == "n_pairs_used"
    assert attributes["n_pairs_used"] == inverted.attrs["n_pairs_used"] > 1190
    assert attributes["cube_url"] == "cube.zarr"
    assert attributes["reason"] == ""
    assert attributes["reference_mission"] == "S2"
    assert float(series["lon"]) == 3.0


def test_it_finds_the_truth_and_knows_how_well(series: xr.Dataset) -> None:
    k = inner(series)
    error = (series["vx"].values - true_cells(series))[k]
    assert np.sqrt(np.mean(error**2)) < 13
    inside = np.abs(error) < 1.96 * series["vx_std"].values[k]
    assert 0.92 <= inside.mean() <= 0.99
    assert series["vx_std"].values[k].mean() < 15


def test_noise_and_season_are_learnt(series: xr.Dataset) -> None:
    factor = series["noise_factor"].sel(component="along")
    for mission, expected in (("S2", 1.0), ("L8_9", 1.5), ("S1", 2.0)):
        assert float(factor.sel(mission=mission)) == pytest.approx(expected, rel=0.25)
    assert np.all(np.abs(series["mission_offset"]) < 3 * series["mission_offset_std"] + 1e-9)
    assert float(series["season_scale"][0]) > 10
    assert "season varies by about" in series.attrs["findings"]
    assert series.attrs["evidence_gain_over_constant"] > 100
    assert series.attrs["flow_direction_degrees"] == pytest.approx(np.degrees(ANGLE), abs=1.0)


def test_peaks_of_the_season_are_not_flattened_by_long_spans(series: xr.Dataset) -> None:
    truth, found = true_cells(series), series["vx"].values
    year = (series["time"].values - np.datetime64(0, "ns")) / np.timedelta64(1, "D") / YEAR
    bias = []
    for number in range(46, 50):
        near = np.flatnonzero(np.abs(year - number - 0.6) < 0.06)
        at = near[np.argmax(truth[near])]
        bias.append(found[at] - truth[at])
    assert abs(np.mean(bias)) < 0.1 * 120


def test_parts_add_up(series: xr.Dataset) -> None:
    c, s = (f(np.radians(series.attrs["flow_direction_degrees"])) for f in (np.cos, np.sin))
    whole = c * series["vx"] + s * series["vy"]
    total = series["trend"] + series["season"] + series["roughness"]
    np.testing.assert_allclose(total, whole, rtol=1e-10)
    for part in ("trend", "season", "roughness"):
        assert (series[f"{part}_std"] > 0).all()


def test_covariance_turns_with_the_axes(pairs: ImagePairs, series: xr.Dataset) -> None:
    turned = itslive.fit_gaussian_process(replace(pairs, vx=-pairs.vy, vy=pairs.vx))
    np.testing.assert_allclose(turned["vy"], series["vx"], rtol=1e-5)
    np.testing.assert_allclose(turned["vy_std"], series["vx_std"], rtol=1e-3)
    np.testing.assert_allclose(turned["vx_vy_cov"], -series["vx_vy_cov"], rtol=1e-2, atol=1e-2)
    # The variance of v is that along the velocity.
    direction = np.stack([series["vx"], series["vy"]]) / series["v"].values
    along = (direction[0] * series["vx_std"]) ** 2 + (direction[1] * series["vy_std"]) ** 2
    along += 2 * direction[0] * direction[1] * series["vx_vy_cov"]
    np.testing.assert_allclose(series["v_std"] ** 2, along, rtol=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_polar_night_is_filled_and_the_band_widens_smoothly(seed: int) -> None:
    inside = []
    for winter in (46, 48):
        hole = ((winter + 0.9) * YEAR, (winter + 1.233) * YEAR)
        ds = itslive.fit_gaussian_process(pixel(900, seed=seed, hole=hole, outliers=0.0, truth=yearly))
        at = np.flatnonzero(ds["coverage"].values == 0)
        assert len(at) >= 9
        std = ds["vx_std"].values
        inside += (np.abs(ds["vx"].values - true_cells(ds, yearly)) < 1.96 * std)[at].tolist()
        assert std[at].max() > 1.03 * std[at[0] - 3]
        assert np.all(np.abs(np.diff(std[at])) < 0.15 * std[at].max())
    assert np.mean(inside) >= 0.9


def test_an_offset_of_a_mission_is_found_and_taken_out(pairs: ImagePairs, series: xr.Dataset) -> None:
    moved = pairs.mission == "S1"
    shifted = replace(pairs, vx=pairs.vx + np.where(moved, 60.0, 0.0), vy=pairs.vy + np.where(moved, 30, 0.0))
    ds = itslive.fit_gaussian_process(shifted)
    offset = float(ds["mission_offset"].sel(component="along", mission="S1"))
    std = float(ds["mission_offset_std"].sel(component="along", mission="S1"))
    assert offset == pytest.approx(np.hypot(60, 30), abs=4 * std + 3)
    np.testing.assert_allclose(ds["vx"][inner(ds)], series["vx"][inner(ds)], atol=8)
    blind = itslive.fit_gaussian_process(shifted, GaussianProcessSettings(offsets=False))
    assert "reference_mission" not in blind.attrs
    assert (blind["mission_offset"] == 0).all()


def test_parts_can_be_left_out(pairs: ImagePairs) -> None:
    ds = itslive.fit_gaussian_process(pairs, GaussianProcessSettings(trend=False, season=False))
    assert "season" not in ds
    assert "trend_scale" not in ds
    assert np.ptp(ds["trend"].values) == pytest.approx(0.0, abs=1e-9)  # the level


def test_errors_that_pairs_of_the_same_days_share_are_no_velocity() -> None:
    """Fluctuations from cell to cell that all pairs see alike stay out of the series."""
    rng = np.random.default_rng(5)
    quiet = simulate(lambda t: 50 + 0 * t, *network(rng, 900, first=FIRST, length=LENGTH, longest=60.0))
    grid = TimeGrid.covering(quiet.start, quiet.end, 12.0)
    shared = grid.operator(quiet.start, quiet.end).apply(40 * rng.normal(size=grid.size))
    own = 10 * rng.normal(size=(2, len(quiet)))
    ds = itslive.fit_gaussian_process(replace(quiet, vx=quiet.vx + shared + own[0], vy=quiet.vy + own[1]))
    error = ds["vx"].values[inner(ds)] - 50
    assert np.sqrt(np.mean(error**2)) < 10
    assert np.mean(np.abs(error) < 2 * ds["vx_std"].values[inner(ds)]) > 0.9
    assert float(ds["shared_noise"][0]) > 20


def test_noise_alone_is_a_constant_with_a_reason() -> None:
    rng = np.random.default_rng(2)
    still = simulate(lambda t: 3 + 0 * t, *network(rng, 400, first=FIRST, length=LENGTH), noise=12.0, rng=rng)
    ds = itslive.fit_gaussian_process(still)
    assert ds.attrs["reason"].startswith("a constant: the pairs do not tell")
    assert np.ptp(ds["vx"].values) < 0.1
    assert abs(float(ds["vx"][0]) - 3) < 3 * float(ds["vx_std"][0])
    assert float(ds["vx_std"].max()) < 3


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_pairs_give_a_constant_with_a_reason(n: int) -> None:
    few = pixel(60, outliers=0.0).take(np.arange(n))
    ds = itslive.fit_gaussian_process(few)
    assert "at least 8 are needed" in ds.attrs["reason"]
    assert ds["vx"].notnull().all()
    assert (ds["vx_std"] > 0).all()
    assert np.ptp(ds["vx"].values) < 1


def test_one_short_pair_is_one_cell() -> None:
    one = ImagePairs.from_arrays([16_442.0], [16_448.0], [10.0], [0.0])
    ds = itslive.fit_gaussian_process(one)
    assert ds.sizes["time"] == TimeGrid.covering(one.start, one.end, 12.0).size
    assert float(ds["vx"][0]) == pytest.approx(10.0, abs=1.0)


def test_no_pairs_give_an_empty_axis_and_a_reason(pairs: ImagePairs) -> None:
    ds = itslive.fit_gaussian_process(pairs, selection=PairSelection(mission=("L4_5",)))
    assert ds.sizes["time"] == 0
    assert "all pairs were filtered out" in ds.attrs["reason"]
    assert ds.attrs["n_pairs_used"] == 0


def test_the_quick_pass_comes_first_and_is_close(pairs: ImagePairs) -> None:
    quick, refined = itslive.fit_gaussian_process_steps(pairs)
    assert (quick.attrs["refined"], refined.attrs["refined"]) == (0, 1)
    apart = np.abs(quick["vx"] - refined["vx"]) / refined["vx_std"]
    assert float(apart.median()) < 0.5


def test_a_fit_can_be_cancelled(pairs: ImagePairs) -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) > 12

    with pytest.raises(CancelledError):
        itslive.fit_gaussian_process(pairs, cancelled=cancelled)
    assert len(asked) == 13


def test_known_inflation_of_the_noise_follows_the_pairs(pairs: ImagePairs, series: xr.Dataset) -> None:
    doubtful = pairs.mission == "L8_9"
    factors = np.where(doubtful, 400.0, 1.0)
    chosen = PairSelection(start="2015-06-01")
    ds = itslive.fit_gaussian_process(pairs, selection=chosen, inflation=factors)
    factor = ds["noise_factor"].sel(component="along")
    expected = float(series["noise_factor"].sel(component="along", mission="L8_9")) / 20
    assert float(factor.sel(mission="L8_9")) == pytest.approx(expected, rel=0.2)
    with pytest.raises(SettingsError, match="one number above 0 for each of the 1,200 pairs"):
        itslive.fit_gaussian_process(pairs, inflation=factors[1:])


def test_scikit_learn_for_comparison(pairs: ImagePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    short = pairs.take(np.flatnonzero(pairs.span < 30)[:150])
    monkeypatch.setattr(reference_gp, "LARGE", 100)
    with pytest.warns(UserWarning, match="on 150 pairs takes minutes"):
        ds = itslive.fit_gaussian_process(short, GaussianProcessSettings(method="sklearn"))
    assert "trend" not in ds
    assert ds["v_std"].notnull().all()
    error = np.abs(ds["vx"] - true_cells(ds))[inner(ds)]
    assert float(error.median()) < 60
    assert "Matern" in ds.attrs["kernel_vx"]


@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_of_noise_and_kernel_equal_finite_differences(seed: int) -> None:
    some = pixel(250, seed=seed)
    data = PixelData.make(
        some.start,
        some.end,
        some.vx,
        some.vy,
        some.vx_error,
        some.vy_error,
        np.array([MISSIONS.index(m) for m in some.mission]),
    )
    *_, fit = fit_steps(data, 12.0, trend=True, harmonics=3, offsets=True)
    credit = np.random.default_rng(seed).uniform(0.2, 1.0, len(data))
    trust, theta = Trust(fit.trust.u, credit), fit.theta
    assert fit.components[0].layout.calm is not None
    for component in fit.components:
        spreads = np.array([p.spread for p in component.priors.values()])

        def evidence(theta: np.ndarray, component=component) -> float:
            values = component.values(theta)
            return component.posterior(values, component.weigh(values, trust)).log_evidence

        values = component.values(theta)
        weighed = component.weigh(values, trust)
        found = spreads * component.gradient(values, weighed, component.posterior(values, weighed))
        step, expected = 3e-4, []
        for unit in np.eye(len(theta)):
            f = [evidence(theta + k * step * unit) for k in (-2, -1, 1, 2)]
            expected.append(-(f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_robust_weights_are_those_of_a_student_t() -> None:
    u = robust_weights([np.array([1.0, 0.0, 400.0]), np.array([1.0, 0.0, 400.0])])
    np.testing.assert_allclose(u, [1.0, 8 / 6, 8 / 806])


def test_the_dense_years_and_the_reference_mission() -> None:
    old = np.arange(5000.0, 14_000.0, 100.0)
    new = np.linspace(16_000.0, 20_000.0, 2000)
    rows = dense_rows(np.concatenate([old, new]), np.concatenate([old, new]) + 30)
    assert not rows[: len(old) - 10].any()
    assert rows[len(old) :].mean() > 0.95
    assert dense_rows(old, old + 30).all()
    assert MISSIONS[reference_mission(np.array([0, 5, 0, 95, 0, 0]))] == "L7"  # S2 has less than a tenth


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interval": 0.0}, "interval is 0.0: give a number from 1 to 120 days"),
        ({"interval": "x"}, "interval is 'x'"),
        ({"harmonics": 0}, "harmonics is 0"),
        ({"harmonics": 2.5}, "give a whole number"),
        ({"method": "magic"}, "choose from span, sklearn"),
        ({"season": "yes"}, "choose True or False"),
        ({"outliers": "all"}, "choose from none, auto"),
        ({"max_angle": 0.0}, "max_angle is 0.0"),
    ],
)
def test_impossible_settings_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        GaussianProcessSettings(**changes)


def test_rejections_are_those_of_the_inversion(pairs: ImagePairs) -> None:
    limits = {"max_error": 20.0, "max_deviation": 4.0}
    ds = itslive.fit_gaussian_process(pairs, GaussianProcessSettings(**limits))
    other = itslive.invert(pairs, itslive.InversionSettings(**limits))
    assert ds.attrs["n_pairs_used"] == other.attrs["n_pairs_used"] < len(pairs) - 50


def test_settings_travel_as_json() -> None:
    settings = GaussianProcessSettings(interval=6, season=False, harmonics=3)
    assert GaussianProcessSettings.from_json(settings.to_json()) == settings
    assert json.loads(settings.to_json())["interval"] == 6.0
    with pytest.raises(SettingsError, match="no setting of the Gaussian process"):
        GaussianProcessSettings.from_dict({"smoothing": 10})
    with pytest.raises(SettingsError, match="not JSON"):
        GaussianProcessSettings.from_json("{")
    with pytest.raises(SettingsError, match="not a JSON object"):
        GaussianProcessSettings.from_json("[1]")
