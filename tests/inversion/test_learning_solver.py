"""The solver that learns, against full matrices with what it learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.dense import difference_matrix
from itslive_core.inversion.learning.solver import LearningSolver
from itslive_core.inversion.solver import (
    MAX_PASSES,
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
from tests.inversion.full_system import Joint
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
    "constant": replace(ALL, vary=False, smoothing="evidence"),
    "gcv, not robust": replace(ALL, robust=False, smoothing="gcv"),
    "noise alone": replace(ALL, smoothing=300.0, offsets=False, vary=False),
    "offsets alone": replace(ALL, smoothing=300.0, learn_noise=False, vary=False),
    "shape alone": replace(ALL, smoothing=300.0, learn_noise=False, offsets=False),
    "lambda alone": replace(ALL, learn_noise=False, offsets=False, vary=False),
    "stiff": replace(ALL, smoothing=3e4),
}


def hold_against_dense(batch: PixelBatch, options: SolveOptions, result: BatchResult) -> None:
    """Rebuild the first pixel of a result from what was learnt there, with full matrices."""
    learnt, noise, k = result.learnt, batch.noise, options.derivative
    assert learnt is not None
    assert noise is not None
    here = slice(0, int(batch.offsets[1]))
    rows = batch.pair[here]
    op, mission = batch.operator.take(rows), noise.mission[rows]
    # The pixel's own range of cells, on which the profile is given.
    own = np.flatnonzero(np.isfinite(learnt.profile[0]))
    assert own.tolist() == list(range(op.first.min(), op.last.max() + 1))
    a = op.to_dense()[:, own]
    d = difference_matrix(k, len(own)) / op.grid.interval**k
    u, credit, sigma = result.robust_weights[here], learnt.credit[here], learnt.sigma[here]
    w = u * credit / sigma**2 / np.mean(1 / sigma**2)
    lam = learnt.profile[0, own][1 : len(own) - k + 1]
    assert np.exp(np.log(lam).mean()) == pytest.approx(result.smoothing[0], rel=1e-9)
    gram = a.T @ (w[:, None] * a)
    normal = gram + d.T @ (lam[:, None] ** 2 * d)
    data = np.stack([batch.vx[here], batch.vy[here]], axis=1)
    offset = learnt.offset[0][:, mission].T
    # Orthogonalised, because the normal equations of a stiff penalty lose half the digits.
    stacked = np.vstack([lam[:, None] * d, np.sqrt(w)[:, None] * a])
    q, r = np.linalg.qr(stacked)
    v = np.linalg.solve(r, q[len(d) :].T @ (np.sqrt(w)[:, None] * (data - offset)))
    seen = result.count[0][own] > 0
    np.testing.assert_allclose(result.values[0][:, own[seen]], v[seen].T, rtol=1e-8)
    assert np.isnan(np.delete(result.values[0], own[seen], axis=1)).all()

    active = np.flatnonzero(np.isfinite(learnt.offset_std[0, 0]))
    freedom = np.trace(np.linalg.solve(normal, gram)) + len(active)
    assert result.edf[0] == pytest.approx(freedom, rel=1e-7)
    residual = data - offset - a @ v
    scatter = (w[:, None] * residual**2).sum(axis=0) / ((u * credit).sum() - freedom)
    variance = np.diag(np.linalg.inv(normal))
    assert (learnt.offset[0][:, np.setdiff1d(np.arange(len(MISSIONS)), active)] == 0).all()
    if options.offsets:
        assert len(active) > 0
        # The precision of the offsets' prior, from the equations that they solve: the same in all of them.
        column = np.full(len(MISSIONS), -1)
        column[active] = np.arange(len(active))
        one_hot = column[mission][:, None] == np.arange(len(active))
        slope = one_hot.T @ (w[:, None] * residual)
        kappa = slope / learnt.offset[0][:, active].T
        np.testing.assert_allclose(kappa, kappa[0, 0], rtol=1e-5)
        joint = Joint.solve(a, normal, w, data, column[mission], len(active), kappa[0, 0])
        np.testing.assert_allclose(joint.b, learnt.offset[0][:, active], rtol=1e-6)
        error = np.sqrt(scatter[:, None] * np.diag(joint.inverse)[None, len(own) :])
        np.testing.assert_allclose(learnt.offset_std[0][:, active], error, rtol=1e-6)
        assert (np.diag(joint.inverse)[: len(own)] >= variance).all()
        variance = np.diag(joint.inverse)[: len(own)]
    np.testing.assert_allclose(
        result.std[0][:, own[seen]], np.sqrt(scatter[:, None] * variance[None, seen]), rtol=1e-6
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("interval", [12.0, 7.0])
def test_the_estimate_is_that_of_full_matrices(name: str, interval: float) -> None:
    """With the weights, the offsets and the smoothing that were learnt."""
    batch = pixel_of(make_batch(20, interval), 2)
    result = LearningSolver().solve(batch, CASES[name])
    assert result.status.tolist() == [SOLVED]
    hold_against_dense(batch, CASES[name], result)


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_robust_weights_are_those_of_studentised_residuals(seed: int) -> None:
    """At the end the weights are those of the residuals that they lead to."""
    batch = make_batch(seed, 12.0, pixels=1, gap=False)
    result = LearningSolver().solve(batch, CASES["no offsets"])
    learnt, op = result.learnt, batch.operator.take(batch.pair)
    assert learnt is not None
    assert batch.noise is not None
    assert result.passes[0] < MAX_PASSES + 2  # converged
    a, d = op.to_dense(), difference_matrix(2, op.grid.size) / op.grid.interval**2
    u = result.robust_weights
    w = u * learnt.credit / learnt.sigma**2 / np.mean(1 / learnt.sigma**2)
    penalty = d.T @ (learnt.profile[0, 1:-1, None] ** 2 * d)
    inverse = np.linalg.inv(a.T @ (w[:, None] * a) + penalty)
    residual = np.array([batch.vx, batch.vy]) - result.values[0] @ a.T
    pull = np.minimum(w * np.einsum("ji,ik,jk->j", a, inverse, a), 0.95)
    m = np.hypot(*residual) / learnt.sigma / np.sqrt(1 - pull)
    np.testing.assert_allclose(u, (FREEDOM + 2) / (FREEDOM + m**2), atol=0.02)
    assert (u < 0.1).sum() > 5  # guards the test


def assert_same(one: BatchResult, other: BatchResult, tolerance: float) -> None:
    """Compare two results of one pixel, all but what belongs to single pairs."""
    assert one.learnt is not None
    assert other.learnt is not None
    for name in ("values", "std", "smoothing", "edf", "passes", "status", "count", "covered"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=tolerance, err_msg=name)
    for name in ("scale", "floor", "offset_std", "correlation", "profile"):
        np.testing.assert_allclose(
            getattr(one.learnt, name), getattr(other.learnt, name), rtol=tolerance, err_msg=name
        )
    np.testing.assert_allclose(one.learnt.offset, other.learnt.offset, rtol=tolerance, atol=tolerance)


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
    """None, few, just too few and just enough pairs; no motion at all; one mission only."""
    batch = make_batch(25, 12.0, pixels=1, n=400, gap=False)
    assert batch.noise is not None
    n = len(batch.pair)
    still = np.arange(n) >= n // 2
    vx, vy = np.where(still, 0.0, batch.vx), np.where(still, 0.0, batch.vy)
    mission = batch.noise.mission[batch.pair]
    alone = np.flatnonzero((mission == S1) & ~still)
    nothing, few, less, more = (np.arange(k) for k in (0, 4, 39, 41))
    result = LearningSolver().solve(
        batch_of(batch, [nothing, few, less, more, np.flatnonzero(still), alone], vx, vy), ALL
    )
    assert result.status.tolist() == [TOO_FEW, TOO_FEW, SOLVED, SOLVED, NO_FREEDOM, SOLVED]
    learnt = result.learnt
    assert learnt is not None
    assert np.isnan(result.values[:2]).all()
    assert np.isnan(learnt.profile[:2]).all()
    seen = result.count > 0
    for p in (2, 3, 4, 5):
        assert np.isfinite(result.values[p][:, seen[p]]).all()
        assert np.isfinite(learnt.profile[p][seen[p]]).all()
    # Below forty pairs formal errors are believed, and so are missions.
    for p in (0, 1, 2):
        assert np.isnan(learnt.scale[p]).all()
        assert (learnt.offset[p] == 0).all()
        assert np.isnan(learnt.offset_std[p]).all()
    assert np.isfinite(learnt.scale[3, np.unique(mission[more])]).all()
    assert np.isfinite(learnt.offset_std[3]).any()
    assert (result.values[4][:, seen[4]] == 0).all()
    assert np.isnan(result.std[4]).all()
    assert np.isfinite(learnt.scale[5]).tolist() == [m == S1 for m in range(len(MISSIONS))]
    assert (learnt.offset[5] == 0).all()
    assert np.isnan(learnt.offset_std[5]).all()


@pytest.mark.parametrize("order", [1, 2])
def test_below_forty_pairs_the_noise_is_the_formal_one(order: int) -> None:
    """Only the search for lambda is left, so the band solver says the same at that lambda."""
    whole = make_batch(26, 12.0, pixels=1, n=200, gap=False)
    batch = batch_of(whole, [np.arange(39)], whole.vx, whole.vy)
    options = replace(ALL, derivative=order, robust=False)
    result = LearningSolver().solve(batch, options)
    assert batch.noise is not None
    weights = 1 / batch.noise.variance
    plain = BandedSolver().solve(
        replace(batch, weights=weights / weights.mean()),
        SolveOptions(order, float(result.smoothing[0]), robust=False, uncertainty=True),
    )
    np.testing.assert_allclose(result.values, plain.values, rtol=1e-9)
    # At the stiff end of lambda the selected inverse of the two, compiled apart, keeps some seven digits.
    np.testing.assert_allclose(result.std, plain.std, rtol=1e-6)
    np.testing.assert_allclose(result.edf, plain.edf, rtol=1e-6)


@pytest.mark.parametrize(
    "order",
    [
        1,
        2,
    ],
)
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
    assert result.learnt is not None
    np.testing.assert_allclose(result.learnt.profile[0], result.smoothing)


def test_a_mission_that_loses_its_pairs_loses_its_offset() -> None:
    """A handful of pairs that are rejected as outliers on the way leave no offset behind."""
    lost = 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 28])
        batch = make_batch(1000 + seed, 12.0, pixels=1, n=120, missions=(S2,), gap=False)
        assert batch.noise is not None
        mission, vx = batch.noise.mission.copy(), batch.vx.copy()
        few = rng.choice(len(vx), 7, replace=False)
        mission[batch.pair[few]] = S1
        vx[few] += rng.normal(120, 15, 7)
        batch = replace(batch, vx=vx, noise=replace(batch.noise, mission=mission))
        result = LearningSolver().solve(batch, ALL)
        assert result.learnt is not None
        inactive = np.isnan(result.learnt.offset_std[0])
        lost += int(inactive[0, S1])
        assert (result.learnt.offset[0][inactive] == 0).all()
    assert lost > 5  # guards the test
