"""What the flags of a cell say, and that clean data raise none."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.series.quality import (
    BELOW_NOISE,
    DIRECTION_REVERSED,
    EXTRAPOLATED,
    FEW_PAIRS,
    FLAGS,
    ONE_MISSION,
    PAIRS_DISAGREE,
    PairEvidence,
    flags_of_flow,
    flags_of_pairs,
    normalised_squares,
    quality_of,
)

S1, S2, OTHER = (MISSIONS.index(name) for name in ("S1", "S2", "other"))


def evidence(
    start: list[float] | np.ndarray,
    end: list[float] | np.ndarray,
    *,
    mission: list[int] | np.ndarray | int = S2,
    weight: list[float] | float = 1.0,
    square: list[float] | np.ndarray | float = 2.0,
    worth: float = 1.0,
    cells: int = 10,
) -> PairEvidence:
    """One pixel with pairs on cells of 10 days from day 0."""
    n = len(start)
    operator = TimeGrid(10.0, 0, cells).operator(np.asarray(start, float), np.asarray(end, float))
    missions = np.broadcast_to(mission, n).astype(np.int64)
    offsets, pair = np.array([0, n]), np.arange(n)
    weight, square, worth_of = (np.broadcast_to(value, n).astype(float) for value in (weight, square, worth))
    return PairEvidence(operator, missions, offsets, pair, weight, square, worth_of)


def has(flags: np.ndarray, flag: int) -> list[int]:
    """Cells in which a flag is set."""
    return np.flatnonzero(flags.reshape(-1) & flag).tolist()


def test_the_flags_are_those_of_the_contract():
    assert FLAGS == (
        "rests_on_fewer_than_3_pairs",
        "one_mission_only",
        "pairs_disagree",
        "direction_reversed",
        "below_noise",
        "extrapolated",
    )
    bits = (FEW_PAIRS, ONE_MISSION, PAIRS_DISAGREE, DIRECTION_REVERSED, BELOW_NOISE, EXTRAPOLATED)
    assert bits == (1, 2, 4, 8, 16, 32)


def test_pairs_without_weight_do_not_count():
    start, end = [0.0, 0.0, 0.0, 50.0], [100.0, 100.0, 100.0, 60.0]
    assert has(flags_of_pairs(evidence(start, end)), FEW_PAIRS) == []
    assert has(flags_of_pairs(evidence(start, end, weight=[1, 1, 0.009, 1])), FEW_PAIRS) == [
        *range(5),
        *range(6, 10),
    ]
    assert has(flags_of_pairs(evidence(start, end, weight=[1, 1, 0.01, 1])), FEW_PAIRS) == []


def test_a_pair_is_counted_in_the_cells_that_it_overlaps():
    flags = flags_of_pairs(evidence([12.0] * 3, [30.0, 35.0, 95.0]))
    assert has(flags, FEW_PAIRS) == [0, *range(3, 10)]


def test_one_mission_is_seen_cell_by_cell():
    start, end = [0.0, 0.0, 50.0], [50.0, 80.0, 60.0]
    assert has(flags_of_pairs(evidence(start, end, mission=[S1, S2, S1])), ONE_MISSION) == [6, 7]
    some = evidence(start, end, mission=[S1, S2, S1], weight=[0.0, 1.0, 1.0])
    assert has(flags_of_pairs(some), ONE_MISSION) == [*range(5), 6, 7]
    assert has(flags_of_pairs(evidence(start, end, mission=OTHER)), ONE_MISSION) == []


def test_pairs_that_disagree_are_told_from_one_wild_pair_among_many():
    start, end = np.repeat([0.0, 50.0], 20), np.repeat([50.0, 100.0], 20)
    square = np.random.default_rng(1).chisquare(2, 40)
    assert has(flags_of_pairs(evidence(start, end, square=square)), PAIRS_DISAGREE) == []
    wild = square.copy()
    wild[3] = 1e4
    assert has(flags_of_pairs(evidence(start, end, square=wild)), PAIRS_DISAGREE) == []
    torn = square.copy()
    torn[:10] = 25.0
    assert has(flags_of_pairs(evidence(start, end, square=torn)), PAIRS_DISAGREE) == [*range(5)]
    few = evidence([0.0, 0.0], [100.0, 100.0], square=[1e3, 2.0])
    assert has(flags_of_pairs(few), PAIRS_DISAGREE) == [*range(10)]


def test_pairs_that_share_images_are_worth_less():
    start, end, square = np.zeros(20), np.full(20, 100.0), np.full(20, 9.0)
    assert len(has(flags_of_pairs(evidence(start, end, square=square)), PAIRS_DISAGREE)) == 10
    assert not has(flags_of_pairs(evidence(start, end, square=square, worth=0.05)), PAIRS_DISAGREE)


def test_pairs_of_unknown_noise_are_not_judged():
    some = evidence([0.0] * 3, [100.0] * 3, square=[np.nan] * 3)
    assert not has(flags_of_pairs(some), PAIRS_DISAGREE)
    nothing = evidence([], [])
    assert has(flags_of_pairs(nothing), FEW_PAIRS) == [*range(10)]


@pytest.mark.parametrize("heavy", [False, True])
def test_noise_as_assumed_is_no_disagreement(heavy: bool):
    rng = np.random.default_rng(8)
    n, cells = 600, 150
    start = rng.uniform(0, 1400, n)
    end = np.minimum(start + np.exp(rng.uniform(np.log(6), np.log(200), n)), 1500)
    found = []
    for _ in range(20):
        square = rng.chisquare(2, n)
        if heavy:  # Student's t with 4 degrees of freedom in both components
            square /= rng.chisquare(4, n) / 4
        found.append(flags_of_pairs(evidence(start, end, square=square, cells=cells)) & PAIRS_DISAGREE)
    assert np.mean(np.array(found) > 0) < 0.02


def test_residuals_are_compared_with_the_noise():
    grid = TimeGrid(10.0, 0, 6)
    start, end = np.array([0.0, 5.0, 20.0, 45.0]), np.array([10.0, 25.0, 60.0, 60.0])
    operator = grid.operator(start, end)
    series = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0] * 6], [[np.nan] + [1.0] * 5, [1.0] * 6]])
    mean = operator.to_dense() @ series[0, 0]
    offsets, pair = np.array([0, 4, 6]), np.array([0, 1, 2, 3, 0, 3])
    vx = np.concatenate([mean + np.array([3.0, 0, 0, 2.0]), [1.0, 5.0]])
    vy = np.array([4.0, 0, 0, 0, 1.0, 1.0])
    variance = np.array([1.0, 1, 1, 4, 1, 4])
    found = normalised_squares(operator, offsets, pair, vx, vy, variance, series)
    np.testing.assert_allclose(found, [25.0, 0, 0, 1, np.nan, 4.0], atol=1e-12)
    rng = np.random.default_rng(2)
    many, zero = np.zeros(5000, dtype=int), np.zeros((1, 2, 6))
    noise = 30.0 * rng.normal(size=(2, 5000))
    scaled = normalised_squares(
        operator, np.array([0, 5000]), many, *noise, np.ones(5000), zero, scaled=False
    )
    assert np.mean(scaled) == pytest.approx(2.0, rel=0.06)


def test_flow_is_judged_by_its_series():
    vx = np.array([100.0, 120.0, -50.0, -15.0, 100.0, 20.0, np.nan])
    n = len(vx)
    series = {
        "vx": vx,
        "vy": np.where(np.isnan(vx), np.nan, 0.0),
        "v": np.abs(vx),
        **{f"{name}_std": np.full(n, 10.0) for name in ("vx", "vy", "v")},
    }
    coverage = np.array([1.0, 1, 1, 1, 0, 1, 0])
    flags = flags_of_flow(series, coverage)
    assert has(flags, DIRECTION_REVERSED) == [2]
    assert has(flags, BELOW_NOISE) == [3, 5]
    assert has(flags, EXTRAPOLATED) == [4, 6]
    without = flags_of_flow({name: series[name] for name in ("vx", "vy", "v")}, coverage)
    assert has(without, ~EXTRAPOLATED) == []
    both = np.stack([vx, -vx])
    turned = {**series, "vx": both, "vy": 0 * both, "v": np.abs(both)}
    assert has(flags_of_flow(turned, np.stack([coverage] * 2)), DIRECTION_REVERSED) == [2, n + 2]


def test_a_cell_without_a_value_has_no_flag_but_extrapolated():
    flags = np.full(3, FEW_PAIRS | ONE_MISSION | PAIRS_DISAGREE, dtype=np.int16)
    values = np.array([np.nan, np.nan, 5.0])
    series = {"vx": values, "vy": values, "v": values}
    found = quality_of(flags, series, np.array([0.0, 1.0, 1.0]))
    assert found.tolist() == [EXTRAPOLATED, 0, FEW_PAIRS | ONE_MISSION | PAIRS_DISAGREE]
    assert found.dtype == np.int16
