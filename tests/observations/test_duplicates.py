"""Pairs that are stored more than once count once, and their order does not matter: to the last bit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr
import zarr

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings
from itslive_core.filters.rejections import explain_rejections
from itslive_core.inversion.point import use_pairs
from itslive_core.observations.duplicates import Twins
from tests.simulate import network, simulate
from tests.tiny_cube import write_cube

MINUTE = 1.0 / 1440.0
AREA_SETTINGS = {
    "inversion": InversionSettings(interval=48.0),
    "gaussian_process": itslive.GaussianProcessSettings(interval=48.0),
    "moving_median": itslive.MovingMedianSettings(interval=48.0),
}


def observed(seed: int = 0, n: int = 260) -> ImagePairs:
    """Pairs of three missions, a tenth of which share both images with another one but not its values."""
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, longest=120.0)
    again = rng.integers(0, n, n // 10)
    start, end = np.append(start, start[again]), np.append(end, end[again])
    mission = rng.choice(["S1", "S2", "L8_9"], n)
    pairs = simulate(
        lambda t: 300 + 60 * np.sin(2 * np.pi * t / 365.25), start, end,
        noise=lambda span: 200 / span + 2, rng=rng, mission=np.append(mission, mission[again]),
    )  # fmt: skip
    return replace(pairs, vx=np.rint(pairs.vx), vy=np.rint(pairs.vy))


ESTIMATORS = {
    "inversion": itslive.invert,
    "inversion, given lambda": partial(itslive.invert, settings=InversionSettings(smoothing=30.0)),
    "gaussian process": partial(
        itslive.fit_gaussian_process, settings=itslive.GaussianProcessSettings(interval=24.0)
    ),
    "moving median": itslive.fit_moving_median,
    "season": itslive.fit_season,
}
EACH_ESTIMATOR = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())


def same_numbers(one: xr.Dataset, other: xr.Dataset) -> None:
    xr.testing.assert_equal(one.drop_attrs(), other.drop_attrs())
    numbers = {k: v for k, v in one.attrs.items() if not k.startswith("n_pairs") and k != "filters"}
    for name, value in numbers.items():
        np.testing.assert_equal(other.attrs[name], value)
    assert one.attrs["n_pairs_used"] == other.attrs["n_pairs_used"]


@EACH_ESTIMATOR
def test_doubling_all_pairs_changes_nothing(estimate) -> None:  # type: ignore[no-untyped-def]
    pairs = observed()
    twice = pairs.take(
        np.concatenate([np.arange(len(pairs)), np.random.default_rng(1).permutation(len(pairs))])
    )
    one, two = estimate(pairs), estimate(twice)
    same_numbers(one, two)
    assert two.attrs["n_pairs_duplicates"] == len(pairs)
    assert f"duplicates: {len(pairs)} kept, {len(pairs)} dropped" in two.attrs["filters"]
    assert "n_pairs_duplicates" not in one.attrs


@EACH_ESTIMATOR
def test_order_of_the_pairs_does_not_matter(estimate) -> None:  # type: ignore[no-untyped-def]
    pairs = observed(2)
    rng = np.random.default_rng(3)
    expected = estimate(pairs)
    for _ in range(3):
        same_numbers(expected, estimate(pairs.take(rng.permutation(len(pairs)))))


def test_the_list_keeps_its_order_and_the_diagnosis_its_rows() -> None:
    pairs = observed(4)
    order = np.random.default_rng(5).permutation(len(pairs))
    shuffled = pairs.take(order)
    used = use_pairs(shuffled, InversionSettings())
    names = explain_rejections(shuffled, InversionSettings())
    np.testing.assert_array_equal(used.vx, shuffled.vx[names == ""])
    one, other = itslive.diagnose(pairs).pairs, itslive.diagnose(shuffled).pairs
    np.testing.assert_array_equal(other["vx"], shuffled.vx)
    for name in one.columns:
        np.testing.assert_array_equal(one[name].to_numpy()[order], other[name].to_numpy())


def test_what_is_a_copy_and_what_is_not() -> None:
    start, end = 18_000.0 + 10 * MINUTE, 18_012.0 + 20 * MINUTE
    rows = {  # start, end, vx, vy, satellite_1, satellite_2
        "one": (start, end, 10.0, 5.0, "2A", "2B"),
        "copy": (start, end, 10.0, 5.0, "2A", "2B"),
        "copy within the minute": (start + 0.9 * MINUTE, end + 0.2 * MINUTE, 10.0, 5.0, "2A", "2B"),
        "a minute later": (start + MINUTE, end, 10.0, 5.0, "2A", "2B"),
        "other satellite": (start, end, 10.0, 5.0, "2A", "2A"),
        "other vx": (start, end, 11.0, 5.0, "2A", "2B"),
        "other vy": (start, end, 10.0, 6.0, "2A", "2B"),
        "swapped copy": (end, start, 10.0, 5.0, "2B", "2A"),
    }
    columns = [np.array(column) for column in zip(*rows.values(), strict=True)]
    pairs = ImagePairs.from_arrays(
        *columns[:4], satellite_1=columns[4], satellite_2=columns[5], vx_error=np.arange(8.0, 0.0, -1.0)
    )
    assert len(pairs) == 8  # each row that was given, until it is filtered
    pairs = pairs.select()
    assert len(pairs) == 5
    step = pairs.history[-1]
    assert (step.name, step.kept, step.dropped) == ("duplicates", 5, 3)
    assert pairs.vx_error.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]  # of the copies that of the smallest error
    assert pairs.distinct() is pairs
    assert pairs.select() is pairs


def test_the_copy_of_the_smallest_error_stays_however_they_are_listed() -> None:
    pairs = observed(6, 60)
    n = len(pairs)
    worse = replace(pairs, vx_error=pairs.vx_error + 1.0)
    unknown = replace(pairs, vx_error=np.full(n, np.nan), vy_error=np.full(n, np.nan))
    columns = ("start", "end", "vx", "vy", "vx_error", "vy_error", "mission", "satellite_1", "satellite_2")
    joined = {name: np.concatenate([getattr(p, name) for p in (worse, unknown, pairs)]) for name in columns}
    every = ImagePairs(**joined)
    for order in (np.arange(3 * n), np.random.default_rng(7).permutation(3 * n)):
        found = every.take(order).distinct()
        assert len(found) == n
        one, other = found.in_order(), pairs.in_order()
        for name in columns:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_rejections_name_copies() -> None:
    pairs = observed(8)
    twice = pairs.take(np.repeat(np.arange(len(pairs)), 2))
    names = explain_rejections(twice, InversionSettings(), itslive.PairSelection(max_span=60))
    assert (names[1::2] == "duplicates").all()
    alone = explain_rejections(pairs, InversionSettings(), itslive.PairSelection(max_span=60))
    np.testing.assert_array_equal(names[::2], alone)
    diagnosed = itslive.diagnose(twice)
    assert (diagnosed.pairs["rejected_by"] == "duplicates").sum() == len(pairs)
    assert diagnosed.steps["name"].tolist()[-2:] == ["duplicates", "span_consistency"]
    assert diagnosed.missions["n_rejected"].sum() >= len(pairs)


def test_many_pixels_are_told_apart() -> None:
    rng = np.random.default_rng(9)
    n = 40
    start = 17_000.0 + rng.integers(0, 12, n)
    table = ImagePairs(
        start, start + rng.integers(5, 7, n), *np.zeros((2, n)), rng.integers(1, 5, n) * 1.0, np.ones(n),
        *np.full((3, n), "S2"),
    )  # fmt: skip
    seen = rng.random((7, n)) < 0.8
    pixel, pair = np.nonzero(seen)
    vx, vy = rng.integers(0, 2, (2, len(pair))).astype(np.float32)
    offsets = np.concatenate(([0], np.cumsum(seen.sum(axis=1))))
    keep = Twins.of(table).distinct(offsets, pair.astype(np.int32), vx, vy)
    groups: dict[tuple, list[int]] = {}
    for i in range(len(pair)):
        j = pair[i]
        groups.setdefault((pixel[i], table.start[j], table.end[j], vx[i], vy[i]), []).append(i)
    assert keep.sum() == len(groups) < len(keep)
    for members in groups.values():
        kept = [i for i in members if keep[i]]
        assert len(kept) == 1
        assert table.vx_error[pair[kept[0]]] == table.vx_error[pair[members]].min()


@pytest.fixture(scope="module")
def cubes(tmp_path_factory: pytest.TempPathFactory) -> tuple[itslive.Datacube, itslive.Datacube]:
    """A cube, and the same with every layer stored twice."""
    folder = tmp_path_factory.mktemp("doubled")
    paths = [folder / name for name in ("one.zarr", "two.zarr")]
    for path in paths:
        # Values of much noise are never equal by chance.
        write_cube(path, n_pairs=300, rows=4, cols=4, noise=200.0, radar=False, without=("v", "interp_mask"))
    group = zarr.open_group(paths[1], mode="r+", zarr_format=2)
    for _, array in group.arrays():
        if array.shape and array.shape[0] == 300:
            values = array[...]
            array.resize((600, *array.shape[1:]))
            array[...] = np.concatenate([values, values])
    zarr.consolidate_metadata(str(paths[1]), zarr_format=2)
    one, two = (itslive.open_cube(path) for path in paths)
    return one, two


def test_a_cube_that_holds_its_pairs_twice_lists_them_once(cubes) -> None:  # type: ignore[no-untyped-def]
    one, two = (cube.pairs_at(x=cube.x[1], y=cube.y[2]) for cube in cubes)
    assert cubes[1].n_pairs == 600
    assert len(one) == len(two) > 100
    np.testing.assert_array_equal(one.start, two.start)
    np.testing.assert_array_equal(one.vx, two.vx)
    assert [step.name for step in two.history] == ["read", "components", "valid_dates", "duplicates"]
    assert (two.history[-1].kept, two.history[-1].dropped) == (len(one), len(one))
    blocks = [list(itslive.read_glacier(cube, bbox=cube.lonlat_bounds)) for cube in cubes]
    for first, second in zip(*blocks, strict=True):
        np.testing.assert_array_equal(first.n_pairs, second.n_pairs)
        np.testing.assert_array_equal(first.v, second.v)


@pytest.mark.parametrize("settings", AREA_SETTINGS.values(), ids=AREA_SETTINGS.keys())
def test_an_area_of_doubled_pairs_is_the_same_area(cubes, settings) -> None:  # type: ignore[no-untyped-def]
    for one, two in zip(
        *(itslive.run_glacier(cube, None, settings, bbox=cube.lonlat_bounds, season=True) for cube in cubes),
        strict=True,
    ):
        assert one.error is None
        assert two.error is None
        assert one.arrays.keys() == two.arrays.keys()
        assert np.isfinite(one.arrays["v"]).any()
        assert np.isfinite(one.arrays["trend"]).any()
        for name, values in one.arrays.items():
            np.testing.assert_array_equal(values, two.arrays[name], err_msg=name)
