"""Spatial smoothing: against a dense joint solve, the laws it obeys, the truth, and seams between blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core import Glacier, InversionSettings, PairSelection
from itslive_core.cli import run
from itslive_core.demo import demo_path
from itslive_core.errors import SettingsError
from itslive_core.inversion.prepare import filter_block, solve_blocks
from itslive_core.jobs.coupling import CoupledBlocks, choose_for_job, halo_for
from itslive_core.neighbours.patches import Patch, PixelFits, choose_coupling, couple, neighbour_correlation
from itslive_core.neighbours.quadrature import graph_quadrature
from itslive_core.observations.blocks import Block
from tests.coupled_area import DENSE, SimulatedArea, solve

if TYPE_CHECKING:
    from pathlib import Path

    from itslive_core.neighbours.coupled import CoupledPixels

PLAIN = InversionSettings(smoothing=300.0, interval=48.0, robust=False, outliers="none", weights="error")
LEARNING = InversionSettings(interval=48.0, outliers="none")
RECENT = PairSelection(start="2023")


def whole(area: SimulatedArea, settings: InversionSettings) -> tuple[Patch, list[PixelFits], CoupledBlocks]:
    """All pixels of an area in one problem."""
    blocks, shared, mask = area.prepare(settings)
    fits = blocks.fit(blocks.tasks, shared, mask)
    ny, nx = area.shape
    return Patch.join(fits, Block(0, ny, 0, nx), shared, settings), fits, blocks


def dense_matrices(pixels: CoupledPixels, mu: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks N_p, the coupling, and both right-hand sides, in the order of the cells of all pixels."""
    seen, layout = pixels.observed, pixels.layout
    n = int(layout.size.sum())
    normal, ties, right = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, 2))
    for p, (start, size, first) in enumerate(zip(layout.start, layout.size, layout.cell0, strict=True)):
        own = slice(start, start + size)
        here = slice(seen.offsets[p], seen.offsets[p + 1])
        a = np.zeros((here.stop - here.start, size))
        for row, j in zip(a, seen.pair[here], strict=True):
            low, high = seen.spans.first[j] - first, seen.spans.last[j] - first
            row[low : high + 1] = seen.spans.rate[j]
            row[low] *= seen.spans.head[j]
            row[high] = 1.0 if low == high else seen.spans.rate[j] * seen.spans.tail[j]
        w = seen.weights[here, None]
        d = np.diff(np.eye(size), layout.order, axis=0)
        shape = layout.shape[own][: len(d), None]
        normal[own, own] = a.T @ (w * a) + layout.alpha[p] * d.T @ (shape * d)
        right[own] = a.T @ (w * np.stack([seen.vx[here], seen.vy[here]], axis=1))
        for q in layout.neighbours[p]:
            if q < 0:
                continue
            for cell in range(
                max(first, layout.cell0[q]), min(first + size, layout.cell0[q] + layout.size[q])
            ):
                i, j = start + cell - first, layout.start[q] + cell - layout.cell0[q]
                ties[i, i] += mu**2
                ties[i, j] -= mu**2
    return normal, ties, right


