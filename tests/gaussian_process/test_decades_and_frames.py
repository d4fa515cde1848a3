"""Early decades, other axes and units, copies, locked pairs, and rises that few pairs saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import GaussianProcessSettings, ImagePairs
from itslive_core.gaussian_process.data import PixelData
from tests.gaussian_process.test_gaussian_process import pixel, true_cells, yearly
from tests.simulate import network, simulate

if TYPE_CHECKING:
    import xarray as xr

YEAR = 365.25
PLAIN = GaussianProcessSettings(outliers="none")


def decades(truth, *, offset: float, seed: int = 0) -> ImagePairs:
    """250 pairs of Landsat 5 and 7 before 2011, 1,200 of Sentinel-2 and Landsat 8 since 2014."""
    rng = np.random.default_rng(seed)
    early = network(rng, 250, first=17.0 * YEAR, length=24 * YEAR, longest=500.0)
    late = network(rng, 1200, first=44.0 * YEAR, length=10 * YEAR)
    start, end = (np.concatenate(both) for both in zip(early, late, strict=True))
    mission = np.where(start < 30 * YEAR, "L4_5", rng.choice(["L4_5", "L7"], len(start)))
    mission[250:] = rng.choice(["S2", "L8_9", "L7"], 1200, p=[0.7, 0.2, 0.1])
    pairs = simulate(truth, start, end, mission=mission, noise=lambda span: 250 / span + 2, rng=rng)
    moved = np.where(pairs.mission == "L7", offset, 0.0)
    return replace(pairs, vx=pairs.vx + moved, vy=pairs.vy + moved / 2)


@pytest.mark.parametrize("offset", [0.0, -25.0])
@pytest.mark.parametrize(
    "slow",
    [
        lambda t: 600 + 300 * (t > 33 * YEAR),
        lambda t: 600 + 8 * (t / YEAR - 17),
    ],
    ids=["step", "linear"],
)
def test_what_happened_before_the_dense_years_is_seen(slow, offset: float) -> None:
    pairs = decades(slow, offset=offset)
    ds = itslive.fit_gaussian_process(pairs)
    assert ds.attrs["reason"] == ""
    error = ds["vx"].values - true_cells(ds, slow)
    early = (ds["time"].values < np.datetime64("2000-01-01")) & (ds["coverage"].values > 0)
    assert abs(error[early].mean()) < 0.03 * 300
    assert np.mean(np.abs(error[early]) < 1.96 * ds["vx_std"].values[early]) > 0.85


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    return pixel(500, seed=4)


@pytest.fixture(scope="module")
def series(pairs: ImagePairs) -> xr.Dataset:
    return itslive.fit_gaussian_process(pairs, PLAIN)


def turned(of, angle: float) -> dict:
    c, s = np.cos(angle), np.sin(angle)
    return {"vx": c * of.vx - s * of.vy, "vy": s * of.vx + c * of.vy}


def scaled(pairs: ImagePairs, factor: float) -> ImagePairs:
    return replace(
        pairs, **{name: factor * getattr(pairs, name) for name in ("vx", "vy", "vx_error", "vy_error")}
    )


@pytest.mark.parametrize("change", ["turn", "shift", "times 10", "times 0.1"])
def test_frame_and_units_mean_nothing(pairs: ImagePairs, series: xr.Dataset, change: str) -> None:
    if change == "turn":
        other = itslive.fit_gaussian_process(replace(pairs, **turned(pairs, 1.3)), PLAIN)
        other = other.assign(turned(other, -1.3))
    elif change == "shift":
        other = itslive.fit_gaussian_process(replace(pairs, vx=pairs.vx - 700, vy=pairs.vy + 900), PLAIN)
        other = other.assign(vx=other.vx + 700, vy=other.vy - 900)
    else:
        factor = float(change.split()[1])
        other = itslive.fit_gaussian_process(scaled(pairs, factor), PLAIN)
        other = other.assign(vx=other.vx / factor, vy=other.vy / factor)
    for name in ("vx", "vy"):
        moved = ((other[name] - series[name]) / series[f"{name}_std"]).values
        assert np.sqrt(np.mean(moved**2)) < 0.05


def test_order_does_not_change_a_bit(pairs: ImagePairs, series: xr.Dataset) -> None:
    order = np.random.default_rng(0).permutation(len(pairs))
    other = itslive.fit_gaussian_process(pairs.take(order), PLAIN)
    for name in ("vx", "vy", "v_std", "trend", "season"):
        np.testing.assert_array_equal(other[name], series[name])


def test_near_copies_of_all_pairs_do_not_flatten_the_series(pairs: ImagePairs, series: xr.Dataset) -> None:
    many = pairs.take(np.tile(np.arange(len(pairs)), 5))
    near = 0.1 * np.random.default_rng(0).normal(size=(2, len(many)))
    ds = itslive.fit_gaussian_process(replace(many, vx=many.vx + near[0], vy=many.vy + near[1]), PLAIN)
    moved = ((ds["vx"] - series["vx"]) / series["vx_std"]).values
    assert np.sqrt(np.mean(moved**2)) < 0.4
    assert float((ds["vx_std"] / series["vx_std"]).median()) == pytest.approx(1.0, abs=0.2)


def test_the_frame_is_that_of_the_scatter(pairs: ImagePairs) -> None:
    mission = np.zeros(len(pairs), dtype=np.int64)
    facts = (pairs.vx_error, pairs.vy_error, mission)
    data = PixelData.make(pairs.start, pairs.end, pairs.vx, pairs.vy, *facts)
    moved = PixelData.make(pairs.start, pairs.end, pairs.vx - 5000.0, pairs.vy + 300.0, *facts)
    np.testing.assert_allclose(np.abs(np.dot(data.axis, moved.axis)), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.abs(data.values), np.abs(moved.values), atol=1e-6)
    # The scatter is along the flow here, and the frame holds the flow's direction on the side of its axis.
    assert np.degrees(np.arctan2(*data.axis[::-1])) == pytest.approx(np.degrees(np.arctan(0.5)), abs=3.0)
    assert data.flow_in_frame[0] > 0.99


def test_long_pairs_that_locked_do_not_rule_by_their_small_errors() -> None:
    pairs = pixel(600, seed=6, outliers=0.0, truth=yearly)
    rng = np.random.default_rng(6)
    stuck = (pairs.span > 150) & (rng.random(len(pairs)) < 0.35)
    assert stuck.sum() > 30
    part, error = np.where(stuck, rng.uniform(0, 0.5, len(pairs)), 1.0), np.where(stuck, 0.5, pairs.vx_error)
    ds = itslive.fit_gaussian_process(
        replace(pairs, vx=part * pairs.vx, vy=part * pairs.vy, vx_error=error, vy_error=error), PLAIN
    )
    wrong = ds["vx"].values - true_cells(ds, yearly)
    assert np.sqrt(np.mean(wrong**2)) < 25
    assert np.abs(wrong).max() < 80


def test_a_rise_that_three_short_pairs_saw_is_believed() -> None:
    pairs = pixel(700, seed=8, truth=yearly)
    centre = 48.05 * YEAR
    away = (pairs.end < centre - 90) | (pairs.start > centre + 90)
    pairs = pairs.take(np.flatnonzero(away))
    start = centre + np.array([-22.0, -4.0, 5.0])
    end = start + 23.0
    seen = np.array([640.0, 900.0, 860.0])
    rise = ImagePairs.from_arrays(
        np.concatenate([pairs.start, start]),
        np.concatenate([pairs.end, end]),
        np.concatenate([pairs.vx, seen]),
        np.concatenate([pairs.vy, seen / 2]),
        vx_error=np.concatenate([pairs.vx_error, np.full(3, 13.0)]),
        vy_error=np.concatenate([pairs.vy_error, np.full(3, 13.0)]),
        mission=np.concatenate([pairs.mission, np.repeat("L8_9", 3)]),
    )
    ds = itslive.fit_gaussian_process(rise, PLAIN)
    edges = (ds["time_bnds"].values - np.datetime64(0, "ns")) / np.timedelta64(1, "D")
    for a, b, value in zip(start, end, seen, strict=True):
        share = np.clip(np.minimum(edges[:, 1], b) - np.maximum(edges[:, 0], a), 0, None)
        assert share @ ds["vx"].values / share.sum() == pytest.approx(value, abs=3 * 1.5 * 13)
