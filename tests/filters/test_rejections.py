"""The filters of the field on values, their order, and the word for every pair that says which took it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import ImagePairs, InversionSettings, PairSelection
from itslive_core.errors import SettingsError
from itslive_core.filters.rejections import FILTERS, explain_rejections, reject, rejections
from itslive_core.inversion.point import use_pairs
from itslive_core.observations.batches import Observations, PairFacts, pair_error
from tests.acquisitions import lock, observe

YEAR = 365.25
OFF = InversionSettings(outliers="none")


def steady(t: np.ndarray) -> np.ndarray:
    return 800 + 0 * t


def surge(t: np.ndarray) -> np.ndarray:
    return 120 + 1400 * np.exp(-(((t - 18_200) / 100) ** 2))


def slow_down(t: np.ndarray) -> np.ndarray:
    return 150 + 2000 / (1 + np.exp((t - 18_200) / 40))


def pairs_of(vx: list[float], vy: list[float], **columns: list[float]) -> ImagePairs:
    start = 17_000.0 + 20.0 * np.arange(len(vx))
    return ImagePairs.from_arrays(start, start + 12.0, vx, vy, **columns)  # type: ignore[arg-type]


def names_of(pairs: ImagePairs, settings: InversionSettings) -> list[str]:
    return explain_rejections(pairs, settings).tolist()


def test_error_is_the_root_mean_square_of_both_components() -> None:
    pairs = pairs_of([1, 2, 3, 4], [1, 2, 3, 4], vx_error=[3, 7, np.nan, 1], vy_error=[4, 1, 5, 7])
    np.testing.assert_allclose(
        pair_error(pairs.vx_error, pairs.vy_error), [np.sqrt(12.5), 5.0, np.nan, 5.0], rtol=1e-15
    )
    settings = replace(OFF, max_error=5.0)
    assert names_of(pairs, settings) == ["", "", "", ""]  # the limit is inclusive
    settings = replace(OFF, max_error=4.9)
    assert names_of(pairs, settings) == ["", "max_error", "", "max_error"]
    step = reject(pairs, settings).history[-1]
    assert (step.name, step.kept, step.dropped) == ("max_error", 2, 2)
    assert step.note == "formal error up to 4.9 m/yr; 1 without one were kept"


def test_angle_is_to_the_median_flow_and_zero_has_none() -> None:
    turn = np.radians([0, 10, -44, 44, 46, -46, 180, *(13 * [0])])
    speed = np.array([100, 300, 110, 100, 100, 100, 100, *np.linspace(30, 300, 12), 0.0])
    pairs = pairs_of(list(speed * np.cos(turn)), list(speed * np.sin(turn)))
    names = names_of(pairs, replace(OFF, max_angle=45.0))
    assert [i for i, name in enumerate(names) if name] == [4, 5, 6]
    assert set(names) == {"", "max_angle"}


@pytest.mark.parametrize("angle", [0.7, 3.9])
def test_angle_does_not_depend_on_the_axes(angle: float) -> None:
    case = observe(1, steady, share=0.2)
    settings = replace(OFF, max_angle=30.0)
    pairs = case.pairs
    turned = replace(
        pairs,
        vx=np.cos(angle) * pairs.vx - np.sin(angle) * pairs.vy,
        vy=np.sin(angle) * pairs.vx + np.cos(angle) * pairs.vy,
    )
    one, two = explain_rejections(pairs, settings), explain_rejections(turned, settings)
    assert (one == "max_angle").sum() > 10
    assert np.mean(one == two) > 0.995  # the median of components is not that of turned ones


def test_directions_of_noise_are_left_alone() -> None:
    case = observe(2, lambda t: 3 + 0 * t, share=0.3)
    used = reject(case.pairs, replace(OFF, max_angle=20.0))
    assert len(used) == len(case.pairs)
    assert used.history[-1].note.startswith("not applied: the median flow of ")
    strong_season = observe(2, lambda t: 300 + 280 * np.cos(2 * np.pi * t / YEAR), share=0.3)
    assert len(reject(strong_season.pairs, replace(OFF, max_angle=20.0))) < len(strong_season.pairs)
    assert "directions are noise" in used.history[-1].note


def test_deviation_takes_wild_pairs_of_each_span() -> None:
    for seed in range(3):
        case = observe(seed, steady, share=1.0)
        names = explain_rejections(case.pairs, replace(OFF, max_deviation=3.5))
        taken = names == "max_deviation"
        short = case.pairs.span < 32
        sentinel = case.pairs.mission == "S2"
        wild = np.hypot(case.pairs.vx - case.truth, case.pairs.vy - 0.5 * case.truth)
        for group in (sentinel & short, sentinel & ~short):
            far = group & case.outlier & (wild > 8 * np.median(wild[group]))
            assert far.sum() >= 5
            assert taken[far].mean() > 0.98
            assert taken[group & ~case.outlier].mean() < 0.05


@pytest.mark.parametrize("truth", [surge, slow_down], ids=["surge", "slow-down"])
def test_deviation_is_from_the_others_over_the_same_span_and_leaves_a_surge(truth) -> None:  # type: ignore[no-untyped-def]
    for seed in range(3):
        case = observe(seed, truth)
        names = explain_rejections(case.pairs, replace(OFF, max_deviation=3.5))
        honest = ~case.outlier
        unusual = honest & (np.abs(case.truth - np.median(case.truth)) > 0.5 * np.median(case.truth))
        assert unusual.sum() > 100
        assert (names[unusual] != "").mean() < 0.08
        assert (names[honest] != "").mean() < 0.05


def test_deviation_of_a_still_pixel_in_whole_metres_takes_only_what_is_far() -> None:
    rng = np.random.default_rng(0)
    start = 17_000 + rng.uniform(0, 2000, 300)
    vx = np.zeros(300)
    vx[:10], vx[10:13] = 2.0, 40.0
    pairs = ImagePairs.from_arrays(start, start + rng.choice([24.0, 48.0, 360.0], 300), vx, np.zeros(300))
    names = explain_rejections(pairs, replace(OFF, max_deviation=3.5))
    assert (names[10:13] == "max_deviation").all()
    assert (np.delete(names, [10, 11, 12]) == "").all()


def test_all_filters_in_their_order_and_a_word_for_every_pair() -> None:
    case = observe(3, steady, keep=lambda s, e, m, r: s > 15_800)
    case = lock(case, 3, case.pairs.span > 130, 0.05, 0.5)
    settings = InversionSettings(max_error=20.0, max_angle=45.0, max_deviation=3.5)
    selection = PairSelection(start="2014-01-01", end="2023-12-31", max_span=500)
    used = use_pairs(case.pairs, settings, selection)
    steps = used.history[-6:]
    order = ["dates", "span", "max_error", "max_angle", "span_consistency", "max_deviation"]
    assert [step.name for step in steps] == order
    names = explain_rejections(case.pairs, settings, selection)
    assert names.dtype.kind == "U"
    np.testing.assert_array_equal(case.pairs.start[names == ""], used.start)
    np.testing.assert_array_equal(case.pairs.vx[names == ""], used.vx)
    for step in steps:
        assert (names == step.name).sum() == step.dropped > 0
    before = [case.pairs.history[-1].kept, *(step.kept for step in steps)]
    assert [a - b for a, b in pairwise(before)] == [step.dropped for step in steps]


def test_every_filter_is_switched_by_a_setting_of_its_own() -> None:
    settings = InversionSettings(max_error=20.0, max_angle=45.0, max_deviation=3.5)
    assert len({one.name for one in FILTERS}) == len({one.setting for one in FILTERS}) == len(FILTERS)
    assert all(one.limit(settings) is not None for one in FILTERS)
    assert all(one.limit(OFF) is None for one in FILTERS)


def test_nothing_is_rejected_where_nothing_is_asked_for() -> None:
    case = observe(4, steady, share=0.1)
    assert (explain_rejections(case.pairs, OFF) == "").all()
    assert reject(case.pairs, OFF) is case.pairs
    empty = case.pairs.take(np.zeros(len(case.pairs), dtype=bool))
    everything = InversionSettings(max_error=20.0, max_angle=45.0, max_deviation=3.5)
    assert explain_rejections(empty, everything).size == 0
    assert len(reject(empty, everything)) == 0


def test_block_and_point_reject_alike() -> None:
    settings = InversionSettings(max_error=60.0, max_angle=60.0, max_deviation=3.5)
    cases = [observe(5, steady, share=0.2), observe(6, surge, share=0.15), observe(7, steady, share=0.002)]
    sizes = [len(case.pairs) for case in cases]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(case.pairs, name) for case in cases])

    one = [PairFacts.of(case.pairs) for case in cases]
    block = Observations(
        np.concatenate(([0], np.cumsum(sizes))), np.arange(sum(sizes), dtype=np.int32), joined("vx"),
        joined("vy"),
    )  # fmt: skip
    left = block
    for _, _, after in rejections(block, PairFacts(*map(np.concatenate, zip(*one))), settings):
        left = after
    expected = np.concatenate([explain_rejections(case.pairs, settings) == "" for case in cases])
    np.testing.assert_array_equal(np.flatnonzero(expected), left.pair)
    np.testing.assert_array_equal(left.vx, block.vx[expected])
    counts = [int((explain_rejections(case.pairs, settings) == "").sum()) for case in cases]
    np.testing.assert_array_equal(np.diff(left.offsets), counts)


def test_settings_round_trip_and_say_what_is_possible() -> None:
    settings = InversionSettings(max_error=50, max_angle=45, max_deviation=3.5)
    assert InversionSettings.from_json(settings.to_json()) == settings
    assert settings.to_dict()["max_error"] == 50.0
    assert "max_error" not in InversionSettings().to_dict()  # a NetCDF attribute cannot be None
    assert InversionSettings.from_dict({"max_angle": None}) == InversionSettings()
    for name, value, words in (
        ("max_error", -1, "from 0.1 to 100000 m/yr"),
        ("max_angle", 0, "from 1 to 180 degrees"),
        ("max_angle", "steep", "from 1 to 180 degrees"),
        ("max_deviation", float("nan"), "from 1 to 1000 robust standard deviations"),
        ("max_deviation", True, "from 1 to 1000 robust standard deviations"),
    ):
        with pytest.raises(SettingsError, match=words):
            InversionSettings(**{name: value})  # type: ignore[arg-type]


def test_limits_are_written_with_the_series() -> None:
    case = observe(8, steady, share=0.05)
    settings = InversionSettings(smoothing=10.0, max_angle=45.0, max_deviation=3.5)
    ds = itslive.invert(case.pairs, settings)
    assert (ds.attrs["max_angle"], ds.attrs["max_deviation"]) == (45.0, 3.5)
    assert "max_error" not in ds.attrs
    assert ds.attrs["n_pairs_max_deviation"] == ds.attrs["n_pairs_used"] < ds.attrs["n_pairs_max_angle"]


@pytest.mark.parametrize("spans", [(6.0, 12.0), (12.0,), (15.0,), (400.0, 500.0), (6.0, 12.0, 545.0)])
@pytest.mark.parametrize("n", [19, 20, 50])
def test_any_spans_make_a_series(spans: tuple[float, ...], n: int) -> None:
    rng = np.random.default_rng(n)
    start = 17_000 + np.sort(rng.uniform(0, 900, n))
    vx = rng.normal(300.0, 10.0, n)
    pairs = ImagePairs.from_arrays(start, start + rng.choice(spans, n), vx, rng.normal(0.0, 10.0, n))
    assert (explain_rejections(pairs, InversionSettings()) == "").all()
    for estimate in (itslive.invert, itslive.fit_moving_median):
        series = estimate(pairs).dropna("time", subset=["vx"])
        assert series.sizes["time"] or estimate is itslive.fit_moving_median
        # The last cells of a few pairs of more than a year are told by their ends alone, and say so.
        allowed = np.fmax(30.0, 3.0 * series["vx_std"].to_numpy())
        assert (np.abs(series["vx"].to_numpy() - 300.0) <= allowed).all()
    season = itslive.fit_season(pairs)
    assert np.isnan(season["mean_speed"]) or abs(season["mean_speed"] - 300.0) < 30.0
    assert season.attrs.get("reason") or np.isfinite(season["mean_speed"])