def in_order(pixels: CoupledPixels, flat: np.ndarray) -> np.ndarray:
    layout = pixels.layout
    parts = [
        flat[2 * s : 2 * (s + n)].reshape(2, n).T for s, n in zip(layout.start, layout.size, strict=True)
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("settings", [PLAIN, LEARNING], ids=["plain", "learning"])
@pytest.mark.parametrize("derivative", [1, 2])
def test_equals_a_dense_joint_solve(settings: InversionSettings, derivative: int) -> None:
    patch, _, _ = whole(SimulatedArea((4, 4)), replace(settings, derivative=derivative))
    pixels, mu = patch.pixels, 0.4
    normal, ties, right = dense_matrices(pixels, mu)
    alone = in_order(pixels, pixels.solve(0.0, tolerance=1e-12).flat)
    np.testing.assert_allclose(alone, np.linalg.solve(normal, right), rtol=1e-8, atol=1e-8)
    found = pixels.solve(mu, tolerance=1e-12)
    assert found.residual <= 1e-12
    expected = np.linalg.solve(normal + ties, right)
    np.testing.assert_allclose(in_order(pixels, found.flat), expected, rtol=1e-8, atol=1e-8)
    assert np.abs(expected - alone).max() > 1.0
    loose = in_order(pixels, pixels.solve(mu).flat)
    variances = np.diag(np.linalg.inv(normal + ties))
    bars = np.sqrt(variances)[:, None] * 40.0  # the least noise of a pair
    assert np.abs(loose - expected).max() < 1e-3 * bars.min()
    shared = replace(pixels, threads=3).solve(mu).flat
    np.testing.assert_allclose(in_order(pixels, shared), loose, rtol=1e-9)
    place = pixels.layout.start[5] + 7
    assert pixels.covariance(mu, 5, 7, tolerance=1e-9) == pytest.approx(variances[place], rel=1e-8)


def test_std_is_near_that_of_the_dense_inverse() -> None:
    patch, _, _ = whole(SimulatedArea((5, 5)), PLAIN)
    mu = 0.3
    normal, ties, _ = dense_matrices(patch.pixels, mu)
    true = np.diag(np.linalg.inv(normal + ties)) / np.diag(np.linalg.inv(normal))
    ratio = patch.pixels.variance_ratio(mu, np.arange(25))
    ratio = ratio[np.isfinite(ratio)]
    assert true.min() < 0.5
    assert 0.0 < ratio.min() <= ratio.max() <= 1.0 + 1e-9
    error = np.sqrt(ratio / true)
    assert abs(np.median(error) - 1.0) < 0.05
    assert np.percentile(error, 2) > 0.85
    assert np.percentile(error, 98) < 1.2


def test_quadrature_of_a_small_graph_is_exact() -> None:
    pair = np.array([[1, -1, -1, -1], [-1, 0, -1, -1], [-1, -1, -1, -1]])
    nodes, shares = graph_quadrature(pair, np.arange(3))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    for x in (0.1, 1.0, 10.0):
        exact = np.diag(np.linalg.inv(np.array([[1 + x, -x, 0], [-x, 1 + x, 0], [0, 0, 1.0]])))
        np.testing.assert_allclose((shares / (1.0 + x * nodes)).sum(axis=1), exact, rtol=1e-9)


def test_without_coupling_nothing_changes() -> None:
    area = SimulatedArea((5, 8))
    blocks, shared, mask = area.prepare(LEARNING)
    blocks.mu = 0.0
    task = blocks.tasks[0]
    [(result, alone)] = solve(blocks, [task], shared, mask)
    used = filter_block(area.read_block(task.block), shared, LEARNING)
    [expected] = solve_blocks(shared, [used], LEARNING)
    np.testing.assert_array_equal(result.values, expected.values)
    np.testing.assert_array_equal(result.std, expected.std)
    np.testing.assert_array_equal(alone.used, np.diff(used.offsets))
    assert alone.result.values is result.values


def test_a_uniform_field_is_not_penalised() -> None:
    patch, fits, _ = whole(SimulatedArea((4, 5), noise=0.0, slope=0.0), PLAIN)
    found = patch.pixels.solve(30.0)
    before, after = (patch.pixels.values(flat, np.arange(20)) for flat in (patch.pixels.flat, found.flat))
    bias = np.nanmax(np.abs(before - np.nanmedian(before, axis=0)))  # of the smoothing in time, which differs
    assert np.nanmax(np.abs(after - before)) <= bias
    constant = SimulatedArea((4, 5), noise=0.0, slope=0.0)
    constant.vx[:], constant.vy[:] = 123.0, -45.0
    patch, fits, _ = whole(constant, PLAIN)
    [(values, _)] = couple(patch, [fits[0]], 30.0, 0.0, uncertainty=False)
    np.testing.assert_allclose(values[:, 0][np.isfinite(values[:, 0])], 123.0, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(values), np.isnan(fits[0].result.values))


def test_strong_coupling_makes_neighbours_equal() -> None:
    patch, _, _ = whole(SimulatedArea((4, 4)), PLAIN)
    spread = []
    for mu in (0.0, 0.1, 1.0, 100.0):
        values = patch.pixels.values(patch.pixels.solve(mu).flat, np.arange(16))[:, 0, 10:40]
        spread.append(float(np.mean(np.std(values, axis=0))))
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < 0.01 * spread[0]


def test_pixels_without_estimate_drop_out() -> None:
    area = SimulatedArea((5, 5))
    area.seen[:, 2] = False  # a wall: both sides know nothing of each other
    area.seen[2, :2, 3:] = False
    patch, fits, _ = whole(area, PLAIN)
    assert (patch.number[:, 2] == -1).all()
    [(values, _)] = couple(patch, [fits[0]], 0.3, 0.0, uncertainty=True)
    assert np.isnan(values.reshape(5, 5, -1)[:, 2]).all()
    nobody = SimulatedArea((5, 5), present=0.0)
    empty, nothing, _ = whole(nobody, PLAIN)
    assert np.isnan(couple(empty, nothing, 0.3, 0.0, uncertainty=True)[0][0]).all()
    assert neighbour_correlation([empty]) == choose_coupling([empty]) == 0.0
    area.vx[:, 3:] += 5000.0
    other, fits, _ = whole(area, PLAIN)
    [(moved, _)] = couple(other, [fits[0]], 0.3, 0.0, uncertainty=False)
    same = (values.reshape(5, 5, 2, -1)[:, :2], moved.reshape(5, 5, 2, -1)[:, :2])
    np.testing.assert_allclose(*same, atol=0.05)


def test_sparse_years_gain_and_the_choice_finds_it() -> None:
    area = SimulatedArea((10, 10), slope=8.0, seed=3)
    patch, fits, blocks = whole(area, LEARNING)
    _, shared, mask = area.prepare(LEARNING)
    chooser = CoupledBlocks(area, blocks.tasks, replace(LEARNING, spatial_smoothing="auto"))  # type: ignore[arg-type]
    found = choose_for_job([chooser], [(shared, mask)], blocks.tasks)
    mu = found["spatial_smoothing_used"]
    assert 0.01 < mu < 10.0
    assert found["spatial_halo"] == halo_for(mu)
    assert abs(found["spatial_noise_correlation"]) < 0.1
    truth, sparse = area.truth(shared.grid), shared.grid.centres < DENSE
    wrong = {"alone": [], "coupled": []}
    for fit in fits:
        block = fit.block
        here = truth[block.row0 : block.row1, block.col0 : block.col1].reshape(25, -1)
        [(values, std)] = couple(patch, [fit], mu, found["spatial_noise_correlation"], uncertainty=True)
        wrong["alone"].append((fit.result.values[:, 0] - here)[:, sparse])
        wrong["coupled"].append((values[:, 0] - here)[:, sparse])
        assert (std[np.isfinite(std)] <= fit.result.std[np.isfinite(std)]).all()
    rmse = {name: np.sqrt(np.nanmean(np.square(parts))) for name, parts in wrong.items()}
    assert rmse["coupled"] < 0.85 * rmse["alone"]


def test_neighbours_with_common_noise_are_found() -> None:
    area = SimulatedArea((5, 5), present=0.9)
    common = np.random.default_rng(5).normal(size=(2, len(area.pairs))) * area.pairs.vx_error
    area.vx += common[0]
    area.vy += common[1]
    patch, _, _ = whole(area, PLAIN)
    assert neighbour_correlation([patch]) == pytest.approx(0.5, abs=0.12)


def test_blocks_join_without_seams() -> None:
    area = SimulatedArea((10, 30), seed=2)
    settings = replace(PLAIN, spatial_smoothing=0.1)
    patch, fits, _ = whole(area, settings)
    blocks, shared, mask = area.prepare(settings)
    choose_for_job([blocks], [(shared, mask)], blocks.tasks)
    area.reads.clear()
    for task, fit in list(zip(blocks.tasks, fits, strict=True))[1:4]:
        [(result, _)] = solve(blocks, [task], shared, mask)
        [(values, std)] = couple(patch, [fit], 0.1, blocks.correlation, uncertainty=True)
        assert np.nanmax(np.abs(result.values - values) / std) < 0.01
        np.testing.assert_allclose(result.std, std, rtol=0.01)
    assert len(area.reads) <= len(blocks.tasks) + 3  # neighbours are read and solved once


def test_a_job_says_what_it_used_and_goes_on_with_it(tmp_path: Path) -> None:
    cube = itslive.open_cube(demo_path().cubes[0])
    glacier = min(Glacier.list_from_file(demo_path().outlines), key=lambda g: g.area_km2 or 0)
    settings = InversionSettings(
        smoothing=100.0, interval=96.0, robust=False, outliers="none", spatial_smoothing="auto"
    )
    straight, broken = tmp_path / "straight.zarr", tmp_path / "broken.zarr"
    results = list(itslive.run_glacier(cube, glacier, settings, straight, selection=RECENT))
    assert all(r.error is None for r in results)
    changed = False
    for alone in itslive.run_glacier(
        cube, glacier, replace(settings, spatial_smoothing=0.0), selection=RECENT
    ):
        coupled = next(r for r in results if r.name == alone.name)
        np.testing.assert_array_equal(coupled.before["vx"], alone.arrays["vx"])
        changed = changed or bool(np.any(np.abs(coupled.before["vx"] - coupled.arrays["vx"]) > 0.0))
        assert not alone.before
    assert changed
    job = itslive.run_glacier(cube, glacier, settings, broken, selection=RECENT)
    next(job)
    job.close()
    list(itslive.run_glacier(cube, glacier, settings, broken, selection=RECENT))
    ds = xr.open_zarr(straight).load()
    xr.testing.assert_allclose(ds, xr.open_zarr(broken).load(), rtol=1e-4, atol=1e-3)
    assert ds.attrs["spatial_smoothing"] == "auto"
    assert ds.attrs["spatial_smoothing_used"] == results[0].attributes["spatial_smoothing_used"] >= 0.0
    assert ds.attrs["spatial_residual"] == 1e-5
    assert list(ds.attrs)[-1] == "n_pairs_used"
    job_of = json.loads(ds.attrs["job"])["settings"]
    assert InversionSettings.from_dict({**job_of, "device": "auto"}) == settings


def test_not_for_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cube = itslive.open_cube(demo_path().cubes[0])
    coupled = InversionSettings(spatial_smoothing=0.1)
    pairs = cube.pairs_at(lon=-50.1245, lat=69.3143)
    with pytest.raises(SettingsError, match="no neighbours: leave it at 0"):
        itslive.invert(pairs, coupled)
    point = ["invert", cube.url, "--lon", "-50.1245", "--lat", "69.3143", "-o", str(tmp_path / "s.nc")]
    assert run([*point, "--spatial-smoothing", "auto"]) == 2
    assert "a point has no neighbours" in capsys.readouterr().err
    assert run([*point, "--spatial-smoothing", "-1"]) == 2
    assert "'-1' is neither" in capsys.readouterr().err
