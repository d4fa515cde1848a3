"""Season and trend of a pixel: held against quadrature, dense algebra, and simulated truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.errors import SettingsError
from itslive_core.estimators.season import SeasonRows, fit_season, season_of_pixels
from itslive_core.solvers.season_fit import FACTS
from itslive_core.solvers.season_kernels import BORDER, OVERTONES, Normal, assemble, criterion

YEAR = 365.25
ORIGIN = 10_957.0  # 1 January 2000
TURN = 2.0 * np.pi
DIRECTION = np.array([0.8, 0.6])
PLAIN = itslive.InversionSettings(outliers="none")


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def dates(rng, n, first=2013.0, last=2022.0, spans=(6.0, 60.0)):
    """Draw random pairs: start and end [days since 1970-01-01]."""
    start = ORIGIN + YEAR * rng.uniform(first - 2000, last - 2000, n)
    return start, start + rng.uniform(*spans, n)


def network(rng, n, years=(13, 22), longest=400.0):
    """Draw pairs of images that many pairs share: every 5 to 20 days, few in winter."""
    image = ORIGIN + YEAR * years[0] + np.cumsum(rng.uniform(5, 20, 1000))
    image = image[image < ORIGIN + YEAR * years[1]]
    season = np.cos(TURN * ((image - ORIGIN) / YEAR - 0.5))
    image = image[rng.random(len(image)) < 0.65 + 0.3 * season]
    a, b = (grid.ravel() for grid in np.meshgrid(image, image))
    pairs = np.flatnonzero((b > a) & (b - a < longest))
    chosen = rng.choice(pairs, n, replace=False)
    return a[chosen], b[chosen]


def mean_over(start, end, speed):
    """Average a speed, given as a function of years since 2000, over spans."""
    a, b = (start - ORIGIN) / YEAR, (end - ORIGIN) / YEAR
    step = 0.5 / YEAR
    edges = np.arange(a.min() - step, b.max() + 2 * step, step)
    total = np.concatenate(([0.0], np.cumsum(speed(edges[:-1] + step / 2) * step)))
    return (np.interp(b, edges, total) - np.interp(a, edges, total)) / (b - a)


def sinusoid(start, end, amplitude, day):
    """Average amplitude cos(2 pi (t - t_max)) over spans, from its primitive."""
    a, b, top = (start - ORIGIN) / YEAR, (end - ORIGIN) / YEAR, day / YEAR
    return amplitude * (np.sin(TURN * (b - top)) - np.sin(TURN * (a - top))) / (TURN * (b - a))


def make_pairs(start, end, along, noise=0.0, error=10.0, across=0.0):
    """Make pairs of a motion along a fixed direction, and noise of shape (2, n)."""
    v = along * DIRECTION[:, None] + across * np.array([-DIRECTION[1], DIRECTION[0]])[:, None] + noise
    error = np.broadcast_to(error, start.shape)
    return itslive.ImagePairs.from_arrays(
        start, end, *v, vx_error=error, vy_error=error, mission=["S2"] * len(start)
    )


def circular(days):
    return (np.asarray(days) + YEAR / 2) % YEAR - YEAR / 2


class Draws:
    """Many simulated pixels of known truth, fitted in one batch."""

    def __init__(self, count, network_of, speed_of, *, shared=0.0, outliers=0.05, seed=0):
        pieces, self.amplitude, self.day, self.trend = [], [], [], []
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            start, end = network_of(rng)
            speed, amplitude, day, trend = speed_of(rng)
            n = len(start)
            sigma = 250 / (end - start) + 2
            noise = rng.normal(size=(2, n))
            if shared:
                for date in (start, end):
                    _, image = np.unique(date, return_inverse=True)
                    noise += np.sqrt(shared / (1 - 2 * shared)) * rng.normal(size=(2, n))[:, image]
                noise *= np.sqrt(1 - 2 * shared)
            wild = rng.random(n) < outliers
            noise[:, wild] *= rng.uniform(5, 60, wild.sum())
            v = mean_over(start, end, speed) * DIRECTION[:, None] + sigma * noise
            weights = 1 / sigma**2
            pieces.append((start, end, *v, weights / weights.mean()))
            self.amplitude.append(amplitude)
            self.day.append(day)
            self.trend.append(trend)
        start, end, vx, vy, weights = (np.concatenate(parts) for parts in zip(*pieces))
        offsets = np.concatenate(([0], np.cumsum([len(piece[0]) for piece in pieces])))
        rows = SeasonRows.make(start, end)
        found = season_of_pixels(rows, offsets, np.arange(len(start)), vx, vy, weights)
        self.found = found.variables()
        self.inflation = found.fact("inflation")

    def errors(self, name):
        """Errors, and stated standard deviations."""
        truth = {"season_amplitude": self.amplitude, "season_day": self.day, "trend": self.trend}[name]
        error = self.found[name] - np.array(truth)
        return circular(error) if name == "season_day" else error, self.found[f"{name}_std"]

    def coverage(self, name):
        error, std = self.errors(name)
        return np.mean(np.abs(error) < 1.96 * std)


def steady(rng):
    """A season that is the same every year, on a straight line."""
    amplitude, day, slope = rng.uniform(20, 60), rng.uniform(0, YEAR), rng.normal(0, 4)
    return (
        (lambda t: 500 + slope * (t - 17) + amplitude * np.cos(TURN * (t - day / YEAR))),
        amplitude,
        day,
        slope,
    )


def changing(rng):
    """A season whose amplitude changes by 30 % and whose day by 10 days from year to year."""
    amplitude, day, slope = rng.uniform(30, 100), rng.uniform(0, YEAR), rng.normal(0, 4)
    factor, shift = 1 + 0.3 * rng.normal(size=60), rng.normal(0, 10, 60) / YEAR

    def speed(t):
        year = np.floor(t).astype(int)
        return (
            500 + slope * (t - 17) + amplitude * factor[year] * np.cos(TURN * (t - day / YEAR - shift[year]))
        )

    return speed, amplitude * np.exp(-0.5 * (TURN * 10 / YEAR) ** 2), day, slope


# --- exactness ---------------------------------------------------------------------------------------------


def test_rows_are_exact_averages_of_hats_and_sinusoids(rng):
    start, end = dates(rng, 60, spans=(3.0, 900.0))
    start[0], end[0] = ORIGIN + 10 * YEAR, ORIGIN + 12 * YEAR  # from a first of January to another
    rows = SeasonRows.make(start, end)
    data = rows.data
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
    data = rows.data
    length = np.diff(data.begin)
    size, width = int((data.first + length).max()), int(length.max()) - 1
    years = (size - 1) // 3
    normal = Normal(
        np.empty(size * (width + 1)), np.empty((2, size)), np.empty((size, OVERTONES)),
        np.empty((OVERTONES, OVERTONES + 2)), np.empty(3), size, width, years,
    )  # fmt: skip
    assemble(
        data.first, data.begin, data.coefficient, data.overtone, np.arange(n), 0, w, y, np.zeros(n), normal
    )
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
    room = np.empty((size, width + 1 + BORDER + 2)), np.empty((BORDER + 2, BORDER + 2))

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
        return criterion(normal, np.array([1.0, 0.0]), float(n), x, axis, axis, room[0].ravel(), room[1])

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


# --- honesty -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [150, 700])
def test_errors_hold_where_seasons_differ_between_years(n):
    draws = Draws(60, lambda rng: network(rng, n), changing, shared=0.1, seed=n)
    for name in ("season_amplitude", "season_day", "trend"):
        assert 0.9 <= draws.coverage(name) <= 1.0, name
    for name in ("season_amplitude", "season_day"):  # and not by being wide
        error, std = draws.errors(name)
        assert np.sqrt(np.mean(std**2)) < 1.8 * np.sqrt(np.mean(error**2)), name


@pytest.mark.parametrize("n", [150, 700])
def test_errors_hold_where_seasons_are_the_same_every_year(n):
    draws = Draws(60, lambda rng: network(rng, n), steady, shared=0.1, seed=n)
    for name in ("season_amplitude", "season_day", "trend"):
        assert 0.9 <= draws.coverage(name) <= 1.0, name
        error, std = draws.errors(name)
        assert np.sqrt(np.mean(std**2)) < 2.0 * np.sqrt(np.mean(error**2)), name


def test_amplitude_is_found_to_a_metre_a_year():
    # Known seasons, usual noise, 5 % outliers: Greene et al. (2020, doi:10.5194/tc-14-4365-2020) reach 1.4.
    draws = Draws(60, lambda rng: network(rng, 600), steady, seed=5)
    assert np.std(draws.errors("season_amplitude")[0]) <= 1.4
    assert np.mean(np.abs(draws.errors("season_day")[0])) < 3.0


def test_a_sharp_season_does_not_shift_with_the_images():
    def sharp(rng):
        day, size, width = rng.uniform(0, YEAR), rng.uniform(100, 300), 0.08

        def speed(t):
            return 500 + sum(size * np.exp(-0.5 * ((t - y - day / YEAR) / width) ** 2) for y in range(10, 25))

        harmonic = 2 * size * width * np.sqrt(TURN) * np.exp(-0.5 * (TURN * width) ** 2)
        return speed, harmonic, day, 0.0

    draws = Draws(40, lambda rng: network(rng, 700), sharp, seed=6)
    assert draws.coverage("season_amplitude") >= 0.85
    assert draws.coverage("season_day") >= 0.85
    assert np.median(np.abs(draws.errors("season_day")[0])) < 5.0


def test_shared_images_make_pairs_worth_less():
    alone = Draws(20, lambda rng: network(rng, 700), steady, seed=7)
    shared = Draws(20, lambda rng: network(rng, 700), steady, shared=0.2, seed=7)
    # Each pair shares an image with about eight others: 1 + 8 x 0.2.
    assert np.median(alone.inflation) < 1.2
    assert 1.7 < np.median(shared.inflation) < 4.0


def test_an_isolated_outlier_does_not_bend_the_background(rng):
    start, end = dates(rng, 200, 2015.0, 2021.0)
    start, end = np.append(start, ORIGIN + 13.2 * YEAR), np.append(end, ORIGIN + 13.25 * YEAR)
    along = 300 + sinusoid(start, end, 40.0, 120.0)
    along[-1] += 4000.0
    ds = fit_season(make_pairs(start, end, along, rng.normal(0, 5, (2, 201))), PLAIN)
    assert abs(float(ds.season_amplitude) - 40.0) < 3.0
    assert abs(float(ds.trend)) < 1.5


# --- hard cases --------------------------------------------------------------------------------------------


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
    found = season_of_pixels(
        SeasonRows.make(start, end),
        np.array([0, 60]),
        np.arange(60),
        *rng.normal(100, 5, (2, 60)),
        np.ones(60),
    )
    assert found.facts.shape == (1, len(FACTS))
    assert np.isfinite(found.facts).all()
    assert np.hypot(found.fact("along_x"), found.fact("along_y"))[0] == pytest.approx(1.0)
    assert np.hypot(found.fact("axis_sine"), found.fact("axis_cosine"))[0] == pytest.approx(1.0)
