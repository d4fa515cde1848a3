"""A glacier over several cubes: as one on one lattice, and with a stated error on several."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
import zarr

import itslive_core as itslive
from itslive_core.errors import OutputError, SettingsError
from itslive_core.export import write_area, write_profile
from itslive_core.jobs.joined_cube import join_cubes
from itslive_core.jobs.lattices import Onto
from itslive_core.jobs.plan import plan_area
from tests.joined_cubes import MIDDLE, Field, box_between, write_cut

QUICK = itslive.InversionSettings(smoothing=10.0, interval=24.0, robust=False, outliers="none", learn="pixel")
OUTLINE = box_between((-11.2, 10.3), (-5.1, 5.2))
SERIES = ("vx", "vy", "v", "vx_std", "vy_std", "v_std", "v_lower", "v_upper", "azimuth", "azimuth_std")
OTHERS = ("n_pairs", "coverage", "quality", "n_pairs_used")


def run(cubes, settings=QUICK, store=None, outline=OUTLINE, **options):
    """Run a job and read its store back, in memory."""
    opened = [itslive.open_cube(path) for path in cubes]
    for block in itslive.run_glacier(opened, outline, settings, store, **{"season": False, **options}):
        assert block.error is None
    with xr.open_zarr(store) as ds:
        return ds.load()


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    """One field without noise: a cube of all of it in one zone, and its two halves in two zones."""
    folder, field = tmp_path_factory.mktemp("zones"), Field()
    return {
        "one": write_cut(folder / "one.zarr", field, 32646, (-12, 12)),
        "west": write_cut(folder / "west.zarr", field, 32646, (-12, 4)),
        "east": write_cut(folder / "east.zarr", field, 32647, (-2, 16), (-8, 8)),
    }


@pytest.fixture(scope="module")
def joined(zones, tmp_path_factory):
    store = tmp_path_factory.mktemp("joined") / "a.zarr"
    return run([zones["east"], zones["west"]], store=store, season=True)


@pytest.fixture(scope="module")
def single(zones, tmp_path_factory):
    return run([zones["one"]], store=tmp_path_factory.mktemp("single") / "a.zarr", season=True)


def on_one_grid(first: xr.Dataset, second: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    first, second = xr.align(first, second, join="inner")
    known = np.isfinite(first["v"].values).any(axis=0)
    assert known.sum() == np.isfinite(second["v"].values).any(axis=0).sum() > 0
    return first, second


# --------------------------------------------------------------------- one lattice


def halves(folder, field, cut: int):
    whole = write_cut(folder / "whole.zarr", field, 32646, (-12, 12))
    parts = [
        write_cut(folder / "a.zarr", field, 32646, (-12, cut)),
        write_cut(folder / "b.zarr", field, 32646, (cut, 12)),
    ]
    return whole, parts


@pytest.mark.parametrize("cut", [0, 5])
def test_two_cubes_of_one_lattice_are_one_to_the_last_digit(tmp_path, cut):
    whole, parts = halves(tmp_path, Field(noise=10.0), cut)
    both, one = on_one_grid(
        run(parts, store=tmp_path / "2.zarr", season=True),
        run([whole], store=tmp_path / "1.zarr", season=True),
    )
    estimated = one["n_pairs_used"] > 0
    for name in one.data_vars:
        if "y" in one[name].dims:
            np.testing.assert_array_equal(
                both[name].where(estimated), one[name].where(estimated), err_msg=str(name)
            )
    assert set(both.data_vars) - set(one.data_vars) == {"source"}
    assert "source_distance" not in both
    assert set(np.unique(both["source"])) == {0, 1, 2}
    assert "source" not in one


COUPLED = itslive.InversionSettings(
    smoothing=10.0, interval=48.0, robust=False, outliers="none", learn="pixel", spatial_smoothing=1.0
)


@pytest.mark.parametrize("cut", [0, 5])
def test_neighbours_help_each_other_across_the_border_of_cubes(tmp_path, cut):
    whole, parts = halves(tmp_path, Field(noise=10.0), cut)
    both, one = on_one_grid(
        run(parts, COUPLED, tmp_path / "2.zarr"), run([whole], COUPLED, tmp_path / "1.zarr")
    )
    estimated = one["n_pairs_used"] > 0
    for name in ("vx", "vy", "v_std"):
        np.testing.assert_allclose(
            both[name].where(estimated), one[name].where(estimated), rtol=1e-5, atol=1e-4, err_msg=name
        )


def test_joined_cubes_read_as_one(tmp_path):
    field = Field(noise=10.0)
    paths = [write_cut(tmp_path / f"{cols[0]}.zarr", field, 32646, cols) for cols in ((-4, 2), (2, 9))]
    cubes = [itslive.open_cube(path) for path in paths]
    whole = itslive.open_cube(write_cut(tmp_path / "whole.zarr", field, 32646, (-4, 9)))
    plan = plan_area(cubes, whole=True)
    [joined], tasks = join_cubes(plan.cubes, plan.tasks)
    assert joined.shape == whole.shape
    np.testing.assert_allclose(joined.x, whole.x)
    assert len(joined.pair_table) == 2 * field.n
    for task in tasks:
        found, block = joined.read_block(task.block), task.block
        for number, (row, col) in enumerate(np.ndindex(*block.shape)):
            own = slice(*found.offsets[number : number + 2])
            pairs = whole.pairs_at(x=whole.x[block.col0 + col], y=whole.y[block.row0 + row])
            np.testing.assert_array_equal(np.sort(found.vx[own]), np.sort(pairs.vx).astype("f4"))
            np.testing.assert_array_equal(np.sort(joined.pair_table.start[found.pair[own]]), pairs.start)
    there = pickle.loads(pickle.dumps(joined))
    assert "pair_table" not in vars(there)
    np.testing.assert_array_equal(there.pair_table.end, joined.pair_table.end)


def test_cubes_of_which_two_have_the_same_block_stay_apart(tmp_path):
    field = Field()
    paths = [
        write_cut(tmp_path / "newer.zarr", field, 32646, (-12, -8), updated="2024-01-01"),
        write_cut(tmp_path / "older.zarr", field, 32646, (-12, 12), updated="2023-01-01"),
    ]
    plan = plan_area([itslive.open_cube(path) for path in paths], whole=True)
    cubes, tasks = join_cubes(plan.cubes, plan.tasks)
    [joined] = cubes
    assert joined.shape == (12, 24), "blocks that overlap in part are different ones"
    same = write_cut(tmp_path / "same.zarr", field, 32646, (-12, 12), updated="2022-01-01")
    overlapping = [itslive.open_cube(path) for path in (paths[1], same)]
    half = replace(plan.tasks[-1], cube=0)
    cubes, tasks = join_cubes(overlapping, [half, replace(half, cube=1)])
    assert cubes == overlapping
    assert [task.cube for task in tasks] == [0, 1]


def test_cubes_of_one_lattice_that_overlap_in_part_keep_what_both_give(tmp_path):
    field = Field()
    older = write_cut(tmp_path / "older.zarr", field, 32646, (-12, 3), updated="2023-01-01")
    newer = write_cut(tmp_path / "newer.zarr", field, 32646, (-2, 12), updated="2024-01-01")
    whole = write_cut(tmp_path / "whole.zarr", field, 32646, (-12, 12))
    both, one = on_one_grid(
        run([older, newer], store=tmp_path / "2.zarr"), run([whole], store=tmp_path / "1.zarr")
    )
    estimated = one["n_pairs_used"] > 0
    for name in (*SERIES, *OTHERS):
        np.testing.assert_array_equal(both[name].where(estimated), one[name].where(estimated), err_msg=name)
    assert both["source"].attrs["flag_meanings"] == "none newer older"
    columns = np.round((both["x"].values - itslive.open_cube(newer).x[0]) / 120.0)
    given = both["source"].isel(y=2).values
    assert (given[(columns >= 0) & (given > 0)] == 1).all(), "where both hold a pixel the newer gives it"
    assert "50 pixels are in several datacubes" in both.attrs["cube_choice"]


# --------------------------------------------------------------------- several zones


def test_two_zones_are_one_to_the_distance_times_the_slope(joined, single):
    both, one = on_one_grid(joined, single)
    assert both["mapping"].attrs["spatial_epsg"] == 32646, "the lattice that holds most"
    own = both["source"] == 2
    taken = both["source"] == 1
    assert 40 < int(taken.sum()) < int(own.sum())
    for name in (*SERIES, *OTHERS):
        np.testing.assert_array_equal(both[name].where(own), one[name].where(own), err_msg=name)
    distance = both["source_distance"]
    assert float(distance.where(own).max()) == 0.0
    assert 30.0 < float(distance.where(taken).max()) <= 120.0 * np.sqrt(0.5) * 1.001
    error = np.hypot(both["vx"] - one["vx"], both["vy"] - one["vy"])
    assert bool((error <= 1.2 * Field.steepest * np.sqrt(2) * distance + 0.01).where(taken, True).all())
    assert float(error.where(taken).max()) < 2.0
    assert int((both["n_pairs"] != one["n_pairs"]).sum()) == 0
    np.testing.assert_allclose(both["azimuth"], one["azimuth"], atol=0.6)
    np.testing.assert_allclose(both["mean_speed"], one["mean_speed"], atol=1.5)


def test_vectors_are_turned_not_only_carried(joined, zones):
    """By 3 degrees here: the components of the eastern cube differ from those of the result by 10 m/yr."""
    west, east = (itslive.open_cube(zones[name]) for name in ("west", "east"))
    there = joined["source"].values == 1
    row, col = (int(values[len(values) // 2]) for values in np.nonzero(there))
    lon, lat = west.lonlat_of(joined["x"].values[col], joined["y"].values[row])
    point = itslive.invert(east.pairs_at(lon=float(lon), lat=float(lat)), QUICK)
    here = joined.isel(y=row, x=col).sel(time=point["time"])
    kept = ("v", "v_std", "v_lower", "v_upper", "azimuth", "azimuth_std", "n_pairs", "coverage", "quality")
    for name in kept:
        np.testing.assert_allclose(here[name], point[name], rtol=1e-5, err_msg=name)
    assert float(np.abs(here["vx"] - point["vx"]).max()) > 5.0
    np.testing.assert_allclose(np.hypot(here["vx"], here["vy"]), here["v"], rtol=1e-5)
    trace = point["vx_std"] ** 2 + point["vy_std"] ** 2
    np.testing.assert_allclose(here["vx_std"] ** 2 + here["vy_std"] ** 2, trace, rtol=1e-4)


def test_a_seam_between_zones_is_below_the_standard_deviation(tmp_path):
    """With all that is learnt, and noise that neighbouring pixels share as real ones do."""
    field = Field(n=80, noise=15.0)
    cuts = [((-5, 5), 32646, "whole"), ((-5, 1), 32646, "west"), ((0, 8), 32647, "east")]
    whole, west, east = (
        write_cut(tmp_path / f"{name}.zarr", field, epsg, cols, (-3, 3)) for cols, epsg, name in cuts
    )
    settings, outline = itslive.InversionSettings(interval=24.0), box_between((-4.6, 3.6), (-2.6, 2.6))
    both, one = on_one_grid(
        run([west, east], settings, tmp_path / "2.zarr", outline),
        run([whole], settings, tmp_path / "1.zarr", outline),
    )
    taken = both["source"] == both["source"].attrs["flag_meanings"].split().index("east")
    assert int(taken.sum()) > 10
    for name in ("vx", "vy"):
        off = np.abs(both[name] - one[name]) / one[f"{name}_std"]
        assert float(off.median()) < 0.5
        jump = both[name].diff("x") - one[name].diff("x")
        seam = (taken.astype(int).diff("x") != 0) & (both["source"].isel(x=slice(1, None)) > 0)
        step = np.abs(jump / one[f"{name}_std"]).where(seam)
        assert float(step.median()) < 0.5
        assert float(step.quantile(0.95)) < 1.0


def test_the_order_of_cubes_changes_nothing(joined, zones, tmp_path):
    again = run([zones["west"], zones["east"]], store=tmp_path / "a.zarr", season=True)
    xr.testing.assert_identical(again.drop_attrs(), joined.drop_attrs())
    assert again.attrs["cube_choice"] == joined.attrs["cube_choice"]


def test_what_was_done_is_said(joined, zones):
    words = joined.attrs["cube_choice"]
    assert f"the result is on the lattice of {zones['west']} (EPSG:32646)" in words
    assert "vectors turned to the axes of this one" in words
    taken = int((joined["source"] == 1).sum())
    assert f"{taken} others have the series of the nearest pixel" in words
    assert f"at most {float(joined['source_distance'].max()):.0f} m away" in words
    assert joined["source"].dtype == np.int16
    assert joined["source"].attrs["flag_values"] == [0, 1, 2]
    assert joined["source"].attrs["flag_meanings"] == "none east west"
    assert joined.attrs["cube_url"].split() == [str(zones["east"]), str(zones["west"])]
    assert len(json.loads(joined.attrs["recipe"])["cubes"]) == 2


def test_a_cube_that_holds_all_needs_no_other(zones):
    opened = [itslive.open_cube(zones[name]) for name in ("one", "east")]
    plan = plan_area(opened, OUTLINE)
    assert all(task.onto is None for task in plan.tasks)
    assert "cubes of other lattices are not needed" in plan.choice_words


def test_a_shifted_lattice_of_the_same_zone_is_another_lattice(tmp_path, single):
    field = Field()
    west = write_cut(tmp_path / "west.zarr", field, 32646, (-12, 4))
    east = write_cut(tmp_path / "east.zarr", field, 32646, (-2, 16), (-8, 8), shift=60.0)
    both, one = on_one_grid(run([west, east], store=tmp_path / "a.zarr"), single)
    assert float(both["source_distance"].max()) == pytest.approx(60.0)
    assert float(np.abs(both["vx"] - one["vx"]).max()) < 60.0 * Field.steepest * np.sqrt(2) * 1.2


def test_pixels_of_other_sizes_are_refused(tmp_path, zones):
    coarse = write_cut(tmp_path / "coarse.zarr", Field(), 32647, (-2, 16))
    group = zarr.open_group(coarse, mode="r+")
    for name in ("x", "y"):
        axis = group[name][...]
        group[name][...] = axis[0] + 2 * (axis - axis[0])
    cubes = [itslive.open_cube(zones["west"]), itslive.open_cube(coarse)]
    with pytest.raises(SettingsError, match=r"another size than those of .* \((240 and 120|120 and 240) m\)"):
        plan_area(cubes, OUTLINE)


def test_cubes_that_no_map_holds_together_are_refused(tmp_path, zones):
    far = write_cut(tmp_path / "far.zarr", Field(), 32647, (-2, 16))
    group = zarr.open_group(far, mode="r+")
    group["x"][...] += 1_500_000.0
    group["y"][...] += 3_000_000.0
    with pytest.raises(SettingsError, match=r"is too far from .* to be on one map"):
        plan_area([itslive.open_cube(zones["west"]), itslive.open_cube(far)], whole=True)


def test_a_flipped_cube_is_another_lattice_at_no_distance(tmp_path, single):
    field = Field()
    west = write_cut(tmp_path / "west.zarr", field, 32646, (-12, 4))
    east = write_cut(tmp_path / "east.zarr", field, 32646, (4, 12))
    group = zarr.open_group(east, mode="r+")
    for name in ("vx", "vy"):
        group[name][...] = group[name][...][:, ::-1]
    group["y"][...] = group["y"][...][::-1]
    both, one = on_one_grid(run([west, east], store=tmp_path / "a.zarr"), single)
    estimated = one["n_pairs_used"] > 0
    for name in ("vx", "vx_std", "n_pairs"):
        np.testing.assert_allclose(both[name].where(estimated), one[name].where(estimated), rtol=1e-6)
    assert "others have the series of the nearest pixel" in both.attrs["cube_choice"]
    assert float(both["source_distance"].max()) == pytest.approx(0.0, abs=1e-6)


def test_a_job_over_two_zones_goes_on_where_it_stopped(zones, joined, tmp_path):
    opened = [itslive.open_cube(zones[name]) for name in ("east", "west")]
    store = tmp_path / "a.zarr"
    job = itslive.run_glacier(opened, OUTLINE, QUICK, store, season=True, workers=1)
    names = [next(job).name for _ in range(5)]
    job.close()
    left = list(itslive.run_glacier(opened, OUTLINE, QUICK, store, season=True))
    assert not {block.name for block in left} & set(names)
    with xr.open_zarr(store) as ds:
        xr.testing.assert_identical(ds.load().drop_attrs(), joined.drop_attrs())
    with pytest.raises(OutputError, match="other cubes"):
        list(itslive.run_glacier(opened[1:], OUTLINE, QUICK, store, season=True))


def test_processes_elsewhere_do_the_same(zones, joined, tmp_path):
    """What a cluster is sent is a copy, made of bytes."""

    class Elsewhere(ThreadPoolExecutor):
        def submit(self, work, /, *arguments):
            return super().submit(*pickle.loads(pickle.dumps((work, *arguments))))

    with Elsewhere(2) as executor:
        again = run([zones["west"], zones["east"]], store=tmp_path / "a.zarr", season=True, executor=executor)
    xr.testing.assert_identical(again.drop_attrs(), joined.drop_attrs())


def test_blocks_say_which_pixels_are_theirs(zones, joined):
    opened = [itslive.open_cube(zones[name]) for name in ("east", "west")]
    source, speed = np.zeros_like(joined["source"]), np.full(joined["v"].shape, np.nan, np.float32)
    for block in itslive.run_glacier(opened, OUTLINE, QUICK, season=False):
        assert block.n_pixels == block.n_solved
        ds = block.dataset
        at = np.ix_(np.searchsorted(-joined["y"], -ds["y"]), np.searchsorted(joined["x"], ds["x"]))
        own = ds["source"].values > 0
        assert own.sum() == block.n_pixels
        assert not source[at][own].any(), "no pixel comes twice"
        source[at] = np.where(own, ds["source"], source[at])
        speed[(slice(None), *at)] = np.where(own, ds["v"], speed[(slice(None), *at)])
        assert ds["source"].attrs["flag_meanings"] == "none east west"
    np.testing.assert_array_equal(source, joined["source"])
    np.testing.assert_array_equal(speed, joined["v"])


def test_medians_of_two_zones_are_on_one_grid(zones):
    opened = [itslive.open_cube(zones[name]) for name in ("east", "west")]
    plan = plan_area(opened, OUTLINE)
    [one] = [itslive.open_cube(zones["one"])]
    speeds = {"both": {}, "one": {}}
    for key, cubes in (("both", opened), ("one", one)):
        for block in itslive.read_glacier(cubes, OUTLINE):
            for r, c in zip(*np.nonzero(block.n_pairs > 0), strict=True):
                speeds[key][float(block.x[c]), float(block.y[r])] = block.v[r, c]
    assert speeds["both"].keys() == speeds["one"].keys()
    assert len(speeds["both"]) == plan.mask.sum()
    off = [abs(speeds["both"][at] - speeds["one"][at]) for at in speeds["one"]]
    assert max(off) < 2.0


@pytest.fixture
def stored(zones, tmp_path):
    run([zones["east"], zones["west"]], store=tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


def test_a_netcdf_keeps_the_source(stored, tmp_path):
    write_area(stored, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as ds, xr.open_zarr(stored) as area:
        np.testing.assert_array_equal(ds["source"], area["source"])
        np.testing.assert_array_equal(ds["source_distance"], area["source_distance"])
        assert ds["source"].attrs["flag_values"].dtype == ds["source"].dtype == np.int16
        assert ds["source"].attrs["flag_meanings"] == "none east west"
        assert ds.attrs["cube_choice"] == area.attrs["cube_choice"]


def test_a_geotiff_keeps_the_source_as_its_last_band(stored, tmp_path):
    for variable in ("v", "source"):
        write_area(stored, tmp_path / f"{variable}.tif", variable=variable)
    with xr.open_zarr(stored) as area, rasterio.open(tmp_path / "v.tif") as file:
        assert file.count == area.sizes["time"] + 1
        assert file.descriptions[-1] == "source"
        source = area["source"].values
        np.testing.assert_array_equal(file.read(file.count), np.where(source > 0, source, np.nan))
        np.testing.assert_array_equal(file.read(1), area["v"][0])
        assert file.tags(file.count)["flag_meanings"] == "none east west"
        assert file.tags()["cube_choice"] == area.attrs["cube_choice"]
        with rasterio.open(tmp_path / "source.tif") as alone:
            assert alone.descriptions == ("source",)


def test_a_joined_area_is_made_again_from_its_recipe(stored, tmp_path):
    itslive.rerun(stored, tmp_path / "again.nc")
    with xr.open_dataset(tmp_path / "again.nc") as again, xr.open_zarr(stored) as area:
        for name in ("vx", "vy_std", "azimuth", "source"):
            np.testing.assert_array_equal(again[name], area[name], err_msg=name)


def test_a_line_over_two_zones_is_on_one_map(zones, tmp_path):
    cubes = [itslive.open_cube(zones[name]) for name in ("east", "west")]
    line = [(MIDDLE[0] - 0.013, MIDDLE[1]), (MIDDLE[0] + 0.004, MIDDLE[1])]
    found = itslive.profile(cubes, line, QUICK, spacing=120.0)
    whole = itslive.profile(itslive.open_cube(zones["one"]), line, QUICK, spacing=120.0)
    assert found["mapping"].attrs["spatial_epsg"] == 32646
    assert set(found["cube_url"].values) == {str(zones["east"]), str(zones["west"])}
    assert "cube_url" not in whole
    for name in ("vx", "vy"):
        np.testing.assert_allclose(found[name], whole[name], atol=120.0 * Field.steepest)
    assert float(np.hypot(found["x"] - whole["x"], found["y"] - whole["y"]).max()) < 125.0
    for ending in ("nc", "csv"):
        write_profile(found, tmp_path / f"line.{ending}")
    with xr.open_dataset(tmp_path / "line.nc") as file:
        assert file["cube_url"].values.tolist() == found["cube_url"].values.tolist()
    table = pd.read_csv(tmp_path / "line.csv")
    assert set(table["cube_url"]) == {str(zones["east"]), str(zones["west"])}
    assert set(table["epsg"]) == {32646}


def test_turning_a_block_turns_vectors_and_their_errors():
    both = np.array([0, 1])
    onto = Onto((2, 3), both, np.array([0, 2]), both, both, np.array([90.0, 0.0]), np.zeros(2))
    values = np.arange(4.0, dtype=np.float32).reshape(1, 2, 2)
    stds = {"vx_std": values + 1, "vy_std": values + 2}
    placed = onto.place({"vx": values, "vy": values + 10, **stds, "n_pairs": values.astype("i4")})
    # North becomes east, east becomes south.
    assert placed["vx"][0].tolist()[0][0] == pytest.approx(10.0)
    assert placed["vy"][0, 0, 0] == pytest.approx(0.0)
    assert (placed["vx_std"][0, 0, 0], placed["vy_std"][0, 0, 0]) == pytest.approx((2.0, 1.0))
    assert (placed["vx"][0, 1, 2], placed["vy"][0, 1, 2]) == pytest.approx((3.0, 13.0))
    assert np.isnan(placed["vx"][0, 0, 1])
    assert placed["n_pairs"][0].tolist() == [[0, 0, 0], [0, 0, 3]]
