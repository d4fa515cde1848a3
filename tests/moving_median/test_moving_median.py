"""The moving median: windows and medians against their definitions, and the estimator in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.errors import SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.moving_median.windows import medians, windows_of
from itslive_core.observations.time_grid import TimeGrid
from tests.simulate import network
from tests.tiny_cube import write_cube

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def inside(grid: TimeGrid, start: NDArray, end: NDArray, window: float, k: int) -> NDArray[np.bool_]:
    """Which pairs lie in the window around a cell, by its definition."""
    centre = grid.centres[k]
    return (start >= centre - window / 2) & (end <= centre + window / 2)


@pytest.mark.parametrize("window", [5.0, 36.0, 90.0, 400.0])
@pytest.mark.parametrize("interval", [6.0, 12.0, 40.0])
def test_windows_hold_the_pairs_whose_whole_span_is_inside(window: float, interval: float) -> None:
    start, end = network(np.random.default_rng(1), 300, length=900, longest=200)
    grid = TimeGrid.covering(start, end, interval)
    windows = windows_of(grid, start, end, window)
    cells = np.arange(grid.size)
    for k in cells:
        own = inside(grid, start, end, window, k)
        np.testing.assert_array_equal((windows.first <= k) & (k <= windows.last), own)
        assert windows.held[k] == own.sum()


@pytest.mark.parametrize("least", [1, 4])
def test_without_weights_it_is_the_median(least: int) -> None:
    rng = np.random.default_rng(2)
    start, end = network(rng, 200, length=900, longest=60)
    grid = TimeGrid.covering(start, end, 12.0)
    values = np.rint(rng.normal(100, 9, 200))  # as stored: many are the same
    found, _ = medians(windows_of(grid, start, end, 90.0), values, np.ones(200), least)
    for k in range(grid.size):
        own = values[inside(grid, start, end, 90.0, k)]
        expected = np.median(own) if len(own) >= least else np.nan
        np.testing.assert_allclose(found[k], expected)


def test_half_of_the_weight_lies_on_either_side() -> None:
    rng = np.random.default_rng(3)
    start, end = network(rng, 300, length=700, longest=60)
    grid = TimeGrid.covering(start, end, 24.0)
    values, weights = rng.normal(100, 9, 300), rng.uniform(0.1, 9, 300)
    found, _ = medians(windows_of(grid, start, end, 120.0), values, weights, 3)
    seen = 0
    for k in np.flatnonzero(np.isfinite(found)):
        own = inside(grid, start, end, 120.0, k)
        half = 0.5 * weights[own].sum()
        assert weights[own][values[own] < found[k]].sum() <= half
        assert weights[own][values[own] > found[k]].sum() <= half
        seen += 1
    assert seen > 20


def test_two_thirds_of_all_medians_are_within_one_standard_error() -> None:
    """Of normal noise and of one with long tails, which the band does not need to know."""
    rng = np.random.default_rng(4)
    start = np.repeat(np.arange(0.0, 400.0, 20.0), 15)
    end = start + 10.0
    grid = TimeGrid(20.0, 0, 20)
    windows = windows_of(grid, start, end, 20.0)
    for draw in (rng.standard_normal, lambda size: rng.standard_t(2, size)):
        hits = []
        for _ in range(60):
            values = 500.0 + 40.0 * draw(len(start))
            found, std = medians(windows, values, np.ones(len(start)), 3)
            hits.append(np.abs(found - 500.0) < std)
        assert 0.60 < np.mean(hits) < 0.78


def make_pairs(n: int = 400) -> itslive.ImagePairs:
    rng = np.random.default_rng(5)
    start, end = network(rng, n, length=900, longest=150)
    vx, vy = 80 + rng.normal(0, 4, n), -60 + rng.normal(0, 4, n)
    error = np.full(n, 4.0)
    return itslive.ImagePairs.from_arrays(start, end, vx, vy, vx_error=error, vy_error=error)


def test_a_series_like_those_of_the_others() -> None:
    pairs = make_pairs()
    ds = itslive.fit_moving_median(pairs)
    other = itslive.invert(pairs, itslive.InversionSettings(smoothing=30.0))
    assert set(ds.data_vars) == set(other.data_vars)
    assert ds.attrs["method"] == "moving_median"
    assert itslive.MovingMedianSettings.from_json(ds.attrs["settings"]) == itslive.MovingMedianSettings()
    short = pairs.end - pairs.start <= 90.0
    assert ds.attrs["n_pairs_used"] == short.sum() == ds.attrs["n_pairs_window"]
    known = ds["v"].notnull()
    assert known.mean() > 0.7
    assert not (known & (ds["n_pairs"] == 0)).any()
    assert np.abs(ds["v"].values[known] - 100.0).max() < 15.0
    np.testing.assert_allclose(ds["v"], np.hypot(ds["vx"], ds["vy"]))


def test_a_window_that_holds_too_little_says_so() -> None:
    ds = itslive.fit_moving_median(make_pairs(4), itslive.MovingMedianSettings(window=200.0, least_pairs=50))
    assert not ds["v"].notnull().any()
    assert "no window of 200 days holds 50 pairs" in ds.attrs["reason"]
    nothing = itslive.fit_moving_median(make_pairs(), itslive.MovingMedianSettings(window=1.0))
    assert nothing.attrs["n_pairs_used"] == 0
    assert nothing.sizes["time"] == 0
    assert nothing.attrs["reason"]


@pytest.mark.parametrize(("name", "value"), [("window", 0.0), ("least_pairs", 0), ("weights", "speed")])
def test_impossible_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        itslive.MovingMedianSettings(**{name: value})  # type: ignore[arg-type]


def test_every_pixel_of_an_area_is_as_at_a_point(tmp_path: Path) -> None:
    cube = itslive.open_cube(write_cube(tmp_path / "cube.zarr").path)
    settings = itslive.MovingMedianSettings(window=400.0, least_pairs=1, outliers="none")
    west, south, east, north = cube.lonlat_bounds
    [*blocks] = itslive.run_glacier(cube, None, settings, bbox=(west, south, east, north), season=False)
    assert not any(block.error for block in blocks)
    compared = 0
    for block in blocks:
        assert block.dataset is not None
        for y in block.y:
            for x in block.x:
                one = itslive.fit_moving_median(cube.pairs_at(x=x, y=y), settings)
                here = block.dataset.sel(x=x, y=y)
                assert int(here["n_pairs_used"]) == one.attrs["n_pairs_used"]
                for name in ("vx", "vy", "v", "v_std", "n_pairs"):
                    both = here[name].sel(time=one["time"]).values
                    np.testing.assert_allclose(both, one[name].values, rtol=1e-6)
                    compared += np.isfinite(both).sum()
    assert compared > 50


def test_the_shell_has_a_command_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cube = write_cube(tmp_path / "cube.zarr")
    place = ["--x", str(cube.x[1]), "--y", str(cube.y[1])]
    out = tmp_path / "median.csv"
    wide = ["--window", "500", "--least-pairs", "1", "-o", str(out)]
    assert run(["median", str(cube.path), *place, *wide]) == 0, capsys.readouterr().err
    assert out.read_text().startswith("time,")
    assert run(["median", str(cube.path), *place, "--window", "-3", "-o", str(out)]) == 2
    assert "window is -3" in capsys.readouterr().err


def test_its_kernels_are_a_stage_of_their_own() -> None:
    settings = itslive.MovingMedianSettings()
    assert estimator_of(settings).kernels(settings, area=False) == ("reading", "moving_median")
