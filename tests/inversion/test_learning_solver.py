"""The solver that learns, against full matrices with what it learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from itslive_core.inversion.learning.solver import LearningSolver
from itslive_core.inversion.solver import (
    NO_FREEDOM,
    SOLVED,
    TOO_FEW,
    NoiseInputs,
    PixelBatch,
    SolveOptions,
)
from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.support.student import FREEDOM
from tests.inversion.full_system import FullSystem, border_matrix
from tests.simulate import image_noise

if TYPE_CHECKING:
    from itslive_core.inversion.solver import BatchResult

S1, S2, L8_9 = (MISSIONS.index(name) for name in ("S1", "S2", "L8_9"))


def make_batch(
    seed: int, interval: float, *, pixels: int = 3, n: int = 300, missions: tuple[int, ...] = (S1, S2, L8_9),
    offset: float = 40.0, rho: float = 0.1, gap: bool = True,
) -> PixelBatch:  # fmt: skip
    """Simulate pixels that use parts of the same pairs, with shared images, offsets and outliers."""
    rng = np.random.default_rng(seed)
    at = np.sort(17_000 + rng.choice(np.arange(0, 900, 5), n // 5, replace=False)) + 0.43
    i = rng.integers(0, len(at) - 12, n)
    j = i + rng.integers(1, 12, n)
    start, end = at[i], at[j]
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    t = op.grid.centres
    truth = 300 + 80 * np.sin(t / 58) + 200 * np.exp(-(((t - 17_500) / 30) ** 2))
    mission = rng.choice(missions, n)
    formal = 200 / (end - start) + 2
    sigma = formal * np.array([2.0, 1.0, 1.0, 2.0, 1.4, 1.0])[mission]
    parts = [np.flatnonzero(rng.random(n) < 0.9) for _ in range(pixels)]
    if gap:
        parts[-1] = parts[-1][(end[parts[-1]] < 17_350) | (start[parts[-1]] > 17_450)]
    values = []
    for part in parts:
        noise = image_noise(rng, rho, i[part], len(at) + j[part], 2 * len(at))
        mean = op.take(part).apply(truth) + offset * (mission[part] == S1)
        wild = np.where(rng.random(len(part)) < 0.05, 500.0, 0.0)
        values.append(np.array([1.0, -0.5])[:, None] * mean + sigma[part] * noise + wild)
    pair = np.concatenate(parts).astype(np.int32)
    vx, vy = np.concatenate(values, axis=1)
    span_id = np.unique(i * len(at) + j, return_inverse=True)[1].astype(np.int32)
    inputs = NoiseInputs(
        formal[pair] ** 2, mission.astype(np.int64), i.astype(np.int32), j.astype(np.int32), len(at)
    )
    bounds = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    return PixelBatch(op, span_id, bounds, pair, vx, vy, np.ones(len(pair)), inputs)


def pixel_of(batch: PixelBatch, p: int, order: np.ndarray | None = None) -> PixelBatch:
    """Return one pixel of a batch, its pairs perhaps in another order."""
    assert batch.noise is not None
    here = np.arange(batch.offsets[p], batch.offsets[p + 1])
    here = here if order is None else here[order]
    return replace(
        batch,
        offsets=np.array([0, len(here)]),
        pair=batch.pair[here],
        vx=batch.vx[here],
        vy=batch.vy[here],
        weights=batch.weights[here],
        noise=replace(batch.noise, variance=batch.noise.variance[here]),
    )


ALL = SolveOptions(2, "auto", robust=True, uncertainty=True, learn_noise=True, offsets=True, vary=True)
"""Everything is learnt."""
CASES = {
    "all": ALL,
    "derivative 1": replace(ALL, derivative=1),
    "no offsets": replace(ALL, offsets=False),
    "constant": replace(ALL, vary=False),
    "plain": replace(ALL, plain=True),
    "evidence": replace(ALL, smoothing="evidence"),
    "gcv, not robust": replace(ALL, robust=False, smoothing="gcv"),
    "noise alone": replace(ALL, smoothing=300.0, offsets=False, vary=False),
    "offsets alone": replace(ALL, smoothing=300.0, learn_noise=False, vary=False),
    "shape alone": replace(ALL, smoothing=300.0, learn_noise=False, offsets=False),
    "lambda alone": replace(ALL, learn_noise=False, offsets=False, vary=False),
    "stiff": replace(ALL, smoothing=3e4),
}
WHOLE = {"all", "derivative 1", "no offsets", "constant", "lambda alone"}


class Rebuilt:
    """One pixel with full matrices, from what was learnt there."""

    def __init__(self, batch: PixelBatch, options: SolveOptions, result: BatchResult) -> None:
        learnt, noise, k = result.learnt, batch.noise, options.derivative
        assert learnt is not None
        assert noise is not None
        op, mission = batch.operator.take(batch.pair), noise.mission[batch.pair]
        interval = op.grid.interval
        # The pixel's own range of cells, on which the profile is given.
        self.own = np.flatnonzero(np.isfinite(learnt.profile[0]))
        assert self.own.tolist() == list(range(op.first.min(), op.last.max() + 1))
        size = len(self.own)
        start = op.grid.first * interval + (op.first + 1.0 - op.head) * interval
        end = start + interval / op.rate
        self.active = np.flatnonzero(np.isfinite(learnt.offset_std[0, 0])).tolist()
        seasons = np.flatnonzero(learnt.season[0].any(axis=(0, 2))).tolist()
        b = border_matrix(start, end, mission, self.active, seasons)
        beside = np.concatenate(
            [learnt.offset[0][:, self.active], learnt.season[0][:, seasons].reshape(2, -1)], axis=1
        )
        u, credit, sigma = result.robust_weights, learnt.credit, learnt.sigma
        w = u * credit / sigma**2
        turn = learnt.axis[0]
        self.axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        data = self.axes @ (np.stack([batch.vx, batch.vy]) - beside @ b.T)
        precision = np.mean(1 / sigma**2)
        lam, yearly = (x[0, self.own][1 : size - k + 1] for x in (learnt.profile, learnt.yearly))
        assert np.exp(np.log(lam).mean()) == pytest.approx(result.smoothing[0], rel=1e-9)
        self.along, self.across = (
            FullSystem.of(
                op.to_dense()[:, self.own], np.empty((len(w), 0)), w, data[axis],
                (factor * lam / interval**k) ** 2 * precision,
                (factor * yearly / interval**k) ** 2 * precision,
                np.empty(0), interval=interval, order=k,
            )
            for axis, factor in enumerate((1.0, learnt.stiffer[0]))
        )  # fmt: skip
        # Of Student's noise pairs tell less than the weights that find the series.
        told = w * ((FREEDOM + 2) / (FREEDOM + 4) if options.robust else 1.0)
        self.told = [replace(system, w=told) for system in (self.along, self.across)]
        self.offsets, self.offset_std = beside[:, : len(self.active)], learnt.offset_std[0][:, self.active]
        self.b = b[:, : len(self.active)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("interval", [12.0, 7.0])
def test_the_estimate_is_that_of_full_matrices(name: str, interval: float) -> None:
    """With the weights, what missions add, and the smoothing that were learnt."""
    options = CASES[name]
    batch = pixel_of(make_batch(20, interval), 2)
    result = LearningSolver().solve(batch, options)
    assert result.status.tolist() == [SOLVED]
    full = Rebuilt(batch, options, result)
    seen = result.count[0][full.own] > 0
    series = full.axes.T @ np.stack([full.along.mean, full.across.mean])
    np.testing.assert_allclose(result.values[0][:, full.own[seen]], series[:, seen], rtol=1e-6)
    assert np.isnan(np.delete(result.values[0], full.own[seen], axis=1)).all()
    learnt = result.learnt
    assert learnt is not None
    whole = name in WHOLE
    assert bool(np.nanmax(learnt.yearly) > 0) == whole
    assert bool(learnt.season.any()) == (whole and options.offsets)
    assert whole or learnt.stiffer[0] == 1.0
    assert len(full.active) == (2 if options.offsets else 0)
    assert np.isfinite(learnt.scale[0]).any() == options.learn_noise
    if not options.robust:
        np.testing.assert_array_equal(result.robust_weights, 1.0)


@pytest.mark.parametrize("name", ["noise alone", "shape alone"])
def test_with_a_given_lambda_the_band_is_that_of_full_matrices(name: str) -> None:
    batch = pixel_of(make_batch(20, 12.0), 2)
    result = LearningSolver().solve(batch, CASES[name])
    full = Rebuilt(batch, CASES[name], result)
    seen = result.count[0][full.own] > 0
    expected = np.sqrt(np.diag(full.told[0].covariance))[seen]
    for std in result.std[0][:, full.own[seen]]:
        np.testing.assert_allclose(std, expected, rtol=1e-6)
    rows = full.along.a * np.sqrt(full.along.w)[:, None]
    freedom = np.trace(rows @ full.along.covariance @ rows.T)
    assert result.edf[0] == pytest.approx(freedom, rel=0.02)  # that of the pass before


def test_the_band_counts_what_offsets_may_be_off() -> None:
    options = CASES["offsets alone"]
    batch = pixel_of(make_batch(20, 12.0), 2)
    result = LearningSolver().solve(batch, options)
    full = Rebuilt(batch, options, result)
    # The prior of the offsets, from the equations that they solve: the same in all of them.
    along, b = full.along, full.b
    slopes = [b.T @ (s.w * (s.d - s.a @ s.mean)) for s in (full.along, full.across)]
    assert result.learnt is not None
    precision = np.array(slopes) / full.offsets
    np.testing.assert_allclose(precision, precision[0, 0], rtol=1e-4)
    spread = np.full(len(full.active), 1 / precision[0, 0])
    covariance = replace(full.told[0], b=b, spread=spread).covariance
    size = along.cells
    np.testing.assert_allclose(full.offset_std[0], np.sqrt(np.diag(covariance)[size:]), rtol=1e-5)
    seen = result.count[0][full.own] > 0
    expected = np.sqrt(np.diag(covariance)[:size])[seen]
    np.testing.assert_allclose(result.std[0][0, full.own[seen]], expected, rtol=1e-5)
    assert (expected > np.sqrt(np.diag(full.told[0].covariance))[seen]).all()


@pytest.mark.parametrize("name", ["all", "noise alone", "no offsets"])
def test_whole_bands_are_no_narrower_than_those_of_the_series_alone(name: str) -> None:
    """What is not known exactly widens them."""
    batch = pixel_of(make_batch(20, 12.0), 2)
    result = LearningSolver().solve(batch, CASES[name])
    full = Rebuilt(batch, CASES[name], result)
    seen = result.count[0][full.own] > 0
    variances = np.stack([np.diag(system.covariance) for system in full.told])
    least = np.sqrt((full.axes**2).T @ variances)[:, seen]
    assert (result.std[0][:, full.own[seen]] >= least * (1 - 1e-6)).all()


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_weights_are_those_of_student_for_the_residuals_that_they_lead_to(seed: int) -> None:
    batch = make_batch(seed, 12.0, pixels=1, gap=False)
    result = LearningSolver().solve(batch, CASES["noise alone"])
    assert result.learnt is not None
    full = Rebuilt(batch, CASES["noise alone"], result)
    a, u = full.along.a, result.robust_weights
    pull = np.minimum(full.along.w * np.einsum("ji,ik,jk->j", a, full.along.covariance, a), 0.75)
    residual = np.stack([s.d - a @ s.mean for s in (full.along, full.across)])
    square = (residual**2).sum(axis=0) / (1 - pull) / result.learnt.sigma**2
    np.testing.assert_allclose(u, (FREEDOM + 2) / (FREEDOM + square), atol=0.06)
    assert (u < 0.1).sum() > 5  # guards the test


def test_cross_validation_does_not_look_at_offsets() -> None:
    """However far a mission is off, once its offset is known lambda is what it would be without."""
    options = CASES["gcv, not robust"]
    found = []
    for offset in (0.0, 400.0):
        batch = make_batch(34, 12.0, pixels=1, gap=False, offset=offset, missions=(S1, S2))
        found.append(LearningSolver().solve(batch, options))
    assert found[0].smoothing[0] == pytest.approx(found[1].smoothing[0], rel=0.2)


def turned(batch: PixelBatch, angle: float) -> PixelBatch:
    cos, sin = np.cos(angle), np.sin(angle)
    return replace(batch, vx=cos * batch.vx - sin * batch.vy, vy=sin * batch.vx + cos * batch.vy)


@pytest.mark.parametrize("seed", [22, 23])
@pytest.mark.parametrize("angle", [0.5, np.pi / 2, 2.5])
def test_the_frame_does_not_matter(seed: int, angle: float) -> None:
    batch = make_batch(seed, 12.0, pixels=1, gap=False)
    one = LearningSolver().solve(batch, ALL)
    other = LearningSolver().solve(turned(batch, angle), ALL)
    back = turned(replace(batch, vx=other.values[0, 0], vy=other.values[0, 1]), -angle)
    change = np.abs(np.stack([back.vx, back.vy]) - one.values[0]) / one.std[0]
    assert np.nanmax(change) < 0.2
    assert other.smoothing[0] == pytest.approx(one.smoothing[0], rel=0.1)


def test_units_do_not_matter() -> None:
    """Noise of seven times the size on seven times the velocity: seven times the series."""
    batch = make_batch(24, 12.0, pixels=1, gap=False)
    assert batch.noise is not None
    options = CASES["no offsets"]  # offsets have an expected size in m/yr
    noise = replace(batch.noise, variance=49 * batch.noise.variance)
    larger = replace(batch, vx=7 * batch.vx, vy=7 * batch.vy, noise=noise)
    one, other = (LearningSolver().solve(b, options) for b in (batch, larger))
    np.testing.assert_allclose(other.values, 7 * one.values, rtol=1e-5)
    np.testing.assert_allclose(other.std, 7 * one.std, rtol=1e-4)
    np.testing.assert_allclose(other.smoothing, one.smoothing, rtol=1e-4)


def assert_same(one: BatchResult, other: BatchResult, tolerance: float) -> None:
    """Compare two results of one pixel, all but what belongs to single pairs."""
    assert one.learnt is not None
    assert other.learnt is not None
    for name in ("values", "std", "smoothing", "edf", "passes", "status", "count", "covered"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=tolerance, err_msg=name)
    for name in ("scale", "floor", "jitter", "offset_std", "correlation", "profile", "yearly", "stiffer"):
        np.testing.assert_allclose(
            getattr(one.learnt, name), getattr(other.learnt, name), rtol=tolerance, err_msg=name
        )
    for name in ("offset", "season", "axis"):
        np.testing.assert_allclose(
            getattr(one.learnt, name),
            getattr(other.learnt, name),
            rtol=tolerance,
            atol=tolerance,
            err_msg=name,
        )


def only(result: BatchResult, batch: PixelBatch, p: int) -> BatchResult:
    """Return what a result says of one pixel."""
    assert result.learnt is not None
    here = slice(int(batch.offsets[p]), int(batch.offsets[p + 1]))

    def part(whole: object, per_pair: tuple[str, ...]) -> dict[str, np.ndarray]:
        return {
            name: value[here] if name in per_pair else value[p : p + 1]
            for name, value in vars(whole).items()
            if isinstance(value, np.ndarray)
        }

    learnt = replace(result.learnt, **part(result.learnt, ("credit", "sigma")))
    return replace(result, **part(result, ("robust_weights",)), learnt=learnt)


def test_pixels_of_a_batch_are_estimated_each_for_itself() -> None:
    batch = make_batch(21, 12.0)
    together = LearningSolver().solve(batch, ALL)
    assert (together.status == SOLVED).all()
    for p in range(batch.n_pixels):
        alone, here = LearningSolver().solve(pixel_of(batch, p), ALL), only(together, batch, p)
        assert_same(here, alone, 0.0)
        np.testing.assert_array_equal(here.robust_weights, alone.robust_weights)


@pytest.mark.parametrize("seed", [22, 23, 24])
@pytest.mark.parametrize("name", ["all", "gcv, not robust"])
def test_order_of_the_pairs_does_not_matter(seed: int, name: str) -> None:
    batch = make_batch(seed, 12.0, pixels=1, gap=False)
    order = np.random.default_rng(seed).permutation(len(batch.pair))
    one = LearningSolver().solve(batch, CASES[name])
    other = LearningSolver().solve(pixel_of(batch, 0, order), CASES[name])
    assert_same(one, other, 1e-6)
    np.testing.assert_allclose(one.robust_weights[order], other.robust_weights, atol=1e-6)


def batch_of(batch: PixelBatch, parts: list[np.ndarray], vx: np.ndarray, vy: np.ndarray) -> PixelBatch:
    """Make pixels of some observations of a batch."""
    assert batch.noise is not None
    rows = np.concatenate(parts).astype(np.int64)
    return PixelBatch(
        batch.operator, batch.span_id, np.concatenate(([0], np.cumsum([len(part) for part in parts]))),
        batch.pair[rows], vx[rows], vy[rows], batch.weights[rows],
        replace(batch.noise, variance=batch.noise.variance[rows]),
    )  # fmt: skip


def test_pixels_with_little_to_learn_from() -> None:
    """None, few, just enough and some pairs; no motion at all; one mission only."""
    batch = make_batch(25, 12.0, pixels=1, n=400, gap=False)
    assert batch.noise is not None
    n = len(batch.pair)
    still = np.arange(n) >= n // 2
    vx, vy = np.where(still, 0.0, batch.vx), np.where(still, 0.0, batch.vy)
    mission = batch.noise.mission[batch.pair]
    alone = np.flatnonzero((mission == S1) & ~still)
    nothing, few, less, more = (np.arange(k) for k in (0, 4, 6, 30))
    parts = [nothing, few, less, more, np.flatnonzero(still), alone]
    result = LearningSolver().solve(batch_of(batch, parts, vx, vy), ALL)
    assert result.status.tolist()[:2] == [TOO_FEW, TOO_FEW]
    assert result.status.tolist()[3:] == [SOLVED, NO_FREEDOM, SOLVED]
    assert result.status[2] in (SOLVED, NO_FREEDOM)
    learnt = result.learnt
    assert learnt is not None
    for known in (result.values, learnt.profile, learnt.scale, learnt.offset_std):
        assert np.isnan(known[:2]).all()
    assert not learnt.offset[:2].any()
    assert not learnt.season[:2].any()
    seen = result.count > 0
    for p, part in enumerate(parts[2:], start=2):
        assert np.isfinite(result.values[p][:, seen[p]]).all()
        assert np.isfinite(learnt.profile[p][seen[p]]).all()
        assert np.flatnonzero(np.isfinite(learnt.scale[p])).tolist() == np.unique(mission[part]).tolist()
    assert np.isfinite(learnt.offset_std[3]).any()
    assert (result.values[4][:, seen[4]] == 0).all()
    assert np.isnan(result.std[4]).all()
    assert np.isfinite(result.std[3][:, seen[3]]).all()
    assert (learnt.offset[5] == 0).all()
    assert np.isnan(learnt.offset_std[5]).all()
    assert np.flatnonzero(learnt.season[5].any(axis=(0, 2))).tolist() == [S1]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [5, 8, 15])
def test_few_pairs_believe_in_a_steady_glacier(order: int, n: int) -> None:
    """Nothing tells that the velocity changes, so the series stays near the mean of its pairs."""
    for seed in range(5):
        rng = np.random.default_rng([seed, n])
        start = 17_000 + np.sort(rng.uniform(0, 400, n))
        end = start + rng.uniform(6, 60, n)
        op = TimeGrid.covering(start, end, 12.0).operator(start, end)
        image, pair = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32)
        noise = NoiseInputs(np.full(n, 100.0), np.full(n, S2), image, image + np.int32(n), 2 * n)
        vx, vy = np.array([[300.0], [-150.0]]) + rng.normal(0, 10, (2, n))
        batch = PixelBatch(op, pair, np.array([0, n]), pair, vx, vy, np.ones(n), noise)
        result = LearningSolver().solve(batch, replace(ALL, derivative=order))
        error = result.values[0] - np.array([[300.0], [-150.0]])
        assert np.nanmax(np.abs(error)) < 60.0
        if result.status[0] == SOLVED:
            assert np.nanmax(np.abs(error) / result.std[0]) < 4.0


@pytest.mark.parametrize("order", [1, 2])
def test_a_series_of_one_cell_has_its_lambda(order: int) -> None:
    rng = np.random.default_rng(27)
    start = 17_004 + rng.uniform(0, 3, 50)
    op = TimeGrid.covering(start, start + 5, 12.0).operator(start, start + rng.uniform(1, 5, 50))
    image = np.arange(50, dtype=np.int32)
    noise = NoiseInputs(np.ones(50), np.full(50, S2), image, image + 50, 100)
    batch = PixelBatch(
        op, image, np.array([0, 50]), image, rng.normal(100, 5, 50), rng.normal(50, 5, 50), np.ones(50), noise
    )
    result = LearningSolver().solve(batch, replace(ALL, derivative=order))
    assert op.grid.size == 1
    assert result.status[0] == SOLVED
    assert result.learnt is not None
    for value, std, true in zip(result.values[0, :, 0], result.std[0, :, 0], (100, 50), strict=True):
        assert abs(value - true) < 4 * std < 20
    np.testing.assert_allclose(result.learnt.profile[0], result.smoothing)


def coarse(batch: PixelBatch, parts: int) -> PixelBatch:
    """Solve on the cells of a batch, and give means over some of them."""
    grid = batch.operator.grid
    interval = grid.interval
    start = (grid.first + batch.operator.first + 1.0 - batch.operator.head) * interval
    end = start + interval / batch.operator.rate
    whole = TimeGrid.covering(start, end, parts * interval)
    fine = TimeGrid(interval, whole.first * parts, whole.size * parts)
    return replace(batch, operator=whole.operator(start, end), fine=fine.operator(start, end), parts=parts)


@pytest.mark.parametrize("name", ["all", "constant"])
def test_coarse_cells_are_means_of_fine_ones(name: str) -> None:
    batch = make_batch(26, 12.0, pixels=1, gap=False)
    fine = LearningSolver().solve(batch, CASES[name])
    rough = coarse(batch, 5)
    found = LearningSolver().solve(rough, CASES[name])
    shift = batch.operator.grid.first - 5 * rough.operator.grid.first
    groups = (np.arange(fine.values.shape[2]) + shift) // 5
    assert found.values.shape[2] == groups[-1] + 1
    for group in np.unique(groups):
        here = np.isfinite(fine.values[0, 0]) & (groups == group)
        mean = fine.values[0][:, here].mean(axis=1)
        np.testing.assert_allclose(found.values[0, :, group], mean, atol=0.02 * found.std[0].max())
        # A mean is known no worse than its cells, and no better than if they were independent.
        std = found.std[0, :, group]
        assert (std <= 1.02 * fine.std[0][:, here].max(axis=1)).all()
        assert (std >= 0.98 * fine.std[0][:, here].min(axis=1) / np.sqrt(5)).all()
    assert found.smoothing[0] == pytest.approx(fine.smoothing[0] * np.sqrt(5), rel=1e-6)
    np.testing.assert_allclose(found.robust_weights, fine.robust_weights, atol=1e-6)
