"""What is said of a point in one line."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from dashboard.state.headline import headline
from dashboard.views.cautions import facts_html

KNOWN = {
    "mean_speed": 64.78, "mean_speed_std": 2.64, "trend": -0.74, "trend_std": 0.1, "season_amplitude": 14.3,
    "season_amplitude_std": 1.9, "season_day": 271.6, "season_day_std": 5.2,
}  # fmt: skip


def season(**values) -> xr.Dataset:
    return xr.Dataset({name: ((), value) for name, value in {**KNOWN, **values}.items()})


def series(coverage) -> xr.Dataset:
    edges = np.datetime64("2010-01-01") + 12 * np.arange(len(coverage) + 1)
    edges = edges.astype("datetime64[ns]")
    bounds = np.column_stack([edges[:-1], edges[1:]])
    return xr.Dataset({"coverage": ("time", coverage), "time_bnds": (("time", "nv"), bounds)})


def texts(*args) -> dict[str, str]:
    return {fact.name: fact.text for fact in headline(*args)}


def test_values_carry_their_errors_at_the_level_of_the_bands():
    said = texts(season(), series([1.0, 0.5, 0.0, 0.5]))
    assert said["Mean"] == "64.8 ± 5.2 m/yr"
    assert said["Trend"] == "−7.4 ± 2.0 m/yr per decade"
    assert said["Season"] == "14.3 ± 3.7 m/yr, fastest 29 Sep ± 10 d"
    assert said["Observed"] == "50 % of 2010–2010"


def test_what_cannot_be_told_from_noise_is_said_in_words():
    facts = {
        fact.name: fact
        for fact in headline(season(trend=0.02, season_amplitude=2.0, season_day=np.nan), None)
    }
    assert facts["Trend"].text == "below the noise (0.2 ± 2.0 m/yr per decade)"
    assert facts["Season"].text == "below the noise (at most 6 m/yr)"
    assert not facts["Trend"].clear
    assert not facts["Season"].clear
    assert facts["Mean"].clear
    assert facts_html(list(facts.values())).count("class='faint'") == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_known_is_not_said(value):
    nothing = dict.fromkeys(KNOWN, value)
    assert headline(season(**nothing), None) == []
    assert headline(None, None) == []
    assert headline(None, series([])) == []
    assert facts_html([]) == ""
