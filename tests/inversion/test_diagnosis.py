"""What an estimate rests on, held against full matrices and against pairs of a known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings, PairSelection
from itslive_core.inversion.dense import difference_matrix
from itslive_core.inversion.learnt_prior import LearntPrior
from itslive_core.inversion.point import solve_point
from itslive_core.inversion.resolution import effective_resolution
from itslive_core.observations.time_grid import TimeGrid
from tests.inversion.full_system import FullSystem
from tests.simulate import network, simulate


def make(n: int = 500, *, seed: int = 1, longest: float = 150.0, outliers: int = 0) -> ImagePairs:
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, longest=longest)
    mission = np.where(end - start < 20, "S1", "L8_9")
    pairs = simulate(
        lambda t: 300 + 80 * np.sin(t / 58),
        start, end, noise=lambda d: 300 / d + 3, rng=rng, mission=mission,
    )  # fmt: skip
    vx = pairs.vx.copy()
    vx[:outliers] += 2000.0
    return replace(pairs, vx=vx)


@pytest.mark.parametrize("derivative", [1, 2])
@pytest.mark.parametrize("smoothing", [0.3, 20.0, 3e4])
def test_resolution_is_that_of_the_full_matrices(derivative: int, smoothing: float) -> None:
    rng = np.random.default_rng(3)
    start, end = network(rng, 120, longest=100)
    hole = (start < 17_900) & (end > 17_700)
    start, end = start[~hole], end[~hole]
    grid = TimeGrid.covering(start, end, 12.0)
    operator = grid.operator(start, end)
    w = rng.uniform(0.0, 3.0, len(start))
    a, d = operator.to_dense(), difference_matrix(derivative, grid.size)
    gram = a.T @ (w[:, None] * a)
    own = np.diag(np.linalg.solve(gram + (smoothing / 12.0**derivative) ** 2 * d.T @ d, gram))
    found = effective_resolution(operator, w, derivative, smoothing)
    seen = operator.overlaps() > 0
    assert not seen.all()
    assert np.isnan(found[~seen]).all()
    np.testing.assert_allclose(12.0 / found[seen], own[seen], rtol=1e-6, atol=1e-9)


def test_shares_of_the_cells_sum_to_the_freedom_of_the_fit() -> None:
    found = itslive.diagnose(make(), InversionSettings(smoothing="evidence", noise="learnt", offsets="none"))
    freedom = found.series.attrs["effective_degrees_of_freedom"]
    assert float((12.0 / found.resolution).sum()) == pytest.approx(
        freedom, rel=0.03
    )  # that of the pass before
    assert float(found.resolution.min()) >= 12.0


@pytest.mark.parametrize("interval", [12.0, 7.0, 60.0])
@pytest.mark.parametrize("derivative", [1, 2])
def test_the_learnt_prior_is_that_of_the_estimate(interval: float, derivative: int) -> None:
    """It leads to the same series, and its resolution and evidence are those of the full matrices."""
    pairs = make(400)
    settings = InversionSettings(interval=interval, derivative=derivative)
    solution = solve_point(pairs, settings)
    learnt = LearntPrior.of(solution)
    evidence, prior = learnt.evidence, learnt.prior
    posterior = evidence.solve(prior)
    turn = solution.result.learnt.axis[0]  # type: ignore[union-attr]
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    groups = learnt.groups - learnt.groups[0]
    mean = (groups == np.arange(groups[-1] + 1)[:, None]) / np.bincount(groups)[:, None]
    series = axes.T @ posterior.series @ mean.T
    found = solution.result.values[0][:, learnt.groups[0] :][:, : groups[-1] + 1]
    seen = np.isfinite(found[0])
    # Of long cells the profile holds means.
    tolerance = 1e-6 if interval <= 12 else 0.5
    np.testing.assert_allclose(series[:, seen], found[:, seen], rtol=1e-6, atol=tolerance)
    grid = solution.shared.grid
    parts = len(np.flatnonzero(groups == 1))
    fine = TimeGrid(grid.interval / parts, grid.first * parts, grid.size * parts)
    used = solution.pairs
    a = fine.operator(used.start, used.end).to_dense()
    a = a[:, np.flatnonzero(a.any(axis=0))[0] :][:, : evidence.size]
    full = [
        FullSystem.of(
            a, np.empty((len(a), 0)), learnt.weights, learnt.values[axis], factor * prior.own,
            factor * prior.yearly, np.empty(0), interval=fine.interval, order=derivative,
        )
        for axis, factor in enumerate((1.0, prior.stiffer))
    ]  # fmt: skip
    assert learnt.evidence_at(learnt.smoothing) == pytest.approx(sum(f.value for f in full), rel=1e-6)
    own = np.diag(full[0].covariance @ (a.T @ (learnt.weights[:, None] * a)))
    resolution = learnt.resolution(grid.size, grid.interval)
    expected = np.maximum(mean @ (fine.interval / own), grid.interval)
    known = np.isfinite(resolution)
    np.testing.assert_allclose(resolution[known], expected, rtol=1e-5)


def test_the_estimate_is_that_of_invert() -> None:
    pairs, selection = make(), PairSelection(max_span=100)
    settings = InversionSettings(derivative=1, smoothing="gcv")
    found = itslive.diagnose(pairs, settings, selection=selection)
    assert found.series.identical(itslive.invert(pairs, settings, selection=selection))
    assert found.smoothing.attrs["criterion"] == "gcv"
    assert found.smoothing.attrs["smoothing_used"] == found.series.attrs["smoothing_used"]


def test_the_curve_is_that_of_the_final_weights() -> None:
    pairs = make(outliers=25)
    settings = InversionSettings(outliers="none", smoothing="evidence", smoothing_in_time="constant")
    found = itslive.diagnose(pairs, settings)
    chosen = found.series.attrs["smoothing_used"]
    assert found.smoothing.attrs["criterion"] == "evidence"
    # Neighbouring candidates differ by a factor of 1.4.
    assert float(found.smoothing["evidence"].idxmin()) == pytest.approx(chosen, rel=0.25)
    plain = itslive.diagnose(pairs, replace(settings, robust=False))
    assert float(plain.smoothing["evidence"].idxmin()) > 1.5 * chosen, "outliers ask for a smoother series"


def test_the_curve_reaches_a_given_lambda() -> None:
    found = itslive.diagnose(make(), InversionSettings(smoothing=0.02))
    assert found.smoothing.attrs["criterion"] == "given"
    assert float(found.smoothing["smoothing"].min()) == pytest.approx(0.02)
    assert np.isfinite(found.smoothing["evidence"]).all()


def test_outliers_have_hardly_any_weight_and_noise_is_as_assumed() -> None:
    pairs = make(1500, outliers=40)
    table = itslive.diagnose(pairs, InversionSettings(outliers="none")).pairs
    assert (table["weight"].iloc[:40] < 0.1).all()
    assert table["weight"].iloc[40:].median() > 0.8
    truth = 300 / pairs.span + 3
    inner = slice(40, None)
    # The scale of a Student t whose middle is that of normal noise is a little smaller.
    np.testing.assert_allclose(np.median(table["sigma"].iloc[inner] / truth[inner]), 0.96, atol=0.1)
    assert table["normalised"].iloc[inner].median() == pytest.approx(1.23, abs=0.1)


def test_residuals_follow_the_flow() -> None:
    rng = np.random.default_rng(4)
    start, end = network(rng, 400, longest=60)
    pairs = simulate(lambda t: -200.0 + 0 * t, start, end, ratio=-0.75)  # to the upper left
    faster, sideways = 7, 8
    vx, vy = pairs.vx.copy(), pairs.vy.copy()
    vx[faster], vy[faster] = vx[faster] - 4.0, vy[faster] + 3.0
    vx[sideways], vy[sideways] = vx[sideways] - 3.0, vy[sideways] - 4.0
    settings = InversionSettings(smoothing=1e6, outliers="none", robust=False)
    table = itslive.diagnose(replace(pairs, vx=vx, vy=vy), settings).pairs
    assert table["residual"].iloc[faster] == pytest.approx(5.0, abs=0.1)
    assert table["residual_across"].iloc[faster] == pytest.approx(0.0, abs=0.1)
    assert table["residual"].iloc[sideways] == pytest.approx(0.0, abs=0.1)
    assert abs(table["residual_across"].iloc[sideways]) == pytest.approx(5.0, abs=0.1)


def locking(n: int = 800) -> ImagePairs:
    """Pairs of which the long ones read a tenth of the speed."""
    rng = np.random.default_rng(6)
    start, end = network(rng, n, longest=400)
    pairs = simulate(lambda t: 3000.0 + 0 * t, start, end, noise=30.0, rng=rng)
    slow = end - start > 200
    return replace(pairs, vx=np.where(slow, 300.0, pairs.vx), vy=np.where(slow, 150.0, pairs.vy))


def test_every_pair_says_which_filter_took_it() -> None:
    pairs = locking()
    selection = PairSelection(start="2016-10-01", min_span=8)
    found = itslive.diagnose(pairs, selection=selection)
    assert len(found.pairs) == len(pairs)
    taken = found.pairs["rejected_by"].value_counts()
    removed = found.steps.set_index("name")["removed"]
    for step in ("dates", "span", "span_consistency"):
        assert taken[step] == removed[step] > 0, step
    assert taken[""] == found.series.attrs["n_pairs_used"] == found.steps["kept"].iloc[-1]
    rejected = found.pairs["rejected_by"] != ""
    assert found.pairs.loc[rejected, ["weight", "sigma", "residual", "normalised"]].isna().all(axis=None)
    assert found.pairs.loc[~rejected, ["weight", "sigma", "residual", "normalised"]].notna().all(axis=None)


def test_tables_count_the_same_pairs() -> None:
    found = itslive.diagnose(make(), selection=PairSelection(min_span=10))
    used = found.pairs[found.pairs["rejected_by"] == ""]
    assert found.missions["n_used"].to_dict() == used["mission"].value_counts().to_dict()
    assert found.missions["n_rejected"].sum() == len(found.pairs) - len(used)
    assert list(found.missions.index) == ["S1", "L8_9"]
    assert found.span_classes["n"].sum() == len(used)
    for row in found.span_classes.itertuples():
        here = used["residual"][(used["span"].round() >= row.low) & (used["span"].round() < row.high)]
        assert row.median_residual == pytest.approx(here.median())
        assert row.mad == pytest.approx((here - here.median()).abs().median())


@pytest.mark.parametrize("keep", [0, 3])
def test_without_an_estimate_the_reason_is_there(keep: int) -> None:
    found = itslive.diagnose(make().take(np.arange(keep)))
    assert found.series.attrs["reason"]
    assert len(found.pairs) == keep
    assert found.pairs["residual"].isna().all()
    assert found.resolution.isnull().all()
    assert found.smoothing.sizes["smoothing"] == 0
    assert found.missions["n_used"].sum() == keep


def test_pairs_without_noise_divide_by_nothing() -> None:
    rng = np.random.default_rng(7)
    start, end = network(rng, 100, longest=60)
    pairs = simulate(lambda t: 0.0 * t, start, end)
    found = itslive.diagnose(pairs, InversionSettings(smoothing=10.0))
    assert (found.pairs["residual"] == 0).all()
    assert found.pairs["normalised"].isna().all()


def test_residuals_are_less_what_missions_add() -> None:
    """Offsets and seasonal displacements: what is left is the noise."""
    rng = np.random.default_rng(8)
    start, end = network(rng, 800, longest=60)
    mission = rng.choice(["S2", "L8_9"], 800)
    pairs = simulate(lambda t: 200.0 + 0 * t, start, end, noise=3.0, rng=rng, mission=mission)
    swing = (np.cos(2 * np.pi * end / 365.25) - np.cos(2 * np.pi * start / 365.25)) * 365.25 / (end - start)
    added = (mission == "L8_9") * (30.0 + 0.1 * swing)
    found = itslive.diagnose(replace(pairs, vx=pairs.vx + added))
    for name in ("S2", "L8_9"):
        here = found.pairs["mission"] == name
        assert abs(found.pairs["residual"][here].median()) < 1.0
        assert found.pairs["residual"][here].std() < 4.0
    assert found.missions.columns[-1] == "season"
    assert found.missions["season"]["L8_9"] > found.missions["season"]["S2"] > 0
