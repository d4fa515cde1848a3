"""Season and trend of a pixel: held against quadrature, dense algebra, and simulated truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.errors import SettingsError
from itslive_core.observations.batches import Observations
from itslive_core.season.algebra import OVERTONES, Joint, Normal, assemble_season, criterion
from itslive_core.season.fit import SeasonFacts
from itslive_core.season.point import SeasonRows, fit_season, season_of_pixels
from tests.season.season_truth import (
    DIRECTION,
    ORIGIN,
    PLAIN,
    TURN,
    YEAR,
    circular,
    dates,
    make_pairs,
    mean_over,
    network,
    sinusoid,
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# --- exactness ---------------------------------------------------------------------------------------------


def test_rows_are_exact_averages_of_hats_and_sinusoids(rng):
    start, end = dates(rng, 60, spans=(3.0, 900.0))
    start[0], end[0] = ORIGIN + 10 * YEAR, ORIGIN + 12 * YEAR  # from a first of January to another
    rows = SeasonRows.make(start, end)
    data = rows.data.design
    nodes, node_weights = np.polynomial.legendre.leggauss(24)
    for j in range(len(start)):
        a, b = (start[j] - ORIGIN) / YEAR - rows.first_year, (end[j] - ORIGIN) / YEAR - rows.first_year
        row = np.zeros(data.first[j] + data.begin[j + 1] - data.begin[j])
        row[data.first[j] :] = data.coefficient[data.begin[j] : data.begin[j + 1]]
        expected, overtones = np.zeros_like(row), np.zeros(OVERTONES)
        for year in range(len(row) // 3):
            low, high = max(a, year), min(b, year + 1)
            if high <= low:
                continue
            t = 0.5 * (low + high) + 0.5 * (high - low) * nodes
            w = 0.5 * (high - low) * node_weights / (b - a)
            expected[3 * year] += w @ (year + 1 - t)
            expected[3 * year + 3] += w @ (t - year)
            expected[3 * year + 1] += w @ np.sin(TURN * t)
            expected[3 * year + 2] += w @ np.cos(TURN * t)
            overtones += [w @ f(TURN * k * t) for k in (2, 3) for f in (np.sin, np.cos)]
        np.testing.assert_allclose(row, expected, atol=1e-12)
        np.testing.assert_allclose(data.overtone[j], overtones, atol=1e-12)
        assert row[::3].sum() == pytest.approx(1.0, abs=1e-14)


def test_a_pure_season_on_a_line_is_recovered_from_long_and_short_spans(rng):
    short, long = dates(rng, 120), dates(rng, 120, spans=(300.0, 540.0))
    start, end = (np.concatenate(parts) for parts in zip(short, long))
    middle = (0.5 * (start + end) - ORIGIN) / YEAR
    along = 700 + 5 * (middle - 17) + sinusoid(start, end, 80.0, 200.0)
    ds = fit_season(make_pairs(start, end, along, across=sinusoid(start, end, 7.0, 30.0)), PLAIN)
    assert ds.attrs["reason"] == ""
    assert float(ds.season_amplitude) == pytest.approx(80.0, abs=1e-6)
    assert float(ds.season_day) == pytest.approx(200.0, abs=1e-6)
    assert float(ds.trend) == pytest.approx(5.0, abs=1e-6)
    # The vector keeps what goes on across the flow.
    vector = np.array([[ds[f"season_{c}_{w}"] for w in ("sin", "cos")] for c in ("vx", "vy")])
    across = np.array([-DIRECTION[1], DIRECTION[0]]) @ vector
    assert np.hypot(*across) == pytest.approx(7.0, abs=1e-6)
    assert np.hypot(*(DIRECTION @ vector)) == pytest.approx(80.0, abs=1e-6)
    years = ds.where(ds.year_n_pairs >= 10, drop=True)
    np.testing.assert_allclose(years.year_amplitude, 80.0, atol=1e-5)
    np.testing.assert_allclose(years.year_day, 200.0, atol=1e-5)
    np.testing.assert_allclose(years.year_speed, 700 + 5 * (years.year - 2000 + 0.5 - 17), atol=1e-5)


def test_evidence_mean_and_variance_equal_those_of_dense_marginal_covariances(rng):
    start, end = dates(rng, 70, 2014.0, 2018.0, spans=(5.0, 500.0))
    n = len(start)
    y, w = 100 + 30 * rng.normal(size=n), rng.uniform(0.2, 2.0, n)
    rows = SeasonRows.make(start, end)
    data = rows.data.design
    length = np.diff(data.begin)
    normal = Normal.blank(int((data.first + length).max()), int(length.max()) - 1)
    size, years = normal.size, normal.years
    assemble_season(data, np.arange(n, dtype=np.int32), 0, w, y, np.zeros(n), normal)
    dense = np.zeros((n, size))
    for j in range(n):
        dense[j, data.first[j] : data.first[j] + length[j]] = data.coefficient[
            data.begin[j] : data.begin[j + 1]
        ]
    hats, sine, cosine = dense[:, ::3], dense[:, 1::3], dense[:, 2::3]
    # Known up to four numbers without a prior: level, drift, mean sine, mean cosine.
    flat = np.stack([hats.sum(1), hats @ np.arange(years + 1), sine.sum(1), cosine.sum(1)], axis=1)
    steps = np.stack([hats[:, y + 1 :].sum(1) for y in range(years)], axis=1)
    axis = np.array([np.sin(0.7), np.cos(0.7)])
    room = Joint.blank(normal, 2)

    def marginal(x):
        p = 10.0**-x
        outward, sideways = axis[0] * sine + axis[1] * cosine, axis[1] * sine - axis[0] * cosine
        covariance = np.diag(1 / w)
        for part, variance in zip((steps, outward, sideways, data.overtone), p):
            covariance += variance * part @ part.T
        inverse = np.linalg.inv(covariance)
        information = flat.T @ inverse @ flat
        beta = np.linalg.solve(information, flat.T @ inverse @ y)
        rss = y @ inverse @ (y - flat @ beta)
        scatter = rss / (n - 4)
        value = (
            (n - 4) * np.log(scatter) + np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1]
        )
        direction = np.array([0.0, 0.0, *axis])
        return value, scatter, direction @ beta, scatter * direction @ np.linalg.solve(information, direction)

    def ours(x):
        return criterion(normal, np.array([1.0, 0.0]), float(n), x, axis, axis, room)

    here, there = np.array([0.3, -0.5, 0.6, 1.0]), np.array([-1.0, 1.5, 0.1, -0.7])
    assert ours(here)[0] - ours(there)[0] == pytest.approx(marginal(here)[0] - marginal(there)[0], abs=1e-8)
    np.testing.assert_allclose(ours(here)[1:], marginal(here)[1:], rtol=1e-9)


def test_agrees_with_weighted_least_squares_of_yearly_means_and_one_sinusoid(rng):
    start, end = network(rng, 800)
    sigma = 250 / (end - start) + 2
    truth = 300 + sinusoid(start, end, 40.0, 120.0)
    pairs = make_pairs(start, end, truth, sigma * rng.normal(size=(2, len(start))), sigma)
    ds = fit_season(pairs, PLAIN)
    # ItsLive.jl's model, from displacements: one mean for each year, one sinusoid.
    a, b = (start - ORIGIN) / YEAR, (end - ORIGIN) / YEAR
    years = np.arange(13, 24)
    overlap = np.clip(np.minimum.outer(b, years + 1) - np.maximum.outer(a, years), 0, None)
    waves = (
        np.stack([np.cos(TURN * a) - np.cos(TURN * b), np.sin(TURN * b) - np.sin(TURN * a)], axis=1) / TURN
    )
    design = np.hstack([overlap[:, overlap.any(0)], waves]) / (sigma * (b - a))[:, None]
    along = pairs.vx * DIRECTION[0] + pairs.vy * DIRECTION[1]
    *_, s, c = np.linalg.lstsq(design, along / sigma, rcond=None)[0]
    amplitude, day = np.hypot(s, c), YEAR * ((0.25 - np.arctan2(c, s) / TURN) % 1.0)
    assert abs(float(ds.season_amplitude) - amplitude) < float(ds.season_amplitude_std)
    assert abs(circular(float(ds.season_day) - day)) < float(ds.season_day_std)


def test_order_of_the_pairs_does_not_matter(rng):
    start, end = network(rng, 300)
    pairs = make_pairs(start, end, 300 + sinusoid(start, end, 40.0, 120.0), rng.normal(0, 20, (2, 300)))
    one, other = fit_season(pairs), fit_season(pairs.take(rng.permutation(300)))
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_turned_glacier_is_the_same_glacier(rng):
    start, end = network(rng, 300)
    noise = rng.normal(0, 20, (2, 300))
    along = 300 + sinusoid(start, end, 40.0, 120.0)
    pairs = make_pairs(start, end, along, noise)
    turned = itslive.ImagePairs.from_arrays(
        start,
        end,
        -pairs.vy,
        pairs.vx,
        vx_error=pairs.vx_error,
        vy_error=pairs.vy_error,
        mission=pairs.mission,
    )
    one, other = fit_season(pairs, PLAIN), fit_season(turned, PLAIN)
    for name in (
        "season_amplitude",
        "season_amplitude_std",
        "season_day",
        "trend",
        "trend_std",
        "mean_speed",
    ):
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-6)
    assert float(other.season_vy_sin) == pytest.approx(float(one.season_vx_sin), rel=1e-6)


# --- hard cases --------------------------------------------------------------------------------------------


def test_an_isolated_outlier_does_not_bend_the_background(rng):
    start, end = dates(rng, 200, 2015.0, 2021.0)
    start, end = np.append(start, ORIGIN + 13.2 * YEAR), np.append(end, ORIGIN + 13.25 * YEAR)
    along = 300 + sinusoid(start, end, 40.0, 120.0)
    along[-1] += 4000.0
    ds = fit_season(make_pairs(start, end, along, rng.normal(0, 5, (2, 201))), PLAIN)
    assert abs(float(ds.season_amplitude) - 40.0) < 3.0
    assert abs(float(ds.trend)) < 1.5


@pytest.mark.parametrize("day", [1.0, 364.5])
def test_maximum_at_new_year(day):
    rng = np.random.default_rng(2)
    start, end = network(rng, 500)
    pairs = make_pairs(start, end, 300 + sinusoid(start, end, 40.0, day), rng.normal(0, 15, (2, 500)))
    ds = fit_season(pairs, PLAIN)
    assert 0 <= float(ds.season_day) < YEAR
    assert abs(circular(float(ds.season_day) - day)) < 3 * float(ds.season_day_std) < 15


def test_images_of_winter_only_still_tell_the_day(rng):
    year = rng.integers(13, 22, 400)
    start = ORIGIN + YEAR * year + rng.uniform(280, 420, 400)
    end = start + rng.uniform(6, 40, 400)
    ds = fit_season(
        make_pairs(start, end, 300 + sinusoid(start, end, 60.0, 200.0), rng.normal(0, 10, (2, 400)))
    )
    assert abs(circular(float(ds.season_day) - 200.0)) < 3 * float(ds.season_day_std) < 30
    assert abs(float(ds.season_amplitude) - 60.0) < 3 * float(ds.season_amplitude_std) < 30


def test_annual_spans_alone_do_not_show_a_season(rng):
    start, _ = dates(rng, 400)
    end = start + 365.25 + rng.uniform(-2, 2, 400)
    ds = fit_season(
        make_pairs(start, end, 300 + sinusoid(start, end, 60.0, 200.0), rng.normal(0, 3, (2, 400)))
    )
    assert float(ds.season_amplitude_std) > 20.0
    assert np.isnan(float(ds.season_day)) == ("not significant" in ds.attrs["reason"])


def test_no_season_is_said_to_be_none(rng):
    start, end = network(rng, 300)
    ds = fit_season(make_pairs(start, end, np.full(300, 300.0), rng.normal(0, 15, (2, 300))), PLAIN)
    assert float(ds.season_amplitude) < 2 * float(ds.season_amplitude_std)
    assert np.isnan(float(ds.season_day))
    assert np.isnan(float(ds.season_day_std))
    assert "not significant" in ds.attrs["reason"]
    assert float(ds.mean_speed) == pytest.approx(300, abs=4 * float(ds.mean_speed_std))


def test_still_ice_has_no_season(rng):
    start, end = network(rng, 100)
    zero = np.zeros(100)
    ds = fit_season(itslive.ImagePairs.from_arrays(start, end, zero, zero))
    assert (float(ds.mean_speed), float(ds.trend), float(ds.season_amplitude)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("n", "last", "words"),
    [(0, 2022.0, "no image pair"), (15, 2022.0, "too few pairs: 15"), (200, 2014.5, "2 years")],
)
def test_too_little_to_say_anything(rng, n, last, words):
    start, end = dates(rng, n, 2013.0, last)
    ds = fit_season(make_pairs(start, end, np.full(n, 300.0)), PLAIN)
    assert words in ds.attrs["reason"]
    for name in (
        "season_amplitude",
        "season_amplitude_std",
        "season_day",
        "mean_speed",
        "trend",
        "trend_std",
    ):
        assert np.isnan(float(ds[name]))
    assert np.isnan(ds.year_amplitude).all()


def test_without_robust_weights_outliers_win(rng):
    start, end = network(rng, 400)
    noise = rng.normal(0, 10, (2, 400))
    noise[:, rng.random(400) < 0.05] *= 100.0
    pairs = make_pairs(start, end, 300 + sinusoid(start, end, 40.0, 120.0), noise)
    robust = fit_season(pairs, PLAIN)
    plain = fit_season(pairs, itslive.InversionSettings(outliers="none", robust=False))
    error, worse = (abs(float(ds.season_amplitude) - 40.0) for ds in (robust, plain))
    assert error < 3.0
    assert float(plain.season_amplitude_std) > 3 * float(robust.season_amplitude_std)
    assert worse > error


# --- interface ---------------------------------------------------------------------------------------------


def test_sigma_and_inflation_can_be_given(rng):
    start, end = network(rng, 400)
    sigma = np.where(np.arange(400) % 4 == 0, 2.0, 80.0)
    pairs = make_pairs(start, end, 300 + sinusoid(start, end, 40.0, 120.0), sigma * rng.normal(size=(2, 400)))
    blind, told = fit_season(pairs, PLAIN), fit_season(pairs, PLAIN, sigma=sigma)
    assert float(told.season_amplitude_std) < 0.7 * float(blind.season_amplitude_std)
    assert float(told.season_amplitude) == pytest.approx(40.0, abs=3 * float(told.season_amplitude_std))
    wide = fit_season(pairs, PLAIN, sigma=sigma, inflation=9.0)
    assert wide.attrs["inflation"] == 9.0
    assert float(wide.mean_speed_std) > 2 * float(told.mean_speed_std)
    # Filters on metadata keep each pair's own sigma.
    early = itslive.PairSelection(end="2019-12-31")
    one = fit_season(pairs, PLAIN, selection=early, sigma=sigma)
    keep = pairs.end < ORIGIN + 20 * YEAR
    other = fit_season(pairs.take(keep), PLAIN, sigma=sigma[keep])
    assert float(one.season_amplitude) == float(other.season_amplitude)
    for bad in (sigma[:-1], -sigma):
        with pytest.raises(SettingsError, match="400 pairs"):
            fit_season(pairs, PLAIN, sigma=bad)
    with pytest.raises(SettingsError, match="1 or more"):
        fit_season(pairs, PLAIN, inflation=0.5)


def test_years_tell_the_seasons_apart():
    rng = np.random.default_rng(8)
    start, end = network(rng, 1200, longest=150.0)
    size = 60 + 40 * np.cos(np.arange(40.0))
    along = mean_over(start, end, lambda t: 300 + size[np.floor(t).astype(int)] * np.cos(TURN * (t - 0.5)))
    ds = fit_season(make_pairs(start, end, along, rng.normal(0, 8, (2, 1200))), PLAIN)
    years = ds.where(ds.year_n_pairs >= 60, drop=True)
    assert len(years.year) >= 8
    error = (years.year_amplitude - size[years.year - 2000]) / years.year_amplitude_std
    assert np.mean(np.abs(error) < 2.5) >= 0.8
    assert float(ds.season_change) == pytest.approx(np.std(size[13:22]), rel=0.5)
    assert np.isnan(ds.year_amplitude.where(ds.year_n_pairs < 10)).all()


def test_the_dataset_says_what_it_is(rng):
    start, end = network(rng, 100)
    pairs = make_pairs(start, end, 300 + sinusoid(start, end, 40.0, 120.0), rng.normal(0, 10, (2, 100)))
    ds = itslive.fit_season(pairs)
    for name, variable in ds.data_vars.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] in ("m/yr", "m/yr^2", "day", "1"), name
    assert json.loads(ds.attrs["settings"]) == {
        "method": "season", "weights": "error", "robust": True, "outliers": "auto"
    }  # fmt: skip
    assert ds.attrs["Conventions"] == "CF-1.8"
    assert list(ds.attrs)[-1] == "n_pairs_used"
    assert ds.attrs["n_pairs_used"] == 100


def test_names_of_facts_fit_their_number(rng):
    start, end = network(rng, 60)
    observations = Observations.at_point(*rng.normal(100, 5, (2, 60)))
    found = season_of_pixels(SeasonRows.make(start, end), observations, np.ones(60))
    assert found.facts.shape == (1, len(SeasonFacts._fields))
    assert np.isfinite(found.facts).all()
    facts = found.pixel(0)
    assert facts.inflation == found.fact("inflation")[0]
    assert np.hypot(facts.along_x, facts.along_y) == pytest.approx(1.0)
    assert np.hypot(facts.axis_sine, facts.axis_cosine) == pytest.approx(1.0)
