"""What a person is told to be careful with, under a line that opens it, and beside the pointer."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.extension import prepare
from dashboard.state.fit import Fit, Process, cautions_of
from dashboard.state.pictures import Bars, Curve
from dashboard.views.cautions import cautions_html
from dashboard.views.curves import curve_frame, curve_sources
from itslive_core import ImagePairs, InversionSettings, MovingMedianSettings, PairSelection, invert


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    """Two years of slow ice, of which the second is seen by few pairs."""
    rng = np.random.default_rng(6)
    start = np.sort(np.concatenate([17_000 + rng.uniform(0, 365, 60), [17_400.0, 17_500.0]]))
    vx = rng.normal(0, 5, 62)
    return ImagePairs.from_arrays(start, start + 24.0, vx, vx, mission=np.full(62, "S2"))


def test_sentences_come_from_the_series_that_is_drawn(pairs):
    series, selection, settings = invert(pairs), PairSelection(), InversionSettings()
    bars = Bars(pairs, np.ones(len(pairs), dtype=bool))
    fit = Fit(pairs, pairs, selection, settings, bars, series)
    found = cautions_of(fit)
    assert found == series.attrs["warnings"].splitlines()
    assert "One mission alone sees all" in " ".join(found)
    other = series.assign_attrs(warnings="Another one.")
    process = Process(MovingMedianSettings(), selection, other)
    assert cautions_of(Fit(pairs, pairs, selection, settings, bars), process) == ["Another one."]
    assert cautions_of(None) == []
    assert cautions_of(Fit(pairs, pairs, selection, settings, bars)) == []


def test_they_are_a_closed_list_and_nothing_without_any():
    assert cautions_html([]) == ""
    text = cautions_html(["1 < 2 cells.", "Another."])
    assert text.startswith("<details><summary>2 things to be careful with</summary>")
    assert "<li>1 &lt; 2 cells.</li><li>Another.</li>" in text
    assert "1 thing to be careful with" in cautions_html(["One."])


def test_the_hover_knows_what_was_noted_and_the_band_is_the_interval(pairs):
    series = invert(pairs)
    data = curve_frame(series, "v")
    assert any("one mission only" in words for words in data["noted"])
    np.testing.assert_array_equal(data["low"], series["v_lower"])
    np.testing.assert_array_equal(data["high"], series["v_upper"])
    assert set(curve_sources(Curve(series, "#2F6BFF"), "vx")["curve"]) == {"time", "value", "std", "noted"}
    plain = series.drop_vars(["quality", "v_lower", "v_upper"])
    assert set(curve_frame(plain, "v")["noted"]) == {"nothing"}
    assert list(curve_frame(None, "v").columns) == list(data.columns)
