"""The speed of a front from two clicks."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.errors import SelectionError, SettingsError
from itslive_core.series.propagation import Sighting, front_speed


def test_speed_and_error_are_those_of_clicks_anywhere_in_their_cells():
    first, second = Sighting(1000.0, 500.0, 12.0, 120.0), Sighting(1100.0, 3500.0, 48.0, 60.0)
    found = front_speed(first, second)
    assert found.speed == pytest.approx(30.0 * 365.25)
    assert front_speed(second, first) == found, "in any order"
    assert front_speed(first, Sighting(1100.0, -2500.0, 48.0, 60.0)).speed == pytest.approx(-30.0 * 365.25)
    rng = np.random.default_rng(3)
    n = 200_000
    times = 100.0 + rng.uniform(-24, 24, n) - rng.uniform(-6, 6, n)
    places = 3000.0 + rng.uniform(-30, 30, n) - rng.uniform(-60, 60, n)
    sampled = 365.25 * places / times
    robust = np.diff(np.percentile(sampled, [15.865, 84.135]))[0] / 2  # of first order: not its tails
    assert found.std == pytest.approx(robust, rel=0.2)
    assert found.std == pytest.approx(365.25 * np.sqrt((120**2 + 60**2 + 900 * (12**2 + 48**2)) / 12) / 100)


def test_clicks_at_one_time_tell_no_speed():
    first = Sighting(1000.0, 500.0, 12.0, 120.0)
    with pytest.raises(SelectionError, match="further apart in time"):
        front_speed(first, Sighting(1003.0, 3500.0, 12.0, 120.0))
    with pytest.raises(SettingsError):
        front_speed(first, Sighting(np.nan, 3500.0, 12.0, 120.0))
