"""Calendar means: windows, values, and errors that know that cells err together."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.errors import SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.inversion.point import solve_point
from itslive_core.moving_median.means import Median, averages
from itslive_core.moving_median.windows import medians, windows_of
from itslive_core.observations.pairs import ImagePairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.observations.windows import Windows, calendar_edges, seen_share, window_weights

PLAIN = itslive.InversionSettings(
    smoothing=30.0, weights="none", robust=False, outliers="none", noise="formal", offsets="none",
    smoothing_in_time="constant",
)  # fmt: skip
FIRST = 18_262.0  # 2020-01-01


def network(rng: np.random.Generator, n: int, days: float) -> tuple[np.ndarray, np.ndarray]:
    start = FIRST + rng.uniform(0.0, days - 60.0, n)
    return start, start + rng.choice([6.0, 12.0, 24.0, 48.0], n)


def pairs_of(start: np.ndarray, end: np.ndarray, vx: np.ndarray, vy: np.ndarray) -> ImagePairs:
    n = len(start)
    return ImagePairs.from_arrays(
        start, end, vx, vy, vx_error=np.full(n, 10.0), vy_error=np.full(n, 10.0),
        satellite_1=["1A"] * n, satellite_2=["1A"] * n,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("period", "edges"),
    [
        ("month", ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]),
        ("season", ["2019-12-01", "2020-03-01", "2020-06-01"]),
        ("year", ["2020-01-01", "2021-01-01"]),
    ],
)
def test_edges_are_those_of_the_calendar(period, edges):
    found = calendar_edges(FIRST, FIRST + 70.0, period)
    assert np.array_equal(found, np.array(edges, dtype="M8[D]").astype(float))
    december = calendar_edges(FIRST - 1.0, FIRST - 0.5, period)
    assert december[0] <= FIRST - 1.0 < december[1]
    before_1970 = calendar_edges(-400.0, -399.0, period)
    assert before_1970[0] <= -400.0 < before_1970[1]


def test_weights_are_the_shares_of_cells():
    edges = np.array([0.0, 30.0, 59.0, 200.0])
    weights = window_weights(10.0, 12.0, 5, edges)
    np.testing.assert_allclose(weights[0], np.array([12, 8, 0, 0, 0]) / 20)
    np.testing.assert_allclose(weights[1], np.array([0, 4, 12, 12, 1]) / 29)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert np.isnan(window_weights(10.0, 12.0, 5, np.array([-20.0, -10.0]))).all()
    np.testing.assert_allclose(seen_share(10.0, 12.0, np.array([1.0, 0, 0, 0, 0]), edges)[:2], [12 / 30, 0])


@pytest.mark.parametrize("derivative", [1, 2])
def test_errors_are_those_of_the_dense_covariance(derivative):
    rng = np.random.default_rng(1)
    start, end = network(rng, 150, 400.0)
    pairs = pairs_of(start, end, 100 + 5 * rng.standard_normal(150), 9 * rng.standard_normal(150))
    settings = replace(PLAIN, derivative=derivative)
    edges = calendar_edges(pairs.start.min(), pairs.end.max(), "month")
    solution = solve_point(pairs, settings, windows=edges)
    grid, used, means = solution.shared.grid, solution.pairs, solution.result.means
    a = grid.operator(used.start, used.end).to_dense()
    difference = np.diff(np.eye(grid.size), n=derivative, axis=0)
    normal = a.T @ a + (30.0 / 12.0**derivative) ** 2 * difference.T @ difference
    inverse = np.linalg.inv(normal)
    edf = np.trace(inverse @ a.T @ a)
    weights = window_weights(grid.first * 12.0, 12.0, grid.size, edges)
    for c, d in enumerate((used.vx, used.vy)):
        series = inverse @ a.T @ d
        scatter = ((d - a @ series) ** 2).sum() / (len(d) - edf)
        np.testing.assert_allclose(means.values[0, c], weights @ series, rtol=1e-8)
        expected = np.sqrt(scatter * np.einsum("gi,ij,gj->g", weights, inverse, weights))
        np.testing.assert_allclose(means.std[0, c], expected, rtol=1e-7)
        alone = np.sqrt(scatter * (weights**2 @ np.diag(inverse)))
        assert (np.abs(expected / alone - 1.0) > 0.1).any()  # cells do not err independently


def test_errors_hold_in_simulations():
    """A walk that the prior describes, seen with noise: errors over their std have a variance of 1."""
    rng = np.random.default_rng(2)
    noise, step, scores = 10.0, 4.0, []
    edges = calendar_edges(FIRST, FIRST + 700.0, "month")
    for _ in range(60):
        start, end = network(rng, 250, 700.0)
        pairs = pairs_of(start, end, start, end)
        grid = solve_point(pairs, PLAIN).shared.grid
        truth = 200 + np.cumsum(step * rng.standard_normal((2, grid.size)), axis=1)
        seen = grid.operator(start, end).to_dense() @ truth.T + noise * rng.standard_normal((250, 2))
        settings = replace(PLAIN, derivative=1, smoothing=12.0 * noise / step)
        means = solve_point(pairs_of(start, end, *seen.T), settings, windows=edges).result.means
        weights = window_weights(grid.first * 12.0, 12.0, grid.size, edges)
        inside = np.isfinite(weights[:, 0])
        wanted = truth @ weights[inside].T
        scores.append((means.values[0][:, inside] - wanted) / means.std[0][:, inside])
    assert np.sqrt(np.mean(np.concatenate(scores, axis=1) ** 2)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("settings", [itslive.InversionSettings(), PLAIN], ids=["learnt", "plain"])
def test_windows_that_are_cells_give_the_series(settings):
    rng = np.random.default_rng(3)
    start, end = network(rng, 200, 700.0)
    pairs = pairs_of(start, end, 300 + 10 * rng.standard_normal(200), 10 * rng.standard_normal(200))
    series = itslive.invert(pairs, settings)
    grid = solve_point(pairs, settings).shared.grid
    means = solve_point(pairs, settings, windows=grid.edges).result.means
    for c, name in enumerate(("vx", "vy")):
        seen = series["n_pairs"].values > 0
        np.testing.assert_allclose(means.values[0, c][seen], series[name].values[seen], rtol=1e-9)
        np.testing.assert_allclose(means.std[0, c][seen], series[f"{name}_std"].values[seen], rtol=1e-6)


def test_a_series_of_months():
    rng = np.random.default_rng(4)
    start, end = network(rng, 300, 700.0)
    gap = (end > FIRST + 150.0) & (start < FIRST + 215.0)  # nothing is seen of June
    pairs = pairs_of(start, end, np.full(300, 100.0) + rng.standard_normal(300), rng.standard_normal(300))
    pairs = pairs.take(~gap)
    months = itslive.calendar_means(pairs, PLAIN)
    assert months.attrs["means"] == "month"
    assert pd.DatetimeIndex(months["time_bnds"].values[:, 0]).is_month_start.all()
    by_month = months.assign_coords(time=months["time_bnds"].values[:, 0])
    assert np.isnan(by_month["v"].sel(time="2020-06").item())
    assert by_month["n_pairs"].sel(time="2020-06").item() == 0
    assert by_month["coverage"].sel(time="2020-06").item() == pytest.approx(0.0, abs=1e-9)
    known = months["v"].notnull()
    np.testing.assert_allclose(months["vx"].where(known, drop=True), 100.0, atol=20.0)
    years = itslive.calendar_means(pairs, PLAIN, period="year")
    assert years["vx_std"][0] > 2 * years["vx_std"][1]  # what nobody saw of June is part of the error of 2020
    none = itslive.calendar_means(pairs.take(np.zeros(len(pairs), dtype=bool)), PLAIN)
    assert none.sizes["time"] == 0
    few = itslive.calendar_means(pairs.take(np.arange(3)), PLAIN)
    assert not few["v"].notnull().any()
    assert "too few pairs" in few.attrs["reason"]
    with pytest.raises(SettingsError, match="'week' are not known: choose from month"):
        itslive.calendar_means(pairs, PLAIN, period="week")


@pytest.mark.parametrize(
    "settings",
    [itslive.GaussianProcessSettings(), itslive.MovingMedianSettings(), PLAIN],
    ids=lambda one: type(one).__name__,
)
def test_periods_that_are_cells_give_the_series(settings):
    """Of every estimator, and of dates: periods of 12 days are the cells of the series."""
    rng = np.random.default_rng(5)
    start, end = network(rng, 250, 400.0)
    pairs = pairs_of(start, end, 300 + 10 * rng.standard_normal(250), 10 * rng.standard_normal(250))
    series = estimator_of(settings).point(pairs, settings)
    bounds = series["time_bnds"].values
    dates = np.datetime_as_string([*bounds[:, 0], bounds[-1, 1]], unit="D")
    means = itslive.calendar_means(pairs, settings, period=",".join(dates))
    assert np.array_equal(means["time_bnds"], bounds)
    for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std", "n_pairs", "coverage", "quality", "v_upper"):
        # Their inverse is found in two ways.
        np.testing.assert_allclose(means[name], series[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_errors_of_means_of_medians_hold_in_simulations():
    """Still ice, many pairs: the scatter of the means is what is told of it, as cells share their pairs."""
    rng = np.random.default_rng(6)
    start, end = network(rng, 6000, 400.0)
    grid, weights = TimeGrid.covering(start, end, 12.0), np.ones(6000)
    windows, moved = Windows(FIRST + np.array([31.0, 60.0, 366.0])), windows_of(grid, start, end, 90.0)
    means, std = [], []
    for _ in range(600):
        seen = 20.0 * rng.standard_normal(6000)
        one = Median(seen, *medians(moved, seen, weights, 3))
        mean, error = averages(grid, windows, moved, weights, one)
        means.append(mean)
        std.append(error)
    told = np.sqrt(np.mean(np.square(std), axis=0))
    np.testing.assert_allclose(told, np.std(means, axis=0), rtol=0.05)
    same = Median(np.full(6000, 7.0), np.full(grid.size, 7.0), np.full(grid.size, 0.3))
    mean, error = averages(grid, windows, moved, weights, same)
    np.testing.assert_allclose(mean, 7.0)
    assert ((error > 0.1) & (error <= 0.3)).all()  # all of one value: their rounding is left


def test_dates_in_place_of_periods():
    rng = np.random.default_rng(4)
    start, end = network(rng, 300, 700.0)
    pairs = pairs_of(start, end, np.full(300, 100.0) + rng.standard_normal(300), rng.standard_normal(300))
    found = itslive.calendar_means(pairs, PLAIN, period="2018, 2020-02,2020-08-15,2030")
    assert [str(day)[:10] for day in found["time_bnds"].values[:, 0]] == [
        "2018-01-01",
        "2020-02-01",
        "2020-08-15",
    ]
    assert np.array_equal(found["v"].notnull(), [False, True, False])  # one is half seen at least
    for wrong, words in (
        ("2020-01-01", "two dates or more"),
        ("2020-01-01,now", "are not known"),
        ("2020-02-30,2021", "are not known"),
        ("2021,2020", "not in order"),
    ):
        with pytest.raises(SettingsError, match=words):
            itslive.calendar_means(pairs, PLAIN, period=wrong)
    with pytest.raises(SettingsError, match="choose method 'span'"):
        itslive.calendar_means(pairs, itslive.GaussianProcessSettings(method="sklearn"))


def test_means_in_the_shell(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    trunk = DEMO_POINTS["trunk"]
    command = [str(demo_path().cubes[0]), "--lon", str(trunk.lon), "--lat", str(trunk.lat), "--start", "2019"]
    assert run(["invert", *command, "--smoothing", "30", "--means", "season", "-o", "seasons.nc", "-q"]) == 0
    pairs = itslive.open_cube(command[0]).pairs_at(trunk.lon, trunk.lat)
    settings, selection = itslive.InversionSettings(smoothing=30.0), itslive.PairSelection(start="2019")
    expected = itslive.calendar_means(pairs, settings, period="season", selection=selection)
    with xr.open_dataset("seasons.nc") as ds:
        np.testing.assert_array_equal(ds["v"], expected["v"])
        np.testing.assert_array_equal(ds["v_std"], expected["v_std"])
    itslive.rerun("seasons.nc", "again.csv")
    assert len(pd.read_csv("again.csv")) == expected.sizes["time"]
    assert run(["gp", *command, "--means", "week", "-o", "weeks.csv"]) == 2
    assert "'week' are not known" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (["invert"], itslive.InversionSettings(learn="pixel")),
        (["invert", "--smoothing", "30"], itslive.InversionSettings(smoothing=30.0)),
        (["gp"], None),
        (["median"], itslive.MovingMedianSettings()),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, list) else "",
)
def test_means_of_an_area_are_those_of_its_pixels(command, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cube, trunk = str(demo_path().cubes[0]), DEMO_POINTS["trunk"]
    # Two pixels; those of a Gaussian process share their hyperparameters, which a point has for itself.
    box = [
        "--bbox",
        *map(str, (trunk.lon - 0.003, trunk.lat - 0.0004, trunk.lon + 0.003, trunk.lat + 0.0004)),
    ]
    years = ["--start", "2017", "--means", "year", "-q"]
    extra = ["--learn", "pixel"] if command == ["invert"] else []
    assert run([*command, *extra, cube, *box, *years, "-o", "box.zarr"]) == 0
    with xr.open_zarr("box.zarr", chunks=None) as ds:
        assert "means" in ds.attrs
        starts = pd.DatetimeIndex(ds["time_bnds"].values[:, 0])
        assert starts.is_year_start.all()
        known = ds["v"].notnull()
        assert known.any("time").any()
        assert np.isfinite(ds["v_std"].values[known.values]).all()
        area = ds.load()
    if settings is None:
        return
    row, col = (int(at[0]) for at in np.nonzero(known.any("time").values))
    pairs = itslive.open_cube(cube).pairs_at(x=float(area["x"][col]), y=float(area["y"][row]))
    selection = itslive.PairSelection(start="2017")
    point = itslive.calendar_means(pairs, settings, period="year", selection=selection)
    pixel = area.isel(y=row, x=col).sel(time=point["time"])
    for name in ("vx", "vy", "v_std", "n_pairs", "coverage", "quality", "v_lower", "azimuth"):
        np.testing.assert_allclose(pixel[name], point[name], rtol=2e-4, atol=1e-3, err_msg=name)


def test_means_of_points_and_what_runs_them_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cube, trunk = str(demo_path().cubes[0]), DEMO_POINTS["trunk"]
    pathlib.Path("points.csv").write_text(
        f"lon,lat,name\n{trunk.lon},{trunk.lat},A\n{trunk.lon},{trunk.lat},B\n"
    )
    years = ["--points", "points.csv", "--start", "2017", "--means", "2018-01-01,2019-01-01,2019-07-01", "-q"]
    assert run(["median", cube, *years, "-o", "points.nc"]) == 0
    assert run(["rerun", "points.nc", "-o", "again.csv", "-q"]) == 0
    with xr.open_dataset("points.nc") as ds:
        assert ds.sizes == {"station": 2, "time": 2, "bnds": 2}
        table = pd.read_csv("again.csv")
        np.testing.assert_allclose(ds["v_std"].values.ravel(), table["v_std [m/yr]"], rtol=1e-9)
    box = [
        "--bbox",
        *map(str, (trunk.lon - 0.002, trunk.lat - 0.0004, trunk.lon + 0.002, trunk.lat + 0.0004)),
    ]
    assert run(["median", cube, *box, "--means", "season", "-q", "-o", "box.nc"]) == 0
    assert run(["rerun", "box.nc", "-o", "box.tif", "-q"]) == 0
    with xr.open_dataset("box.nc") as ds, rasterio.open("box.tif") as file:
        assert np.array_equal(file.read(), ds["v"].values, equal_nan=True)
