"""Every estimator's series has interval, azimuth, quality and warnings, and files carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings, MovingMedianSettings
from itslive_core.export import write_series
from itslive_core.series import VARIABLES, speed_interval
from itslive_core.series.quality import EXTRAPOLATED, FLAGS, PAIRS_DISAGREE
from tests.simulate import network, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YEAR = 365.25
PLACE = {"epsg": 32646, "x": 784_252.5, "y": 3_315_787.5, "lon": 95.945, "lat": 29.94}
DERIVED = ("v_lower", "v_upper", "azimuth", "azimuth_std", "quality")
ESTIMATES: dict[str, Callable[[ImagePairs], xr.Dataset]] = {
    "inversion": itslive.invert,
    "plain": lambda pairs: itslive.invert(
        pairs, InversionSettings(smoothing=30.0, weights="none", robust=False, outliers="none")
    ),
    "gaussian process": itslive.fit_gaussian_process,
    "moving median": itslive.fit_moving_median,
}
every = pytest.mark.parametrize("estimate", ESTIMATES.values(), ids=ESTIMATES)


def clean(seed: int, n: int = 300, *, place: bool = True) -> ImagePairs:
    """Pairs of a season, of two missions, with noise as their errors say."""
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, length=1100.0)
    return simulate(
        lambda t: 300 + 60 * np.sin(2 * np.pi * t / YEAR),
        start,
        end,
        noise=lambda span: 3 + 150 / span,
        rng=rng,
        mission=np.where(rng.random(n) < 0.5, "S2", "L8_9"),
        **(PLACE if place else {}),
    )


def torn(pairs: ImagePairs) -> ImagePairs:
    """Let one of the missions read 150 m/yr more in the middle of the time."""
    middle = (pairs.start > 17_400) & (pairs.end < 17_800) & (pairs.mission == "S2")
    return ImagePairs.from_arrays(
        pairs.start,
        pairs.end,
        pairs.vx + 150.0 * middle,
        pairs.vy,
        vx_error=pairs.vx_error,
        vy_error=pairs.vy_error,
        mission=pairs.mission,
        **PLACE,
    )


@every
def test_a_series_has_them_all(estimate: Callable[[ImagePairs], xr.Dataset]):
    ds = estimate(clean(1))
    assert [name for name in ds.data_vars if name in VARIABLES] == list(VARIABLES)
    known = np.isfinite(ds["v_std"].values)
    assert known.any()
    v_lower, v_upper = speed_interval(ds["v"].values, ds["v_std"].values)
    np.testing.assert_array_equal(ds["v_lower"], v_lower)
    np.testing.assert_array_equal(ds["v_upper"], v_upper)
    # The flow is along (2, 1) on the map, 63.4 degrees from its north, which is 1.47 degrees east of the
    # true.
    assert abs(float(ds["azimuth"].median()) - 63.43 - 1.47) < 0.5
    assert ((ds["azimuth_std"] > 0) & (ds["azimuth_std"] < 30)).values[known].all()
    assert ds["quality"].dtype == np.int16
    assert ds["quality"].attrs["flag_meanings"].split() == list(FLAGS)
    assert ds["quality"].attrs["flag_masks"].dtype == np.int16
    assert ds["vx"].attrs["standard_name"] == "land_ice_surface_x_velocity"
    assert all(ds[name].attrs["grid_mapping"] == "mapping" for name in DERIVED)
    assert isinstance(ds.attrs["warnings"], str)
    assert list(ds.attrs)[-1] == "n_pairs_used"


@every
def test_clean_pairs_agree_and_torn_ones_do_not(estimate: Callable[[ImagePairs], xr.Dataset]):
    agree = [(estimate(clean(seed))["quality"].values & PAIRS_DISAGREE) > 0 for seed in (2, 3)]
    assert np.mean(np.concatenate(agree)) < 0.02
    ds = estimate(torn(clean(2)))
    flagged = (ds["quality"].values & PAIRS_DISAGREE) > 0
    middle = ((ds["time"] > np.datetime64("2017-10-01")) & (ds["time"] < np.datetime64("2018-07-01"))).values
    assert flagged[middle].mean() > 0.5
    assert "disagree" in ds.attrs["warnings"]


def test_gaps_that_are_filled_are_marked():
    pairs = clean(4)
    outside = (pairs.end < 17_400) | (pairs.start > 17_600)
    left = ImagePairs.from_arrays(
        *(getattr(pairs, name)[outside] for name in ("start", "end", "vx", "vy")),
        **{name: getattr(pairs, name)[outside] for name in ("vx_error", "vy_error", "mission")},
    )
    for estimate, filled in ((itslive.invert, False), (itslive.fit_gaussian_process, True)):
        ds = estimate(left)
        gap = ds["coverage"].values == 0
        assert gap.sum() > 5
        assert ((ds["quality"].values & EXTRAPOLATED > 0) == gap).all()
        assert ("filled in" in ds.attrs["warnings"]) == filled
        assert np.isfinite(ds["v_upper"].values[gap]).all() == filled
        assert np.isnan(ds["azimuth"]).all()  # nobody said where it is


def test_without_pairs_or_error_bars_all_is_there_and_empty():
    nothing = ImagePairs.from_arrays([], [], [], [], **PLACE)
    for estimate in ESTIMATES.values():
        ds = estimate(nothing)
        assert all(ds[name].sizes == {"time": 0} for name in DERIVED)
        assert ds.attrs["warnings"] == ""
    ds = itslive.invert(clean(1), InversionSettings(smoothing=30.0, uncertainty=False))
    assert np.isnan(ds["v_lower"]).all()
    assert np.isnan(ds["azimuth_std"]).all()
    assert np.isfinite(ds["azimuth"]).any()


def test_files_carry_them(tmp_path: Path):
    ds = itslive.fit_moving_median(clean(1), MovingMedianSettings(window=60.0))
    table = pd.read_csv(write_series(ds, tmp_path / "series.csv"))
    for name in DERIVED:
        column = next(column for column in table if column.partition(" ")[0] == name)
        np.testing.assert_allclose(table[column], ds[name], rtol=1e-9)
    assert table.columns[-5:].tolist() == [
        "v_lower [m/yr]",
        "v_upper [m/yr]",
        "azimuth [degree]",
        "azimuth_std [degree]",
        "quality",
    ]
    path = write_series(ds, tmp_path / "series.nc")
    with netCDF4.Dataset(path) as file:
        quality = file["quality"]
        assert quality.dtype == quality.flag_masks.dtype == np.int16
        assert quality.flag_masks.tolist() == [1, 2, 4, 8, 16, 32]
        assert not hasattr(quality, "_FillValue")
    with xr.open_dataset(path) as back:
        assert back.attrs["warnings"] == ds.attrs["warnings"]
        again = write_series(back, tmp_path / "again.nc")
        with xr.open_dataset(again) as other:
            xr.testing.assert_identical(back, other)
