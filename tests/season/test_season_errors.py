"""The stated errors of season and trend, held against many simulated pixels of known truth."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.observations.batches import Observations
from itslive_core.season.point import SeasonRows, season_of_pixels
from tests.season.season_truth import DIRECTION, TURN, YEAR, circular, mean_over, network


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
        observations = Observations(offsets, np.arange(len(start), dtype=np.int32), vx, vy)
        found = season_of_pixels(rows, observations, weights)
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
